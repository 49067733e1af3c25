"""Files as the user names them: opening one safely."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mergealgebra.disk import open_file
from mergealgebra.errors import CheckpointError
from mergealgebra.permissions import reading_advice
from mergealgebra.text import location, shown

#: What the system tells of a file: equal while it is the same file with the same bytes.
Identity = tuple[int, ...]


def identity(descriptor: int) -> Identity:
    """Which file is open, its size and its times."""
    now = os.fstat(descriptor)
    return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns


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
    with reading(path), open(path, "rb", opener=lambda name, _: open_file(name)) as file:
        yield file


@contextmanager
def reading(path: Path, name: str | None = None) -> Iterator[None]:
    """What the operating system refuses while the file, or the tensor in it, is read: a CheckpointError, its cause."""
    try:
        yield
    except OSError as error:
        raise unreadable(error, path, name) from error


def unreadable(error: OSError, path: Path, name: str | None = None) -> CheckpointError:
    """What the operating system refused while the file, or the tensor in it, was read."""
    advice = reading_advice(error, path, "check the path")
    return CheckpointError(f"{location(path, name)} cannot be read: {error.strerror}; {advice}")
