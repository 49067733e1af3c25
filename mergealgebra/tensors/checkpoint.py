"""A checkpoint on disk: opened by its headers alone, read block by block [EN-15, EN-16].

Tensors are read into fresh memory and never mapped: a file that shrinks under a map kills the process.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from mergealgebra.encoding import LEAF_BYTES, leaf_digest, model_root, tensor_root
from mergealgebra.errors import CheckpointError, NamesError, ShapeError
from mergealgebra.progress import More, untold
from mergealgebra.tensors.derived import DerivedRecord
from mergealgebra.tensors.descriptors import File
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.file_names import DIFFUSERS_STEM, STEM
from mergealgebra.tensors.files import as_path, reading, unreadable
from mergealgebra.tensors.folder import read_model
from mergealgebra.tensors.header import TensorRecord
from mergealgebra.tensors.parts import part_of
from mergealgebra.tensors.quantised import refuse_quantised
from mergealgebra.text import location, shown


class Checkpoint:
    """The tensors of one model on disk, in name order; a context manager.

    path: as the user gave it. folder: the same, or None for a single file. records: where each tensor lies.
    parts: the folders in it that are parts of the model, with tensors called PART/NAME or without [EN-20].
    Threads may read at the same time. Files are opened as they are read, few at a time; `close`, leaving the
    context or losing the last reference closes them.

    >>> with Checkpoint.open("base.safetensors") as base:
    ...     print(base.records["w"].shape, base.read("w", 1, 3), base.root()[:12])
    (4,) [2. 3.] 5610f7cf9743
    """

    def __init__(self, path: Path, records: dict[str, TensorRecord], parts: tuple[str, ...] = ()) -> None:
        self.path = path
        self.parts = parts
        self.folder = path if path.is_dir() else None
        self.records: Mapping[str, TensorRecord] = MappingProxyType(records)
        identities = {record.path: record.identity for record in records.values()}
        self._files = {file: File(file, identity) for file, identity in identities.items()}
        self._original: Checkpoint | None = None
        self._finalizer = weakref.finalize(self, _close_all, self._files)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open a safetensors file or a model folder, every header checked [EN-9 to EN-16, EN-20, TV-12].

        Raises CheckpointError when it is neither, or quantised, and as `read_header` does.
        """
        path = as_path(path)
        found = read_model(path)
        checkpoint = cls(path, found.records, found.parts)
        for part, records in checkpoint.by_part().items():
            folder = checkpoint.part_folders().get(part)
            refuse_quantised({record.name: record.dtype for record in records}, location(path), folder)
        return checkpoint

    def part_folders(self) -> dict[str, Path]:
        """The folder of each part by its name, the model's own under an empty one; none for a single file."""
        return {} if self.folder is None else {"": self.folder, **{part: self.folder / part for part in self.parts}}

    def by_part(self) -> dict[str, list[TensorRecord]]:
        """The tensors of each part that has some, in name order; of a model without parts, all, under an empty name."""
        found: dict[str, list[TensorRecord]] = {} if self.parts else {"": []}
        for record in self.records.values():
            found.setdefault(part_of(record.name, self.parts), []).append(record)
        return found

    def stems(self) -> dict[str, str]:
        """How the names of the files begin, by part, in each part that has tensors [EN-18]."""
        return {
            part: DIFFUSERS_STEM if any(r.path.name.startswith(DIFFUSERS_STEM) for r in records[:1]) else STEM
            for part, records in self.by_part().items()
        }

    def with_copies(self, copies: Mapping[str, str]) -> Self:
        """This with more tensors, each the same bytes as one that it has; both have their files open and closed as one.

        copies: the name of each new tensor, and of the one that it is.
        """
        if not copies:
            return self
        more = {name: replace(self._record(of), name=name) for name, of in copies.items()}
        return self._view({**self.records, **more})

    def only(self, names: Collection[str]) -> Self:
        """This with these of its tensors alone, in name order; both have their files open and closed as one."""
        return self._view({name: self._record(name) for name in names})

    def with_derived(self, records: Mapping[str, TensorRecord]) -> Self:
        """This with other records under these names, derived ones among them [TK-3]; files open and close as one."""
        return self._view({**self.records, **records})

    def _view(self, records: Mapping[str, TensorRecord]) -> Self:
        """This with other tensors of the same files. `copy` would open them again, as another process does."""
        view = object.__new__(type(self))
        vars(view).update(vars(self))
        view.records = MappingProxyType(dict(sorted(records.items())))
        view._original = self  # whose files they are
        return view

    def close(self) -> None:
        """Close the files; reading afterwards raises CheckpointError. Closing twice does no harm."""
        self._finalizer()

    def __reduce__(self) -> tuple[type[Self], tuple[Path, dict[str, TensorRecord], tuple[str, ...]]]:
        """Another process opens the same files: where they lie travels, with what tells whether they changed."""
        return type(self), (self.path, dict(self.records), self.parts)

    def __enter__(self) -> Self:
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r}, tensors={len(self.records)})"

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(
        self, name: str, start: int = 0, stop: int | None = None, into: memoryview | None = None
    ) -> np.ndarray[Any, Any]:
        """The elements [start, stop) of a tensor in C order: a 1-D array in the storage dtype.

        into: the memory to read them to, as many bytes or more; fresh memory if left out.
        Raises NamesError for an unknown name, ShapeError for a range that is not in the tensor, and
        CheckpointError when the file cannot be read, or is another one than when it was opened.
        """
        record = self._record(name)
        stop = record.size if stop is None else stop
        if not 0 <= start <= stop <= record.size:
            raise ShapeError(
                f"{location(record.path, name)} has {record.size} elements, and [{start}, {stop}) is not a range in it"
            )
        dtype = DTYPES[record.dtype]
        nbytes = (stop - start) * dtype.itemsize
        array = np.empty(stop - start, dtype.numpy) if into is None else np.frombuffer(into[:nbytes], dtype.numpy)
        self._fill(array.view(np.uint8).data, record, start * dtype.itemsize)
        return array

    def tensor_root(self, name: str) -> str:
        """The root of one tensor, from its bytes as they are now [EN-6]. Raises as `read` does."""
        return tensor_root(self._leaves(self._record(name)))

    def leaf_digests(self, name: str) -> bytes:
        """The digests of the leaves of one tensor, joined, from its bytes as they are now [EN-5, EN-6].

        Raises as `read` does.
        """
        return b"".join(map(leaf_digest, self._leaves(self._record(name))))

    def _leaves(self, record: TensorRecord) -> Iterator[memoryview]:
        """The bytes of a tensor, leaf by leaf, each in the memory of the one before."""
        buffer = memoryview(bytearray(min(LEAF_BYTES, record.nbytes)))
        for begin in range(0, record.nbytes, LEAF_BYTES):
            leaf = buffer[: record.nbytes - begin]
            self._fill(leaf, record, begin)
            yield leaf

    @property
    def nbytes(self) -> int:
        """The bytes of all tensors."""
        return sum(record.nbytes for record in self.records.values())

    def roots(self, threads: int = 1, names: Sequence[str] | None = None, more: More = untold) -> dict[str, str]:
        """The roots of these tensors, or all, in their order, by so many threads [EN-6]. Raises as `read` does.

        more: told the bytes of each tensor that has been read.
        """
        names, found = list(self.records) if names is None else names, {}
        with ThreadPoolExecutor(threads) as pool:
            for name, root in zip(names, pool.map(self.tensor_root, names), strict=True):
                found[name] = root
                more(self.records[name].nbytes)
        return found

    def root(self, threads: int = 1, more: More = untold) -> str:
        """The model's root: equal for one file and for many shards [EN-7, EN-8]. more: as of `roots`.

        Raises as `read` does, and CheckpointError when a file changed meanwhile.
        """
        roots = self.roots(threads, more=more)
        self.refuse_changed()
        return model_root((r.name, r.dtype, r.shape, roots[r.name]) for r in self.records.values())

    def refuse_changed(self) -> None:
        """Raise CheckpointError unless every file is still what it was when opened: so was all that was read."""
        for file in self._files.values():
            with reading(file.path):
                file.refuse_changed()

    def _record(self, name: str) -> TensorRecord:
        if name not in self.records:
            raise NamesError(f"{location(self.path)} has no tensor {shown(name)}")
        return self.records[name]

    def _fill(self, buffer: memoryview, record: TensorRecord, begin: int) -> None:
        """Read the bytes of a tensor from `begin` on, as many as the buffer holds; a derived one's are computed."""
        if isinstance(record, DerivedRecord):
            record.made.fill(buffer, begin)
            return
        try:
            filled = self._file(record.path).read_into(buffer, record.offset + begin)
        except OSError as error:
            raise unreadable(error, record.path, record.name) from error
        if filled < len(buffer):
            where = location(record.path, record.name)
            raise CheckpointError(f"{where}: the file became shorter after it was opened; get it again")

    def _file(self, path: Path) -> File:
        file = self._files.get(path)
        if file is None:
            raise CheckpointError(f"{location(self.path)} is closed: open it again")
        return file


def _close_all(files: dict[Path, File]) -> None:
    while files:
        files.popitem()[1].close()
