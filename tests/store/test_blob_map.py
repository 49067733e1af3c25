"""Maps of blobs beyond the vectors: what they cost whoever is given one, and that any change is refused [BL]."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from mergealgebra.encoding import LEAF_BYTES, encode
from mergealgebra.errors import EncodingError, MapError
from mergealgebra.store.blob_map import MOST_SIZES, MOST_TENSORS, BlobMap, most_map_bytes

DIGEST = bytes(range(32))
MADE = BlobMap.of([("a", "F32", (2,), DIGEST), ("b", "BF16", (0, 9), b""), ("c", "F16", (1 << 19, 3), DIGEST * 3)])


@pytest.mark.clause("BL-1", "BL-3")
def test_no_change_of_a_byte_is_let_in():
    good, randomness = MADE.encode(), random.Random(1)
    for at in range(len(good)):
        changed = bytearray(good)
        changed[at] ^= 1 << randomness.randrange(8)
        with pytest.raises((EncodingError, MapError)):
            BlobMap.decode(bytes(changed), MADE.root, 2 + 3 * LEAF_BYTES // 2)
        with pytest.raises((EncodingError, MapError)):
            BlobMap.decode(good[:at], MADE.root, 2 + 3 * LEAF_BYTES // 2)
    assert BlobMap.decode(good, MADE.root, 2 + 3 * LEAF_BYTES // 2) == MADE


CLAIMS = {
    "tensors": b"\x82\xa7tensors\xdd" + (MOST_TENSORS * 16).to_bytes(4) + b"\x90" * (MOST_TENSORS * 16),
    "sizes": b"\x82\xa7tensors\x91\x94\xa1a\xa3F32\xdd" + (MOST_SIZES * 4).to_bytes(4) + b"\x01" * (MOST_SIZES * 4),
}


@pytest.mark.clause("BL-2")
@pytest.mark.parametrize("claim", CLAIMS)
def test_what_claims_too_much_takes_no_memory(claim):
    tracemalloc.start()
    with pytest.raises(EncodingError):
        BlobMap.decode(CLAIMS[claim], MADE.root, 1 << 62)
    assert tracemalloc.get_traced_memory()[1] < 1 << 16
    tracemalloc.stop()


@pytest.mark.clause("BL-2")
def test_more_tensors_than_are_allowed():
    rows = [[f"{number:06}", "I8", [0], b""] for number in range(MOST_TENSORS + 1)]
    with pytest.raises(MapError, match="at most 262144 are allowed"):
        BlobMap.decode(encode({"tensors": rows, "version": 1}), MADE.root, 1 << 40)


@pytest.mark.clause("BL-3")
def test_leaves_are_neighbours_in_the_file():
    at = len(MADE.header)
    for leaf in MADE.run(0, MADE.leaves):
        assert leaf.offset == at
        at += leaf.nbytes
    assert at == MADE.nbytes
    with pytest.raises(IndexError):
        MADE.leaf(MADE.leaves)


def test_a_large_model_has_a_small_map():
    layers = [(f"model.layers.{n:02}.weight", "BF16", (7_000_000_000 // 100,), DIGEST * 134) for n in range(100)]
    made = BlobMap.of(layers)
    assert len(made.encode()) < 500_000 < most_map_bytes(7_000_000_000)
