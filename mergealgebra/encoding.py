"""Canonical bytes and what is hashed from them: MessagePack subset, domain-separated ids, Merkle trees.

One value has one encoding, and equal things have equal ids on every machine [EN-1 to EN-8].
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Final

import msgpack

from mergealgebra.errors import EncodingError

#: Bytes in one leaf of a tensor's Merkle tree [EN-6].
LEAF_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 8
MAX_BYTES: Final = 1 << 20


def encode(value: object) -> bytes:
    """Encode a value canonically [EN-1, EN-2].

    value: None, bool, int in [-2^63, 2^64), str, bytes, list or tuple, or a mapping with str keys.
    Raises EncodingError for anything else, floats included.

    >>> encode({"b": 1, "a": [True, None]})  # keys in the order of their bytes
    b'\\x82\\xa1a\\x92\\xc3\\xc0\\xa1b\\x01'
    """
    try:
        return bytes(msgpack.packb(_canonical(value, 0), use_bin_type=True, strict_types=True))
    except (OverflowError, TypeError, UnicodeEncodeError, ValueError) as error:
        raise EncodingError(f"a value has no canonical encoding: {error}") from None


def decode(data: bytes, *, max_bytes: int = MAX_BYTES, max_values: int | None = None) -> Any:
    """Decode canonical bytes, and nothing else: what is decoded must encode back to `data` [EN-3].

    max_values: how many values may lie in arrays and maps, if that is bounded.
    Raises EncodingError when the bytes, or values, are too many, too deep, malformed or not canonical.

    >>> decode(encode(["w", 2, b"\\x00"]))
    ['w', 2, b'\\x00']
    """
    if len(data) > max_bytes:
        raise EncodingError(f"{len(data)} bytes where at most {max_bytes} are allowed")
    _check_depth(data, max_values)
    try:
        value = msgpack.unpackb(data, raw=False, strict_map_key=True)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise EncodingError(f"not MessagePack: {str(error) or type(error).__name__}") from None
    if encode(value) != data:
        raise EncodingError("not canonical: decoding and encoding again gives other bytes")
    return value


def hash_id(domain: str, data: bytes) -> str:
    """The id of `data` in a domain: SHA-256 of the domain string, a zero byte, and the data [EN-4].

    Returns 64 lower-case hexadecimal digits. The order of ids as bytes is the order of these strings.

    >>> hash_id("genesis", b"")[:16]
    '3caa579a44a077fe'
    """
    return hashlib.sha256(b"mergealgebra/1/" + domain.encode() + b"\x00" + data).hexdigest()


def leaf_digest(leaf: bytes | memoryview) -> bytes:
    """The digest of one leaf: the tree hash of it alone [EN-5]."""
    digest = hashlib.sha256(b"\x00")
    digest.update(leaf)
    return digest.digest()


def merkle_root(leaves: Iterable[bytes]) -> bytes:
    """The tree hash of RFC 6962, section 2.1, over the leaves [EN-5]. Returns 32 bytes.

    >>> merkle_root([b"a", b"b"]).hex()[:16]
    'b137985ff484fb60'
    """
    tree = _Tree()
    for leaf in leaves:
        tree.append(leaf_digest(leaf))
    return tree.root()


class LeafHasher:
    """The leaves of a tensor, or of a piece of one that begins with a leaf, from bytes fed in any pieces [EN-6]."""

    def __init__(self) -> None:
        self._digests: list[bytes] = []
        self._leaf = hashlib.sha256(b"\x00")
        self._filled = 0

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the tensor, little-endian and in C order."""
        rest = memoryview(data).cast("B")
        while len(rest):
            piece = rest[: LEAF_BYTES - self._filled]
            self._leaf.update(piece)
            self._filled += len(piece)
            rest = rest[len(piece) :]
            if self._filled == LEAF_BYTES:
                self._close_leaf()

    def digests(self) -> list[bytes]:
        """The digests of the leaves; call once, at the end."""
        if self._filled:
            self._close_leaf()
        return self._digests

    def _close_leaf(self) -> None:
        self._digests.append(self._leaf.digest())
        self._leaf = hashlib.sha256(b"\x00")
        self._filled = 0


class TensorTree:
    """A tensor's root from the digests of its leaves, in order [EN-6]."""

    def __init__(self) -> None:
        self._tree = _Tree()

    def extend(self, digests: Iterable[bytes]) -> None:
        """Take the next leaves."""
        for digest in digests:
            self._tree.append(digest)

    def root(self) -> str:
        """The root of all leaves taken."""
        return hash_id("tensor", self._tree.root())


def tensor_root(pieces: Iterable[bytes | memoryview]) -> str:
    """The root of a tensor from its bytes, in pieces of any size [EN-6]: 64 lower-case hexadecimal digits.

    >>> tensor_root([bytes(4)]) == tensor_root([bytes(3), bytes(1)])
    True
    """
    hasher, tree = LeafHasher(), TensorTree()
    for piece in pieces:
        hasher.update(piece)
    tree.extend(hasher.digests())
    return tree.root()


def model_root(records: Iterable[tuple[str, str, tuple[int, ...], str]]) -> str:
    """The root of a set of tensors, in any files and any order [EN-7].

    records: (name, dtype as safetensors writes it, shape, tensor root) of each tensor; names are unique. Returns 64
    lower-case hexadecimal digits.

    >>> model_root([("w", "F32", (1,), tensor_root([bytes(4)]))])[:16]
    '67ba24863ba10b52'
    """
    ordered = sorted(records, key=lambda record: record[0].encode())
    leaves = (encode([name, dtype, list(shape), bytes.fromhex(root)]) for name, dtype, shape, root in ordered)
    return hash_id("model", merkle_root(leaves))


class _Tree:
    """Roots of the perfect subtrees so far, largest first: RFC 6962 in one pass."""

    def __init__(self) -> None:
        self._roots: list[tuple[int, bytes]] = []

    def append(self, leaf: bytes) -> None:
        size = 1
        while self._roots and self._roots[-1][0] == size:
            leaf = _node(self._roots.pop()[1], leaf)
            size *= 2
        self._roots.append((size, leaf))

    def root(self) -> bytes:
        if not self._roots:
            return hashlib.sha256(b"").digest()
        root = self._roots[-1][1]
        for _, left in reversed(self._roots[:-1]):
            root = _node(left, root)
        return root


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _check_depth(data: bytes, most: int | None = None) -> None:
    """Refuse what nests too deep, and tags that no canonical value has, before any value is built [EN-1, EN-3].

    most: how many values arrays and maps may claim to hold, if that is bounded.

    msgpack nests a thousand levels deep, and reserves memory at each level for as many items as an array claims.
    """
    at, open_ = 0, [1]  # where the next tag is, and how many values are still to come at each level
    while open_ and at < len(data):
        if data[at] not in _TAGS:
            raise EncodingError(f"not MessagePack of a canonical value: one begins with the byte {data[at]:02x}")
        width, mask, bytes_each, values_each = _TAGS[data[at]]
        number = int.from_bytes(data[at + 1 : at + 1 + width]) if width else data[at] & mask
        at += 1 + width + number * bytes_each
        open_[-1] -= 1
        if number and values_each:
            open_.append(number * values_each)
            if most is not None and (most := most - number * values_each) < 0:
                raise EncodingError("it holds more values than are allowed")
        if len(open_) > 1 + MAX_DEPTH:
            raise EncodingError(f"nested deeper than {MAX_DEPTH}")
        while open_ and not open_[-1]:
            open_.pop()


#: By tag: the bytes of the number behind it, or the bits of the tag that are the number; and how many bytes, and how
#: many values, follow for each unit of that number. There are no floats and no extension types [EN-1].
_TAGS: Final = {
    **dict.fromkeys((*range(0x80), *range(0xE0, 0x100), 0xC0, 0xC2, 0xC3), (0, 0, 0, 0)),
    **dict.fromkeys(range(0x80, 0x90), (0, 0x0F, 0, 2)),
    **dict.fromkeys(range(0x90, 0xA0), (0, 0x0F, 0, 1)),
    **dict.fromkeys(range(0xA0, 0xC0), (0, 0x1F, 1, 0)),
    **{first + i: (1 << i, 0, 0, 0) for first in (0xCC, 0xD0) for i in range(4)},  # integers
    **{first + i: (1 << i, 0, 1, 0) for first in (0xC4, 0xD9) for i in range(3)},  # byte strings, strings
    0xDC: (2, 0, 0, 1),  # arrays
    0xDD: (4, 0, 0, 1),
    0xDE: (2, 0, 0, 2),  # maps
    0xDF: (4, 0, 0, 2),
}


#: Types whose values are their own canonical form; a value of a subclass, such as an id, is converted.
_PLAIN: Final = frozenset({str, int, bytes, bool, type(None)})


def _canonical(value: object, depth: int) -> object:
    if depth > MAX_DEPTH:
        raise EncodingError(f"nested deeper than {MAX_DEPTH}")
    if type(value) in _PLAIN:
        return value
    if isinstance(value, dict) and all([isinstance(key, str) for key in value]):  # noqa: C419 - half of the time
        return {str(key): _canonical(value[key], depth + 1) for key in sorted(value, key=str.encode)}
    if isinstance(value, (list, tuple)):
        return [_canonical(item, depth + 1) for item in value]
    if isinstance(value, str):
        return str(value)  # a subclass, such as an id, is the text that it is
    if isinstance(value, (int, bytes)):
        return value
    raise EncodingError(f"a {type(value).__name__} has no canonical encoding")
