"""One model as it is, or times a number [PT-1, PT-2].

    theta_m = scale theta

With the scale 1 the model's bits are copied, if it has the base's dtypes; tensors that it does not hold are the base's.

Source: mergekit's `passthrough`. Law: there is one contribution, so no order. Its coefficient counts for nothing, as in
a mean of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mergealgebra import algebra
from mergealgebra.algebra import decimals
from mergealgebra.methods.key_checks import check_lambda
from mergealgebra.methods.method import Method, key
from mergealgebra.methods.task_arithmetic import total

if TYPE_CHECKING:
    from mergealgebra.algebra import Needs, Round, Terms, View


@dataclass(frozen=True)
class Scaled:
    """The lift: theta times an fp32 number [PT-1]."""

    scale: float

    def __call__(self, view: View) -> Terms:
        """v = RN32(scale theta)."""
        return algebra.Terms((algebra.scaled(view.tau, self.scale),))


class Passthrough(Method):
    """One model as it is, or times a number (mergekit) [PT-1, PT-2].

    scale: what each number of the model is multiplied by, any decimal.

    >>> import mergealgebra as ma, numpy as np
    >>> base, task_vector = {"w": np.float32([1, 2])}, {"w": np.float32([3, -1])}
    >>> ma.merge(base, [task_vector], Passthrough(scale="0.5"))["w"].tolist()
    [2.0, 0.5]
    """

    name: ClassVar[str] = "passthrough"
    scale: str = key(default="1", check=check_lambda, by_tensor=True)

    @property
    def factor(self) -> float:
        """The scale as an fp32 number [PT-1]."""
        return decimals.rounded(self.scale)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """What there is of one model."""
        return (algebra.Round(Scaled(self.factor), total),)

    @property
    def needs(self) -> Needs:
        """One model itself; with the scale 1 its bits are copied."""
        return algebra.Needs(arity=1, on="theta", copies=self.factor == 1)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        return "One model, as it is." if self.scale == "1" else f"One model, each of its numbers times {self.scale}."
