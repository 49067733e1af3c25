"""All that is known of one contribution, as `show` tells it, and what could not be found out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mergealgebra.algebra.decimals import from_hex
from mergealgebra.contribution import check_base
from mergealgebra.contribution_blobs import as_contribution, check_blob_root, open_blob
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.engine.backends import backend as backend_named
from mergealgebra.engine.limits import thread_count
from mergealgebra.engine.measure import measure
from mergealgebra.engine.plan import make_plan
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.figures import Figures, save_figures, saved_figures
from mergealgebra.history import stories
from mergealgebra.ids import SHORT, contribution_named
from mergealgebra.methods.task_arithmetic import TaskArithmetic
from mergealgebra.progress import Progress
from mergealgebra.store.objects import Store
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.safetensors_file import read_header


@dataclass(frozen=True)
class Tensor:
    """One tensor of a contribution, by its header."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Details:
    """What is known of one contribution.

    adds, retractions: the operations that made it visible and took it back, by time; whose names nothing proves.
    nbytes: of its tensors; None if they are not here. tensors: empty then. figures: `difference`, its norm in norms of
    the base, and `changed`, the share of its elements that it changes; empty where they could not be measured.
    unknown: a line for whatever could not be found out here. merge_id: of all that is visible here, by the default
    recipe, if this contribution is part of it. models: the model roots that replicas attest to for that. other_merges:
    how many other merges are attested here; an attest does not say what was in them.
    """

    contribution: str
    manifest: Manifest
    visible: bool
    adds: tuple[Operation, ...]
    retractions: tuple[Operation, ...]
    nbytes: int | None
    tensors: tuple[Tensor, ...]
    figures: Figures
    unknown: tuple[str, ...]
    merge_id: str | None
    models: tuple[str, ...]
    other_merges: int

    @property
    def told_by(self) -> Operation:
        """The add that says who, when and why: the earliest that nobody took back, if there is one."""
        gone = {name for remove in self.retractions for name in _named_by(remove)}
        return next((add for add in self.adds if add.id not in gone), self.adds[0])

    @property
    def coefficient(self) -> float:
        """The number that scales it."""
        return from_hex(self.manifest.coefficient)


def details(prefix: str, store: Store, base: Callable[[], Path], threads: int | None, progress: Progress) -> Details:
    """What is known of the contribution whose id begins so, visible or not.

    base: where the base is. What was measured here before is not measured again; else its tensors and the base are read
    and checked. Raises UnknownContribution.
    """
    state = store.state()
    id_ = contribution_named(prefix, state.known_ids())
    story = stories(state, [id_])[id_]
    manifest = story.manifest
    unknown: list[str] = []
    nbytes = store.blob_bytes(manifest.tensors) if store.has_blob(manifest.tensors) else None
    tensors: tuple[Tensor, ...] = ()
    figures: Figures = saved_figures(store.path, [id_]).get(id_, {})
    if nbytes is None:
        unknown.append("its tensors are not here, so they cannot be listed; sync with somebody who has them")
    else:
        with _told(unknown, "its tensors cannot be listed"):
            tensors = _tensors(store.blob_path(manifest.tensors))
        if not figures:
            with _told(unknown, "how much it changes cannot be measured"):
                figures = _measured(manifest, store, base(), threads, progress)
                save_figures(store.path, id_, figures)
    return Details(
        id_,
        manifest,
        story.visible,
        story.adds,
        story.retractions,
        nbytes,
        tensors,
        figures,
        tuple(unknown),
        *_merges(state, story.visible),
    )


def measure_visible(store: Store, base: Path, threads: int | None, progress: Progress) -> tuple[str, ...]:
    """Measure the visible contributions whose tensors are here and whose figures are not; returns why some cannot be.

    Each is measured as it is shown, and what was measured stays if this is interrupted.
    """
    visible, failed = store.state().visible(), list[str]()
    known = saved_figures(store.path, visible)
    for id_ in visible:
        if id_ not in known and store.has_blob(visible[id_].tensors):
            with _told(failed, f"contribution {id_[:SHORT]} cannot be measured"):
                save_figures(store.path, id_, _measured(visible[id_], store, base, threads, progress))
    return tuple(failed)


def _merges(state: ORSet, visible: bool) -> tuple[str | None, tuple[str, ...], int]:
    """The merge that a contribution is known to be in, the models attested for it, and the number of other merges."""
    known = state.merge_id if visible else None
    models = tuple(sorted(state.attestations(known))) if known else ()
    return known, models, len(state.attested().keys() - {known})


def _named_by(remove: Operation) -> tuple[str, ...]:
    names: tuple[str, ...] = getattr(remove.payload, "operations", ())
    return names


@contextmanager
def _told(unknown: list[str], what: str) -> Iterator[None]:
    """An error inside becomes a line that says what is not known, and why."""
    try:
        yield
    except (MergeAlgebraError, OSError) as error:
        unknown.append(f"{what}: {error}")


def _tensors(blob: Path) -> tuple[Tensor, ...]:
    return tuple(Tensor(record.name, record.dtype, record.shape) for record in read_header(blob).values())


def _measured(
    manifest: Manifest, store: Store, base_path: Path, threads: int | None, progress: Progress
) -> Mapping[str, str]:
    """Read and check a blob and the base, and measure what the one changes in the other."""
    workers = thread_count(threads)
    path = store.blob_path(manifest.tensors)
    with Checkpoint.open(base_path) as base, open_blob(manifest, path, base) as blob:
        check_base(base, manifest.base, workers)
        check_blob_root(manifest, blob, blob.root(workers))
        coefficient, label = from_hex(manifest.coefficient), f"contribution {manifest.id[:12]}"
        one = as_contribution(label, manifest.form, coefficient, blob, blob.records)
        plan = make_plan(base, [one], TaskArithmetic(), backend_named("auto"), threads=threads)
        return measure(plan, progress).to_map()
