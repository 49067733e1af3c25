"""Consensus task arithmetic and TALL masks: which parameters of the sum are of use to whom [CO-1 to CO-5].

    v      = c tau          S = sum of v
    mask_i = abs(v_i) > l abs(S - v_i)
    tau_m  = S where at least so many masks agree           `consensus_ta`
    tau_m  = S where the mask of one task is set            `tall_mask`

What one model alone has a use for, and what none has, goes back to the base; or the other way round, one model is found
again in the sum.

Source: Wang et al., 2024, "Localizing task information", arXiv 2405.07813. Law: exact sums are free of order [EX-4]; a
mask looks at the sum, rounded once, and at the model. The authors try l from 0.2 to 0.6 and take the best; the default
is in the middle. The original has no coefficients; here one makes a model's changes larger or smaller before anything
else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mergealgebra import algebra
from mergealgebra.algebra import decimals
from mergealgebra.methods.key_checks import check_count, check_factor, check_lambda, check_task
from mergealgebra.methods.method import Method, key
from mergealgebra.methods.task_arithmetic import lift, total

if TYPE_CHECKING:
    from mergealgebra.algebra import Array, Coefficients, Needs, Round, Sums, Terms, View


@dataclass(frozen=True)
class Masked:
    """The lift of the second round: v, and 1 where the mask of the contribution is set [CO-2].

    factor: l, an fp32 number. task: the only contribution whose mask counts; empty for all.
    """

    factor: float
    task: str = ""

    def __call__(self, view: View) -> Terms:
        """Two terms for each element."""
        xp = algebra.array_namespace(view.tau)
        v = algebra.scaled(view.tau, view.coefficient)
        counts = self.task in ("", view.id)
        mask = self.mask(v, view.shared[0]) if counts else xp.zeros_like(v, dtype=xp.bool)
        return algebra.Terms((v, xp.astype(mask, xp.float32)))

    def mask(self, v: Array, total_: Array) -> Array:
        """abs(v) > l RN32(S - v), the product exact. Both (n,) fp32. Returns (n,) bool."""
        xp = algebra.array_namespace(v)
        others = xp.astype(xp.abs(total_ - v), xp.float64)
        return xp.astype(xp.abs(v), xp.float64) > others * self.factor


@dataclass(frozen=True)
class Agreed:
    """The finalizer: S where at least so many masks are set [CO-3]."""

    threshold: int

    def __call__(self, sums: Sums, _: Coefficients) -> Array:
        """tau_m. Returns (n,) fp32."""
        xp = algebra.array_namespace(sums.columns[0])
        return xp.astype(xp.where(sums.total(1) >= self.threshold, sums.total(0), 0.0), xp.float32)


def rounds_of(masked: Masked, threshold: int) -> tuple[Round, ...]:
    """The sum, and then the masks."""
    return algebra.Round(lift, total), algebra.Round(masked, Agreed(threshold), algebra.Columns(sums=2))


class ConsensusTa(Method):
    """Consensus task arithmetic: the sum, where it is of use to several models (Wang et al., 2024) [CO-1 to CO-3].

    tall_lambda: how much larger than l times all other changes together a model's own must be, for a parameter to be of
    use to it. threshold: to how many models it must be of use; more than there are leaves the base as it is.

    >>> import mergealgebra as ma, numpy as np
    >>> base, *models = ({"w": np.float32(w)} for w in ([0, 0, 0], [4, 4, -1], [3, 0, 2]))
    >>> ma.merge(base, models, ConsensusTa())["w"].tolist()
    [7.0, 0.0, 1.0]
    """

    name: ClassVar[str] = "consensus_ta"
    tall_lambda: str = key(default="0.4", check=check_factor, by_contribution=True)
    threshold: str = key(default="2", check=check_count)
    lambda_: str = key(default="1", check=check_lambda, by_tensor=True)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """The sum, and then who has a use for it."""
        return rounds_of(Masked(decimals.rounded(self.tall_lambda)), int(self.threshold))

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        return (
            "Consensus task arithmetic: the models' changes to the base are added, and kept where at least "
            f"{self.threshold} of the models have a large part in them; everything else stays as it is."
        )


class TallMask(Method):
    """TALL masks: the model of one task, found again in the sum of all (Wang et al., 2024) [CO-1, CO-2, CO-4].

    tall_lambda: as in consensus_ta. task: the id of a contribution, in full; left out, tau_m is the sum itself.

    >>> import mergealgebra as ma, numpy as np
    >>> base, *models = ({"w": np.float32(w)} for w in ([0, 0, 0], [4, 4, -1], [3, 0, 2]))
    >>> task = "b3aac1882726c9f045aea090e35fd6ed69580ea91af8e7f076c0f46666620922"
    >>> ma.merge(base, models, TallMask(task=task))["w"].tolist()
    [7.0, 0.0, 1.0]
    """

    name: ClassVar[str] = "tall_mask"
    tall_lambda: str = key(default="0.4", check=check_factor, by_contribution=True)
    task: str = key(default="", check=check_task)
    lambda_: str = key(default="1", check=check_lambda, by_tensor=True)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """The sum, and then the mask of the task."""
        masked = Masked(decimals.rounded(self.tall_lambda), self.task)
        return rounds_of(masked, 1) if self.task else (algebra.Round(lift, total),)

    @property
    def needs(self) -> Needs:
        """The contribution of the task."""
        return algebra.Needs(task=self.task)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        if not self.task:
            return "TALL masks, the sum of all tasks: the models' changes to the base are added."
        return (
            f"TALL masks: the models' changes to the base are added, and kept where contribution {self.task[:12]} has "
            "a large part in them; everything else stays as it is."
        )
