"""A method of another tool as a round over whole tensors: the models as binary64 arrays, and its equation [NA-4].

Nothing here knows which method it is: `EQUATIONS` has them by dialect and name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from operator import add
from typing import Any, Final

import numpy as np

from mergealgebra.algebra.arrays import first_true
from mergealgebra.algebra.method import WholeModel, WholeRound
from mergealgebra.dialects import crdt_merge
from mergealgebra.dialects.inputs import hosts, only_floats
from mergealgebra.dialects.merge import Merges
from mergealgebra.dialects.points import DIALECTS
from mergealgebra.errors import NonFinite

Array = np.ndarray[Any, Any]
#: Two models or more and the base, of one shape, and weights whose sum is about 1, to the merged tensor; binary64.
Equation = Callable[..., Array]

#: By the name of the dialect, then of the method.
EQUATIONS: Final[Mapping[str, Mapping[str, Equation]]] = {"crdt-merge-0.11": crdt_merge.EQUATIONS}

#: Numbers of 8 bytes that are held at once of each element of a model, and of each of the result. Measured, and held
#: to it by a test.
_HELD: Final = 6
_RESULT: Final = 12


def round_of(method: str, dialect: str, settings: Mapping[str, str]) -> WholeRound:
    """The round that computes what the method does there. settings: decimals."""
    return WholeRound(
        unit="tensor",
        merge=partial(_merge, method, dialect, dict(settings)),
        nbytes=_nbytes,
        name=f"{method} in dialect {dialect}",
    )


def _merge(
    method: str, dialect: str, settings: Mapping[str, str], base: Mapping[str, Any], models: Sequence[WholeModel]
) -> Merges:
    base = hosts(base)
    models = [only_floats(DIALECTS[dialect], base, model) for model in models]
    equation = partial(EQUATIONS[dialect][method], **{key: float(text) for key, text in settings.items()})
    weights = _normalised([float(model.coefficient) for model in models])
    merged = {name: array.copy() for name, array in base.items()}
    kept: list[dict[str, int]] = [{} for _ in models]
    for name in [name for name in base if all(name in model.tensors for model in models)]:
        start = base[name].astype(np.float64)
        values = [_values(model, name, start) for model in models]
        for count, value in zip(kept, values, strict=True):
            count[name] = int(np.count_nonzero(value != start))
        alone = len(values) == 1 or not start.size
        with np.errstate(all="ignore"):
            merged[name] = values[0] if alone else equation(values, start, weights).reshape(start.shape)
    return merged, kept


def _values(model: WholeModel, name: str, base: Array) -> Array:
    """A tensor of a model in binary64; a difference is added to the base. Raises NonFinite."""
    stored = np.asarray(model.tensors[name]).astype(np.float64)
    position = first_true(~np.isfinite(stored.reshape(-1)))
    if position is not None:
        raise NonFinite(
            f"{model.label}: tensor {name!r}: element {position} is {stored.flat[position]}; repair the checkpoint, or "
            "leave the tensor out"
        )
    return stored if model.form == "finetuned" else base + stored


def _normalised(coefficients: Sequence[float]) -> list[float]:
    total = reduce(add, coefficients)  # `sum` compensates from Python 3.12 on
    return [c / total for c in coefficients]


def _nbytes(dtypes: Sequence[str], elements: int, input_bytes: int, models: int) -> int:
    """As `WholeRound.nbytes`."""
    return input_bytes + 8 * elements * (_HELD * models + _RESULT)
