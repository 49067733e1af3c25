"""The simulation of sets: replicas as operation sets in memory, letters between them, and a disk for each.

    add r0 c2 t9 m3         replica 0 adds contribution 2, at 9 by its clock; what it says is letter 3
    retract r1 c2 t4 m5     replica 1 takes back every add of it that it knows
    attest r1 v0 m6         replica 1 computed root 0 for what is visible to it
    send r1 m7 [lacking r0] letter 7 is everything that replica 1 holds now, or what replica 0 lacks of it
    forge remove m3 m8      a stranger's letter 8: a remove of what letter 3 said; or `forge base m8`, for another base
    hear r0 m7 [damaged HOW NUMBER]      a letter arrives: once, again, late, or never
    flush r0 / crash r0     what it holds reaches its disk / it starts again from its disk
    back-up r0 / restore r0 its disk is copied / the copy is put back
    cut r0                  it changes to the other side of the network; letters do not cross

Run on `ORSet`, `Operation` and `Store.read_operation`; the bytes that the last one reads come from memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from mergealgebra.crdt.operations import Add, Operation, Remove
from mergealgebra.crdt.orset import ORSet
from mergealgebra.errors import MergeAlgebraError, UnknownContribution
from mergealgebra.store import objects, operation_store
from tests.simulation.contributions import GENESIS, Contributions
from tests.simulation.damage import damaged
from tests.simulation.history import Broken, insist
from tests.simulation.model import Model
from tests.simulation.seams import World, replaced

Facts = frozenset[str]
Files = Mapping[str, bytes]

_STORE = objects.Store(Path("memory"), GENESIS)
_ROOTS = {"v0": "0" * 64, "v1": "1" * 64}


@dataclass
class Disk:
    """What survives a crash: the files of the operations by name, and the facts in them."""

    files: dict[str, bytes] = field(default_factory=dict)
    facts: Facts = frozenset()


@dataclass
class Replica:
    """A state, the facts that it must amount to, its disk, a copy of that, and its side of the network."""

    state: ORSet = field(default_factory=lambda: ORSet(GENESIS))
    facts: Facts = frozenset()
    disk: Disk = field(default_factory=Disk)
    backup: Disk = field(default_factory=Disk)
    side: bool = False


@dataclass(frozen=True)
class Letter:
    """A delta on its way. sender: a replica, or nobody whom a cut could separate."""

    sender: str | None
    delta: ORSet
    facts: Facts


class Sets:
    """One history of sets. `run` raises Broken as soon as a law does not hold."""

    def __init__(self, contributions: Contributions, world: World) -> None:
        self._contributions, self._world = contributions, world
        self._model = Model()
        self._replicas: dict[str, Replica] = {}
        self._letters: dict[str, Letter] = {}
        self._ids: dict[str, str] = {}  # of the operation that says a fact
        self._facts: dict[str, str] = {}  # by that id, adds left out

    def run(self, events: Iterable[str]) -> str:
        """Do what happens, then heal the network. Returns the merge id of the end."""
        for event in events:
            kind, *words = event.split()
            self.EVENTS[kind](self, *words)
        return self._heal()

    # What happens

    def _add(self, name: str, contribution: str, time: str, fact: str) -> None:
        self._world.fact = fact
        replica = self._replica(name)
        delta = replica.state.add(self._contributions.manifests[contribution], time=int(time[1:]))
        self._model.adds[fact] = contribution
        self._say(name, fact, delta)

    def _retract(self, name: str, contribution: str, time: str, fact: str) -> None:
        replica = self._replica(name)
        observed = self._model.observed(replica.facts, contribution)
        try:
            delta = replica.state.remove(self._contributions.manifests[contribution].id, time=int(time[1:]))
        except UnknownContribution as error:
            return insist("refusal", not observed, error)
        insist("refusal", bool(observed), f"{name} retracts {contribution}, of which it knows no add")
        self._model.removes[fact] = observed
        return self._say(name, fact, delta)

    def _attest(self, name: str, root: str, fact: str) -> None:
        replica = self._replica(name)
        self._model.attests[fact] = self._model.visible(replica.facts), _ROOTS[root]
        self._say(name, fact, replica.state.attest(replica.state.merge_id, _ROOTS[root]))

    def _send(self, name: str, letter: str, _: str = "", other: str = "") -> None:
        replica = self._replica(name)
        delta, facts = replica.state, replica.facts
        if other:
            delta, facts = delta.difference(self._replica(other).state), facts - self._replica(other).facts
        self._letters[letter] = Letter(name, delta, facts)

    def _forge(self, what: str, *facts: str) -> None:
        fact = facts[-1]
        if what == "base":
            payload: Add | Remove = Add(self._contributions.for_another_base, fact.encode().ljust(16))
        elif facts[0] in self._ids:
            payload = Remove((self._ids[facts[0]],))
            self._model.removes[fact] = {facts[0]}
        else:
            return
        self._posted(None, fact, ORSet(GENESIS, frozenset({Operation(GENESIS.workspace_id, payload)})))

    def _hear(self, name: str, letter: str, _: str = "", how: str = "", number: str = "0") -> None:
        found, replica = self._letters.get(letter), self._replica(name)
        if found is None or (found.sender and self._replica(found.sender).side != replica.side):
            return
        delta, facts = found.delta, found.facts
        if how and facts:
            delta, facts = self._read_damaged(found, how, int(number))
        self._deliver(name, delta, facts)

    def _flush(self, name: str) -> None:
        replica = self._replica(name)
        replica.disk = Disk(_files_of(replica.state), replica.facts)

    def _crash(self, name: str) -> None:
        disk = self._replica(name).disk
        found, refused = _read(disk.files)
        insist("durable", not refused, f"{name} cannot read again what it wrote: {refused}")
        self._take(name, found, disk.facts)

    def _back_up(self, name: str) -> None:
        replica = self._replica(name)
        replica.backup = Disk(dict(replica.disk.files), replica.disk.facts)

    def _restore(self, name: str) -> None:
        replica = self._replica(name)
        replica.disk = Disk(dict(replica.backup.files), replica.backup.facts)
        self._crash(name)

    def _cut(self, name: str) -> None:
        self._replica(name).side ^= True

    EVENTS: ClassVar[Mapping[str, Callable[..., None]]] = {
        "add": _add,
        "retract": _retract,
        "attest": _attest,
        "send": _send,
        "forge": _forge,
        "hear": _hear,
        "flush": _flush,
        "crash": _crash,
        "back-up": _back_up,
        "restore": _restore,
        "cut": _cut,
    }

    # How it is done

    def _replica(self, name: str) -> Replica:
        if name not in self._replicas:
            self._replicas[name] = Replica()
        return self._replicas[name]

    def _say(self, name: str, fact: str, delta: ORSet) -> None:
        self._deliver(name, delta, self._posted(name, fact, delta).facts)

    def _deliver(self, name: str, delta: ORSet, facts: Facts) -> None:
        replica = self._replica(name)
        self._take(name, replica.state.join(delta), replica.facts | facts)

    def _posted(self, sender: str | None, fact: str, delta: ORSet) -> Letter:
        """The letter that says a fact. Who says the same again, but for an add, says no other fact [OS-2]."""
        (operation,) = delta.operations
        letter = fact
        if operation.kind != "add":
            fact = self._facts.setdefault(operation.id, fact)
        self._ids[fact] = operation.id
        self._letters[letter] = Letter(sender, delta, frozenset({fact}))
        return self._letters[letter]

    def _take(self, name: str, state: ORSet, facts: Facts) -> None:
        replica = self._replica(name)
        changed = replica.facts != facts
        replica.state, replica.facts = state, facts
        if changed:
            self._judge(name, replica)

    def _read_damaged(self, letter: Letter, how: str, number: int) -> tuple[ORSet, Facts]:
        """What enters of a letter when one of its operations arrives damaged: all the others."""
        files, facts = _files_of(letter.delta), sorted(letter.facts)
        fact, other = facts[number % len(facts)], facts[(number + 1) % len(facts)]
        data = files.pop(self._ids[fact])
        spoilt = damaged(self._ids[fact], data, files.get(self._ids[other], data), how, number)
        if spoilt is None:
            return letter.delta, letter.facts
        found, refused = _read({**files, spoilt[0]: spoilt[1]})
        insist("admission", refused == [spoilt[0]], f"{how} of {fact}: of {len(facts)} files {refused} were refused")
        return found, letter.facts - {fact}

    # What must hold

    def _judge(self, name: str, replica: Replica) -> None:
        state, facts = replica.state, replica.facts
        held = {operation.id for operation in state.operations}
        if held != {self._ids[fact] for fact in facts}:
            raise Broken("held", f"{name} holds {len(held)} operations and has heard {sorted(facts)}")
        adds = facts & self._model.adds.keys()
        if len({self._ids[add] for add in adds}) != len(adds):
            raise Broken("held", f"two of the adds {sorted(adds)} are one operation")
        self._judge_visible(name, list(state.visible()), facts)
        if facts & self._model.attests.keys():
            attested, told = self._model.attested(facts), state.disagreements()
            if told != (attested if len(attested) > 1 else frozenset()):
                raise Broken("attests", f"{name} tells of {sorted(told)}, attested are {sorted(attested)}")

    def _judge_visible(self, name: str, visible: list[str], facts: Facts) -> None:
        names = self._contributions.names
        shown, expected = {names.get(id_, id_) for id_ in visible}, self._model.visible(facts)
        if shown != expected:
            raise Broken("visible", f"{name} shows {sorted(shown)}, the model {sorted(expected)}")
        if visible != sorted(visible):
            raise Broken("order", f"{name} shows {[names[id_] for id_ in visible]}, by id {visible}")

    def _heal(self) -> str:
        """Everyone hears everything, what was taken back is added again and taken back again, and all are compared."""
        self._judge_identity()
        letters = list(self._letters.values())
        for name in self._replicas:
            self._hear_all(name, letters)
        self._add_again_and_retract(letters)
        for letter in reversed(self._letters.values()):
            self._deliver("late", letter.delta, letter.facts)
        late = self._replica("late").state
        for name in self._replicas:
            state = self._hear_all(name, self._letters.values()).state
            insist("convergence", state == late, f"{name} holds other operations than one who came late")
            insist("convergence", list(state.visible()) == list(late.visible()), f"{name} shows another order")
            insist("convergence", state.merge_id == late.merge_id, f"{name} has another merge id")
        return late.merge_id

    def _hear_all(self, name: str, letters: Iterable[Letter]) -> Replica:
        replica = self._replica(name)
        for letter in letters:
            if not letter.facts <= replica.facts:
                replica.state, replica.facts = replica.state.join(letter.delta), replica.facts | letter.facts
        self._judge(name, replica)
        return replica

    def _add_again_and_retract(self, letters: Iterable[Letter]) -> None:
        """What was taken back can be added again and taken back once more, also for one who hears that first [OS-9]."""
        gone = set(self._model.adds.values()) - self._model.visible(frozenset(self._ids))
        for contribution in sorted(gone)[:1]:
            before = self._hear_all("again", letters).state.merge_id
            self._add("again", contribution, "t0", "m-again")
            insist("merge id", self._replica("again").state.merge_id != before, f"{contribution} does not change it")
            self._retract("again", contribution, "t0", "m-gone")
            insist("merge id", self._replica("again").state.merge_id == before, f"{contribution} came, went, and left")

    def _judge_identity(self) -> None:
        manifests, names = self._contributions.manifests, self._contributions.names
        insist("identity", len(names) == len(manifests), f"{len(manifests)} contributions have {len(names)} ids")


def _files_of(state: ORSet) -> dict[str, bytes]:
    return {operation.id: operation.encode() for operation in state.operations}


def _read(files: Files) -> tuple[ORSet, list[str]]:
    """The state of the files that the product takes, and the names of those that it refuses."""
    taken, refused = set(), []
    with replaced(operation_store, read_entry=lambda entry, most, refusal: files[entry.name]):
        for name in sorted(files):
            try:
                taken.add(_STORE.read_alone(name))
            except MergeAlgebraError:
                refused.append(name)
    return ORSet(GENESIS, frozenset(taken)), refused
