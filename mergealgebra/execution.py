"""How a merge is computed, which never changes what it gives."""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mergealgebra.model_folder.unfinished import Noted
from mergealgebra.progress import Progress, quiet

if TYPE_CHECKING:
    from mergealgebra.incremental.folder import Home

_BLAS_THREADS: Final = "OPENBLAS_NUM_THREADS"


@dataclass(frozen=True)
class Execution:
    """How a merge is computed; never what it gives [MG-8]. Left out: all cores, a fitting block, 256 MiB, silence.

    memory: bytes beyond the imports; no limit for other dialects of TIES. answers: where what was found before is kept
    from merge to merge. executor: where work is done, any of `concurrent.futures`; threads if left out. aggregate: the
    home in which the sums of a state's contributions are, so that a change costs one pass over it and them [EX-4,
    EX-5]. noted: told where the model is written until it is whole [LK-7].
    """

    backend: str = "auto"
    threads: int | None = None
    block: int | None = None
    progress: Progress = quiet
    memory: int | None = None
    answers: MutableMapping[str, bytes] | None = None
    executor: Executor | None = None
    aggregate: Home | None = None
    noted: Noted = nullcontext


def start_numpy() -> None:
    """Import NumPy, in a process of ours, without the threads of its OpenBLAS: no merge needs them.

    To make them takes as long as a third of the import. Nothing is changed if NumPy is there, or somebody says how
    many there are to be; other processes are not told.
    """
    if _BLAS_THREADS in os.environ or "numpy" in sys.modules:
        return
    os.environ[_BLAS_THREADS] = "1"
    try:
        import numpy  # noqa: F401 - it reads this as it loads
    finally:
        del os.environ[_BLAS_THREADS]
