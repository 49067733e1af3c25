"""What people say in one history of a signed workspace: by names of facts, and as the operations that say it.

    add r0 w0 c2 t9 m3        w0 at replica 0 adds contribution 2, at 9 by the clock there; what is said is fact 3
    retract r0 w0 c2 t4 m4    takes back what is theirs of it
    attest r0 w0 v1 t0 m5     computed root 1 for what is visible at replica 0
    grant r0 m0 w1 t0 m6      maintainer 0 lets w1 write
    revoke r0 m0 w1 t0 m7     takes that back, and keeps what is known there of w1; that is fact 7k
    keep r0 m0 w1:m3,m4 t0 m9 keeps these of w1, by each revoke that does not yet; without `:` all that a revoke hides
                              there; that is said by a fact for each revoke, m9.m7
    craft m8 w1 KIND UNDER WHAT NAMES    w1 signs anything at all, with a program of their own; nobody has heard it yet

UNDER is a fact, or `-` for no grant, or `?` for one that nobody made. WHAT is as in the model. NAMES are facts, or
contributions, with commas, or `-`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mergealgebra.attestations import witnesses
from mergealgebra.crdt import permission
from mergealgebra.crdt.authority import Keep
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.orset import ORSet
from tests.simulation.history import insist
from tests.simulation.people import GENESIS, MAINTAINERS, NAMES, NO_GRANT, ROOTS, SIGNERS, payload_of
from tests.simulation.seams import World
from tests.simulation.team_model import Facts, Said, TeamModel

#: What people do through the product.
COMMANDS = ("add", "retract", "attest", "grant", "revoke", "keep")

#: Says something with a state: returns the delta, or raises.
Say = Callable[[ORSet], ORSet]


@dataclass(frozen=True)
class Command:
    """What somebody does at a replica. facts: what it must say; None when it must be refused."""

    fact: str
    time: int
    say: Say
    facts: dict[str, Said] | None


class Team:
    """The people of one history. manifests: of the contributions, by the simulator's names."""

    def __init__(self, manifests: dict[str, Manifest], world: World) -> None:
        self._manifests, self._world = manifests, world
        self._names = {manifest.id: name for name, manifest in manifests.items()}
        self._model = TeamModel(frozenset(MAINTAINERS))
        self._operations: dict[str, Operation] = {}  # by fact
        self._facts: dict[str, str] = {}  # by the id of the operation that says it
        self._shown: dict[Facts, tuple[list[str], str]] = {}  # what somebody showed who had heard so much

    # What is said

    def _command(self, kind: str, heard: Facts, who: str, what: str, time: str, fact: str) -> Command:
        """What somebody does who has heard so much."""
        say, facts = getattr(self, f"_to_{kind}")(heard, who, what, int(time[1:]), fact)
        allowed = facts is not None and self._model.may_write(heard, who)
        return Command(fact, int(time[1:]), say, facts if allowed else None)

    def _to_add(self, heard: Facts, who: str, what: str, time: int, fact: str) -> tuple[Say, dict[str, Said] | None]:
        facts = {fact: Said("add", who, what=what)}
        return lambda state: state.add(self._manifests[what], time=time, signer=SIGNERS[who]), facts

    def _to_retract(
        self, heard: Facts, who: str, what: str, time: int, fact: str
    ) -> tuple[Say, dict[str, Said] | None]:
        names = self._model.observed(heard, who, what)
        say = lambda state: state.remove(self._manifests[what].id, time=time, signer=SIGNERS[who])  # noqa: E731
        return say, {fact: Said("remove", who, names=names)} if names else None

    def _to_attest(self, heard: Facts, who: str, what: str, time: int, fact: str) -> tuple[Say, dict[str, Said] | None]:
        facts = {fact: Said("attest", who, what=what, names=self._model.visible(heard))}
        return lambda state: state.attest(state.merge_id, ROOTS[what], time=time, signer=SIGNERS[who]), facts

    def _to_grant(self, heard: Facts, who: str, what: str, time: int, fact: str) -> tuple[Say, dict[str, Said] | None]:
        needed = who in MAINTAINERS and not self._model.may_write(heard, what)
        facts = {fact: Said("grant", who, what=what)} if needed else None
        return lambda state: permission.grant(state, SIGNERS[what].key, what, SIGNERS[who], time=time), facts

    def _to_revoke(self, heard: Facts, who: str, what: str, time: int, fact: str) -> tuple[Say, dict[str, Said] | None]:
        grants, kept = Facts(self._model.grants_to(heard, what)), self._model.to_keep(heard, what)
        facts = {fact: Said("revoke", who, names=grants)}
        if kept:
            facts[f"{fact}k"] = Said("keep", who, what=fact, names=kept)
        allowed = who in MAINTAINERS and what not in MAINTAINERS and grants
        say = lambda state: permission.revoke(state, SIGNERS[what].key, SIGNERS[who], time=time)  # noqa: E731
        return say, facts if allowed else None

    def _to_keep(self, heard: Facts, who: str, what: str, time: int, fact: str) -> tuple[Say, dict[str, Said] | None]:
        whose, _, names = what.partition(":")
        named = Facts(name for name in names.split(",") if name in self._operations)
        grants, kept = self._model.grants_to(heard, whose), self._model.kept(heard)
        revokes = {one: names for one, names in kept.items() if self._model.said[one].names & grants}
        keeping = named or self._model.hidden(heard, whose)
        facts = {
            f"{fact}.{one}": Said("keep", who, what=one, names=keeping - already)
            for one, already in revokes.items()
            if keeping - already
        }
        ids = [self._operations[name].id for name in sorted(named)]
        say = lambda state: permission.keep(state, SIGNERS[whose].key, ids, SIGNERS[who], time=time)  # noqa: E731
        return say, facts if who in MAINTAINERS and facts else None

    def _craft(self, fact: str, who: str, kind: str, under: str, what: str, names: str) -> None:
        """Something is signed by whoever has the key for it; it is lawful of form, and may be of no force."""
        named = {name for name in names.split(",") if name in self._operations or name in self._manifests}
        ids = tuple(sorted(self._operations[name].id for name in named if name in self._operations))
        about = what
        if kind == "keep":
            about = self._operations[what].id if what in self._operations else ""
        payload = payload_of(kind, about, tuple(sorted(named)) if kind == "attest" else ids, self._manifests)
        if payload is None or (under not in "-?" and under not in self._operations):
            return
        grant = {"-": None, "?": NO_GRANT}.get(under) or (self._operations[under].id if under not in "-?" else None)
        operation = Operation(GENESIS.workspace_id, payload, len(self._operations)).signed_by(SIGNERS[who], grant)
        self._learn(fact, operation, Said(kind, who, None if under == "-" else under, what, Facts(named)))

    # Facts and operations

    def _said(self, command: Command, delta: ORSet, heard: Facts) -> Facts:
        """The facts of a delta that a command made; what it did not say is not among them."""
        facts = command.facts
        if facts is None:
            insist("refusal", False, f"{command.fact} was said, which nobody may say there")
            return Facts()
        expected = dict(facts)
        found: dict[str, str] = {}
        for operation in sorted(delta.operations, key=lambda one: one.kind != "revoke"):
            about = self._facts.get(operation.payload.revoke) if isinstance(operation.payload, Keep) else None
            matching = (
                (fact, said)
                for fact, said in expected.items()
                if said.kind == operation.kind and about in (None, found.get(said.what, said.what))
            )
            fact, said = next(matching, ("", Said("", "")))
            insist("authority", fact, f"{command.fact} says a {operation.kind}")
            del expected[fact]
            what = found.get(said.what, said.what)  # of a keep: the revoke may have been said before
            found[fact] = self._learn(
                fact, operation, replace(said, under=self._under(said, operation, heard), what=what)
            )
        insist("authority", not expected, f"{command.fact} says {sorted(found)}, not {sorted(facts)}")
        return Facts(found.values())

    def _under(self, said: Said, operation: Operation, heard: Facts) -> str | None:
        """The grant under which something was said: one that is live for who said it."""
        if said.by in MAINTAINERS:
            insist("authority", operation.grant is None, f"maintainer {said.by} writes under a grant")
            return None
        under = self._facts.get(str(operation.grant))
        live = self._model.live(heard, said.by)
        insist("authority", under in live, f"{said.by} writes under {under}, live are {sorted(live)}")
        return under

    def _learn(self, fact: str, operation: Operation, said: Said) -> str:
        """Take down what an operation says. Who says the same again says no other fact [OS-2]."""
        known = self._facts.setdefault(operation.id, fact)
        if known == fact:
            self._operations[fact], self._model.said[fact] = operation, said
        return known

    # What must hold

    def _judge_state(self, name: str, state: ORSet, facts: Facts) -> None:
        """What a state holds, shows, relays and counts is what the model says [SG-8 to SG-12]."""
        held = {self._facts.get(id_, id_) for id_ in state.records()}
        insist("held", held == facts, f"{name} holds {sorted(held ^ facts)} more or less than it should")
        shown, expected = list(state.visible()), self._model.visible(facts)
        before = self._shown.setdefault(facts, (shown, state.merge_id))
        insist("convergence", before == (shown, state.merge_id), f"{name} shows {shown}, another showed {before}")
        named = {self._names.get(id_, id_) for id_ in shown}
        insist("visible", named == expected, f"{name} shows {sorted(named)}, the model {sorted(expected)}")
        insist("order", shown == sorted(shown), f"{name} shows {shown}")
        relayed = {self._facts[id_] for id_ in state.admissible.records()}
        differ = sorted(relayed ^ self._model.admissible(facts))
        insist("relay", not differ, f"{name} has other ideas of whether {differ} are admissible")
        self._judge_witnesses(name, state, facts)

    def _judge_witnesses(self, name: str, state: ORSet, facts: Facts) -> None:
        found = {root: {NAMES[key] for key in keys} for root, keys in witnesses(state, state.merge_id).items()}
        expected = {ROOTS[root]: set(who) for root, who in self._model.witnesses(facts).items() if who}
        insist("attests", found == expected, f"{name} counts {found} as witnesses, the model {expected}")
