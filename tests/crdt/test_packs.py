"""What the vectors of packs do not show: limits, salvage, and rules of deletion under random histories."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra.crdt import packs
from mergealgebra.crdt.operations import Attest, Operation
from mergealgebra.crdt.pack_levels import insides, to_merge
from mergealgebra.crdt.packs import MAX_PACK_BYTES, Pack, salvage
from mergealgebra.errors import PackError
from tests.crdt.strategies import WORKSPACE, operations


def attests(count: int) -> list[Operation]:
    """So many different operations."""
    return [Operation(WORKSPACE, Attest(f"{number:064x}", "0" * 64)) for number in range(count)]


@pytest.mark.clause("PK-1")
class TestPack:
    @given(st.lists(operations(), min_size=1, max_size=8))
    def test_is_a_function_of_its_operations(self, some):
        pack = Pack.of([one.encode() for one in some])
        assert Pack.of([one.encode() for one in reversed(some)]).encode() == pack.encode()
        assert Pack.decode(pack.encode()) == pack
        assert list(pack.operations) == sorted({one.id for one in some})
        assert len(pack.encode()) == pack.nbytes

    def test_of_the_same_packs_is_the_same_whoever_merges_them(self):
        parts = [Pack.of([one.encode()]) for one in attests(16)]
        names = [part.name for part in parts]
        encodings = [data for part in parts for data in part.operations.values()]
        assert Pack.of(encodings, names).name == Pack.of(encodings[::-1], names[::-1]).name

    def test_longer_than_it_may_be_is_neither_made_nor_read(self, monkeypatch):
        pack = Pack.of([one.encode() for one in attests(3)])
        monkeypatch.setattr(packs, "MAX_PACK_BYTES", pack.nbytes - 1)
        for made in (lambda: Pack(pack.operations), lambda: Pack.decode(pack.encode())):
            with pytest.raises(PackError, match=f"is {pack.nbytes} bytes long, at most {pack.nbytes - 1} are allowed"):
                made()

    def test_of_more_operations_than_it_may_have_is_neither_made_nor_read(self, monkeypatch):
        pack = Pack.of([one.encode() for one in attests(3)])
        monkeypatch.setattr(packs, "MOST_OPERATIONS", 2)
        for made in (lambda: Pack(pack.operations), lambda: Pack.decode(pack.encode())):
            with pytest.raises(PackError, match="holds 3 operations or more, at most 2 are allowed"):
                made()
        assert len(list(salvage(pack.encode()))) == 2

    @given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda data: packs.MAGIC + bytes(4) + data))
    def test_any_bytes_are_a_pack_or_refused(self, data):
        try:
            assert Pack.decode(data).encode() == data
        except PackError:
            return


@pytest.mark.clause("PK-7")
class TestSalvage:
    PACK = Pack.of([one.encode() for one in attests(5)]).encode()
    WHOLE = tuple(Pack.decode(PACK).operations.values())

    @given(st.integers(0, len(PACK) - 1), st.integers(1, 255))
    def test_loses_no_more_than_what_a_changed_byte_spoils(self, at, flip):
        spoiled = bytearray(self.PACK)
        spoiled[at] ^= flip
        found = list(salvage(bytes(spoiled)))
        before = sum(
            1 for number in range(5) if at >= len(packs.MAGIC) + 4 + sum(4 + len(x) for x in self.WHOLE[: number + 1])
        )
        assert tuple(found[:before]) == self.WHOLE[:before] or at < len(packs.MAGIC) + 4

    @given(st.integers(0, len(PACK)))
    def test_of_a_cut_pack_is_what_is_whole(self, length):
        found = list(salvage(self.PACK[:length]))
        assert tuple(found) == self.WHOLE[: len(found)]


SETS = st.lists(st.sets(st.integers(0, 12), min_size=1), min_size=1, max_size=8)


@pytest.mark.clause("PK-4")
@given(SETS, st.randoms(use_true_random=False))
def test_whatever_goes_when_nothing_is_lost(held, random):
    """Several processes that look at different moments, and remove what they saw to lie inside one larger pack."""
    store = {f"{number:02}": dict.fromkeys(own) for number, own in enumerate(held)}
    everything = set().union(*held)
    views = [dict(insides(store)) for _ in range(2)]
    for view in views:
        for name, larger in random.sample(sorted(view.items()), len(view)):
            if larger in store:  # which is read again before
                store.pop(name, None)
    assert set().union(*store.values()) == everything


@pytest.mark.clause("PK-3")
@given(SETS)
def test_merging_comes_to_an_end(held):
    store = {f"{number:03}": dict.fromkeys(own) for number, own in enumerate(held * 5)}
    for _ in range(100):
        names = to_merge(store, dict.fromkeys(store, 1))
        if not names:
            break
        union = dict.fromkeys(one for name in names for one in store[name])
        assert all(len(store[name]) < len(union) for name in names)
        store[f"{len(store):03}"] = union
    assert not names
    assert MAX_PACK_BYTES == 1 << 26
