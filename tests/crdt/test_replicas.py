"""Several replicas over a network that loses, repeats and reorders, against a model that knows the whole past.

The model is not the implementation: it knows for each retraction what its replica had seen, and nothing of the
ids that a remove names.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from mergealgebra.crdt.orset import ORSet
from tests.crdt.strategies import GENESIS, MANIFESTS, nonce

Seen = frozenset[int]


@dataclass
class Past:
    """What was said, by number: adds and retractions of contributions, and what each retraction had seen."""

    deltas: list[ORSet] = field(default_factory=list)
    added: dict[int, str] = field(default_factory=dict)
    retracted: dict[int, tuple[str, Seen]] = field(default_factory=dict)

    def stands(self, add: int, seen: Seen) -> bool:
        """Whether, to one who has seen `seen`, nobody who knew this add as standing has retracted it."""
        return not any(
            contribution == self.added[add] and add in known and self.stands(add, known)
            for contribution, known in (self.retracted[one] for one in seen if one in self.retracted)
        )

    def visible(self, seen: Iterable[int]) -> set[str]:
        seen = frozenset(seen)
        return {self.added[add] for add in seen if add in self.added and self.stands(add, seen)}


@dataclass
class Replica:
    """A state, and the numbers of what it has seen."""

    state: ORSet = field(default_factory=lambda: ORSet(GENESIS))
    seen: Seen = frozenset()

    def add(self, past: Past, manifest) -> None:
        past.added[len(past.deltas)] = manifest.id
        self._say(past, self.state.add(manifest, nonce(len(past.deltas))))

    def retract(self, past: Past, choice: int) -> None:
        visible = list(self.state.visible())
        if visible:
            contribution = visible[choice % len(visible)]
            past.retracted[len(past.deltas)] = contribution, self.seen
            self._say(past, self.state.remove(contribution))

    def hear(self, past: Past, number: int) -> None:
        self.state, self.seen = self.state.join(past.deltas[number]), self.seen | {number}

    def join(self, other: Replica) -> None:
        self.state, self.seen = self.state.join(other.state), self.seen | other.seen

    def check(self, past: Past) -> None:
        assert set(self.state.visible()) == past.visible(self.seen)

    def _say(self, past: Past, delta: ORSet) -> None:
        past.deltas.append(delta)
        self.hear(past, len(past.deltas) - 1)


@pytest.mark.clause("OS-7", "OS-9", "OS-10")
class Replicas(RuleBasedStateMachine):
    """Hypothesis looks for the shortest history in which a replica disagrees with the model."""

    said = Bundle("said")

    def __init__(self) -> None:
        super().__init__()
        self.past = Past()
        self.replicas = [Replica() for _ in range(3)]

    replica_numbers = st.integers(0, 2)

    @rule(target=said, who=replica_numbers, manifest=st.sampled_from(MANIFESTS[:2]))
    def add(self, who, manifest):
        self.replicas[who].add(self.past, manifest)
        return len(self.past.deltas) - 1

    @rule(who=replica_numbers, choice=st.integers(0, 3))
    def retract(self, who, choice):
        self.replicas[who].retract(self.past, choice)

    @rule(who=replica_numbers, number=said)
    def hear_again_or_late(self, who, number):
        self.replicas[who].hear(self.past, number)

    @rule(who=replica_numbers, back=st.integers(1, 6))
    def hear_something_recent(self, who, back):
        if back <= len(self.past.deltas):
            self.replicas[who].hear(self.past, len(self.past.deltas) - back)

    @rule(who=replica_numbers, whom=replica_numbers)
    def join(self, who, whom):
        self.replicas[who].join(self.replicas[whom])

    @invariant()
    def every_replica_agrees_with_the_model(self):
        for replica in self.replicas:
            replica.check(self.past)


Replicas.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestReplicas = Replicas.TestCase


class Simulation:
    """One seed, one run: drops, repeats, reorders, partitions, restored backups; then everything heals."""

    def __init__(self, seed: int, replicas: int = 4) -> None:
        self.random = random.Random(seed)
        self.past = Past()
        self.replicas = [Replica() for _ in range(replicas)]
        self.backups = [Replica() for _ in range(replicas)]
        self.mail: list[tuple[int, int]] = []
        self.cut: set[int] = set()

    def run(self, steps: int) -> None:
        doings = [self.add] * 3 + [self.retract] * 3 + [self.deliver] * 8 + [self.join] * 2
        doings += [self.drop, self.partition, self.back_up, self.restore]
        for _ in range(steps):
            said = len(self.past.deltas)
            who = self.random.randrange(len(self.replicas))
            self.random.choice(doings)(who)
            self.mail += [
                (number, whom) for number in range(said, len(self.past.deltas)) for whom in range(len(self.replicas))
            ]
            self.replicas[who].check(self.past)

    def add(self, who: int) -> None:
        self.replicas[who].add(self.past, self.random.choice(MANIFESTS))

    def retract(self, who: int) -> None:
        self.replicas[who].retract(self.past, self.random.randrange(4))

    def deliver(self, who: int) -> None:
        """Some letter, in any order; now and then it stays in the mail and comes again."""
        letters = [letter for letter in self.mail if letter[1] == who and who not in self.cut]
        if letters:
            letter = self.random.choice(letters)
            self.replicas[who].hear(self.past, letter[0])
            if self.random.random() < 0.8:
                self.mail.remove(letter)

    def join(self, who: int) -> None:
        whom = self.random.randrange(len(self.replicas))
        if (who in self.cut) == (whom in self.cut):
            self.replicas[who].join(self.replicas[whom])

    def drop(self, who: int) -> None:
        self.mail = [letter for letter in self.mail if letter[1] != who or self.random.random() < 0.5]

    def partition(self, who: int) -> None:
        self.cut ^= {who}

    def back_up(self, who: int) -> None:
        self.backups[who] = Replica(self.replicas[who].state, self.replicas[who].seen)

    def restore(self, who: int) -> None:
        self.replicas[who] = Replica(self.backups[who].state, self.backups[who].seen)

    def heal(self) -> None:
        """Everyone tells everyone, twice round, in a random order."""
        for _ in range(2):
            for replica in self.random.sample(self.replicas, len(self.replicas)):
                for other in self.random.sample(self.replicas, len(self.replicas)):
                    replica.join(other)


@pytest.mark.clause("OS-7", "OS-9", "OS-10", "OS-11")
@pytest.mark.parametrize("seed", range(60))
def test_replicas_converge_after_any_network(seed):
    simulation = Simulation(seed)
    simulation.run(steps=60)
    simulation.heal()
    first, *others = simulation.replicas
    first.check(simulation.past)
    for other in others:
        assert other.state == first.state
        assert other.state.merge_id == first.state.merge_id
