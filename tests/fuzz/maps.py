"""Maps of blobs, behind the root that they are asked for by [BL-1 to BL-3]."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, Final

from mergealgebra.encoding import decode, encode
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.store.blob_map import BlobMap
from tests.fuzz import outer
from tests.fuzz.families import VALUES
from tests.fuzz.mutation import mutate_value
from tests.fuzz.target import Family

_ROOT_BYTES: Final = 32
_ELEMENTS: Final = 1 << 20
#: How many leaves are looked at one by one.
_LEAVES: Final = 64


def decode_map(data: bytes, _: Path) -> BlobMap:
    return BlobMap.decode(data[_ROOT_BYTES:], data[:_ROOT_BYTES].hex(), _ELEMENTS)


def check_map(data: bytes, found: BlobMap, _: Path) -> None:
    """It is written as it was read, in name order, and its leaves lie one behind the other in the file."""
    assert found.encode() == data[_ROOT_BYTES:]
    names = [tensor.name for tensor in found.tensors]
    assert names == sorted({*names})
    at = len(found.header)
    for leaf in found.run(0, min(found.leaves, _LEAVES)):
        assert leaf.offset == at
        assert leaf.nbytes > 0
        at += leaf.nbytes
    assert at == found.nbytes or found.leaves > _LEAVES


def mutate_map(random: Random, data: bytes) -> bytes:
    return data[:_ROOT_BYTES] + mutate_value(random, data[_ROOT_BYTES:])


def amend_map(data: bytes) -> bytes:
    """The same map, canonical, behind its own root."""
    rest = outer.canonical(data[_ROOT_BYTES:])
    with suppress(MergeAlgebraError, KeyError, TypeError, ValueError):
        return bytes.fromhex(BlobMap.of(decode(rest)["tensors"]).root) + rest
    return data[:_ROOT_BYTES] + rest


def _map(*tensors: list[Any]) -> bytes:
    return amend_map(bytes(_ROOT_BYTES) + encode({"tensors": list(tensors), "version": 1}))


def _tensor(number: int) -> list[Any]:
    return [f"{number:06}", "F32", [2], bytes(32)]


MAPS: Final[dict[str, Family]] = {
    **{name: (lambda n, family=family: bytes(_ROOT_BYTES) + family(n)) for name, family in VALUES.items()},
    "tensors": lambda n: _map(*map(_tensor, range(n // 50))),
    "leaves": lambda n: _map(["w", "U8", [(n // 32) << 20], bytes(32 * (n // 32))]),
    "sizes": lambda n: _map(["w", "U8", [1] * n, bytes(32)]),
    "a name": lambda n: _map(["x" * n, "U8", [1], bytes(32)]),
    "digests of nothing": lambda n: _map(["w", "U8", [0], bytes(n)]),
}
SEEDS: Final[dict[str, dict[str, bytes]]] = {
    "map": {
        "everything": _map(
            ["b.bias", "BF16", [], b"\x01" * 32], ["c.empty", "I64", [0, 3], b""], ["w", "F32", [512, 513], bytes(64)]
        ),
        "nothing": _map(),
        "twice": _map(_tensor(1), _tensor(1)),
        "out-of-order": _map(_tensor(2), _tensor(1)),
        "a-digest-too-few": _map(["w", "U8", [(1 << 20) + 1], bytes(32)]),
        "other-root": bytes(_ROOT_BYTES) + _map(_tensor(1))[_ROOT_BYTES:],
        "version-2": bytes(_ROOT_BYTES) + encode({"tensors": [], "version": 2}),
    }
}
