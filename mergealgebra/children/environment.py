"""What a program that a stranger wrote sees of the environment: what it needs to run, never tokens and keys."""

from __future__ import annotations

import os
from collections.abc import Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

from mergealgebra.children.import_path import without_current_folder

#: Variables that are passed on, by name or pattern, each with its reason.
PASSED_ON: Final[Mapping[str, str]] = MappingProxyType(
    {
        "PATH": "where programs are",
        "LD_LIBRARY_PATH": "where libraries are",
        "DYLD_LIBRARY_PATH": "where libraries are, on macOS",
        "NODE_PATH": "where the modules of Node.js are",
        "JULIA_*": "where the packages of Julia are",
        "PYTHON*": "how Python runs, and where its modules are",
        "VIRTUAL_ENV": "which Python is in use",
        "CONDA_PREFIX": "which Python is in use, by conda",
        "HOME": "where settings and caches are",
        "USER": "whose caches in a shared folder are whose: torch asks",
        "LOGNAME": "as USER",
        "XDG_CACHE_HOME": "where caches are",
        "HF_HOME": "where models were downloaded to",
        "TORCH_HOME": "where models were downloaded to, by torch",
        "TMPDIR": "where temporary files go",
        "LANG": "the language, and how text is encoded",
        "LC_*": "as LANG, matter by matter",
        "TZ": "the time zone",
        "*_NUM_THREADS": "how many threads: a question of the suite",
        "*_MAXIMUM_THREADS": "as *_NUM_THREADS, by Apple",
        "OMP_*": "how OpenMP runs: sums may depend on it",
        "KMP_*": "as OMP_*, by Intel",
        "MKL_*": "how products of matrices are computed",
        "OPENBLAS_*": "as MKL_*",
        "NUMBA_*": "what code is compiled, and for which processor",
        "CUDA_*": "which GPUs there are",
        "CUBLAS_*": "how GPUs compute products of matrices",
    }
)


def for_strangers(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The part of an environment that a stranger's program sees; no PYTHONPATH names the current folder."""
    seen = {name: value for name, value in environment.items() if any(fnmatchcase(name, known) for known in PASSED_ON)}
    path = without_current_folder(seen.pop("PYTHONPATH", ""))
    return {**seen, "PYTHONPATH": path} if path else seen
