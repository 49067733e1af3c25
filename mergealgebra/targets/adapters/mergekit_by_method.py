"""mergekit's merge methods, called in memory, as a merge function."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np


def merge(base: Any, task_vectors: Any, method: str = "ties", **parameters: Any) -> dict[str, Any]:
    """The merge by a method of mergekit of base + each task vector, rounded to the base's dtype.

    The base is one of the models only where the method requires it; all weights are 1 where it has any.
    """
    from mergekit import merge_methods

    start, *vectors = [{name: as_torch(array) for name, array in model.items()} for model in (base, *task_vectors)]
    models = [{name: (start[name] + vector[name]).to(start[name].dtype) for name in start} for vector in vectors]
    spec = merge_methods.get(method).spec
    if any(parameter.name == "weight" for parameter in spec.parameters):
        parameters = {"weight": 1.0, **parameters}
    of = [start, *models] if spec.contract.base == "required" else models
    merged = merge_methods.merge_state_dicts(of, method, parameters=parameters, base=0 if of[0] is start else None)
    return {name: as_numpy(tensor, base[name].dtype) for name, tensor in merged.items()}


def as_torch(array: Any) -> Any:
    """A copy as a torch tensor."""
    import torch

    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(array.copy())


def as_numpy(tensor: Any, dtype: Any) -> Any:
    """The NumPy array with the bits of a torch tensor, whose dtype is as the base's unless mergekit changed it."""
    import torch

    return tensor.view(torch.int16).numpy().view(dtype) if tensor.dtype == torch.bfloat16 else tensor.numpy()
