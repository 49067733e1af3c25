"""Sets that share a log: each is what it was, whoever grows it, and a join costs what comes in."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra.crdt import operation_set
from mergealgebra.crdt.operation_set import OperationSet
from mergealgebra.crdt.operations import Attest, Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.policy import Authority
from tests.crdt.strategies import GENESIS, MANIFESTS, WORKSPACE, histories, nonce, operations

pytestmark = pytest.mark.clause("OS-7")


def attest(number: int) -> ORSet:
    return ORSet(GENESIS, [Operation(WORKSPACE, Attest(f"{number:064x}", "0" * 64))])


@given(st.sets(operations(), max_size=8), st.sets(operations(), max_size=8))
def test_is_the_set_of_its_operations(some, others):
    ours, theirs = OperationSet.of(GENESIS, some), OperationSet.of(GENESIS, others)
    assert ours == some
    assert (ours == theirs) == (some == others)
    assert (ours <= theirs) == (some <= others)
    assert ours | theirs == some | others
    assert ours - theirs == some - others
    assert ours.joined(theirs.lacking_in(ours)) == some | others
    assert ours == some


@given(histories(count=2))
def test_what_grew_from_a_state_leaves_it_as_it_was(history):
    """A log is shared; each of the states that share it says what a state of its operations alone says."""
    states = [ORSet(GENESIS)]
    for delta in history.deltas:
        states += [states[-1].join(delta), states[len(states) // 2].join(delta)]
    for state in [*states, *reversed(states)]:
        alone = ORSet(GENESIS, list(state.operations))
        assert state == alone
        assert state.visible() == alone.visible()
        assert state.attested() == alone.attested()
        assert {id_: len(state.standing(id_)) for id_ in state.known_ids()} == {
            id_: len(alone.standing(id_)) for id_ in alone.known_ids()
        }


@pytest.mark.clause("OS-9")
def test_a_join_looks_at_what_comes_in_alone():
    """Each record is looked at once, however many joins there are."""
    taken, real = [], Authority.counts
    with mock.patch.object(Authority, "counts", lambda self, record: (taken.append(record.id), real(self, record))[1]):
        state = ORSet(GENESIS)
        for number in range(50):
            state = state.join(state.add(MANIFESTS[number % 3], nonce(number)))
            state.visible()
    assert len(taken) == len(set(taken)) == 50


def test_of_a_state_that_grew_only_the_rest_is_looked_at():
    state = ORSet(GENESIS)
    for number in range(20):
        state = state.join(attest(number))
    grown = state.join(attest(20))
    with mock.patch.object(operation_set.OperationSet, "has", side_effect=AssertionError("all were looked at")):
        assert len(grown.difference(state).operations) == 1
        assert state <= grown


def test_two_threads_grow_one_state():
    state = ORSet(GENESIS)
    for number in range(100):
        state = state.join(attest(number))
    with ThreadPoolExecutor(8) as pool:
        grown = list(pool.map(lambda number: state.join(attest(1000 + number)), range(200)))
    for number, one in enumerate(grown):
        assert len(one.operations) == 101
        assert one.attestations(f"{1000 + number:064x}") == {"0" * 64}
    assert len(state.attested()) == 100
