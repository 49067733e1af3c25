"""Which tensors of a workspace's contributions are here [SY-5]."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.orset import ORSet
from mergealgebra.store.blob_store import BlobStore


def blobs_here(store: BlobStore, manifests: Iterable[Manifest]) -> dict[str, Path]:
    """Where the blobs of contributions are, by tensors root; those that are not here are left out."""
    roots = {manifest.tensors for manifest in manifests}
    return {root: store.blob_path(root) for root in roots if store.blob_bytes(root) is not None}


def missing(store: BlobStore, state: ORSet) -> list[str]:
    """The visible contributions whose tensors are not here, in canonical order [SY-5]."""
    return [id_ for id_, manifest in state.visible().items() if not store.has_blob(manifest.tensors)]
