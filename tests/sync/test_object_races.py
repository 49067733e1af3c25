"""Writers of one object store that know nothing of each other, call by call in random order: no operation is lost."""

from __future__ import annotations

import os
from collections import defaultdict
from random import Random

import pytest

from mergealgebra.crdt import pack_levels, packs
from mergealgebra.crdt.packs import Pack
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.store.objects import Store
from mergealgebra.sync import object_operations, object_packs
from mergealgebra.sync.object_sync import create_share, sync_objects
from tests.crdt.strategies import GENESIS
from tests.store.test_packs import attest, replica
from tests.sync.object_stores import DAY, MemoryObjects, Turns

WRITERS, SYNCS, OPERATIONS = 3, 4, 9
RUNS = 25


class Writer:
    """Somebody who has some operations, and syncs a few times; what they make meanwhile they add."""

    def __init__(self, random, objects, path) -> None:
        self.random, self.objects, self.path = random, objects, path
        self.done: set[str] = set()
        self.refused: list[MergeAlgebraError] = []
        self.make(number for number in range(OPERATIONS) if random.random() < 0.5)

    def make(self, numbers) -> None:
        store = replica(self.path) if not self.path.exists() else Store.open(self.path)
        for number in numbers:
            store.write_operation(attest(number))

    def work(self) -> None:
        for _ in range(SYNCS):
            self.sync()
            self.make([self.random.randrange(OPERATIONS)])

    def sync(self) -> None:
        store = Store.open(self.path)
        here = store.state().records().keys()
        self.refused += sync_objects(store, self.objects).refused
        self.done |= here


class Race:
    """Writers that were interleaved. spoils: how probably a pack is spoilt before a call."""

    def __init__(self, seed: int, folder, spoils: float = 0.0) -> None:
        random = Random(seed)
        self.objects, turns = MemoryObjects(), Turns(random)
        create_share(self.objects, GENESIS)
        self.writers = [
            Writer(Random(random.random()), self.objects, folder / f"{seed}-{name}" / "replica")
            for name in range(WRITERS)
        ]
        self.spoilt = 0

        def step() -> None:
            turns.step()
            self.objects.now += random.random() * DAY
            if random.random() < spoils and (keys := sorted(filter(is_pack, self.objects.objects))):
                self.objects.spoil(random.choice(keys))
                self.spoilt += 1

        self.objects.step = step
        assert turns.run(*(writer.work for writer in self.writers)) == []
        self.objects.step = lambda: None

    @property
    def deleted(self) -> int:
        return sum(call == "delete" for call, _ in self.objects.asked)

    @property
    def lost(self) -> set[str]:
        """The operations that a completed sync gave and that are in no pack in the end."""
        there = {id_ for key in filter(is_pack, self.objects.objects) for id_ in packed(self.objects, key)}
        return {id_ for writer in self.writers for id_ in writer.done} - there


def is_pack(key):
    return key.startswith("packs/") and len(key) == len("packs/") + 64


def packed(objects, key):
    """What stands in a pack, nothing if that is not the pack of its name."""
    try:
        pack = Pack.decode(objects.objects[key][0])
    except MergeAlgebraError:
        return {}
    return pack.operations if key.endswith(pack.name) else {}


def covered_by_several(held, rested):
    """The rule that is not kept: a pack goes when others that have rested hold all of it, whoever wrote them."""
    found = defaultdict(list)
    for name, ids in held.items():
        others = [other for other in rested if other != name and other in held]
        if others and ids.keys() <= {id_ for other in others for id_ in held[other]}:
            found[others[0]].append(name)
    return found


@pytest.fixture(autouse=True)
def _few_of_a_level(monkeypatch):
    """Three packs of a level are merged, so that few operations make several levels."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    for module in (pack_levels, packs, object_operations):
        monkeypatch.setattr(module, "BRANCH", 3)


@pytest.mark.clause("PK-10", "PK-5", "PK-3")
def test_no_operation_is_ever_lost(tmp_path):
    races = [Race(seed, tmp_path) for seed in range(RUNS)]
    assert [seed for seed, race in enumerate(races) if race.lost] == []
    assert [error for race in races for writer in race.writers for error in writer.refused] == []
    assert sum(race.deleted for race in races) > RUNS  # or nothing was tried


@pytest.mark.clause("PK-11", "PK-7")
def test_what_is_spoilt_meanwhile_is_mended_once_somebody_new_read_it(tmp_path):
    """Who knows what is in a pack does not read it again, and learns by a report that it is damaged."""
    races = [Race(seed, tmp_path, spoils=0.1) for seed in range(RUNS // 4)]
    for seed, race in enumerate(races):
        sync_objects(replica(tmp_path / f"{seed}-new" / "replica"), race.objects)
        for writer in race.writers:
            writer.sync()
    assert [seed for seed, race in enumerate(races) if race.lost] == []
    assert sum(race.spoilt for race in races) > len(races)


@pytest.mark.clause("PK-10")
def test_the_rule_that_several_packs_cover_one_loses_operations(monkeypatch, tmp_path):
    monkeypatch.setattr(object_packs, "deletable", covered_by_several)
    assert any(Race(seed, tmp_path).lost for seed in range(RUNS))
