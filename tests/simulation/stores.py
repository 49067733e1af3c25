"""The simulation of stores: signed workspaces on a disk, in packs, that meet in shares and as live peers.

    branch 2                               first: so many files of a level are merged; 3 if left out
    add, retract, attest, grant, revoke    as in team.py, and [dies CALLS MASK] or [meets OPENS] behind it
    craft                                  as in team.py; nobody has it yet
    sync r0 x0 [dies ...|meets ...]        with a share, another replica, or a copy made long ago
    call r0 r1 [dies ...|meets ...]        with a replica that answers: a live peer
    call r0 r1 MISHAP NUMBER               something befalls a message; `falls CALLS MASK`: the peer's power fails
    bucket r0 o0 [dies ...|meets ...|MISHAP NUMBER]    with an object store, to which something may happen (bucket.py)
    look r0 [dies ...|meets ...]           it is opened: packs that are due are written, and what lies in others goes
    put x0 m3,m5 [forged HOW]              somebody writes these straight into a folder, or a forgery of the first
    age r0 MASK / clock DAYS               packs are days old / all clocks are wrong by so many days
    stay r0                                a process goes on running there; again: it ends
    copy r0 s7 / restore r0 s7 / ferry x0 x1 MASK / cut r0 / power MASK     as in folders.py
    damage x0 HOW NUMBER / mend x0         a pack or an operation is no longer what it was / its owner deletes it
    rot r0 NUMBER                          a bit of a blob of which some leaves are here is another one

`dies CALLS MASK`: the power fails when the command has made so many writing calls. `meets OPENS`: when it has opened
so many files, another process opens the same folder and writes packs, and one more, to which all packs are days old.

What commands must leave is foretold as facts, and read from the files by nobody's code but ours (holdings.py).
A further transport is a further row of `ROADS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.store import packing
from mergealgebra.store.entries import ROOT, Entry
from mergealgebra.store.objects import Store
from mergealgebra.sync.folder import SyncResult, sync
from mergealgebra.sync.live import sync_live
from mergealgebra.sync.peer import CarriedPeer
from mergealgebra.sync.service import Service
from tests.simulation.bucket import HARMLESS
from tests.simulation.history import insist
from tests.simulation.holdings import Holdings, crowded
from tests.simulation.object_places import ObjectPlaces
from tests.simulation.people import GENESIS, forged
from tests.simulation.seams import decoded_once, few_leaves, merged_by, replaced
from tests.simulation.team import COMMANDS
from tests.simulation.team_model import Facts
from tests.simulation.wire import Wire

BRANCHES = ("2", "3", "4", "16")


Pair = tuple[ORSet, ORSet]
OnSync = Callable[[Pair, Pair], None]


class Stores(ObjectPlaces):
    """One history of stores. `run` raises Broken as soon as a law does not hold.

    on_sync: told of every sync that came to its end, by what both sides held before and hold after.
    """

    on_sync: ClassVar[OnSync | None] = None

    def run(self, events: Sequence[str]) -> str:
        """Do what happens, then heal the network. Returns the merge id of the end."""
        self._branch = next((int(event.split()[1]) for event in events if event.startswith("branch ")), 3)
        with (
            merged_by(self._branch),
            few_leaves(),
            replaced(packing, time=self),
            replaced(Operation, decode_signed=decoded_once("decode_signed")),
        ):
            for event in events:
                kind, *words = event.split()
                if kind in COMMANDS:
                    self._say(kind, *words)
                else:
                    self.EVENTS[kind](self, *words)
            return self._heal()

    # What people do

    def _say(self, kind: str, name: str, who: str, what: str, when: str, fact: str, *fate: str) -> None:
        before = self._there(name)
        if before.damaged:
            return  # its owner has been told, and mends it first
        command = self._command(kind, before.facts, who, what, when, fact)
        said: list[Facts] = []

        def act() -> None:
            store = self._open(name)
            state = store.state()
            self._judge_state(name, state, before.facts)
            self._world.fact = fact
            delta = command.say(state)
            said.append(self._said(command, delta, before.facts))
            if kind == "add":
                self._put_blob(store, what)
            store.write_delta(delta)

        lived, refused = self._do(act, [name], fate)
        facts = before.facts.union(*said)
        must_refuse = command.facts is None
        if lived:
            insist("refusal", bool(refused) == must_refuse, f"{kind} of {fact}: refused was {refused or 'nothing'}")
        self._judge(name, before, facts if not refused else before.facts, lived, "durable" if fate else "held")
        shown = self._model.visible(self._held[name].facts)
        allowed = self._model.visible(before.facts), self._model.visible(facts)
        insist("between", shown in allowed, f"{name} shows {sorted(shown)} halfway through {kind}")

    def _put_blob(self, store: Store, contribution: str) -> None:
        root = self._manifests[contribution].tensors
        made = self._root / "made" / f"{root}.safetensors"
        if not made.exists():
            made.parent.mkdir(exist_ok=True)
            made.write_bytes(self._blobs[root])
        store.import_blob(Entry(made.parent, ROOT, made.name), root)

    def _look(self, name: str, *fate: str) -> None:
        before = self._there(name)

        def act() -> None:
            state = self._open(name).state()
            if not before.damaged:
                self._judge_state(name, state, before.facts)

        lived, refused = self._do(act, [name], fate)
        if lived:  # what was checked here once is not looked at again by all commands [PK-6]
            insist("refusal", not refused or bool(before.damaged), f"{name} is opened: {refused}")
        self._judge(name, before, before.facts, lived, "held")
        due = crowded(self._held[name], self._branch) if lived and not before.damaged else []
        insist("packs", not due, f"{name} has {self._branch} files of the levels {due}, and merges them not")

    # Syncs

    def _by_folder(self, name: str, peer: str, *_: str) -> SyncResult:
        return sync(self._open(name), self._path(peer))

    def _by_calls(self, name: str, peer: str, *fate: str) -> SyncResult:
        how, number = fate[:2] if fate and fate[0] not in ("dies", "meets") else ("", "0")
        falls = int(number) if how == "falls" else None
        service = Service(self._open(peer), writes=True)
        wire = Wire(service, self._disk, "" if falls is not None else how, int(number), falls)
        try:
            return sync_live(self._open(name), CarriedPeer(wire))
        finally:
            if falls is not None and wire.dead:
                self._staying.pop(peer, None)
                self._disk.cut(int(fate[2]), self._path(peer))

    ROADS: ClassVar[Mapping[str, Callable[..., SyncResult]]] = {
        "sync": _by_folder,
        "call": _by_calls,
        "bucket": ObjectPlaces._by_objects,
    }

    def _meet(self, road: str, name: str, peer: str, *fate: str) -> None:
        """A sync, whatever carries it: both sides end with what is admissible of both, and with the tensors of it."""
        if peer == name or self._are_apart(name, peer) or (peer[0] == "s" and peer not in self._held):
            return
        if (road == "bucket") != (peer[0] == "o"):
            return
        ours, theirs = self._there(name), self._there(peer)
        everything = ours.facts | theirs.facts | ours.salvage | theirs.salvage
        carried, self._joined = self._model.admissible(everything), self._waiting(peer)
        results: list[SyncResult] = []
        unsettled = self._is_unsettled(peer)
        lived, refused = self._do(lambda: results.append(self.ROADS[road](self, name, peer, *fate)), [name, peer], fate)
        disturbed = road != "sync" and bool(fate) and fate[0] not in ("dies", "meets", HARMLESS)
        damaged = bool(ours.damaged or theirs.damaged)
        whole = lived and not disturbed and not (road != "sync" and damaged) and not unsettled
        all_carried = carried | (self._possible(everything | self._joined) if disturbed or unsettled else Facts())
        for side, before in ((name, ours), (peer, theirs)):
            self._judge(side, before, before.facts | all_carried, whole, "held")
            shown = self._model.visible(self._held[side].facts)
            allowed = self._model.visible(before.facts) | self._model.visible(before.facts | carried)
            seen = road == "bucket" and (disturbed or unsettled)  # it may show an add, and not yet what takes it back
            insist("between", seen or shown <= allowed, f"{side} shows {sorted(shown - allowed)} halfway")
            if disturbed and fate[0] == "joins" and lived and not (damaged or unsettled):
                lacking = sorted(carried - self._held[side].facts)
                insist("held", not lacking, f"{side} lacks {lacking}, for another came in between")
        if lived and not disturbed:
            insist("refusal", not refused, f"{road} of {name} and {peer} is given up: {refused}")
        if whole:
            self._judge_sync(results, (name, ours), (peer, theirs), carried)

    def _judge_sync(
        self,
        results: list[SyncResult],
        us: tuple[str, Holdings],
        them: tuple[str, Holdings],
        carried: Facts,
    ) -> None:
        """What a sync that came to its end says, and the tensors that both have then [SY-4]."""
        told = bool(results[0].refused)
        still = {file for side, _ in (us, them) for file in self._held[side].damaged}
        insist("refusal", not still or told, f"nothing is said of {sorted(still)}")
        may_refuse = (
            us[1].damaged or them[1].damaged or them[1].rotten or (not carried and them[1].blobs)
        )  # it is half there
        insist("refusal", bool(may_refuse) or not told, f"refused: {results[0].refused}")
        if Stores.on_sync is not None and them[0][0] != "o":
            before = [
                ORSet(GENESIS, frozenset(self._operations[fact] for fact in held.facts)) for _, held in (us, them)
            ]
            after = [Store.open(self._path(side), peer=side[0] != "r").read().state for side, _ in (us, them)]
            Stores.on_sync((before[0], before[1]), (after[0], after[1]))
        visible = self._model.visible(carried)
        wanted = {f"{self._manifests[one].tensors}.safetensors" for one in visible}
        both = (wanted & (us[1].blobs | them[1].blobs)) - {f"{root}.safetensors" for root in them[1].rotten}
        for side, _ in (us, them):
            lacking = both - self._held[side].blobs
            insist("blobs", not lacking, f"{side} lacks {sorted(lacking)} after a sync")
        if them[0][0] == "o":
            held = self._held[them[0]]
            insist("blobs", held.rotten <= them[1].rotten, f"{them[0]} has not what it should of {sorted(held.rotten)}")
            due = [] if held.foreign or held.damaged else crowded(held, self._branch)
            insist("packs", not due, f"{them[0]} has {self._branch} packs of the levels {due}, and nobody merges them")

    # What befalls folders

    def _put_facts(self, name: str, facts: str, _: str = "", how: str = "") -> None:
        """What is put into a folder and not admissible changes nothing that is visible [SG-8]."""
        operations = [self._operations[fact] for fact in facts.split(",") if fact in self._operations]
        if not operations:
            return
        data = [operation.encode() for operation in operations]
        data[0] = forged(operations[0], how) if how else data[0]
        before = self._there(name)
        self._put(name, data)
        after = self._held[name].facts
        unchanged = self._model.effective(after) == self._model.effective(before.facts)
        if unchanged and not before.damaged and name[0] != "o":
            shown = set(self._open(name).read().state.visible_ids())
            expected = {self._manifests[one].id for one in self._model.visible(before.facts)}
            insist("authority", shown == expected, f"{name} shows another set, by what counts for nothing")
        self._judge(name, before, after, True, "held")

    EVENTS: ClassVar[Mapping[str, Callable[..., None]]] = {
        "branch": lambda self, branch: None,
        "craft": ObjectPlaces._craft,
        "sync": lambda self, *words: self._meet("sync", *words),
        "call": lambda self, *words: self._meet("call", *words),
        "bucket": lambda self, *words: self._meet("bucket", *words),
        "look": _look,
        "put": _put_facts,
        "age": ObjectPlaces._age,
        "clock": ObjectPlaces._clock,
        "stay": ObjectPlaces._stay,
        "copy": ObjectPlaces._copy,
        "restore": ObjectPlaces._restore,
        "ferry": ObjectPlaces._ferry,
        "cut": ObjectPlaces._cut,
        "power": ObjectPlaces._power,
        "damage": ObjectPlaces._damage,
        "mend": ObjectPlaces._mend,
        "rot": ObjectPlaces._rot,
    }

    # How it is done

    def _do(self, act: Callable[[], Any], names: list[str], fate: tuple[str, ...]) -> tuple[bool, list[Exception]]:
        """Run a command of a process, which may die, or meet another. Whether it lived, and its refusal."""
        refused: list[Exception] = []

        def guarded() -> None:
            try:
                act()
            except MergeAlgebraError as error:
                refused.append(error)

        self._gone.clear()
        how, *numbers = fate or ("",)
        if how == "meets":
            self._disk.visit(int(numbers[0]), lambda: self._visit(names[0]))
        lived = self._disk.run(guarded, int(numbers[0]) if how == "dies" else None)
        if how == "dies":
            for name in names:
                self._staying.pop(name, None)
            self._disk.cut(int(numbers[1]))
        for name in names:
            self._look_at(name)
        return lived, refused

    def _visit(self, name: str) -> None:
        """Other processes open a folder: one that writes the packs that are due, and one a day later."""
        for _ in range(2 if name[0] == "r" else 0):
            before = self._look_at(name)
            with suppress(MergeAlgebraError):  # they are told of damage
                Store.open(self._path(name)).state()
            self._look_at(name)
            gone = self._unduly_gone(name, before)
            insist("packs", not gone, f"from {name} went {gone}")
            self._gone |= before.files.keys() - self._held[name].files.keys()
            self._age(name)

    def _heal(self) -> str:
        """Damage is deleted, everybody syncs with everybody by one road or the other, and all are compared."""
        self._cut_off.clear()
        self._staying.clear()
        for bucket in self._buckets.values():
            bucket.settle()
        places = sorted(name for name in self._held if name[0] != "s")
        replicas = [name for name in places if name[0] == "r"] or ["r0"]
        for name in places:
            self._look_at(name)
            self._mend(name)
        admissible = self._model.admissible(Facts().union(*(self._held[name].facts for name in places)))
        for number in range(3):  # what maintainers say, then what is admissible by it, then that to all
            for peer in places:
                if {admissible} != {self._model.admissible(self._there(one).facts) for one in (replicas[0], peer)}:
                    road = "bucket" if peer[0] == "o" else "call" if peer[0] == "r" and number else "sync"
                    self._meet(road, replicas[0], peer)
        for name in [*places, replicas[0]]:
            found = self._model.admissible(self._there(name).facts)
            insist("convergence", found == admissible, f"{name} lacks {sorted(admissible - found)}")
        for name in replicas:
            self._look(name)
        return self._open(replicas[0]).state().merge_id
