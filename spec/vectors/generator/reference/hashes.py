"""Ids, tree hashes, roots [EN-4 to EN-7]."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from generator.reference.canonical import encode
from generator.reference.tensors import Tensor, Tensors, in_name_order

DOMAINS = ("tensor", "model", "contribution", "recipe", "genesis", "operation", "merge", "pack")
LEAF = 2**20


def H(domain: str, x: bytes) -> bytes:
    """The id of x in a domain [EN-4]."""
    return sha256(b"mergealgebra/1/" + domain.encode("ascii") + b"\x00" + x).digest()


def tree_hash(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, section 2.1 [EN-5]."""
    n = len(leaves)
    if n == 0:
        return sha256(b"").digest()
    if n == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = 1 << ((n - 1).bit_length() - 1)
    return sha256(b"\x01" + tree_hash(leaves[:k]) + tree_hash(leaves[k:])).digest()


def root_of_bytes(data: bytes) -> bytes:
    return H("tensor", tree_hash([data[i : i + LEAF] for i in range(0, len(data), LEAF)]))


def tensor_root(tensor: Tensor) -> bytes:
    return root_of_bytes(tensor.data)


def root_of_records(records: Sequence[tuple[str, str, Sequence[int], bytes]]) -> bytes:
    """The root of a model whose tensors are given as (name, dtype, shape, root), in name order [EN-7]."""
    return H("model", tree_hash([encode([name, dtype, list(shape), root]) for name, dtype, shape, root in records]))


def model_root(tensors: Tensors) -> bytes:
    return root_of_records([(name, t.dtype, t.shape, tensor_root(t)) for name, t in in_name_order(tensors)])
