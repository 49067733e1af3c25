"""Mistakes with what lies in shares and object stores, where whoever syncs does the work."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any
from unittest import mock

from mergealgebra.store import packing, partial_blob
from mergealgebra.store.entries import PACKS
from mergealgebra.store.operation_store import told_in
from mergealgebra.sync import blob_parts, object_packs
from mergealgebra.sync.object_packs import ObjectPacks
from tests.simulation.faults.fault import Patches, fault

Packs = Mapping[str, Mapping[str, None]]


def _covered_by_two(packs: Packs, rested: Iterable[str]) -> dict[str, list[str]]:
    """Packs that two others that have rested hold together, by one of these."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, held in packs.items():
        others = [other for other in sorted(rested) if other != name and other in packs]
        pairs = ((one, two) for one in others for two in others if one < two)
        for one, two in pairs:
            if held.keys() <= packs[one].keys() | packs[two].keys():
                found[one].append(name)
                break
    return found


@fault("an object store's pack is deleted because two others hold it together", "stores", "packs", "durable")
def two_objects_cover_a_third() -> Patches:
    yield mock.patch.object(object_packs, "deletable", _covered_by_two)


@fault("a share's pack is deleted because two others hold it together", "stores", "packs", "durable")
def two_packs_of_a_share_cover_a_third() -> Patches:
    real = packing.tidy_share

    def tidy_share(share: Any, reading: Any) -> None:
        real(share, reading)
        told = told_in(share.path, PACKS)
        newest = max((one.written for one in told.values()), default=0)
        rested = {name for name in reading.packs if name in told and packing._has_rested(told[name], newest)}
        for names in _covered_by_two({name: reading.packs[name] for name in rested}, rested).values():
            for name in names:
                (share.path / PACKS / name).unlink(missing_ok=True)

    yield mock.patch.object(packing, "tidy_share", tidy_share)
    yield mock.patch("mergealgebra.sync.folder.tidy_share", tidy_share)


@fault("an object store's packs are as old as our clock says", "stores", "packs")
def objects_age_by_our_clock() -> Patches:
    def rested(self: ObjectPacks) -> set[str]:
        listed = self._listed or {}
        return {name for name, told in listed.items() if time.time() - told.modified > object_packs.RESTING_SECONDS}

    yield mock.patch.object(ObjectPacks, "_rested", rested)


@fault("a share's packs are as old as our clock says", "stores", "packs")
def shares_age_by_our_clock() -> Patches:
    real = packing._has_rested
    yield mock.patch.object(packing, "_has_rested", lambda told, _: real(told, packing.time.time_ns()))


@fault("a part of a blob is not compared with the digests of its leaves", "stores", "blobs", "refusal")
def parts_are_believed() -> Patches:
    yield mock.patch.object(blob_parts, "leaf_digest", _anything(blob_parts.leaf_digest))


@fault("leaves that an earlier process left are not hashed again", "stores", "blobs")
def leaves_left_are_believed() -> Patches:
    yield mock.patch.object(partial_blob, "leaf_digest", _anything(partial_blob.leaf_digest))


@fault("the index is taken for what is there", "stores", "held", "refusal")
def index_is_believed() -> Patches:
    real = ObjectPacks._look

    def look(self: ObjectPacks) -> set[str]:
        found = real(self)
        if self._listed is not None:
            newest = max((told.modified for told in self._listed.values()), default=0.0)
            self._listed = {name: self._listed.get(name, object_packs.Listed(0, newest)) for name in found}
        return found

    yield mock.patch.object(ObjectPacks, "_look", look)


def _anything(real: Any) -> Any:
    """Digests that are never said to differ from any other."""

    class Anything(bytes):
        __hash__ = bytes.__hash__

        def __eq__(self, other: object) -> bool:
            return True

        def __ne__(self, other: object) -> bool:
            return False

    return lambda data: Anything(real(data))
