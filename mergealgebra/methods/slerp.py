"""SLERP and NuSLERP: two models, or two task vectors, are joined on the arc between them [SL-1 to SL-3].

    phi = the angle between the two          w = c / (sum of c)
    merged = (sin(w_1 phi) x_1 + sin(w_2 phi) x_2) / sin phi

Where the arc is hardly bent, and where the two are opposite, it is the straight line, w_1 x_1 + w_2 x_2.

Source: Shoemake, 1985, "Animating rotation with quaternion curves"; mergekit 0.1.5's `slerp` (on models, straight above
a cosine of 0.9995) and `nuslerp` (here on task vectors, flattened). Laws: the two come into it alike, and the dot
products have one tree [DT-4]. Unlike mergekit's there is no `t`: it is c_2 / (c_1 + c_2). NuSLERP is straight where the
cosine is within 2^-40 of 1 or -1, not within 1e-16, which is less than the rounding of dot products. There is no way by
row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from mergealgebra import algebra
from mergealgebra.methods.geometry import ROUNDING, Vectors, arc
from mergealgebra.methods.key_checks import check_lambda
from mergealgebra.methods.mean import lift
from mergealgebra.methods.method import Method, key
from mergealgebra.methods.task_arithmetic import total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mergealgebra.algebra import Needs, Round
    from mergealgebra.algebra.method import Gram

#: Models whose cosine is above this are joined by a straight line: mergekit's number [SL-2].
MODELS_STRAIGHT: Final = 0.9995
#: The same of task vectors [SL-3].
VECTORS_STRAIGHT: Final = 1 - ROUNDING


def of_models(gram: Gram, coefficients: Sequence[float]) -> Sequence[float]:
    """The coefficients of two models on their arc [SL-2]."""
    return arc(Vectors(gram, coefficients), MODELS_STRAIGHT)


def of_vectors(gram: Gram, coefficients: Sequence[float]) -> Sequence[float]:
    """The coefficients of two task vectors on their arc [SL-3]."""
    return arc(Vectors(gram, coefficients), VECTORS_STRAIGHT)


class Slerp(Method):
    """Two models are joined on the arc between them, tensor by tensor (Shoemake, 1985; mergekit) [SL-1, SL-2].

    >>> Slerp().to_map()
    {'method': 'slerp'}
    >>> import mergealgebra as ma, numpy as np
    >>> base, one, other = ({"w": np.float32(w)} for w in ([0, 0], [3, 0], [0, 4]))
    >>> ma.merge(base, [one, other], Slerp())["w"].tolist()
    [2.1213202476501465, 2.8284270763397217]
    """

    name: ClassVar[str] = "slerp"

    @property
    def rounds(self) -> tuple[Round, ...]:
        """A sum with the coefficients of the arc."""
        return (algebra.Round(lift, total, weigh=of_models),)

    @property
    def needs(self) -> Needs:
        """Two models; what they agree on is copied where the line is straight."""
        return algebra.Needs(arity=2, on="theta", copies=True)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        return "SLERP: the two models are joined on the arc between them, each tensor by itself."


class NuSlerp(Method):
    """Two task vectors are joined on the arc between them, tensor by tensor (mergekit) [SL-1, SL-3].

    >>> import mergealgebra as ma, numpy as np
    >>> base, one, other = ({"w": np.float32(w)} for w in ([1, 1], [3, 0], [0, 4]))
    >>> ma.merge(base, [one, other], NuSlerp())["w"].tolist()
    [3.1213202476501465, 3.8284270763397217]
    """

    name: ClassVar[str] = "nuslerp"
    lambda_: str = key(default="1", check=check_lambda, by_tensor=True)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """A sum with the coefficients of the arc."""
        return (algebra.Round(lift, total, weigh=of_vectors),)

    @property
    def needs(self) -> Needs:
        """Two task vectors."""
        return algebra.Needs(arity=2)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        return "NuSLERP: the two models' changes to the base are joined on the arc between them, each tensor by itself."
