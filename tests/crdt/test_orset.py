"""The laws of the operation set over legal histories."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mergealgebra.crdt.genesis import merge_id
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.operations import Add, Operation, Remove
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.policy import effective
from mergealgebra.errors import BaseMismatch, UnknownContribution, WrongWorkspace
from tests.crdt import laws
from tests.crdt.strategies import (
    GENESIS,
    MANIFESTS,
    OTHER_BASE,
    OTHER_GENESIS,
    WORKSPACE,
    History,
    histories,
    ids,
    nonce,
    operations,
    replica_states,
)

EMPTY = ORSet(GENESIS)
FIRST = MANIFESTS[0]
ROOT_A, ROOT_B = "1" * 64, "2" * 64


@pytest.mark.clause("OS-7")
class TestJoin:
    @given(replica_states(count=2))
    def test_is_commutative(self, states):
        laws.check_join_is_commutative(*states)

    @given(replica_states(count=3))
    def test_is_associative(self, states):
        laws.check_join_is_associative(*states)

    @given(replica_states(count=1))
    def test_is_idempotent(self, states):
        laws.check_join_is_idempotent(*states)

    @given(replica_states(count=2))
    def test_is_inflationary(self, states):
        laws.check_join_is_inflationary(*states)

    @given(replica_states(count=3))
    def test_is_monotone(self, states):
        laws.check_join_is_monotone(*states)

    @given(replica_states(count=3))
    def test_is_the_least_upper_bound(self, states):
        laws.check_join_is_least_upper_bound(*states)

    @given(replica_states(count=2))
    def test_contains_as_an_order(self, states):
        laws.check_containment_is_an_order(*states)

    @given(replica_states(count=2))
    def test_loses_no_operation_and_makes_up_none(self, states):
        a, b = states
        assert set(a.join(b).by_id()) == set(a.by_id()) | set(b.by_id())
        assert (a | b) == a.join(b)

    @pytest.mark.parametrize("meet", [ORSet.join, ORSet.difference, ORSet.__le__], ids=lambda meet: meet.__name__)
    def test_refuses_another_workspace(self, meet):
        with pytest.raises(WrongWorkspace, match=f"{WORKSPACE}.*{OTHER_GENESIS.workspace_id}"):
            meet(EMPTY, ORSet(OTHER_GENESIS))

    def test_refuses_an_operation_of_another_workspace(self):
        stranger = ORSet(OTHER_GENESIS).add(FIRST)
        with pytest.raises(WrongWorkspace, match="belongs to workspace"):
            ORSet(GENESIS, stranger.operations)


@pytest.mark.clause("OS-7")
class TestDeltas:
    @given(replica_states(count=1), st.data())
    def test_any_subset_is_a_state(self, states, data):
        (state,) = states
        kept = data.draw(st.sets(st.sampled_from(sorted(state.by_id()))) if state.operations else st.just(set()))
        part = ORSet(GENESIS, frozenset(state.by_id()[name] for name in kept))
        assert part <= state
        assert part.join(state.difference(part)) == state

    @given(replica_states(count=2))
    def test_difference_is_what_the_other_lacks(self, states):
        a, b = states
        delta = a.difference(b)
        assert b.join(delta) == b.join(a)
        assert not delta.operations & b.operations

    @given(histories(count=1))
    def test_mutators_leave_the_state_and_return_one_operation(self, history):
        (state,) = history.replicas
        before = state.operations
        for delta in (state.add(FIRST), state.attest(state.merge_id, ROOT_A)):
            assert len(delta.operations) == 1
        assert state.operations is before

    @given(histories(count=2), st.randoms(use_true_random=False))
    def test_visible_is_independent_of_arrival_order(self, history, random):
        deltas = history.deltas + history.deltas[:3]
        random.shuffle(deltas)
        arrived = EMPTY
        for delta in deltas:
            arrived = arrived.join(delta)
        assert arrived == _joined(history)
        assert list(arrived.visible().items()) == list(_joined(history).visible().items())
        assert arrived.merge_id == _joined(history).merge_id


@pytest.mark.clause("OS-9", "OS-10")
class TestVisible:
    @given(replica_states(count=1))
    def test_ids_are_ascending_and_name_their_manifests(self, states):
        visible = states[0].visible()
        assert list(visible) == sorted(visible)
        assert all(manifest.id == name for name, manifest in visible.items())

    @given(replica_states(count=1), st.sampled_from(MANIFESTS))
    def test_an_add_makes_it_visible(self, states, manifest):
        (state,) = states
        after = state.join(state.add(manifest, nonce(10**6)))
        assert after.visible() == state.visible() | {manifest.id: manifest}

    @given(replica_states(count=1), st.data())
    def test_a_remove_takes_out_that_one_alone(self, states, data):
        (state,) = states
        assume(state.visible())
        gone = data.draw(st.sampled_from(sorted(state.visible())))
        after = state.join(state.remove(gone))
        assert after.visible() == {name: found for name, found in state.visible().items() if name != gone}

    @given(replica_states(count=2))
    def test_add_wins_over_a_concurrent_remove(self, states):
        here, there = (state.join(EMPTY.add(FIRST, nonce(10**6))) for state in states)
        again, removed = here.add(FIRST, nonce(10**6 + 1)), there.remove(FIRST.id)
        assert FIRST.id in here.join(again).join(there).join(removed).visible()

    @given(replica_states(count=2))
    def test_a_removal_holds(self, states):
        """No state that the remover had already seen brings the contribution back."""
        a, b = states
        known = a.join(b).join(EMPTY.add(FIRST, nonce(10**6)))
        removed = known.join(known.remove(FIRST.id))
        assert FIRST.id not in removed.join(a).join(b).join(known).visible()

    def test_a_remove_that_arrives_before_its_add_works(self):
        add = EMPTY.add(FIRST)
        remove = add.remove(FIRST.id)
        early = EMPTY.join(remove)
        assert early.visible() == {}
        assert early.join(add).visible() == {}

    def test_a_removed_contribution_can_be_added_again(self):
        state = EMPTY.join(EMPTY.add(FIRST))
        state = state.join(state.remove(FIRST.id))
        again = state.join(state.add(FIRST))
        assert again.visible() == {FIRST.id: FIRST}
        assert again.join(again.remove(FIRST.id)).visible() == {}

    def test_a_remove_names_every_standing_add_and_no_other(self):
        state = EMPTY.join(EMPTY.add(FIRST, nonce(0)))
        state = state.join(state.remove(FIRST.id))
        standing = [state.add(FIRST, nonce(number)) for number in (1, 2)]
        other = state.add(MANIFESTS[1], nonce(3))
        for delta in (*standing, other):
            state = state.join(delta)
        (operation,) = state.remove(FIRST.id).operations
        assert list(operation.payload.operations) == sorted(name for delta in standing for name in delta.by_id())

    def test_a_remove_of_a_remove_brings_nothing_back(self):
        state = EMPTY.join(EMPTY.add(FIRST))
        remove = state.remove(FIRST.id)
        (name,) = remove.by_id()
        undo = ORSet(GENESIS, frozenset({Operation(WORKSPACE, Remove((name,)))}))
        assert state.join(remove).join(undo).visible() == {}

    @given(replica_states(count=1), ids())
    def test_only_what_is_visible_can_be_removed(self, states, unknown):
        (state,) = states
        for contribution in {unknown, *(manifest.id for manifest in MANIFESTS)} - state.visible().keys():
            with pytest.raises(UnknownContribution, match=contribution):
                state.remove(contribution)


@pytest.mark.clause("OS-8")
class TestEffective:
    FOREIGN = Operation(WORKSPACE, Add(Manifest(OTHER_BASE, "3f800000", 1, "finetuned", ROOT_A), nonce(0)))

    def test_an_add_for_another_base_is_in_the_set_but_never_counts(self):
        state = ORSet(GENESIS, frozenset({self.FOREIGN}))
        assert effective(GENESIS, state.operations) == frozenset()
        assert state.visible() == {}
        assert state.join(EMPTY) == state
        with pytest.raises(UnknownContribution):
            state.remove(self.FOREIGN.payload.manifest.id)

    def test_such_an_add_is_not_made(self):
        with pytest.raises(BaseMismatch, match="workspace has base"):
            EMPTY.add(self.FOREIGN.payload.manifest)

    @given(st.sets(operations(), max_size=8), st.sets(operations(), max_size=8))
    def test_counts_each_operation_by_itself(self, some, others):
        assert effective(GENESIS, some | others) == effective(GENESIS, some) | effective(GENESIS, others)


@pytest.mark.clause("OS-12")
class TestAttestations:
    @given(replica_states(count=1))
    def test_change_nothing_visible(self, states):
        (state,) = states
        after = state.join(state.attest(state.merge_id, ROOT_A))
        assert after.visible() == state.visible()
        assert after.merge_id == state.merge_id

    def test_disagree_only_when_two_roots_are_attested_for_what_is_visible_now(self):
        state = EMPTY.join(EMPTY.add(FIRST))
        assert state.disagreements() == frozenset()
        state = state.join(state.attest(state.merge_id, ROOT_A))
        assert state.disagreements() == frozenset()
        state = state.join(state.attest(ROOT_B, ROOT_B))
        assert state.disagreements() == frozenset()
        state = state.join(state.attest(state.merge_id, ROOT_B))
        assert state.disagreements() == {ROOT_A, ROOT_B}
        assert state.join(state.remove(FIRST.id)).disagreements() == frozenset()

    def test_are_all_kept_and_told_apart_by_merge_id(self):
        state = EMPTY
        for merge, root in ((ROOT_A, ROOT_A), (ROOT_A, ROOT_B), (ROOT_B, ROOT_B)):
            state = state.join(state.attest(merge, root))
        assert state.attestations(ROOT_A) == {ROOT_A, ROOT_B}
        assert state.attestations(ROOT_B) == {ROOT_B}
        assert state.attestations("3" * 64) == frozenset()


@pytest.mark.clause("OS-11")
@given(replica_states(count=1))
def test_merge_id_names_base_recipe_and_visible_contributions(states):
    (state,) = states
    assert state.merge_id == merge_id(GENESIS.base, GENESIS.recipe_id, reversed(list(state.visible())))


@pytest.mark.clause("OS-4")
def test_every_add_has_a_nonce_of_its_own():
    assert EMPTY.add(FIRST) != EMPTY.add(FIRST)


@pytest.mark.clause("OS-4")
def test_a_nonce_that_is_given_is_used():
    (operation,) = EMPTY.add(FIRST, nonce(3)).operations
    assert operation.payload.nonce == nonce(3)


@pytest.mark.clause("OS-3")
@pytest.mark.parametrize(
    "mutate",
    [
        lambda state, **said: state.add(FIRST, **said),
        lambda state, **said: state.remove(FIRST.id, **said),
        lambda state, **said: state.attest(ROOT_A, ROOT_B, **said),
    ],
    ids=["add", "remove", "attest"],
)
def test_time_and_note_stand_on_the_operation(mutate):
    state = EMPTY.join(EMPTY.add(FIRST))
    (operation,) = mutate(state, time=7, note="first try").operations
    assert (operation.time, operation.note) == (7, "first try")
    (operation,) = mutate(state).operations
    assert (operation.time, operation.note) == (None, None)


@pytest.mark.clause("OS-12")
def test_an_attest_says_what_it_was_told():
    (operation,) = EMPTY.attest(ROOT_A, ROOT_B).operations
    assert (operation.payload.merge_id, operation.payload.model_root) == (ROOT_A, ROOT_B)


def test_a_state_is_frozen_and_begins_empty():
    assert EMPTY.operations == frozenset()
    with pytest.raises(FrozenInstanceError):
        EMPTY.operations = frozenset()


@given(replica_states(count=1))
def test_operations_are_listed_by_their_ids_ascending(states):
    (state,) = states
    assert list(state.by_id()) == sorted(operation.id for operation in state.operations)
    assert all(operation.id == name for name, operation in state.by_id().items())


FOREIGN = Operation("3" * 64, Remove((ROOT_A,)))
#: What is refused, with the whole message.
REFUSALS = {
    "an operation of another workspace": (
        lambda: ORSet(GENESIS, frozenset({FOREIGN})),
        WrongWorkspace,
        f"operation {FOREIGN.id} belongs to workspace {FOREIGN.workspace}, not to {WORKSPACE}",
    ),
    "a state of another workspace": (
        lambda: EMPTY.join(ORSet(OTHER_GENESIS)),
        WrongWorkspace,
        f"a state of workspace {WORKSPACE} and one of workspace {OTHER_GENESIS.workspace_id} do not join",
    ),
    "a manifest of another base": (
        lambda: EMPTY.add(TestEffective.FOREIGN.payload.manifest),
        BaseMismatch,
        f"contribution {TestEffective.FOREIGN.payload.manifest.id} is for base {OTHER_BASE}, "
        f"the workspace has base {GENESIS.base}; make it against the workspace's base",
    ),
    "what is not visible": (
        lambda: EMPTY.remove(ROOT_A),
        UnknownContribution,
        f"contribution {ROOT_A} is not visible; `visible()` lists those that are",
    ),
}


@pytest.mark.clause("OS-7", "OS-8", "OS-10")
@pytest.mark.parametrize(("refused", "error", "message"), REFUSALS.values(), ids=REFUSALS)
def test_refusals_in_these_words(refused, error, message):
    with pytest.raises(error) as caught:
        refused()
    assert str(caught.value) == message


def _joined(history: History) -> ORSet:
    state = EMPTY
    for delta in history.deltas:
        state = state.join(delta)
    return state
