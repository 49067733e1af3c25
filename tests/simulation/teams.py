"""The simulation of teams: signed workspaces in memory, whose people may be hostile and hear of things in any order.

    add, retract, attest, grant, revoke, craft   as in team.py
    hear r0 m3                what fact 3 says arrives at replica 0: once, again, late, or never
    hear r0 m3 forged HOW     a forgery of it does
    meet r0 r1                both take of the other what is admissible
    lose r0 m3                a backup from before it heard of fact 3 is put back

Run on `ORSet`, `Authority`, `Operation.decode_signed` and the commands of maintainers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.errors import ForeignOperation, MergeAlgebraError
from mergealgebra.store.pack_files import decoded
from tests.simulation.history import insist
from tests.simulation.people import GENESIS, forged
from tests.simulation.seams import World
from tests.simulation.team import COMMANDS, Team
from tests.simulation.team_model import Facts


@dataclass
class Replica:
    """A state, and the facts that it must amount to."""

    state: ORSet = field(default_factory=lambda: ORSet(GENESIS))
    facts: Facts = frozenset()


class Teams(Team):
    """One history of teams. `run` raises Broken as soon as a law does not hold."""

    def __init__(self, manifests: dict[str, Manifest], world: World) -> None:
        super().__init__(manifests, world)
        self._replicas: dict[str, Replica] = {}

    def run(self, events: Iterable[str]) -> str:
        """Do what happens, then let everybody hear everything. Returns the merge id of the end."""
        for event in events:
            kind, *words = event.split()
            if kind in COMMANDS:
                self._do(kind, *words)
            else:
                self.EVENTS[kind](self, *words)
        return self._heal()

    # What happens

    def _do(self, kind: str, name: str, who: str, what: str, time: str, fact: str) -> None:
        replica = self._replica(name)
        command = self._command(kind, replica.facts, who, what, time, fact)
        self._world.fact = fact
        try:
            delta = command.say(replica.state)
        except MergeAlgebraError as error:
            return insist("refusal", command.facts is None, f"{who} was refused: {error}")
        return self._take(name, delta, self._said(command, delta, replica.facts))

    def _hear(self, name: str, fact: str, _: str = "", how: str = "") -> None:
        operation = self._operations.get(fact)
        if operation is None:
            return None
        data = forged(operation, how) if how else operation.encode()
        try:
            came = decoded(data, GENESIS)
        except ForeignOperation as error:
            return insist("admission", bool(how), f"{fact} was refused: {error}")
        insist("admission", not how, f"a forgery of {fact} was let in: {how}")
        return self._take(name, _delta(came), Facts({fact}))

    def _meet(self, name: str, other: str) -> None:
        """What folders and live peers do with two states [SG-10]."""
        one, two = self._replica(name), self._replica(other)
        carried, facts = (one.state | two.state).admissible, self._model.admissible(one.facts | two.facts)
        self._take(name, carried, facts)
        self._take(other, carried, facts)

    def _lose(self, name: str, fact: str) -> None:
        replica = self._replica(name)
        rest = frozenset(one for one in replica.state.operations if self._facts[one.id] != fact)
        replica.state, replica.facts = ORSet(GENESIS, rest), replica.facts - {fact}
        self._judge_state(name, replica.state, replica.facts)

    EVENTS: ClassVar[Mapping[str, Callable[..., None]]] = {
        "hear": _hear,
        "meet": _meet,
        "lose": _lose,
        "craft": Team._craft,
    }

    # How it is done

    def _replica(self, name: str) -> Replica:
        return self._replicas.setdefault(name, Replica())

    def _take(self, name: str, delta: ORSet, facts: Facts) -> None:
        """Join, and judge. What is not admissible changes nothing that is visible [SG-8]."""
        replica = self._replica(name)
        before, knew = replica.state.visible_ids(), replica.facts
        replica.state, replica.facts = replica.state.join(delta), replica.facts | facts
        self._judge_state(name, replica.state, replica.facts)
        if self._model.effective(replica.facts) == self._model.effective(knew):
            shown = replica.state.visible_ids()
            insist(
                "authority", shown == before, f"{name} shows another set, by {sorted(facts)}, which count for nothing"
            )

    def _heal(self) -> str:
        """Everybody hears everything, one in another order than all others."""
        everything = list(self._operations.items())
        for name in [*self._replicas, "late"]:
            order = everything if name != "late" else everything[::-1]
            replica = self._replica(name)
            for _, operation in order:
                replica.state = replica.state.join(_delta(operation))
            replica.facts = Facts(self._operations)
            self._judge_state(name, replica.state, replica.facts)
        late = self._replica("late").state
        for name, replica in self._replicas.items():
            insist("convergence", replica.state == late, f"{name} holds other operations than one who came late")
            insist("convergence", list(replica.state.visible()) == list(late.visible()), f"{name} shows others")
            insist("convergence", replica.state.merge_id == late.merge_id, f"{name} has another merge id")
        return late.merge_id


def _delta(operation: Operation) -> ORSet:
    return ORSet(GENESIS, frozenset({operation}))
