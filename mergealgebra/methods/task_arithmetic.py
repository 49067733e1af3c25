"""Task arithmetic: the weighted sum of the task vectors; negative coefficients forget [TA-1].

    tau_m = sum of c tau

Source: Ilharco et al., 2023, "Editing models with task arithmetic", arXiv 2212.04089. Law: an exact sum is free of
order [EX-4].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mergealgebra import algebra
from mergealgebra.methods.key_checks import check_lambda
from mergealgebra.methods.mean import lift
from mergealgebra.methods.method import Method, key

if TYPE_CHECKING:
    from mergealgebra.algebra import Array, Coefficients, Needs, Round, Sums

__all__ = ["TaskArithmetic", "lift", "total"]


def total(sums: Sums, _: Coefficients) -> Array:
    """tau_m = S. Returns (n,) fp32."""
    xp = algebra.array_namespace(sums.columns[0])
    return xp.astype(sums.total(), xp.float32)


class TaskArithmetic(Method):
    """The weighted sum of the task vectors; negative coefficients forget (Ilharco et al., 2023) [TA-1].

    >>> TaskArithmetic(lambda_="0.50").to_map()
    {'method': 'task_arithmetic', 'lambda': '0.5'}
    """

    name: ClassVar[str] = "task_arithmetic"
    lambda_: str = key(default="1", check=check_lambda, by_tensor=True)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """One exact sum."""
        return (algebra.Round(lift, total),)

    @property
    def needs(self) -> Needs:
        """Negative coefficients are fine."""
        return algebra.Needs(negative=True)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        return "Task arithmetic: the models' changes to the base, each times its coefficient, are added."
