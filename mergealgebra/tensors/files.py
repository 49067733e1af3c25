"""Files as the user names them: opening one safely, and how an error speaks of it."""

from __future__ import annotations

import os
import reprlib
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from mergealgebra.errors import CheckpointError


def as_path(path: str | os.PathLike[str]) -> Path:
    """The path of a file or folder. Raises CheckpointError for an empty one, or one with a NUL in it."""
    if not isinstance(path, (str, os.PathLike)):
        raise CheckpointError(f"a {type(path).__name__} is not a path: name a safetensors file or a model folder")
    text = os.fspath(path)
    if not text or "\0" in text:
        raise CheckpointError(f"{shown(text)} is not a path: name a safetensors file or a model folder")
    return Path(text)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A regular file, open for reading; symbolic links are followed.

    Raises CheckpointError for anything else, and for what the operating system refuses, while reading too.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # before opening: a pipe would block
            kind = "a folder" if path.is_dir() else "a device or pipe"
            raise CheckpointError(f"{place(path)} is {kind} where a file was expected: name the file")
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise CheckpointError(f"{place(path)} cannot be read: {error.strerror}; check the path") from error


def place(path: Path, name: str | None = None) -> str:
    """How a message begins: the file, and the tensor if there is one."""
    text = str(path)
    file = text if text.isprintable() else ascii(text)
    return file if name is None else f"{file}: tensor {shown(name)}"


def shown(value: object) -> str:
    """A value out of a file: short and on one line, whatever it holds."""
    return _SHORT.repr(value)


_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200
_SHORT.maxlist = _SHORT.maxtuple = 8
