"""Blobs: the tensors of a contribution as one canonical file, checked to the last byte [CT-6].

To list what a store holds, no tensor is read; so the code that reads tensors is imported where it is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from mergealgebra.encoding import LEAF_BYTES, model_root, tensor_root
from mergealgebra.errors import (
    BlobDamaged,
    BlobMissing,
    DtypeError,
    DuplicateName,
    HeaderError,
    LayoutError,
    ShapeError,
)
from mergealgebra.progress import More, Progress, counter, quiet, untold
from mergealgebra.store.entries import GENESIS, LOCAL, Entry
from mergealgebra.store.refusals import advice
from mergealgebra.text import fsck_repair, location

if TYPE_CHECKING:
    from mergealgebra.tensors.checkpoint import Checkpoint
    from mergealgebra.tensors.header import TensorRecord

_NO_SOUND_HEADER: Final = (HeaderError, DuplicateName, DtypeError, ShapeError, LayoutError)

Sink = Callable[[bytes | memoryview], object]
#: The tensors of a file by name, as its header has them.
Records = Mapping[str, "TensorRecord"]
#: Judges the header of a blob, before any of it is passed on; it raises a MergeAlgebraError to refuse.
Admit = Callable[[Path, Records], None]


def write_blob(source: Checkpoint, names: Sequence[str], sink: Sink, progress: Progress = quiet) -> dict[str, str]:
    """Hand the chosen tensors to `sink` as one canonical file, each read once; returns their roots by name [CT-6].

    names: in name order. progress: told of the bytes. Raises CheckpointError, also when the source changed on the way.
    """
    from mergealgebra.tensors.safetensors_file import canonical_header

    records = [source.records[name] for name in names]
    header = canonical_header((r.name, r.dtype, r.shape, r.nbytes) for r in records)
    nbytes = len(header) + sum(record.nbytes for record in records)
    sink = _counted(sink, counter(progress, "writing the contribution", nbytes))
    sink(header)
    roots = {record.name: _copy_tensor(source, record, sink) for record in records}
    source.refuse_changed()
    return roots


def _copy_tensor(source: Checkpoint, record: TensorRecord, sink: Sink) -> str:
    step = LEAF_BYTES // 8  # no dtype has larger elements
    pieces = (source.read(record.name, at, min(at + step, record.size)) for at in range(0, record.size, step))
    return tensor_root(_passed_on((piece.view("u1").data for piece in pieces), sink))


def anything(path: Path, records: Records) -> None:
    """Accepts every sound header."""


def once(admit: Admit) -> Admit:
    """The same judge, asked once for equal headers: many contributions may name one blob."""
    admitted: list[list[tuple[str, str, tuple[int, ...]]]] = []

    def judge(path: Path, records: Records) -> None:
        header = [(record.name, record.dtype, record.shape) for record in records.values()]
        if header not in admitted:
            admit(path, records)
            admitted.append(header)

    return judge


def discard(_: bytes | memoryview) -> None:
    """Takes bytes and drops them: for checking a blob."""


def stream_blob(source: Entry, root: str, sink: Sink, admit: Admit = anything, more: More = untold) -> None:
    """Read a blob once, checking everything on the way, and hand each piece to `sink` [CT-6].

    Only when this returns are the bytes that `sink` was given the blob `root`: they, not what the file holds
    later, were checked. Pieces are at most 1 MiB, the header apart. more: told the bytes of each.
    Raises BlobMissing or BlobDamaged, naming the file; what `sink` and `admit` raise for themselves passes.
    """
    with opened_blob(source) as descriptor:
        stream_opened(descriptor, source.path, root, sink, admit, more)


@contextmanager
def opened_blob(source: Entry) -> Iterator[int]:
    """A descriptor of a blob. What cannot be opened, or read while the body runs, is BlobMissing or BlobDamaged."""
    path = source.path
    try:
        with source.opened() as descriptor:
            yield descriptor
    except FileNotFoundError as error:
        raise BlobMissing(f"{location(path)} is not there; sync with a replica that has it") from error
    except OSError as error:
        raise BlobDamaged(f"{location(path)} cannot be read: {error.strerror}; {advice(error, path)}") from error


def admit_opened(descriptor: int, path: Path, admit: Admit) -> None:
    """Judge the header of an open blob, and read no more. Raises BlobDamaged, OSError, and what `admit` raises."""
    from mergealgebra.tensors.safetensors_file import header_of

    with _sound_header(path), os.fdopen(descriptor, "rb", closefd=False) as file:
        admit(path, header_of(file, path))


def canonical_of(descriptor: int, path: Path) -> Records:
    """The tensors of an open blob, by its header, which must be the canonical one. Raises BlobDamaged and OSError."""
    with _sound_header(path), os.fdopen(descriptor, "rb", closefd=False) as file:
        return _canonical(file, path)[0]


def stream_opened(
    descriptor: int, path: Path, root: str, sink: Sink, admit: Admit = anything, more: More = untold
) -> None:
    """The same as `stream_blob`, of an open file. path: what is named when it is not the blob. Raises OSError too."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    with _sound_header(path), os.fdopen(descriptor, "rb", closefd=False) as file:
        found = _root_of(file, path, _counted(sink, more), admit)
    if found != root:
        raise damaged(path, f"its tensors have the root {found}, not {root}")


@contextmanager
def _sound_header(path: Path) -> Iterator[None]:
    try:
        yield
    except _NO_SOUND_HEADER as error:
        raise BlobDamaged(f"damaged blob {_without_advice(str(error))}; {_mending(path)}") from error


def _without_advice(text: str) -> str:
    """What is wrong with a file, of a message that ends with what to do about a file of the user's own.

    >>> _without_advice("x.safetensors: the header has 9 bytes, expected at most 2: get or write the file again")
    'x.safetensors: the header has 9 bytes, expected at most 2'
    """
    return text[: max(text.rfind(": "), text.rfind("; "))]


def _root_of(file: BinaryIO, path: Path, sink: Sink, admit: Admit) -> str:
    """The root of the tensors of a file that is canonical down to its end [EN-7, EN-17]. Raises BlobDamaged."""
    records, header = _canonical(file, path)
    admit(path, records)
    sink(header)
    # An equal header has equal offsets: the tensors follow each other in name order.
    root = model_root([(r.name, r.dtype, r.shape, _tensor_root(file, path, r.nbytes, sink)) for r in records.values()])
    if file.read(1):
        raise damaged(path, "it goes on after its last tensor")
    return root


def _canonical(file: BinaryIO, path: Path) -> tuple[Records, bytes]:
    """The tensors and the header of a file, which is read as far as that. Raises BlobDamaged for another header."""
    from mergealgebra.tensors.safetensors_file import canonical_header, header_of

    records = header_of(file, path)
    header = canonical_header((r.name, r.dtype, r.shape, r.nbytes) for r in records.values())
    file.seek(0)
    if file.read(len(header)) != header:
        raise damaged(path, "its header is not the canonical one for its tensors")
    return records, header


def _tensor_root(file: BinaryIO, path: Path, nbytes: int, sink: Sink) -> str:
    return tensor_root(_passed_on(_pieces(file, path, nbytes), sink))


def _counted(sink: Sink, more: More) -> Sink:
    """The sink, and `more` is told the bytes of each piece that it took."""

    def take(piece: bytes | memoryview) -> None:
        sink(piece)
        more(len(piece))

    return take


def _passed_on(pieces: Iterable[bytes | memoryview], sink: Sink) -> Iterator[bytes | memoryview]:
    for piece in pieces:
        sink(piece)
        yield piece


def _pieces(file: BinaryIO, path: Path, nbytes: int) -> Iterator[bytes]:
    while nbytes:
        piece = file.read(min(nbytes, LEAF_BYTES))
        if not piece:
            raise damaged(path, f"it ends {nbytes} bytes before the end of a tensor")
        yield piece
        nbytes -= len(piece)


def damaged(source: Path, what: str) -> BlobDamaged:
    """The error for a blob's file of which this was found."""
    return BlobDamaged(f"{location(source)} is damaged: {what}; {_mending(source)}")


def _mending(path: Path) -> str:
    """What mends a damaged blob: in a share, somebody else's sync does."""
    store = path.parent.parent
    if os.path.lexists(store / GENESIS) and not os.path.lexists(store / LOCAL):
        return f"the sync of a member who has it mends it, or `{fsck_repair(store, 'WORKSPACE')}`"
    return "delete it, and sync with a replica that has it; if nobody has it, contribute the checkpoint again"
