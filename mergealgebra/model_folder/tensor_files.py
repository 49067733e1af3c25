"""The files that hold a model's tensors: which they are, and how pieces of a merge fill them [EN-18, EN-20]."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np

from mergealgebra.disk import write_all
from mergealgebra.engine.merged_spans import MergedSpan
from mergealgebra.errors import OutputError
from mergealgebra.model_folder.unfinished import UnfinishedFolder
from mergealgebra.tensors.parts import part_of
from mergealgebra.tensors.safetensors_file import Entry, canonical_header, index_bytes, shard_names, shards

#: How many bytes are written before they are flushed to the disk.
_FLUSH_BYTES: Final = 1 << 26


@dataclass(frozen=True)
class TensorFile:
    """A file of tensors. name: of the file, in a part as PART/NAME. entries: of its tensors, as the file names them.

    part: the one that it is in; the merge's name of a tensor begins with it.
    """

    name: str
    entries: Sequence[Entry]
    part: str = ""

    @property
    def tensors(self) -> list[str]:
        """The names of its tensors in the merge."""
        return [_in_part(self.part, name) for name, *_ in self.entries]


@dataclass(frozen=True)
class Layout:
    """The files of a model: those of tensors, and the index of each part that has several, by name."""

    files: Sequence[TensorFile]
    indexes: Mapping[str, bytes]


def layout(entries: Iterable[Entry], stems: Mapping[str, str]) -> Layout:
    """How a model lies in a folder [EN-18]. stems: how the names of each part's files begin, by part [EN-20]."""
    parts: dict[str, list[Entry]] = {part: [] for part in stems}
    for entry in entries:
        part = part_of(entry[0], parts)
        parts[part].append((entry[0].removeprefix(f"{part}/"), *entry[1:]) if part else entry)
    files, indexes = list[TensorFile](), dict[str, bytes]()
    for part, stem in stems.items():
        cut = shards(parts[part])
        names = shard_names(len(cut), stem)
        files += [TensorFile(_in_part(part, name), shard, part) for name, shard in zip(names, cut, strict=True)]
        if len(cut) > 1:
            indexes[_in_part(part, f"{stem}.safetensors.index.json")] = index_bytes(cut, stem)
    return Layout(files, indexes)


def write_tensors(folder: UnfinishedFolder, files: Sequence[TensorFile], pieces: Iterable[MergedSpan]) -> None:
    """Write files of tensors from the pieces of a merge, each file's in the order of its tensors.

    Raises OutputError where the pieces are more or fewer than the tensors, OSError, and what comes with the pieces.
    """
    homes = {name: file for file in files for name in file.tensors}
    left = {file.name: sum(nbytes for *_, nbytes in file.entries) for file in files}
    with ExitStack() as stack:
        opened: dict[str, NewFile] = {}
        for file in files:
            if not left[file.name]:
                _begin(stack, folder, file).finish()
        for piece in pieces:
            file, data = homes[piece.span.name], piece.data.view(np.uint8).data
            if file.name not in opened:
                opened[file.name] = _begin(stack, folder, file)
            opened[file.name].write(data)
            left[file.name] -= len(data)
            if left[file.name] == 0:
                opened[file.name].finish()
    if any(left.values()):
        raise OutputError("the merge gave other elements than the model has; this is a fault of mergealgebra")


def _begin(stack: ExitStack, folder: UnfinishedFolder, file: TensorFile) -> NewFile:
    new = stack.enter_context(new_file(folder, file.name))
    new.write(canonical_header(file.entries))
    return new


def _in_part(part: str, name: str) -> str:
    return f"{part}/{name}" if part else name


class NewFile:
    """A file that is being written. nbytes: so many are."""

    def __init__(self, descriptor: int) -> None:
        self.nbytes, self._unsafe = 0, 0
        self._descriptor: int | None = descriptor

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes. Raises OSError."""
        descriptor = self._descriptor
        if descriptor is None:
            raise OutputError("a file has been finished and takes no more bytes")
        write_all(descriptor, data)
        self.nbytes, self._unsafe = self.nbytes + len(data), self._unsafe + len(data)
        if self._unsafe >= _FLUSH_BYTES:  # while workers compute what comes next: nobody waits for it at the end
            os.fsync(descriptor)
            self._unsafe = 0

    def finish(self) -> None:
        """Bring the file to the disk and close it. Raises OSError."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)
            self.close()

    def close(self) -> None:
        """Close it as it is. Closing twice does no harm."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)


@contextmanager
def new_file(folder: UnfinishedFolder, name: str, mode: int = 0o666) -> Iterator[NewFile]:
    """A new file of a folder, closed at the end. mode: who may read and write it, less the umask. Raises OSError."""
    file = NewFile(folder.new_file(name, mode))
    try:
        yield file
    finally:
        file.close()
