"""Canonical values and hashes: round trips, caps, and trees in pieces of any size."""

from __future__ import annotations

import hashlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra import encoding
from mergealgebra.errors import EncodingError

LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.text(st.characters(codec="utf-8")), st.binary()
)
NOT_VALUES = {
    "a float": 0.5,
    "a set": {1},
    "too large": 2**64,
    "too small": -(2**63) - 1,
    "a lone surrogate": "\ud800",
    "a key that is no text": {1: 2},
    "a surrogate as a key": {"\ud800": 1},
    "an object": object(),
}


def values() -> st.SearchStrategy[object]:
    """Canonical values, nested up to the limit and a little."""
    return st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


def depth(value: object) -> int:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if items is None else 1 + max(map(depth, items), default=-1)


@pytest.mark.clause("EN-1", "EN-2", "EN-3")
@given(values())
def test_decoding_gives_the_value_back(value):
    try:
        data = encoding.encode(value)
    except EncodingError:
        assert depth(value) > encoding.MAX_DEPTH or "\\ud" in ascii(value)
        return
    assert encoding.decode(data) == value


@pytest.mark.clause("EN-3")
@given(st.binary(max_size=40))
def test_any_bytes_are_a_value_or_refused(data):
    try:
        value = encoding.decode(data)
    except EncodingError:
        return
    assert encoding.encode(value) == data


@pytest.mark.clause("EN-1")
@pytest.mark.parametrize("value", NOT_VALUES.values(), ids=NOT_VALUES)
def test_what_has_no_encoding(value):
    with pytest.raises(EncodingError):
        encoding.encode([value])


@pytest.mark.clause("EN-3")
def test_hostile_depth_and_length_are_refused():
    for data in (b"\x91" * 100_000 + b"\x00", b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"):
        with pytest.raises(EncodingError):
            encoding.decode(data)
    with pytest.raises(EncodingError, match="at most 3 are allowed"):
        encoding.decode(b"\xc4\x02ab", max_bytes=3)


def test_a_kind_of_text_is_text():
    class Id(str):
        __slots__ = ()

    assert encoding.encode({Id("a"): Id("b")}) == encoding.encode({"a": "b"})


@pytest.mark.clause("EN-6")
@given(st.lists(st.binary(max_size=9), max_size=12))
def test_a_tensor_may_be_fed_in_pieces(pieces):
    leaf = encoding.LEAF_BYTES
    try:
        encoding.LEAF_BYTES = 4
        assert encoding.tensor_root(pieces) == encoding.tensor_root([b"".join(pieces)])
    finally:
        encoding.LEAF_BYTES = leaf


@pytest.mark.clause("EN-6")
@given(st.binary(max_size=60), st.lists(st.integers(0, 15)), st.integers(1, 5))
def test_parts_of_a_tensor_may_be_hashed_apart(data, cuts, step):
    """Cut where leaves begin, and each part fed in steps of its own: as spans are, by several threads."""
    leaf = encoding.LEAF_BYTES
    try:
        encoding.LEAF_BYTES = 4
        ends = sorted({0, len(data), *(4 * cut for cut in cuts if 4 * cut < len(data))})
        tree = encoding.TensorTree()
        for start, stop in itertools.pairwise(ends):
            hasher = encoding.LeafHasher()
            for at in range(start, stop, step):
                hasher.update(data[at : min(at + step, stop)])
            tree.extend(hasher.digests())
        leaves = [data[at : at + 4] for at in range(0, len(data), 4)]
        expected = encoding.hash_id("tensor", encoding.merkle_root(leaves))
        assert tree.root() == encoding.tensor_root([data]) == expected
    finally:
        encoding.LEAF_BYTES = leaf


@pytest.mark.clause("EN-5")
@given(st.lists(st.binary(max_size=3), max_size=20))
def test_the_tree_is_that_of_the_rfc(leaves):
    def tree(items: list[bytes]) -> bytes:
        if not items:
            return hashlib.sha256(b"").digest()
        if len(items) == 1:
            return hashlib.sha256(b"\x00" + items[0]).digest()
        k = 1 << (len(items) - 1).bit_length() - 1
        return hashlib.sha256(b"\x01" + tree(items[:k]) + tree(items[k:])).digest()

    assert encoding.merkle_root(leaves) == tree(leaves)
