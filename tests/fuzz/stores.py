"""Stores and exchange folders: an input is the files of one, read as sync reads a peer."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgpack

from mergealgebra.crdt.fields import is_id
from mergealgebra.crdt.orset import ORSet
from mergealgebra.encoding import hash_id
from mergealgebra.errors import BlobDamaged, BlobMissing, EncodingError, MergeAlgebraError
from mergealgebra.store.objects import Store
from tests.fuzz import reference


@dataclass(frozen=True)
class Files:
    """The files of a store. Operations and blobs are (name, content); they are mutated apart from each other."""

    genesis: bytes
    operations: list[tuple[str, bytes]]
    blobs: list[tuple[str, bytes]]

    def pack(self) -> bytes:
        """One input."""
        return bytes(msgpack.packb([self.genesis, self.operations, self.blobs], use_bin_type=True))

    @classmethod
    def unpack(cls, data: bytes) -> Files:
        """The files in an input. Raises EncodingError for what holds none: it is none of the store's input."""
        with suppress(ValueError, TypeError, msgpack.UnpackException):
            genesis, *folders = msgpack.unpackb(data, raw=False)
            operations, blobs = ([(str(name), bytes(content)) for name, content in files] for files in folders)
            return cls(bytes(genesis), operations, blobs)
        raise EncodingError("not files")

    def write(self, path: Path) -> None:
        """Make the folder, of those files whose names are names of a store's files [SY-1]."""
        for folder, files, suffix in (("operations", self.operations, ""), ("blobs", self.blobs, ".safetensors")):
            (path / folder).mkdir(parents=True, exist_ok=True)
            for old in (path / folder).iterdir():
                old.unlink()
            for name, content in files:
                if is_id(name):
                    (path / folder / f"{name}{suffix}").write_bytes(content)
        (path / "genesis").write_bytes(self.genesis)


@dataclass(frozen=True)
class Held:
    """What a store holds that is sound."""

    store: Store
    state: ORSet
    blobs: set[str]


def read_store(data: bytes, folder: Path) -> Held:
    """As sync reads a peer: what is refused does not stop the rest [SY-4]."""
    files = Files.unpack(data)
    files.write(folder / "store")
    store = Store.open(folder / "store")
    operations, blobs = [], set()
    for name in store.operation_ids():
        with suppress(MergeAlgebraError):
            operations.append(store.read_operation(name))
    for root in {name for name, _ in files.blobs if is_id(name)}:
        with suppress(BlobDamaged, BlobMissing):
            store.check_blob(root)
            blobs.add(root)
    return Held(store, ORSet(store.genesis, frozenset(operations)), blobs)


def check_store(data: bytes, held: Held, folder: Path) -> None:
    """The second implementation takes the same operations, and what is visible merges to the same [OS-9, OS-11]."""
    read = Files.unpack(data)
    files = dict(read.operations)
    workspace = held.store.genesis.workspace_id
    sound = {
        name
        for name, content in files.items()
        if is_id(name) and hash_id("operation", content) == name and reference.operation(content, workspace)
    }
    state = held.state
    assert state.by_id().keys() == sound
    assert all(operation.encode() == files[operation.id] for operation in state.operations)
    assert state.join(ORSet(state.genesis)) == state
    assert held.blobs == {name for name, content in read.blobs if is_id(name) and reference.blob(content, name)}
    if reference.genesis(held.store.genesis.encode()):
        assert reference.merge_id(held.store.genesis.encode(), [files[name] for name in sound]) == state.merge_id
