"""Finding what a method must know of whole groups before it merges, by reading while streaming [TI-2 to TI-5].

A statistic says where to look, what it sees in a block, and what follows. A task is several spans; it returns what was
seen in them, and that is combined as it comes. Small groups are looked at by one worker each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from mergealgebra.algebra.method import Group, Stage, Statistic
from mergealgebra.engine.answers import Answers, cache_key, groups, kind_of, pack, statistics, unpack
from mergealgebra.engine.buffers import BASE, Buffers, Hashers, Input, inputs_of, part_of, parts_of, where_of
from mergealgebra.engine.executors import Workers
from mergealgebra.engine.faults import Faulty
from mergealgebra.engine.guess import Task, before, first_look
from mergealgebra.engine.merged_spans import Stale
from mergealgebra.engine.passes import Read, join, note, noted, shares
from mergealgebra.engine.plan import Plan
from mergealgebra.engine.sources import Block, Span
from mergealgebra.engine.weights import DotsSearch, find_weights
from mergealgebra.kernels.blocks import Part, Watch
from mergealgebra.kernels.reference import Host
from mergealgebra.progress import Progress

#: From so many elements on, a group is guessed from a sample, and looked at by all workers together.
_LARGE: Final = 1 << 22


def find_answers(
    plan: Plan, workers: Workers, progress: Progress, base_root: str, cache: MutableMapping[str, bytes]
) -> Answers:
    """All that the stages of a method must know. cache: what was found before, to which new answers are added.

    Raises Faulty when some number is not finite, and Stale when a file changed meanwhile.
    """
    answers = Answers()
    for number, round_ in enumerate(plan.rounds):
        for stage in plan.stages_in(number):
            for statistic, of in statistics(plan, stage):
                search = _Search(plan, stage, statistic, of, answers)
                found = {**answers.found.get(stage, {}), **_cached(search, workers, progress, base_root, cache)}
                answers = replace(answers, found={**answers.found, stage: found}, read=noted(answers, search.read))
        if round_.weigh is not None:
            weights, read = find_weights(DotsSearch(plan, number, answers), workers, progress, base_root, cache)
            answers = replace(answers, weights={**answers.weights, **weights}, read=noted(answers, read))
    return answers


def _cached(
    search: _Search, workers: Workers, progress: Progress, base_root: str, cache: MutableMapping[str, bytes]
) -> dict[Group, Any]:
    """The answers of one statistic, those that are known from the cache, if it has a proof, and all others."""
    plan, statistic = search.plan, search.statistic
    wanted: dict[int, list[Group]] = {index: [] for index in range(len(plan.contributions))}
    for group in groups(plan, statistic, search.of):
        wanted[group.index].append(group)
    cached = statistic.proved and not plan.needs.auxiliary  # their roots are not known before they are read
    keys = [
        cache_key(base_root, contribution, plan.recipe, _key(search, index, wanted[index])) if cached else None
        for index, contribution in enumerate(plan.contributions)
    ]
    known = {index: _known(statistic, cache, key_, wanted[index]) for index, key_ in enumerate(keys)}
    missing = [group for index, of_index in wanted.items() if known[index] is None for group in of_index]
    found = search.find(missing, workers, progress)
    for index, key_ in enumerate(keys):
        earlier = known[index]
        if earlier is not None:
            found.update(zip(wanted[index], earlier, strict=True))
        elif key_ is not None:
            cache[key_] = pack(statistic, [found[group] for group in wanted[index]])
    return found


def _key(search: _Search, index: int, wanted: Sequence[Group]) -> list[list[str]]:
    """Kind and key of all stages before, and of the statistic; where settings say which tensors, those too."""
    plan, statistic = search.plan, search.statistic
    own = [kind_of(statistic), *statistic.key]
    if not plan.recipe.settings:
        return [*_keys([plan.stages[number] for number in plan.stages_before(search.number)]), own]
    alike: dict[str, list[list[str]]] = {}
    for name in (name for group in wanted for name in group.names):
        earlier = _keys(before(plan, search.number, name, index))
        alike.setdefault(repr(earlier), [*earlier, []])[-1].append(name)
    return [row for rows in alike.values() for row in rows] + [own]


def _keys(stages: Iterable[Stage]) -> list[list[str]]:
    return [[kind_of(stage), *stage.key] for stage in stages]


def _known(
    statistic: Statistic, cache: Mapping[str, bytes], key: str | None, wanted: Sequence[Group]
) -> list[Any] | None:
    data = None if key is None else cache.get(key)
    return None if data is None else unpack(statistic, data, wanted)


@dataclass
class _Search:
    """The search for the answers of one statistic of one stage.

    of: the tensors that have it, by contribution. answers: of earlier stages. read: what was hashed on the way.
    """

    plan: Plan
    number: int
    statistic: Statistic
    of: Mapping[int, Sequence[str]]
    answers: Answers
    read: Read = field(default_factory=dict)

    def find(self, wanted: Sequence[Group], workers: Workers, progress: Progress) -> dict[Group, Any]:
        """The answer for each group: of small ones by one worker each, of large ones by all workers together."""
        later = self.plan.round_of(self.number) > 0  # looks at all contributions, so all groups are looked at together
        small = [] if later else [group for group in wanted if group.size < _LARGE]
        large = list(wanted) if later else [group for group in wanted if group.size >= _LARGE]
        found = {}
        for group, (answer, read) in zip(small, workers.map(partial(_find_alone, self._task()), small), strict=True):
            found[group] = answer
            join(self.read, read)
        for looks in self._rounds(large, workers):
            found |= self._find_together(looks, workers, progress)
        return found

    def _task(self) -> Task:
        return Task(self.number, self.statistic, self.answers, self.plan.hashed and not self.statistic.proved)

    def _rounds(self, wanted: Sequence[Group], workers: Workers) -> Iterator[dict[Group, Any]]:
        """The first looks at large groups, as many at once as half of the memory holds what is seen, at least one."""
        most = self.plan.memory // 2 // (self.plan.threads + 1)  # what workers have, and the sum
        now: dict[Group, Any] = {}
        for group, look in zip(wanted, workers.map(partial(first_look, self._task()), wanted), strict=True):
            if now and sum(map(self.statistic.nbytes, (*now.values(), look))) > most:
                yield now
                now = {}
            now[group] = look
        if now:
            yield now

    def _find_together(self, looks: Mapping[Group, Any], workers: Workers, progress: Progress) -> dict[Group, Any]:
        found: dict[Group, Any] = {}
        while looks:
            seen = self._look_together(looks, workers, progress)
            settled = {group: _settled(self.statistic, look, group, seen[group]) for group, look in looks.items()}
            found |= {group: answer for group, (done, answer) in settled.items() if done}
            looks = {group: look for group, (done, look) in settled.items() if not done}
        return found

    def _look_together(self, looks: Mapping[Group, Any], workers: Workers, progress: Progress) -> dict[Group, Any]:
        """What was seen of several groups, in one pass."""
        numbers, order = _numbers(looks), list(looks.values())
        spans = [
            span
            for name in self.plan.base.records
            for span in self.plan.spans(name)
            if any(self.statistic.reads(order[n], name, span.start, span.stop) for n in numbers.get(name, ()))
        ]
        total, done = sum(span.size for span in spans), 0
        seen = {group: self.statistic.nothing(look) for group, look in looks.items()}
        tasks = list(shares(spans, self.plan.threads))
        look_at = partial(_look_at, self._task(), dict(looks))
        for task, (found, read) in zip(tasks, workers.map(look_at, tasks, self.plan.threads - 1), strict=True):
            for group, part in found.items():
                seen[group] = self.statistic.combine(looks[group], seen[group], part)
            join(self.read, read)
            done += sum(span.size for span in task)
            progress("thresholds", done, total)
        return seen


def _find_alone(task: Task, buffers: Buffers, group: Group) -> tuple[Any, Read]:
    """The answer for one group, and what was read. Raises Faulty and Stale."""
    look, read = task.statistic.first(group, None), Read()
    spans = [span for name in group.names for span in buffers.plan.spans(name)]
    while True:
        found, hashed = _look_at(task, {group: look}, buffers, spans)
        join(read, hashed)
        done, settled = _settled(task.statistic, look, group, found[group])
        if done:
            return settled, read
        look = settled


def _settled(statistic: Statistic, look: Any, group: Group, seen: Any) -> tuple[bool, Any]:
    try:
        return statistic.settle(look, group, seen)
    except LookupError as error:
        raise Stale(str(error)) from None


def _look_at(
    task: Task, looks: Mapping[Group, Any], buffers: Buffers, spans: Sequence[Span]
) -> tuple[dict[Group, Any], Read]:
    """What is seen of groups in some spans, and the digests of what was read. Raises Faulty."""
    plan, statistic, groups_ = buffers.plan, task.statistic, list(looks)
    numbers, read, round_ = _numbers(groups_), Read(), plan.round_of(task.number)
    seen = [statistic.nothing(look) for look in looks.values()]
    order = list(looks.values())
    for span in spans:
        at = span.name, span.start, span.stop
        here = {groups_[n].index: n for n in numbers[span.name] if statistic.reads(order[n], *at)}
        watches = {
            n: Watch(statistic, order[n], before(plan, task.number, span.name, index), plan.needs.on, round_)
            for index, n in here.items()
        }
        hashers = Hashers(_inputs_of(plan, span, here, round_) if task.hashed else ())
        for block in plan.blocks(span):
            base = buffers.read(BASE, block)
            hashers.take(BASE, base)
            for index, part, shared in _parts(task, buffers, block, base, here):
                hashers.take_part(index, part)
                if index in here:
                    found = plan.kernel.observe(base, part, watches[here[index]], seen[here[index]], shared)
                    if found is None:
                        raise Faulty(block)
                    seen[here[index]] = found
        note(read, span, hashers)
    return dict(zip(groups_, seen, strict=True)), read


def _numbers(groups_: Iterable[Group]) -> dict[str, list[int]]:
    """The groups that hold each tensor, by their numbers."""
    found: dict[str, list[int]] = {}
    for number, group in enumerate(groups_):
        for name in group.names:
            found.setdefault(name, []).append(number)
    return found


def _inputs_of(plan: Plan, span: Span, looks: Iterable[int], round_: int) -> list[Input]:
    """What is read of a span and hashed; in a later round that is everything."""
    indices = [index for index, _ in plan.holders(span.name)] if round_ else looks
    return [BASE, *(what for index in indices for what in inputs_of(plan, index))]


def _parts(
    task: Task, buffers: Buffers, block: Block, base: Host, looks: Iterable[int]
) -> Iterator[tuple[int, Part, Sequence[Any]]]:
    """What is read of a block, by index, and what earlier rounds give of it: then everything is read. Raises Faulty."""
    plan, round_ = buffers.plan, buffers.plan.round_of(task.number)
    if not round_:
        for index in looks:
            yield index, _part(task, buffers, index, block), ()
        return
    parts, before_ = dict(parts_of(plan, buffers, block, task.answers)), plan.stages_before(task.number)
    counted = [part for part in parts.values() if part.coefficient]
    shared = plan.kernel.share(base, counted, plan.reduction(block.name), round_)
    if shared is None:
        raise Faulty(block, task.answers)
    for index, part in parts.items():
        yield index, replace(part, found=part.found[before_.start : before_.stop]), shared


def _part(task: Task, buffers: Buffers, index: int, block: Block) -> Part:
    """What a contribution holds of a block; where nothing else is needed of it, in memory that stays in the cache."""
    plan, contribution = buffers.plan, buffers.plan.contributions[index]
    stages = plan.stages_before(task.number)
    if stages or plan.needs.auxiliary:
        return part_of(buffers, index, contribution, block, task.answers, stages)
    values = buffers.peek(index, block)
    coefficient = plan.coefficient(index, block.name)
    return Part(values, contribution.form_of(block.name), coefficient, (), where_of(plan, contribution, block))
