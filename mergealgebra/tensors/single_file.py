"""A merged model in one file, asked for by its name, with its lock beside it [LK-9]."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mergealgebra.errors import OutputError
from mergealgebra.text import location

if TYPE_CHECKING:
    from mergealgebra.tensors.checkpoint import Checkpoint

_SUFFIX: Final = ".safetensors"
_LOCK_SUFFIX: Final = ".lock"
#: How files of weights end that are not written here.
_OTHERS: Final = frozenset(
    (".bin", ".ckpt", ".gguf", ".h5", ".npz", ".onnx", ".pkl", ".pt", ".pth", ".safetensor", ".sft", _SUFFIX)
)


def is_single_file(out: Path) -> bool:
    """Whether a merge to this name writes one file, and no folder.

    >>> is_single_file(Path("merged.safetensors")), is_single_file(Path("merged"))
    (True, False)
    """
    return out.name.endswith(_SUFFIX)


def refuse_other_file(out: Path) -> None:
    """Raise OutputError for a new name that asks for a file of another kind: a folder of that name would surprise."""
    if out.suffix.lower() in _OTHERS and not is_single_file(out) and not out.is_dir():
        raise OutputError(
            f"{location(out)} looks like the name of a file: for one file end the name in {_SUFFIX}, and for a folder "
            f"leave {out.suffix} out"
        )


def lock_beside(model: Path) -> Path:
    """Where the lock of a model in one file is.

    >>> str(lock_beside(Path("models/merged.safetensors")))
    'models/merged.safetensors.lock'
    """
    return model.with_name(model.name + _LOCK_SUFFIX)


def refuse_parts(out: Path, base: Checkpoint) -> None:
    """Raise OutputError for a base that is a model of parts: no program would find them in one file."""
    if base.parts:
        raise OutputError(
            f"{location(out)} asks for one file, and {location(base.path)} is a model of parts, each in a folder of "
            "its own: choose a name that does not end in .safetensors"
        )
