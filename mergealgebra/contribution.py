"""Contributions: which tensors of a checkpoint make one, and whether a blob is the one its manifest names."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Self

from mergealgebra.algebra import decimals
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.encoding import model_root
from mergealgebra.errors import (
    BaseMismatch,
    BlobDamaged,
    BlobMissing,
    CheckpointError,
    DtypeError,
    HeaderError,
    IntegerTensorChanged,
    MergeAlgebraError,
    NamesError,
)
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.dtypes import DTYPES, unmerged
from mergealgebra.tensors.files import opened
from mergealgebra.tensors.safetensors_file import canonical_header, read_header
from mergealgebra.tensors.task_vector import check_shapes
from mergealgebra.text import place


@dataclass(frozen=True)
class Choice:
    """Which names are looked at: those that match some `take`, or all if there is none, and no `leave` [CT-8].

    >>> Choice(leave=("lm_head.*",)).of(["lm_head.weight", "norm.weight"])
    ['norm.weight']
    """

    take: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()

    @classmethod
    def among(cls, names: Collection[str], take: Sequence[str], leave: Sequence[str]) -> Self:
        """A user's choice: one pattern or several each. Raises NamesError for a pattern that matches no name."""
        take, leave = ((patterns,) if isinstance(patterns, str) else tuple(patterns) for patterns in (take, leave))
        for pattern in (*take, *leave):
            if not any(fnmatchcase(name, pattern) for name in names):
                raise NamesError(
                    f"pattern {pattern!r} matches no tensor; the names begin with {min(names, default='')!r}"
                )
        return cls(take, leave)

    def of(self, names: Iterable[str]) -> list[str]:
        """The chosen names, in the order given."""
        return [name for name in names if name in self]

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str) or _matches(name, self.leave):
            return False
        return not self.take or _matches(name, self.take)


def names_of(form: str, checkpoint: Checkpoint, base: Checkpoint, choice: Container[str]) -> list[str]:
    """The tensors that a contribution made of this checkpoint holds, in name order [CT-1, CT-5, TV-8].

    choice: the names that are looked at, a `Choice` or the names themselves. Everything but the floats' values is
    checked against the base. Raises NamesError, ShapeError, DtypeError or IntegerTensorChanged, naming file and
    tensor [TV-10].
    """
    ours, theirs = ([name for name in side.records if name in choice] for side in (checkpoint, base))
    if extra := [name for name in ours if name not in base.records]:
        raise NamesError(f"{place(checkpoint.path, extra[0])} is not in the base{_more(extra)}; {_LEAVE}")
    if form == "finetuned" and (missing := [name for name in theirs if name not in checkpoint.records]):
        raise NamesError(f"{place(checkpoint.path, missing[0])} of the base is missing{_more(missing)}; {_LEAVE}")
    return [name for name in ours if _is_held(form, name, checkpoint, base)]


def make_manifest(
    form: str, base_root: str, checkpoint: Checkpoint, roots: Mapping[str, str], coefficient: float
) -> Manifest:
    """The manifest of a contribution [CT-2]. roots: name -> tensor root of each tensor that it holds.

    Raises NamesError when it holds none [CT-5].
    """
    if not roots:
        raise NamesError(f"{place(checkpoint.path)}: no float tensor is left to contribute; take more, or leave fewer")
    records = [checkpoint.records[name] for name in roots]
    return Manifest(
        base=base_root,
        coefficient=decimals.to_hex(coefficient),
        elements=sum(record.size for record in records),
        form=form,
        tensors=model_root((record.name, record.dtype, record.shape, roots[record.name]) for record in records),
    )


def check_base(base: Checkpoint, root: str, threads: int) -> None:
    """Read the base, and raise BaseMismatch unless its root is the one that was named [SY-6]."""
    check_base_root(base, base.root(threads), root)


def check_base_root(base: Checkpoint, found: str, root: str) -> None:
    """Raise BaseMismatch unless the root that the base was found to have is the one that was named [SY-6]."""
    if found != root:
        raise BaseMismatch(
            f"{place(base.path)} is not the base: its root is {found}, expected {root}; "
            "it has changed, or is another model"
        )


def open_blob(manifest: Manifest, path: Path | None, base: Checkpoint) -> Checkpoint:
    """A contribution's tensors, their headers checked; what they hold is for `check_blob_root` to check [SY-6].

    path: where the blob is; None if it is not here. Raises BlobMissing or BlobDamaged [CT-6], and CheckpointError
    when a file, which may be good, could not be read.
    """
    short = f"contribution {manifest.id[:12]}"
    if path is None or not path.exists():
        raise BlobMissing(f"{short}: its tensors {manifest.tensors} are not here; sync with a peer that has them")
    try:
        blob = Checkpoint(path, read_header(path))
        _check_canonical(blob)
    except CheckpointError:
        raise
    except MergeAlgebraError as error:
        raise BlobDamaged(f"{short}: {place(path)}: {error}; delete the file and sync again, or retract it") from None
    check_fit(manifest, blob, base)
    return blob


def check_fit(manifest: Manifest, blob: Checkpoint, base: Checkpoint) -> None:
    """Refuse tensors that cannot be those of a contribution to this base, by their headers alone [CT-5].

    Raises BlobDamaged, and CheckpointError when a file, which may be good, could not be read.
    """
    short = f"contribution {manifest.id[:12]}"
    try:
        if not blob.records:
            raise NamesError("it holds no tensor")
        names = names_of(manifest.form, blob, base, blob.records)
    except CheckpointError:
        raise
    except MergeAlgebraError as error:
        advice = "delete the file and sync again, or retract it"
        raise BlobDamaged(f"{short}: {place(blob.path)}: {error}; {advice}") from None
    elements = sum(record.size for record in blob.records.values())
    if (len(names), elements) != (len(blob.records), manifest.elements):
        raise BlobDamaged(
            f"{short}: {place(blob.path)} holds {elements} elements, expected {manifest.elements}; `fsck` says whether "
            f"the file is damaged: if it is not, the contribution is false, `retract {manifest.id[:12]}`"
        )


def check_blob_root(manifest: Manifest, blob: Checkpoint, found: str) -> None:
    """Raise BlobDamaged unless the root that a blob was found to have is that of the manifest [SY-6]."""
    if found != manifest.tensors:
        raise BlobDamaged(
            f"contribution {manifest.id[:12]}: {place(blob.path)} holds tensors with root {found}, expected "
            f"{manifest.tensors}; delete the file and sync again"
        )


def _check_canonical(blob: Checkpoint) -> None:
    """Refuse a file that is not the one in which its tensors are written: there is one blob under a root [CT-6]."""
    header = canonical_header((r.name, r.dtype, r.shape, r.nbytes) for r in blob.records.values())
    with opened(blob.path) as file:
        if file.read(len(header)) != header:
            raise HeaderError("its header is not the canonical one for its tensors")


_LEAVE = "a contribution may leave tensors out: name them with --leave PATTERN"


def _is_held(form: str, name: str, checkpoint: Checkpoint, base: Checkpoint) -> bool:
    """Whether a tensor is part of the contribution; one that is not must equal the base's [TV-1, TV-7]."""
    ours, theirs = checkpoint.records[name], base.records[name]
    where = place(ours.path, name)
    check_shapes(where, ours.shape, theirs.shape)
    floats = DTYPES[ours.dtype].is_float, DTYPES[theirs.dtype].is_float
    if floats == (True, True):
        return True
    why = unmerged(ours.dtype, theirs.dtype)
    if form == "task_vector" or floats[0] != floats[1]:
        raise DtypeError(
            f"{where} is {ours.dtype}, the base's {theirs.dtype}: only float tensors differ{why}; {_LEAVE}"
        )
    if ours.dtype != theirs.dtype or checkpoint.tensor_root(name) != base.tensor_root(name):
        raise IntegerTensorChanged(f"{where} ({ours.dtype}) differs from the base's ({theirs.dtype}){why}; {_LEAVE}")
    return False


def _matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name matches one of the patterns as a whole [CT-8]. Each is compiled once: fnmatch keeps them."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _more(names: list[str]) -> str:
    return f", nor are {len(names) - 1} others" if len(names) > 1 else ""
