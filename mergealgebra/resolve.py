"""Resolve: base, recipe, visible contributions and their blobs to one model. The one place where both layers meet.

Everything is checked before anything is written, and nothing is skipped [SY-6, LK-1].
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from mergealgebra.contribution import check_base_root
from mergealgebra.contribution_blobs import open_contribution
from mergealgebra.crdt.genesis import SPEC, merge_id
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.credits import UNKNOWN
from mergealgebra.encoding import model_root
from mergealgebra.engine.backends import backend_for
from mergealgebra.engine.buffers import BASE, RESULT
from mergealgebra.engine.faults import Faulty, diagnose
from mergealgebra.engine.merged_spans import MergedSpan, Stale, Totals
from mergealgebra.engine.plan import make_plan
from mergealgebra.engine.run import run
from mergealgebra.errors import CheckpointError, RecipeError
from mergealgebra.execution import Execution
from mergealgebra.lock import Lock, achieved_density, lock_format, refuse_large, tensors_root
from mergealgebra.lock_file import LockedContribution, LockedTensor
from mergealgebra.merge_input import Input, Roots
from mergealgebra.merge_result import MergeResult
from mergealgebra.methods.method import Method
from mergealgebra.model_folder.additions import NOTHING, Additions, beside, of_dtype
from mergealgebra.model_folder.card import AT_ONCE, IN_WORKSPACE, model_card
from mergealgebra.model_folder.leftovers import warnings_beside
from mergealgebra.model_folder.output import Contents, refuse_occupied, write_model, write_single_file
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.file_names import LOCK
from mergealgebra.tensors.single_file import is_single_file, refuse_parts
from mergealgebra.text import location
from mergealgebra.wanted import Wanted

if TYPE_CHECKING:
    from mergealgebra.incremental.keeper import Keeper


class Merge:
    """A merge with its inputs open and their headers checked, ready to be written or only computed.

    The inputs are hashed in the pass that reduces them, so what is locked is what was merged, even if a file changes
    meanwhile. base_root: what the base must be; None if it may be any. blobs: for an aggregate, by tensors root.
    """

    def __init__(
        self,
        base: Checkpoint,
        inputs: Sequence[Input],
        recipe: Method,
        execution: Execution,
        base_root: str | None,
        blobs: Mapping[str, Path] = MappingProxyType({}),
    ):
        self._base, self._inputs, self._execution, self._base_root = base, inputs, execution, base_root
        self._plan = make_plan(
            base,
            [input_.contribution for input_ in inputs],
            recipe,
            backend_for(recipe, execution.backend, execution.progress),
            threads=execution.threads,
            block=execution.block,
            memory=execution.memory,
            hashed=True,
        )
        manifests = [input_.manifest for input_ in inputs if input_.manifest is not None]
        self._keeper: Keeper | None = None
        if execution.aggregate:
            from mergealgebra.incremental.keeper import Keeper  # most merges keep nothing, and start without it

            self._keeper = Keeper(execution.aggregate, base, self._plan, manifests, blobs)

    def write(self, out: Path, expected: Lock | None = None, additions: Additions = NOTHING) -> MergeResult:
        """Merge into a new folder, or the file of such a name. expected: the lock of the model that it must give.

        additions: what stands beside it in a folder, and is not the base's [LK-10].
        Raises OutputError, BaseMismatch, BlobDamaged, NonFinite, RecipeError when two inputs are the same
        contribution, CheckpointError when an input changed, VerificationFailed when it gives another model than
        expected [LK-6], and what reading raises; then nothing is written.
        """
        refuse_large(self._base.records.values(), len(self._inputs), max(input_.format for input_ in self._inputs))
        made, read = list[Lock](), list[dict[str, Manifest]]()
        if single := is_single_file(out):
            refuse_parts(out, self._base)
        additions = of_dtype(self._base, "" if single else self._plan.recipe.out_dtype) | additions
        warnings, parents = warnings_beside(out), [input_.credit for input_ in self._inputs]
        along = beside(self._base, additions, parents, single=single)
        entries = [(r.name, r.dtype, r.shape, r.nbytes) for r in self._plan.results.values()]
        contents = Contents(entries, along.copies, self._base.parts, self._base.stems(), along.files)

        def run_once(spans: Iterator[MergedSpan], totals: Totals) -> None:
            def lock() -> tuple[str, bytes]:
                read.append(self._read(totals))
                made.append(self._lock(totals, read[0]))
                if expected is not None:
                    expected.refuse_other_model(made[0])
                return LOCK, made[0].to_bytes()

            def lock_and_card() -> dict[str, bytes]:
                locked = lock()
                credits_ = dict(zip(read[0], parents, strict=True))
                kind = AT_ONCE if self._base_root is None else IN_WORKSPACE
                return dict([locked, ("README.md", model_card(made[0], self._base, credits_, kind, along.files))])

            if single:
                write_single_file(out, contents, spans, lock, self._execution.noted)
            else:
                write_model(out, contents, spans, lock_and_card, self._execution.noted)

        self._run(run_once)
        outcome = self._keeper.outcome if self._keeper else None
        return MergeResult(out, made[0], outcome, [*made[0].remarks, *self._plan.remarks, *warnings, *along.remarks])

    def compute(self) -> Lock:
        """Merge and write nothing: the lock that `write` would write."""
        return self.hand_over(lambda _: None)

    def hand_over(self, take: Callable[[MergedSpan], None]) -> Lock:
        """Merge, hand over each span, and write nothing: the lock that `write` would write.

        A span may come again, as it was or otherwise: the last one counts. Raises as `write` does, but for OutputError.
        """
        made = list[Lock]()

        def run_once(spans: Iterator[MergedSpan], totals: Totals) -> None:
            for merged in spans:
                take(merged)
            made.append(self._lock(totals, self._read(totals)))

        self._run(run_once)
        return made[0]

    def _run(self, use: Callable[[Iterator[MergedSpan], Totals], None]) -> None:
        """Hand the spans of the merge to `use`: by the sums that are kept, or by known answers, or from nothing.

        Each way may turn out not to do, which the next one mends. New answers are kept when all went well, and not
        before: an error leaves everything as it was.
        """
        cache = self._execution.answers
        if self._keeper is not None:
            found: dict[str, bytes] = {}
            if self._keeper.run(use, self._execution.progress, ChainMap(found, {} if cache is None else cache)):
                if cache is not None:
                    cache.update(found)
                return
        if cache is not None and self._merged_with(cache, use):
            return
        try:
            found = self._merged(use, {})
        except Stale:
            self._refuse_changed()
            raise CheckpointError(
                f"{location(self._base.path)}: the base or a fine-tune changed while it was read; run it again"
            ) from None
        except Faulty as fault:
            raise self._named(fault) from None
        if cache is not None:
            cache.update(found)

    def _merged_with(self, cache: MutableMapping[str, bytes], use: Callable[..., None]) -> bool:
        """Merge by the answers in a cache; False when one of them was wrong, or may have let in what overflows."""
        try:
            cache.update(self._merged(use, cache))
        except (Stale, Faulty):
            return False
        return True

    def _merged(self, use: Callable[..., None], known: MutableMapping[str, bytes]) -> dict[str, bytes]:
        """Merge, and return the answers that were not known. Raises Stale and Faulty."""
        found, totals = dict[str, bytes](), Totals()
        spans = run(
            self._plan,
            totals,
            self._execution.progress,
            base_root=self._base_root or "",
            cache=ChainMap(found, known),
            executor=self._execution.executor,
        )
        with closing(spans):  # its threads end with it
            use(spans, totals)
        return found

    def _named(self, fault: Faulty) -> Exception:
        """The error of a number that is not finite, if all inputs are what they should be."""
        threads = self._plan.threads
        base_root = self._base.root(threads)
        roots = [input_.read_now(threads) for input_ in self._inputs]
        self._refuse_changed()
        ids = list(self._manifests(base_root, roots))
        order = sorted(range(len(ids)), key=ids.__getitem__)
        return diagnose(self._plan, fault, order, self._execution.progress)

    def _manifests(self, base_root: str, roots: Sequence[Roots | None]) -> dict[str, Manifest]:
        """The manifests of the inputs by id, in their order, from the roots of what was read; None if it was not.

        Raises BaseMismatch, BlobDamaged, or RecipeError for two that are the same.
        """
        if self._base_root is not None:
            check_base_root(self._base, base_root, self._base_root)
        found: dict[str, Manifest] = {}
        for input_, read in zip(self._inputs, roots, strict=True):
            manifest = input_.manifest
            if manifest is None or read is not None:
                read = read or Roots({}, {})
                manifest = input_.manifest_for(base_root, read)
                input_.check(manifest, read)
            if manifest.id in found:
                earlier = self._inputs[list(found).index(manifest.id)]
                raise RecipeError(
                    f"{input_.contribution.label} and {earlier.contribution.label} are the same contribution, which "
                    "counts once; remove one of them, or give it a larger coefficient"
                )
            found[manifest.id] = manifest
        return found

    def _refuse_changed(self) -> None:
        self._base.refuse_changed()
        for input_ in self._inputs:
            input_.refuse_changed()

    def _read(self, totals: Totals) -> dict[str, Manifest]:
        """The manifests of what was read, once everything was, by id, in the order of the inputs."""
        records = self._base.records.values()
        base_root = model_root((r.name, r.dtype, r.shape, totals.root(BASE, r.name)) for r in records)
        roots = [None if i in totals.known else input_.read_in(totals, i) for i, input_ in enumerate(self._inputs)]
        self._refuse_changed()
        return self._manifests(base_root, roots)

    def _lock(self, totals: Totals, manifests: Mapping[str, Manifest]) -> Lock:
        """The lock of what was read."""
        base_root, results = next(iter(manifests.values())).base, self._plan.results
        tensors = {name: LockedTensor(r.dtype, r.shape, totals.root(RESULT, name)) for name, r in results.items()}
        contributions = [
            LockedContribution(
                id=id_,
                form=manifest.form,
                coefficient=manifest.coefficient,
                elements=manifest.elements,
                tensors=manifest.tensors,
                kept=totals.kept_by(i),
                auxiliary=manifest.auxiliary,
            )
            for i, (id_, manifest) in enumerate(manifests.items())
        ]
        recipe = self._plan.recipe
        return Lock(
            format=lock_format(manifests.values()),
            spec=SPEC,
            base=base_root,
            recipe=recipe.to_map(),
            contributions=sorted(contributions, key=lambda contribution: contribution.id),
            merge_id=merge_id(base_root, recipe.id, manifests),
            tensors=tensors,
            model_root=tensors_root(tensors),
            achieved_density=achieved_density(
                [contribution.kept for contribution in contributions], [m.elements for m in manifests.values()]
            ),
            uncertified=totals.uncertified,
            backend=self._plan.kernel.name,
        )


@contextmanager
def open_merge(wanted: Wanted, base: Path, blobs: Mapping[str, Path], execution: Execution) -> Iterator[Merge]:
    """The merge that is wanted, every input open and its headers checked [SY-6].

    base: where the base is here. blobs: by tensors root; for an aggregate, retracted ones too. Raises BlobMissing,
    BlobDamaged, NothingVisible, CoefficientError, and what reading raises.
    """
    with ExitStack() as opened:
        original = opened.enter_context(Checkpoint.open(base))
        inputs = []
        for id_, manifest in wanted.contributions.items():
            one = open_contribution(manifest, blobs, original, opened, wanted.recipe.needs.auxiliary)
            credit = wanted.credits.get(id_, UNKNOWN)
            inputs.append(Input(one.held, one.contribution, manifest, credit, one.kinds))
        yield Merge(original, inputs, wanted.recipe, execution, wanted.base, blobs)


def resolve(
    wanted: Wanted,
    base: Path,
    blobs: Mapping[str, Path],
    out: Path,
    execution: Execution = Execution(),
    expected: Lock | None = None,
) -> MergeResult:
    """Merge what is wanted into a new folder or file. Raises as `open_merge` and `Merge.write` do."""
    refuse_occupied(out)
    with open_merge(wanted, base, blobs, execution) as merge:
        return merge.write(out, expected)
