"""Nearswap: go to a model, but nowhere farther from the base than t [NS-1, NS-2].

    v     = c tau
    tau_m = v where abs(v) <= t, else t with the sign of v

Source: mergekit 0.1.5, which interpolates from the base to the model by t / abs(tau), at most 1: the same in exact
arithmetic. There t has no default; here it is "0.0001". Law: there is one contribution, so no order. The original has
no coefficient; here one makes the changes larger or smaller before they are compared with t.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mergealgebra import algebra
from mergealgebra.algebra import decimals
from mergealgebra.errors import DecimalError
from mergealgebra.methods.key_checks import check_lambda
from mergealgebra.methods.method import Method, key
from mergealgebra.methods.task_arithmetic import lift

if TYPE_CHECKING:
    from mergealgebra.algebra import Array, Coefficients, Needs, Round, Sums


def check_bound(value: object, what: str) -> str:
    """A decimal from 0 on whose fp32 number is finite [NS-1]."""
    what = what.rpartition(": ")[2]
    decimals.fp32(value, what)
    text = decimals.canonical_decimal(value, what)
    if text.startswith("-"):
        raise DecimalError(f"{what}: {text} is negative; it is how far a parameter may move, 0 or more")
    return text


@dataclass(frozen=True)
class Clamp:
    """The finalizer: no farther from 0 than t [NS-2]. bound: t, an fp32 number."""

    bound: float

    def __call__(self, sums: Sums, _: Coefficients) -> Array:
        """tau_m. Returns (n,) fp32."""
        xp = algebra.array_namespace(sums.columns[0])
        v = xp.astype(sums.total(), xp.float32)
        v = xp.where(v > self.bound, self.bound, v)
        return xp.astype(xp.where(v < -self.bound, -self.bound, v) + 0.0, xp.float32)


class NearSwap(Method):
    """Nearswap: go to one model, no parameter farther from the base than t (mergekit 0.1.5) [NS-1, NS-2].

    t: the farthest that a parameter moves, 0 or more; with 0 nothing moves, and a merge of files says so.

    >>> import mergealgebra as ma, numpy as np
    >>> base, model = ({"w": np.float32(w)} for w in ([1, 1, 1], [0.25, -3, 2]))
    >>> ma.merge(base, [model], NearSwap(t="0.5"))["w"].tolist()
    [1.25, 0.5, 1.5]
    """

    name: ClassVar[str] = "nearswap"
    t: str = key(default="0.0001", check=check_bound, by_tensor=True)
    lambda_: str = key(default="1", check=check_lambda, by_tensor=True)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """What there is of one contribution, clamped."""
        return (algebra.Round(lift, Clamp(decimals.rounded(self.t))),)

    @property
    def needs(self) -> Needs:
        """One contribution."""
        return algebra.Needs(arity=1)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        return f"Nearswap: the model's changes to the base are taken, each by at most {self.t}."
