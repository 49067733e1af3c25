"""From what a method gives to the merged block: added to the base, or a model that has its dtype [MG-2 to MG-5, MG-13].

Arrays are NumPy or torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from mergealgebra.algebra.arrays import Array, array_namespace
from mergealgebra.kernels.blocks import Part, Reduction
from mergealgebra.tensors.block_vectors import add, own_bits
from mergealgebra.tensors.dtypes import bits, name_of, narrow, widen

#: The coefficients of a mean add up to 1, but for their rounding [MG-14].
_NEAR_ONE: Final = 2.0**-20


def merged_block(base: Array, tau_m: Array, reduction: Reduction) -> Array | None:
    """The merged block [MG-2 to MG-5]; None when a number is not finite."""
    if reduction.needs.on == "theta":
        return merged_models(base, tau_m)
    merged, overflowed = add(base, tau_m, reduction.lambda32)
    return merged if finite(tau_m) and not bool(overflowed.any()) else None


def merged_models(base: Array, theta_m: Array) -> Array | None:
    """A merged model that is no base plus something, in the base's dtype [MG-13]; None when it is not finite."""
    name = name_of(base)
    xp = array_namespace(theta_m)
    theta_m = theta_m + 0.0  # -0 and +0 are one number, and libraries differ in which of them is the larger
    merged = narrow(xp.astype(theta_m, xp.float64) if name == "F64" else theta_m, name)
    return merged if finite(widen(merged)) else None


def averaged(parts: Sequence[Part]) -> bool:
    """Whether models that agree are merged to what they agree on: always, but where weights are no mean's [MG-14]."""
    weights = [part.weights[-1] for part in parts if part.weights]
    known = [weight for weight in weights if weight is not None]
    return not known or abs(math.fsum(known) - 1) <= _NEAR_ONE


def copied(merged: Array, base: Array, models: Sequence[tuple[Array, str]]) -> Array:
    """The merged block with the models' own bits where all of them have the same [MG-14].

    merged, base: (n,) in the base's dtype. models: values in storage dtypes, and their form; at least one.
    """
    xp = array_namespace(widen(base))
    candidates = [own_bits(values, base, form) for values, form in models]
    first, alike = candidates[0]
    for model, known in candidates[1:]:
        alike = alike & known & (bits(model) == bits(first))
    return xp.where(alike, first, merged)


def finite(array: Array) -> bool:
    """Whether all numbers of an array are."""
    return bool(array_namespace(array).isfinite(array).all())
