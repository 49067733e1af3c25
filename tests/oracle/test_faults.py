"""What the comparison is worth: each of these faults, planted in the equations, makes it fail."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest

from mergealgebra import algebra
from mergealgebra.algebra import exact, rounded, trim
from mergealgebra.algebra.thresholds import Thresholds
from mergealgebra.kernels import reference, result
from mergealgebra.kernels.numpy_reference import on_numpy
from mergealgebra.methods import linear, mean, negmerge, ram
from mergealgebra.tensors import block_vectors
from tests.algebra.numbers import rn64
from tests.oracle.directed import DIRECTED
from tests.oracle.merges import check_agrees


def naive_fp64_sums(patch):
    """The certificate is not asked: fp64 additions are taken for exact."""
    patch.setattr(exact, "_failing_of", lambda magnitudes, grid: np.empty(0, np.int64))


def signs_of_rounded_sums(patch):
    """gamma of RN64(S+) + RN64(S-)."""
    patch.setattr(exact.Sums, "sign", lambda sums, _=0: np.sign(sums.rounded(0) + sums.rounded(1)).astype(np.int8))


def above_the_threshold_only(patch):
    """`>` for `>=`, and nobody who proves the threshold afterwards."""
    patch.setattr(trim, "trim", lambda tau, bits, ties: np.where(trim.magnitude_bits(tau) > bits, tau, np.float32(0)))
    patch.setattr(Thresholds, "proves", lambda *_: True)


def one_element_too_few(patch):
    """m = floor(density * d) - 1, but 1 at least."""
    patch.setattr(trim, "kept_count", lambda density, d: max(1, int(density * d) - 1))


def all_ties_before_the_cut(patch):
    """Boundary lowest_index that keeps all that equal the threshold."""
    original = trim.trim
    patch.setattr(trim, "trim", lambda tau, bits, ties: original(tau, bits, tau.shape[0]))
    patch.setattr(Thresholds, "proves", lambda *_: True)


def narrow_in_one_rounding(patch):
    """fp64 to bf16 and fp16 at once, instead of by way of fp32."""

    def apply(base, tau_m, lambda32):
        wide = base.astype(np.float64) + tau_m.astype(np.float64) * lambda32
        return wide if base.dtype == np.float64 else _Unrounded(wide)

    def narrow(merged, name):
        if not isinstance(merged, _Unrounded):
            return original(merged, name)
        if name == "BF16":
            return np.array([_to_bf16(x) for x in merged.wide], ml_dtypes.bfloat16)
        return merged.wide.astype({"F16": np.float16, "F32": np.float32}[name])

    original = block_vectors.narrow
    patch.setattr(block_vectors, "apply", apply)
    patch.setattr(block_vectors, "narrow", narrow)


class _Unrounded(SimpleNamespace):
    def __init__(self, wide):
        super().__init__(wide=wide)


def _to_bf16(x: float) -> float:
    """RN of the exact number to 8 bits, in the range of normal numbers."""
    if x == 0 or not np.isfinite(x):
        return x
    step = Fraction(2) ** (max(int(np.frexp(x)[1]) - 1, -126) - 7)
    return rn64(round(Fraction(x) / step) * step)


def v_rounded_to_zero(patch):
    """c * tau, rounded to fp32 in the wrong direction where it is not exact."""

    def scaled(tau, c):
        wide = tau.astype(np.float64) * c
        v = wide.astype(np.float32)
        return np.where(np.abs(v.astype(np.float64)) > np.abs(wide), np.nextafter(v, np.float32(0)), v)

    for module in (rounded, algebra):  # the latter remembers what it was asked for
        patch.setattr(module, "scaled", scaled)


def subnormals_flushed(patch):
    """A result below the normal numbers of fp32 is 0."""

    def add(base, tau_m, lambda32):
        merged, overflowed = original(base, tau_m, lambda32)
        return np.where(np.abs(merged.astype(np.float64)) < 2.0**-126, 0, merged).astype(base.dtype), overflowed

    original = result.add
    patch.setattr(result, "add", add)


def negative_zeros_lost(patch):
    """The base's -0 becomes 0 where nothing moves."""

    def add(base, tau_m, lambda32):
        merged, overflowed = original(base, tau_m, lambda32)
        return merged + base.dtype.type(0), overflowed

    original = result.add
    patch.setattr(result, "add", add)


def absent_tensors_do_not_count(patch):
    """The mean over those that hold the tensor."""
    held: list[float] = []

    def lift(view):
        held.append(view.coefficient)
        return original(view)

    def average(sums, _):
        total = exact.Coefficients(tuple(held)).total
        held.clear()
        return (sums.total() / total).astype(np.float32)

    original = mean.lift
    patch.setattr(mean, "lift", lift)
    patch.setattr(mean, "average", average)


def nothing_copied(patch):
    """Models that agree are averaged like others."""
    patch.setattr(reference, "copied", lambda merged, *_: merged)


def zeros_of_models_are_one(patch):
    """-0 and +0 are the same bits."""
    original = result.bits
    patch.setattr(result, "bits", lambda array: original(array + array.dtype.type(0)))


def absent_models_count(patch):
    """The mean of models divides by the coefficients of all."""
    patch.setattr(linear, "average", lambda sums, coefficients: algebra.quotient(sums.total(), coefficients.total))


def the_threshold_is_a_change(patch):
    """`>=` for `>`."""
    patch.setattr(ram, "UNCHANGED", np.nextafter(np.float32(ram.UNCHANGED), np.float32(0)))


def all_divide(patch):
    """RAM divides by all who hold the tensor."""
    patch.setattr(ram, "average", lambda sums, c: algebra.quotient(sums.total(), np.float64(len(c.held))))


def zeros_agree(patch):
    """NegMerge asks only that no two v have opposite signs."""
    quotient = algebra.quotient

    def forget(sums, coefficients):
        alike = (sums.rounded(2) == 0) | (sums.rounded(3) == 0)
        return np.where(alike, 0.0 - quotient(sums.total(), coefficients.held_total or 1.0), np.float32(0)) + 0.0

    patch.setattr(negmerge, "forget", forget)


#: Each fault, and the group of directed merges that has to find it.
FAULTS = {
    naive_fp64_sums: "sums",
    signs_of_rounded_sums: "sums",
    above_the_threshold_only: "thresholds",
    one_element_too_few: "thresholds",
    all_ties_before_the_cut: "thresholds",
    narrow_in_one_rounding: "edges",
    v_rounded_to_zero: "scaled",
    subnormals_flushed: "edges",
    negative_zeros_lost: "absences",
    absent_tensors_do_not_count: "absences",
    nothing_copied: "models",
    zeros_of_models_are_one: "models",
    absent_models_count: "absences",
    the_threshold_is_a_change: "counts",
    all_divide: "counts",
    zeros_agree: "counts",
}


def agrees(oracle, case) -> bool:
    """Whether the equations on NumPy give the oracle's answer."""
    try:
        check_agrees(oracle, case, on_numpy())
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_planted_faults_are_found(oracle, monkeypatch, fault):
    """Without them all of these merges agree: test_backends.py."""
    fault(monkeypatch)
    assert not all(agrees(oracle, case) for case in DIRECTED[FAULTS[fault]]())
