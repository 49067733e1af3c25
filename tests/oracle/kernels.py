"""Every backend that this machine has; without a CUDA device Triton's interpreter runs its kernel, slowly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from mergealgebra.engine.backends import backend
from mergealgebra.errors import BackendError
from mergealgebra.kernels.blocks import Kernel

ON_CUDA = torch.cuda.is_available()
CPU = ("numpy", "numba", "torch")
BACKENDS = (*CPU, "triton", *(["torch-cuda"] if ON_CUDA else []))
#: Those on which a small merge takes up to a second.
SLOW = () if ON_CUDA else ("triton",)


@contextmanager
def interpreting() -> Iterator[None]:
    """Triton interprets in here where it has no device; it asks the environment at its import and at each run."""
    with pytest.MonkeyPatch.context() as patch:
        if not ON_CUDA:
            patch.setenv("TRITON_INTERPRET", "1")
        yield


class Checked:
    """A kernel that was found fit to compute, and is not asked again at every merge: Triton's answer takes a second."""

    def __init__(self, kernel: Kernel) -> None:
        kernel.check_worker()
        self._kernel = kernel

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernel, name)

    def check_worker(self) -> None:
        """As `Kernel.check_worker`."""


def kernel_named(name: str) -> Kernel:
    """The backend, or a skip."""
    try:
        return Checked(backend(name))
    except BackendError as error:
        pytest.skip(str(error))
