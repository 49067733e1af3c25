"""Mistakes of states: joins that lose something, and other ideas of what is visible."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from unittest import mock

from mergealgebra.crdt import genesis
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.operations import Add, Operation, Remove
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.policy import Authority
from mergealgebra.crdt.records import Record
from tests.simulation.faults.fault import Patches, fault, payloads, with_operations

# Joins


@fault("a join loses removals", "sets", "held", "visible")
def join_loses_removals() -> Patches:
    def join(self: ORSet, other: ORSet) -> ORSet:
        return with_operations(self, self.operations | {one for one in other.operations if one.kind != "remove"})

    yield mock.patch.object(ORSet, "join", join)


@fault("of two adds of a contribution a join keeps the newer alone", "sets", "held")
def join_keeps_the_newer_add() -> Patches:
    def join(self: ORSet, other: ORSet) -> ORSet:
        joined = self.operations | other.operations
        newest: dict[str, Operation] = {}
        for one in sorted(joined, key=lambda one: (one.time or 0, one.id)):
            newest[one.payload.manifest.id if isinstance(one.payload, Add) else one.id] = one
        return with_operations(self, newest.values())

    yield mock.patch.object(ORSet, "join", join)


@fault("a join forgets the removes whose adds are not here yet", "sets", "held", "visible")
def remove_before_add_is_forgotten() -> Patches:
    def join(self: ORSet, other: ORSet) -> ORSet:
        joined = with_operations(self, self.operations | other.operations)
        adds = payloads(joined, Add)
        early = {
            one
            for one in joined.operations
            if isinstance(one.payload, Remove) and not adds.keys() & one.payload.operations
        }
        return with_operations(self, joined.operations - early)

    yield mock.patch.object(ORSet, "join", join)


@fault("a join throws tombstones away with the adds that they name", "sets", "held")
def tombstones_are_collected() -> Patches:
    def join(self: ORSet, other: ORSet) -> ORSet:
        joined = with_operations(self, self.operations | other.operations)
        removed = {name for remove in payloads(joined, Remove).values() for name in remove.operations}
        done = {one for one in joined.operations if one.id in removed}
        done |= {one for one in joined.operations if isinstance(one.payload, Remove) and done}
        return with_operations(self, joined.operations - done)

    yield mock.patch.object(ORSet, "join", join)


@fault("a delta leaves out the removes", "sets", "held")
def delta_without_removes() -> Patches:
    def difference(self: ORSet, other: ORSet) -> ORSet:
        return with_operations(self, {one for one in self.operations - other.operations if one.kind != "remove"})

    yield mock.patch.object(ORSet, "difference", difference)


# What is visible


def _standing_as(standing: Callable[[ORSet], dict[str, Add]]) -> Patches:
    """Other adds stand than those that the operation set says."""

    def visible(self: ORSet) -> dict[str, Manifest]:
        return dict(sorted((add.manifest.id, add.manifest) for add in standing(self).values()))

    def records(self: ORSet, contributions: Iterable[str]) -> dict[str, list[Record]]:
        adds = [(add.manifest.id, Record.of(self.by_id()[name])) for name, add in standing(self).items()]
        return {wanted: [record for id_, record in adds if id_ == wanted] for wanted in contributions}

    yield mock.patch.object(ORSet, "visible", visible)
    yield mock.patch.object(ORSet, "visible_ids", lambda self: frozenset(visible(self)))
    yield mock.patch.object(ORSet, "_standing", records)


@fault("a remove takes back every add of its contribution, seen or not", "sets", "visible")
def remove_deletes_unobserved_adds() -> Patches:
    def standing(self: ORSet) -> dict[str, Add]:
        adds = payloads(self, Add)
        gone = {
            adds[name].manifest.id
            for remove in payloads(self, Remove).values()
            for name in remove.operations
            if name in adds
        }
        return {name: add for name, add in adds.items() if add.manifest.id not in gone}

    yield from _standing_as(standing)


@fault("a remove names one of the adds that stand, not all", "sets", "visible", "merge id")
def remove_names_one_add() -> Patches:
    real = Remove.__init__
    yield mock.patch.object(Remove, "__init__", lambda self, operations: real(self, operations[:1]))


@fault("the later clock wins", "sets", "visible")
def clocks_decide() -> Patches:
    def standing(self: ORSet) -> dict[str, Add]:
        times = {one.id: one.time or 0 for one in self.operations}
        removes = payloads(self, Remove).items()
        return {
            name: add
            for name, add in payloads(self, Add).items()
            if not any(name in remove.operations and times[id_] >= times[name] for id_, remove in removes)
        }

    yield from _standing_as(standing)


@contextmanager
def _arrivals() -> Iterator[None]:
    """Every state remembers in which order its operations came."""

    def join(self: ORSet, other: ORSet) -> ORSet:
        joined = with_operations(self, self.operations | other.operations)
        order = dict.fromkeys([*_order(self), *_order(other)])
        object.__setattr__(joined, "order", tuple(order))
        return joined

    with mock.patch.object(ORSet, "join", join):
        yield


def _adds_that_stand(state: ORSet) -> dict[str, Add]:
    standing = state._standing(state.visible_ids())
    return {add.id: add.operation.payload for adds in standing.values() for add in adds}


def _order(state: ORSet) -> list[str]:
    known = getattr(state, "order", ())
    return [*known, *sorted({one.id for one in state.operations} - set(known))]


@fault("what came last is true: an add that comes after its remove", "sets", "visible")
def arrival_decides() -> Patches:
    def standing(self: ORSet) -> dict[str, Add]:
        at = {id_: number for number, id_ in enumerate(_order(self))}
        removes = payloads(self, Remove).items()
        return {
            name: add
            for name, add in payloads(self, Add).items()
            if not any(name in remove.operations and at[id_] > at[name] for id_, remove in removes)
        }

    yield _arrivals()
    yield from _standing_as(standing)


@fault("contributions stand in the order in which they came", "sets", "order", "convergence")
def canonical_order_from_arrival() -> Patches:
    def visible(self: ORSet) -> dict[str, Manifest]:
        adds = _adds_that_stand(self)
        return {adds[name].manifest.id: adds[name].manifest for name in _order(self) if name in adds}

    yield _arrivals()
    yield mock.patch.object(ORSet, "visible", visible)


@fault("an add for another base counts", "sets", "visible")
def another_base_counts() -> Patches:
    yield mock.patch.object(Authority, "counts", lambda self, operation: True)


@fault("the merge id names all that was ever added", "sets", "merge id", "convergence")
def merge_id_of_all_adds() -> Patches:
    def merge_id(self: ORSet) -> str:
        ever = {add.manifest.id for add in payloads(self, Add).values()}
        return genesis.merge_id(self.genesis.base, self.genesis.recipe_id, ever)

    yield mock.patch.object(ORSet, "merge_id", property(merge_id))


@fault("roots attested that differ are not told", "sets", "attests")
def disagreement_is_ignored() -> Patches:
    yield mock.patch.object(ORSet, "disagreements", lambda self: frozenset())


@fault("the merge id hashes contributions in the order in which they came", "sets", "merge id", "convergence")
def merge_id_in_order_of_arrival() -> Patches:
    def merge_id(self: ORSet) -> str:
        adds = _adds_that_stand(self)
        return hashlib.sha256(
            "".join(adds[name].manifest.id for name in _order(self) if name in adds).encode()
        ).hexdigest()

    yield _arrivals()
    yield mock.patch.object(ORSet, "merge_id", property(merge_id))


@fault("a remove of an add that is not here raises", "sets", "error")
def remove_of_an_unknown_add_raises() -> Patches:
    def standing(self: ORSet) -> dict[str, Add]:
        adds = payloads(self, Add)
        for remove in payloads(self, Remove).values():
            for name in remove.operations:
                del adds[name]
        return adds

    yield from _standing_as(standing)
