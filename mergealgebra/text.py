"""How messages speak of values, files and tensors: short, and on one line."""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import Final, NamedTuple


def shown(value: object) -> str:
    """A value from a user or a file, whatever it holds; what is long loses its middle."""
    return _SHORT.repr(value)


def place(path: Path, name: str | None = None) -> str:
    """How a message begins: the file, and the tensor if there is one."""
    if name is not None:
        return str(Where(name, path))
    text = str(path)
    return text if text.isprintable() else ascii(text)


class Where(NamedTuple):
    """The tensor that a message is about. It is put into words by the message, as most tensors have none."""

    name: str
    path: Path | None = None

    def __str__(self) -> str:
        tensor = f"tensor {shown(self.name)}"
        return tensor if self.path is None else f"{place(self.path)}: {tensor}"


_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200
_SHORT.maxlist = _SHORT.maxtuple = 8
