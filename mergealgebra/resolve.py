"""Resolve: base, recipe, visible contributions and their blobs to one model. The one place where both layers meet.

Everything is checked before anything is written, and nothing is skipped [SY-6, LK-1].
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mergealgebra.algebra import decimals
from mergealgebra.contribution import Choice, check_base, make_manifest, names_of, open_blob
from mergealgebra.crdt.genesis import SPEC, merge_id
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.orset import ORSet
from mergealgebra.engine.backends import backend
from mergealgebra.engine.output import hashed, refuse_occupied, write_model
from mergealgebra.engine.plan import Contribution, Plan, make_plan, thread_count
from mergealgebra.engine.run import Piece, Tally, quiet, run
from mergealgebra.engine.task_vectors import Progress
from mergealgebra.errors import MergeAlgebraError, RecipeError
from mergealgebra.lock import FORMAT, LOCK, Lock, LockedContribution, LockedTensor, achieved_density, tensors_root
from mergealgebra.model_card import companions, model_card
from mergealgebra.recipe import Recipe, complete_recipe
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.safetensors_file import Entry
from mergealgebra.text import place


@dataclass(frozen=True)
class How:
    """How a merge is computed; never what it gives [MG-8]. Left out: all cores, a fitting block, silence."""

    backend: str = "auto"
    threads: int | None = None
    block: int | None = None
    progress: Progress = quiet


@dataclass(frozen=True)
class MergeResult:
    """A merged model on disk. `lock` is the content of its merge.lock."""

    out: Path
    lock: Lock

    @property
    def merge_id(self) -> str:
        """What was merged [MG-10]."""
        return self.lock.merge_id

    @property
    def model_root(self) -> str:
        """What came out [EN-7]."""
        return self.lock.model_root

    @property
    def backend(self) -> str:
        """The backend that computed it."""
        return self.lock.backend


@dataclass(frozen=True)
class Model:
    """A model of a one-shot merge: a fine-tuned checkpoint and its coefficient, a decimal."""

    path: Path
    coefficient: str = "1"


class Merge:
    """A merge with its inputs open and checked, ready to be written or only computed."""

    def __init__(
        self, inputs: Sequence[Checkpoint], base_root: str, manifests: Mapping[str, Manifest], plan: Plan
    ) -> None:
        """inputs: all that is read, the base first."""
        self._inputs, self._base = inputs, inputs[0]
        self._base_root, self._manifests, self._plan = base_root, manifests, plan
        self._tally = Tally([0] * len(manifests))

    @property
    def _entries(self) -> list[Entry]:
        return [(r.name, r.dtype, r.shape, r.nbytes) for r in self._base.records.values()]

    def write(self, out: Path, progress: Progress) -> MergeResult:
        """Merge into a new folder.

        Raises OutputError, NonFinite, CheckpointError when an input changed, and what reading raises; then nothing
        is written.
        """
        made: list[Lock] = []

        def finish(roots: Mapping[str, str]) -> dict[str, bytes]:
            made.append(self._lock(roots))
            return {LOCK: made[0].to_bytes(), "README.md": model_card(made[0], self._base)}

        with closing(self._pieces(progress)) as pieces:  # its threads end with it
            write_model(out, self._entries, pieces, finish, companions(self._base))
        return MergeResult(out, made[0])

    def compute(self, progress: Progress) -> Lock:
        """Merge and write nothing: the lock that `write` would write."""
        roots: dict[str, str] = {}
        with closing(self._pieces(progress)) as pieces:
            for _ in hashed(self._entries, pieces, roots):
                pass
        return self._lock(roots)

    def _pieces(self, progress: Progress) -> Generator[Piece, None, None]:
        self._tally = Tally([0] * len(self._manifests))
        return run(self._plan, self._tally, progress)

    def _lock(self, roots: Mapping[str, str]) -> Lock:
        """The lock, once everything has been read: of inputs that are still what they were when they were hashed."""
        for checkpoint in self._inputs:
            checkpoint.refuse_changed()
        tensors = {
            r.name: LockedTensor(dtype=r.dtype, shape=list(r.shape), root=roots[r.name])
            for r in self._base.records.values()
        }
        contributions = [
            LockedContribution(
                id=id_,
                form=manifest.form,
                coefficient=manifest.coefficient,
                elements=manifest.elements,
                tensors=manifest.tensors,
                kept=kept,
            )
            for (id_, manifest), kept in zip(self._manifests.items(), self._tally.kept, strict=True)
        ]
        return Lock(
            format=FORMAT,
            spec=SPEC,
            base=self._base_root,
            recipe=self._plan.recipe.to_map(),
            contributions=contributions,
            merge_id=merge_id(self._base_root, self._plan.recipe.id, self._manifests),
            tensors=tensors,
            model_root=tensors_root(tensors),
            achieved_density=achieved_density(self._tally.kept, [m.elements for m in self._manifests.values()]),
            uncertified=self._tally.uncertified,
            backend=self._plan.backend.name,
        )


@contextmanager
def open_merge(state: ORSet, base: Path, blobs: Mapping[str, Path], how: How) -> Iterator[Merge]:
    """The merge of a state's visible contributions, every input read and found to be what its name promises [SY-6].

    base: where the base is here. blobs: by tensors root. Raises BaseMismatch, BlobMissing, BlobDamaged,
    NothingVisible, CoefficientError, and what reading raises.
    """
    recipe, manifests = complete_recipe(state.genesis.recipe), state.visible()
    threads = thread_count(how.threads)
    with ExitStack() as opened:
        original = opened.enter_context(Checkpoint.open(base))
        inputs, contributions = [original], []
        if manifests:
            check_base(original, state.genesis.base, threads)
        for id_, manifest in manifests.items():
            blob = opened.enter_context(open_blob(manifest, blobs.get(manifest.tensors), original, threads))
            inputs.append(blob)
            coefficient = decimals.from_hex(manifest.coefficient)
            label = f"contribution {id_[:12]}"
            contributions.append(Contribution(label, manifest.form, coefficient, blob, frozenset(blob.records)))
        plan = make_plan(original, contributions, recipe, backend(how.backend), threads=threads, block=how.block)
        yield Merge(inputs, state.genesis.base, manifests, plan)


def resolve(state: ORSet, base: Path, blobs: Mapping[str, Path], out: Path, how: How = How()) -> MergeResult:
    """Merge a state's visible contributions into a new folder. Raises as `open_merge` and `Merge.write` do."""
    refuse_occupied(out)
    with open_merge(state, base, blobs, how) as merge:
        return merge.write(out, how.progress)


def merge_checkpoints(base: Path, models: Sequence[Model], recipe: Recipe, out: Path, how: How = How()) -> MergeResult:
    """One-shot merge of fine-tuned checkpoints, to the bits that a workspace with them would give [RC-8].

    Raises RecipeError when two models are the same contribution, and as `resolve` does.
    """
    refuse_occupied(out)
    with ExitStack() as opened:
        original = opened.enter_context(Checkpoint.open(base))
        threads = thread_count(how.threads)
        inputs, base_root = [original], original.root(threads)
        found: dict[str, tuple[Manifest, Contribution]] = {}
        for model in models:
            checkpoint = opened.enter_context(Checkpoint.open(model.path))
            inputs.append(checkpoint)
            manifest, contribution = _inspect(checkpoint, original, base_root, model, threads)
            if manifest.id in found:
                raise RecipeError(
                    f"{contribution.label} and {found[manifest.id][1].label} are the same contribution, which counts "
                    "once; remove one of them, or give it a larger coefficient"
                )
            found[manifest.id] = manifest, contribution
        ordered = dict(sorted(found.items()))
        contributions = [contribution for _, contribution in ordered.values()]
        plan = make_plan(original, contributions, recipe, backend(how.backend), threads=threads, block=how.block)
        manifests = {id_: manifest for id_, (manifest, _) in ordered.items()}
        return Merge(inputs, base_root, manifests, plan).write(out, how.progress)


def _inspect(
    checkpoint: Checkpoint, base: Checkpoint, base_root: str, model: Model, threads: int
) -> tuple[Manifest, Contribution]:
    label = place(model.path)
    coefficient = decimals.fp32(model.coefficient, f"{label}: coefficient")
    names = names_of("finetuned", checkpoint, base, Choice())
    roots = checkpoint.roots(threads)
    try:
        manifest = make_manifest("finetuned", base_root, checkpoint, {n: roots[n] for n in names}, coefficient)
    except MergeAlgebraError as error:
        raise type(error)(f"{label}: {error}") from None
    return manifest, Contribution(label, "finetuned", coefficient, checkpoint, frozenset(names))
