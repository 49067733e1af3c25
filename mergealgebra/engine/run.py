"""Running a plan: the merged model as a stream of spans in canonical order [MG-1 to MG-9]."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, MutableMapping, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np

from mergealgebra.engine.answers import Answers
from mergealgebra.engine.buffers import BASE, RESULT, Buffers, Hashers, hashed_inputs, hashed_parts
from mergealgebra.engine.executors import Workers
from mergealgebra.engine.faults import Faulty, Seen, check_task_vectors, unseen
from mergealgebra.engine.merged_spans import MergedSpan, Stale, Totals, added
from mergealgebra.engine.plan import Plan
from mergealgebra.engine.result_dtype import overflowed, rounded, widened
from mergealgebra.engine.sources import Block, Span
from mergealgebra.engine.statistics import find_answers
from mergealgebra.kernels.blocks import Part, Reduced, Witnesses, whole_round
from mergealgebra.kernels.reference import Host, Reference
from mergealgebra.kernels.views import usable, view_of
from mergealgebra.progress import Progress, quiet
from mergealgebra.tensors.dtypes import DTYPES

#: How a block is reduced: from answers, buffers, block, base, and parts with their indices, ascending.
#: None when some number is not finite.
Reducing = Callable[[Answers, Buffers, Block, Host, Sequence[tuple[int, Part]]], Reduced | None]


def run(
    plan: Plan,
    totals: Totals,
    progress: Progress = quiet,
    *,
    base_root: str = "",
    cache: MutableMapping[str, bytes] | None = None,
    reducing: Reducing | None = None,
    executor: Executor | None = None,
) -> Generator[MergedSpan, None, None]:
    """The merged model, span by span in canonical order, the same bits for every plan of the same merge [MG-8].

    Every tensor of the base is there, but for those without elements. cache: answers of statistics found before, under
    names that begin with the base's root. reducing: how blocks are reduced, if not by the kernel alone. executor: where
    work is done; threads if left out. Raises Faulty when some number is not finite, Stale at the end,
    SubnormalsFlushed, and as the sources do when they cannot be read.
    """
    total = sum(record.size for record in plan.base.records.values())
    if whole := whole_round(plan.recipe):
        from mergealgebra.engine.whole import run_whole  # few merges need it

        yield from _counted(run_whole(plan, whole), totals, progress, total)
        return
    working = plan.kernel.working if isinstance(plan.kernel, Reference) else nullcontext
    with working(), Workers(plan, Buffers, plan.threads, executor) as workers:
        answers = find_answers(plan, workers, progress, base_root, {} if cache is None else cache)
        totals.answers = answers
        spans = [span for name in plan.base.records for span in plan.spans(name)]
        merged = workers.map(partial(_merge, reducing or by_kernel, answers), spans)
        yield from _counted(merged, totals, progress, total)
    _prove(plan, answers, totals)


def _counted(
    merged: Iterable[MergedSpan], totals: Totals, progress: Progress, total: int
) -> Generator[MergedSpan, None, None]:
    done = 0
    for one in merged:
        totals.take(one)
        done += one.span.size
        progress("merge", done, total)
        yield one


def run_check(plan: Plan, progress: Progress = quiet, seen: Seen = unseen) -> None:
    """Read every task vector of a plan and merge nothing. seen: told of each block. Raises NonFinite."""
    with Workers(plan, Buffers, plan.threads) as workers:
        check_task_vectors(plan, range(len(plan.contributions)), workers, progress, seen)


def by_kernel(
    _: Answers, buffers: Buffers, block: Block, base: Host, parts: Sequence[tuple[int, Part]]
) -> Reduced | None:
    """`Reducing` by the plan's kernel."""
    if not parts:
        return Reduced(base, (), (), 0)
    return buffers.plan.kernel.reduce(base, [part for _, part in parts], buffers.plan.reduction(block.name))


def _merge(reduce: Reducing, answers: Answers, buffers: Buffers, span: Span) -> MergedSpan:
    plan = buffers.plan
    indices = [index for index, _ in plan.counted(span.name)]
    hashers = Hashers([*hashed_inputs(plan, span.name), RESULT] if plan.hashed else [])
    out = plan.results[span.name].dtype
    merged = np.empty(span.size, DTYPES[out].numpy)
    kept, witnesses, uncertified = dict.fromkeys(indices, 0), dict[int, Witnesses](), 0
    for block in plan.blocks(span):
        base = buffers.read(BASE, block)
        hashers.take(BASE, base)
        parts = []
        for index, part in hashed_parts(plan, buffers, block, answers, hashers):
            if part.coefficient:
                parts.append((index, part))
            elif not usable(view_of(part, part.values, base, plan.needs.on)):
                raise Faulty(block, answers)
        wide, widened_parts = widened(base, [part for _, part in parts], out)
        reduced = reduce(answers, buffers, block, wide, list(zip((i for i, _ in parts), widened_parts, strict=True)))
        if reduced is None:
            raise Faulty(block, answers)
        data = rounded(reduced.data, out)
        if data is not reduced.data and overflowed(reduced.data, data).any():
            raise Faulty(block, answers)
        merged[block.start - span.start : block.stop - span.start] = data
        uncertified += reduced.uncertified
        for i, index in enumerate(indices):
            kept[index] += reduced.kept[i]
            counts = reduced.witnesses[i]
            witnesses[index] = added(witnesses[index], counts) if index in witnesses else counts
    hashers.take(RESULT, merged)
    return MergedSpan(span, merged, kept, witnesses, uncertified, hashers.digests())


def _prove(plan: Plan, answers: Answers, totals: Totals) -> None:
    """Raise Stale unless every answer that has a proof was the right one for what was read [TI-3]."""
    for number, found in answers.found.items():
        for group, answer in found.items():
            stages = plan.stages_of(group.names[0], group.index)
            statistic: Any = stages[number].statistic
            if not statistic.proved:
                continue
            at = sum(stage.statistic is not None for stage in stages[:number])
            if not statistic.proves(answer, group, _witness(totals, group.index, group.names, at)):
                raise Stale(group)


def _witness(totals: Totals, index: int, names: Iterable[str], at: int) -> tuple[int, ...]:
    """What the proof of a statistic counted in a group. at: its number among all statistics.

    Raises Stale where nothing was counted.
    """
    counts = [totals.witnesses[index, name][at] for name in names if (index, name) in totals.witnesses]
    if not counts or () in counts:
        raise Stale("an answer was used nowhere")
    return tuple(map(sum, zip(*counts, strict=True)))
