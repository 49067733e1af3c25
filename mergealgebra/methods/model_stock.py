"""Model Stock: the mean of the models, drawn to the base the more, the less they agree [MS-1, MS-2].

    C     = the mean cosine of two task vectors, over all pairs
    t     = n C / (1 + (n - 1) C)
    tau_m = t (sum of c tau) / (sum of c)

Source: Jang, Yun and Han, 2024, "Model Stock: All we need is just a few fine-tuned models", arXiv 2403.19522; mergekit
0.1.5's `model_stock`, tensor by tensor. Laws: contributions come into it alike, and the dot products have one tree
[DT-4]. The original has no coefficients; here they weigh the mean. Where 1 + (n - 1) C is 0, or would be but for
rounding, t is 0. One alone is taken whole; mergekit asks for two. There is no `filter_wise`.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING, ClassVar

from mergealgebra import algebra
from mergealgebra.methods.geometry import ROUNDING, Vectors
from mergealgebra.methods.key_checks import check_lambda
from mergealgebra.methods.mean import lift
from mergealgebra.methods.method import Method, key
from mergealgebra.methods.task_arithmetic import total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mergealgebra.algebra import Round
    from mergealgebra.algebra.method import Gram


def drawn_to_base(gram: Gram, coefficients: Sequence[float]) -> Sequence[float]:
    """The coefficients of t times the mean [MS-2]."""
    vectors = Vectors(gram, coefficients)
    t = ratio(vectors.cosines)
    return [t * weight for weight in vectors.weights]


def ratio(cosines: Sequence[Sequence[float]]) -> float:
    """t, from the cosines of the angles between n task vectors [MS-1]."""
    n = len(cosines)
    if n == 1:
        return 1.0
    mean = math.fsum(cosines[i][j] for i, j in combinations(range(n), 2)) / (n * (n - 1) // 2)
    divisor = 1 + (n - 1) * mean
    return n * mean / divisor if divisor > ROUNDING else 0.0


class ModelStock(Method):
    """The mean of the models, drawn to the base the more, the less they agree (Jang et al., 2024) [MS-1, MS-2].

    >>> import mergealgebra as ma, numpy as np
    >>> base, one, other = ({"w": np.float32(w)} for w in ([0, 0], [4, 3], [4, -3]))  # cosine 7 / 25, t = 7 / 16
    >>> ma.merge(base, [one, other], ModelStock())["w"].tolist()
    [1.75, 0.0]
    """

    name: ClassVar[str] = "model_stock"
    lambda_: str = key(default="1", check=check_lambda, by_tensor=True)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """A sum with the coefficients of the mean, times t."""
        return (algebra.Round(lift, total, weigh=drawn_to_base),)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        return (
            "Model Stock: the models' changes to the base are averaged, and each tensor is drawn back to the base the "
            "more, the less they agree on it."
        )
