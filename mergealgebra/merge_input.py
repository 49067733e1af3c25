"""The inputs of a merge: contributions with their blobs open, and what is known of them once they were read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mergealgebra.contribution import auxiliary_entry, make_manifest
from mergealgebra.contribution_blobs import check_blob_root
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.credits import UNKNOWN, Credit
from mergealgebra.engine.buffers import Auxiliary
from mergealgebra.engine.merged_spans import Totals
from mergealgebra.engine.sources import Contribution
from mergealgebra.errors import CheckpointError
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.forms import Formed, Held


@dataclass(frozen=True)
class Roots:
    """The roots of what was read of a contribution: of the tensors that it stores, and of auxiliary ones by kind."""

    tensors: Mapping[str, str]
    kinds: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Input:
    """A contribution to a merge: its tensors, open, and the manifest that they must have, if one is known.

    credit: what the model card says of it. kinds: the auxiliary tensors that the method needs, open, by kind.
    """

    checkpoint: Held
    contribution: Contribution
    manifest: Manifest | None = None
    credit: Credit = UNKNOWN
    kinds: Mapping[str, Checkpoint] = field(default_factory=dict)

    @property
    def format(self) -> int:
        """The format of its manifest, or the most that it can be [CT-2]."""
        if self.manifest is not None:
            return self.manifest.format
        return 2 if self.kinds or isinstance(self.checkpoint, Formed) else 1

    @property
    def id(self) -> str:
        """The contribution's id, once it is known; empty before."""
        return self.contribution.id or ""

    @property
    def names(self) -> list[str]:
        """The tensors that it contributes, in name order."""
        return [name for name in self.checkpoint.records if name in self.contribution.names]

    def read_in(self, totals: Totals, index: int) -> Roots:
        """The roots of what a run read of it, as the contribution with this index."""
        names, computed = self.names, self.contribution.computed
        roots = {name: totals.root(index, name) for name in names if name not in computed}
        if isinstance(self.checkpoint, Formed):
            roots = self.checkpoint.stored_roots(roots, names)
        kinds = {
            kind: {
                # The engine reads what is there for a tensor; beside it there are single numbers.
                name: totals.root(Auxiliary(index, kind), name) if name in names else given.tensor_root(name)
                for name in given.records
            }
            for kind, given in self.kinds.items()
        }
        return Roots(roots, kinds)

    def read_now(self, threads: int) -> Roots:
        """The same, all of it read for this."""
        kinds = {kind: given.roots(threads) for kind, given in self.kinds.items()}
        return Roots(self.checkpoint.roots(threads, self.names), kinds)

    def manifest_for(self, base_root: str, roots: Roots) -> Manifest:
        """Its manifest, from the roots of what was read; what its method does not need stays as it is."""
        unread = () if self.manifest is None else self.manifest.auxiliary
        entries = [auxiliary_entry(kind, self.kinds[kind], of) for kind, of in roots.kinds.items()]
        entries += [entry for entry in unread if entry.kind not in roots.kinds]
        contribution = self.contribution
        return make_manifest(
            contribution.form, base_root, self.checkpoint, roots.tensors, contribution.coefficient, entries
        )

    def check(self, found: Manifest, roots: Roots) -> None:
        """Raise BlobDamaged unless the blobs that were read are those of the manifest that is known.

        Where none is, raise CheckpointError unless the tensors are those whose root was known before they were merged.
        """
        if self.manifest is None and self.contribution.tensors not in (None, found.tensors):
            raise CheckpointError(
                f"{self.contribution.label} changed between the pass that hashed it and the one that merged it; "
                "run it again"
            )
        if self.manifest is not None:
            check_blob_root(self.manifest, self.checkpoint, found.tensors)
            for kind in roots.kinds:
                entry = found.auxiliary_of(kind)
                check_blob_root(self.manifest, self.kinds[kind], entry.root if entry else "", kind)

    def refuse_changed(self) -> None:
        """Raise CheckpointError unless every file is still what it was when opened."""
        for checkpoint in (self.checkpoint, *self.kinds.values()):
            checkpoint.refuse_changed()
