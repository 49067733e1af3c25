"""One safetensors file: a reader that refuses every doubt, and the one way in which we write.

A header is judged whole before anything larger is allocated [EN-9 to EN-14]. Equal tensors are written as
equal files [EN-17 to EN-19].
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from mergealgebra.errors import DuplicateName, HeaderError, LayoutError, ShapeError
from mergealgebra.tensors.file_kinds import FIRST_BYTES, foreign_kind
from mergealgebra.tensors.file_names import STEM
from mergealgebra.tensors.files import as_path, identity, opened
from mergealgebra.tensors.header import AGAIN, METADATA, Entries, TensorRecord, check_name, kind_of, read_entries
from mergealgebra.text import Where, location, shown

#: Before the header of a file stands its length.
LENGTH_BYTES: Final = 8
MAX_HEADER_BYTES: Final = 100_000_000
#: A shard holds at most so many bytes of data, unless its first tensor alone has more [EN-18].
SHARD_BYTES = 5_000_000_000

#: A tensor to be written: name, dtype as safetensors writes it, shape, bytes of data.
Entry = tuple[str, str, tuple[int, ...], int]


# Reading: each function decides one rule


def read_header(path: str | os.PathLike[str]) -> dict[str, TensorRecord]:
    """The tensors of one file, in name order, once its header is known to be sound [EN-9 to EN-14].

    Raises CheckpointError when the file cannot be read; HeaderError, DuplicateName, DtypeError, ShapeError
    or LayoutError when it breaks a rule.

    >>> [(record.name, record.dtype, record.shape) for record in read_header("base.safetensors").values()]
    [('w', 'F32', (4,))]
    """
    path = as_path(path)
    with opened(path) as file:
        return header_of(file, path)


def header_of(file: BinaryIO, path: Path) -> dict[str, TensorRecord]:
    """The same of a file that is open at its beginning. path: its own."""
    which = identity(file.fileno())  # before it is read: what comes later must be the same file
    header, data_bytes = _read_parts(file, path)
    start = 8 + len(header)
    found = read_entries(header, Entries(path, which, start))
    records = {name: found[name] for name in sorted(found)}  # by code points, which is the order of UTF-8
    _check_layout(records.values(), path, start, data_bytes)
    return records


def _read_parts(file: BinaryIO, path: Path) -> tuple[bytes, int]:
    """The bytes of the JSON, and the number of bytes of data after it [EN-9]."""
    file_bytes = os.fstat(file.fileno()).st_size
    first = file.read(FIRST_BYTES)
    if kind := foreign_kind(first):
        raise HeaderError(f"{location(path)} {kind}")
    if len(first) < 8:
        raise HeaderError(f"{location(path)} has {len(first)} bytes, expected at least 8: {AGAIN}")
    file.seek(8)
    length = int.from_bytes(first[:8], "little")
    most = min(MAX_HEADER_BYTES, file_bytes - 8)
    if length > most:
        raise HeaderError(f"{location(path)}: the header has {length} bytes, expected at most {most}: {AGAIN}")
    header = file.read(length)
    if len(header) < length:
        raise HeaderError(f"{location(path)} became shorter while it was read: {AGAIN}")
    return header, file_bytes - 8 - length


def _check_layout(records: Iterable[TensorRecord], path: Path, start: int, data_bytes: int) -> None:
    """The tensors cover the data exactly, from its first byte to its last [EN-13]."""
    reached, last = start, None
    for record in sorted(records, key=lambda record: record.offset):
        where = Where(record.name, path)
        if not record.nbytes:
            if record.offset > start + data_bytes:
                raise LayoutError(f"{where} is empty, and lies beyond the end of the file: {AGAIN}")
            continue
        if record.offset != reached:
            kind = "overlaps the tensor before it" if record.offset < reached else "leaves a hole before it"
            raise LayoutError(
                f"{where} {kind}: its data begins at {record.offset - start}, expected {reached - start}: {AGAIN}"
            )
        reached, last = record.offset + record.nbytes, where
    if reached != start + data_bytes:
        end = last or location(path)
        raise LayoutError(
            f"{end}: tensors end at byte {reached - start} of the data, and the file at {data_bytes}: {AGAIN}"
        )


# Writing


def canonical_header(entries: Iterable[Entry]) -> bytes:
    """The eight bytes of length and the padded JSON of a file of these tensors, given in any order [EN-17].

    Their data must follow in name order, without gaps. Raises as `in_name_order` does, and HeaderError when
    the header would be larger than any reader allows.

    >>> canonical_header([("w", "F32", (2,), 8)])[8:]
    b'{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}   '
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


def shard_names(count: int, stem: str = STEM) -> list[str]:
    """The file names of a model of so many shards [EN-18]. stem: how they begin.

    >>> shard_names(1), shard_names(2)
    (['model.safetensors'], ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'])
    """
    if count == 1:
        return [f"{stem}.safetensors"]
    return [f"{stem}-{number:05}-of-{count:05}.safetensors" for number in range(1, count + 1)]


def index_bytes(cut: Sequence[Sequence[Entry]], stem: str = STEM) -> bytes:
    """The file `STEM.safetensors.index.json` for the shards that `shards` gave, two or more [EN-18]."""
    index = {
        "metadata": {"total_size": sum(nbytes for shard in cut for *_, nbytes in shard)},
        "weight_map": {
            name: file for file, shard in zip(shard_names(len(cut), stem), cut, strict=True) for name, *_ in shard
        },
    }
    return json.dumps(index, ensure_ascii=False, indent=2).encode() + b"\n"


def in_name_order(entries: Iterable[Entry]) -> list[Entry]:
    """The entries by their names as UTF-8, once each is known to be one that a reader would take back.

    Raises HeaderError for a name that no file may hold, DuplicateName, DtypeError, and ShapeError where the
    bytes are not those of the shape.
    """
    by_name: dict[str, Entry] = {}
    for name, dtype, shape, given in entries:
        where = Where(name)
        if name in by_name:
            raise DuplicateName(f"{where} is to be written twice: give each tensor a name of its own")
        check_name(where)
        *_, expected = kind_of(dtype, shape, where)
        if given != expected:
            raise ShapeError(f"{where} has {given} bytes, but {dtype} of shape {shown(shape)} takes {expected}")
        by_name[name] = name, dtype, shape, given
    return [by_name[name] for name in sorted(by_name)]
