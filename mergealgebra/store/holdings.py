"""Which tensors of a workspace's contributions are here [SY-5]."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.manifest import KINDS, Manifest
from mergealgebra.crdt.orset import ORSet
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.recipe import UnknownRecipe, complete_recipe
from mergealgebra.store.blob_store import BlobStore


def blobs_here(store: BlobStore, manifests: Iterable[Manifest]) -> dict[str, Path]:
    """Where the blobs of contributions are, by tensors root; those that are not here are left out."""
    roots = {root for manifest in manifests for root in manifest.roots()}
    return {root: store.blob_path(root) for root in roots if store.blob_bytes(root) is not None}


def missing(store: BlobStore, state: ORSet) -> list[str]:
    """The visible contributions whose tensors, or auxiliary ones that the default recipe needs, are not here.

    In canonical order [SY-5].
    """
    kinds = needed_kinds(state.genesis)
    return [id_ for id_, one in state.visible().items() if not all(map(store.has_blob, one.roots(kinds)))]


def needed_kinds(genesis: Genesis) -> Collection[str]:
    """The kinds of auxiliary tensors that the default recipe needs [CT-16]; all, if this version does not know it."""
    try:
        recipe = complete_recipe(genesis.recipe)
    except MergeAlgebraError:
        return KINDS
    return KINDS if isinstance(recipe, UnknownRecipe) else recipe.needs.auxiliary
