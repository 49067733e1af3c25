"""Writers of one object store that know nothing of each other, call by call in random order: no operation is lost."""

from __future__ import annotations

from collections import defaultdict
from random import Random

import pytest

from mergealgebra.crdt import pack_levels, packs
from mergealgebra.crdt.packs import Pack
from mergealgebra.encoding import hash_id
from mergealgebra.sync import object_packs
from mergealgebra.sync.object_packs import Known, ObjectPacks
from tests.sync.object_stores import DAY, MemoryObjects, Turns

WRITERS, SYNCS, OPERATIONS = 3, 4, 9
RUNS = 300


class Writer:
    """Somebody who has some operations, and syncs a few times; what they make meanwhile they add."""

    def __init__(self, random, objects, made) -> None:
        self.random, self.objects, self.made = random, objects, made
        self.here = {id_: data for id_, data in made.items() if random.random() < 0.5}
        self.seen: dict[str, Known] = {}
        self.done: set[str] = set()

    def work(self) -> None:
        for _ in range(SYNCS):
            self.sync()
            id_ = self.random.choice(sorted(self.made))
            self.here[id_] = self.made[id_]

    def sync(self) -> None:
        found = ObjectPacks(self.objects, self.seen.get)

        def fetched(pack: Pack) -> None:
            self.here.update(pack.operations)
            self.seen[pack.name] = Known.of(pack)

        found.read(fetched, lambda data: None)
        assert not found.damaged
        here = dict(self.here)
        if lacking := [data for id_, data in here.items() if id_ not in found.ids()]:
            found.write(Pack.of(lacking))
        found.merge(self.here.get)
        found.write_index()
        found.delete_covered()
        self.done |= here.keys()


def raced(seed: int) -> tuple[set[str], int]:
    """The operations that a completed sync gave and that are in no pack in the end; how many packs were deleted."""
    random = Random(seed)
    objects, turns = MemoryObjects(), Turns(random)
    made = {hash_id("operation", data): data for data in (bytes([seed % 256, n]) for n in range(OPERATIONS))}
    writers = [Writer(Random(random.random()), objects, made) for _ in range(WRITERS)]

    def step() -> None:
        turns.step()
        objects.now += random.random() * DAY

    objects.step = step
    assert turns.run(*(writer.work for writer in writers)) == []
    there = {id_ for key in objects.keys("packs") - {"index"} for id_ in packed(objects, key)}
    deleted = sum(call == "delete" for call, _ in objects.asked)
    return {id_ for writer in writers for id_ in writer.done} - there, deleted


def packed(objects, name):
    return Pack.decode(objects.objects[f"packs/{name}"][0]).operations


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
    for module in (pack_levels, packs):
        monkeypatch.setattr(module, "BRANCH", 3)


@pytest.mark.clause("PK-10", "PK-5", "PK-3")
def test_no_operation_is_ever_lost():
    runs = [raced(seed) for seed in range(RUNS)]
    assert [seed for seed, (lost, _) in enumerate(runs) if lost] == []
    assert sum(deleted for _, deleted in runs) > RUNS  # or nothing was tried


@pytest.mark.clause("PK-10")
def test_the_rule_that_several_packs_cover_one_loses_operations(monkeypatch):
    monkeypatch.setattr(object_packs, "deletable", covered_by_several)
    assert any(raced(seed)[0] for seed in range(RUNS))
