"""An index: which file of its folder each tensor of a sharded model is in [EN-16]."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Final

from mergealgebra.disk import read_file
from mergealgebra.errors import CheckpointError, DuplicateName
from mergealgebra.tensors.files import reading
from mergealgebra.tensors.header import TensorRecord
from mergealgebra.tensors.safetensors_file import MAX_HEADER_BYTES, read_header
from mergealgebra.tensors.strict_json import Reader, RepeatedKey
from mergealgebra.text import location, shown

_MAX_DEPTH: Final = 64
_REWRITE: Final = "write the index again, or get the folder again"
#: As transformers and diffusers name it, with the name of a variant or without.
_NAME: Final = re.compile(r".*[.]safetensors[.]index([.][^.]+)?[.]json", re.DOTALL)


def is_index(name: str) -> bool:
    """Whether a file of this name is an index of safetensors files.

    >>> is_index("model.safetensors.index.json"), is_index("unet.safetensors.index.fp16.json"), is_index("config.json")
    (True, True, False)
    """
    return _NAME.fullmatch(name) is not None


def read_shards(path: Path, names: Set[str]) -> dict[str, TensorRecord]:
    """The tensors of all shards of an index, each where it says and nowhere else [EN-16]. names: in its folder."""
    index = Index(path)
    records: dict[str, TensorRecord] = {}
    for file in index.files(names):
        for name, record in read_header(path.parent / file).items():
            if name in records:
                raise DuplicateName(
                    f"{location(record.path, name)} stands in the shard {shown(records[name].path.name)} too: "
                    f"{_REWRITE}"
                )
            records[name] = record
    index.check_files(records)
    return {name: records[name] for name in sorted(records)}


class Index:
    """An index as its bytes: it is read once for the files, and again for the tensors once those are known [EN-16].

    So the names in it are never all in memory.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with reading(path):
            self._data = read_file(path, MAX_HEADER_BYTES)

    def files(self, names: Set[str]) -> list[str]:
        """The shards that it names, all of them among these names in its folder: some cannot stand in a path."""
        found: set[str] = set()
        missing = None
        for _, file in self._weight_map():
            if file in names:
                found.add(file)
            elif missing is None:
                missing = file  # what is wrong with the index itself is told first
        if missing is not None:
            raise CheckpointError(
                f"{location(self._path)} names the shard {shown(missing)}, which is missing: get it again"
            )
        return sorted(found)

    def here(self, names: Set[str]) -> set[str]:
        """Which of these names, of files in its folder, are shards of it."""
        return {file for _, file in self._weight_map() if file in names}

    def check_files(self, records: Mapping[str, TensorRecord]) -> None:
        """Every tensor of the shards is in the index, and the other way round, with its file."""
        unnamed = set(records)
        path, held = None, ""  # of the tensor before: the name in a path takes a while to find
        for name, file in self._weight_map():
            record = records.get(name)
            if record is None:
                raise CheckpointError(
                    f"{location(self._path, name)} is not in {shown(file)}, nor in another shard: {_REWRITE}"
                )
            if record.path is not path:
                path, held = record.path, record.path.name
            if held != file:
                raise CheckpointError(
                    f"{location(self._path, name)} is in {shown(held)}, not in {shown(file)}: {_REWRITE}"
                )
            unnamed.discard(name)
        if unnamed:
            name = min(unnamed)
            where = location(records[name].path, name)
            raise CheckpointError(f"{where} is not in {shown(self._path.name)}: {_REWRITE}")

    def _weight_map(self) -> Iterator[tuple[str, str]]:
        """Each tensor and the name of its file. The index is known to be sound when it ends."""
        where, has_map = location(self._path), False
        try:
            reader = Reader(self._data, _MAX_DEPTH)
            if reader.mark != b"{":
                raise CheckpointError(f"{where} is {shown(reader.value())}, expected an object: {_REWRITE}")
            for key in reader.members():
                if key == "weight_map":
                    has_map = True
                    yield from self._files_by_tensor(reader)
                else:
                    reader.skip()
            reader.finish()
        except RepeatedKey as error:
            raise DuplicateName(f"{where} has the key {shown(error.key)} twice: {_REWRITE}") from None
        except ValueError as error:
            raise CheckpointError(f"{where} is not JSON, {error}: {_REWRITE}") from None
        if not has_map:
            raise _no_map(where, None)

    def _files_by_tensor(self, reader: Reader) -> Iterator[tuple[str, str]]:
        """The same of the map that is next."""
        if reader.mark != b"{":
            raise _no_map(location(self._path), reader.value())
        known: str | None = None
        for name in reader.members():
            file = reader.value()
            if known is None or file != known:  # most tensors follow another of their shard
                known = _file_name(self._path, name, file)
            yield name, known


def _no_map(where: str, found: object) -> CheckpointError:
    return CheckpointError(f"{where} has {shown(found)} as its weight_map, expected an object: {_REWRITE}")


def _file_name(index: Path, name: str, file: object) -> str:
    if not isinstance(file, str) or file in ("", ".", "..") or any(mark in file for mark in "/\\\0"):
        raise CheckpointError(
            f"{location(index, name)} is in {shown(file)}, expected the name of a file beside the index: {_REWRITE}"
        )
    return file
