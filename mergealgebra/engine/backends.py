"""Backends: the kernels by name. All give equal bits; the choice is one of speed [MG-8]."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from mergealgebra.disk import FOLDERS_CAN_BE_HELD
from mergealgebra.errors import BackendError
from mergealgebra.kernels.blocks import Kernel, whole_round
from mergealgebra.kernels.fused_methods import COMPUTED, is_fused
from mergealgebra.methods.method import Method
from mergealgebra.methods.settings import numbers_by_contribution
from mergealgebra.progress import Progress, quiet


def backend(name: str, progress: Progress = quiet) -> Kernel:
    """The backend of this name; "auto" is Numba where it is installed and its code can be kept, else NumPy.

    progress: told when its kernels have to be compiled. Raises BackendError when there is none, or it is not installed.
    """
    if name not in BACKENDS:
        raise BackendError(f"backend {name!r} is unknown; expected one of {', '.join(BACKENDS)}")
    return BACKENDS[name](progress)


def backend_for(recipe: Method, name: str, progress: Progress = quiet) -> Kernel:
    """The backend of this name, if it computes the method [MG-8].

    "auto" is Numba's if that does, else NumPy with compiled pieces, or without where Numba is not installed.
    Which methods fused kernels compute is told before anything is looked for on this machine.
    Raises BackendError for a backend that does not compute it, and as `backend` does. Methods over whole tensors are
    NumPy's alone [RC-9].
    """
    if whole := whole_round(recipe):
        if name not in ("auto", "numpy"):
            raise BackendError(f"backend {name!r} has no {whole.name}; leave it out, NumPy computes it")
        return _numpy(progress)
    if name == "auto" and not is_fused(recipe, "numba"):
        return _numpy_with_numba(progress) if _can_compile() else _numpy(progress)
    if name in COMPUTED and not is_fused(recipe, name):
        how = " with numbers by contribution" if numbers_by_contribution(recipe) else ""
        raise BackendError(f"backend {name!r} does not compute {recipe.name}{how}; leave it out, NumPy computes it")
    found = backend(name, progress)
    if not found.computes(recipe):
        raise BackendError(f"backend {name!r} does not compute {recipe.name}; leave it out, NumPy computes it")
    return found


def warm_up(progress: Progress = quiet) -> tuple[Path, list[str]]:
    """Compile the kernels of this machine that no process has kept yet, so that no merge has to [CL-6].

    Returns the folder in which all are kept, and the names of those that were compiled now. Raises BackendError where
    there is nothing to compile, and where nothing can be kept.
    """
    _refuse_without_numba()
    from mergealgebra.kernels.calls import COMPILING
    from mergealgebra.kernels.machine_code import keep_all

    return keep_all(partial(progress, COMPILING))


def torch_on(device: Any) -> Kernel:
    """The equations on torch, on one device."""
    _import_torch()
    from mergealgebra.kernels.reference import on_torch

    return on_torch(device)


def _numpy(_: Progress) -> Kernel:
    from mergealgebra.kernels.numpy_reference import on_numpy

    return on_numpy()


def _numba(progress: Progress) -> Kernel:
    _refuse_without_numba()
    from mergealgebra.kernels.cpu import NumbaKernel

    return NumbaKernel(progress)


def _refuse_without_numba() -> None:
    if not _has("numba"):
        raise BackendError("backend 'numba' is not installed; pip install numba")
    if not FOLDERS_CAN_BE_HELD:
        raise BackendError("backend 'numba' cannot keep its machine code safely on this system; use 'numpy', or WSL2")


def _numpy_with_numba(progress: Progress) -> Kernel:
    _refuse_without_numba()
    from mergealgebra.kernels.pieces import numpy_with_numba

    return numpy_with_numba(progress)


def _auto(progress: Progress) -> Kernel:
    return _numba(progress) if _can_compile() else _numpy(progress)


def _can_compile() -> bool:
    return _has("numba") and FOLDERS_CAN_BE_HELD


def _torch(_: Progress) -> Kernel:
    return torch_on("cpu")


def _torch_cuda(_: Progress) -> Kernel:
    torch = _import_torch()
    if not torch.cuda.is_available():
        raise BackendError("backend 'torch-cuda' needs a CUDA device that torch can see; use 'torch' or 'numpy'")
    return torch_on("cuda")


def _triton(_: Progress) -> Kernel:
    _import_torch()
    from mergealgebra.kernels.gpu import TritonKernel

    return TritonKernel()


def _import_torch() -> Any:
    try:
        import torch
    except ImportError:
        raise BackendError("backend 'torch' is not installed; pip install torch") from None
    return torch


def _has(package: str) -> bool:
    """Whether a package is installed, found out without importing it; one that tests hide is not."""
    if package in sys.modules:
        return sys.modules[package] is not None
    return find_spec(package) is not None


BACKENDS: Final[Mapping[str, Callable[[Progress], Kernel]]] = MappingProxyType(
    {
        "auto": _auto,
        "numba": _numba,
        "numpy": _numpy,
        "numpy+numba": _numpy_with_numba,
        "torch": _torch,
        "torch-cuda": _torch_cuda,
        "triton": _triton,
    }
)
