"""What goes along with a merged model: the files beside the base's tensors, never one from elsewhere [LK-1].

A model's folder comes from strangers, and a merged model is published. So a link in it is followed to a file of the
same folder alone, or of the same cached model; and what is read is reached from there step by step, without links.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from mergealgebra.disk import PIECE_BYTES, open_file, opened_folder
from mergealgebra.errors import CheckpointError
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.files import reading
from mergealgebra.text import place

#: All of them together have no more: a tokenizer has 20 MB, a file that claims more is a mistake or a trap.
MOST_BYTES: Final = 64 << 20

#: The files that describe a model and are no weights: configuration, tokenizer, templates, the model's own code.
_DESCRIPTIONS: Final = (
    *("config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "vocab.txt", "merges.txt", "*.model", "*.tiktoken", "chat_template.*", "*.jinja"),
    *("configuration_*.py", "modeling_*.py", "tokenization_*.py"),
)
#: In capitals, as most write them.
_LICENCES: Final = ("LICENSE*", "LICENCE*", "NOTICE*", "USE_POLICY*")


def is_companion(name: str) -> bool:
    """Whether a file of this name goes along."""
    described = any(fnmatchcase(name, pattern) for pattern in _DESCRIPTIONS)
    licensed = any(fnmatchcase(name.upper(), pattern) for pattern in _LICENCES)
    return (described or licensed) and not name.startswith(".")


def companions(base: Checkpoint) -> list[Companion]:
    """The base's files to copy, in the order of their names; none for a single file.

    Raises CheckpointError for a link that leaves the folder, for what is not a file, and when they are too large.
    """
    if base.folder is None:
        return []
    with reading(base.folder):
        home = Path(os.path.realpath(base.folder, strict=True))
        names = sorted(filter(is_companion, os.listdir(home)))  # noqa: PTH208 - names, not paths
    found = [companion for name in names if (companion := _found(base.folder / name, home)) is not None]
    _refuse_large(found)
    return found


@dataclass(frozen=True)
class Companion:
    """A file to copy. path: as messages name it. anchor, steps: the folder it is reached from, and how."""

    path: Path
    anchor: Path
    steps: tuple[str, ...]

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Its descriptor; whatever took its place meanwhile, it is a file below the anchor. Raises CheckpointError."""
        with ExitStack() as stack:
            with _readable(self.path):
                folder = stack.enter_context(opened_folder(self.anchor))
                for step in self.steps[:-1]:
                    folder = stack.enter_context(opened_folder(step, within=folder))
                descriptor = open_file(self.steps[-1], within=folder)
            stack.callback(os.close, descriptor)
            yield descriptor

    def pieces(self, descriptor: int, most: int) -> Iterator[bytes]:
        """Its bytes, though the file may grow while it is read. Raises CheckpointError when they are more than most."""
        with _readable(self.path):
            while piece := os.read(descriptor, PIECE_BYTES):
                most -= len(piece)
                if most < 0:
                    raise _too_large(f"{place(self.path)} has more bytes than its size says")
                yield piece


def _found(path: Path, home: Path) -> Companion | None:
    """The companion at a path; None for a folder."""
    try:
        real = Path(os.path.realpath(path, strict=True))
        if stat.S_ISDIR(os.lstat(real).st_mode):
            return None
    except OSError as error:
        raise CheckpointError(
            f"{place(path)} is a link that leads to no file: {error.strerror}; get the model again, or remove the link"
        ) from error
    if real.is_relative_to(home):
        return Companion(path, home, real.relative_to(home).parts)
    cache = _cache_of(home)
    if cache is not None and real.parent == cache / "blobs":
        return Companion(path, cache, ("blobs", real.name))
    raise CheckpointError(
        f"{place(path)} is a link to {place(real)}, outside the model's folder, and would be copied into the merged "
        "model: put a copy of that file in its place, or remove the link"
    )


def _cache_of(home: Path) -> Path | None:
    """The outer folder of a cached model, whose snapshots link to its blobs; None if `home` is not a snapshot."""
    snapshots = next((folder for folder in home.parents if folder.name == "snapshots"), None)
    return None if snapshots is None else snapshots.parent


def _refuse_large(found: Sequence[Companion]) -> None:
    sizes = {}
    for companion in found:
        with companion.opened() as descriptor:
            sizes[companion.path] = os.fstat(descriptor).st_size
    total = sum(sizes.values())
    if total > MOST_BYTES:
        largest = max(sizes, key=sizes.__getitem__)
        raise _too_large(
            f"{place(largest)} has {sizes[largest]:,} bytes, with the other files beside the tensors {total:,}"
        )


def _too_large(found: str) -> CheckpointError:
    return CheckpointError(f"{found}, and {MOST_BYTES:,} are copied at most: move it out of the model's folder")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"{place(path)} cannot be read: {error.strerror}; check it, or remove it from the model's folder"
        ) from error
