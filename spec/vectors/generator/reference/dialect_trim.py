"""Trim in any dialect: which elements are kept [DI-2 to DI-6, DI-18]."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache
from itertools import combinations, product
from math import ceil, floor

from generator.reference.floats import to
from generator.reference.rounding import F32

Options = Mapping[str, str]
#: The values of one model by tensor, None where it lacks the tensor.
Vector = Mapping[str, tuple[float, ...] | None]
Mask = tuple[bool, ...]


class Refusal(Exception):
    """A dialect does not merge this; clause: by what it does not."""

    def __init__(self, clause: str) -> None:
        super().__init__(clause)
        self.clause = clause


def fractions(option: str, density: str) -> tuple[Fraction | float, Fraction | float]:
    """rho and 1 - rho: exact, or binary64 numbers, whose products round [DI-2, DI-20]."""
    rho = Fraction(density)
    if option == "percent" and rho > 1:
        rho = Fraction(float(rho) / 100)
    if not 0 < rho <= 1:
        raise Refusal("DI-20")
    if option == "decimal":
        return rho, 1 - rho
    if option == "drop_rate":
        return 1 - float(1 - rho), float(1 - rho)
    return float(rho), 1 - float(rho)


def rank(option: str, rho: Fraction | float, drop: Fraction | float, d: int) -> int:
    """m, at most d; 0 keeps nothing [DI-3]."""
    ranks: dict[str, Callable[[], int]] = {
        "floor_min_1": lambda: max(1, floor(rho * d)),
        "floor": lambda: floor(rho * d),
        "floor_not_0": lambda: floor(rho * d) or d + 1,
        "floor_plus_1": lambda: floor(rho * d) + 1,
        "complement": lambda: d - floor(drop * d) + 1,
        "complement_min_1": lambda: d - max(1, floor(drop * d)) + 1,
        "ceil": lambda: ceil(rho * d),
        "round_min_1": lambda: max(1, round(rho * d)),
    }
    m = ranks[option]()
    if m > d:
        raise Refusal("DI-3")
    return m


def quantile(sizes: Iterable[float], at: float) -> float:
    """The quantile of the non-zero sizes in binary64: in percent and back, then along the line from the nearer end."""
    ordered = sorted(x for x in sizes if x > 0) or [0.0]
    last = len(ordered) - 1
    place = last * (at * 100 / 100)
    low = int(place)
    a, b, t = ordered[low], ordered[min(low + 1, last)], place - low
    return a + (b - a) * t if t < 0.5 else b - (b - a) * (1 - t)


def threshold(kept: str, density: str, text: str, sizes: Sequence[float]) -> tuple[int, float]:
    """m and t, the m-th largest size; above all sizes where nothing is kept [DI-3]."""
    rho, drop = fractions(density, text)
    if kept == "percentile_nonzero":
        t = quantile(sizes, float(drop))
        return sum(x >= t for x in sizes), t
    m = rank(kept, rho, drop, len(sizes))
    return m, sorted(sizes, reverse=True)[m - 1] if m else float("inf")


@cache
def keeps(kept: str, density: str, boundary: str, text: str, sizes: tuple[float, ...]) -> list[Mask]:
    """Which elements of a group are kept: of `any`, every choice [DI-5, DI-18]."""
    m, t = threshold(kept, density, text, sizes)
    above = [i for i, x in enumerate(sizes) if m and x > t]
    tied = [i for i, x in enumerate(sizes) if m and x == t]
    room = m - len(above)
    choices: dict[str, Callable[[], Iterable[Iterable[int]]]] = {
        "keep_all": lambda: [tied],
        "none": lambda: [()],
        "lowest_index": lambda: [tied[:room]],
        "highest_index": lambda: [tied[len(tied) - room :]],
        "any": lambda: combinations(tied, room) if t > 0 else [tied],  # which zeros are kept does not matter
    }
    chosen = [{*above, *some} for some in choices[boundary]()]
    return [tuple(i in some for i in range(len(sizes))) for some in chosen]


def masks(options: Options, text: str, group: Sequence[float]) -> list[Mask]:
    """The magnitudes compared as the key has them [DI-6]."""
    if not group:
        return [()]
    sizes = tuple(to(F32, abs(x)) if options["key"] == "fp32" else abs(x) for x in group)
    return keeps(options["kept"], options["density"], options["boundary"], text, sizes)


def trims(options: Options, tau: Vector, text: str) -> Iterator[Vector]:
    """The trimmed vectors of one model, one for each choice in each group [DI-4]; infinity times 0 is NaN."""
    held = [name for name, xs in tau.items() if xs is not None]
    groups = [held] if options["scope"] == "model" else [[name] for name in held]
    flats = [[x for name in group for x in tau[name] or ()] for group in groups]
    for choice in product(*(masks(options, text, flat) for flat in flats)):
        pairs = (
            (x, keep) for flat, mask in zip(flats, choice, strict=True) for x, keep in zip(flat, mask, strict=True)
        )
        left = iter([x if keep else x * 0 + 0 for x, keep in pairs])
        yield {name: None if xs is None else tuple(next(left) for _ in xs) for name, xs in tau.items()}
