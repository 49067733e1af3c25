"""Small stores with contributions in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mergealgebra.crdt.manifest import Manifest
from mergealgebra.store.entries import ROOT, Entry
from mergealgebra.store.objects import Store
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.crdt.strategies import BASE
from tests.models import write_canonical


def write_blob(path: Path, number: int, elements: int = 5) -> str:
    """Write the number-th blob and return its root."""
    tensors = {
        "a.weight": np.full(elements, number, np.float32),
        "b.bias": np.array(number, np.float16),
        "c.empty": np.zeros((0, 3), np.float32),
    }
    write_canonical(path, tensors)
    with Checkpoint.open(path) as checkpoint:
        return checkpoint.root()


def manifest_of(root: str, elements: int = 6) -> Manifest:
    """The manifest of a contribution with these tensors."""
    return Manifest(BASE, "3f800000", elements, "finetuned", root)


def contribute(store: Store, number: int, scratch: Path, nonce: bytes | None = None) -> str:
    """Put the number-th contribution into a store: its blob, then its add. Returns the contribution id.

    scratch: a folder, in which the blob is made first.
    """
    source = scratch / f"{number}.safetensors"
    root = write_blob(source, number)
    store.import_blob(entry_of(source), root)
    manifest = manifest_of(root)
    (operation,) = store.state().add(manifest, nonce).operations
    store.write_operation(operation)
    return manifest.id


def entry_of(path: Path) -> Entry:
    """Any file, as an entry of its folder."""
    return Entry(path.parent, ROOT, path.name)


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, by its path, with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def names_in(folder: Path) -> set[str]:
    """The names in a folder."""
    return {path.name for path in folder.iterdir()}
