"""Reconciliation: both sides' differences are found, whatever the sets are; what it costs; sets that change."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra.encoding import decode, encode
from mergealgebra.errors import PeerError
from mergealgebra.sync.ranges import IdSet
from mergealgebra.sync.reconciliation import reconcile
from tests.sync.peer_sets import BOB, SALT, OtherSide, alike, check_finds_all, hashed, reconciled


@st.composite
def pairs_of_sets(draw):
    """Two sets that share some ids, of hashes and of ids that begin alike for many bytes."""
    sizes = st.sampled_from([0, 1, 5, 60, 64, 65, 200, 1500])
    random = Random(draw(st.integers(0, 2**32)))
    prefix = bytes(draw(st.integers(0, 31)))
    pool = sorted(hashed(range(draw(sizes))) | (alike(draw(sizes), prefix) if draw(st.booleans()) else set()))
    rate = draw(st.sampled_from([0, 0.001, 0.05, 0.5, 1]))
    missing = [set(random.sample(pool, round(rate * len(pool)))) for _ in range(2)]
    return set(pool) - missing[0], set(pool) - missing[1]


@pytest.mark.clause("PR-7", "PR-8")
@given(pairs_of_sets())
def test_all_differences_are_found(sets):
    ours, theirs = sets
    found = reconciled(ours, theirs)
    check_finds_all(ours, theirs, found)
    assert found.rounds <= 12


@pytest.mark.clause("PR-7")
def test_a_hundred_thousand_ids_with_ten_missing_on_each_side():
    everything = sorted(hashed(range(100_000)))
    missing = Random(1).sample(everything, 20)
    ours, theirs = set(everything) - set(missing[:10]), set(everything) - set(missing[10:])
    found = reconciled(ours, theirs)
    check_finds_all(ours, theirs, found)
    assert found.rounds == 2
    assert found.nbytes < 20_000


#: Ids that somebody chose at will, beside 20,000 others; and how many bytes each may cost.
CHOSEN = {
    "24 bits alike": alike(5_000, b"\xaa\xaa\xaa"),
    "30 bytes alike": {bytes(30) + number.to_bytes(2) for number in range(5_000)},
    "all at the end": {b"\xff" * 30 + number.to_bytes(2) for number in range(1_000)},
}


@pytest.mark.clause("PR-2", "PR-7")
@pytest.mark.parametrize("chosen", CHOSEN.values(), ids=CHOSEN)
def test_chosen_ids_cost_no_more_than_others(chosen):
    honest = hashed(range(20_000))
    missing = Random(2).sample(sorted(honest), 10) + Random(2).sample(sorted(chosen), 10)
    ours, theirs = (honest | chosen) - set(missing[::2]), (honest | chosen) - set(missing[1::2])
    found = reconciled(ours, theirs)
    check_finds_all(ours, theirs, found)
    assert found.rounds <= 3
    assert found.nbytes < 30_000


@pytest.mark.clause("PR-9")
@pytest.mark.parametrize("prefix", [b"", bytes(20)], ids=["hashes", "alike"])
def test_a_spammer_costs_at_most_twice_the_list(prefix):
    honest, spam = hashed(range(1_000)), alike(20_000, prefix)
    for ours, theirs in ((honest, honest | spam), (honest | spam, honest), (spam, honest)):
        found = reconciled(ours, theirs)
        check_finds_all(ours, theirs, found)
        assert found.nbytes < 2 * (2**16 + 32 * (len(ours) + len(theirs)))


@pytest.mark.clause("PR-8")
def test_fingerprints_that_collide_cost_the_whole_list_and_nothing_else(monkeypatch):
    monkeypatch.setattr(IdSet, "fingerprint", lambda self, span: bytes(16))
    ours, theirs = hashed(range(1_000)), hashed(range(10, 1_010))
    found = reconciled(ours, theirs)
    check_finds_all(ours, theirs, found)
    assert found.rounds == 2


@pytest.mark.clause("PR-1", "PR-8")
def test_short_ids_that_collide_cost_the_whole_list_and_nothing_else(monkeypatch):
    monkeypatch.setattr("mergealgebra.sync.reconciliation.short_id", lambda salt, id_: bytes(6))
    ours, theirs = hashed(range(1_000)), hashed(range(10, 1_010))
    check_finds_all(ours, theirs, reconciled(ours, theirs))


@pytest.mark.clause("PR-1")
def test_nobody_knows_before_which_ids_are_short_alike():
    ours = hashed(range(20))
    listed = set()
    for salt in (bytes(8), bytes(7) + b"\x01"):
        asked = []
        reconcile(IdSet(ours), lambda question, asked=asked: asked.append(question) or OtherSide(IdSet(ours))(question),
                  "admissible", salt, BOB)  # fmt: skip
        listed.add(decode(asked[0])["lists"][0][2])
    assert len(listed) == 2


# Sets that change


class Growing(OtherSide):
    """Gets another id before each of its first answers."""

    def __init__(self, ids: set[bytes], times: int) -> None:
        super().__init__(IdSet(ids))
        self.times = times

    def __call__(self, question: bytes) -> bytes:
        if len(self.sizes) < self.times:
            self.ids = IdSet([*self.ids, *hashed([10**6 + len(self.sizes)])])
        return super().__call__(question)


@pytest.mark.clause("PR-8")
@pytest.mark.parametrize("times", [1, 2, 3, 5])
def test_a_set_that_grows_meanwhile_is_reconciled_anew(times):
    ours, theirs = hashed(range(500)), Growing(hashed(range(10, 510)), times)
    found = reconcile(IdSet(ours), theirs, "admissible", SALT, BOB)
    check_finds_all(ours, set(theirs.ids), found)


@pytest.mark.clause("PR-8")
def test_a_list_that_never_stands_still_is_given_up(monkeypatch):
    monkeypatch.setattr("mergealgebra.sync.reconciliation.MOST_IDS_OF_PAGE", 4)
    theirs = Growing(hashed(range(50)), 10**9)
    with pytest.raises(PeerError, match=f"^{BOB} takes new operations faster than it lists"):
        reconcile(IdSet(), theirs, "admissible", SALT, BOB)
    assert len(theirs.sizes) < 100


# Liars


def changed(**fields):
    """Changes fields of each answer; a field that the answer has not is left out."""

    def change(_, found):
        value = decode(found, max_bytes=2**22)
        return encode({**value, **{key: new for key, new in fields.items() if key in value}})

    return change


@pytest.mark.clause("PR-8", "PR-9")
@pytest.mark.parametrize("ours", [set(), hashed(range(9)), hashed(range(500))], ids=["none", "few", "many"])
def test_a_root_that_is_not_that_of_the_ids_is_one_error(ours):
    said = "its 400 ids do not have the root that it names for 400; nothing was taken of it: sync with another peer"
    with pytest.raises(PeerError, match=f"^{BOB} gives an answer that the protocol does not allow: {said}"):
        reconciled(ours, hashed(range(400)), change=changed(root=bytes(32)))


@pytest.mark.clause("PR-9")
def test_a_page_without_ids_does_not_go_on_for_ever():
    with pytest.raises(PeerError, match=f"^{BOB} .* it ends after 0 of 2000000 ids"):
        reconciled(set(), hashed(range(9)), change=changed(ids=b"", count=2_000_000))


@pytest.mark.clause("PR-7")
def test_an_id_that_was_listed_is_not_lacking():
    ours = hashed(range(3))

    def change(_, found):
        return encode({**decode(found), "differences": [[0, min(ours), []]]})

    with pytest.raises(PeerError, match="it names an id as lacking that was listed"):
        reconciled(ours, hashed(range(2)), change=change)


class Endless:
    """Says of every range that it is cut once more, at random, and that it differs; pages go on as long as they may."""

    def __init__(self, count: int) -> None:
        self.random, self.count, self.nbytes = Random(3), count, 0

    def __call__(self, question: bytes) -> bytes:
        found = self.answered(decode(question))
        self.nbytes += len(question) + len(found)
        return found

    def answered(self, asked) -> bytes:
        whole = {"count": self.count, "root": bytes(32)}
        if "after" in asked:
            start = int.from_bytes(asked["after"]) + 1
            return encode({**whole, "ids": b"".join((start + i).to_bytes(32) for i in range(2**15))})
        spans = [list(pair) for bounds, _ in asked["prints"] for pair in pairwise(bounds)]
        spans += [entry[:2] for entry in asked["lists"]]
        splits = [[n, cuts, self.random.randbytes(32)] for n, span in enumerate(spans) if (cuts := self.cuts(*span))]
        return encode({**whole, "asks": [], "differences": [], "splits": splits})

    def cuts(self, lower: bytes, upper: bytes | None) -> list[bytes]:
        bounds = [int.from_bytes(bound.ljust(32, b"\0")) for bound in (lower, upper or b"\xff" * 32)]
        cut = (sum(bounds) // 2).to_bytes(32)
        return [cut] if lower < cut < (upper or b"\xff" * 33) else []


@pytest.mark.clause("PR-9")
@pytest.mark.parametrize("count", [0, 1000, 100_000])
def test_a_peer_that_never_ends_is_ended(count):
    liar = Endless(count)
    with pytest.raises(PeerError, match=f"^{BOB} gives an answer that the protocol does not allow"):
        reconcile(IdSet(hashed(range(1_000))), liar, "admissible", SALT, BOB)
    assert liar.nbytes < 2 * (2**16 + 32 * (1_000 + count)) + 2**20
