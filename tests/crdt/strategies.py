"""Legal values of the set layer: strategies are plural nouns and produce histories that could have happened."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.manifest import PLAIN_FORMS, Manifest
from mergealgebra.crdt.operations import Add, Attest, Operation, Remove
from mergealgebra.crdt.orset import ORSet

BASE = "b" * 64
OTHER_BASE = "c" * 64
GENESIS = Genesis(base=BASE, name="team", recipe={"lambda": "1", "method": "mean"})
OTHER_GENESIS = replace(GENESIS, name="another team")
WORKSPACE = GENESIS.workspace_id
#: Few contributions, so that histories add and remove the same ones again and again.
MANIFESTS = tuple(
    Manifest(BASE, "3f800000", elements, form, f"{elements:064x}") for elements in (1, 2) for form in PLAIN_FORMS
)


def nonce(number: int) -> bytes:
    """The nonce of the number-th add of a history."""
    return number.to_bytes(16, "big")


def ids() -> st.SearchStrategy[str]:
    """Ids and roots."""
    return st.binary(min_size=32, max_size=32).map(bytes.hex)


def coefficients() -> st.SearchStrategy[str]:
    """Bits of finite fp32 numbers other than zero."""
    magnitudes = st.integers(1, 0x7F7FFFFF)
    return st.builds(lambda bits, sign: f"{bits | sign << 31:08x}", magnitudes, st.integers(0, 1))


def manifests(bases: st.SearchStrategy[str] | None = None) -> st.SearchStrategy[Manifest]:
    """Manifests of any contribution."""
    bases = ids() if bases is None else bases
    return st.builds(Manifest, bases, coefficients(), st.integers(0, 2**63 - 1), st.sampled_from(PLAIN_FORMS), ids())


def texts(min_bytes: int, max_bytes: int) -> st.SearchStrategy[str]:
    """Strings of UTF-8 without control characters."""
    characters = st.characters(exclude_categories=("Cs", "Cc"))
    return st.text(characters, min_size=min_bytes, max_size=max_bytes // 4)


def geneses() -> st.SearchStrategy[Genesis]:
    """Geneses of any open workspace."""
    recipes = st.dictionaries(st.text(st.characters(codec="ascii")), texts(0, 64), max_size=5)
    return st.builds(Genesis, ids(), texts(0, 256), recipes)


def operations(workspace: str = WORKSPACE) -> st.SearchStrategy[Operation]:
    """Operations of every kind, well-formed, of no history in particular."""
    adds = st.builds(Add, manifests(st.sampled_from((BASE, OTHER_BASE))), st.binary(min_size=16, max_size=16))
    removes = st.sets(ids(), min_size=1, max_size=5).map(lambda names: Remove(tuple(sorted(names))))
    attests = st.builds(Attest, ids(), ids())
    times = st.none() | st.integers(0, 2**53 - 1)
    notes = st.none() | texts(1, 400)
    names = st.none() | texts(1, 256)
    return st.builds(Operation, st.just(workspace), st.one_of(adds, removes, attests), times, notes, names)


@dataclass
class History:
    """Several replicas of one workspace and everything they ever said."""

    replicas: list[ORSet]
    deltas: list[ORSet]

    def say(self, replica: int, delta: ORSet) -> None:
        """A replica makes a delta and takes it in."""
        self.deltas.append(delta)
        self.replicas[replica] = self.replicas[replica].join(delta)

    def step(self, index: int, what: str, choice: int) -> None:
        """One thing that a replica does; `choice` picks from whatever there is to pick from at that moment."""
        state = self.replicas[index]
        visible = sorted(state.visible())
        match what:
            case "add":
                self.say(index, state.add(MANIFESTS[choice % len(MANIFESTS)], nonce(len(self.deltas))))
            case "remove" if visible:
                self.say(index, state.remove(visible[choice % len(visible)]))
            case "attest":
                self.say(index, state.attest(state.merge_id, f"{choice % 2:064x}"))
            case "hear" if self.deltas:
                self.replicas[index] = state.join(self.deltas[choice % len(self.deltas)])
            case "join":
                self.replicas[index] = state.join(self.replicas[choice % len(self.replicas)])


def histories(count: int = 3, max_steps: int = 20) -> st.SearchStrategy[History]:
    """What `count` replicas said to each other, losing, repeating and reordering whatever they like."""
    doings = st.sampled_from(("add", "remove", "attest", "hear", "join"))
    steps = st.lists(st.tuples(st.integers(0, count - 1), doings, st.integers(0, 255)), max_size=max_steps)
    return steps.map(lambda steps: _played(count, steps))


def _played(count: int, steps: list[tuple[int, str, int]]) -> History:
    history = History([ORSet(GENESIS)] * count, [])
    for step in steps:
        history.step(*step)
    return history


def replica_states(count: int = 3) -> st.SearchStrategy[tuple[ORSet, ...]]:
    """The states of `count` replicas of one history."""
    return histories(count=count).map(lambda history: tuple(history.replicas))
