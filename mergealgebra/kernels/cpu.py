"""The fused kernel for CPUs, compiled by Numba: one pass over a block, with all that lies between in the cache.

Every operation is one IEEE operation, as in the equations; `fastmath` is off. The sums held are S = sum of v and
A = sum of |v|. While A is certified both are exact, and so are S+ = (A + S) / 2 and S- = (S - A) / 2 [EX-2]; with
coefficients likewise. The few coordinates without certificate are left to the equations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Self

import numpy as np

from mergealgebra.algebra.arrays import refuse_flushed_subnormals
from mergealgebra.algebra.trim import Counts, Window
from mergealgebra.kernels.blocks import KeptSums, Part, Reduced, Reduction, Updated
from mergealgebra.kernels.equations import Equations, Host, on_numpy
from mergealgebra.kernels.fused.count import count
from mergealgebra.kernels.fused.memory import BF16, F16, F32, F64
from mergealgebra.kernels.fused.reduce import MEAN, TASK_ARITHMETIC, TIES, reduce, update
from mergealgebra.tensors.dtypes import DTYPES

_CODES: Final = {DTYPES[name].numpy: code for name, code in {"F64": F64, "F32": F32, "BF16": BF16, "F16": F16}.items()}
_METHODS: Final = {"ties": TIES, "mean": MEAN, "task_arithmetic": TASK_ARITHMETIC}


class NumbaKernel:
    """`Kernel` on the CPU. Its threads share nothing, and hold no lock while they compute."""

    name = "numba"

    def __init__(self) -> None:
        self._equations: Equations = on_numpy()

    def check_worker(self) -> None:
        """As `Kernel.check_worker`, with compiled code too: NumPy and it run in one thread, under its one mode."""
        refuse_flushed_subnormals(np)

    def reduce(self, base: Host, parts: Sequence[Part], reduction: Reduction) -> Reduced | None:
        """As `Kernel.reduce`."""
        certified = reduction.coefficients.certified
        if not certified and reduction.method == "ties":
            return self._equations.reduce(base, parts, reduction)
        out, counts = np.empty_like(base), _Counts.of(parts, base.size)
        missed = reduce(
            base.size,
            _METHODS[reduction.method],
            (_address(base), _code(base), _address(out)),
            *_table(parts),
            (reduction.coefficients.total, reduction.lambda32),
            counts,
        )
        if missed < 0 or not self._repair(out, counts.uncertified[:missed], base, parts, reduction):
            return None
        return Reduced(
            out, tuple(counts.kept.tolist()), tuple(counts.above.tolist()), missed if certified else base.size
        )

    def update(
        self, base: Host, kept: KeptSums, retracted: Sequence[Part], added: Sequence[Part], reduction: Reduction
    ) -> Updated | None:
        """As `UpdatingKernel.update`."""
        parts = (*retracted, *added)
        out, counts = np.empty_like(base), _Counts.of(parts, base.size)
        missed = update(
            base.size,
            _METHODS[reduction.method],
            (_address(base), _code(base), _address(out)),
            (kept.sums, kept.magnitudes, kept.signs, kept.weights, kept.grid),
            len(retracted),
            *_table(parts),
            (reduction.coefficients.total, reduction.lambda32),
            counts,
        )
        if missed < 0:
            return None
        found = counts.uncertified[:missed].copy()
        return Updated(out, tuple(counts.kept.tolist()), tuple(counts.above.tolist()), found)

    def count(self, base: Host, part: Part, window: Window, counts: Counts) -> bool:
        """As `Kernel.count`."""
        values = part.values
        finetuned, shift = part.form == "finetuned", np.int32(window.shift)
        held = (_address(values), _code(values), finetuned)
        return bool(count(base.size, (_address(base), _code(base)), held, np.int32(window.low), shift, counts))

    def _repair(
        self, out: Host, at: np.ndarray[Any, Any], base: Host, parts: Sequence[Part], reduction: Reduction
    ) -> bool:
        """Compute the coordinates without certificate by the equations; False when one is not finite."""
        if not at.size:
            return True
        there = [part.at(at) for part in parts]
        exact = self._equations.reduce(base[at], there, reduction)
        if exact is not None:
            out[at] = exact.data
        return exact is not None


class _Counts(NamedTuple):
    """What compiled code counts: elements kept and above the threshold, of each part, and uncertified positions."""

    kept: np.ndarray[Any, Any]
    above: np.ndarray[Any, Any]
    uncertified: np.ndarray[Any, Any]

    @classmethod
    def of(cls, parts: Sequence[Part], size: int) -> Self:
        return cls(np.zeros(len(parts), np.int64), np.zeros(len(parts), np.int64), np.empty(size, np.int64))


def _table(parts: Sequence[Part]) -> tuple[np.ndarray[Any, Any], ...]:
    """The parts as compiled code takes them: addresses; dtype, whether it is a fine-tune, threshold, ties; factors."""
    rows = [(_code(p.values), p.form == "finetuned", p.threshold, p.ties) for p in parts]
    return (
        np.array([_address(part.values) for part in parts], np.uint64),
        np.array(rows, np.int64).reshape(-1, 4),
        np.array([part.coefficient for part in parts], np.float32),
    )


def _address(array: Host) -> int:
    return int(array.__array_interface__["data"][0])


def _code(array: Host) -> int:
    return _CODES[array.dtype]
