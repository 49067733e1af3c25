"""One direction of a sync: what a store takes of another, and what was refused on the way [SY-4]."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.errors import BlobDamaged, MergeAlgebraError, OutputError
from mergealgebra.progress import More
from mergealgebra.store.blobs import Admit
from mergealgebra.store.objects import Store

#: The order in which operations go: whatever is cut short, nothing retracted or revoked is visible [SY-8].
_FIRST: Final = ("grant", "keep", "revoke", "remove")

#: What the system says of a folder in which nothing can be written, and of some entries in others.
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)


@dataclass(frozen=True)
class Side:
    """The operations of a store that are what their names promise, and by name why the others are not [SY-3].

    foreign: what is passed over in a signed workspace [SG-7].
    """

    state: ORSet
    damaged: dict[str, MergeAlgebraError]
    foreign: tuple[MergeAlgebraError, ...] = ()


@dataclass
class Way:
    """One direction of a sync, and what has been carried so far.

    why_closed: why nothing may be written there. closed: whether nothing can be written, and that has been
    reported. unwritten: the refusals whose reason is the target.
    """

    source: Store
    target: Store
    refused: list[MergeAlgebraError]
    why_closed: MergeAlgebraError | None = None
    operations: list[str] = field(default_factory=list)
    blobs: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    closed: bool = False
    unwritten: list[MergeAlgebraError] = field(default_factory=list)

    def carry_operations(self, joined: ORSet, held: Side) -> None:
        """Write what the target lacks, and what is damaged there.

        Some kinds go first: if this dies halfway, nothing retracted is visible in the target [SY-8].
        """
        rank = {kind: number for number, kind in enumerate(_FIRST)}
        lacking = joined.difference(held.state).operations
        for operation in sorted(lacking, key=lambda operation: (rank.get(operation.kind, len(_FIRST)), operation.id)):
            self._try(partial(self._mend if operation.id in held.damaged else self._write, operation))

    def _write(self, operation: Operation) -> None:
        self.operations.append(self.target.write_operation(operation))

    def _mend(self, operation: Operation) -> None:
        self.target.mend_operation(operation)
        self.mended.append(str(self.target.operation_path(operation.id)))

    def carry_blob(self, root: str, admit: Admit, more: More, *, mends: bool) -> None:
        """Copy a blob; a damaged source is refused, and reported beside it so that others mend it."""
        self._try(partial(self._copy, root, admit, more, mends))

    def _copy(self, root: str, admit: Admit, more: More, mends: bool) -> None:
        try:
            self.target.import_blob(self.source.blob(root), root, admit, more)
        except BlobDamaged:
            with suppress(MergeAlgebraError):
                self.source.report_damage(root)
            raise
        if mends:
            self.mended.append(str(self.target.blob_path(root)))
            for store in (self.source, self.target):
                store.forget_report(root)
        else:
            self.blobs.append(root)

    def _try(self, step: Callable[[], None]) -> None:
        """Take a step; what keeps it from being done is one refusal, and so is a target that takes nothing at all."""
        if self.closed:
            return
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
