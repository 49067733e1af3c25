"""mergealgebra itself: `merge` with the recipe `Ties`; or, given the name of a dialect, that dialect as it is stated.

Added around the call of `merge`: the task vectors of the models, which may lack tensors. It takes no adapters, and asks
users to merge each into its model first; so the task vector of a pair of LoRA factors is here their product.
"""

from __future__ import annotations

import importlib
from typing import Any

ARRAYS = "numpy"
chosen: list[Any] = []


def begin(*dialect: str) -> None:
    from mergealgebra.dialects.points import DIALECTS

    chosen[:] = [DIALECTS[name] for name in dialect]


def version() -> str:
    return str(importlib.import_module("mergealgebra").__version__)


def merge(base: Any, models: Any, density: str, lambda_: str, coefficients: list[str]) -> dict[str, Any]:
    from mergealgebra.dialects.merge import merge_in_dialect

    if not chosen:
        return by_recipe(base, models, density, lambda_, coefficients)
    parameters = {"density": density, "lambda_": lambda_}
    return merge_in_dialect(chosen[0], base, models, coefficients=coefficients, **parameters)


def by_recipe(base: Any, models: Any, density: str, lambda_: str, coefficients: list[str]) -> dict[str, Any]:
    from mergealgebra.engine import memory
    from mergealgebra.methods.ties import Ties

    task_vectors = [task_vector(base, model) for model in models]
    recipe = Ties(density=density, lambda_=lambda_)
    return memory.merge(base, task_vectors, recipe, coefficients)


def task_vector(base: Any, model: Any) -> dict[str, Any]:
    """The differences of a model's tensors, and the products of its LoRA factors."""
    from mergealgebra.tensors.task_vector import TaskVector

    factors = {name for name in model if name.endswith((".lora_A.weight", ".lora_B.weight"))} - base.keys()
    whole = {name: array for name, array in model.items() if name not in factors}
    part = {name: base[name] for name in whole if name in base}
    stems = [name.removesuffix("lora_A.weight") for name in sorted(factors) if name.endswith("lora_A.weight")]
    products = {f"{stem}weight": product(model, stem) for stem in stems}
    return {**TaskVector.between(part, whole), **products}


def product(model: Any, stem: str) -> Any:
    """B @ A, computed in fp64 and rounded to fp32."""
    a, b = (model[f"{stem}lora_{factor}.weight"].astype("float64") for factor in "AB")
    return (b @ a).astype("float32")
