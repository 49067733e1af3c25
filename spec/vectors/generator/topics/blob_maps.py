"""Maps of blobs: good ones, and what is refused of what a stranger sends."""

from __future__ import annotations

from typing import Any

from generator.cases import Case
from generator.reference.blob_maps import MOST_NAME, Map, digests_of, read_row
from generator.reference.canonical import encode
from generator.reference.hashes import LEAF

Json = Any


def repeated(n: int) -> Json:
    return {"repeat": "0123456789ab", "bytes": n}


def made(i: str, why: str, tensors: list[Json], says: Json = None, clauses: str = "BL-1 BL-3") -> Case:
    return Case("blob-map", f"blob-map-{i}", clauses, why, {"tensors": tensors}, says)


W = ["w", "F32", [2], repeated(8)]
MADE = [
    made("one", "one tensor", [W], {"leaves": [["w", 96, 8]], "bytes": 104}),
    made("none", "no tensor", [], {"leaves": []}),
    made("order", "in the order of the names' bytes", [["é", "F16", [1], "0000"], ["z", "BF16", [], "0000"], W]),
    made("empty", "an empty tensor has no leaf", [["a", "F32", [0, 3], ""], W], {"leaves": [["w", 152, 8]]}),
    made("leaf", "one whole leaf", [["w", "I8", [LEAF], repeated(LEAF)]]),
    made("leaf-and-one", "a leaf and a byte", [["w", "I8", [LEAF + 1], repeated(LEAF + 1)]]),
    made("leaves", "three leaves between two others",
         [["a", "F64", [1], repeated(8)], ["b", "F32", [3, 2**18], repeated(3 * LEAF)],
          ["c", "F16", [3], repeated(6)]]),
    made("packed", "packed elements", [["w", "F4", [2, 2], "0123"], ["x", "F6_E2M3", [4], "012345"]]),
    made("name", "the longest name", [["n" * MOST_NAME, "F32", [2], repeated(8)]]),
]  # fmt: skip

ROWS: list[Any] = [["a", "F32", [2], b"".join(digests_of(bytes(8)))], ["b", "BF16", [0, 9], b""],
                   ["c", "F16", [2**19, 3], b"".join(digests_of(bytes(3 * LEAF)))]]  # fmt: skip


def row(at: int, place: int, value: Any) -> list[Any]:
    """The rows with another value in one place."""
    rows = [list(one) for one in ROWS]
    rows[at][place] = value
    return rows


def value(rows: Any = ROWS, **changes: Any) -> Any:
    return {"tensors": rows, "version": 1} | changes


#: Values that are canonical, and not maps.
BAD: list[tuple[str, Any, str]] = [
    ("array", [1], "an array"),
    ("nil", None, "nothing"),
    ("key-missing", {"tensors": ROWS}, "without a version"),
    ("key-unknown", value(root=bytes(32)), "an unknown key"),
    ("version", value(version=2), "another version"),
    ("version-bool", value(version=True), "a boolean is not a version"),
    ("tensors-map", value({"a": ROWS[0]}), "tensors in a map"),
    ("row-short", value([ROWS[0][:3]]), "a tensor without digests"),
    ("row-long", value([[*ROWS[0], 8]]), "a tensor with a length"),
    ("row-map", value([{"name": "a"}]), "a tensor that is a map"),
    ("order", value([ROWS[1], ROWS[0], ROWS[2]]), "names out of order"),
    ("twice", value([ROWS[0], ROWS[0]]), "a name twice"),
    ("name-bytes", value(row(0, 0, b"a")), "a name that is bytes"),
    ("name-metadata", value([["__metadata__", "F32", [2], ROWS[0][3]]]), "the name of the metadata"),
    ("name-long", value([["n" * (MOST_NAME + 1), "F32", [2], ROWS[0][3]]]), "a name of 4097 bytes"),
    ("name-wide", value([["é" * (MOST_NAME // 2 + 1), "F32", [2], ROWS[0][3]]]), "a name of 2049 letters, 4098 bytes"),
    ("dtype", value(row(0, 1, "F31")), "a dtype that there is not"),
    ("dtype-other", value(row(0, 1, "F16")), "another dtype: another root"),
    ("shape-text", value(row(0, 2, "2")), "a shape that is text"),
    ("shape-bool", value([["a", "I8", [True], digests_of(b"0")[0]]]), "a size that is a boolean"),
    ("shape-negative", value(row(0, 2, [-2])), "a negative size"),
    ("shape-large", value(row(0, 2, [2**63])), "a size of 2^63"),
    ("shape-product", value(row(1, 2, [0, 2**62, 2])), "a product of 2^63"),
    ("shape-long", value(row(0, 2, [1] * 64 + [2])), "65 sizes"),
    ("shape-other", value(row(0, 2, [1, 2])), "another shape of as many elements: another root"),
    ("packed", value([["a", "F4", [3], digests_of(bytes(2))[0]]]), "packed elements that do not fill their last byte"),
    ("digests-text", value(row(0, 3, "a" * 32)), "digests that are text"),
    ("digests-few", value(row(2, 3, ROWS[2][3][:64])), "a leaf without a digest"),
    ("digests-many", value(row(0, 3, ROWS[0][3] * 2)), "a digest more"),
    ("digests-cut", value(row(0, 3, ROWS[0][3][:31])), "a digest of 31 bytes"),
    ("digests-of-empty", value(row(1, 3, bytes(32))), "a digest of an empty tensor"),
    ("digest-other", value(row(0, 3, bytes(32))), "another digest: another root"),
    ("digests-turned", value(row(2, 3, ROWS[2][3][32:] + ROWS[2][3][:31] + b"\0")), "digests in another order"),
    ("tensor-missing", value(ROWS[:2]), "a tensor is missing"),
]  # fmt: skip

GOOD = encode(value())
ROOT = Map([read_row(one) for one in ROWS]).root
ELEMENTS = 2 + 3 * 2**19

#: Bytes that are not canonical, or too many.
DAMAGED: list[tuple[str, Json, str]] = [
    ("no-bytes", "", "nothing"),
    ("cut", GOOD[:-1].hex(), "the last byte is missing"),
    ("follows", (GOOD + b"\0").hex(), "a byte follows"),
    ("keys-turned", (b"\x82" + GOOD[-9:] + GOOD[1:-9]).hex(), "the keys in another order"),
    ("long-form", GOOD.replace(b"\xa1a", b"\xd9\x01a").hex(), "a name in a longer form"),
    ("many-claimed", (GOOD[:9] + b"\xdd\xff\xff\xff\xff" + GOOD[10:]).hex(), "more tensors than bytes"),
    ("sizes-claimed", (GOOD[:9] + b"\x91\x94\xa1a\xa3F32\xdd\x7f\xff\xff\xff" + GOOD[20:]).hex(),
     "more sizes than bytes"),
    ("long", {"repeat": GOOD.hex(), "bytes": 2**22 + ELEMENTS // 2**9 + 1}, "longer than the elements allow"),
]  # fmt: skip


def read(i: str, data: Json, says: Json, why: str, root: bytes = ROOT, elements: int = ELEMENTS) -> Case:
    inputs = {"map": data, "root": root.hex(), "elements": str(elements)}
    return Case("read-blob-map", f"read-blob-map-{i}", "BL-1 BL-2 BL-3", why, inputs, says)


def tensors_of(n: int) -> list[Any]:
    return [[f"{i:04}", "I8", [0], b""] for i in range(n)]


MANY = tensors_of(1000)
READ = [
    read("good", GOOD.hex(), {}, "three tensors"),
    read("no-elements", GOOD.hex(), {}, "the bound of a small contribution is no smaller", elements=0),
    read("other-root", GOOD.hex(), "MapError", "a map of another blob", root=bytes(32)),
    read("many", encode(value(MANY)).hex(), {}, "a thousand empty tensors", Map([read_row(r) for r in MANY]).root),
    *(read(i, encode(bad).hex(), "MapError", why) for i, bad, why in BAD),
    *(read(i, data, "EncodingError", why) for i, data, why in DAMAGED),
]

CASES = [*MADE, *READ]
