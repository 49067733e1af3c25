"""Where a statistic looks first in a large group: guessed from a sample that is taken evenly from all of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

import numpy as np

from mergealgebra.algebra.arrays import Array
from mergealgebra.algebra.method import Group, Stage, Statistic
from mergealgebra.engine.answers import Answers
from mergealgebra.engine.buffers import BASE, Buffers, Input, part_of
from mergealgebra.engine.plan import Plan
from mergealgebra.engine.sources import Block
from mergealgebra.kernels.views import entering, through, view_of

#: A sample is so many pieces of so many elements.
_PIECES: Final = 256
_PIECE: Final = 1 << 10


@dataclass(frozen=True)
class Task:
    """What workers must know to look for a statistic. hashed: whether what is read is hashed."""

    number: int
    statistic: Statistic
    answers: Answers
    hashed: bool


def before(plan: Plan, number: int, name: str, index: int) -> tuple[Stage, ...]:
    """The stages of the same round, of a contribution at a tensor, that come before the one that is looked for."""
    stages = plan.stages_of(name, index)
    return tuple(stages[earlier] for earlier in plan.stages_before(number))


def first_look(task: Task, buffers: Buffers, group: Group) -> Any:
    """Where to look first in a large group, by a sample taken evenly from all of it; in a later round without."""
    if buffers.plan.round_of(task.number):
        return task.statistic.first(group, None)
    blocks = list(_pieces(buffers.plan, group))
    if not buffers.plan.stages_before(task.number) and buffers.plan.needs.on == "tau":
        return task.statistic.first(group, _changes(buffers, group, blocks))
    pieces = [_staged(task, buffers, group.index, block) for block in blocks]
    return task.statistic.first(group, np.concatenate(pieces))


def _changes(buffers: Buffers, group: Group, blocks: Sequence[Block]) -> Array:
    """The task vector at these blocks, together: it is only a guess that is made from it, and made fast."""

    contribution = buffers.plan.contributions[group.index]
    values = _sampled(buffers, group.index, blocks)
    if buffers.sampled[0] != group.names:  # the base's, of the last group: it takes a megabyte
        buffers.sampled = group.names, _sampled(buffers, BASE, blocks)
    if not contribution.forms:
        return values - buffers.sampled[1] if contribution.form == "finetuned" else values
    finetuned = np.repeat([contribution.form_of(b.name) == "finetuned" for b in blocks], [b.size for b in blocks])
    return np.where(finetuned, values - buffers.sampled[1], values)


def _sampled(buffers: Buffers, what: Input, blocks: Sequence[Block]) -> Array:
    return np.concatenate([buffers.peek(what, block).astype(np.float32) for block in blocks])


def _staged(task: Task, buffers: Buffers, index: int, block: Block) -> Array:
    """A block of a contribution as the stages before leave it."""
    plan = buffers.plan
    stages = plan.stages_before(task.number)
    part = part_of(buffers, index, plan.contributions[index], block, task.answers, stages)
    view = entering(view_of(part, part.values, buffers.read(BASE, block), plan.needs.on), part, 0, ())
    return np.asarray(through(view, before(plan, task.number, block.name, index), part.found).tau)


def _pieces(plan: Plan, group: Group) -> Iterator[Block]:
    ends = list(accumulate(plan.base.records[name].size for name in group.names))
    for i in range(_PIECES):
        at = i * group.size // _PIECES
        tensor = bisect_right(ends, at)
        start = at - (ends[tensor - 1] if tensor else 0)
        name = group.names[tensor]
        yield Block(name, start, min(start + _PIECE, plan.base.records[name].size))
