"""Models of parts: each part is a folder in the model's own, and a list there says which folders are parts [EN-20].

Beside them may be folders of any kind: other formats, earlier checkpoints, the weights under their original names.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mergealgebra.disk import read_file
from mergealgebra.errors import CheckpointError
from mergealgebra.tensors.files import reading
from mergealgebra.tensors.strict_json import LaxReader
from mergealgebra.text import listed, location, shown

_MAX_BYTES: Final = 1 << 24
_MAX_DEPTH: Final = 100
_AGAIN: Final = "write it again, or get the folder again"


@dataclass(frozen=True)
class PartList:
    """What a list says. file: its name. folders: of the parts, by name. own: whether the model's folder is one itself.

    needed: whether each folder must be there; sentence-transformers makes none for a module without any file.
    """

    file: str
    folders: tuple[str, ...]
    own: bool
    needed: bool


def part_of(name: str, parts: Container[str]) -> str:
    """The part whose tensor has this name; empty for a tensor of the model's own folder.

    >>> part_of("unet/conv_in.weight", ["unet", "vae"]), part_of("conv_in.weight", ["unet"])
    ('unet', '')
    """
    part, slash, _ = name.partition("/")
    return part if slash and part in parts else ""


def part_list(folder: Path, names: Set[str]) -> PartList | None:
    """The parts of the model in a folder; None where no list names any. names: in the folder.

    Raises CheckpointError for a list that cannot be read or is not the only one, and for what cannot be a part.
    """
    files = [file for file in _LISTS if file in names]
    if not files:
        return None
    if len(files) > 1:
        raise CheckpointError(f"{location(folder)} has two lists of its parts, {listed(files)}: remove what is stale")
    path = folder / files[0]
    try:
        with reading(path):
            reader = LaxReader(read_file(path, _MAX_BYTES), _MAX_DEPTH)
        found = {_checked(path, name) for name in _LISTS[path.name](reader)}
        reader.finish()
    except ValueError as error:
        raise CheckpointError(f"{location(path)} is not a list of parts, {error}: {_AGAIN}") from None
    return PartList(path.name, tuple(sorted(found - {""})), "" in found, path.name == _PIPELINE)


def _components(reader: LaxReader) -> Iterator[str]:
    """The parts of a pipeline of diffusers: those that are of some library and class."""
    if reader.mark != b"{":
        raise ValueError("it is not an object")
    for key in reader.names():
        if key.startswith("_") or reader.mark != b"[":
            reader.skip()
        elif _has_text(reader):
            yield key


def _has_text(reader: LaxReader) -> bool:
    found = False
    for _ in reader.items():
        found |= reader.mark == b'"'
        reader.skip()
    return found


def _modules(reader: LaxReader) -> Iterator[str]:
    """The folders of the modules of sentence-transformers; empty for the one whose files are in the model's own."""
    if reader.mark != b"[":
        raise ValueError("it is not an array")
    for _ in reader.items():
        if reader.mark != b"{":
            raise ValueError("it holds something that is not an object")
        for key in reader.names():
            if key == "path" and reader.mark == b'"':
                yield reader.text()
            else:
                reader.skip()


def _checked(path: Path, name: str) -> str:
    if name.startswith(".") or any(mark in name for mark in "/\\\0"):
        raise CheckpointError(
            f"{location(path)} names the part {shown(name)}, and a part is a folder beside it: merge each part "
            "by itself"
        )
    return name


_PIPELINE: Final = "model_index.json"
#: The lists, and how each is read: that of diffusers, and that of sentence-transformers.
_LISTS: Final[dict[str, Callable[[LaxReader], Iterator[str]]]] = {_PIPELINE: _components, "modules.json": _modules}
