"""Running a plan: the merged model as a stream of pieces in canonical order [MG-1 to MG-9]."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, MutableMapping, Sequence

import numpy as np

from mergealgebra.algebra import trim as rule
from mergealgebra.engine.buffers import BASE, Buffers, Hashers, parts_of
from mergealgebra.engine.executors import Workers
from mergealgebra.engine.faults import Faulty, Seen, check_task_vectors, unseen
from mergealgebra.engine.groups import Trimming
from mergealgebra.engine.merged_spans import RESULT, MergedSpan, Totals
from mergealgebra.engine.plan import Block, Plan
from mergealgebra.engine.thresholds import find_thresholds
from mergealgebra.kernels.blocks import Part, Reduced
from mergealgebra.kernels.equations import Host
from mergealgebra.progress import Progress, quiet
from mergealgebra.tensors.dtypes import DTYPES

#: How a block is reduced: from thresholds, buffers, block, base, and parts with their indices, ascending.
#: None when some number is not finite.
Reducing = Callable[[Trimming, Buffers, Block, Host, Sequence[tuple[int, Part]]], Reduced | None]


class Stale(Exception):
    """A threshold was not the right one: it was kept from other data, or a file changed after it was found."""


def run(
    plan: Plan,
    totals: Totals,
    progress: Progress = quiet,
    *,
    base_root: str = "",
    kept: MutableMapping[str, bytes] | None = None,
    reducing: Reducing | None = None,
) -> Generator[MergedSpan, None, None]:
    """The merged model, piece by piece in canonical order, the same bits for every plan of the same merge [MG-8].

    Every tensor of the base is there, but for those without elements. kept: thresholds found before, under names
    that begin with the base's root. reducing: how blocks are reduced, if not by the kernel alone. Raises Faulty when
    some number is not finite, Stale at the end, SubnormalsFlushed, and as the sources do when they cannot be read.
    """
    total = sum(record.size for record in plan.base.records.values())
    if plan.recipe.foreign:
        from mergealgebra.engine.foreign import run_in_dialect  # few merges need it

        yield from _counted(run_in_dialect(plan, plan.recipe.foreign), totals, progress, total)
        return
    reduce = reducing or _by_kernel(plan)
    with Workers(plan.threads, lambda: Buffers(plan)) as workers:
        trimming = find_thresholds(plan, workers, progress, base_root, {} if kept is None else kept)
        totals.trimming = trimming
        spans = [span for name in plan.base.records for span in plan.spans(name)]
        pieces = workers.map(lambda buffers, span: _merge(plan, reduce, trimming, buffers, span), spans)
        yield from _counted(pieces, totals, progress, total)
    _prove(plan, trimming, totals)


def _counted(
    pieces: Iterable[MergedSpan], totals: Totals, progress: Progress, total: int
) -> Generator[MergedSpan, None, None]:
    done = 0
    for piece in pieces:
        totals.take(piece)
        done += piece.span.size
        progress("merge", done, total)
        yield piece


def run_check(plan: Plan, progress: Progress = quiet, seen: Seen = unseen) -> None:
    """Read every task vector of a plan and merge nothing. seen: told of each block. Raises NonFinite."""
    with Workers(plan.threads, lambda: Buffers(plan)) as workers:
        check_task_vectors(plan, range(len(plan.contributions)), workers, progress, seen)


def _by_kernel(plan: Plan) -> Reducing:
    def reduce(_: Trimming, __: Buffers, ___: Block, base: Host, parts: Sequence[tuple[int, Part]]) -> Reduced | None:
        if not parts:
            return Reduced(base, (), (), 0)
        return plan.kernel.reduce(base, [part for _, part in parts], plan.reduction)

    return reduce


def _merge(plan: Plan, reduce: Reducing, trimming: Trimming, buffers: Buffers, span: Block) -> MergedSpan:
    indices = [index for index, _ in plan.holders(span.name)]
    stored = [index for index in indices if span.name not in plan.contributions[index].computed]
    hashers = Hashers([BASE, RESULT, *stored] if plan.hashed else [])
    merged = np.empty(span.size, DTYPES[plan.base.records[span.name].dtype].numpy)
    kept, above, uncertified = dict.fromkeys(indices, 0), dict.fromkeys(indices, 0), 0
    for block in span.cut(plan.block):
        base = buffers.read(BASE, block)
        hashers.take(BASE, base)
        parts = []
        for index, part in parts_of(plan, buffers, block, trimming):
            hashers.take(index, part.values)
            parts.append((index, part))
        reduced = reduce(trimming, buffers, block, base, parts)
        if reduced is None:
            raise Faulty(block, trimming)
        merged[block.start - span.start : block.stop - span.start] = reduced.data
        uncertified += reduced.uncertified
        for i, index in enumerate(indices):
            kept[index] += reduced.kept[i]
            above[index] += reduced.above[i]
    hashers.take(RESULT, merged)
    return MergedSpan(span, merged, kept, above, uncertified, hashers.digests())


def _prove(plan: Plan, trimming: Trimming, totals: Totals) -> None:
    """Raise Stale unless every threshold was the right one for what was read [TI-3]."""
    trim = plan.recipe.trim
    if trim is None:
        return
    for group, found in trimming.found.items():
        kept, above = (sum(counts[group.index, name] for name in group.names) for counts in (totals.kept, totals.above))
        if not rule.holds(found.bits, found.cut is not None, trim.boundary, group.m, kept, above):
            raise Stale(group)
