"""Which error is named when some number of a merge is not finite: the same one for everybody [MG-6].

Kernels only tell that a block is faulty. Then the equations look at it again, with NumPy, in canonical order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mergealgebra.algebra.arrays import Array, first_true
from mergealgebra.algebra.methods import REDUCERS
from mergealgebra.engine.buffers import BASE, Buffers, parts_of
from mergealgebra.engine.executors import Workers
from mergealgebra.engine.groups import Trimming
from mergealgebra.engine.plan import Block, Contribution, Plan
from mergealgebra.errors import NonFinite, Overflow
from mergealgebra.kernels.blocks import Part
from mergealgebra.kernels.equations import scaled, summed, tau
from mergealgebra.progress import Progress
from mergealgebra.tensors.task_vector import add, index_in


class Faulty(Exception):
    """Some number of a block is not finite. trimming: the thresholds, once they are known."""

    def __init__(self, block: Block, trimming: Trimming | None = None) -> None:
        super().__init__(block)
        self.block, self.trimming = block, trimming


#: Told of every block whose task vectors are finite: the base's elements, and theirs by index. Threads call it.
Seen = Callable[[Array, dict[int, Array]], object]


def unseen(base: Array, taus: dict[int, Array]) -> None:
    """For who only wants to know whether all is finite."""


def check_task_vectors(
    plan: Plan, order: Sequence[int], workers: Workers[Buffers], progress: Progress, seen: Seen = unseen
) -> None:
    """Read every task vector. order: the indices in canonical order.

    Raises NonFinite for the first element that is not finite, of the first contribution in order [TV-4, MG-6].
    """
    spans = [span for name in plan.held_names() for span in plan.spans(name)]
    total, done = sum(span.size for span in spans), 0

    def check(buffers: Buffers, span: Block) -> None:
        for block in span.cut(plan.block):
            base = buffers.read(BASE, block)
            taus = {index: tau(part.values, base, part.form) for index, part in parts_of(plan, buffers, block)}
            if fault := _first(taus, order):
                raise _not_finite(plan, plan.contributions[fault[1]], block, fault[0])
            seen(base, taus)

    for span, _ in zip(spans, workers.map(check, spans), strict=True):
        done += span.size
        progress("check", done, total)


def diagnose(plan: Plan, fault: Faulty, order: Sequence[int], progress: Progress) -> Exception:
    """The error to raise for a faulty block. order: the indices of the contributions in canonical order."""
    with Workers(plan.threads, lambda: Buffers(plan)) as workers:
        try:
            check_task_vectors(plan, order, workers, progress)  # errors in task vectors come first
        except NonFinite as error:
            return error
        trimming = fault.trimming or Trimming({})
        (overflow,) = workers.map(
            lambda buffers, block: _overflow(plan, buffers, block, trimming, order), [fault.block]
        )
    return overflow or fault


def _overflow(plan: Plan, buffers: Buffers, block: Block, trimming: Trimming, order: Sequence[int]) -> NonFinite | None:
    """The first v, tau_m or result of a block that is not finite; the task vectors are."""
    base, parts = buffers.read(BASE, block), dict(parts_of(plan, buffers, block, trimming))
    vs = {index: scaled(tau(part.values, base, part.form), part) for index, part in parts.items()}
    of_v = _first(vs, order)
    end = of_v[0] if of_v else block.size
    before = {index: v[:end] for index, v in vs.items()}
    return _overflow_of_result(plan, block, base[:end], before, parts) or (of_v and overflow_of_v(plan, block, *of_v))


def _overflow_of_result(
    plan: Plan, block: Block, base: Array, vs: dict[int, Array], parts: dict[int, Part]
) -> NonFinite | None:
    sums = summed(list(vs.values()), list(parts.values()), plan.reduction)
    tau_m = REDUCERS[plan.reduction.method].finalize(sums, plan.reduction.coefficients)
    finite, (_, overflowed) = np.isfinite(tau_m), add(base, tau_m, plan.reduction.lambda32)
    position = first_true(~finite | overflowed)
    if position is None:
        return None
    value = float(base[position])
    if finite[position] and not np.isfinite(value):
        return not_finite_base(where(plan, block, position), value)
    what = "the result" if finite[position] else "the merged task vector"
    return Overflow(
        f"{where(plan, block, position)}: {what} is beyond the range of its dtype; "
        "use smaller coefficients or a smaller lambda"
    )


def not_finite_base(where: str, value: float) -> NonFinite:
    """The error of an element of the base to which something is added. where: its tensor and index [MG-5]."""
    return NonFinite(f"the base's {where} is {value}; repair the base, or leave the tensor out")


def overflow_of_v(plan: Plan, block: Block, position: int, index: int) -> Overflow:
    """The error of a v that is not finite [TI-6]."""
    return Overflow(
        f"{plan.contributions[index].label}: {where(plan, block, position)}: coefficient times task vector "
        "is beyond the largest fp32 number; use a smaller coefficient"
    )


def where(plan: Plan, block: Block, position: int) -> str:
    """The tensor and index of an element of a block, for messages [TV-9]."""
    shape = tuple(plan.base.records[block.name].shape)
    return f"tensor {block.name!r} at index {index_in(shape, block.start + position)}"


def _first(arrays: dict[int, Array], order: Sequence[int]) -> tuple[int, int] | None:
    """(position, index) of the first element that is not finite: by position, then by order."""
    found: list[tuple[int, int, int]] = []
    for index in order:
        position = first_true(~np.isfinite(arrays[index])) if index in arrays else None
        if position is not None:
            found.append((position, len(found), index))
    return (min(found)[0], min(found)[2]) if found else None


def _not_finite(plan: Plan, contribution: Contribution, block: Block, position: int) -> NonFinite:
    at = block.start + position
    value = float(contribution.source.read(block.name, at, at + 1)[0])
    index = f"{contribution.label}: {where(plan, block, position)}"
    if contribution.form_of(block.name) == "task_vector":
        return NonFinite(f"{index} is {value}; a task vector must be finite: repair it, or leave the tensor out")
    base = float(plan.base.read(block.name, at, at + 1)[0])
    return NonFinite(
        f"{index} is {value}, the base's {base}: the difference is not a finite fp32 number; "
        "repair the checkpoint, or leave the tensor out"
    )
