"""Mistakes of syncing: what is not carried, carried in the wrong order, or not told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from unittest import mock

from mergealgebra import workspace
from mergealgebra.crdt.operations import Add
from mergealgebra.crdt.orset import ORSet
from mergealgebra.store.objects import Store
from mergealgebra.sync import folder
from tests.simulation.faults.fault import Patches, fault, payloads, with_operations


@fault("sync gives and does not take", "folders", "held", "blobs")
def sync_gives_without_taking() -> Patches:
    def carry(source: Store, target: Store, state: ORSet, roots: Sequence[str], carried: Any) -> Any:
        return carried

    yield mock.patch.object(folder, "_carry", carry)
    real = folder._carry
    yield mock.patch.object(folder, "_give", real)


@fault("sync takes and does not give", "folders", "held", "blobs")
def sync_takes_without_giving() -> Patches:
    yield mock.patch.object(folder, "_give", lambda source, target, state, roots, carried: carried)


@fault("sync carries adds before removes, and shows what was retracted if it dies between them", "folders", "between")
def removes_are_carried_last() -> Patches:
    real = folder._carry

    def carry(source: Store, target: Store, state: ORSet, roots: Sequence[str], carried: Any) -> Any:
        adds = with_operations(state, {one for one in state.operations if one.kind != "remove"})
        real(source, target, adds, roots, carried)
        return real(source, target, state, roots, carried)

    yield mock.patch.object(folder, "_carry", carry)


@fault("the first file that is refused stops a sync", "folders", "held", "blobs")
def refusal_stops_the_sync() -> Patches:
    yield mock.patch.object(folder, "_readable", lambda store, refused: store.state())


@fault("a sync that refused something says nothing of it", "folders", "refusal")
def refusals_are_swallowed() -> Patches:
    real = workspace.sync
    yield mock.patch.object(workspace, "sync", lambda store, peer: replace(real(store, peer), refused=()))


@fault("an operation whose blob was refused is left out", "folders", "held")
def operation_waits_for_its_blob() -> Patches:
    real = folder._carry

    def carry(source: Store, target: Store, state: ORSet, roots: Sequence[str], carried: Any) -> Any:
        real(source, target, with_operations(state, ()), roots, carried)
        here = {
            one
            for one in state.operations
            if not isinstance(one.payload, Add) or target.has_blob(one.payload.manifest.tensors)
        }
        return real(source, target, with_operations(state, here), (), carried)

    yield mock.patch.object(folder, "_carry", carry)


@fault("blobs of retracted contributions are carried too", "folders", "blobs")
def retracted_blobs_are_carried() -> Patches:
    real = folder._carry

    def carry(source: Store, target: Store, state: ORSet, roots: Sequence[str], carried: Any) -> Any:
        ever = sorted({add.manifest.tensors for add in payloads(state, Add).values()})
        return real(source, target, state, ever, carried)

    yield mock.patch.object(folder, "_carry", carry)
