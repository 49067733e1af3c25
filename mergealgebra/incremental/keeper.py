"""Keeping an aggregate from merge to merge: it is brought from the contributions that it holds to those wanted."""

from __future__ import annotations

import errno
import math
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Final

import numpy as np

from mergealgebra.algebra.exact import LIMITS, grid_exponents
from mergealgebra.contribution_blobs import open_contribution
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.engine.faults import Faulty
from mergealgebra.engine.merged_spans import MergedSpan, Stale, Totals
from mergealgebra.engine.plan import Plan, block_of, make_plan
from mergealgebra.engine.sources import Contribution
from mergealgebra.errors import BackendError, MergeAlgebraError, OutputError
from mergealgebra.incremental.change import Change
from mergealgebra.incremental.cost import Cost, why_not_kept
from mergealgebra.incremental.folder import Draft, Folder, Home
from mergealgebra.incremental.header import Header
from mergealgebra.incremental.outcome import Outcome
from mergealgebra.incremental.pages import LARGEST_COUNT, PAGE, RECORD, Element, Layout, Paged, Unfit, votes_of, wider
from mergealgebra.incremental.update import Update
from mergealgebra.kernels.blocks import UpdatingKernel
from mergealgebra.progress import Progress
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.text import by_caller

#: Left free on the disk, beside the aggregate and a model.
_SPARE_BYTES: Final = 1 << 22


class _DiskFull(Exception):
    """Nobody sees it: without an aggregate there may be room for the model."""


class Keeper:
    """The aggregate of one merge, in a home of its own. outcome: what became of it, at the end.

    plan: the merge in full. manifests: of its contributions, in their order. blobs: where tensors are, by root, those
    of retracted contributions among them. Raises BackendError for a kernel that cannot update sums.
    """

    def __init__(
        self, home: Home, base: Checkpoint, plan: Plan, manifests: Sequence[Manifest], blobs: Mapping[str, Path]
    ) -> None:
        if not isinstance(plan.kernel, UpdatingKernel):
            raise BackendError(f"an aggregate can be kept with backend numba or numpy, not {plan.kernel.name!r}")
        self._home, self._base, self._plan, self._kernel = home, base, plan, plan.kernel
        self._manifests, self._blobs = tuple(manifests), blobs
        self._coefficients = tuple(contribution.coefficient for contribution in plan.contributions)
        self.outcome = Outcome("the merge was made in full, after a file or a threshold turned out to be another", None)

    def run(
        self,
        use: Callable[[Iterator[MergedSpan], Totals], None],
        progress: Progress,
        cache: MutableMapping[str, bytes] | None,
    ) -> bool:
        """Merge by the aggregate, and keep it. use: takes the spans. cache: of answers, as in `engine.run.run`.

        The aggregate that is there is brought up to date, if it fits; else a new one is made. False when neither did:
        a merge in full then tells what is wrong, if anything is. Raises OutputError, and what a merge in full raises.
        """
        if reason := self._why_not():
            self._give_up(reason)
            return False
        with ExitStack() as opened:
            folder = self._folder(opened)
            if folder is None:
                return False
            folder.sweep()
            header = folder.header
            try:
                if header is not None and self._merged(partial(self._from, header), folder, use, progress, cache):
                    return True
                return self._merged(self._from_nothing, folder, use, progress, cache)
            except _DiskFull:
                self._give_up("its disk is full")
                return False

    def _why_not(self) -> str:
        """Why nothing can be kept, or why it would not pay; empty if it does."""
        if reason := why_not_kept(self._plan.recipe):
            return reason
        if self._plan.needs.copies and len(self._manifests) > LARGEST_COUNT:
            return f"models whose bits are copied are counted up to {LARGEST_COUNT:,}"
        if not self._plan.coefficients.certified:
            return "the coefficients together have no certificate"
        if self._home.always or len(self._manifests) >= self._cost.pays_from:
            return ""
        return (
            f"of {len(self._manifests)} contributions it would save no time, and take {self._cost.in_words()}; it "
            f"pays from {self._cost.pays_from} on, and --keep-aggregate=always insists"
        )

    def _folder(self, opened: ExitStack) -> Folder | None:
        """The folder of the aggregate, open; None when it cannot be used."""
        try:
            return opened.enter_context(self._home.opened(self._header_bytes))
        except OSError as error:
            self._give_up(f"{error.filename} in the workspace cannot be used: {error.strerror}; delete it")
        except OutputError as error:
            self._give_up(str(error))
        return None

    def _merged(
        self,
        make: Callable[[Folder, ExitStack], Update | None],
        folder: Folder,
        use: Callable[[Iterator[MergedSpan], Totals], None],
        progress: Progress,
        cache: MutableMapping[str, bytes] | None,
    ) -> bool:
        """Merge by one update, and keep what it leaves; False where there is none, or it turns out not to fit."""
        with ExitStack() as opened:
            update = make(folder, opened)
            if update is None:
                return False
            totals = Totals(update.known)
            try:
                with closing(update.spans(totals, progress, cache)) as spans:
                    use(spans, totals)
            except (Faulty, Stale, Unfit):
                return False
            except OutputError as error:
                raise (_DiskFull if _is_full(error) else error) from error.__cause__
            except MergeAlgebraError:
                if update.unread:  # a merge in full reads all, and says better what is wrong
                    return False
                raise
            self._commit(update, totals)
            return True

    def _give_up(self, problem: str) -> None:
        """Nothing is kept, for this reason."""
        self.outcome = Outcome(problem, None)

    def _commit(self, update: Update, totals: Totals) -> None:
        """Keep what an update left, now that everything has been read and checked."""
        problem = self.outcome.problem if update.changes else ""
        if update.draft is not None:
            try:
                update.draft.commit(self._plan.recipe.id, update.entries(totals), update.least)
                problem = update.draft.problem
            except Unfit as unfit:
                problem = str(unfit)
        cost = None if problem else Cost.of(self._plan, update.layout)
        self.outcome = Outcome(problem, update.changes if update.unread else None, cost)

    def _from_nothing(self, folder: Folder, opened: ExitStack) -> Update | None:
        """The update of an empty aggregate, which adds everything; None when nothing can be kept."""
        plan = self._by_pages(self._plan.contributions)
        draft = None if plan is None else self._draft(folder, self._layout, opened)
        if plan is None or draft is None:
            return None
        least = _least_grid(self._coefficients)
        return Update(self._plan, plan, self._kernel, self._manifests, self._layout, least, folder.seal, draft=draft)

    def _from(self, header: Header, folder: Folder, opened: ExitStack) -> Update | None:
        """The update that makes this aggregate the one that is wanted; None when it does not fit."""
        change = Change.between(header.entries, self._manifests)
        least = min(header.least, _least_grid([self._coefficients[index] for index in change.added]))
        if (
            header.recipe != self._plan.recipe.id
            or change.size >= len(self._manifests)
            or any(self._paged(tensor.name) != tensor for tensor in header.layout.tensors)
            or not math.fsum(map(abs, self._coefficients)) < LIMITS[least]
        ):
            return None
        pages, retracted = opened.enter_context(folder.pages(header)), self._opened(change, opened)
        if pages is None or retracted is None:
            return None
        visible = (
            replace(contribution, names=frozenset(), tensors=None) if index in change.unread else contribution
            for index, contribution in enumerate(self._plan.contributions)
        )
        plan = self._by_pages([*visible, *retracted])
        if plan is None:
            return None
        votes = wider(self._layout.element.votes, header.layout.element.votes)
        layout = replace(self._layout, element=replace(self._layout.element, votes=votes))
        manifests = (*self._manifests, *change.retracted)
        draft = self._draft(folder, layout, opened) if change.size else None
        return Update(
            self._plan, plan, self._kernel, manifests, layout, least, folder.seal, change.unread, pages, draft
        )

    def _opened(self, change: Change, opened: ExitStack) -> list[Contribution] | None:
        """The contributions to take out; None when the tensors of one are not here any more."""
        found = []
        for manifest in change.retracted:
            try:
                needed = self._plan.needs.auxiliary
                found.append(open_contribution(manifest, self._blobs, self._base, opened, needed).contribution)
            except MergeAlgebraError:
                return None
        return found

    # What any update needs

    @cached_property
    def _cost(self) -> Cost:
        return Cost.of(self._plan, self._layout)

    @cached_property
    def _layout(self) -> Layout:
        (round_,) = self._plan.rounds
        votes = votes_of(round_.columns, self._coefficients)
        widths = [DTYPES[self._plan.base.records[name].dtype].itemsize for name in self._plan.held_names()]
        bits = max(2, *widths) if self._plan.needs.copies else 0
        element = Element(round_.columns.sums, votes, bits)
        return Layout(tuple(map(self._paged, self._plan.held_names())), element)

    def _paged(self, name: str) -> Paged:
        """A tensor of the base in pages, as a plan in blocks of a page cuts it."""
        unit, block = self._plan.units[name], max(PAGE, *self._plan.units.values())
        return Paged(name, self._plan.base.records[name].size, unit, block_of(unit, block))

    @cached_property
    def _page_bytes(self) -> int:
        """Memory of a worker for the largest page, before and after."""
        widest = replace(self._layout.element, votes="float64").nbytes
        return 2 * widest * max((tensor.page for tensor in self._layout.tensors), default=0)

    @cached_property
    def _header_bytes(self) -> int:
        """Bytes that no header exceeds from which few enough changes lead here: half of its entries must be visible."""
        records = self._plan.base.records
        statistics = sum(stage.statistic is not None for stage in self._plan.stages)
        names = sum(len(name.encode()) + 64 for name in records) * max(1, statistics)  # with a size, or a threshold
        pages = sum(self._paged(name).count for name in records)
        return 4096 + names + RECORD * pages + 2 * len(self._manifests) * (1024 + names)

    def _by_pages(self, contributions: Sequence[Contribution]) -> Plan | None:
        """The plan in blocks of a page; None when there is no memory for that."""
        full = self._plan
        memory = full.memory - self._page_bytes * full.threads
        try:
            return make_plan(
                full.base,
                contributions,
                full.recipe,
                full.kernel,
                threads=full.threads,
                block=PAGE,
                memory=memory,
                hashed=True,
            )
        except BackendError:
            self._give_up(f"there is too little memory; raise {by_caller('--memory', 'memory=')}")
            return None

    def _draft(self, folder: Folder, layout: Layout, opened: ExitStack) -> Draft | None:
        """Room for the pages to be written; None when the disk has none."""
        needed = layout.nbytes + Cost.of(self._plan, layout).model + _SPARE_BYTES
        try:
            free = folder.free
            if free < needed:
                self._give_up(f"it needs {needed:,} bytes, the new model among them, and its disk has {free:,} free")
                return None
            draft = Draft(folder, layout)
        except OSError as error:
            self._give_up(f"it cannot be written: {error.strerror}")
            return None
        opened.callback(draft.close)
        return draft


def _is_full(error: OutputError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.ENOSPC, errno.EDQUOT)


def _least_grid(coefficients: Sequence[float]) -> int:
    return int(grid_exponents(np.asarray(coefficients, np.float32)).min(initial=255))
