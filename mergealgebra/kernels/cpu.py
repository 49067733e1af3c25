"""The fused kernel for CPUs, compiled by Numba: one pass over a block, with all that lies between in the cache.

Every operation is one IEEE operation, as in the equations; `fastmath` is off. The sums held are S = sum of v and
A = sum of |v|. While A is certified both are exact, and so are S+ = (A + S) / 2 and S- = (S - A) / 2 [EX-2]; with
coefficients likewise. The few coordinates without certificate are left to the equations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np

from mergealgebra.algebra.arrays import refuse_flushed_subnormals
from mergealgebra.algebra.dots import ChunkSums
from mergealgebra.algebra.trim import Counts, Window
from mergealgebra.errors import BackendError
from mergealgebra.kernels.blocks import Part, Reduced, Reduction, StoredSums, Updated, Watch, Witnesses
from mergealgebra.kernels.calls import ON, CompiledCode, address, bits, row_of
from mergealgebra.kernels.fused import table as word
from mergealgebra.kernels.fused_methods import (
    Fused,
    counts_magnitudes,
    cuts,
    drop_of,
    fused_as,
    is_fused,
    witnesses,
)
from mergealgebra.kernels.numpy_reference import NumPyReference, on_numpy
from mergealgebra.kernels.reference import Host
from mergealgebra.kernels.result import averaged
from mergealgebra.methods.dare import Drop
from mergealgebra.methods.method import Method
from mergealgebra.progress import Progress, quiet

_VOTES: Final = {np.dtype(np.int16): word.WHOLE, np.dtype(np.float64): word.FP64}

Words = np.ndarray[Any, np.dtype[np.int64]]


class NumbaKernel:
    """`Kernel` on the CPU. Its threads share nothing, and hold no lock while they compute.

    progress: told when the first process on a machine compiles, which takes a while.
    """

    name = "numba"
    block = 1 << 20  # what lies between is in the cache whatever the block is

    def __init__(self, progress: Progress = quiet) -> None:
        self._reference: NumPyReference = on_numpy()
        self._code = CompiledCode(progress)
        self._code.load("reduce_block", "count_block")

    def __reduce__(self) -> tuple[type[Self], tuple[()]]:
        """Another process loads the machine code that this one kept."""
        return type(self), ()

    def computes(self, method: Method) -> bool:
        """As `Kernel.computes`."""
        return is_fused(method, self.name)

    def check_worker(self) -> None:
        """As `Kernel.check_worker`, with compiled code too: NumPy and it run in one thread, under its one mode."""
        refuse_flushed_subnormals(np)

    def reduce(self, base: Host, parts: Sequence[Part], reduction: Reduction) -> Reduced | None:
        """As `Kernel.reduce`."""
        fused, certified = fused_as(reduction.method, self.name), reduction.coefficients.certified
        votes = fused.code == word.TIES_MERGING
        if (votes and not certified) or any(part.at is not None for part in parts):
            return self._reference.reduce(base, parts, reduction)
        results = _Results.of(base, len(parts))
        words = results.words(fused, reduction) | _votes(fused.code, reduction) | {word.ON: _merged(fused, parts)}
        missed = self._code.call("reduce_block", base, _rows(parts, fused), words, fused.drop)
        if missed < 0 or not self._repair(results.out, results.positions[:missed], base, parts, reduction):
            return None
        return Reduced(results.out, *results.counts(parts, fused), missed if certified else base.size)

    def update(
        self, base: Host, stored: StoredSums, retracted: Sequence[Part], added: Sequence[Part], reduction: Reduction
    ) -> Updated | None:
        """As `UpdatingKernel.update`, of models by the reference.

        Raises BackendError for a method whose sums cannot be kept.
        """
        fused = fused_as(reduction.method, self.name)
        if fused.weighed:
            raise BackendError(f"the sums of {reduction.method.name} are not kept, so there is nothing to update")
        if fused.on != "tau":
            return self._reference.update(base, stored, retracted, added, reduction)
        parts = (*retracted, *added)
        results = _Results.of(base, len(parts))
        held = {
            word.RETRACTED: len(retracted),
            word.SUMS: address(stored.sums),
            word.MAGNITUDES: address(stored.magnitudes),
            word.SIGNS: address(stored.signs),
            word.WEIGHTS: address(stored.weights),
            word.GRID: address(stored.grids),
            word.VOTES: _VOTES[stored.signs.dtype] if stored.signs.size else word.NO_VOTES,
            word.UNIT: bits(1.0),
        }
        self._code.load("update_block")
        words = results.words(fused, reduction) | held
        missed = self._code.call("update_block", base, _rows(parts, fused), words, fused.drop)
        if missed < 0:
            return None
        return Updated(results.out, *results.counts(parts, fused), results.positions[:missed].copy())

    def observe(self, base: Host, part: Part, watch: Watch, seen: Any, shared: Sequence[Any] = ()) -> Any | None:
        """As `Kernel.observe`: windows of magnitudes, after a drop or a cut too, by compiled code."""
        drop, cut = drop_of(watch.stages), cuts(watch.stages)
        if not counts_magnitudes(watch) or len(watch.stages) > (drop is not None or cut) or part.at is not None:
            return self._reference.observe(base, part, watch, seen, shared)
        return seen if self.count(base, part, watch.look, seen, drop, cut) else None

    def share(self, base: Host, parts: Sequence[Part], reduction: Reduction, rounds: int) -> Sequence[Any] | None:
        """As `Kernel.share`, by the reference."""
        return self._reference.share(base, parts, reduction, rounds)

    def dots(
        self, base: Host, parts: Sequence[Part], reduction: Reduction, round_: int, known: int = 0
    ) -> ChunkSums | None:
        """As `Kernel.dots`: of a first round without stages by compiled code, of others by the reference."""
        needs = reduction.needs
        first = reduction.rounds[0]
        if round_ or first.stages or first.squares or needs.auxiliary or any(part.at is not None for part in parts):
            return self._reference.dots(base, parts, reduction, round_, known)
        return self._code.dots(base, parts, needs.on, known)

    def count(
        self, base: Host, part: Part, window: Window, counts: Counts, drop: Drop | None = None, cut: bool = False
    ) -> bool:
        """As `CompiledCode.count`."""
        return self._code.count(base, part, window, counts, drop, cut)

    def _repair(
        self, out: Host, at: np.ndarray[Any, Any], base: Host, parts: Sequence[Part], reduction: Reduction
    ) -> bool:
        """Compute the coordinates without certificate by the equations; False when one is not finite."""
        if not at.size:
            return True
        there = [part.only(at) for part in parts]
        exact = self._reference.reduce(base[at], there, reduction)
        if exact is not None:
            out[at] = exact.data
        return exact is not None


@dataclass(frozen=True)
class _Results:
    """Where compiled code writes: the block, positions without certificate, and for each part, how many elements.

    kept, above: by a trim, and above its threshold. cut, not_below: above a ceiling, and not below it.
    """

    out: Host
    kept: Words
    above: Words
    cut: Words
    not_below: Words
    positions: Words

    @classmethod
    def of(cls, base: Host, parts: int) -> Self:
        kept, above, cut, not_below = np.zeros((4, parts), np.int64)
        return cls(np.empty_like(base), kept, above, cut, not_below, np.empty(base.size, np.int64))

    def words(self, fused: Fused, reduction: Reduction) -> dict[int, int]:
        coefficients = reduction.coefficients
        return {
            word.METHOD: fused.code,
            word.OUT: address(self.out),
            word.TOTAL: bits(coefficients.held_total if fused.code == word.LINEAR else coefficients.total),
            word.LAMBDA: bits(reduction.lambda32),
            word.KEPT: address(self.kept),
            word.ABOVE: address(self.above),
            word.CUT: address(self.cut),
            word.NOT_BELOW: address(self.not_below),
            word.POSITIONS: address(self.positions),
        }

    def counts(self, parts: Sequence[Part], fused: Fused) -> tuple[tuple[int, ...], tuple[Witnesses, ...]]:
        kept = self.kept.tolist()
        trimmed = witnesses([_trimmed(part, fused) for part in parts], kept, self.above.tolist())
        cut = zip(self.cut.tolist(), self.not_below.tolist(), strict=True)
        both = zip(parts, cut, trimmed, strict=True)
        return tuple(kept), tuple((*_cut_first(part, fused, counts), *after) for part, counts, after in both)


def _rows(parts: Sequence[Part], fused: Fused) -> list[tuple[int, ...]]:
    return [row_of(part, fused.drop, fused.cuts) for part in parts]


def _trimmed(part: Part, fused: Fused) -> Part:
    """A part with what was found for its trim alone."""
    return replace(part, found=part.found[1:]) if fused.cuts else part


def _cut_first(part: Part, fused: Fused, counts: tuple[int, int]) -> Witnesses:
    """What the proof of a cut counts, where there was anything to find."""
    return (counts,) if fused.cuts and part.found[0] is not None else ()


def _votes(code: int, reduction: Reduction) -> dict[int, int]:
    """How V and W are summed: coefficients that are all the same are counted, in fp32."""
    same = set(reduction.coefficients.values)
    whole = len(same) == 1 and 0 not in same and len(reduction.coefficients.values) < 1 << 24
    votes = word.NO_VOTES if code != word.TIES_MERGING else word.WHOLE if whole else word.FP64
    return {word.VOTES: votes, word.UNIT: bits(same.pop() if whole else 1.0)}


def _merged(fused: Fused, parts: Sequence[Part]) -> int:
    """What is merged, and whether bits are copied [MG-14]."""
    return word.COPIED if fused.copies and averaged(parts) else ON[fused.on]
