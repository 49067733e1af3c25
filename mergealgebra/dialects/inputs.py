"""What a merge in a dialect is given, and what of it is refused before anything is computed [DI-20]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from mergealgebra.algebra import decimals
from mergealgebra.algebra.method import WholeModel
from mergealgebra.dialects.arithmetic import STEPS, fp32_of, promoted
from mergealgebra.dialects.points import Dialect
from mergealgebra.errors import DtypeError, IntegerTensorChanged, NamesError, NothingVisible, RecipeError
from mergealgebra.tensors.dtypes import DTYPES, bits, to_host, unmerged
from mergealgebra.tensors.task_vector import check_shapes, in_name_order

Array = np.ndarray[Any, Any]
Tensors = Mapping[str, Array]

_KINDS: Final = {dtype.numpy: dtype for dtype in DTYPES.values()}


def check_parameters(dialect: Dialect, models: Sequence[WholeModel], density: str, lambda_: str) -> None:
    """Raise RecipeError, NothingVisible, DecimalError or CoefficientError, unless the dialect takes these."""
    missing = [point for point, option in dialect.options.items() if option is None]
    if missing:
        raise RecipeError(f"dialect {dialect.name} leaves {', '.join(missing)} open: choose one that settles them")
    if not models:
        raise NothingVisible("there is nothing to merge; pass at least one model")
    decimals.canonical_decimal(density, "density")
    if decimals.canonical_decimal(lambda_, "lambda") != "1":
        fp32_of(lambda_, "lambda")
        if dialect["lambda"] == "none":
            raise RecipeError(f"dialect {dialect.name} has no lambda: leave it out, or give 1")
    for model in models:
        _check_coefficient(dialect, model)


def _check_coefficient(dialect: Dialect, model: WholeModel) -> None:
    what = f"{model.label}: coefficient"
    if decimals.canonical_decimal(model.coefficient, what) == "1":
        return
    if dialect["coefficients"] == "none":
        raise RecipeError(f"dialect {dialect.name} has no coefficients: leave them out, or give 1")
    decimals.check_coefficient(fp32_of(model.coefficient, what), what, negative=False, method="ties")


def hosts(tensors: Tensors) -> dict[str, Array]:
    """The tensors in name order, as NumPy's, little-endian; most are. Raises NamesError or DtypeError."""
    ordered = {name: tensors[name] for name in in_name_order(tensors)}
    return {
        name: array if isinstance(array, np.ndarray) and array.dtype in _KINDS else to_host(array, f"tensor {name!r}")
        for name, array in ordered.items()
    }


def only_floats(dialect: Dialect, base: Tensors, model: WholeModel) -> WholeModel:
    """The model with its float tensors. Raises NamesError, ShapeError, DtypeError or IntegerTensorChanged.

    base: as `hosts` has it.
    """
    tensors = hosts(model.tensors)
    for name in tensors:
        if name not in base:
            raise NamesError(f"{model.label}: tensor {name!r} is not in the base: it belongs to another model")
    for name, array in base.items():
        if name in tensors:
            check_shapes(f"{model.label}: tensor {name!r}", name, tensors[name].shape, array.shape)
        elif dialect["keys"] == "same":
            raise NamesError(
                f"{model.label} lacks tensor {name!r}: dialect {dialect.name} wants the same in all; "
                "remove the model, or retract the contribution"
            )
    return replace(
        model, tensors={n: array for n, array in tensors.items() if _is_float(dialect, base, model, n, array)}
    )


def _is_float(dialect: Dialect, base: Tensors, model: WholeModel, name: str, array: Array) -> bool:
    """Whether a tensor is float. One that is not must be the base's [MG-2]."""
    old, new = _KINDS[base[name].dtype], _KINDS[array.dtype]
    what = f"{model.label}: tensor {name!r} is {new.name}"
    if old == new and not old.is_float:
        if np.array_equal(bits(base[name]), bits(array)):
            return False
        raise IntegerTensorChanged(f"{what} and differs from the base's{unmerged(new.name)}")
    if not (old.is_float and new.is_float):
        raise DtypeError(f"{what}, the base's {old.name}: only float tensors are merged{unmerged(new.name, old.name)}")
    in_storage = "storage" in STEPS.get(str(dialect["arithmetic"]), ())
    if in_storage and model.form == "finetuned" and promoted([old.numpy, new.numpy]) != old.numpy:
        raise DtypeError(f"{what}, the base's {old.name}: dialect {dialect.name} computes in that; convert one of them")
    return True
