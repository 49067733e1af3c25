"""Mistakes of writing: what a power cut shows."""

from __future__ import annotations

import os
from unittest import mock

from mergealgebra.disk import fsync_folder
from mergealgebra.store import atomic, operation_store
from mergealgebra.store.entries import Entry
from mergealgebra.store.objects import Store
from tests.simulation.faults.fault import Patches, fault


def _write_in_place(entry: Entry, data: bytes) -> None:
    descriptor = os.open(entry.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.write(descriptor, data)
    os.fsync(descriptor)
    os.close(descriptor)
    fsync_folder(entry.path.parent)


@fault("an operation is written under its own name", "folders", "between")
def operation_is_written_in_place() -> Patches:
    yield mock.patch.object(operation_store, "write_atomically", _write_in_place)


@fault("a file gets its name before its bytes are on the disk", "folders", "between", "durable")
def renamed_before_flushed() -> Patches:
    def commit(self: atomic.StagedFile, entry: Entry) -> None:
        os.replace(self._path, entry.path)  # noqa: PTH105 - one of the calls that are looked at
        fsync_folder(entry.path.parent)
        self._close()

    yield mock.patch.object(atomic.StagedFile, "commit", commit)


@fault("a file gets its name before it is complete", "folders", "between", "admission", "durable")
def renamed_before_complete() -> Patches:
    def write_atomically(entry: Entry, data: bytes) -> None:
        with atomic.staged(entry.store) as file:
            file.write(data[: len(data) // 2])
            os.replace(file._path, entry.path)  # noqa: PTH105 - one of the calls that are looked at
            file.write(data[len(data) // 2 :])
            os.fsync(file._open())
            fsync_folder(entry.path.parent)

    yield mock.patch.object(operation_store, "write_atomically", write_atomically)


@fault("a folder is not flushed when a file in it got its name", "folders", "durable", "between", "refusal")
def names_are_not_flushed() -> Patches:
    yield mock.patch.object(atomic, "fsync_opened", lambda descriptor: None)


@fault("a damaged operation is left as it is", "folders", "held", "admission", "convergence", "refusal")
def damage_is_not_mended() -> Patches:
    yield mock.patch.object(Store, "mend_operation", lambda self, operation: None)
