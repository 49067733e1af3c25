"""peft's merges of task vectors, tensor by tensor, as a merge function."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np


def merge(base: Any, task_vectors: Any, method: str = "ties", density: float = 1.0, **options: Any) -> dict[str, Any]:
    """base + the task vectors merged by a function of `peft.utils.merge_utils`, all weights 1, in the base's dtype."""
    import torch
    from peft.utils import merge_utils

    function, weights = getattr(merge_utils, method), torch.ones(len(task_vectors))
    if method != "task_arithmetic":
        options = {"density": density, **options}
    merged = {}
    for name, array in base.items():
        start, *vectors = [as_torch(model[name]) for model in (base, *task_vectors)]
        merged[name] = as_numpy((start + function(vectors, weights, **options)).to(start.dtype), array.dtype)
    return merged


def as_torch(array: Any) -> Any:
    """A copy as a torch tensor."""
    import torch

    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(array.copy())


def as_numpy(tensor: Any, dtype: Any) -> Any:
    """The NumPy array of a dtype with the bits of a torch tensor."""
    import torch

    return tensor.view(torch.int16).numpy().view(dtype) if dtype == ml_dtypes.bfloat16 else tensor.numpy()
