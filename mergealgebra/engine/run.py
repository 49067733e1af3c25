"""Running a plan: the merged model as a stream of blocks in canonical order [MG-1 to MG-9]."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

from mergealgebra.algebra import reducer
from mergealgebra.algebra.arrays import Array, array_namespace, first_true
from mergealgebra.engine.backends import Host
from mergealgebra.engine.executors import Workers
from mergealgebra.engine.plan import Block, Plan
from mergealgebra.engine.task_vectors import Placed, Progress, check_finite, first_not_finite, read_block, where
from mergealgebra.engine.thresholds import Trimming, find_thresholds
from mergealgebra.errors import Overflow
from mergealgebra.tensors.task_vector import add


@dataclass(frozen=True)
class Piece:
    """A block of the merged model, in the base's dtype, with what was counted on the way."""

    block: Block
    data: Host
    kept: dict[int, int] = field(default_factory=dict)
    uncertified: int = 0


@dataclass
class Tally:
    """What was counted over a whole run: elements kept, by place, and coordinates summed without certificate."""

    kept: list[int]
    uncertified: int = 0

    def take(self, piece: Piece) -> None:
        """Count one piece."""
        for place, kept in piece.kept.items():
            self.kept[place] += kept
        self.uncertified += piece.uncertified


def quiet(step: str, done: int, total: int) -> None:
    """Progress that is shown to nobody."""


def run(plan: Plan, tally: Tally, progress: Progress = quiet) -> Generator[Piece, None, None]:
    """The merged model, block by block in canonical order, the same bits for every plan of the same merge [MG-8].

    Every tensor of the base is there, but for those without elements. Raises NonFinite for the first element in
    error [MG-6], SubnormalsFlushed, and as the sources do when they cannot be read.
    """
    with Workers(plan.threads, plan.backend.check_worker) as workers:
        trimming = find_thresholds(plan, workers, progress)
        held = set(plan.held_names())
        blocks = [block for name in plan.base.records for block in plan.blocks(name)]
        total, done = sum(block.stop - block.start for block in blocks), 0

        def piece(block: Block) -> Piece:
            return _merge(plan, trimming, block) if block.name in held else _copy(plan, block)

        try:
            for merged in workers.map(piece, blocks):
                tally.take(merged)
                done += merged.block.stop - merged.block.start
                progress("merge", done, total)
                yield merged
        except Overflow:
            check_finite(plan, workers, progress)  # errors in task vectors come first [MG-6]
            raise


def run_check(plan: Plan, progress: Progress = quiet) -> None:
    """Read every task vector of a plan and merge nothing. Raises NonFinite as `run` does."""
    with Workers(plan.threads, plan.backend.check_worker) as workers:
        check_finite(plan, workers, progress)


def _copy(plan: Plan, block: Block) -> Piece:
    return Piece(block, plan.base.read(block.name, block.start, block.stop))


def _merge(plan: Plan, trimming: Trimming, block: Block) -> Piece:
    base, taus = read_block(plan, block)
    scaled, kept = trim_and_scale(plan, trimming, block, taus)
    if fault := first_not_finite(scaled):
        position, place = fault
        _finish(plan, block, base[:position], [(i, v[:position]) for i, v in scaled])  # its errors come first [MG-6]
        raise overflow_of_v(plan, block, position, place)
    merged, uncertified = _finish(plan, block, base, scaled)
    return Piece(block, plan.backend.unload(merged), kept, uncertified)


def trim_and_scale(plan: Plan, trimming: Trimming, block: Block, taus: Placed) -> tuple[Placed, dict[int, int]]:
    """v of each holder, perhaps not finite, and how many elements each kept, by place [TI-4 to TI-6]."""
    if plan.recipe.trim:
        taus = [(place, trimming.trim(place, block, tau)) for place, tau in taus]
        kept = {place: int(array_namespace(tau).count_nonzero(tau)) for place, tau in taus}
    else:
        kept = {place: block.stop - block.start for place, _ in taus}
    return [(place, reducer.scale(tau, plan.contributions[place].coefficient)) for place, tau in taus], kept


def overflow_of_v(plan: Plan, block: Block, position: int, place: int) -> Overflow:
    """The error of a v that is not finite [TI-6]."""
    return Overflow(
        f"{plan.contributions[place].label}: {where(plan, block, position)}: coefficient times task vector "
        "is beyond the largest fp32 number; use a smaller coefficient"
    )


def _finish(plan: Plan, block: Block, base: Array, scaled: Placed) -> tuple[Array, int]:
    """The merged block, and how many of its coordinates had no certificate."""
    method, coefficients = plan.recipe.reducer, plan.coefficients
    sums = reducer.combine(
        reducer.lift(method, v, plan.contributions[place].coefficient, coefficients) for place, v in scaled
    )
    tau_m = method.finalize(sums, coefficients)
    finite = array_namespace(tau_m).isfinite(tau_m)
    merged, overflowed = add(base, tau_m, plan.recipe.lambda32)
    position = first_true(~finite | overflowed)
    if position is not None:
        what = "the result" if bool(finite[position]) else "the merged task vector"
        raise Overflow(
            f"{where(plan, block, position)}: {what} is beyond the range of its dtype; "
            "use smaller coefficients or a smaller lambda"
        )
    return merged, int(sums.uncertified.size) if coefficients.certified else block.stop - block.start
