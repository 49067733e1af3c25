"""Who may write in a signed workspace, over light records: laws that hold of every set [SG-8, SG-9]."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mergealgebra.crdt.authority import Grant
from mergealgebra.crdt.operations import Add, Attest, Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.permission import grant, keep, revoke
from mergealgebra.crdt.policy import Authority, admissible, effective, taken_back
from mergealgebra.errors import NotAllowed, OperationError
from tests.crdt.strategies import BASE, MANIFESTS, OTHER_BASE, nonce
from tests.crdt.strategies import GENESIS as OPEN
from tests.signed import GENESIS, MAINTAINER, OTHER_MAINTAINER, STRANGER, WRITER

WRITERS = [WRITER.key, STRANGER.key]
KEYS = [MAINTAINER.key, OTHER_MAINTAINER.key, *WRITERS]
#: Most sets need grants before they say anything.
KINDS = ("add", "remove", "grant", "grant", "revoke", "keep", "attest", "later")
#: Few ids, so that grants, revokes and keeps name each other.
IDS = [f"{number:064x}" for number in range(12)]


class Light(NamedTuple):
    """What an index has of an operation."""

    id: str
    kind: str
    author: str | None
    grant: str | None
    names: tuple[str, ...]
    about: str


#: A grant to each writer.
LET_IN = [Light("e" * 63 + str(n), "grant", MAINTAINER.key, None, (), key) for n, key in enumerate(WRITERS)]


def _record(id_: str, kind: str, author: str, under: str | None, names: set[str], about: str) -> Light:
    names = names if kind in ("remove", "revoke", "keep") else set()
    subjects = {"add": BASE if int(about, 16) else OTHER_BASE, "grant": KEYS[int(about, 16) % 4], "keep": about}
    return Light(id_, kind, author, under, tuple(sorted(names)), subjects.get(kind, ""))


def records(ids: st.SearchStrategy[str], kinds: tuple[str, ...] = KINDS) -> st.SearchStrategy[Light]:
    """Operations of anybody, of every kind, under whatever stands for a grant."""
    known = st.sampled_from(IDS)
    named = st.sets(known, min_size=1, max_size=4)
    under = st.none() | known | st.sampled_from([one.id for one in LET_IN])
    return st.builds(_record, ids, st.sampled_from(kinds), st.sampled_from(KEYS), under, named, known)


def sets() -> st.SearchStrategy[list[Light]]:
    """Sets of operations that could be in one workspace, whoever was let in."""
    others = st.lists(records(st.sampled_from(IDS)), max_size=12, unique_by=lambda one: one.id)
    return st.builds(list.__add__, st.sampled_from([[], LET_IN]), others)


def newcomers(*kinds: str) -> st.SearchStrategy[Light]:
    """An operation that is in none of these sets."""
    return records(st.just("f" * 64), kinds or KINDS)


def visible(some: list[Light]) -> set[str]:
    """The ids of the adds that stand."""
    authority, counted = Authority.of(GENESIS, some), effective(GENESIS, some)
    return {one.id for one in counted if one.kind == "add"} - taken_back(authority, counted).keys()


@pytest.mark.clause("SG-8")
class TestAuthority:
    @given(sets(), st.randoms(use_true_random=False))
    def test_no_order_and_no_repetition_matters(self, some, random):
        shuffled = random.sample(some, len(some)) + some[:2]
        assert effective(GENESIS, shuffled) == effective(GENESIS, some)
        assert admissible(GENESIS, iter(shuffled)) == admissible(GENESIS, some)

    @given(sets())
    def test_what_is_effective_is_decided_by_what_is_admissible(self, some):
        passed_on = admissible(GENESIS, some)
        assert effective(GENESIS, some) <= passed_on
        assert effective(GENESIS, passed_on) == effective(GENESIS, some)
        assert admissible(GENESIS, passed_on) == passed_on
        assert visible(list(passed_on)) == visible(some)

    @settings(max_examples=400)
    @given(sets(), newcomers())
    def test_what_is_not_admissible_changes_nothing(self, some, new):
        assume(new not in admissible(GENESIS, [*some, new]))
        assert effective(GENESIS, [*some, new]) == effective(GENESIS, some)
        assert visible([*some, new]) == visible(some)

    @settings(max_examples=400)
    @given(sets(), newcomers())
    def test_nobody_but_a_maintainer_changes_who_may_write(self, some, new):
        assume(new.author in WRITERS)
        assert admissible(GENESIS, [*some, new]) - {new} == admissible(GENESIS, some)

    @given(sets())
    def test_what_a_maintainer_wrote_is_always_admissible(self, some):
        assert {one for one in some if one.author not in WRITERS} <= admissible(GENESIS, some)

    @given(sets(), st.sampled_from([0, 1]))
    def test_a_writer_hides_only_what_is_theirs(self, some, n):
        remove = Light("f" * 64, "remove", WRITERS[n], LET_IN[n].id, tuple(IDS), "")
        hidden = visible(some) - visible([*some, remove])
        assert all(one.author == WRITERS[n] for one in some if one.id in hidden)

    @settings(max_examples=400)
    @given(sets(), newcomers("keep"))
    def test_a_keep_only_ever_lets_more_count(self, some, new):
        assert effective(GENESIS, some) <= effective(GENESIS, [*some, new])


def granted(key: str) -> ORSet:
    """A state in which one key has a grant."""
    empty = ORSet(GENESIS)
    return empty | grant(empty, key, "Ada", MAINTAINER)


#: What may not be done, and what is said of it.
REFUSED = {
    "nobody signs": (
        lambda s: s.add(MANIFESTS[0]),
        "this workspace is signed: name your private key with key=FILE",
    ),
    "no grant": (lambda s: s.add(MANIFESTS[0], signer=STRANGER), "has no grant here: a maintainer lets it write"),
    "a remove without a key": (lambda s: s.remove(MANIFESTS[0].id), "this workspace is signed"),
    "a grant by a writer": (lambda s: grant(s, STRANGER.key, "Eve", WRITER), "only maintainers"),
    "a grant by a stranger": (lambda s: grant(s, STRANGER.key, "Eve", STRANGER), "has no grant here"),
    "a revoke by a writer": (lambda s: revoke(s, WRITER.key, WRITER), "only maintainers"),
    "a second grant": (lambda s: grant(s, WRITER.key, "Ada", MAINTAINER), "has a grant already"),
    "a grant to a maintainer": (lambda s: grant(s, OTHER_MAINTAINER.key, "M", MAINTAINER), "is a maintainer's"),
    "a revoke of a maintainer": (lambda s: revoke(s, OTHER_MAINTAINER.key, MAINTAINER), "who never change"),
    "a revoke of nobody": (lambda s: revoke(s, STRANGER.key, MAINTAINER), "has no grant here"),
    "another's contribution": (lambda s: s.remove(MANIFESTS[0].id, signer=WRITER), "they or a maintainer can"),
}


@pytest.mark.clause("SG-8", "SG-11")
class TestPermission:
    def test_a_grant_lets_write_and_a_revoke_ends_that_and_keeps_what_was_done(self):
        state = granted(WRITER.key)
        state |= state.add(MANIFESTS[0], signer=WRITER)
        late = state.add(MANIFESTS[1], signer=WRITER)  # made offline, and seen by nobody yet
        state |= revoke(state, WRITER.key, MAINTAINER)
        assert list(state.visible()) == [MANIFESTS[0].id]
        assert (state | late).visible() == state.visible()
        with pytest.raises(NotAllowed, match="was revoked: a maintainer lets it write by"):
            state.add(MANIFESTS[1], signer=WRITER)

    def test_a_retraction_is_kept_with_what_it_takes_back(self):
        state = granted(WRITER.key)
        state |= state.add(MANIFESTS[0], signer=WRITER)
        state |= state.remove(MANIFESTS[0].id, signer=WRITER)
        assert (state | revoke(state, WRITER.key, OTHER_MAINTAINER)).visible() == {}

    def test_two_revocations_at_once_keep_what_both_saw(self):
        start = granted(WRITER.key)
        seen = start | start.add(MANIFESTS[0], signer=WRITER)
        more = seen | seen.add(MANIFESTS[1], signer=WRITER)
        both = more | revoke(seen, WRITER.key, MAINTAINER) | revoke(more, WRITER.key, OTHER_MAINTAINER)
        assert list(both.visible()) == [MANIFESTS[0].id]

    def test_a_second_grant_after_a_revoke_lets_in_again(self):
        state = granted(WRITER.key)
        state |= revoke(state, WRITER.key, MAINTAINER)
        state |= grant(state, WRITER.key, "Ada", MAINTAINER)
        assert list((state | state.add(MANIFESTS[0], signer=WRITER)).visible()) == [MANIFESTS[0].id]

    def test_a_second_revocation_hides_nothing_that_a_first_one_kept(self):
        """Though what was kept did not come here yet: a sync that was cut off brought the keep alone."""
        start = granted(WRITER.key)
        more = start | start.add(MANIFESTS[0], signer=WRITER)
        first = revoke(more, WRITER.key, OTHER_MAINTAINER)
        second = revoke(start | first, WRITER.key, MAINTAINER)
        assert list((more | first | second).visible()) == [MANIFESTS[0].id]

    def test_revocations_of_one_key_in_one_second_are_one_and_their_keeps_join(self):
        start = granted(WRITER.key)
        seen = start | start.add(MANIFESTS[0], signer=WRITER)
        more = seen | seen.add(MANIFESTS[1], signer=WRITER)
        both = more | revoke(seen, WRITER.key, MAINTAINER, time=9) | revoke(more, WRITER.key, MAINTAINER, time=9)
        assert len(both.visible()) == 2
        assert len({one.id for one in both.operations if one.kind == "revoke"}) == 1

    @pytest.mark.parametrize(("refused", "message"), REFUSED.values(), ids=REFUSED)
    def test_refusals(self, refused, message):
        state = granted(WRITER.key)
        state |= state.add(MANIFESTS[0], signer=MAINTAINER)
        with pytest.raises(NotAllowed, match=message):
            refused(state)

    def test_an_open_workspace_has_no_maintainers(self):
        with pytest.raises(NotAllowed, match="this workspace is open"):
            grant(ORSet(OPEN), WRITER.key, "Ada", MAINTAINER)


@pytest.mark.clause("SG-4")
class TestStates:
    ATTEST = Operation(GENESIS.workspace_id, Attest("1" * 64, "2" * 64))

    def test_a_signed_workspace_holds_nothing_unsigned(self):
        with pytest.raises(OperationError, match="has no author, and its workspace is signed"):
            ORSet(GENESIS, frozenset({self.ATTEST}))

    def test_an_open_one_nothing_signed(self):
        signed = Operation(OPEN.workspace_id, self.ATTEST.payload).signed_by(MAINTAINER)
        with pytest.raises(OperationError, match="has an author, and its workspace is open"):
            ORSet(OPEN, frozenset({signed}))

    @given(st.sampled_from(KEYS), st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), min_size=1))
    def test_what_is_signed_is_read_again(self, key, name):
        made = Operation(GENESIS.workspace_id, Grant(key, name[:256], nonce(1)), time=5).signed_by(WRITER, IDS[1])
        assert Operation.decode_signed(made.encode(), GENESIS.workspace_id) == made
        assert made.is_valid
        assert not Operation(GENESIS.workspace_id, Add(MANIFESTS[0], nonce(1))).is_valid


@pytest.fixture(scope="module")
def late():
    """A state in which two maintainers revoked the writer's grant, and two contributions that neither had seen."""
    start = granted(WRITER.key)
    work = start.add(MANIFESTS[0], signer=WRITER) | start.add(MANIFESTS[1], signer=WRITER)
    return start | revoke(start, WRITER.key, MAINTAINER) | revoke(start, WRITER.key, OTHER_MAINTAINER) | work


#: What cannot be kept, and what is said of it.
NOT_KEPT = {
    "a writer": (lambda s: keep(s, WRITER.key, (), WRITER), NotAllowed, "was revoked"),
    "a key without a grant": (lambda s: keep(s, STRANGER.key, (), MAINTAINER), NotAllowed, "no grant to it was"),
    "too few digits": (lambda s: keep(s, WRITER.key, ["a"], MAINTAINER), OperationError, "give 4 digits or more"),
    "what is not here": (lambda s: keep(s, WRITER.key, ["ab" * 31], MAINTAINER), OperationError, "no operation"),
    "what all keep": (lambda s: keep(s | keep(s, WRITER.key, (), MAINTAINER), WRITER.key, (), MAINTAINER),
                      NotAllowed, "nothing of it that is here is hidden"),
    "a whole id twice": (lambda s: keep(s | keep(s, WRITER.key, ["ab" * 32], MAINTAINER), WRITER.key, ["ab" * 32],
                         MAINTAINER), NotAllowed, "every revoke keeps that already"),
    "the workspace": (lambda s: keep(s, WRITER.key, [GENESIS.workspace_id], MAINTAINER), OperationError,
                      "the id of this workspace"),
    "a contribution that counts": (lambda s: keep(s | s.add(MANIFESTS[2], signer=MAINTAINER), WRITER.key,
                                   [MANIFESTS[2].id], MAINTAINER), OperationError, "that no revoke hides"),
    "another's operation": (lambda s: keep(s, WRITER.key, [min(s.authority.grants)], MAINTAINER), OperationError,
                            "an operation of another key"),
}  # fmt: skip


@pytest.mark.clause("SG-16")
class TestKeep:
    def test_lets_all_late_work_count_whoever_revoked(self, late):
        assert late.visible() == {}
        kept = keep(late, WRITER.key, (), MAINTAINER)
        assert len(kept.operations) == 2  # one for each revoke
        assert len((late | kept).visible()) == 2

    @pytest.mark.parametrize("of", ["contribution", "operation"])
    @pytest.mark.parametrize("digits", [12, 64])
    def test_lets_one_count_by_the_beginning_of_its_id(self, late, of, digits):
        wanted = MANIFESTS[1].id
        (add,) = (one.id for one in late.records().values() if one.says == (wanted,))
        name = (wanted if of == "contribution" else add)[:digits]
        assert list((late | keep(late, WRITER.key, [name.upper()], OTHER_MAINTAINER)).visible()) == [wanted]

    def test_lets_one_count_that_is_still_to_come(self, late):
        (add,) = (one for one in late.operations if one.kind == "add" and one.payload.manifest == MANIFESTS[0])
        here = ORSet(GENESIS, frozenset(one for one in late.operations if one.kind != "add"))
        said = here | keep(here, WRITER.key, [add.id], MAINTAINER)
        assert list((said | ORSet(GENESIS, frozenset({add}))).visible()) == [MANIFESTS[0].id]

    @pytest.mark.parametrize(("refused", "error", "message"), NOT_KEPT.values(), ids=NOT_KEPT)
    def test_refusals(self, late, refused, error, message):
        with pytest.raises(error, match=message):
            refused(late)
