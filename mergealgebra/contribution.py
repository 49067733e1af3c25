"""Contributions: which tensors of a checkpoint make one, and whether a blob is the one its manifest names."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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
from mergealgebra.progress import Progress, counter, quiet
from mergealgebra.tensors.agreement import agreement
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.choice import Advice, count_of, leave_out
from mergealgebra.tensors.configuration import ties_by_part
from mergealgebra.tensors.dtypes import DTYPES, UNMERGED, unmerged
from mergealgebra.tensors.files import opened
from mergealgebra.tensors.prefixes import prefix_advice
from mergealgebra.tensors.safetensors_file import canonical_header, read_header
from mergealgebra.tensors.strange_names import name_advice
from mergealgebra.tensors.task_vector import check_shapes, fitting
from mergealgebra.tensors.tied import untied_head
from mergealgebra.text import location, shown


@dataclass(frozen=True)
class Chosen:
    """What is merged of a checkpoint: the tensors of these names, in name order; and a line for what was decided.

    checkpoint: the one that was given, or it with a head that it lacked because that is its embedding [TV-11].
    """

    checkpoint: Checkpoint
    names: list[str]
    remarks: tuple[str, ...]


def choose(
    form: str,
    checkpoint: Checkpoint,
    base: Checkpoint,
    choice: Container[str],
    advice: Advice = leave_out,
    instead: str = "name a fine-tune of the base",
) -> Chosen:
    """What a contribution of this checkpoint holds, buffers and tied tensors seen to [CT-10, TV-11].

    advice: how to leave tensors out. instead: what to do about another kind of model. Raises as `names_of` does.
    """
    _refuse_other_kind(checkpoint, base, instead)
    says, own = (ties_by_part(side.part_folders()) for side in (base, checkpoint))
    both = agreement(form, checkpoint, base, choice, says, own, advice)
    whole = checkpoint.with_copies(both.stands_for)
    names = names_of(form, whole, base, both.names, advice)
    _refuse_none(checkpoint, names)
    return Chosen(whole, names, both.remarks)


def _refuse_other_kind(checkpoint: Checkpoint, base: Checkpoint, instead: str) -> None:
    """Raise NamesError for a model of which no tensor is called as one of the base, with no prefix either [TV-8]."""
    ours, theirs = checkpoint.records.keys(), base.records.keys()
    if ours.isdisjoint(theirs) and not prefix_advice(ours, theirs):
        raise NamesError(
            f"{location(checkpoint.path)} shares no tensor with the base ({location(base.path)}): "
            f"{name_advice(ours) or f'it is another kind of model; {instead}'}"
        )


def names_of(
    form: str, checkpoint: Checkpoint, base: Checkpoint, choice: Container[str], advice: Advice = leave_out
) -> list[str]:
    """The tensors that a contribution made of this checkpoint holds, in name order [CT-1, CT-5, TV-8].

    choice: the names that are looked at, a `Choice` or the names themselves. Everything but the floats' values is
    checked against the base. Raises NamesError, ShapeError, DtypeError or IntegerTensorChanged, naming file and
    tensor [TV-10].
    """
    ours, theirs = ([name for name in side.records if name in choice] for side in (checkpoint, base))
    if extra := [name for name in ours if name not in base.records]:
        others = {*ours, *theirs}.difference(extra)
        todo = name_advice(extra) or prefix_advice(ours, theirs) or advice(extra, others)
        what = f"is not in the base{untied_head(extra[0], checkpoint, base)}{count_of(extra, 'nor is', 'nor are')}"
        raise NamesError(f"{location(checkpoint.path, extra[0])} {what}; {todo}")
    if form == "finetuned" and (missing := [name for name in theirs if name not in checkpoint.records]):
        todo = advice(missing, {*ours, *theirs}.difference(missing))
        what = f"of the base is missing{count_of(missing, 'and so is', 'and so are')}"
        raise NamesError(f"{location(checkpoint.path, missing[0])} {what}; {todo}")
    _refuse_unmerged(ours, checkpoint, base)
    return [name for name in ours if _is_held(form, name, checkpoint, base, advice)]


def _refuse_unmerged(names: Sequence[str], checkpoint: Checkpoint, base: Checkpoint) -> None:
    """Raise DtypeError for a side with several tensors of dtypes that are never computed with, where the other has not.

    One alone is told with what to do about it [TV-7].
    """
    for side, other in ((base, checkpoint), (checkpoint, base)):
        dtypes = {name: side.records[name].dtype for name in names}
        odd = [n for n, dtype in dtypes.items() if dtype in UNMERGED and other.records[n].dtype not in UNMERGED]
        if len(odd) > 1:
            kinds = " or ".join(sorted({dtypes[name] for name in odd}))
            whose = "the base " if side is base else ""
            raise DtypeError(
                f"{whose}{location(side.path)}: {len(odd):,} tensors are {kinds}, such as {shown(odd[0])}, and "
                "those of "
                f"{location(other.path)} are {other.records[odd[0]].dtype}{unmerged(dtypes[odd[0]])}, or name "
                "the model "
                "that it was made from"
            )


def make_manifest(
    form: str, base_root: str, checkpoint: Checkpoint, roots: Mapping[str, str], coefficient: float
) -> Manifest:
    """The manifest of a contribution [CT-2]. roots: name -> tensor root of each tensor that it holds.

    Raises NamesError when it holds none [CT-5].
    """
    _refuse_none(checkpoint, roots)
    records = [checkpoint.records[name] for name in roots]
    return Manifest(
        base=base_root,
        coefficient=decimals.to_hex(coefficient),
        elements=sum(record.size for record in records),
        form=form,
        tensors=model_root((record.name, record.dtype, record.shape, roots[record.name]) for record in records),
    )


def _refuse_none(checkpoint: Checkpoint, names: Collection[str]) -> None:
    """Raise NamesError where no tensor is held [CT-5]."""
    if not names:
        raise NamesError(
            f"{location(checkpoint.path)}: no float tensor is left to contribute; take more, or leave fewer"
        )


def check_base(base: Checkpoint, root: str, threads: int, progress: Progress = quiet) -> None:
    """Read the base, and raise BaseMismatch unless its root is the one that was named [SY-6]."""
    check_base_root(base, read_root(base, threads, progress), root)


def read_root(base: Checkpoint, threads: int, progress: Progress = quiet) -> str:
    """Read the base, and tell of that; returns its root. Raises as `Checkpoint.root` does."""
    return base.root(threads, counter(progress, "reading the base", base.nbytes))


def check_base_root(base: Checkpoint, found: str, root: str) -> None:
    """Raise BaseMismatch unless the root that the base was found to have is the one that was named [SY-6]."""
    if found != root:
        raise BaseMismatch(
            f"{location(base.path)} is not the base: its root is {found}, expected {root}; "
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
        raise BlobDamaged(f"{short}: {location(path)}: {error}; {_GET_AGAIN}") from None
    check_fit(manifest, blob, base)
    return blob


def check_fit(manifest: Manifest, blob: Checkpoint, base: Checkpoint) -> None:
    """Refuse tensors that cannot be those of a contribution to this base, by their headers alone [CT-5].

    Raises BlobDamaged, and CheckpointError when a file, which may be good, could not be read.
    """
    short = f"contribution {manifest.id[:12]}"
    try:
        if not blob.records:
            raise NamesError(f"it holds no tensor; {_GET_AGAIN}")
        names = names_of(manifest.form, blob, base, blob.records, lambda *_: _GET_AGAIN)
    except CheckpointError:
        raise
    except MergeAlgebraError as error:
        raise BlobDamaged(f"{short}: {location(blob.path)}: {error}") from None
    elements = sum(record.size for record in blob.records.values())
    if (len(names), elements) != (len(blob.records), manifest.elements):
        raise BlobDamaged(
            f"{short}: {location(blob.path)} holds {elements} elements, expected {manifest.elements}; `fsck` "
            "says whether "
            f"the file is damaged: if it is not, the contribution is false, `retract {manifest.id[:12]}`"
        )


def check_blob_root(manifest: Manifest, blob: Checkpoint, found: str) -> None:
    """Raise BlobDamaged unless the root that a blob was found to have is that of the manifest [SY-6]."""
    if found != manifest.tensors:
        raise BlobDamaged(
            f"contribution {manifest.id[:12]}: {location(blob.path)} holds tensors with root {found}, expected "
            f"{manifest.tensors}; delete the file and sync again; if nobody has it, contribute the checkpoint again"
        )


_GET_AGAIN: Final = "delete the file and sync again, or retract it"


def _check_canonical(blob: Checkpoint) -> None:
    """Refuse a file that is not the one in which its tensors are written: there is one blob under a root [CT-6]."""
    header = canonical_header((r.name, r.dtype, r.shape, r.nbytes) for r in blob.records.values())
    with opened(blob.path) as file:
        if file.read(len(header)) != header:
            raise HeaderError("its header is not the canonical one for its tensors")


def _is_held(form: str, name: str, checkpoint: Checkpoint, base: Checkpoint, advice: Advice) -> bool:
    """Whether a tensor is part of the contribution; one that is not must equal the base's [TV-1, TV-7]."""
    ours, theirs = checkpoint.records[name], base.records[name]
    where = location(ours.path, name)
    if ours.shape != theirs.shape:
        todo = f"{fitting(name, ours.shape, theirs.shape)}, or {advice([name], ())}"
        check_shapes(where, name, ours.shape, theirs.shape, todo)
    floats = DTYPES[ours.dtype].is_float, DTYPES[theirs.dtype].is_float
    if floats == (True, True):
        return True
    why = unmerged(ours.dtype, theirs.dtype)
    if form == "task_vector" or floats[0] != floats[1]:
        raise DtypeError(
            f"{where} is {ours.dtype}, the base's {theirs.dtype}: only float tensors differ{why}; {advice([name], ())}"
        )
    if ours.dtype != theirs.dtype or checkpoint.tensor_root(name) != base.tensor_root(name):
        raise IntegerTensorChanged(
            f"{where} ({ours.dtype}) differs from the base's ({theirs.dtype}){why}; {advice([name], ())}"
        )
    return False
