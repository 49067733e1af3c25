"""How leaves travel: what is packed comes back as it was, and what unpacks to anything else is refused in bounds."""

from __future__ import annotations

import time
import tracemalloc
from contextlib import closing

import numpy as np
import pytest

from mergealgebra.encoding import LEAF_BYTES, leaf_digest
from mergealgebra.errors import LeafDamaged
from mergealgebra.store.blob_map import BlobMap
from mergealgebra.sync import leaf_frames
from mergealgebra.sync.http_peer import HttpCarrier
from mergealgebra.sync.leaf_frames import RAW, SPLIT, XORED, Metered, head, leaf_buffer, pack, pieces_read, read_leaf
from mergealgebra.sync.live import sync_live
from mergealgebra.sync.peer import CarriedPeer
from mergealgebra.sync.service import Service
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.models import write_canonical
from tests.sync.servers import in_thread

zstd = pytest.importorskip("backports.zstd", reason="needs zstd (extra net; a part of Python from 3.14 on)")

BITS = {"F64": 64, "F32": 32, "BF16": 16, "F16": 16, "U8": 8, "F4": 4, "C64": 64}


class Alike:
    """A base whose leaf at any place is this."""

    is_at_hand = True

    def __init__(self, data: bytes | None = None) -> None:
        self.data = data

    def alike(self, leaf):
        return self.data


def leaf_of(data: bytes, dtype: str = "F32"):
    return BlobMap.of([("w", dtype, (len(data) * 8 // BITS[dtype],), leaf_digest(data))]).leaf(0)


def came(frame: bytes, leaf, most: int = XORED, base=None) -> bytes:
    fill = leaf_frames.exact("http://liar", pieces_read(iter([frame])))
    return bytes(read_leaf(fill, leaf, most, base or Alike(), leaf_buffer()))


def frame_of(way: int, data: bytes) -> bytes:
    return head(way, len(data)) + data


@pytest.mark.clause("BL-5")
@pytest.mark.parametrize("dtype", BITS)
@pytest.mark.parametrize("most", [RAW, SPLIT, XORED])
def test_what_is_packed_comes_back(dtype, most):
    random = np.random.default_rng(3)
    for nbytes in (8, 4096, 100_000, LEAF_BYTES):
        base = random.standard_normal(nbytes // 4, np.float32)
        data = (base * np.float32(1.001)).tobytes()
        leaf = leaf_of(data, dtype)
        way, packed = pack(leaf, memoryview(data), most, Alike(base.tobytes()))
        assert way <= most
        assert len(packed) <= (nbytes if way == RAW else nbytes * 15 / 16)
        assert came(head(way, len(packed)) + bytes(packed), leaf, most, Alike(base.tobytes())) == data
    assert (way == RAW) == (most == RAW or (dtype in ("F64", "C64", "U8", "F4", "BF16", "F16") and way == RAW))


@pytest.mark.clause("BL-5")
def test_packing_is_chosen_where_it_pays():
    random = np.random.default_rng(4)
    noise, zeros = random.bytes(LEAF_BYTES), bytes(LEAF_BYTES)
    assert pack(leaf_of(noise), memoryview(noise), XORED, Alike())[0] == RAW
    assert pack(leaf_of(noise), memoryview(noise), XORED, Alike(noise))[0] == XORED
    assert pack(leaf_of(zeros), memoryview(zeros), XORED, Alike(noise))[0] == SPLIT


def lies(good: bytes) -> dict[str, bytes]:
    bomb = zstd.compress(bytes(1 << 28), 1)
    return {
        "longer": frame_of(RAW, good + b"\0"),
        "shorter": frame_of(RAW, good[:-1]),
        "empty": frame_of(RAW, b""),
        "empty, packed": frame_of(SPLIT, b""),
        "other": frame_of(RAW, good[:-1] + bytes([good[-1] ^ 1])),
        "huge": head(RAW, 2**32 - 1),
        "huge, packed": head(SPLIT, 2**32 - 1),
        "unknown": frame_of(3, good),
        "no zstd": frame_of(SPLIT, good),
        "bomb": frame_of(SPLIT, bomb[: len(good)]),
        "small bomb": frame_of(SPLIT, zstd.compress(bytes(1 << 22), 1)),
        "unpacks to less": frame_of(SPLIT, zstd.compress(good[:-4], 1)),
        "unpacks to more": frame_of(SPLIT, zstd.compress(good[:400] * 11, 1)),
        "cut": frame_of(SPLIT, zstd.compress(good, 1)[:-3]),
        "goes on": frame_of(SPLIT, zstd.compress(good, 1) + b"x"),
        "two frames": frame_of(SPLIT, zstd.compress(good[:2000], 1) + zstd.compress(good[2000:], 1)),
        "not split": frame_of(SPLIT, zstd.compress(good, 1)),
        "by no base": frame_of(XORED, zstd.compress(good, 1)),
    }


GOOD = np.random.default_rng(5).integers(0, 3, 4096).astype(np.uint8).tobytes()
LIES = lies(GOOD)


@pytest.mark.clause("BL-6", "PR-9")
@pytest.mark.parametrize("lie", LIES)
def test_a_frame_that_is_not_the_leaf_is_refused_in_little_memory(lie):
    buffer, base = leaf_buffer(), Alike()
    tracemalloc.start()
    fill = leaf_frames.exact("http://liar", pieces_read(iter([LIES[lie]])))
    with pytest.raises(LeafDamaged):
        read_leaf(fill, leaf_of(GOOD), XORED, base, buffer)
    assert tracemalloc.get_traced_memory()[1] < 1 << 18
    tracemalloc.stop()


@pytest.mark.clause("BL-5", "BL-6")
def test_nothing_is_unpacked_that_was_not_asked_for(monkeypatch):
    split = np.frombuffer(GOOD, np.uint8).reshape(-1, 4).T.tobytes()
    frame = frame_of(SPLIT, zstd.compress(split, 1))
    assert came(frame, leaf_of(GOOD), SPLIT) == GOOD
    with pytest.raises(LeafDamaged, match="it comes packed as 1"):
        came(frame, leaf_of(GOOD), RAW)
    monkeypatch.setattr(leaf_frames, "_zstd", lambda: None)
    assert leaf_frames.readable(Alike()) == RAW
    assert pack(leaf_of(GOOD), memoryview(GOOD), XORED, Alike(GOOD)) == (RAW, GOOD)


@pytest.mark.clause("BL-5")
def test_a_fast_connection_is_asked_for_leaves_as_they_are():
    for packed, rate, fast in ((True, 30e6, False), (True, 50e6, True), (False, 90e6, False), (False, 110e6, True)):
        fill = Metered(lambda buffer: None)
        fill(memoryview(bytearray(1 << 22)))
        fill.since = time.monotonic() - (1 << 22) / rate
        assert fill.is_fast(packed, not fast) == fast
    assert Metered(lambda buffer: None).is_fast(True, True)


@pytest.mark.clause("BL-5", "BL-9", "PR-13")
def test_leaves_are_packed_over_http_too(tmp_path):
    pytest.importorskip("uvicorn", reason="needs uvicorn and starlette (extra net)")
    from mergealgebra.crdt.genesis import Genesis
    from mergealgebra.store.objects import Store
    from tests.sync.test_live_blobs import holding, root_of, tensors

    write_canonical(tmp_path / "base.safetensors", tensors(1))
    tuned = {name: (one * 1.0001).astype(one.dtype) for name, one in tensors(1).items()}
    with Checkpoint.open(tmp_path / "base.safetensors") as base:
        genesis = Genesis(base.root(), "team", {"method": "mean", "lambda": "1"})
        bob = holding(tmp_path, "bob", tuned, genesis=genesis)
        alice, carol = (Store.create(tmp_path / name, genesis) for name in ("alice", "carol"))
        for server in (Service(bob, base=lambda: base), Service(carol, writes=True, base=lambda: base)):
            with in_thread(server) as address, closing(HttpCarrier(address)) as carrier:
                result = sync_live(alice, CarriedPeer(carrier), base=lambda: base)
                assert not [error for error in result.refused if "for reading only" not in str(error)]
    for store in (alice, carol):
        store.check_blob(root_of(bob))
