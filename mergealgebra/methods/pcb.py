"""PCB-Merging: parameters compete within each model, and between models, and only the best are merged [PC-1 to PC-6].

    a     = abs(c tau), not below nor above its outermost ten-thousandth         S = sum of c tau
    score = exp(n (m^2 - 1)) tanh(c tau S)       m = a from 0, its least, to 1, its largest
    s     = score from 0, at the top share `ratio` of the model, to 1, its largest
    tau_m = (sum of sgn(tau) a s) / (sum of s)

Source: Du et al., 2024, "Parameter Competition Balancing for Model Merging", arXiv 2410.02396, in the form of the
authors' pcb-merging.py, whose ratio this is. Law: order statistics are of one contribution and of what one exact sum
gives, and exact sums are free of order [EX-4]. The original has exp(n m^2), which orders alike and may overflow; drops
the largest magnitude of a model with fewer than 10,000 parameters; has no coefficients, and merges with lambda 1.2,
where here it is 1, as for all methods. Where it divides 0 by 0, see PC-3 and PC-5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar, Final

from mergealgebra import algebra
from mergealgebra.methods.key_checks import check_density, check_lambda
from mergealgebra.methods.method import Method, key
from mergealgebra.methods.task_arithmetic import lift

if TYPE_CHECKING:
    from mergealgebra.algebra import Array, Coefficients, Round, Statistic, Sums, Terms, View

#: One element in so many is clamped, at either end of the magnitudes [PC-2].
SHARE: Final = 10_000
_LARGEST: Final = (2 - 2.0**-23) * 2.0**127


# What all contributions give


def bounded(sums: Sums, _: Coefficients) -> Array:
    """S = RN32 of the sum, no larger than the largest fp32 number [PC-1]. Returns (n,) fp32."""
    xp = algebra.array_namespace(sums.columns[0])
    return xp.astype(xp.clip(sums.total(), -_LARGEST, _LARGEST), xp.float32)


def nothing(view: View) -> Terms:
    """0: what is wanted is how many contributions there are."""
    return algebra.Terms((), maxima=(algebra.array_namespace(view.tau).zeros_like(view.tau),))


def number(sums: Sums, coefficients: Coefficients) -> Array:
    """n, the number of contributions, whoever holds the tensor [PC-3]. Returns (n,) fp32."""
    return algebra.array_namespace(sums.maxima[0]).full_like(sums.maxima[0], float(len(coefficients.values)))


# Competition


def magnitude(view: View) -> Array:
    """abs(RN32(c tau)) [PC-1]. Returns (n,) fp32."""
    return algebra.array_namespace(view.tau).abs(algebra.scaled(view.tau, view.coefficient))


def outermost(elements: int) -> tuple[int, int]:
    """The ranks between which magnitudes are clamped, the upper one first [PC-2]."""
    return elements // SHARE + 1, elements - elements // SHARE


def clamped(view: View) -> Array:
    """a, between what was found for these ranks [PC-2]. Returns (n,) fp32."""
    xp = algebra.array_namespace(view.tau)
    high, low = view.found[0]
    a = xp.where(magnitude(view) > high, high, magnitude(view))
    return xp.astype(xp.where(a < low, low, a), xp.float32)


def score(view: View) -> Array:
    """RN32(intra inter) [PC-3, PC-4]. Returns (n,) fp32."""
    xp = algebra.array_namespace(view.tau)
    inter = algebra.tanh(_wide(algebra.scaled(view.tau, view.coefficient)) * _wide(view.shared[0]))
    return algebra.product(_intra(view, xp), inter)


def _intra(view: View, xp: Any) -> Array:
    """RN32 exp(n (m^2 - 1)); 1 where all magnitudes are alike [PC-3]."""
    high, low = view.found[0]
    if high == low:
        return xp.ones_like(view.tau)
    m = (_wide(clamped(view)) - low) / (high - low)
    return algebra.exp(_wide(view.shared[1]) * (m * m - 1.0))


def _wide(x: Array) -> Array:
    xp = algebra.array_namespace(x)
    return xp.astype(x, xp.float64)


@dataclass(frozen=True)
class Best:
    """The ranks of the largest score, and of the least one among the best share of a model [PC-5]."""

    ratio: Fraction

    def __call__(self, elements: int) -> tuple[int, int]:
        """Of so many elements."""
        return 1, ceil(self.ratio * elements)


@dataclass(frozen=True)
class Compete:
    """The stage that keeps what is better than the least of the best [PC-5]."""

    ratio: Fraction

    @cached_property
    def statistic(self) -> Statistic:
        """The largest score, and the least one of the best."""
        return algebra.Of(algebra.Ranked(Best(self.ratio), f"best {self.ratio}", "model"), score, "score")

    @property
    def key(self) -> Sequence[str]:
        """As `Stage.key`."""
        return "pcb", str(self.ratio)

    def __call__(self, view: View, found: tuple[float, float]) -> Array:
        """tau where s is above 0, +0 elsewhere."""
        return algebra.kept(view.tau, scale(view, found) > 0)


def scale(view: View, best: tuple[float, float]) -> Array:
    """s [PC-5]. Returns (n,) fp32."""
    top, least = best
    scores = score(view)
    xp = algebra.array_namespace(scores)
    if top == least:
        return xp.astype((scores == top) & (scores > 0), xp.float32)
    competing = (scores > least) & (algebra.scaled(view.tau, view.coefficient) != 0)
    return algebra.quotient(xp.where(competing, _wide(scores) - least, 0.0), top - least)


def weighted(view: View) -> Terms:
    """v = RN32(sgn(tau) a s), and s [PC-6]."""
    xp = algebra.array_namespace(view.tau)
    s, a = scale(view, view.found[1]), clamped(view)
    signed = xp.where(view.tau > 0, a, xp.where(view.tau < 0, -a, 0.0)) + 0.0
    return algebra.Terms((algebra.product(signed, s), s))


def balance(sums: Sums, _: Coefficients) -> Array:
    """tau_m = (sum of v) / (sum of s), 0 where that is 0 [PC-6]. Returns (n,) fp32."""
    w = sums.total(1)
    xp = algebra.array_namespace(w)
    return algebra.quotient(sums.total(0), xp.where(w == 0, 1.0, w))


class Pcb(Method):
    """PCB-Merging: parameters compete within and between models, the best are averaged (Du et al., 2024) [PC-1].

    ratio: the share of each model's parameters that are merged.

    >>> import mergealgebra as ma, numpy as np
    >>> base, one, other = ({"w": np.float32(w)} for w in ([0, 0, 0, 0], [4, 1, 0, -1], [2, -3, 1, 0]))
    >>> ma.merge(base, [one, other], Pcb(ratio="0.5"))["w"].tolist()
    [4.0, -3.0, 0.0, 0.0]
    """

    name: ClassVar[str] = "pcb"
    ratio: str = key(default="0.1", check=check_density)
    lambda_: str = key(default="1", check=check_lambda, by_tensor=True)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """The sum; how many there are; and then the sums of v and s, once each model's ranks are known."""
        spread = algebra.Of(algebra.Ranked(outermost, "outermost", "model"), magnitude, "magnitude")
        stages = algebra.Look(spread), Compete(Fraction(self.ratio))
        return (
            algebra.Round(lift, bounded),
            algebra.Round(nothing, number, algebra.Columns(sums=0, maxima=1)),
            algebra.Round(weighted, balance, algebra.Columns(sums=2), stages),
        )

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        share = float(100 * Fraction(self.ratio))
        return (
            "PCB-Merging: the changes of each model compete by their size and by how much the sum of all models agrees "
            f"with them; the best {share:.6g}% of each model are averaged, the better ones with more weight."
        )
