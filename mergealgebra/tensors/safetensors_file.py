"""One safetensors file: a reader that refuses every doubt, and the one way in which we write.

A header is judged whole before anything larger is allocated [EN-9 to EN-14]. Equal tensors are written as
equal files [EN-17 to EN-19].
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from mergealgebra.errors import DtypeError, DuplicateName, HeaderError, LayoutError, ShapeError
from mergealgebra.tensors import strict_json
from mergealgebra.tensors.dtypes import DTYPES, Dtype, lookup
from mergealgebra.tensors.files import Identity, as_path, identity, opened
from mergealgebra.text import Where, place, shown

MAX_HEADER_BYTES: Final = 100_000_000
MAX_HEADER_DEPTH: Final = 4
METADATA: Final = "__metadata__"
#: A shard holds at most so many bytes of data, unless its first tensor alone has more [EN-18].
SHARD_BYTES = 5_000_000_000

#: A tensor to be written: name, dtype as safetensors writes it, shape, bytes of data.
Entry = tuple[str, str, tuple[int, ...], int]

_KEYS: Final = ("dtype", "shape", "data_offsets")
_LIMIT: Final = 1 << 63
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_AGAIN: Final = "get or write the file again"


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """Where a tensor lies: `nbytes` bytes of the file `path` from the absolute `offset`, in C order."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: Path
    offset: int
    nbytes: int
    identity: Identity  # of the file, as its header was read

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.nbytes // DTYPES[self.dtype].itemsize


# Reading: each function decides one rule


def read_header(path: str | os.PathLike[str]) -> dict[str, TensorRecord]:
    """The tensors of one file, in name order, once its header is known to be sound [EN-9 to EN-14].

    Raises CheckpointError when the file cannot be read; HeaderError, DuplicateName, DtypeError, ShapeError
    or LayoutError when it breaks a rule.
    """
    path = as_path(path)
    with opened(path) as file:
        return header_of(file, path)


def header_of(file: BinaryIO, path: Path) -> dict[str, TensorRecord]:
    """The same of a file that is open at its beginning. path: its own."""
    which = identity(file.fileno())  # before it is read: what comes later must be the same file
    header, data_bytes = _read_parts(file, path)
    start = 8 + len(header)
    tensors = _tensors(header, path)
    records = {name: _record(name, tensors[name], path, which, start) for name in sorted(tensors, key=str.encode)}
    _check_layout(records.values(), path, start, data_bytes)
    return records


def _read_parts(file: BinaryIO, path: Path) -> tuple[bytes, int]:
    """The bytes of the JSON, and the number of bytes of data after it [EN-9]."""
    file_bytes = os.fstat(file.fileno()).st_size
    prefix = file.read(8)
    if prefix == b"version ":
        raise HeaderError(f"{place(path)} is a Git LFS pointer, not the tensors: run `git lfs pull`")
    if len(prefix) < 8:
        raise HeaderError(f"{place(path)} has {len(prefix)} bytes, expected at least 8: {_AGAIN}")
    length = int.from_bytes(prefix, "little")
    most = min(MAX_HEADER_BYTES, file_bytes - 8)
    if length > most:
        raise HeaderError(f"{place(path)}: the header has {length} bytes, expected at most {most}: {_AGAIN}")
    header = file.read(length)
    if len(header) < length:
        raise HeaderError(f"{place(path)} became shorter while it was read: {_AGAIN}")
    return header, file_bytes - 8 - length


def _tensors(header: bytes, path: Path) -> dict[str, object]:
    """The header's entries by name, the metadata judged and left out [EN-9, EN-10]."""
    try:
        parsed = strict_json.parse(header.strip(b" "), MAX_HEADER_DEPTH)
    except ValueError as error:
        raise HeaderError(f"{place(path)}: the header is not the JSON it must be, {error}: {_AGAIN}") from None
    if not isinstance(parsed, strict_json.Object):
        raise HeaderError(f"{place(path)}: the header is {shown(parsed)}, expected an object: {_AGAIN}")
    if parsed.repeated is not None:
        raise DuplicateName(f"{place(path, parsed.repeated)} stands twice in the header: {_AGAIN}")
    if METADATA in parsed:
        _check_metadata(parsed.pop(METADATA), f"{place(path)}: {METADATA}")
    for name in parsed:
        _check_name(Where(name, path))
    return parsed


def _check_metadata(metadata: object, where: str) -> None:
    """Metadata is an object of strings [EN-10]."""
    if not isinstance(metadata, strict_json.Object):
        raise HeaderError(f"{where} is {shown(metadata)}, expected an object of strings: {_AGAIN}")
    if metadata.repeated is not None:
        raise DuplicateName(f"{where} has the key {shown(metadata.repeated)} twice: {_AGAIN}")
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise HeaderError(f"{where} has {shown(value)} for {shown(key)}, expected a string: {_AGAIN}")
        if _LONE_SURROGATE.search(key) or _LONE_SURROGATE.search(value):
            raise HeaderError(f"{where} has a lone surrogate in or under {shown(key)}: {_AGAIN}")


def _check_name(where: Where) -> None:
    """A name is Unicode text, and not the one that means the metadata [EN-10]."""
    if where.name == METADATA:
        raise HeaderError(f"{where} has the name that safetensors keeps for metadata: rename the tensor")
    if _LONE_SURROGATE.search(where.name):
        raise HeaderError(f"{where} has a lone surrogate in its name: rename the tensor")


def _record(name: str, entry: object, path: Path, which: Identity, start: int) -> TensorRecord:
    """One entry, judged by itself; its data lies `begin` bytes after `start` [EN-11, EN-12]."""
    where = Where(name, path)
    if not isinstance(entry, strict_json.Object):
        raise HeaderError(f"{where} is {shown(entry)}, expected an object with {', '.join(_KEYS)}: {_AGAIN}")
    if entry.repeated is not None:
        raise DuplicateName(f"{where} has the key {shown(entry.repeated)} twice: {_AGAIN}")
    if entry.keys() != set(_KEYS):
        raise HeaderError(f"{where} has the keys {shown(list(entry))}, expected {', '.join(_KEYS)}: {_AGAIN}")
    dtype = _dtype(entry["dtype"], where)
    shape = _shape(entry["shape"], where)
    begin, end = _offsets(entry["data_offsets"], where)
    nbytes = _nbytes(dtype, shape, where)
    if nbytes != end - begin:
        raise ShapeError(
            f"{where} has {end - begin} bytes, but {dtype.name} of shape {shown(shape)} takes {nbytes}: {_AGAIN}"
        )
    return TensorRecord(name, dtype.name, shape, path, start + begin, nbytes, which)


def _dtype(dtype: object, where: Where) -> Dtype:
    if not isinstance(dtype, str):
        raise DtypeError(f"{where} has the dtype {shown(dtype)}, expected a string: {_AGAIN}")
    return DTYPES.get(dtype) or lookup(dtype, str(where))


def _shape(shape: object, where: Where) -> tuple[int, ...]:
    if not isinstance(shape, list):
        raise ShapeError(f"{where} has the shape {shown(shape)}, expected an array of integers: {_AGAIN}")
    for size in shape:
        if type(size) is not int or not 0 <= size < _LIMIT:
            raise ShapeError(f"{where} has {shown(size)} in its shape, expected an integer in [0, 2^63): {_AGAIN}")
    return tuple(shape)


def _offsets(offsets: object, where: Where) -> tuple[int, int]:
    match offsets:
        case [int(begin), int(end)] if type(begin) is type(end) is int and 0 <= begin <= end:
            return begin, end
    raise LayoutError(f"{where} has data_offsets {shown(offsets)}, expected two integers 0 <= b <= e: {_AGAIN}")


def _nbytes(dtype: Dtype, shape: tuple[int, ...], where: Where) -> int:
    """The bytes of a tensor, found without ever multiplying large numbers [EN-11]."""
    nbytes = dtype.itemsize
    for size in filter(None, shape):
        nbytes *= size
        if nbytes >= _LIMIT:
            raise ShapeError(f"{where} has the shape {shown(shape)}, of 2^63 bytes or more: {_AGAIN}")
    return 0 if 0 in shape else nbytes


def _check_layout(records: Iterable[TensorRecord], path: Path, start: int, data_bytes: int) -> None:
    """The tensors cover the data exactly, from its first byte to its last [EN-13]."""
    reached, last = start, None
    for record in sorted(records, key=lambda record: record.offset):
        where = Where(record.name, path)
        if not record.nbytes:
            if record.offset > start + data_bytes:
                raise LayoutError(f"{where} is empty, and lies beyond the end of the file: {_AGAIN}")
            continue
        if record.offset != reached:
            kind = "overlaps the tensor before it" if record.offset < reached else "leaves a hole before it"
            raise LayoutError(
                f"{where} {kind}: its data begins at {record.offset - start}, expected {reached - start}: {_AGAIN}"
            )
        reached, last = record.offset + record.nbytes, where
    if reached != start + data_bytes:
        end = last or place(path)
        raise LayoutError(
            f"{end}: tensors end at byte {reached - start} of the data, and the file at {data_bytes}: {_AGAIN}"
        )


# Writing


def canonical_header(entries: Iterable[Entry]) -> bytes:
    """The eight bytes of length and the padded JSON of a file of these tensors, given in any order [EN-17].

    Their data must follow in name order, without gaps. Raises as `in_name_order` does, and HeaderError when
    the header would be larger than any reader allows.
    """
    header: dict[str, object] = {METADATA: {"format": "pt"}}
    end = 0
    for name, dtype, shape, nbytes in in_name_order(entries):
        begin, end = end, end + nbytes
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": (begin, end)}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER_BYTES:
        raise HeaderError(
            f"{len(header) - 1} tensors need a header of {len(text)} bytes, expected at most {MAX_HEADER_BYTES}:"
            " write fewer tensors to one file"
        )
    return len(text).to_bytes(8, "little") + text


def shards(entries: Iterable[Entry]) -> list[list[Entry]]:
    """The tensors of a model cut into files, in name order [EN-18].

    There is always one shard, empty when there are no tensors. Raises as `in_name_order` does.
    """
    cut: list[list[Entry]] = [[]]
    filled = 0
    for entry in in_name_order(entries):
        nbytes = entry[3]
        if cut[-1] and filled + nbytes > SHARD_BYTES:
            cut.append([])
            filled = 0
        cut[-1].append(entry)
        filled += nbytes
    return cut


def shard_names(count: int) -> list[str]:
    """The file names of a model of so many shards [EN-18]."""
    if count == 1:
        return ["model.safetensors"]
    return [f"model-{number:05}-of-{count:05}.safetensors" for number in range(1, count + 1)]


def index_bytes(cut: Sequence[Sequence[Entry]]) -> bytes:
    """The file `model.safetensors.index.json` for the shards that `shards` gave, two or more [EN-18]."""
    index = {
        "metadata": {"total_size": sum(nbytes for shard in cut for *_, nbytes in shard)},
        "weight_map": {
            name: file for file, shard in zip(shard_names(len(cut)), cut, strict=True) for name, *_ in shard
        },
    }
    return json.dumps(index, ensure_ascii=False, indent=2).encode() + b"\n"


def in_name_order(entries: Iterable[Entry]) -> list[Entry]:
    """The entries by their names as UTF-8, once each is known to be one that a reader would take back.

    Raises HeaderError for a name that no file may hold, DuplicateName, DtypeError, and ShapeError where the
    bytes are not those of the shape.
    """
    by_name: dict[str, Entry] = {}
    for name, dtype, shape, nbytes in entries:
        where = Where(name)
        if name in by_name:
            raise DuplicateName(f"{where} is to be written twice: give each tensor a name of its own")
        _check_name(where)
        if nbytes != (expected := _nbytes(_dtype(dtype, where), shape, where)):
            raise ShapeError(f"{where} has {nbytes} bytes, but {dtype} of shape {shown(shape)} takes {expected}")
        by_name[name] = name, dtype, shape, nbytes
    return [by_name[name] for name in sorted(by_name, key=str.encode)]
