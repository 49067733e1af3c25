"""The task vectors of one block, every element known to be finite [TV-2 to TV-6]."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mergealgebra.algebra.arrays import Array, array_namespace, first_true
from mergealgebra.engine.executors import Workers
from mergealgebra.engine.plan import Block, Contribution, Plan
from mergealgebra.errors import NonFinite
from mergealgebra.tensors.task_vector import index_in

#: Called with what is being done, elements done, and elements in all.
Progress = Callable[[str, int, int], None]

Placed = Sequence[tuple[int, Array]]


def read_block(plan: Plan, block: Block) -> tuple[Array, Placed]:
    """The base's block and the tau of each holder, with its place in the order.

    Returns (n,) in the storage dtype, and (n,) fp32 each. Raises NonFinite for the first element in
    canonical order that is not finite [TV-4, MG-6].
    """
    load = plan.backend.load
    base = load(plan.base.read(block.name, block.start, block.stop))
    taus = [(place, holder.tau(block, base, load)) for place, holder in plan.holders(block.name)]
    if fault := first_not_finite(taus):
        position, place = fault
        raise _not_finite(plan, plan.contributions[place], block, position)
    return base, taus


def first_not_finite(arrays: Placed) -> tuple[int, int] | None:
    """(position, place) of the first element that is not finite: by position, then by order."""
    faults = []
    for place, array in arrays:
        finite = array_namespace(array).isfinite(array)
        position = None if bool(finite.all()) else first_true(~finite)
        if position is not None:
            faults.append((position, place))
    return min(faults, default=None)


def check_finite(plan: Plan, workers: Workers, progress: Progress) -> None:
    """Read every task vector once, for the errors in it alone. Raises as `read_block` does."""
    blocks = [block for name in plan.held_names() for block in plan.blocks(name)]
    run_blocks(workers, lambda block: read_block(plan, block), blocks, progress, "check")


def run_blocks(
    workers: Workers, function: Callable[[Block], object], blocks: Sequence[Block], progress: Progress, step: str
) -> None:
    """function(block) for each block, in parallel, with progress shown. The first error by order is raised."""
    total, done = sum(block.stop - block.start for block in blocks), 0
    for block, _ in zip(blocks, workers.map(function, blocks), strict=True):
        done += block.stop - block.start
        progress(step, done, total)


def where(plan: Plan, block: Block, position: int) -> str:
    """The tensor and index of an element of a block, for messages [TV-9]."""
    shape = tuple(plan.base.records[block.name].shape)
    return f"tensor {block.name!r} at index {index_in(shape, block.start + position)}"


def _not_finite(plan: Plan, contribution: Contribution, block: Block, position: int) -> NonFinite:
    at = block.start + position
    value = float(contribution.source.read(block.name, at, at + 1)[0])
    place = f"{contribution.label}: {where(plan, block, position)}"
    if contribution.form == "task_vector":
        return NonFinite(f"{place} is {value}; a task vector must be finite: repair it, or leave the tensor out")
    base = float(plan.base.read(block.name, at, at + 1)[0])
    return NonFinite(
        f"{place} is {value}, the base's {base}: the difference is not a finite fp32 number; "
        "repair the checkpoint, or leave the tensor out"
    )
