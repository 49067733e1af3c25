"""Finding the coefficients that follow from dot products between contributions, tensor by tensor [DT-5]."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from mergealgebra.algebra.contract import weighed
from mergealgebra.algebra.dots import ChunkSums, fold
from mergealgebra.engine.answers import Answers
from mergealgebra.engine.buffers import BASE, Buffers, Hashers, hashed_inputs, hashed_parts
from mergealgebra.engine.executors import Workers
from mergealgebra.engine.faults import Faulty
from mergealgebra.engine.passes import Read, join, note, shares
from mergealgebra.engine.plan import Plan
from mergealgebra.engine.sources import Span
from mergealgebra.progress import Progress

#: By the number of the round and tensor, the coefficient of each contribution that holds it, by index.
Weights = dict[tuple[int, str], dict[int, float]]


def find_weights(
    plan: Plan, round_: int, answers: Answers, workers: Workers, progress: Progress
) -> tuple[Weights, Read]:
    """The coefficients of a round, by one pass over all contributions; and what was read. Raises Faulty and Stale."""
    spans = [span for name in plan.counted_names() for span in plan.spans(name)]
    tasks = list(shares(spans, plan.threads))
    total, done = sum(span.size for span in spans), 0
    weights, read, sums = Weights(), Read(), list[ChunkSums]()
    found = workers.map(partial(_dots, round_, answers), tasks, plan.threads - 1)
    for task, (of_spans, hashed) in zip(tasks, found, strict=True):
        join(read, hashed)
        for span, dots in zip(task, of_spans, strict=True):
            sums.append(dots)
            if span.stop == plan.base.records[span.name].size:
                weights[round_, span.name] = _weights(plan, round_, span.name, np.concatenate(sums, axis=1))
                sums = []
        done += sum(span.size for span in task)
        progress("dot products", done, total)
    return weights, read


def _weights(plan: Plan, round_: int, name: str, sums: ChunkSums) -> dict[int, float]:
    """The coefficients of the holders of one tensor, from the sums of its chunks, by pair."""
    indices = [index for index, _ in plan.counted(name)]
    size = len(indices)
    gram = np.zeros((size, size))
    pairs = (np.arange(size),) * 2 if plan.rounds[round_].squares else np.triu_indices(size)
    for row, column, of_pair in zip(*pairs, sums, strict=True):
        gram[row, column] = gram[column, row] = fold(of_pair)
    reduction = plan.reduction(name)
    weights = weighed(reduction.rounds[round_], gram.tolist(), reduction.coefficients.held)
    return dict(zip(indices, weights, strict=True))


def _dots(round_: int, answers: Answers, buffers: Buffers, task: Sequence[Span]) -> tuple[list[ChunkSums], Read]:
    """The sums of the chunks of some spans, by pair of holders; and what was read. Raises Faulty."""
    plan, read, found = buffers.plan, Read(), list[ChunkSums]()
    for span in task:
        hashers, dots = Hashers(hashed_inputs(plan, span.name)), list[ChunkSums]()
        for block in plan.blocks(span):
            base = buffers.read(BASE, block)
            hashers.take(BASE, base)
            held = hashed_parts(plan, buffers, block, answers, hashers)
            parts = [part for _, part in held if part.coefficient]
            of_block = plan.kernel.dots(base, parts, plan.reduction(span.name), round_)
            if of_block is None:
                raise Faulty(block, answers)
            dots.append(of_block)
        found.append(np.concatenate(dots, axis=1))
        note(read, span, hashers)
    return found, read
