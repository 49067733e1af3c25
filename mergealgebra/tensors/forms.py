"""Forms: what is stored of a contribution's tensors, apart from what is reduced of them [CT-1, CT-13, CT-14].

A tensor's form follows from the names under which it is stored. What factors give is computed block by block.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

import numpy as np

from mergealgebra.algebra.low_rank import fill
from mergealgebra.encoding import tensor_root
from mergealgebra.errors import CheckpointError, DtypeError, DuplicateName, NamesError, ShapeError
from mergealgebra.progress import More, untold
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.file_names import STEM
from mergealgebra.tensors.form_names import FINETUNED, FORM_OF, LOW_RANK, SUFFIXES, TASK_VECTOR, parted
from mergealgebra.tensors.header import TensorRecord
from mergealgebra.tensors.index import is_index
from mergealgebra.tensors.shapes import LIMIT
from mergealgebra.text import location, shown

Host = np.ndarray[Any, Any]


@dataclass(frozen=True)
class _Factors:
    """The factors of one tensor, loaded: up (m, r) and down (r, n), or (e, m, r) and (e, r, n); fp32."""

    name: str
    up: Host
    down: Host
    scale: float


#: Bytes of an element of a factor while it is loaded: as it is stored, and in fp32.
_FACTOR_BYTES: Final = 12


class Formed:
    """The tensors that a checkpoint stores in several forms, or as factors, under their own names [CT-13].

    stored: what is stored. roots: of factors that were loaded before. records: of what is reduced, in name order, tau
    in fp32 for a low-rank one, else the tensor itself. forms: of each. Threads may read at the same time; each holds
    the factors of one tensor. Whenever those are loaded they are hashed, and must be what they were when they were
    loaded first: so the roots are those of the bytes that were reduced.
    Raises NamesError, DuplicateName, DtypeError or ShapeError, naming file and tensor [CT-13, CT-14].
    """

    def __init__(self, stored: Checkpoint, roots: Mapping[str, str] = MappingProxyType({})) -> None:
        self.stored = stored
        self.path = stored.path
        self.forms: Mapping[str, str] = MappingProxyType(_forms(stored))
        self.records: Mapping[str, TensorRecord] = MappingProxyType(
            {name: self._record(name) for name in sorted(self.forms)}
        )
        self._roots = dict(roots)
        self._lock = threading.Lock()
        self._own = threading.local()

    def __reduce__(self) -> tuple[type[Formed], tuple[Checkpoint, dict[str, str]]]:
        """Another process reads the same files, and holds what it loads to the roots that are known here."""
        for name in self.stored_names(self.computed):
            self._root(name)
        with self._lock:
            return Formed, (self.stored, dict(self._roots))

    def close(self) -> None:
        """Close the files."""
        self.stored.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def part_folders(self) -> dict[str, Path]:
        """As of what is stored."""
        return self.stored.part_folders()

    def refuse_changed(self) -> None:
        """Raise CheckpointError unless every file is still what it was when opened."""
        self.stored.refuse_changed()

    def with_copies(self, copies: Mapping[str, str]) -> Formed:
        """This with more tensors, each the same as one that it has, whatever its form."""
        names = {new + suffix: of + suffix for new, of in copies.items() for suffix in SUFFIXES[self.forms[of]]}
        return Formed(self.stored.with_copies(names)) if copies else self

    @property
    def worker_bytes(self) -> int:
        """The memory that a worker takes beside blocks: the factors of the largest tensor, as stored and in fp32."""
        records, suffixes = self.stored.records, SUFFIXES[LOW_RANK]
        return _FACTOR_BYTES * max((sum(records[n + s].size for s in suffixes) for n in self.computed), default=0)

    @property
    def computed(self) -> frozenset[str]:
        """The tensors whose values are computed from what is stored."""
        return frozenset(name for name, form in self.forms.items() if form == LOW_RANK)

    def names_of(self, stored: Iterable[str]) -> list[str]:
        """The tensors that are stored under these names, in name order."""
        return sorted({parted(name)[0] for name in stored})

    def stored_names(self, names: Iterable[str]) -> list[str]:
        """What is stored of these tensors, in name order."""
        return sorted(name + suffix for name in names for suffix in SUFFIXES[self.forms[name]])

    def stored_roots(self, roots: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
        """The roots of what is stored of these tensors, by its names.

        roots: of the tensors that were read as they are stored, by their own names. Of the others they are those of
        what was computed with, or are read now. Raises as `read` does.
        """
        found: dict[str, str] = {}
        for name in names:
            if self.forms[name] == LOW_RANK:
                found |= {name + suffix: self._root(name + suffix) for suffix in SUFFIXES[LOW_RANK]}
            else:
                (suffix,) = SUFFIXES[self.forms[name]]
                found[name + suffix] = roots[name]
        return found

    def roots(self, threads: int = 1, names: Sequence[str] | None = None, more: More = untold) -> dict[str, str]:
        """The roots of what is stored of these tensors, or of all, by its names. Raises as `Checkpoint.roots` does."""
        return self.stored.roots(threads, self.stored_names(self.records if names is None else names), more)

    def root(self, threads: int = 1, more: More = untold) -> str:
        """The root of all that is stored [EN-7]. Raises as `Checkpoint.root` does."""
        return self.stored.root(threads, more)

    def read(self, name: str, start: int = 0, stop: int | None = None, into: memoryview | None = None) -> Host:
        """The elements [start, stop) of what is reduced, in C order. Raises as `Checkpoint.read` does.

        Raises CheckpointError too where factors are not what they were when they were loaded first.
        """
        form = self.forms.get(name)
        if form is None:
            raise NamesError(f"{location(self.path)} has no tensor {shown(name)}")
        if form != LOW_RANK:
            (suffix,) = SUFFIXES[form]
            return self.stored.read(name + suffix, start, stop, into)
        record = self.records[name]
        stop = record.size if stop is None else stop
        if not 0 <= start <= stop <= record.size:
            raise ShapeError(
                f"{location(self.path, name)} has {record.size} elements, and [{start}, {stop}) is not a range in it"
            )
        size = stop - start
        tau = np.empty(size, np.float32) if into is None else np.frombuffer(into[: 4 * size], np.float32)
        factors = self._factors(name)
        fill(tau, factors.up, factors.down, factors.scale, start)
        return tau

    def _record(self, name: str) -> TensorRecord:
        """What is reduced of a tensor, as its header would have it."""
        form = self.forms[name]
        stored = [self.stored.records[name + suffix] for suffix in SUFFIXES[form]]
        if form != LOW_RANK:
            return replace(stored[0], name=name)
        shape = _shape_of(name, *stored)
        nbytes = 4 * _size(shape, location(self.path, name))
        return TensorRecord(name, "F32", shape, stored[0].path, stored[0].offset, nbytes, stored[0].identity)

    # Factors

    def _factors(self, name: str) -> _Factors:
        """The factors of a tensor: those of the tensor that this thread read last are at hand."""
        held: _Factors | None = getattr(self._own, "factors", None)
        if held is None or held.name != name:
            self._own.factors = None  # one tensor's at a time
            up, down, scale = (self._loaded(name + suffix) for suffix in SUFFIXES[LOW_RANK])
            flat = down if up.ndim == 3 else down.reshape(down.shape[0], -1)
            held = _Factors(name, _fp32(up), _fp32(flat), float(scale))
            self._own.factors = held
        return held

    def _loaded(self, name: str) -> Host:
        """A tensor as it is stored, whole, hashed and compared with what was loaded under this name first."""
        record = self.stored.records[name]
        array = self.stored.read(name)
        self._note(name, tensor_root([array.view(np.uint8).data]))
        return array.reshape(record.shape)

    def _root(self, name: str) -> str:
        """The root of what was loaded under this name; read now if nothing was."""
        with self._lock:
            known = self._roots.get(name)
        return known or self._note(name, self.stored.tensor_root(name))

    def _note(self, name: str, root: str) -> str:
        """Raise CheckpointError unless this is the first root, or equals it."""
        with self._lock:
            first = self._roots.setdefault(name, root)
        if root != first:
            raise CheckpointError(f"{location(self.path, name)} changed while it was read; run it again")
        return root


#: Tensors to contribute or to merge: stored as they are reduced, or not.
Held = Checkpoint | Formed


def models_in(held: Held) -> list[Path]:
    """The paths of the models whose tensors it shows: its own, or those of a stack, in the order of their paths."""
    files = {record.path for record in held.records.values()} if isinstance(held, Checkpoint) else set()
    home = held.path.parent if is_index(held.path.name) else held.path
    own = {file for file in files if file.is_relative_to(home)}
    if own == files:
        return [held.path]
    folders = {file.parent if file.name.startswith(STEM) else file for file in files - own}
    return sorted({held.path, *folders} if own else folders)


def of_form(form: str, stored: Checkpoint) -> Held:
    """What is reduced of a contribution whose manifest has this form [CT-13]. Raises as Formed does."""
    return stored if form in (FINETUNED, TASK_VECTOR) else Formed(stored)


def forms_of(form: str, held: Held, names: Iterable[str]) -> dict[str, str]:
    """The form of each of these tensors. form: of those that are stored as they are reduced."""
    return {name: held.forms[name] if isinstance(held, Formed) else form for name in names}


# What names say


def _forms(stored: Checkpoint) -> dict[str, str]:
    """The form of each tensor, by its own name. Raises NamesError or DuplicateName."""
    found: dict[str, str] = {}
    for name in stored.records:
        own, suffix = parted(name)
        form = FORM_OF.get(suffix, FINETUNED)
        if found.setdefault(own, form) != form:
            raise DuplicateName(
                f"{location(stored.path, own)} is there as {found[own]} and as {form}: keep it in one form"
            )
    for own, form in found.items():
        for suffix in SUFFIXES[form]:
            if own + suffix not in stored.records:
                raise NamesError(f"{location(stored.path, own + suffix)} is missing beside the rest of {shown(own)}")
    return found


def _shape_of(name: str, up: TensorRecord, down: TensorRecord, scale: TensorRecord) -> tuple[int, ...]:
    """The shape of the tensor that factors stand for [CT-14]. Raises DtypeError or ShapeError."""
    for record in (up, down):
        if not DTYPES[record.dtype].is_float:
            raise DtypeError(f"{location(record.path, record.name)} is {record.dtype}; write factors as floats")
    if scale.dtype != "F64":
        raise DtypeError(f"{location(scale.path, scale.name)} is {scale.dtype}; write the scale as F64")
    if scale.shape != ():
        raise ShapeError(
            f"{location(scale.path, scale.name)} has shape {list(scale.shape)}; write one number, shape []"
        )
    if len(up.shape) == len(down.shape) == 3 and up.shape[0] == down.shape[0] and up.shape[2] == down.shape[1] > 0:
        return (*up.shape[:2], down.shape[2])
    if len(up.shape) != 2 or not down.shape or up.shape[1] != down.shape[0] or not up.shape[1]:
        raise ShapeError(
            f"{location(up.path, name)} has factors of the shapes {list(up.shape)} and {list(down.shape)}: expected "
            "[m, r] and [r, ...], or [e, m, r] and [e, r, n]; r the rank, at least 1"
        )
    return (up.shape[0], *down.shape[1:])


def _size(shape: tuple[int, ...], where: str) -> int:
    """The elements of a shape. Raises ShapeError for more than a tensor has: that of small factors may be."""
    size = 1
    for axis in shape:
        size *= axis
    if size >= LIMIT // 4:
        raise ShapeError(f"{where} has factors of {size} elements in fp32, more than a tensor can have")
    return size


def _fp32(array: Host) -> Host:
    with np.errstate(all="ignore"):
        return array.astype(np.float32)
