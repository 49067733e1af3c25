"""crdt-merge's `TIESMerge().merge`, tensor by tensor, on NumPy arrays (it takes torch's too, but none in bfloat16).

Added around the call: nothing. The coefficients are its `weights`, the base is its `base`; its result is the merged
tensor, in fp64. There is no lambda.
"""

from __future__ import annotations

import importlib.metadata
from decimal import Decimal
from typing import Any

ARRAYS = "numpy"


def begin() -> None:
    import crdt_merge.model.strategies.subspace  # noqa: F401


def version() -> str:
    return importlib.metadata.version("crdt-merge")


def merge(base: Any, models: Any, density: str, lambda_: str, coefficients: list[str]) -> dict[str, Any]:
    from crdt_merge.model.strategies.subspace import TIESMerge

    if Decimal(lambda_) != 1:
        raise ValueError("crdt-merge's TIESMerge has no lambda")
    weights = [float(text) for text in coefficients]
    return {
        name: TIESMerge().merge([model[name] for model in models], weights, array, density=float(density))
        for name, array in base.items()
    }
