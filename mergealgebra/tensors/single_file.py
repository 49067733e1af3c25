"""A merged model in one file, asked for by its name, with its lock beside it [LK-9]."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_SUFFIX: Final = ".safetensors"
_LOCK_SUFFIX: Final = ".lock"


def is_single_file(out: Path) -> bool:
    """Whether a merge to this name writes one file, and no folder.

    >>> is_single_file(Path("merged.safetensors")), is_single_file(Path("merged"))
    (True, False)
    """
    return out.name.endswith(_SUFFIX)


def lock_beside(model: Path) -> Path:
    """Where the lock of a model in one file is.

    >>> str(lock_beside(Path("models/merged.safetensors")))
    'models/merged.safetensors.lock'
    """
    return model.with_name(model.name + _LOCK_SUFFIX)
