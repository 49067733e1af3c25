"""Ids, tree hashes, tensor roots, model roots."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from generator.cases import Case
from generator.reference.hashes import DOMAINS
from generator.writing import bf16, f32, integers, spec

Json = Any
MIB = 2**20
EMPTY = sha256(b"").hexdigest()

LENGTHS = {
    "none": (0, "a tensor of zero bytes has no leaf"),
    "one-byte": (1, "one leaf"),
    "mib-minus-4": (MIB - 4, "one leaf, not full"),
    "mib": (MIB, "one full leaf, and no empty one behind it"),
    "mib-plus-1": (MIB + 1, "a second leaf of one byte"),
    "mib-plus-4": (MIB + 4, "a second leaf of four bytes"),
    "two-mib": (2 * MIB, "two full leaves"),
    "five-leaves": (4 * MIB + 12, "five leaves: the left subtree takes four"),
}

# The test data of the Certificate Transparency logs, known to every implementation of RFC 6962.
RFC_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
RFC_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

LEFT, RIGHT = f32(1), f32(2)
MODELS: list[tuple[str, dict[str, Json], str]] = [
    ("empty", {}, "no tensors: the tree hash of no leaves"),
    ("one", {"w": f32(1, 2, 3, shape=[3])}, "one tensor"),
    ("two", {"a": LEFT, "b": RIGHT}, "two tensors"),
    ("two-renamed", {"b": LEFT, "a": RIGHT}, "the same names with the tensors exchanged: another root"),
    ("scalar", {"w": f32(1, shape=[])}, "a 0-d tensor has shape []"),
    ("vector-of-one", {"w": f32(1, shape=[1])}, "the same bytes as a vector of one: another root"),
    ("shape-2-3", {"w": f32(1, 2, 3, 4, 5, 6, shape=[2, 3])}, "shape is part of the root"),
    ("shape-3-2", {"w": f32(1, 2, 3, 4, 5, 6, shape=[3, 2])}, "the same bytes in another shape"),
    ("zero-size", {"w": f32(shape=[0])}, "a tensor without elements"),
    ("zero-size-2-0", {"w": f32(shape=[2, 0])}, "another shape without elements"),
    ("dtype-f16", {"w": spec("F16", [2], bytes(4))}, "dtype is part of the root"),
    ("dtype-bf16", {"w": spec("BF16", [2], bytes(4))}, "the same bytes in another dtype"),
    ("dtype-bool", {"w": spec("BOOL", [4], bytes(4))}, "a dtype that is not float"),
    ("dtype-large", {"w": integers("U64", 2**63, shape=[1])}, "another dtype that is not float"),
    ("large-shape", {"w": f32(shape=[2**61 - 1, 0])}, "a size of 61 bits"),
    ("prefix-names", {"w.1": f32(1), "w": f32(2), "w.10": f32(3), "w.2": f32(4)}, "byte order: w, w.1, w.10, w.2"),
    ("astral-names", {"\uffff": f32(1), "\U00010000": f32(2), "\ue000": f32(3), "z": f32(4), "\ud7ff": f32(5)},
     "names in the order of UTF-8, which UTF-16 orders differently"),
    ("unnormalised-names", {"\u00e9": f32(1), "e\u0301": f32(2)}, "composed and decomposed are two names"),
    ("case-names", {"a": f32(1), "B": f32(2), "": f32(3), "_": f32(4)}, "the empty name first, capitals before _"),
    ("mixed", {"b": bf16("1.5", -2), "i": integers("I64", -1, 2), "a": f32(1, shape=[])}, "several dtypes"),
]  # fmt: skip

CASES = [
    *(
        Case("id", f"id-{domain}", "EN-4", f"the domain {domain}", {"domain": domain, "bytes": "616263"},
             {"id": sha256(f"mergealgebra/1/{domain}\0abc".encode()).hexdigest()})
        for domain in DOMAINS
    ),
    Case("id", "id-no-bytes", "EN-4", "an empty x", {"domain": "tensor", "bytes": ""},
         {"id": sha256(b"mergealgebra/1/tensor\0").hexdigest()}),
    *(
        Case("tree-hash", f"tree-hash-{n}", "EN-5", f"{n} leaves, of {n} different bytes",
             {"leaves": [f"{i:02x}" for i in range(n)]}, {"hash": EMPTY} if n == 0 else None)
        for n in range(10)
    ),
    Case("tree-hash", "tree-hash-empty-leaf", "EN-5", "one leaf of no bytes is not the same as no leaf",
         {"leaves": [""]}, {"hash": sha256(b"\0").hexdigest()}),
    *(
        Case("tree-hash", f"tree-hash-transparency-{n}", "EN-5", "the leaves that tests of RFC 6962 use",
             {"leaves": RFC_LEAVES[:n]}, {"hash": root})
        for n, root in enumerate(RFC_ROOTS, 1)
    ),
    *(
        Case("tensor-root", f"tensor-root-{i}", "EN-6", why,
             {"bytes": {"repeat": "000102030405060708090a", "bytes": length}})
        for i, (length, why) in LENGTHS.items()
    ),
    *(Case("model-root", f"model-root-{i}", "EN-6 EN-7", why, {"tensors": tensors}) for i, tensors, why in MODELS),
]  # fmt: skip
