"""Maps of blobs: their bytes, what is refused, where leaves lie [BL-1 to BL-3]."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from math import prod
from typing import Any

from generator.reference.canonical import decode, encode
from generator.reference.hashes import LEAF, H, root_of_records
from generator.reference.refused import Refused
from generator.reference.safetensors import MAX_HEADER, MAX_SIZES, METADATA, is_natural, quote
from generator.reference.tensors import BITS

MOST_TENSORS = 2**18
MOST_SIZES = 2**20
MOST_NAME = 2**12

#: Name, dtype, shape, digests of the leaves, bytes of the tensor.
Row = tuple[str, str, list[int], list[bytes], int]


@dataclass(frozen=True)
class Map:
    rows: list[Row]

    @property
    def root(self) -> bytes:
        return root_of_records(
            [(name, dtype, shape, tensor_root(leaves)) for name, dtype, shape, leaves, _ in self.rows]
        )

    @property
    def header_bytes(self) -> int:
        """EN-17: the eight bytes of the length, and the padded JSON."""
        fields, at = [quote(METADATA) + ':{"format":"pt"}'], 0
        for name, dtype, shape, _, size in self.rows:
            sizes = ",".join(map(str, shape))
            fields.append(f'{quote(name)}:{{"dtype":"{dtype}","shape":[{sizes}],"data_offsets":[{at},{at + size}]}}')
            at += size
        text = len(("{" + ",".join(fields) + "}").encode("utf-8"))
        return 8 + text + -text % 8

    @property
    def leaves(self) -> list[list[Any]]:
        """The tensor, the offset in the file and the bytes of each leaf [BL-3]."""
        found, at = [], self.header_bytes
        for name, _, _, leaves, size in self.rows:
            found += [[name, at + i * LEAF, min(LEAF, size - i * LEAF)] for i in range(len(leaves))]
            at += size
        return found

    @property
    def bytes(self) -> int:
        return self.header_bytes + sum(size for *_, size in self.rows)


def tensor_root(leaves: list[bytes]) -> bytes:
    """EN-6, from the digests of the leaves."""
    return H("tensor", tree(leaves))


def tree(digests: list[bytes]) -> bytes:
    """EN-5, from the digests of the leaves."""
    if not digests:
        return sha256(b"").digest()
    if len(digests) == 1:
        return digests[0]
    k = 1 << ((len(digests) - 1).bit_length() - 1)
    return sha256(b"\x01" + tree(digests[:k]) + tree(digests[k:])).digest()


def digests_of(data: bytes) -> list[bytes]:
    return [sha256(b"\x00" + data[i : i + LEAF]).digest() for i in range(0, len(data), LEAF)]


def make_map(tensors: list[tuple[str, str, list[int], bytes]]) -> bytes:
    """The map of tensors given as name, dtype, shape, data, in any order [BL-1]."""
    ordered = sorted(tensors, key=lambda row: row[0].encode("utf-8"))
    rows = [[name, dtype, shape, b"".join(digests_of(data))] for name, dtype, shape, data in ordered]
    return encode({"tensors": rows, "version": 1})


def most_bytes(elements: int) -> int:
    """BL-2."""
    return min(2**22 + elements // 2**9, 2**26)


def read_map(data: bytes, root: bytes, elements: int) -> Map:
    value = decode(data, most_bytes(elements))
    if not isinstance(value, dict) or set(value) != {"tensors", "version"}:
        raise Refused("MapError")
    if value["version"] is True or value["version"] != 1 or not isinstance(value["tensors"], list):
        raise Refused("MapError")
    found = Map([read_row(row) for row in value["tensors"]])
    names = [name.encode("utf-8") for name, *_ in found.rows]
    sizes = sum(len(shape) for _, _, shape, *_ in found.rows)
    if len(names) > MOST_TENSORS or sizes > MOST_SIZES or names != sorted(set(names)):
        raise Refused("MapError")
    if found.header_bytes - 8 > MAX_HEADER or found.root != root:
        raise Refused("MapError")
    return found


def read_row(row: Any) -> Row:
    if not isinstance(row, list) or len(row) != 4:
        raise Refused("MapError")
    name, dtype, shape, digests = row
    if not (
        isinstance(name, str) and isinstance(dtype, str) and isinstance(shape, list) and isinstance(digests, bytes)
    ):
        raise Refused("MapError")
    if len(name.encode("utf-8")) > MOST_NAME or name == METADATA or dtype not in BITS:
        raise Refused("MapError")
    if len(shape) > MAX_SIZES or not all(map(is_natural, shape)):
        raise Refused("MapError")
    bits = prod(shape) * BITS[dtype]
    if prod(n for n in shape if n) * max(8, BITS[dtype]) >= 2**66 or bits % 8:
        raise Refused("MapError")
    if len(digests) != 32 * -(-(bits // 8) // LEAF):
        raise Refused("MapError")
    return name, dtype, shape, [digests[i : i + 32] for i in range(0, len(digests), 32)], bits // 8
