"""The thresholds of trim for all contributions, found by counting while streaming [TI-2 to TI-5].

A threshold is guessed from a sample, and one pass counts the magnitudes around the guess, which gives it exactly.
Where the guess was too far off, and for small groups, two passes find it: by the high bits, then by the low ones.
What is found can be kept, since the pass that merges proves every threshold by counting (`trim.holds`).
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Final

import numpy as np

from mergealgebra.algebra import trim as rule
from mergealgebra.algebra.arrays import Array
from mergealgebra.algebra.trim import Counts, Window
from mergealgebra.engine.buffers import BASE, Buffers
from mergealgebra.engine.executors import Workers
from mergealgebra.engine.faults import Faulty
from mergealgebra.engine.groups import Found, Group, Trimming, groups, kept_key, pack, unpack
from mergealgebra.engine.plan import Block, Plan
from mergealgebra.kernels.blocks import Part
from mergealgebra.kernels.equations import tau
from mergealgebra.progress import Progress
from mergealgebra.recipe import Trim

#: From so many elements on, a group is guessed from a sample, of so many pieces of so many elements.
_LARGE: Final = 1 << 22
_PIECES: Final = 256
_PIECE: Final = 1 << 10


def find_thresholds(
    plan: Plan, workers: Workers[Buffers], progress: Progress, base_root: str, kept: MutableMapping[str, bytes]
) -> Trimming:
    """All thresholds of a merge. kept: those found before, to which the new ones are added. Raises Faulty."""
    trim = plan.recipe.trim
    if trim is None or trim.density == 1:
        return Trimming({})
    by_index: dict[int, list[Group]] = {index: [] for index in range(len(plan.contributions))}
    for group in groups(plan, trim):
        by_index[group.index].append(group)
    keys = [kept_key(base_root, contribution, trim) for contribution in plan.contributions]
    known = {index: _known(kept, key, by_index[index]) for index, key in enumerate(keys)}
    missing = [group for index, group_list in by_index.items() if known[index] is None for group in group_list]
    found = _Search(plan, trim, workers, progress).find(missing)
    for index, key in enumerate(keys):
        earlier = known[index]
        if earlier is not None:
            found.update(zip(by_index[index], earlier, strict=True))
        elif key is not None:
            kept[key] = pack(found[group] for group in by_index[index])
    return Trimming(found)


def _known(kept: Mapping[str, bytes], key: str | None, wanted: Sequence[Group]) -> list[Found] | None:
    data = None if key is None else kept.get(key)
    return None if data is None else unpack(data, wanted)


class _Search:
    """The search for the thresholds of groups, with the workers of a merge."""

    def __init__(self, plan: Plan, trim: Trim, workers: Workers[Buffers], progress: Progress) -> None:
        self._plan, self._trim = plan, trim
        self._workers, self._progress = workers, progress

    def find(self, wanted: Sequence[Group]) -> dict[Group, Found]:
        """The threshold of each group: of small ones by one worker each, of large ones by all workers together."""
        small = [group for group in wanted if group.size < _LARGE]
        large = [group for group in wanted if group.size >= _LARGE]
        found = dict(zip(small, self._workers.map(self._find_alone, small), strict=True))
        for windows in self._rounds(large):
            found.update(self._find_together(windows))
        return found

    def _rounds(self, wanted: Sequence[Group]) -> Iterator[dict[Group, Window]]:
        """The windows of large groups, as many at once as half of the memory holds counts for, at least one."""
        most = self._plan.memory // 2 // self._plan.threads
        now: dict[Group, Window] = {}
        for group, window in zip(wanted, self._guesses(wanted), strict=True):
            if now and sum(map(_nbytes, (*now.values(), window))) > most:
                yield now
                now = {}
            now[group] = window
        if now:
            yield now

    def _find_alone(self, buffers: Buffers, group: Group) -> Found:
        after: Window | _Tied | Found = rule.ALL
        while isinstance(after, Window):
            window, counts = after, _no_counts(after)
            for block in self._blocks(group.names):
                self._count(buffers, block, buffers.read(BASE, block), {group: window}, {group: counts})
            after = self._settle(group, window, counts)
        return after if isinstance(after, Found) else self._cut(buffers, group, after, self._blocks(group.names))

    def _find_together(self, windows: Mapping[Group, Window]) -> dict[Group, Found]:
        found: dict[Group, Found] = {}
        while windows:
            counts = self._count_together(windows)
            settled = {group: self._settle(group, window, counts.of(group)) for group, window in windows.items()}
            windows = {group: after for group, after in settled.items() if isinstance(after, Window)}
            found |= {group: after for group, after in settled.items() if isinstance(after, Found)}
            tied = {group: after for group, after in settled.items() if isinstance(after, _Tied)}
            found |= {group: self._cut_together(group, ties) for group, ties in tied.items()}
        return found

    def _settle(self, group: Group, window: Window, counts: Counts) -> Window | _Tied | Found:
        """What the counts tell: the threshold, where to look more closely, or to look everywhere."""
        at = rule.locate(counts, group.m)
        if at is None:
            return rule.ALL
        bin_, rank = at
        if window.shift:
            return window.inside(bin_)
        bits = window.low + bin_
        if bits == 0:  # fewer non-zero elements than m: all of them are kept
            return Found(1)
        cut = self._trim.boundary == "lowest_index" and rank < counts[bin_]
        return _Tied(bits, rank) if cut else Found(bits)

    # Counting

    def _count_together(self, windows: Mapping[Group, Window]) -> _SharedCounts:
        """The counts of several windows, in one pass; integers add up to the same in any order."""
        counts = _SharedCounts(windows)
        by_name: dict[str, dict[Group, Window]] = {}
        for group, window in windows.items():
            for name in group.names:
                by_name.setdefault(name, {})[group] = window

        def count(buffers: Buffers, span: Block) -> int:
            for block in span.cut(self._plan.block):
                self._count(buffers, block, buffers.read(BASE, block), by_name[block.name], counts.own())
            return span.size

        spans = [span for name in by_name for span in self._plan.spans(name)]
        total = sum(span.size for span in spans)
        for done in accumulate(self._workers.map(count, spans)):
            self._progress("thresholds", done, total)
        return counts

    def _count(
        self,
        buffers: Buffers,
        block: Block,
        base: Array,
        windows: Mapping[Group, Window],
        counts: Mapping[Group, Counts],
    ) -> None:
        for group, window in windows.items():
            if not self._plan.kernel.count(base, self._part(buffers, group.index, block), window, counts[group]):
                raise Faulty(block)

    def _part(self, buffers: Buffers, index: int, block: Block) -> Part:
        contribution = self._plan.contributions[index]
        return Part(
            buffers.peek(index, block), contribution.form_of(block.name), contribution.coefficient, 0, block.size
        )

    def _blocks(self, names: Sequence[str]) -> Iterator[Block]:
        for name in names:
            for span in self._plan.spans(name):
                yield from span.cut(self._plan.block)

    # Guessing

    def _guesses(self, wanted: Sequence[Group]) -> Iterator[Window]:
        """Where the threshold of each group lies, by a sample that is taken evenly from all of it."""
        shared: dict[tuple[str, ...], Array] = {}  # of the base: the last one only, for it takes a megabyte

        def guess(buffers: Buffers, group: Group) -> Window:
            old = shared.get(group.names)
            if old is None:
                old = self._sample(buffers, BASE, group.names, group.size)
                shared.clear()
                shared[group.names] = old
            sample = self._sample(buffers, group.index, group.names, group.size)
            finetuned = self._plan.contributions[group.index].form == "finetuned"
            change = sample - old if finetuned else sample
            return rule.guess(rule.magnitude_bits(change), Fraction(group.m, group.size))

        return self._workers.map(guess, wanted)

    def _sample(self, buffers: Buffers, index: int, names: Sequence[str], size: int) -> Array:
        """Elements of an input's tensors as fp32, in equal pieces at equal distances. size: of all tensors together."""
        ends = list(accumulate(self._plan.base.records[name].size for name in names))
        pieces = []
        for i in range(_PIECES):
            at = i * size // _PIECES
            tensor = bisect_right(ends, at)
            start = at - (ends[tensor - 1] if tensor else 0)
            stop = min(start + _PIECE, self._plan.base.records[names[tensor]].size)
            pieces.append(buffers.peek(index, Block(names[tensor], start, stop)).astype(np.float32))
        return np.concatenate(pieces)

    # Cutting ties

    def _cut(self, buffers: Buffers, group: Group, tied: _Tied, blocks: Iterable[Block]) -> Found:
        """Where ties are cut: after the rank-th in these blocks [TI-5]. Raises Faulty when they are not there."""
        left = tied.rank
        for block in blocks:
            part = self._part(buffers, group.index, block)
            magnitudes = rule.magnitude_bits(tau(part.values, buffers.read(BASE, block), part.form))
            equal = np.flatnonzero(magnitudes == tied.bits)
            if equal.size >= left:
                return Found(tied.bits, (block.name, block.start + int(equal[left - 1]) + 1))
            left -= equal.size
        raise Faulty(block)

    def _cut_together(self, group: Group, tied: _Tied) -> Found:
        """The same in a large group: all workers count ties, span by span, and one looks into the span."""
        window = Window(tied.bits, 0, 1)

        def count(buffers: Buffers, span: Block) -> int:
            counts = _no_counts(window)
            for block in span.cut(self._plan.block):
                self._count(buffers, block, buffers.read(BASE, block), {group: window}, {group: counts})
            return int(counts[0])

        def cut(buffers: Buffers, span: Block) -> Found:
            return self._cut(buffers, group, _Tied(tied.bits, left), span.cut(self._plan.block))

        spans, left = [span for name in group.names for span in self._plan.spans(name)], tied.rank
        for span, equal in zip(spans, self._workers.map(count, spans), strict=True):  # noqa: B007 - used after the loop
            if equal >= left:
                break
            left -= equal
        return next(self._workers.map(cut, [span]))


@dataclass(frozen=True)
class _Tied:
    """A threshold of whose ties only the first `rank` are kept; where those end is not known yet."""

    bits: int
    rank: int


class _SharedCounts:
    """Counts of several windows, to which each thread adds in arrays of its own."""

    def __init__(self, windows: Mapping[Group, Window]) -> None:
        self._windows = windows
        self._own = threading.local()
        self._all: list[dict[Group, Counts]] = []

    def own(self) -> dict[Group, Counts]:
        """The counts of the calling thread."""
        if not hasattr(self._own, "counts"):
            self._own.counts = {group: _no_counts(window) for group, window in self._windows.items()}
            self._all.append(self._own.counts)
        counts: dict[Group, Counts] = self._own.counts
        return counts

    def of(self, group: Group) -> Counts:
        """The counts of one group by all threads together, which leaves them behind."""
        return sum((counts.pop(group) for counts in self._all), _no_counts(self._windows[group]))


def _nbytes(window: Window) -> int:
    return 8 * (window.bins + 1)


def _no_counts(window: Window) -> Counts:
    return np.zeros(window.bins + 1, np.int64)
