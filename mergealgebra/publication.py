"""Publication: a checkpoint becomes a contribution. All of it is read and checked before its operation appears."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from mergealgebra.algebra import decimals
from mergealgebra.contribution import (
    Chosen,
    auxiliary_entry,
    check_base,
    choose,
    choose_auxiliary,
    make_manifest,
    refuse_unknown_kinds,
)
from mergealgebra.contribution_blobs import as_contribution
from mergealgebra.crdt.manifest import FORMS, Auxiliary, Manifest
from mergealgebra.crdt.operations import Signer, check_note
from mergealgebra.engine.backends import backend as backend_named
from mergealgebra.engine.limits import thread_count
from mergealgebra.engine.measure import Measure, measure
from mergealgebra.engine.plan import make_plan
from mergealgebra.errors import AuxiliaryError, Implausible, LockError, NamesError, OperationError
from mergealgebra.figures import differences, save_figures, saved_figures
from mergealgebra.formats.models import adapter_doubts, open_model
from mergealgebra.history import now, seen_before
from mergealgebra.likeness import likeness
from mergealgebra.lock import Lock, lock_of
from mergealgebra.methods.method import Method
from mergealgebra.methods.task_arithmetic import TaskArithmetic
from mergealgebra.progress import Progress
from mergealgebra.recipe import if_here
from mergealgebra.signing import check_may_write
from mergealgebra.store.blobs import write_blob
from mergealgebra.store.local import advising_set_base, base_path, default_recipe, own_name
from mergealgebra.store.objects import Store
from mergealgebra.tensors.array_checkpoint import as_checkpoint
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.choice import Choice
from mergealgebra.tensors.file_names import INDEX, LOCK, MODEL
from mergealgebra.tensors.form_names import FINETUNED, LOW_RANK, TASK_VECTOR
from mergealgebra.tensors.forms import Formed, Held, of_form
from mergealgebra.tensors.task_vector import TaskVector, Tensors
from mergealgebra.text import by_caller, location, shown

#: What a message calls arrays of each form.
_CALLED: Final = {"finetuned": "the fine-tune", "task_vector": "the task vector", "low_rank": "the factors"}


class ContributionId(str):
    """A contribution's id, 64 hexadecimal digits. operation: the id of the `add` that published it.

    measure: what it changes. warnings: lines about what was left out of it, and what looks like a mistake.

    >>> code = alice.contribute("code.safetensors")  # the workspace of the example of `Workspace`
    >>> code, len(code), code in alice.visible(), code.measure.to_map()["changed"]
    (ContributionId('0857e5ae5c26...'), 64, True, '0.25')
    """

    __slots__ = ("measure", "operation", "warnings")
    operation: str
    measure: Measure
    warnings: tuple[str, ...]

    def __new__(cls, id_: str, operation: str, measure: Measure, warnings: tuple[str, ...] = ()) -> Self:
        made = super().__new__(cls, id_)
        made.operation, made.measure, made.warnings = operation, measure, warnings
        return made

    def __repr__(self) -> str:
        return f"ContributionId('{self[:12]}...')"


@dataclass(frozen=True)
class Offer:
    """A checkpoint to publish: its form, its coefficient (a decimal), and patterns of tensor names [CT-8].

    checkpoint: a path, or name -> array. form: `finetuned` if left out, of a TaskVector `task_vector`; `low_rank` for
    tensors whose names say their forms [CT-13]. force: whether what looks like a mistake is published all the same
    [CT-11]. auxiliary: by kind, a path or name -> array [CT-15]. Raises OperationError for another form, AuxiliaryError
    for another kind, and DecimalError.
    """

    checkpoint: Tensors
    form: str | None = None
    coefficient: str = "1"
    take: Sequence[str] = ()
    leave: Sequence[str] = ()
    force: bool = False
    auxiliary: Mapping[str, Tensors] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.form is not None and self.form not in FORMS:
            known = f"{', '.join(FORMS[:-1])} or {FORMS[-1]}"
            raise OperationError(f"{shown(self.form)} is not a form of contributions; choose {known}")
        if self.form not in (None, TASK_VECTOR) and isinstance(self.checkpoint, TaskVector):
            raise OperationError("a TaskVector is a difference from the base: leave form= out, or pass the fine-tune")
        refuse_unknown_kinds(self.auxiliary)
        decimals.fp32(self.coefficient, "coefficient")

    @property
    def form_taken(self) -> str:
        """The form, also where it was left out."""
        return self.form or (TASK_VECTOR if isinstance(self.checkpoint, TaskVector) else FINETUNED)

    def open(self, base: Checkpoint) -> Held:
        """What is offered to this base. Raises as `open_model`, ArrayCheckpoint and Formed do."""
        if self.form_taken != TASK_VECTOR and not isinstance(self.checkpoint, Mapping):
            found = open_model(self.checkpoint, base)
            return found if isinstance(found, Formed) else of_form(self.form_taken, found)
        return of_form(self.form_taken, as_checkpoint(self.checkpoint, _CALLED[self.form_taken]))


@dataclass(frozen=True)
class _Stored:
    """A contribution whose blob is in the store and whose operation is still to come."""

    manifest: Manifest
    measure: Measure
    warnings: tuple[str, ...]


def publish(
    store: Store,
    offer: Offer,
    note: str | None,
    threads: int | None,
    progress: Progress,
    signer: Signer | None = None,
) -> ContributionId:
    """Check and measure what is offered, and write its blob, then its operation [SY-2].

    signer: of the operation, in a signed workspace. Raises NotAllowed; OperationError for the note; NamesError,
    ShapeError, DtypeError, NonFinite and the like, naming file, tensor and index; and Implausible [CT-11, CT-12].
    """
    check_note(note)
    state, name, base = store.state(), own_name(store), base_path(store)
    check_may_write(state, signer)
    visible = state.visible()
    with advising_set_base(store):
        made = _store_blob(offer, store, base, visible, threads, progress)
    id_ = made.manifest.id
    alike = likeness(made.manifest, visible, store, base)
    before = seen_before(id_, state)
    save_figures(store.path, id_, made.measure.to_map())
    operation = store.write_delta(state.add(made.manifest, time=now(), note=note, name=name, signer=signer))
    return ContributionId(id_, operation, made.measure, (*made.warnings, *before, *alike))


def _store_blob(
    offer: Offer, store: Store, base_path: Path, visible: Collection[str], threads: int | None, progress: Progress
) -> _Stored:
    """Check and measure what is offered, and write its blob. visible: the contributions beside which it will stand."""
    others = differences(saved_figures(store.path, visible)).values()
    number = decimals.fp32(offer.coefficient, "coefficient")
    with Checkpoint.open(base_path) as base, offer.open(base) as given, ExitStack() as opened:
        form = LOW_RANK if isinstance(given, Formed) else offer.form_taken
        recipe = if_here(default_recipe(store))
        recipe.check_coefficient(number, str(given.path))
        merge = [*_refuse_merge(offer, visible), *_refuse_lacking(offer, recipe)]
        check_base(base, store.genesis.base, thread_count(threads), progress)
        chosen = choose(form, given, base, Choice.among({*base.records, *given.records}, offer.take, offer.leave))
        source, names = chosen.checkpoint, chosen.names
        _refuse_one_plain_form(source, names)
        kinds = _chosen_auxiliary(offer, chosen, opened)
        contribution = as_contribution(str(source.path), form, number, source, names)
        # One contribution is read and measured, not merged: what the recipe needs for that is not here yet.
        plan = make_plan(base, [contribution], TaskArithmetic(), backend_named("auto", progress), threads=threads)
        measured = measure(plan, progress)
        doubts = [] if isinstance(offer.checkpoint, Mapping) else adapter_doubts(offer.checkpoint, base_path)
        warnings = (
            *merge,
            *doubts,
            *chosen.remarks,
            *measured.judge(str(source.path), force=offer.force, others=others),
        )
        beside = [_write_auxiliary(kind, tensors, store, progress) for kind, tensors in kinds.items()]
        with store.blob_writer() as blob:
            stored = (source.stored, source.stored_names(names)) if isinstance(source, Formed) else (source, names)
            roots = write_blob(*stored, blob.write, progress)
            base.refuse_changed()
            manifest = make_manifest(form, store.genesis.base, source, roots, number, beside)
            blob.commit(manifest.tensors)
    return _Stored(manifest, measured, warnings)


def _refuse_lacking(offer: Offer, recipe: Method) -> list[str]:
    """A line for each kind that the default recipe needs and is not offered, on which `force` insists [CT-16].

    Raises AuxiliaryError.
    """
    lacking = [kind for kind in sorted(recipe.needs.auxiliary) if kind not in offer.auxiliary]
    lines = [f"it has no {kind}, which the workspace's recipe, {recipe.name}, needs of all" for kind in lacking]
    if lines and not offer.force:
        give = by_caller(f"--{lacking[0]} PATH", f"auxiliary={{{lacking[0]!r}: ...}}")
        insist = by_caller("--force", "force=True")
        raise AuxiliaryError(f"{lines[0]}: contribute it with {give}, or insist with {insist}")
    return lines


def _chosen_auxiliary(offer: Offer, chosen: Chosen, opened: ExitStack) -> dict[str, Checkpoint]:
    """The auxiliary tensors that are offered, checked. Raises as `choose_auxiliary` does."""
    given = {kind: opened.enter_context(as_checkpoint(offer.auxiliary[kind], kind)) for kind in sorted(offer.auxiliary)}
    return {kind: choose_auxiliary(kind, tensors, chosen) for kind, tensors in given.items()}


def _write_auxiliary(kind: str, tensors: Checkpoint, store: Store, progress: Progress) -> Auxiliary:
    """Write a blob of auxiliary tensors; returns what the manifest says of it."""
    with store.blob_writer() as blob:
        entry = auxiliary_entry(kind, tensors, write_blob(tensors, list(tensors.records), blob.write, progress))
        blob.commit(entry.root)
    return entry


def _refuse_one_plain_form(held: Held, names: Sequence[str]) -> None:
    """Raise NamesError where nothing is factors and all is of one form: that is stored under plain names [CT-13]."""
    forms = {held.forms[name] for name in names} if isinstance(held, Formed) else set()
    if len(forms) == 1 and LOW_RANK not in forms:
        form = forms.pop()
        todo = by_caller("--task-vector" if form == TASK_VECTOR else "no --low-rank", f"form={form!r}")
        raise NamesError(
            f"{location(held.path)} has no factors, all that it holds is {form}: write it under plain names, and "
            f"contribute it with {todo}"
        )


def _refuse_merge(offer: Offer, visible: Collection[str]) -> list[str]:
    """A line for a merge of visible contributions, on which `force` insists [CT-12]. Raises Implausible."""
    if isinstance(offer.checkpoint, Mapping):
        return []
    path = Path(offer.checkpoint)
    again = len(_merged(path) & set(visible))
    if not again:
        return []
    count = "1 contribution that is" if again == 1 else f"{again} contributions that are"
    said = f"{location(path)}: by its lock it is the merge of {count} visible here, which would count twice"
    if not offer.force:
        insist = by_caller("--force", "force=True")
        raise Implausible(f"{said}; contribute what was trained from the base, or insist with {insist}")
    return [said]


def _merged(model: Path) -> set[str]:
    """The contributions that the lock of a model names; none without a lock that can be read."""
    ids = _locked(lock_of(model))
    if not ids and model.name in (MODEL, INDEX):
        return _locked(model.parent / LOCK)
    return ids


def _locked(lock: Path) -> set[str]:
    with suppress(LockError):
        return {contribution.id for contribution in Lock.read_file(lock).contributions}
    return set()
