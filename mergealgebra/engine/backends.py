"""Array libraries that the equations run on. All give equal bits; the choice is one of speed [MG-8]."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from array_api_compat import numpy as xp_numpy

from mergealgebra.algebra.arrays import Array, refuse_flushed_subnormals
from mergealgebra.errors import BackendError
from mergealgebra.tensors.dtypes import to_host, to_torch

Host = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Backend:
    """Where blocks are computed: `load` brings a host block there in its storage dtype, `unload` brings it back."""

    name: str
    load: Callable[[Host], Array]
    unload: Callable[[Array], Host]
    check_worker: Callable[[], None]


def backend(name: str) -> Backend:
    """The backend of this name; "auto" is NumPy. Raises BackendError when there is none, or it is not installed."""
    if name not in BACKENDS:
        raise BackendError(f"backend {name!r} is unknown; expected one of {', '.join(BACKENDS)}")
    return BACKENDS[name]()


def _numpy() -> Backend:
    return Backend("numpy", lambda host: host, lambda array: array, lambda: refuse_flushed_subnormals(xp_numpy))


def _torch() -> Backend:
    return torch_on("cpu")


def _torch_cuda() -> Backend:
    torch = _import_torch()
    if not torch.cuda.is_available():
        raise BackendError("backend 'torch-cuda' needs a CUDA device that torch can see; use 'torch' or 'numpy'")
    return torch_on("cuda")


def torch_on(device: Any) -> Backend:
    """The torch backend on one device."""
    torch = _import_torch()

    def check_worker() -> None:
        from array_api_compat import torch as xp_torch

        refuse_flushed_subnormals(xp_numpy)
        refuse_flushed_subnormals(xp_torch, device)

    kind = torch.device(device).type
    name = "torch" if kind == "cpu" else f"torch-{kind}"
    return Backend(name, lambda host: to_torch(host, device), to_host, check_worker)


def _import_torch() -> Any:
    try:
        import torch
    except ImportError:
        raise BackendError("backend 'torch' is not installed; pip install 'mergealgebra[torch]'") from None
    return torch


BACKENDS: Final[Mapping[str, Callable[[], Backend]]] = MappingProxyType(
    {"numpy": _numpy, "torch": _torch, "torch-cuda": _torch_cuda, "auto": _numpy}
)
