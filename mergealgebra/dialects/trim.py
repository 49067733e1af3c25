"""The trim of a dialect: how many elements of a group it keeps, and which [DI-2 to DI-6]."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import numpy as np

from mergealgebra.algebra import decimals
from mergealgebra.dialects.points import Dialect
from mergealgebra.errors import RecipeError

Array = np.ndarray[Any, Any]


@lru_cache(maxsize=4096)
def fractions(option: str, density: str) -> tuple[Any, Any]:
    """rho and 1 - rho, Fractions or floats as an option has them [DI-2].

    Raises RecipeError unless rho is above 0 and at most 1, and DecimalError.
    """
    given = decimals.exact(density, "density")
    rho = given / 100 if option == "percent" and given > 1 else given
    if not 0 < rho <= 1:
        raise RecipeError(f"density: {density} is not above 0 and at most 1")
    if option == "decimal":
        return rho, 1 - rho
    if option == "drop_rate":
        return 1 - float(1 - rho), float(1 - rho)
    double = float(given) if rho == given else float(given) / 100
    return double, 1 - double


def rank(dialect: Dialect, density: str, d: int) -> int:
    """m: the threshold is the m-th largest of d magnitudes; 0 keeps nothing [DI-2, DI-3]. Raises RecipeError."""
    rho, dropped = fractions(str(dialect["density"]), density)
    ranks: Mapping[str, Callable[[], int]] = {
        "floor_min_1": lambda: max(1, math.floor(rho * d)),
        "floor": lambda: math.floor(rho * d),
        "floor_not_0": lambda: math.floor(rho * d) or d + 1,
        "floor_plus_1": lambda: math.floor(rho * d) + 1,
        "complement": lambda: d - math.floor(dropped * d) + 1,
        "complement_min_1": lambda: d - max(1, math.floor(dropped * d)) + 1,
        "ceil": lambda: math.ceil(rho * d),
        "round_min_1": lambda: max(1, round(rho * d)),
    }
    m = ranks[str(dialect["kept"])]()
    if m > d:
        other = "larger" if dialect["kept"] == "floor_not_0" else "smaller"
        raise RecipeError(f"density: dialect {dialect.name} refuses {density} of {d} elements; choose a {other} one")
    return m


def kept(dialect: Dialect, tau: Array, density: str) -> Array:
    """Which elements of a group trim keeps, of `any` the first [DI-2 to DI-6, DI-18]. tau: (d,). Returns (d,) bool.

    NaN is larger than every number, and ties with none.
    """
    d, wide = tau.size, tau.dtype == np.float64 and dialect["key"] == "working"
    magnitudes = np.abs(tau.astype(np.float64 if wide else np.float32))
    if not d:
        return np.zeros(0, bool)
    if dialect["kept"] == "percentile_nonzero":
        nonzero = magnitudes[magnitudes > 0].astype(np.float64)
        percent = float(fractions(str(dialect["density"]), density)[1] * 100)
        t = np.percentile(nonzero, percent) if nonzero.size else 0
        return np.asarray(magnitudes > t if dialect["boundary"] == "none" else magnitudes >= t)
    m = rank(dialect, density, d)
    return np.asarray(BOUNDARIES[str(dialect["boundary"])](magnitudes, m) if m else np.zeros(d, bool))


def _threshold(magnitudes: Array, m: int) -> Any:
    return np.sort(magnitudes)[magnitudes.size - m]


def _first(magnitudes: Array, m: int) -> Array:
    """The m largest; of those that tie, the first."""
    return _last(magnitudes[::-1], m)[::-1]


def _last(magnitudes: Array, m: int) -> Array:
    """The m largest; of those that tie, the last."""
    keep = np.zeros(magnitudes.size, bool)
    keep[np.argsort(magnitudes, kind="stable")[magnitudes.size - m :]] = True
    return keep


#: Which are kept of magnitudes whose m-th largest is t [DI-5].
BOUNDARIES: Final[Mapping[str, Callable[[Array, int], Array]]] = {
    "keep_all": lambda magnitudes, m: magnitudes >= _threshold(magnitudes, m),
    "lowest_index": _first,
    "highest_index": _last,
    "any": _first,
    "none": lambda magnitudes, m: magnitudes > _threshold(magnitudes, m),
}
