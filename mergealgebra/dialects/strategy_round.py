"""A method of another tool as a round over whole tensors: the models as it reads them, and its equation [NA-4].

Nothing here knows which method it is: `FAMILIES` has the equations by dialect and name; those of mergekit, which have
an order and settings by contribution, are in `mergekit.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from typing import Any, Final

import numpy as np

from mergealgebra.algebra.arrays import first_true
from mergealgebra.algebra.method import WholeModel, WholeRound
from mergealgebra.dialects import crdt_merge, mergekit
from mergealgebra.dialects.arithmetic import rounded_to
from mergealgebra.dialects.inputs import hosts, only_floats
from mergealgebra.dialects.merge import Merges
from mergealgebra.dialects.mergekit_masks import Masks
from mergealgebra.dialects.points import DIALECTS
from mergealgebra.dialects.strategies import STRATEGIES
from mergealgebra.dialects.strategy_settings import Entry, Settings
from mergealgebra.errors import NonFinite

Array = np.ndarray[Any, Any]
#: Models and the base, of one shape and dtype, weights, and settings, to the merged tensor.
Equation = Callable[..., Array]


@dataclass(frozen=True)
class Family:
    """The methods of a tool, but for mergekit. dtype: in which they read tensors; None: in that of the base.

    normalised: whether weights are coefficients over their sum. returned: whether one model alone is the result.
    """

    equations: Mapping[str, Equation]
    dtype: np.dtype[Any] | None
    normalised: bool
    returned: bool


#: By the name of the dialect.
FAMILIES: Final[Mapping[str, Family]] = {
    "crdt-merge-0.11": Family(crdt_merge.EQUATIONS, np.dtype(np.float64), normalised=True, returned=True),
}

#: Numbers of 8 bytes that are held at once of each element of a model, and of each of the result. Measured, and held
#: to it by a test.
_HELD: Final = 6
_RESULT: Final = 12


def round_of(
    method: str,
    dialect: str,
    settings: Mapping[str, str],
    entries: Sequence[Entry] = (),
    masks: Masks | None = None,
) -> WholeRound:
    """The round that computes what the method does there. settings: by key, what holds for all. Raises RecipeError.

    entries: what holds for some tensors and contributions; masks: those that were captured; both of mergekit alone.
    """
    if dialect == mergekit.NAME:
        return mergekit.round_of(method, Settings(STRATEGIES[dialect][method].settings, settings, entries), masks)
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
    family = FAMILIES[dialect]
    numbers = {"lambda_" if key == "lambda" else key: float(text) for key, text in settings.items()}
    equation = partial(family.equations[method], **numbers)
    coefficients = [float(model.coefficient) for model in models]
    weights = _normalised(coefficients) if family.normalised else coefficients
    merged = {name: array.copy() for name, array in base.items()}
    kept: list[dict[str, int]] = [{} for _ in models]
    for name in [name for name in base if all(name in model.tensors for model in models)]:
        start = base[name].astype(family.dtype or base[name].dtype)
        values = [_values(model, name, start) for model in models]
        for count, value in zip(kept, values, strict=True):
            count[name] = int(np.count_nonzero(value != start))
        as_it_is = not start.size or (family.returned and len(values) == 1)
        with np.errstate(all="ignore"):
            merged[name] = values[0] if as_it_is else equation(values, start, weights).reshape(start.shape)
    return merged, kept


def _values(model: WholeModel, name: str, base: Array) -> Array:
    """A tensor of a model in the dtype of the base; a difference is added to that. Raises NonFinite."""
    stored = np.asarray(model.tensors[name])
    stored = stored.astype(np.float64) if model.form != "finetuned" else rounded_to(base.dtype, stored)
    position = first_true(~np.isfinite(stored.reshape(-1)))
    if position is not None:
        raise NonFinite(
            f"{model.label}: tensor {name!r}: element {position} is {stored.flat[position]}; repair the checkpoint, or "
            "leave the tensor out"
        )
    return stored if model.form == "finetuned" else rounded_to(base.dtype, base.astype(np.float64) + stored)


def _normalised(coefficients: Sequence[float]) -> list[float]:
    total = reduce(add, coefficients)  # `sum` compensates from Python 3.12 on
    return [c / total for c in coefficients]


def _nbytes(dtypes: Sequence[str], elements: int, input_bytes: int, models: int) -> int:
    """As `WholeRound.nbytes`."""
    return input_bytes + 8 * elements * (_HELD * models + _RESULT)
