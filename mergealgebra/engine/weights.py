"""Finding the coefficients that follow from dot products between contributions, tensor by tensor [DT-5, DT-8]."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from mergealgebra.algebra.contract import weighed
from mergealgebra.algebra.dots import ChunkSums, fold, pairs_of
from mergealgebra.engine.answers import Answers
from mergealgebra.engine.buffers import BASE, Buffers, Hashers, hashed_inputs, hashed_parts
from mergealgebra.engine.executors import Workers
from mergealgebra.engine.faults import Faulty
from mergealgebra.engine.grams import Gram, Grams, kept_under, owner
from mergealgebra.engine.passes import Read, join, note, shares
from mergealgebra.engine.plan import Plan
from mergealgebra.engine.sources import Span
from mergealgebra.progress import Progress

#: By the number of the round and tensor, the coefficient of each contribution that holds it, by index.
Weights = dict[tuple[int, str], dict[int, float]]


def find_weights(
    search: DotsSearch, workers: Workers, progress: Progress, base_root: str, cache: MutableMapping[str, bytes]
) -> tuple[Weights, Read]:
    """The coefficients of a round; and what was read: of the tensors of which not all dot products are known, all.

    cache: as in `find_answers`. Raises Faulty and Stale.
    """
    plan, round_ = search.plan, search.round_
    name, owners = kept_under(plan, round_, base_root), list(map(owner, plan.contributions))
    kept = Grams.unpacked(data) if name is not None and (data := cache.get(name)) is not None else Grams()
    counted = {tensor: _counted(plan, tensor) for tensor in plan.counted_names() if plan.base.records[tensor].size}
    grams = {tensor: kept.of(tensor, [owners[index] for index in indices]) for tensor, indices in counted.items()}
    read = search.fill(grams, workers, progress)
    if name is not None and read and all(owners):  # of what was hashed alone the merge tells whose it is
        cache[name] = Grams.joined(owners, counted, grams).packed()
    return {(round_, tensor): _weights(plan, round_, tensor, gram) for tensor, gram in grams.items()}, read


def _counted(plan: Plan, name: str) -> list[int]:
    return [index for index, _ in plan.counted(name)]


def _weights(plan: Plan, round_: int, name: str, gram: Gram) -> dict[int, float]:
    """The coefficients of the holders of one tensor."""
    reduction = plan.reduction(name)
    weights = weighed(reduction.rounds[round_], gram.tolist(), reduction.coefficients.held)
    return dict(zip(_counted(plan, name), weights, strict=True))


@dataclass(frozen=True)
class _Missing:
    """The dot products of a tensor that are to be found.

    order: the places of the contributions in its matrix: first those of which all is known with each other. known: how
    many those are.
    """

    order: tuple[int, ...]
    known: int

    @classmethod
    def of(cls, gram: Gram) -> _Missing:
        """What is missing of a matrix: the rows of those that came."""
        old = np.flatnonzero(~np.isnan(gram.diagonal())).tolist()
        if np.isnan(gram[np.ix_(old, old)]).any():
            old = []
        return cls((*old, *(at for at in range(len(gram)) if at not in old)), len(old))


@dataclass(frozen=True)
class DotsSearch:
    """The search for the dot products of a round. answers: of earlier stages."""

    plan: Plan
    round_: int
    answers: Answers

    def fill(self, grams: Mapping[str, Gram], workers: Workers, progress: Progress) -> Read:
        """Find what is missing, in one pass over the tensors that lack something; and what was read."""
        plan = self.plan
        missing = {name: _Missing.of(gram) for name, gram in grams.items() if np.isnan(gram).any()}
        spans = [span for name in missing for span in plan.spans(name)]
        tasks = list(shares(spans, plan.threads))
        total, done = sum(span.size for span in spans), 0
        read, sums = Read(), list[ChunkSums]()
        found = workers.map(partial(_dots, self.round_, self.answers, missing), tasks, plan.threads - 1)
        for task, (of_spans, hashed) in zip(tasks, found, strict=True):
            join(read, hashed)
            for span, dots in zip(task, of_spans, strict=True):
                sums.append(dots)
                if span.stop == plan.base.records[span.name].size:
                    self._put(grams[span.name], missing[span.name], np.concatenate(sums, axis=1))
                    sums = []
            done += sum(span.size for span in task)
            progress("dot products", done, total)
        return read

    def _put(self, gram: Gram, missing: _Missing, sums: ChunkSums) -> None:
        """Put the dot products of one tensor where they belong, from the sums of its chunks, by pair."""
        squares = self.plan.rounds[self.round_].squares
        if squares:
            gram[:] = 0
        for (i, j), of_pair in zip(pairs_of(len(gram), missing.known, squares=squares), sums, strict=True):
            row, column = missing.order[i], missing.order[j]
            gram[row, column] = gram[column, row] = fold(of_pair)


def _dots(
    round_: int, answers: Answers, missing: Mapping[str, _Missing], buffers: Buffers, task: Sequence[Span]
) -> tuple[list[ChunkSums], Read]:
    """The sums of the chunks of some spans, by pair that is missing; and what was read. Raises Faulty."""
    plan, read, found = buffers.plan, Read(), list[ChunkSums]()
    for span in task:
        hashers, dots, wanted = Hashers(hashed_inputs(plan, span.name)), list[ChunkSums](), missing[span.name]
        for block in plan.blocks(span):
            base = buffers.read(BASE, block)
            hashers.take(BASE, base)
            held = hashed_parts(plan, buffers, block, answers, hashers)
            parts = [part for _, part in held if part.coefficient]
            ordered = [parts[at] for at in wanted.order]
            of_block = plan.kernel.dots(base, ordered, plan.reduction(span.name), round_, wanted.known)
            if of_block is None:
                raise Faulty(block, answers)
            dots.append(of_block)
        found.append(np.concatenate(dots, axis=1))
        note(read, span, hashers)
    return found, read
