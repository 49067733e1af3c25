"""Mistakes of writing: what a power cut shows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from mergealgebra.crdt.orset import ORSet
from mergealgebra.store import atomic, objects
from mergealgebra.store.objects import Store
from mergealgebra.sync import folder
from tests.simulation.faults.fault import Patches, fault


def _write_in_place(path: Path, data: bytes, *, tmp: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.write(descriptor, data)
    os.fsync(descriptor)
    os.close(descriptor)
    atomic.fsync_folder(path.parent)


@fault("an operation is written under its own name", "folders", "between")
def operation_is_written_in_place() -> Patches:
    yield mock.patch.object(objects, "write_atomically", _write_in_place)


@fault("a file gets its name before its bytes are on the disk", "folders", "between", "durable")
def renamed_before_flushed() -> Patches:
    def place(self: atomic.StagedFile, path: Path) -> None:
        self._path.replace(path)
        atomic.fsync_folder(path.parent)
        self._close()

    yield mock.patch.object(atomic.StagedFile, "place", place)


@fault("a file gets its name before it is complete", "folders", "between", "admission", "durable")
def renamed_before_complete() -> Patches:
    def write_atomically(path: Path, data: bytes, *, tmp: Path) -> None:
        with atomic.staged(tmp) as file:
            file.write(data[: len(data) // 2])
            file._path.replace(path)
            file.write(data[len(data) // 2 :])
            os.fsync(file._open())
            atomic.fsync_folder(path.parent)

    yield mock.patch.object(objects, "write_atomically", write_atomically)


@fault("a folder is not flushed when a file in it got its name", "folders", "durable", "between")
def names_are_not_flushed() -> Patches:
    yield mock.patch.object(atomic, "fsync_folder", lambda path: None)


@fault("the add is written before its blob", "folders", "between")
def add_before_blob() -> Patches:
    def carry(source: Store, target: Store, state: ORSet, roots: Sequence[str], carried: Any) -> Any:
        folder_carry(source, target, state, (), carried)
        return folder_carry(source, target, state, roots, carried)

    folder_carry = folder._carry
    yield mock.patch.object(folder, "_carry", carry)
