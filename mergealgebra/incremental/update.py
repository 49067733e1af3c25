"""Bringing an aggregate up to date while merging: one pass over what changed, the aggregate, and the base [EX-8].

Where its sums have no certificate, and only there, all contributions are read again: the pages that they hold, whose
seals the aggregate keeps. So whatever it gives are the bits of a merge in full.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from mergealgebra.algebra.exact import Indices
from mergealgebra.algebra.method import Group, Statistic
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.encoding import decode, encode, model_root
from mergealgebra.engine.answers import Answers, groups, pack, unpack
from mergealgebra.engine.buffers import Auxiliary, Buffers, parts_of
from mergealgebra.engine.merged_spans import MergedSpan, Totals
from mergealgebra.engine.plan import Plan, together
from mergealgebra.engine.run import run
from mergealgebra.engine.sources import Block, Record
from mergealgebra.errors import EncodingError
from mergealgebra.incremental.folder import Draft
from mergealgebra.incremental.header import Entry
from mergealgebra.incremental.pages import Bytes, Layout, Pages, Unfit, clear, sums_in
from mergealgebra.incremental.seals import Seal
from mergealgebra.kernels.blocks import Part, Reduced, StoredSums, Updated, UpdatingKernel
from mergealgebra.kernels.numpy_reference import settle, unheld
from mergealgebra.kernels.reference import Host
from mergealgebra.progress import Progress
from mergealgebra.tensors.forms import Formed
from mergealgebra.text import shown


@dataclass(eq=False)
class Update:
    """One change of an aggregate.

    whole: the merge of all that is visible. plan: the same, by pages, of what is read: contributions that are not
    hold no tensors, and those to take out come last. manifests: of the plan's contributions. layout: of the sums
    afterwards. least: as in the header afterwards. seal: that of the workspace. unread: what is known of the
    contributions that are not read, by index. old: the pages before; None for those of nothing. draft: those
    afterwards; None if they are not written.
    """

    whole: Plan
    plan: Plan
    kernel: UpdatingKernel
    manifests: Sequence[Manifest]
    layout: Layout
    least: int
    seal: Seal
    unread: Mapping[int, Entry] = field(default_factory=dict)
    old: Pages | None = None
    draft: Draft | None = None

    def __post_init__(self) -> None:
        self._own = threading.local()
        self._ids = [manifest.id for manifest in self.manifests]
        self._of_all: Answers | None = None

    @property
    def changes(self) -> int:
        """How many contributions are read."""
        return len(self.plan.contributions) - len(self.unread)

    @property
    def known(self) -> Mapping[int, int]:
        """How many elements were kept of the contributions that are not read, by index."""
        return {index: entry.kept for index, entry in self.unread.items()}

    def spans(
        self, totals: Totals, progress: Progress, cache: MutableMapping[str, bytes] | None
    ) -> Generator[MergedSpan, None, None]:
        """The merged model, as `run` gives it. Raises Unfit too, when the aggregate is not what it should be."""
        base_root = self.manifests[0].base
        yield from run(self.plan, totals, progress, base_root=base_root, cache=cache, reducing=self._reduce)
        for index in range(len(self.whole.contributions), len(self.plan.contributions)):
            self._check_retracted(index, totals)

    def entries(self, totals: Totals) -> tuple[Entry, ...]:
        """What is in the aggregate, once all pieces have come. Raises Unfit when some answer cannot be kept."""
        read = {
            index: Entry(self.manifests[index], totals.kept_by(index), self._packed(totals.answers, index))
            for index in range(len(self.whole.contributions))
        }
        return tuple((read | dict(self.unread)).values())

    # Reducing a page

    def _reduce(
        self, answers: Answers, buffers: Buffers, page: Block, base: Host, parts: Sequence[tuple[int, Part]]
    ) -> Reduced | None:
        """A page of the merged model, from the sums before and the parts that change them."""
        if page.name not in self.layout:
            return unheld(base, [part for _, part in parts], self.whole.reduction(page.name))
        memory = self._memory("after", page.size * self.layout.element.nbytes)
        sums = sums_in(memory, self.layout.element)
        inputs = self._load(page, memory, sums)
        for index, part in parts:
            inputs ^= self._input(index, page, part)
        count = len(self.whole.contributions)
        added = [part for index, part in parts if index < count]
        retracted = [part for index, part in parts if index >= count]
        updated = self.kernel.update(base, sums, retracted, added, self.whole.reduction(page.name))
        uncertified = None if updated is None else self._settle(answers, buffers, page, base, updated, sums, inputs)
        if updated is None or uncertified is None:
            return None
        if self.draft is not None:
            self.draft.write(page, memory, inputs)
        turn = len(retracted)  # the kernel counts them first, their indices are the last
        kept = updated.kept[turn:] + updated.kept[:turn]
        witnesses = updated.witnesses[turn:] + updated.witnesses[:turn]
        return Reduced(updated.data, kept, witnesses, uncertified)

    def _load(self, page: Block, memory: Bytes, sums: StoredSums) -> int:
        """The sums of a page as they were before, and the joined seal of its inputs."""
        if self.old is None or page.name not in self.old.layout:
            clear(sums)
            return 0
        before = self.old.layout
        if before.element == self.layout.element:
            self.old.read(page, memory)
        else:
            other = self._memory("before", page.size * before.element.nbytes)
            self.old.read(page, other)
            sums.put(slice(None), sums_in(other, before.element))
        return self.old.inputs(page)

    def _input(self, index: int, page: Block, part: Part) -> int:
        """The seal of what a contribution holds of a page, its auxiliary tensors included."""
        joined = self.seal.of_input(self._ids[index], page, part.values)
        for kind, array in part.auxiliary.items():
            joined ^= self.seal.of_input(self._ids[index], page, array, kind)
        return joined

    def _memory(self, what: str, nbytes: int) -> Bytes:
        """Memory of the calling thread, that is used again for each page."""
        memory: Bytes | None = getattr(self._own, what, None)
        if memory is None or memory.size < nbytes:
            memory = np.empty(nbytes, np.uint8)
            setattr(self._own, what, memory)
        return memory[:nbytes]

    # Where there is no certificate

    def _settle(
        self,
        answers: Answers,
        buffers: Buffers,
        page: Block,
        base: Host,
        updated: Updated,
        sums: StoredSums,
        inputs: int,
    ) -> int | None:
        """Merge what the kernel missed from all contributions; returns how many coordinates are uncertified [EX-3].

        None when some number is not finite.
        """
        if not updated.missed.size:
            return 0
        at = self._whole_units(page, updated.missed)
        base = base[at]  # a copy, before its memory is used again
        settled = settle(base, self._all_parts(answers, buffers, page, at, inputs), self.whole.reduction(page.name))
        if settled is None:
            return None
        updated.data[at] = settled.data
        sums.put(at, settled.stored)
        return settled.uncertified

    def _whole_units(self, page: Block, at: Indices) -> Indices:
        """The positions of the units to which these belong: a stage may look at all of a row."""
        unit = together(self.whole.rounds, self.whole.base.records[page.name])
        return np.asarray((np.unique(at // unit)[:, None] * unit + np.arange(unit)).reshape(-1))

    def _all_parts(self, answers: Answers, buffers: Buffers, page: Block, at: Indices, inputs: int) -> list[Part]:
        """What every visible contribution holds at some positions of a page. Raises Unfit when one has changed."""
        parts, joined = [], 0
        for index, part in parts_of(self.whole, buffers, page, self._answers_of_all(answers)):
            joined ^= self._input(index, page, part)
            parts.append(part.only(at))
        if joined != inputs:
            raise Unfit("a contribution is not what it was when it was added")
        return parts

    def _answers_of_all(self, answers: Answers) -> Answers:
        """The thresholds of what is read, and those of all others as the aggregate has them."""
        if self._of_all is None and self._statistics:
            found = {number: dict(answers.found.get(number, {})) for number in self._statistics}
            for index, entry in self.unread.items():
                for (number, statistic), packed in zip(self._statistics.items(), self._unpacked(entry), strict=True):
                    found[number] |= _answers(statistic, packed, self._groups[number][index])
            self._of_all = Answers(found)
        return self._of_all or answers

    @cached_property
    def _statistics(self) -> Mapping[int, Statistic]:
        """The statistics of the method, by the number of the stage."""
        stages = enumerate(self.whole.stages)
        return {number: stage.statistic for number, stage in stages if stage.statistic is not None}

    @cached_property
    def _groups(self) -> Mapping[int, Sequence[Sequence[Group]]]:
        """For each statistic, the groups of each visible contribution of which something is found, by index."""
        found: dict[int, list[list[Group]]] = {}
        held: dict[int, list[str]] = {}
        for name in self.whole.held_names():
            for index, _ in self.whole.counted(name):
                held.setdefault(index, []).append(name)
        for number, statistic in self._statistics.items():
            found[number] = [[] for _ in self.whole.contributions]
            for group in groups(self.whole, statistic, held):
                found[number][group.index].append(group)
        return found

    def _packed(self, answers: Answers, index: int) -> bytes:
        """What was found of a contribution: the answers of the only statistic, or a list of those of each."""
        packed = []
        for number, statistic in self._statistics.items():
            known = answers.found.get(number, {})
            found = [group for group in self._groups[number][index] if group in known]
            packed.append(pack(statistic, [known[group] for group in found]))
            if unpack(statistic, packed[-1], found) is None:
                raise Unfit(f"what is found by {shown(list(statistic.key))} is no short list of numbers and texts")
        return packed[0] if len(packed) == 1 else encode(packed)

    def _unpacked(self, entry: Entry) -> Sequence[bytes]:
        """The inverse: packed answers for each statistic. Raises Unfit."""
        if len(self._statistics) == 1:
            return [entry.thresholds]
        try:
            packed = decode(entry.thresholds, max_bytes=len(entry.thresholds))
        except EncodingError:
            packed = None
        found = [one for one in packed if isinstance(one, bytes)] if isinstance(packed, list) else []
        if len(found) != len(self._statistics):
            raise Unfit("the aggregate lacks thresholds")
        return found

    def _check_retracted(self, index: int, totals: Totals) -> None:
        """Raise Unfit unless what was taken out is what its manifest names."""
        contribution = self.plan.contributions[index]
        held, computed, manifest = contribution.source, contribution.computed, self.manifests[index]
        roots = {name: totals.root(index, name) for name in held.records if name not in computed}
        stored = held.stored_roots(roots, held.records) if isinstance(held, Formed) else roots
        records = held.stored.records if isinstance(held, Formed) else held.records
        found = {manifest.tensors: _root(records, stored)}
        for kind in self.plan.needs.auxiliary:
            entry, given = manifest.auxiliary_of(kind), contribution.auxiliary[kind]
            of_kind = {name: totals.root(Auxiliary(index, kind), name) for name in given.records}
            found["" if entry is None else entry.root] = _root(given.records, of_kind)
        if any(expected != root for expected, root in found.items()):
            raise Unfit(f"{contribution.label}, which is retracted, is damaged")


def _root(records: Mapping[str, Record], roots: Mapping[str, str]) -> str:
    """The root of tensors whose own roots are known."""
    return model_root((name, records[name].dtype, records[name].shape, root) for name, root in roots.items())


def _answers(statistic: Statistic, packed: bytes, of_index: Sequence[Group]) -> dict[Group, Any]:
    found = unpack(statistic, packed, of_index)
    if found is None:
        raise Unfit("the aggregate lacks thresholds")
    return dict(zip(of_index, found, strict=True))
