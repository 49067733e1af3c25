"""peft's `ties`, the function of `peft.utils.merge_utils` that `add_weighted_adapter` calls, tensor by tensor.

Added around the call: the differences of the models to the base, each in the base's dtype; the coefficients as one fp32
tensor of weights, as peft's LoRA code makes it; and, what that code does or leaves to its caller, the result cast back
to the dtype of the differences and added to the base. There is no lambda.

Adapters are merged as `add_weighted_adapter` merges them: the factors A apart from the factors B, both with the square
roots of the coefficients, the sign of one going to A; then the product is added to the base.
"""

from __future__ import annotations

import importlib.metadata
import math
from decimal import Decimal
from typing import Any

ARRAYS = "torch"


def begin() -> None:
    import peft.utils.merge_utils  # noqa: F401


def version() -> str:
    return importlib.metadata.version("peft")


def merge(base: Any, models: Any, density: str, lambda_: str, coefficients: list[str]) -> dict[str, Any]:
    if Decimal(lambda_) != 1:
        raise ValueError("peft's ties has no lambda")
    weights = [float(text) for text in coefficients]
    return {name: array + difference(name, array, models, weights, density) for name, array in base.items()}


def by_method(
    base: Any, task_vectors: list[Any], method: str = "ties", density: float = 1.0, **options: Any
) -> dict[str, Any]:
    """base + the task vectors merged by a function of `peft.utils.merge_utils`, all weights 1, in the base's dtype."""
    import torch
    from peft.utils import merge_utils

    function, weights = getattr(merge_utils, method), torch.ones(len(task_vectors))
    if method != "task_arithmetic":
        options = {"density": density, **options}
    merged = {}
    for name, tensor in base.items():
        total = tensor + function([vector[name] for vector in task_vectors], weights, **options)
        merged[name] = total.to(tensor.dtype)
    return merged


def difference(name: str, base: Any, models: Any, weights: list[float], density: str) -> Any:
    """What is added to a tensor of the base."""
    stem = name.removesuffix("weight")
    if all(f"{stem}lora_A.weight" in model for model in models):
        roots = [math.sqrt(abs(weight)) for weight in weights]
        signed = [math.copysign(root, weight) for root, weight in zip(roots, weights, strict=True)]
        a = merged([model[f"{stem}lora_A.weight"] for model in models], signed, density)
        b = merged([model[f"{stem}lora_B.weight"] for model in models], roots, density)
        return b @ a
    return merged([model[name].to(base.dtype) - base for model in models], weights, density)


def merged(tensors: list[Any], weights: list[float], density: str) -> Any:
    """The tensors merged, in the dtype that they have."""
    import torch
    from peft.utils.merge_utils import ties

    return ties(tensors, torch.tensor(weights), float(density)).to(tensors[0].dtype)
