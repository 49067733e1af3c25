"""The library and the policy that the proofs speak of say the same of the same sets of operations."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from mergealgebra.crdt.operations import Add, Attest, Remove
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.permission import revoke
from tests.crdt.strategies import GENESIS
from tests.oracle.policies import ask, library, request
from tests.oracle.program import Oracle
from tests.oracle.traces import MAINTAINERS, SIGNED, open_trace, parts, signed_trace
from tests.spec.checks import signed_state_of
from tests.spec.vectors import Vector, vectors

TRACES = 300
VECTORS = [vector for vector in vectors() if vector.check == "signed-state"]


@pytest.mark.clause("SG-6", "SG-8", "SG-9", "SG-10", "SG-12")
def test_a_signed_workspace_counts_and_shows_what_the_proofs_say(oracle: Oracle):
    seen: Counter[str] = Counter()
    for seed in range(TRACES):
        made = signed_trace(seed)
        state, peer = (ORSet(SIGNED, part) for part in parts(made, Random(seed)))
        answer = ask(oracle, state, peer)
        assert answer == library(state, peer), f"trace {seed}"
        seen.update(kinds_of_answers(state))
    assert len(seen) == 7 and min(seen.values()) > TRACES / 10, f"the traces are one-sided: {seen}"


@pytest.mark.parametrize("vector", VECTORS, ids=[vector.id for vector in VECTORS])
def test_the_policy_of_the_proofs_gives_the_answers_of_the_vectors(oracle: Oracle, vector: Vector):
    state = signed_state_of(vector.input)
    found, expected = ask(oracle, state, state), vector.expected
    assert found["admissible"] == set(expected["admissible"])
    assert found["effective"] == set(expected["effective"])
    assert found["visible"] == expected["visible"]
    counts = {(merge_id, root): n for merge_id, roots in expected["witnesses"].items() for root, n in roots.items()}
    assert {about: len(keys) for about, keys in found["witnesses"].items()} == counts


@pytest.mark.clause("OS-8", "OS-9")
def test_an_open_workspace_counts_and_shows_what_the_proofs_say(oracle: Oracle):
    shown = 0
    for seed in range(TRACES // 3):
        state, peer = (ORSet(GENESIS, part) for part in parts(open_trace(seed), Random(seed)))
        answer = ask(oracle, state, peer)
        assert answer == library(state, peer), f"trace {seed}"
        shown += len(answer["visible"])
    assert shown > TRACES / 3


@pytest.mark.clause("SG-7", "SG-8")
def test_the_policy_of_the_proofs_lets_forgeries_change_nothing(oracle: Oracle):
    """The library lets none into a set, so it cannot be asked of one."""
    for seed in range(20):
        made = signed_trace(seed)
        honest = request(SIGNED, made, [])
        forged = [
            {**one, "id": f"{n:064x}", "signed": [one["signed"][0], "wrong"]}
            for n, one in enumerate(honest["operations"])
        ]
        before, after = oracle.ask(honest), oracle.ask({**honest, "operations": [*honest["operations"], *forged]})
        assert after == before


@pytest.mark.clause("SG-11")
def test_revoking_a_key_changes_nothing_where_it_is_done(oracle: Oracle):
    """What is proved of it in claims/Policy.v, of the library's: it names and keeps what it should."""
    revoked = 0
    for seed in range(TRACES // 3):
        state = ORSet(SIGNED, next(parts(signed_trace(seed), Random(seed))))
        for key in set(state.authority.grants.values()):
            delta = revoke(state, key, MAINTAINERS[1], time=seed)
            after = ask(oracle, state | delta, state)
            assert after["visible"] == list(state.visible()) == list((state | delta).visible())
            assert key not in (state | delta).authority.live
            revoked += bool(after["visible"])
    assert revoked > TRACES / 3


def kinds_of_answers(state: ORSet) -> set[str]:
    """What there is in a state of what the policy tells apart."""
    revoked, grants = state.authority.revoked, state.authority.grants
    writers = [one for one in state.operations if grants.get(one.grant or "") == one.author]
    hit = [one for one in writers if one.grant in revoked]
    removes = [one for one in state.effective if isinstance(one.payload, Remove)]
    adds = {one.id: one for one in state.effective if isinstance(one.payload, Add)}
    reached = [
        state.authority.takes_back(one.author, adds[name]) for one in removes for name in one.names if name in adds
    ]
    attested: dict[tuple[str | None, str], set[str]] = {}
    for one in state.effective:
        if isinstance(one.payload, Attest):
            attested.setdefault((one.author, one.payload.merge_id), set()).add(one.payload.model_root)
    found = {
        "revoked": any(one not in state.effective for one in hit),
        "kept": any(one in state.effective for one in hit),
        "inadmissible": state.admissible.operations < state.operations,
        "removed": True in reached,
        "not theirs to remove": False in reached,
        "equivocates": any(len(roots) > 1 for roots in attested.values()),
        "witnesses": any(len(roots) == 1 for roots in attested.values()),
    }
    return {name for name, holds in found.items() if holds}
