"""What a store takes on the disk, by what it is for; the system is asked, and no file is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from mergealgebra.crdt.orset import ORSet
from mergealgebra.errors import WorkspaceError
from mergealgebra.store.blob_store import root_of
from mergealgebra.store.cache import AGGREGATE, DOTS, FIGURES, MAPS, RECORDS, SEEN, THRESHOLDS
from mergealgebra.store.entries import BLOBS, OPERATIONS, PACKS, PARTIAL, files_in
from mergealgebra.store.objects import Store
from mergealgebra.store.refusals import refused_as
from mergealgebra.store.unfinished import unfinished_blobs


@dataclass(frozen=True)
class Usage:
    """Bytes of operations, of tensors that are visible and that are not, of kept sums, and of the cache beside them.

    partial: of tensors that came in part.
    """

    operations: int
    visible: int
    retracted: int
    cache: int
    aggregate: int
    partial: int

    @classmethod
    def of(cls, store: Store, state: ORSet) -> Usage:
        """What a store takes in this state. Raises WorkspaceError when one of its folders cannot be read."""
        needed, blobs = visible_roots(state), blob_sizes(store)
        visible = sum(size for root, size in blobs.items() if root in needed)
        operations, cache, aggregate = (
            sum(size for part in parts for size in _sizes(store, part).values())
            for parts in ((OPERATIONS, PACKS), (THRESHOLDS, DOTS, FIGURES, RECORDS, MAPS, SEEN), (AGGREGATE,))
        )
        with refused_as(WorkspaceError, store.path / PARTIAL):
            partial = sum(left.nbytes for left in unfinished_blobs(store.path))
        return cls(operations, visible, sum(blobs.values()) - visible, cache, aggregate, partial)

    def to_map(self) -> dict[str, int]:
        """The same by name."""
        return asdict(self)


def blob_sizes(store: Store) -> dict[str, int]:
    """The bytes of the blob that is here under each root; its bytes are not looked at. Raises WorkspaceError."""
    return {root: size for name, size in _sizes(store, BLOBS).items() if (root := root_of(name)) is not None}


def visible_roots(state: ORSet) -> frozenset[str]:
    """The roots of the tensors of what is visible, auxiliary ones among them."""
    return frozenset(root for manifest in state.visible().values() for root in manifest.roots())


def _sizes(store: Store, part: str) -> Mapping[str, int]:
    with refused_as(WorkspaceError, store.path / part):
        return {name: told.st_size for name, told in files_in(store.path, part).items()}
