"""fusion-bench's TIES: the functions of `ties_merging_utils`, in the lines of `TiesMergingAlgorithm.run`.

Added around the calls: what `run` does between them (one vector a model, differences, base + scaling factor * merged)
and after them (`load_state_dict`, which casts to the base's dtypes); `run` itself takes torch modules. Its `threshold`
is the density, above 1 in percent; its `merge_func` the default, "sum". There are no coefficients.
"""

from __future__ import annotations

import importlib.metadata
from decimal import Decimal
from typing import Any

ARRAYS = "torch"


def begin() -> None:
    import fusion_bench.method.ties_merging.ties_merging_utils  # noqa: F401


def version() -> str:
    return importlib.metadata.version("fusion-bench")


def merge(base: Any, models: Any, density: str, lambda_: str, coefficients: list[str]) -> dict[str, Any]:
    import torch
    from fusion_bench.method.ties_merging import ties_merging_utils as theirs

    if any(Decimal(text) != 1 for text in coefficients):
        raise ValueError("fusion-bench's TIES has no coefficients")
    theirs.check_parameterNamesMatch([base, *models])
    flat_base = theirs.state_dict_to_vector(base)
    task_vectors = torch.vstack([theirs.state_dict_to_vector(model) for model in models]) - flat_base
    merged = theirs.ties_merging(task_vectors, reset_thresh=float(density), merge_func="sum")
    tensors = theirs.vector_to_state_dict(flat_base + float(lambda_) * merged, base)
    return {name: tensors[name].to(base[name].dtype) for name in base}
