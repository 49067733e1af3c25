"""Syncing stores that hold packs: what is many goes in packs, and what is damaged is mended or taken from elsewhere."""

from __future__ import annotations

import os

import pytest

from mergealgebra.crdt.operations import Operation, Remove
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.pack_index import PackIndex
from mergealgebra.crdt.packs import BRANCH, Pack
from mergealgebra.fsck import inspect
from mergealgebra.store.objects import Store
from mergealgebra.sync.folder import sync
from tests.crash import kill_points
from tests.crdt.strategies import GENESIS, MANIFESTS, WORKSPACE, nonce
from tests.store.stores import names_in
from tests.store.test_packs import DAY, attest, count, decoded, pack_of, put, replica

__all__ = ["decoded"]


@pytest.fixture
def alice(tmp_path):
    """A replica with 40 operations, in a pack."""
    store = replica(tmp_path / "alice")
    store.write_pack(pack_of(*range(40)))
    return store


@pytest.fixture
def share(tmp_path):
    """A share in which nothing is yet."""
    return Store.create(tmp_path / "share", GENESIS)


def spoil(store, pack, at=-1):
    """Change a byte of a pack."""
    path = store.path / "packs" / pack.name
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.clause("SY-4", "PK-3")
class TestCarrying:
    def test_many_operations_go_in_one_pack(self, alice, share):
        result = sync(alice, share.path)
        assert len(result.given_operations) == 40
        assert names_in(share.path / "packs") == {pack_of(*range(40)).name, "index"}
        assert names_in(share.path / "operations") == set()
        bob = replica(share.path.parent / "bob")
        put(bob, 100)
        assert len(sync(bob, share.path).taken_operations) == 40
        assert count(bob) == count(share) == 41
        assert len(names_in(share.path / "operations")) == 1

    def test_what_is_known_is_not_decoded_again(self, alice, share, decoded):
        sync(alice, share.path)
        alice.state()
        decoded.clear()
        put(share, 100)
        result = sync(Store.open(alice.path), share.path)
        assert result.taken_operations == (attest(100).id,)
        assert decoded == [attest(100).id]

    def test_files_in_a_share_are_packed(self, alice, share):
        put(share, *range(BRANCH))
        sync(alice, share.path)
        assert pack_of(*range(BRANCH)).name in names_in(share.path / "packs")
        assert len(names_in(share.path / "operations")) == BRANCH

    @pytest.mark.clause("PK-8")
    def test_the_index_of_a_share_names_what_counts_there(self, alice, share):
        for numbers in (range(40), range(10)):
            share.write_pack(pack_of(*numbers))
        put(share, 1, 100)
        sync(alice, share.path)
        found = PackIndex.decode((share.path / "packs" / "index").read_bytes())
        assert found == PackIndex((pack_of(*range(40)).name,), (attest(100).id,))
        assert sync(alice, share.path).ignored == ()
        assert not (alice.path / "packs" / "index").exists()

    @pytest.mark.clause("PK-10", "SY-10")
    def test_what_lies_in_one_larger_pack_goes_after_a_day_of_the_share_s_clock(self, alice, share):
        large, small, other = pack_of(*range(40)), pack_of(1, 2), pack_of(39, 50)
        for pack in (large, small, other):
            share.write_pack(pack)
        put(share, 1, 100)
        for age in (0, 2 * DAY):
            sync(alice, share.path)
            assert names_in(share.path / "packs") == {large.name, small.name, other.name, "index"}
            for path in (share.path / "packs").iterdir():
                written = 1e9 - age if path.name == large.name else 1e9  # whatever our clock says
                os.utime(path, (written, written))
        sync(alice, share.path)
        assert names_in(share.path / "packs") == {large.name, other.name, "index"}
        assert names_in(share.path / "operations") == {attest(100).id}
        assert count(share) == 42

    @pytest.mark.clause("PK-10")
    def test_what_another_program_calls_an_operation_is_not_lost(self, alice, share):
        later = Pack.of([attest(0).encode(), b"of a later version"])
        share.write_pack(later)
        share.write_pack(pack_of(*range(40)))
        os.utime(share.path / "packs" / pack_of(*range(40)).name, (1e9, 1e9))
        for _ in range(2):
            sync(alice, share.path)
        assert later.name in names_in(share.path / "packs")

    @pytest.mark.clause("SY-8")
    def test_nothing_retracted_shows_when_a_sync_dies(self, share, tmp_path):
        """Twenty contributions that were all taken back: no moment at which one is visible on the other side."""
        both = tmp_path / "both"
        both.mkdir()
        ours, theirs = replica(both / "ours"), Store.create(both / "theirs", GENESIS)
        state = ORSet(GENESIS)
        for number in range(20):
            state = state.join(state.add(MANIFESTS[number % 4], nonce(number)))
        adds = tuple(sorted(state.records()))
        ours.write_delta(state.join(ORSet(GENESIS, [Operation(WORKSPACE, Remove(adds))])))

        def run(folder):
            sync(Store.open(folder / "ours"), folder / "theirs")

        for moment, folder in kill_points(both, run, tmp_path / "scratch"):
            assert Store.open(folder / "theirs").state().visible_ids() == set(), moment
            run(folder)
            assert count(Store.open(folder / "theirs")) == 21, moment
        assert count(theirs) == 0


@pytest.mark.clause("SY-4", "PK-7")
class TestDamage:
    def test_of_a_pack_is_mended_by_that_of_the_other_side(self, alice, share):
        sync(alice, share.path)
        spoil(share, pack_of(*range(40)))
        result = sync(Store.open(alice.path), share.path)
        assert result.mended == (str(share.path / "packs" / pack_of(*range(40)).name),)
        assert not result.refused
        assert count(share) == 40

    def test_of_a_pack_that_nobody_else_has_costs_what_is_damaged_alone(self, share, tmp_path):
        share.write_pack(pack_of(*range(10)))
        spoil(share, pack_of(*range(10)))
        bob = replica(tmp_path / "bob")
        result = sync(bob, share.path)
        assert len(result.taken_operations) == 9
        assert [pack_of(*range(10)).name in str(error) for error in result.refused] == [True]
        (share.path / "packs" / pack_of(*range(10)).name).unlink()
        assert not sync(Store.open(bob.path), share.path).refused
        assert count(share) == 9

    def test_of_one_s_own_pack_stops_neither_side(self, alice, share):
        alice.state()
        put(share, 100)
        spoil(alice, pack_of(*range(40)))
        result = sync(Store.open(alice.path), share.path)
        assert attest(100).id in result.taken_operations
        assert count(share) == 40  # all but the one that is damaged
        assert len(result.refused) == 1


@pytest.mark.clause("SY-11", "PK-7")
class TestFsck:
    def test_reads_every_pack(self, alice):
        alice.state()
        assert inspect(alice.path).operations == 40
        spoil(alice, pack_of(*range(40)))
        found = inspect(alice.path)
        assert not found.ok
        assert [pack_of(*range(40)).name in line for line in found.damaged] == [True]

    def test_puts_the_peer_s_pack_in_its_place(self, alice, share):
        share.write_pack(pack_of(*range(40)))
        spoil(alice, pack_of(*range(40)))
        found = inspect(alice.path, repair=share.path)
        assert found.ok
        assert found.operations == count(alice) == 40

    def test_writes_anew_what_the_peer_has_in_other_files(self, alice, share):
        share.write_pack(pack_of(*range(30)))
        put(share, *range(30, 40))
        alice.state()
        spoil(alice, pack_of(*range(40)))
        found = inspect(alice.path, repair=share.path)
        assert found.ok
        assert found.mended == [str(alice.path / "packs" / pack_of(*range(40)).name)]
        assert count(alice) == 40

    def test_keeps_a_damaged_pack_of_which_something_is_nowhere(self, alice, share):
        alice.state()  # which writes down what it holds
        spoil(alice, pack_of(*range(40)))
        lost = list(Pack.decode(pack_of(*range(40)).encode()).operations)[-1]
        put(share, *(number for number in range(40) if attest(number).id != lost))
        found = inspect(alice.path, repair=share.path)
        assert not found.ok
        assert names_in(alice.path / "packs") == {pack_of(*range(40)).name}
