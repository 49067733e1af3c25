"""A function of torch tensors as one of NumPy arrays. A counterexample prints what stands here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np


def as_torch(array: Any) -> Any:
    """A copy of a NumPy array as a torch tensor."""
    import torch

    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(array.copy())


def as_numpy(tensor: Any) -> Any:
    """The NumPy array with the bits of a torch tensor."""
    import torch

    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def on_arrays(merge: Callable[..., Any]) -> Callable[..., Any]:
    """The merge function of NumPy arrays that calls one of torch tensors. Options are passed on."""

    def called(base: Any, task_vectors: Any, **options: Any) -> dict[str, Any]:
        given = [{name: as_torch(array) for name, array in model.items()} for model in (base, *task_vectors)]
        return {name: as_numpy(tensor) for name, tensor in merge(given[0], given[1:], **options).items()}

    return called
