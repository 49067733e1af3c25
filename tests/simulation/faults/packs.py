"""Mistakes with packs, and with what several processes, a sync or a death leave of a store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest import mock

from mergealgebra.crdt import records
from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.store import operation_store, pack_files, packing
from mergealgebra.store.entries import Entry
from mergealgebra.store.objects import Store
from mergealgebra.sync import leaf_frames, live, taking
from mergealgebra.sync.held import Held
from mergealgebra.sync.ranges import IdSet
from mergealgebra.sync.reconciliation import Reconciled
from tests.simulation.faults.fault import Patches, fault
from tests.simulation.faults.writing import _write_in_place

# Packs


@fault("a pack goes because two others hold it together", "stores", "packs", "durable")
def two_packs_cover_a_third() -> Patches:
    real = packing.insides

    def insides(packs: Mapping[str, Mapping[str, object]]) -> Iterator[tuple[str, str]]:
        yield from real(packs)
        for name, held in packs.items():
            others = [(other, its.keys()) for other, its in packs.items() if other != name and len(its) >= len(held)]
            for first, some in others:
                if any(held.keys() <= some | rest for _, rest in others):
                    yield name, first
                    break

    def remove(store: Any, reading: Any, rested: set[str]) -> None:
        for places in packing._covered(reading, rested).values():
            for part, name in places:
                Entry(store.path, part, name).remove()

    yield mock.patch.object(packing, "_remove", remove)
    yield mock.patch.object(packing, "insides", insides)


@fault("what lies in a pack goes at once, and not a day later", "stores", "packs")
def nothing_rests() -> Patches:
    yield mock.patch.object(packing, "_has_rested", lambda *_: True)


@fault("a damaged pack counts as holding what it held", "stores", "packs", "durable", "admission")
def damaged_packs_hold() -> Patches:
    real = packing.read_pack

    def read_pack(entry: Any) -> Any:
        try:
            return real(entry)
        except MergeAlgebraError:
            return SimpleNamespace(operations={})

    yield mock.patch.object(packing, "read_pack", read_pack)


@fault("the name of a pack is not compared with its bytes", "stores", "admission", "packs")
def packs_are_not_compared() -> Patches:
    yield mock.patch.object(pack_files, "pack_bytes", lambda entry: entry.read(1 << 26))
    yield mock.patch.object(operation_store, "pack_bytes", lambda entry: entry.read(1 << 26))


@fault("a pack that claims to replace others hides them", "stores", "held", "visible", "authority", "refusal")
def claims_are_believed() -> Patches:
    real = Store._files

    def files(self: Store) -> Any:
        loose, packs = real(self)
        claimed = set()
        for name in packs:
            try:
                claimed |= set(pack_files.read_pack(self.pack(name)).replaces)
            except Exception:
                continue
        return loose, {name: told for name, told in packs.items() if name not in claimed}

    yield mock.patch.object(Store, "_files", files)


@fault("no packs are written", "stores", "packs")
def nothing_is_packed() -> Patches:
    yield mock.patch.object(packing, "due", lambda store, reading: None)


@fault("packs are never merged to the next level", "stores", "packs")
def levels_are_not_merged() -> Patches:
    yield mock.patch.object(packing, "to_merge", lambda packs, sizes: [])


@fault("a pack is written under its own name", "stores", "between", "durable", "admission")
def pack_is_written_in_place() -> Patches:
    yield mock.patch.object(operation_store, "write_atomically", _write_in_place)


@fault("what stands in a damaged pack is given up", "stores", "held", "convergence")
def damaged_packs_are_given_up() -> Patches:
    yield mock.patch.object(Store, "salvaged", lambda self, pack: [])


@fault("packs are listed before the files of one operation", "stores", "held", "refusal", "durable", "error")
def packs_are_listed_first() -> Patches:
    def files(self: Store) -> Any:
        packs = {name: told for name, told in operation_store.told_in(self.path, "packs").items() if len(name) == 64}
        return tuple(name for name in self.names("operations") if len(name) == 64), packs

    yield mock.patch.object(Store, "_files", files)


@fault("folders are not listed again when a file is gone", "stores", "refusal", "held", "error", "durable")
def folders_are_listed_once() -> Patches:
    yield mock.patch.object(operation_store, "_TRIES", 1)


# Who may do what, on the way


@fault("a folder is given what is not admissible", "stores", "held", "relay")
def folders_get_everything() -> Patches:
    yield mock.patch.object(ORSet, "admissible", property(lambda self: self))


@fault("a live peer takes what is not admissible", "stores", "held", "between")
def peers_take_everything() -> Patches:
    yield mock.patch.object(Held, "admissible", lambda self, came: ([*map(records.Record.of, came)], []))
    yield mock.patch.object(Held, "ids", lambda self, of: _all_ids(self))


def _all_ids(held: Held) -> Any:
    return IdSet(bytes.fromhex(id_) for id_ in held.state.records())


@fault("what a folder holds is not verified", "stores", "admission", "held")
def folders_are_believed() -> Patches:
    yield mock.patch.object(Operation, "is_valid", property(lambda self: True))


@fault("a revoke is written before what it keeps", "stores", "between")
def revokes_are_written_first() -> Patches:
    yield mock.patch.object(records, "_FIRST", ("grant", "revoke", "keep", "remove"))


@fault("live peers give adds before removes", "stores", "between")
def adds_are_given_first() -> Patches:
    for module in (live, taking):
        yield mock.patch.object(
            module, "in_writing_order", lambda given: sorted(given, key=lambda one: one.kind != "add")
        )


@fault("a forgery stops whoever opens the folder", "stores", "refusal", "admission")
def forgeries_stop_everything() -> Patches:
    real = Store.read

    def read(self: Store, *known: Any, **how: Any) -> Any:
        reading = real(self, *known, **how)
        return replace(reading, damaged={**reading.damaged, **{str(error): error for error in reading.foreign}})

    yield mock.patch.object(Store, "read", read)


@fault("a live sync finds out nothing, and says so of nothing", "stores", "refusal", "blobs", "held")
def nothing_is_reconciled() -> Patches:
    yield mock.patch.object(live, "reconcile", _says_nothing)


def _says_nothing(*_: Any) -> Reconciled:
    return Reconciled((), (), 0, 0)


@fault("a leaf is not compared with the digest in the map", "stores", "blobs")
def leaves_are_believed() -> Patches:
    class Anything(bytes):
        __hash__ = bytes.__hash__

        def __ne__(self, other: object) -> bool:
            return False

    yield mock.patch.object(leaf_frames, "leaf_digest", lambda data: Anything())
