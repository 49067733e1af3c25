"""The reference: the equations of `algebra/` on one block, with NumPy or torch, on whatever device torch has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mergealgebra.algebra import reducer
from mergealgebra.algebra.arrays import Array, array_namespace, refuse_flushed_subnormals, to_numpy
from mergealgebra.algebra.exact import LIMITS, Sums, grid_exponents
from mergealgebra.algebra.methods import REDUCERS
from mergealgebra.algebra.trim import Counts, Window, magnitude_bits, trim, window_counts
from mergealgebra.kernels.blocks import UNKNOWN, Part, Reduced, Reduction, StoredSums, Updated
from mergealgebra.tensors.dtypes import to_host, to_torch
from mergealgebra.tensors.task_vector import add, read_stored, subtract

Host = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Equations:
    """A kernel that is nothing but the equations. `load` brings a host array there, `unload` brings it back."""

    name: str
    load: Callable[[Host], Array]
    unload: Callable[[Array], Host]
    check_worker: Callable[[], None]

    def reduce(self, base: Host, parts: Sequence[Part], reduction: Reduction) -> Reduced | None:
        """As `Kernel.reduce`."""
        there = self.load(base)
        taus = [tau(self.load(part.values), there, part.form) for part in parts]
        vs = [scaled(tau_, part) for tau_, part in zip(taus, parts, strict=True)]
        if not all(map(_finite, (*taus, *vs))):
            return None
        sums = summed(vs, parts, reduction)
        merged = _merged(there, sums, reduction)
        if merged is None:
            return None
        counts = [_kept_and_above(tau_, part) for tau_, part in zip(taus, parts, strict=True)]
        uncertified = sums.uncertified.size if reduction.coefficients.certified else base.size
        kept, above = zip(*counts, strict=True)
        return Reduced(self.unload(merged), kept, above, int(uncertified))

    def count(self, base: Host, part: Part, window: Window, counts: Counts) -> bool:
        """As `Kernel.count`."""
        tau_ = tau(self.load(part.values), self.load(base), part.form)
        if not _finite(tau_):
            return False
        counts += to_numpy(window_counts(tau_, window))
        return True


class OnNumPy(Equations):
    """The equations on NumPy, which bring the sums of an aggregate up to date too."""

    def update(
        self, base: Host, kept: StoredSums, retracted: Sequence[Part], added: Sequence[Part], reduction: Reduction
    ) -> Updated | None:
        """As `UpdatingKernel.update`."""
        parts = (*retracted, *added)
        taus = [tau(part.values, base, part.form) for part in parts]
        vs = [scaled(tau_, part) for tau_, part in zip(taus, parts, strict=True)]
        if not all(map(_finite, (*taus, *vs))):
            return None
        for i, (v, part) in enumerate(zip(vs, parts, strict=True)):
            _change(kept, np.subtract if i < len(retracted) else np.add, v, part.coefficient)
        missed = np.flatnonzero(kept.magnitudes >= LIMITS[kept.grid])
        merged = _merged(base, _by_sign(kept, missed), reduction)
        if merged is None:
            return None
        counts = [_kept_and_above(tau_, part) for tau_, part in zip(taus, parts, strict=True)]
        return Updated(merged, tuple(n for n, _ in counts), tuple(n for _, n in counts), missed)


@dataclass(frozen=True)
class Settled:
    """Some coordinates merged from all their parts. data: (n,) in the base's dtype. kept: their sums, which mean
    nothing where they have no certificate. uncertified: how many those are [EX-3]."""

    data: Host
    kept: StoredSums
    uncertified: int


def settle(base: Host, parts: Sequence[Part], reduction: Reduction) -> Settled | None:
    """Merge coordinates from all parts that there are, if any. None when some number is not finite."""
    vs = [scaled(tau(part.values, base, part.form), part) for part in parts]
    if not all(map(_finite, vs)):
        return None
    sums = (
        summed(vs, parts, reduction) if parts else Sums((np.zeros(base.size),) * 4, np.full(base.size, 255, np.uint8))
    )
    merged = _merged(base, sums, reduction)
    return None if merged is None else Settled(merged, _kept(sums), sums.uncertified.size)


def tau(values: Array, base: Array, form: str) -> Array:
    """The task vector of a block [TV-2, TV-5]. Both (n,), storage dtypes. Returns (n,) fp32, perhaps not finite."""
    return subtract(values, base) if form == "finetuned" else read_stored(values)


def scaled(tau: Array, part: Part) -> Array:
    """v of a block: tau trimmed, times the coefficient [TI-4 to TI-6]. (n,) fp32, perhaps not finite."""
    trimmed = trim(tau, part.threshold, part.ties) if part.threshold else tau
    return reducer.scale(trimmed, part.coefficient)


def summed(vs: Sequence[Array], parts: Sequence[Part], reduction: Reduction) -> Sums:
    """The exact sums of a block [EX-1]. vs: (n,) fp32 each, finite."""
    method, coefficients = REDUCERS[reduction.method], reduction.coefficients
    lifted = (reducer.lift(method, v, p.coefficient, coefficients) for v, p in zip(vs, parts, strict=True))
    return reducer.combine(lifted)


def on_numpy() -> OnNumPy:
    """The equations on NumPy."""
    return OnNumPy("numpy", lambda host: host, lambda array: array, lambda: refuse_flushed_subnormals(np))


def on_torch(device: Any) -> Equations:
    """The equations on torch, which must have been imported, on one of its devices."""

    def check_worker() -> None:
        from array_api_compat import torch as xp_torch

        refuse_flushed_subnormals(np)
        refuse_flushed_subnormals(xp_torch, device)

    kind = str(device).partition(":")[0]
    name = "torch" if kind == "cpu" else f"torch-{kind}"
    return Equations(name, lambda host: to_torch(host, device), to_host, check_worker)


def _merged(base: Array, sums: Sums, reduction: Reduction) -> Array | None:
    """The merged block [MG-2 to MG-5]; None when a number is not finite."""
    tau_m = REDUCERS[reduction.method].finalize(sums, reduction.coefficients)
    merged, overflowed = add(base, tau_m, reduction.lambda32)
    return merged if _finite(tau_m) and not bool(overflowed.any()) else None


def _change(kept: StoredSums, join: np.ufunc, v: Host, coefficient: float) -> None:
    """Add one scaled task vector to kept sums, or subtract it."""
    wide = v.astype(np.float64)
    for (total, magnitude), change in zip(kept.pairs(), (wide, np.sign(wide) * coefficient), strict=False):
        total[:] = join(total, change)
        magnitude[:] = join(magnitude, abs(change))
    np.minimum(kept.grid, grid_exponents(v), out=kept.grid)


def _by_sign(kept: StoredSums, missed: Host) -> Sums:
    """Kept sums as S+, S-, W+ and W-, exactly [EX-2]; zero where they are missed."""
    columns: list[Host] = []
    for total, magnitude in kept.pairs():
        wide = magnitude.astype(np.float64)  # V and W may be int16, which need not hold twice a count
        columns += [(wide + total) * 0.5, (total - wide) * 0.5]
    for column in columns:
        column[missed] = 0.0
    return Sums(tuple(columns), kept.grid)


def _kept(sums: Sums) -> StoredSums:
    """The inverse, marked where there is no certificate."""
    columns: list[Host] = []
    for i in range(0, len(sums.columns), 2):
        columns += [sums.columns[i] + sums.columns[i + 1], sums.columns[i] - sums.columns[i + 1]]
    s, a, v, w = (*columns, np.empty(0), np.empty(0))[:4]
    kept = StoredSums(s, a, v, w, sums.grid.copy())
    kept.put(sums.uncertified, UNKNOWN)
    return kept


def _finite(array: Array) -> bool:
    return bool(array_namespace(array).isfinite(array).all())


def _kept_and_above(tau: Array, part: Part) -> tuple[int, int]:
    xp = array_namespace(tau)
    above = int(xp.count_nonzero(magnitude_bits(tau) > part.threshold))
    if not part.threshold:
        return tau.shape[0], above
    return int(xp.count_nonzero(trim(tau, part.threshold, part.ties))), above
