"""Contributions: which tensors of a checkpoint make one, and whether a blob is the one its manifest names."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mergealgebra.algebra import decimals
from mergealgebra.crdt.manifest import KINDS, Auxiliary, Manifest, joined_form
from mergealgebra.encoding import model_root
from mergealgebra.errors import (
    AuxiliaryError,
    BaseMismatch,
    DtypeError,
    IntegerTensorChanged,
    NamesError,
)
from mergealgebra.progress import Progress, counter, quiet
from mergealgebra.tensors import auxiliary
from mergealgebra.tensors.agreement import agreement
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.choice import Advice, count_of, leave_out
from mergealgebra.tensors.configuration import ties_by_part
from mergealgebra.tensors.dtypes import DTYPES, UNMERGED, unmerged
from mergealgebra.tensors.form_names import FINETUNED, TASK_VECTOR
from mergealgebra.tensors.forms import Formed, Held, forms_of
from mergealgebra.tensors.prefixes import prefix_advice
from mergealgebra.tensors.strange_names import name_advice
from mergealgebra.tensors.task_vector import check_shapes, fitting
from mergealgebra.tensors.tied import untied_head
from mergealgebra.text import did_you_mean, listed, location, shown


@dataclass(frozen=True)
class Chosen:
    """What is merged of a checkpoint: the tensors of these names, in name order; and a line for what was decided.

    checkpoint: the one that was given, or it with a head that it lacked because that is its embedding [TV-11].
    stands_for: such heads, with the names of their embeddings.
    """

    checkpoint: Held
    names: list[str]
    remarks: tuple[str, ...]
    stands_for: Mapping[str, str]


def choose(
    form: str,
    checkpoint: Held,
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
    both = agreement(_as_whole(form), checkpoint, base, choice, says, own, advice)
    whole = checkpoint.with_copies(both.stands_for)
    names = names_of(form, whole, base, both.names, advice)
    _refuse_none(checkpoint, names)
    return Chosen(whole, names, both.remarks, both.stands_for)


def refuse_unknown_kinds(kinds: Collection[str]) -> None:
    """Raise AuxiliaryError for a kind of auxiliary tensors that there is not [CT-15]."""
    for kind in kinds:
        if kind not in KINDS:
            raise AuxiliaryError(
                f"{shown(kind)} is not a kind of auxiliary tensors{did_you_mean(str(kind), KINDS) or ';'} they are "
                f"{listed(KINDS)}"
            )


def choose_auxiliary(kind: str, given: Checkpoint, chosen: Chosen) -> Checkpoint:
    """The auxiliary tensors of a contribution of what is chosen, read and checked [CT-15].

    Those of tensors that were left out are left out; those of a head that is the embedding are the embedding's.

    Raises NamesError, DtypeError, ShapeError, NonFinite or AuxiliaryError, naming file and tensor, and what reading
    raises.
    """
    records, names = chosen.checkpoint.records, set(chosen.names)
    copies = {new: of for new, of in chosen.stands_for.items() if new not in given.records and of in given.records}
    whole = given.with_copies(copies if kind == auxiliary.FISHER else {})
    left = auxiliary.names_for(kind, records.keys() - names)
    view = whole.only([name for name in whole.records if name not in left])
    auxiliary.check_headers(kind, view, {name: records[name].shape for name in names})
    auxiliary.check_values(kind, view)
    return view


def _as_whole(form: str) -> str:
    """A contribution of several forms, or of factors, may lack tensors, as a stored task vector may [TV-8, CT-13]."""
    return FINETUNED if form == FINETUNED else TASK_VECTOR


def _refuse_other_kind(checkpoint: Held, base: Checkpoint, instead: str) -> None:
    """Raise NamesError for a model of which no tensor is called as one of the base, with no prefix either [TV-8]."""
    ours, theirs = checkpoint.records.keys(), base.records.keys()
    if ours.isdisjoint(theirs) and not prefix_advice(ours, theirs):
        raise NamesError(
            f"{location(checkpoint.path)} shares no tensor with the base ({location(base.path)}): "
            f"{name_advice(ours) or f'it is another kind of model; {instead}'}"
        )


def names_of(
    form: str, checkpoint: Held, base: Checkpoint, choice: Container[str], advice: Advice = leave_out
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
    if form == FINETUNED and (missing := [name for name in theirs if name not in checkpoint.records]):
        todo = advice(missing, {*ours, *theirs}.difference(missing))
        what = f"of the base is missing{count_of(missing, 'and so is', 'and so are')}"
        raise NamesError(f"{location(checkpoint.path, missing[0])} {what}; {todo}")
    _refuse_unmerged(ours, checkpoint, base)
    return [name for name in ours if _is_held(_as_whole(form), name, checkpoint, base, advice)]


def _refuse_unmerged(names: Sequence[str], checkpoint: Held, base: Checkpoint) -> None:
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
    form: str,
    base_root: str,
    held: Held,
    roots: Mapping[str, str],
    coefficient: float,
    beside: Iterable[Auxiliary] = (),
) -> Manifest:
    """The manifest of a contribution [CT-2]. roots: the root of each tensor that it stores, by the name there [CT-13].

    form: of those that are stored as they are reduced. beside: its auxiliary tensors. Raises NamesError when it holds
    none [CT-5].
    """
    _refuse_none(held, roots)
    stored = (held.stored if isinstance(held, Formed) else held).records
    names = held.names_of(roots) if isinstance(held, Formed) else list(roots)
    return Manifest(
        base=base_root,
        coefficient=decimals.to_hex(coefficient),
        elements=sum(held.records[name].size for name in names),
        form=joined_form(forms_of(form, held, names).values()),
        tensors=model_root((r.name, r.dtype, r.shape, roots[r.name]) for r in map(stored.__getitem__, roots)),
        auxiliary=tuple(sorted(beside)),
    )


def auxiliary_entry(kind: str, given: Checkpoint, roots: Mapping[str, str]) -> Auxiliary:
    """What a manifest says of auxiliary tensors [CT-2]. roots: of each of them."""
    records = given.records.values()
    root = model_root((record.name, record.dtype, record.shape, roots[record.name]) for record in records)
    return Auxiliary(kind, sum(record.size for record in records), root)


def _refuse_none(checkpoint: Held, names: Collection[str]) -> None:
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


def _is_held(form: str, name: str, checkpoint: Held, base: Checkpoint, advice: Advice) -> bool:
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
    if form == TASK_VECTOR or floats[0] != floats[1] or isinstance(checkpoint, Formed):
        raise DtypeError(
            f"{where} is {ours.dtype}, the base's {theirs.dtype}: only float tensors differ{why}; {advice([name], ())}"
        )
    if ours.dtype != theirs.dtype or checkpoint.tensor_root(name) != base.tensor_root(name):
        raise IntegerTensorChanged(
            f"{where} ({ours.dtype}) differs from the base's ({theirs.dtype}){why}; {advice([name], ())}"
        )
    return False
