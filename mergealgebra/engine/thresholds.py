"""The thresholds of trim for all contributions, found by counting while streaming: two passes, nothing kept [TI-3]."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from mergealgebra.algebra import trim as rule
from mergealgebra.algebra.arrays import Array, to_numpy
from mergealgebra.algebra.trim import Counts, Threshold
from mergealgebra.engine.executors import Workers
from mergealgebra.engine.plan import Block, Plan
from mergealgebra.engine.task_vectors import Progress, read_block, run_blocks
from mergealgebra.recipe import Trim


@dataclass(frozen=True)
class Trimming:
    """What trim keeps, for each contribution (by its place in the order) and group.

    thresholds: by place and tensor. Left out: everything that is not zero is kept.
    ties_before: by place and block, how many elements of the group's earlier blocks equal the threshold.
    """

    thresholds: dict[tuple[int, str], Threshold] = field(default_factory=dict)
    ties_before: dict[tuple[int, Block], int] = field(default_factory=dict)

    def trim(self, place: int, block: Block, tau: Array) -> Array:
        """tau where it is kept, +0 elsewhere. (n,) fp32 both."""
        threshold = self.thresholds.get((place, block.name), _KEEP_ALL)
        return rule.trim(tau, threshold, 0 if threshold.ties is None else self.ties_before[place, block])


_KEEP_ALL = Threshold()


def find_thresholds(plan: Plan, workers: Workers, progress: Progress) -> Trimming:
    """All thresholds of a merge. Raises NonFinite as `read_block` does."""
    trimming = Trimming()
    if plan.recipe.trim is None or plan.recipe.trim.density == 1:
        return trimming
    for names in _groups(plan, plan.recipe.trim):
        _Search(plan, plan.recipe.trim, names, workers, progress).into(trimming)
    return trimming


def _groups(plan: Plan, trim: Trim) -> Iterator[list[str]]:
    """Sets of tensors that share a threshold: all of them, or each by itself [TI-2]."""
    if trim.scope == "model":
        yield plan.held_names()
    else:
        yield from ([name] for name in plan.held_names())


class _Search:
    """The search for the threshold of one group of tensors in every contribution that holds some of them."""

    def __init__(self, plan: Plan, trim: Trim, names: list[str], workers: Workers, progress: Progress) -> None:
        self._plan, self._trim, self._names = plan, trim, names
        self._workers, self._progress = workers, progress
        self._blocks = [block for name in names for block in plan.blocks(name)]

    def into(self, trimming: Trimming) -> None:
        """Find the thresholds and add them."""
        ranks = {place: rule.kept_count(self._trim.density, d) for place, d in self._sizes().items()}
        high = self._count("threshold, first pass", rule.HIGH_BINS, lambda place, tau: rule.high_counts(tau))
        found = {place: rule.locate(high[place], rank) for place, rank in ranks.items()}
        del high
        low = self._count(
            "threshold, second pass", rule.LOW_BINS, lambda place, tau: rule.low_counts(tau, found[place][0])
        )
        thresholds = {place: self._threshold(low[place], *found[place]) for place in ranks}
        for place, threshold in thresholds.items():
            for name in self._names:
                trimming.thresholds[place, name] = threshold
        self._place_ties({p: t for p, t in thresholds.items() if t.ties is not None}, trimming)

    def _sizes(self) -> dict[int, int]:
        """d of the group in each contribution that has any of it [TI-2]."""
        sizes: dict[int, int] = defaultdict(int)
        for name in self._names:
            for place, _ in self._plan.holders(name):
                sizes[place] += self._plan.base.records[name].size
        return {place: size for place, size in sizes.items() if size}

    def _count(self, step: str, bins: int, counter: Callable[[int, Array], Array]) -> dict[int, Counts]:
        """Counts over the whole group, by place. Integers add up to the same in any order."""
        counts: dict[int, Counts] = defaultdict(lambda: np.zeros(bins, np.int64))
        adding = threading.Lock()

        def count(block: Block) -> None:
            for place, tau in read_block(self._plan, block)[1]:
                counted = to_numpy(counter(place, tau))
                with adding:
                    counts[place] += counted

        run_blocks(self._workers, count, self._blocks, self._progress, step)
        return counts

    def _threshold(self, low: Counts, high_bin: int, rank: int) -> Threshold:
        low_bin, rank = rule.locate(low, rank)
        return rule.threshold(high_bin, low_bin, rank, int(low[low_bin]), self._trim.boundary)

    def _place_ties(self, cut: dict[int, Threshold], trimming: Trimming) -> None:
        """Where ties are cut, how many stand before each block: a running sum in canonical order [TI-5]."""
        if not cut:
            return
        ties: dict[tuple[int, Block], int] = {}

        def count(block: Block) -> None:
            for place, tau in read_block(self._plan, block)[1]:
                if place in cut:
                    ties[place, block] = rule.tie_count(tau, cut[place])

        run_blocks(self._workers, count, self._blocks, self._progress, "threshold, ties")
        for place in cut:
            blocks: Sequence[Block] = [block for block in self._blocks if (place, block) in ties]
            before = accumulate((ties[place, block] for block in blocks), initial=0)
            trimming.ties_before.update(((place, block), n) for block, n in zip(blocks, before, strict=False))
