"""One direction of a sync: what a store takes of another, and what was refused on the way [SY-4]."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.packs import Pack
from mergealgebra.crdt.records import Record, in_writing_order
from mergealgebra.errors import BlobDamaged, MergeAlgebraError, OutputError
from mergealgebra.progress import More
from mergealgebra.store.blobs import Admit
from mergealgebra.store.objects import Store
from mergealgebra.store.operation_store import parts
from mergealgebra.store.pack_files import read_pack

#: What the system says of a folder in which nothing can be written, and of some entries in others.
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)


@dataclass(frozen=True)
class Side:
    """The operations of a store that are what their names promise [SY-3].

    damaged, damaged_packs: why other files are not, by id and by the name of the pack. salvaged: sound operations in
    damaged packs, which are not held. foreign: what is passed over in a signed workspace [SG-7].
    """

    state: ORSet
    damaged: Mapping[str, MergeAlgebraError] = field(default_factory=dict)
    damaged_packs: Mapping[str, MergeAlgebraError] = field(default_factory=dict)
    salvaged: Sequence[Operation] = ()
    foreign: tuple[MergeAlgebraError, ...] = ()


@dataclass
class Way:
    """One direction of a sync, and what has been carried so far.

    why_closed: why nothing may be written there. closed: whether nothing can be written, and that has been
    reported. unwritten: the refusals whose reason is the target. marks: whether damage is reported beside the source.
    """

    source: Store
    target: Store
    refused: list[MergeAlgebraError]
    why_closed: MergeAlgebraError | None = None
    operations: list[str] = field(default_factory=list)
    blobs: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    closed: bool = False
    marks: bool = True
    unwritten: list[MergeAlgebraError] = field(default_factory=list)

    def carry_operations(self, joined: ORSet, held: Side) -> None:
        """Write what the target lacks, and what is damaged there.

        Some kinds go first: if this dies halfway, nothing retracted is visible in the target [SY-8].
        """
        here = self._mend_packs(joined, held)
        lacking = in_writing_order(joined.difference(here).records().values())
        for record in lacking:
            if record.id in held.damaged:
                self._try(partial(self._mend, record))
        found = self._parts([record for record in lacking if record.id not in held.damaged])
        nbytes = sum(len(record.encoded) for part in found for record in part)
        if nbytes and self._try(partial(self.target.check_room, "operations", nbytes)):
            for part in found:
                self._try(partial(self._write, part))

    def _mend_packs(self, joined: ORSet, held: Side) -> ORSet:
        """What the target holds once those of its damaged packs are mended that the source has in good order."""
        here = held.state
        for name, why in sorted(held.damaged_packs.items()):
            pack = self._good_pack(name, joined)
            if pack is None:
                self.refused.append(why)
            elif self._try(partial(self._mend_pack, pack)):
                here = here.joined(record for id_ in pack.operations if (record := joined.record(id_)) is not None)
        return here

    def _good_pack(self, name: str, joined: ORSet) -> Pack | None:
        """The source's pack of this name, if all of it is known to be in good order."""
        with suppress(MergeAlgebraError):
            pack = read_pack(self.source.pack(name))
            return pack if all(map(joined.has, pack.operations)) else None
        return None

    def _parts(self, records: Sequence[Record]) -> Sequence[Sequence[Record]]:
        """What is written at once; where the bytes of one cannot be read, that is a refusal of all [SY-4]."""
        try:
            return list(parts(records))
        except MergeAlgebraError as error:
            self.refused.append(error)
            return []

    def _write(self, records: Sequence[Record]) -> None:
        self.target.write_records(records)
        self.operations += (record.id for record in records)

    def _mend(self, record: Record) -> None:
        self.target.mend_operation(record)
        self.mended.append(str(self.target.operation_path(record.id)))

    def _mend_pack(self, pack: Pack) -> None:
        self.target.write_pack(pack)
        self.mended.append(str(self.target.pack(pack.name).path))

    def carry_blob(self, root: str, admit: Admit, more: More, *, mends: bool) -> None:
        """Copy a blob; a damaged source is refused, and reported beside it so that others mend it."""
        self._try(partial(self._copy, root, admit, more, mends))

    def _copy(self, root: str, admit: Admit, more: More, mends: bool) -> None:
        try:
            self.target.import_blob(self.source.blob(root), root, admit, more)
        except BlobDamaged:
            if self.marks:
                with suppress(MergeAlgebraError):
                    self.source.report_damage(root)
            raise
        if mends:
            self.mended.append(str(self.target.blob_path(root)))
            for store in (self.source, self.target) if self.marks else (self.target,):
                store.forget_report(root)
        else:
            self.blobs.append(root)

    def _try(self, step: Callable[[], None]) -> bool:
        """Take a step; what keeps it from being done is one refusal, and so is a target that takes nothing at all."""
        if self.closed:
            return False
        try:
            if self.why_closed is not None:
                self.closed = True
                raise self.why_closed
            step()
        except MergeAlgebraError as error:
            self.refused.append(error)
            if isinstance(error, OutputError):
                self.unwritten.append(error)
            cause = error.__cause__
            closed = isinstance(error, OutputError) and isinstance(cause, OSError) and cause.errno in _CLOSED
            self.closed = self.closed or (closed and not self.target.takes_files())  # or it was this one entry
            return False
        return True
