"""Options that no answers tell apart, as long as other points are settled in a certain way, and why.

What is not declared here, the probes tell apart; a test holds them to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

Options = Mapping[str, str]


@dataclass(frozen=True)
class Inseparable:
    """Options of one point that give the same answers. when: the options at other points for which they do."""

    point: str
    options: frozenset[str]
    reason: str
    when: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def applies(self, options: Options) -> bool:
        return options[self.point] in self.options and all(options[point] in o for point, o in self.when.items())


def _same(point: str, options: tuple[str, ...], reason: str, **when: tuple[str, ...]) -> Inseparable:
    """when: the options at other points, `lambda_` being `lambda`."""
    points = {"lambda" if key == "lambda_" else key: frozenset(of) for key, of in when.items()}
    return Inseparable(point, frozenset(options), reason, points)


#: When a result has the dtype of storage.
_ROUNDED: Final = ({"output": ("base",)}, {"scope": ("tensor",)})

INSEPARABLE: Final = (
    _same("density", ("decimal", "drop_rate"), "as percent both are one binary64 number", kept=("percentile_nonzero",)),
    _same(
        "kept",
        ("floor_min_1", "floor"),
        "the one element that is kept is the threshold, and dropped",
        boundary=("none",),
    ),
    _same(
        "boundary",
        ("keep_all", "lowest_index", "highest_index", "any"),
        "a quantile has no rank to fill",
        kept=("percentile_nonzero",),
    ),
    _same("boundary", ("lowest_index", "any"), "an unstable sort, too, may always leave the first in front"),
    _same("boundary", ("highest_index", "any"), "an unstable sort, too, may always leave the last in front"),
    _same("key", ("fp32", "working"), "magnitudes are held in fp32", arithmetic=("exact", "fp32")),
    _same(
        "key",
        ("fp32", "working"),
        "a sort that may choose among what is one number in fp32 may also choose the largest",
        boundary=("lowest_index", "highest_index", "any"),
    ),
    _same("election", ("sum", "weighted_sum"), "without coefficients both are one sum", coefficients=("none",)),
    _same(
        "denominator", ("coefficients", "count"), "without coefficients their sum is the number", coefficients=("none",)
    ),
    _same(
        "denominator",
        ("kept", "kept_coefficients"),
        "without coefficients their sum is the number",
        coefficients=("none",),
    ),
    _same(
        "denominator",
        ("coefficients", "count", "kept", "kept_coefficients", "all"),
        "nothing is divided",
        aggregate=("sum", "max"),
    ),
    _same("lambda", ("after", "after_once"), "the sum is rounded once either way", arithmetic=("exact", "fp64")),
    _same(
        "arithmetic",
        ("storage", "storage_to_election"),
        "without a quotient or coefficients nothing is rounded in between",
        aggregate=("sum", "max"),
        coefficients=("none",),
    ),
    *(
        _same(
            "arithmetic",
            ("storage", "storage_to_sum"),
            "nothing is divided or scaled, and the result is rounded to storage either way",
            aggregate=("sum", "max"),
            lambda_=("none", "after_once"),
            **rounded,
        )
        for rounded in _ROUNDED
    ),
    *(
        _same(
            "arithmetic",
            ("storage", "storage_to_sum", "storage_to_election"),
            "nothing is divided, weighted or scaled, and the result is rounded to storage each way",
            aggregate=("sum", "max"),
            coefficients=("none",),
            lambda_=("none", "after_once"),
            **rounded,
        )
        for rounded in _ROUNDED
    ),
    _same(
        "output",
        ("base", "working"),
        "each tensor is computed in its own dtype",
        arithmetic=("storage", "storage_to_election"),
        scope=("tensor",),
    ),
    _same(
        "output",
        ("base", "working"),
        "a result in storage may also have been computed there",
        arithmetic=("storage_to_sum",),
        aggregate=("sum", "max"),
        lambda_=("none", "after_once"),
        scope=("tensor",),
    ),
)


def alike(point: str, options: Options) -> frozenset[str]:
    """The options that may give the same answers as the one in a full set of options, that one included."""
    return frozenset({options[point]}).union(*(one.options for one in declared(options, point)))


def declared(options: Options, point: str) -> tuple[Inseparable, ...]:
    """What is declared of a point, for a full set of options."""
    return tuple(one for one in INSEPARABLE if one.point == point and one.applies(options))


def reason(point: str, left: Sequence[str], options: Options) -> str:
    """Why several options are left at a point."""
    every = [one for option in left for one in declared({**options, point: option}, point)]
    whole = [one.reason for one in every if one.options.issuperset(left)][:1]
    reasons = whole or [one.reason for one in every if len(one.options.intersection(left)) > 1]
    return "; ".join(dict.fromkeys(reasons)) or "these questions do not tell them apart"
