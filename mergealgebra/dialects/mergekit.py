"""The methods of mergekit 0.1.5 as rounds over whole tensors: the models as it reads them, in its order [NA-13]."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from mergealgebra.algebra.arrays import first_true
from mergealgebra.algebra.method import WholeModel, WholeRound
from mergealgebra.dialects.arithmetic import rounded_to
from mergealgebra.dialects.inputs import hosts, only_floats
from mergealgebra.dialects.merge import Merges
from mergealgebra.dialects.mergekit_geometry import GEOMETRY
from mergealgebra.dialects.mergekit_group import Group
from mergealgebra.dialects.mergekit_masks import Masks
from mergealgebra.dialects.mergekit_numbers import DTYPES, Numbers, promoted
from mergealgebra.dialects.mergekit_pairs import PAIRS
from mergealgebra.dialects.mergekit_sums import SUMS
from mergealgebra.dialects.points import DIALECTS
from mergealgebra.dialects.strategy_settings import Settings
from mergealgebra.errors import NonFinite, RecipeError

Array = np.ndarray[Any, Any]

NAME: Final = "mergekit-0.1.5"
#: The equations by the names of the methods.
EQUATIONS: Final[Mapping[str, Callable[[Group], Array]]] = MappingProxyType(SUMS | GEOMETRY | PAIRS)

#: How many contributions there are, where not any number: at least, at most.
_COUNTS: Final = MappingProxyType(
    {"arcee_fusion": (1, 1), "nearswap": (1, 1), "passthrough": (1, 1), "slerp": (1, 2), "nuslerp": (2, 2)}
    | {"model_stock": (2, None)}
)
#: Those that never look at the base.
_BASELESS: Final = frozenset({"karcher", "linear", "passthrough"})
#: Those that compute with a binary32 array on the way, so that what they give is one.
_WIDENING: Final = frozenset({"arcee_fusion", "ramplus_tl"})
#: Inputs are held to what TIES of mergekit takes, but for their dtypes, which are converted, and what they lack.
_INPUTS: Final = replace(DIALECTS[NAME], options={**DIALECTS[NAME].options, "arithmetic": "exact", "keys": "any"})

#: Numbers of 8 bytes that are held at once of each element of a model, and of each of the result. Measured, and held
#: to it by a test.
_HELD: Final = 8
_RESULT: Final = 8


def written_dtype(method: str, dtype: str) -> str:
    """In what mergekit writes the result of a merge whose file says `dtype` and no `out_dtype`.

    >>> written_dtype("linear", "bfloat16"), written_dtype("arcee_fusion", "bfloat16")
    ('bfloat16', 'float32')
    """
    return "float32" if method in _WIDENING and Numbers(DTYPES[dtype]).wide == np.float32 else dtype


@dataclass(frozen=True)
class _Merge:
    """What a round does. order: ids of the contributions, or none for their canonical order. masks: those drawn."""

    method: str
    settings: Settings
    order: tuple[str, ...]
    dtype: str
    masks: Masks | None = None

    def __call__(self, base: Mapping[str, Any], models: Sequence[WholeModel]) -> Merges:
        base = hosts(base)
        models = [only_floats(_INPUTS, base, model) for model in models]
        self._check_count(len(models))
        places = self._places(models)
        merged = {name: array.copy() for name, array in base.items()}
        kept: list[dict[str, int]] = [{} for _ in models]
        for name in base:
            values = {i: _values(models[i], name, base[name]) for i in places if name in models[i].tensors}
            for i, value in values.items():
                kept[i][name] = int(np.count_nonzero(value != base[name]))
            if base[name].size and values:
                self._check_count(len(values), f"tensor {name!r}: ")
                held = [order for order, i in enumerate(places) if i in values]
                group = self._group(name, base[name], [*values.values()], [models[i] for i in values], held)
                merged[name] = self._computed(name, group)
        return merged, kept

    def _computed(self, name: str, group: Group) -> Array:
        with np.errstate(all="ignore"):
            try:
                return EQUATIONS[self.method](group).reshape(group.base.shape)
            except ZeroDivisionError as error:
                raise RecipeError(f"{self.method}: tensor {name!r}: {error}") from None

    def _group(
        self, name: str, base: Array, values: Sequence[Array], models: Sequence[WholeModel], held: Sequence[int]
    ) -> Group:
        """A tensor of all inputs that have it, converted. values: of the models, in their order.

        held: which of all contributions these are, counted in that order.
        """
        shared = self.settings.of_tensor(name)
        pair = self.method == "slerp" and len(values) == 2
        baseless = pair or self.method in _BASELESS or shared.get("on") == "theta"
        read = values if baseless else [base, *values]
        numbers = Numbers(DTYPES[self.dtype] if self.dtype else promoted([array.dtype for array in read]))
        start, inputs = numbers.cast(base), [numbers.cast(value) for value in values]
        if self.method == "slerp" and len(inputs) == 1:
            inputs = [start, *inputs]
        own = [self.settings.of_model(name, model.id, model.coefficient) for model in models]
        masks = self.masks.of(name, base.shape, self.method, own, held) if self.masks else ()
        return Group(numbers, start, inputs, shared, own, masks)

    def _check_count(self, count: int, where: str = "") -> None:
        least, most = _COUNTS.get(self.method, (1, None))
        if count < least or (most is not None and count > most):
            wanted = f"{least}" if least == most else f"{least} or more" if most is None else f"{least} or {most}"
            raise RecipeError(
                f"{where}{self.method} merges {wanted} contributions in dialect {NAME}, and there are {count}; "
                "take some out, or add some"
            )

    def _places(self, models: Sequence[WholeModel]) -> list[int]:
        """Where the contributions that `order` names stand among the models. Raises RecipeError."""
        if not self.order:
            return [*range(len(models))]
        found = {model.id: place for place, model in enumerate(models)}
        if sorted(self.order) != sorted(found) or len(found) < len(models):
            raise RecipeError(
                f"{self.method}: order: it names {len(self.order)} contributions, and there are {len(models)}"
                f"{_stranger(self.order, found)}; name each of them once by its id, or leave order out"
            )
        return [found[one] for one in self.order]


def _stranger(order: Sequence[str], found: Mapping[str, int]) -> str:
    """One that is named and not there, for a message."""
    return next((f", none of them {one[:12]}" for one in order if one not in found), "")


def _values(model: WholeModel, name: str, base: Array) -> Array:
    """A tensor of a model; a difference is added to the base, and rounded to its dtype. Raises NonFinite."""
    stored = np.asarray(model.tensors[name])
    position = first_true(~np.isfinite(stored.reshape(-1)))
    if position is not None:
        raise NonFinite(
            f"{model.label}: tensor {name!r}: element {position} is {stored.flat[position]}; repair the checkpoint, or "
            "leave the tensor out"
        )
    if model.form == "finetuned":
        return stored
    return rounded_to(base.dtype, base.astype(np.float64) + stored.astype(np.float64))


def round_of(method: str, settings: Settings, masks: Masks | None = None) -> WholeRound:
    """The round that computes what the method does there. Raises RecipeError where masks are missing."""
    top = settings.of_tensor("")
    if "masks" in settings.settings and masks is None:
        raise RecipeError(
            f"{method}: {NAME} draws its masks from torch's generator, so nothing here can draw them again; merge "
            "without the dialect, with masks of ours, or name the file of captured masks, on the command line by "
            "--masks FILE"
        )
    merge = _Merge(method, settings, top["order"], top["dtype"], masks)
    return WholeRound(unit="tensor", merge=merge, nbytes=_nbytes, name=f"{method} in dialect {NAME}")


def _nbytes(dtypes: Sequence[str], elements: int, input_bytes: int, models: int) -> int:
    """As `WholeRound.nbytes`."""
    return input_bytes + 8 * elements * (_HELD * models + _RESULT)
