"""The header of a safetensors file, as text: an entry a tensor, each judged as it is met [EN-9 to EN-12]."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mergealgebra.errors import DtypeError, DuplicateName, HeaderError, LayoutError, ShapeError
from mergealgebra.tensors.dtypes import DTYPES, lookup
from mergealgebra.tensors.files import Identity
from mergealgebra.tensors.json_grammar import joined
from mergealgebra.tensors.shapes import INTEGER, SIZES, BadShape, nbytes, read_shape, shape_of
from mergealgebra.tensors.strict_json import Reader, RepeatedKey
from mergealgebra.text import Where, location, shown

MAX_HEADER_DEPTH: Final = 4
METADATA: Final = "__metadata__"
AGAIN: Final = "get or write the file again"

#: An entry as programs write it: dtype, sizes of the shape, begin and end.
_ENTRY: Final = joined(
    *(rb"\{", rb'"dtype"', b":", rb'"([A-Z0-9_]{1,16}+)"', b","),
    *(rb'"shape"', b":", rb"\[", SIZES, rb"\]", b","),
    *(rb'"data_offsets"', b":", rb"\[", INTEGER, b",", INTEGER, rb"\]", rb"\}"),
)

#: The dtype, shape and bytes of a tensor.
Kind = tuple[str, tuple[int, ...], int]
#: The most of them that are remembered while a header is read.
_MOST_KINDS: Final = 1024
LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


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
        """The number of elements; of packed ones, the number of bytes."""
        return self.nbytes // DTYPES[self.dtype].itemsize

    @property
    def shape_read(self) -> tuple[int, ...]:
        """The shape of what is read: of packed elements, bytes in a row."""
        return self.shape if DTYPES[self.dtype].bits >= 8 else (self.nbytes,)


def read_entries(header: bytes, entries: Entries) -> dict[str, TensorRecord]:
    """The header's tensors by name, each judged as it is met, the metadata left out [EN-9, EN-10]."""
    path, records, has_metadata = entries.path, dict[str, TensorRecord](), False
    try:
        reader = Reader(header, MAX_HEADER_DEPTH, b" ")
        if reader.mark != b"{":
            raise HeaderError(f"{location(path)}: the header is {shown(reader.value())}, expected an object: {AGAIN}")
        for name in reader.names():
            if name in records or (name == METADATA and has_metadata):
                raise RepeatedKey(name)
            if name == METADATA:
                has_metadata = True
                _check_metadata(reader, f"{location(path)}: {METADATA}")
            else:
                records[name] = entries.read(name, reader)
        reader.finish()
    except RepeatedKey as error:
        raise DuplicateName(f"{location(path, error.key)} stands twice in the header: {AGAIN}") from None
    except ValueError as error:
        raise HeaderError(f"{location(path)}: the header is not the JSON it must be, {error}: {AGAIN}") from None
    return records


def _check_metadata(reader: Reader, where: str) -> None:
    """Metadata is an object of strings [EN-10]. Those are stepped over: some programs keep megabytes in one."""
    if reader.mark != b"{":
        raise HeaderError(f"{where} is {shown(reader.value())}, expected an object of strings: {AGAIN}")
    try:
        for key in reader.members():
            if reader.mark != b'"':
                raise HeaderError(f"{where} has {shown(reader.value())} for {shown(key)}, expected a string: {AGAIN}")
            if not reader.skip_sound_text() or LONE_SURROGATE.search(key):
                raise HeaderError(f"{where} has a lone surrogate in or under {shown(key)}: {AGAIN}")
    except RepeatedKey as error:
        raise DuplicateName(f"{where} has the key {shown(error.key)} twice: {AGAIN}") from None


def check_name(where: Where) -> None:
    """A name is Unicode text, and not the one that means the metadata [EN-10]."""
    if where.name == METADATA:
        raise HeaderError(f"{where} has the name that safetensors keeps for metadata: rename the tensor")
    if not where.name.isascii() and LONE_SURROGATE.search(where.name):
        raise HeaderError(f"{where} has a lone surrogate in its name: rename the tensor")


class Entries:
    """Reads the entries of one header: the data of each lies `begin` bytes after `start` [EN-11, EN-12]."""

    def __init__(self, path: Path, which: Identity, start: int) -> None:
        self.path, self._which, self._start = path, which, start
        self._kinds: dict[tuple[bytes, bytes], Kind] = {}

    def read(self, name: str, reader: Reader) -> TensorRecord:
        """The entry that is next, judged by itself."""
        where = Where(name, self.path)
        check_name(where)
        match = reader.take(_ENTRY)
        if match is None:
            return self._record(where, *_read_entry(reader, where))
        return self._record(where, self._kind(match[1], match[2], where), int(match[3]), int(match[4]))

    def _kind(self, dtype: bytes, sizes: bytes, where: Where) -> Kind:
        """Dtype and shape, which most tensors share with others."""
        kind = self._kinds.get((dtype, sizes))
        if kind is None:
            with _named(where):
                kind = kind_of(dtype.decode(), shape_of(sizes), where)
            if len(self._kinds) < _MOST_KINDS:
                self._kinds[dtype, sizes] = kind
        return kind

    def _record(self, where: Where, kind: Kind, begin: int, end: int) -> TensorRecord:
        dtype, shape, expected = kind
        if begin > end:
            raise _bad_offsets([begin, end], where)
        if expected != end - begin:
            raise ShapeError(
                f"{where} has {end - begin} bytes, but {dtype} of shape {shown(shape)} takes {expected}: {AGAIN}"
            )
        return TensorRecord(where.name, dtype, shape, self.path, self._start + begin, expected, self._which)


def kind_of(dtype: object, shape: tuple[int, ...], where: Where) -> Kind:
    """What a tensor is, and the bytes that it takes [EN-11, EN-12]. Raises DtypeError and ShapeError."""
    if not isinstance(dtype, str):
        raise DtypeError(f"{where} has the dtype {shown(dtype)}, expected a string: {AGAIN}")
    known = DTYPES.get(dtype) or lookup(dtype, str(where))
    with _named(where):
        return known.name, shape, nbytes(shape, known.bits)


@contextmanager
def _named(where: Where) -> Iterator[None]:
    """A BadShape becomes a ShapeError that names the tensor."""
    try:
        yield
    except BadShape as error:
        raise ShapeError(f"{where} {error}: {AGAIN}") from None


def _read_entry(reader: Reader, where: Where) -> tuple[Kind, int, int]:
    """Read an entry member by member, where it is not written as most are."""
    if reader.mark != b"{":
        raise HeaderError(f"{where} is {shown(reader.value())}, expected an object with {', '.join(_FIELDS)}: {AGAIN}")
    found: dict[str, Any] = {}
    try:
        for key in reader.names():
            if key in found:
                raise RepeatedKey(key)
            if key not in _FIELDS:
                raise HeaderError(f"{where} has the key {shown(key)}, expected {', '.join(_FIELDS)}: {AGAIN}")
            found[key] = _FIELDS[key](reader, where)
    except RepeatedKey as error:
        raise DuplicateName(f"{where} has the key {shown(error.key)} twice: {AGAIN}") from None
    if len(found) < len(_FIELDS):
        raise HeaderError(f"{where} has the keys {shown(list(found))}, expected {', '.join(_FIELDS)}: {AGAIN}")
    return kind_of(found["dtype"], found["shape"], where), *found["data_offsets"]


def _read_dtype(reader: Reader, where: Where) -> object:
    return reader.value()


def _read_shape(reader: Reader, where: Where) -> tuple[int, ...]:
    with _named(where):
        return read_shape(reader)


def _read_offsets(reader: Reader, where: Where) -> tuple[int, int]:
    if reader.mark != b"[":
        raise _bad_offsets(reader.value(), where)
    offsets: list[object] = []
    for _ in reader.items():
        offsets.append(reader.value())
        if len(offsets) > 2:
            raise _bad_offsets(offsets, where)
    match offsets:
        case [int(begin), int(end)] if type(begin) is type(end) is int and begin >= 0:
            return begin, end
    raise _bad_offsets(offsets, where)


#: What reads each field of an entry.
_FIELDS: Final[Mapping[str, Callable[[Reader, Where], Any]]] = {
    "dtype": _read_dtype,
    "shape": _read_shape,
    "data_offsets": _read_offsets,
}


def _bad_offsets(offsets: object, where: Where) -> LayoutError:
    return LayoutError(f"{where} has data_offsets {shown(offsets)}, expected two integers 0 <= b <= e: {AGAIN}")
