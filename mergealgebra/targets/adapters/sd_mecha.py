"""sd-mecha's `subtract`, `ties_sum` and `add_difference`, a recipe of these run by `sd_mecha.merge`.

Added around the call: nothing. (`add_difference_ties`, which is that recipe, raises in 1.1.8 when it is given models.)
The density is its `k`, lambda its `alpha`. Each tensor is merged as a model of its own, since the configurations that
it knows are those of diffusion models. It computes in fp32, its default, and its answer is left in that; by default it
would be rounded to fp16. By default, too, `merge` leaves out a tensor that has an infinity or a NaN before any method
sees it; here it does not. There are no coefficients.
"""

from __future__ import annotations

import importlib.metadata
from decimal import Decimal
from typing import Any

ARRAYS = "torch"


def begin() -> None:
    import sd_mecha  # noqa: F401


def version() -> str:
    return importlib.metadata.version("sd-mecha")


def merge(base: Any, models: Any, density: str, lambda_: str, coefficients: list[str]) -> dict[str, Any]:
    if any(Decimal(text) != 1 for text in coefficients):
        raise ValueError("sd-mecha's ties_sum has no coefficients")
    k, alpha = float(density), float(lambda_)
    return {name: merged(array, [model[name] for model in models], k, alpha) for name, array in base.items()}


def merged(base: Any, models: list[Any], k: float, alpha: float) -> Any:
    import sd_mecha

    start, *finetuned = [sd_mecha.literal(tensor) for tensor in [base, *models]]
    differences = [sd_mecha.subtract(node, start) for node in finetuned]
    recipe = sd_mecha.add_difference(start, sd_mecha.ties_sum(*differences, k=k), alpha=alpha)
    return sd_mecha.merge(recipe, output_dtype=None, omit_non_finite_inputs=False, threads=0)["key"]
