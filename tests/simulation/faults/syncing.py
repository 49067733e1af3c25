"""Mistakes of syncing: what is not carried, carried in the wrong order, or not told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest import mock

from mergealgebra.crdt.operations import Add
from mergealgebra.crdt.orset import ORSet
from mergealgebra.store.objects import Store
from mergealgebra.sync import folder, replica, way
from tests.simulation.faults.fault import Patches, fault, with_operations

_Way = way.Way


def _closed(into_ours: bool) -> Patches:
    """Syncs in which one direction carries nothing."""
    ours: list[Store] = []
    sync, step = folder.sync, _Way._try

    def noted(store: Store, *rest: Any, **options: Any) -> Any:
        ours[:] = [store]
        return sync(store, *rest, **options)

    def carried(self: Any, what: Any) -> None:
        if (self.target is ours[0]) != into_ours:
            step(self, what)

    yield mock.patch.object(replica, "sync", noted)
    yield mock.patch.object(_Way, "_try", carried)


@fault("sync gives and does not take", "folders", "held", "blobs", "refusal")
def sync_gives_without_taking() -> Patches:
    yield from _closed(into_ours=True)


@fault("sync takes and does not give", "folders", "held", "blobs", "refusal")
def sync_takes_without_giving() -> Patches:
    yield from _closed(into_ours=False)


@fault("sync carries adds before removes, and shows what was retracted if it dies between them", "folders", "between")
def removes_are_carried_last() -> Patches:
    real = _Way.carry_operations

    def carry(self: Any, joined: ORSet, held: Any) -> None:
        real(self, with_operations(joined, {one for one in joined.operations if one.kind != "remove"}), held)
        written = {one for one in joined.operations if one.kind != "remove"} | held.state.operations
        real(self, joined, replace(held, state=with_operations(joined, written)))

    yield mock.patch.object(_Way, "carry_operations", carry)


@fault("the first operation that is refused stops a sync", "folders", "held", "blobs")
def refusal_stops_the_sync() -> Patches:
    yield mock.patch.object(folder, "_read", lambda store, refused, known=None: folder.Side(store.state()))


@fault("a sync that refused something says nothing of it", "folders", "refusal")
def refusals_are_swallowed() -> Patches:
    real = replica.sync
    yield mock.patch.object(replica, "sync", lambda *given, **options: replace(real(*given, **options), refused=()))


@fault("an operation whose blob was refused is left out", "folders", "held")
def operation_waits_for_its_blob() -> Patches:
    real = _Way.carry_operations

    def carry(self: Any, joined: ORSet, held: Any) -> None:
        here = {
            one
            for one in joined.operations
            if not isinstance(one.payload, Add) or self.source.has_blob(one.payload.manifest.tensors)
        }
        real(self, with_operations(joined, here), held)

    yield mock.patch.object(_Way, "carry_operations", carry)


@fault("blobs of retracted contributions are carried too", "folders", "blobs", "refusal")
def retracted_blobs_are_carried() -> Patches:
    real = replica.sync
    carried = {"retracted": True}
    yield mock.patch.object(replica, "sync", lambda *given, **options: real(*given, **{**options, **carried}))
