"""Packs of operations and their index: bytes and names, what is refused, which are merged, which lie inside others."""

from __future__ import annotations

from typing import Any

from generator.cases import Case
from generator.reference import canonical
from generator.reference.hashes import H
from generator.reference.operations import operation_id, workspace_id
from generator.reference.packs import MAGIC, make_index, make_pack, number
from generator.topics.states import OTHER_GENESIS, WORKSPACE, add, attest, remove

Json = Any
A, B, C = add("a"), add("b"), remove(add("a"), note="twice")
NAMES = sorted(H("pack", n.to_bytes(2, "big")) for n in range(257))


def made(i: str, why: str, operations: list[bytes], replaces: list[bytes]) -> Case:
    inputs = {"operations": [x.hex() for x in operations], "replaces": [x.hex() for x in replaces]}
    return Case("pack", f"pack-{i}", "PK-1", why, inputs)


MADE = [
    made("one", "one operation", [A], []),
    made("several", "the order of ids, not that of the input", [C, B, A, attest("m", "r")], []),
    made("twice", "an operation that is given twice stands once", [A, B, A], []),
    made("replaces", "packs that it replaces", [A, B], [NAMES[2], NAMES[0], NAMES[2]]),
]


def framed(*operations: bytes) -> bytes:
    return b"".join(number(len(x)) + x for x in operations)


IN_ORDER = sorted([A, B, C], key=operation_id)
HEAD = MAGIC + number(0)
FOREIGN = add("a", workspace=workspace_id(OTHER_GENESIS))

#: Bytes of packs: what they are, the rule that they break, if any, and the clause.
READ: dict[str, tuple[bytes, str | None, str, str]] = {
    "one": (make_pack([A], []), None, "PK-1", "one operation"),
    "three": (make_pack([A, B, C], NAMES[:3]), None, "PK-1", "three, and three packs that it replaces"),
    "most-replaced": (make_pack([A], NAMES[:256]), None, "PK-1", "as many packs as it may replace"),
    "empty-file": (b"", "PackError", "PK-1", "nothing"),
    "magic": (b"mergealgebra pack 2\n" + number(0) + framed(A), "PackError", "PK-1", "another format"),
    "no-count": (MAGIC + b"\0\0", "PackError", "PK-1", "the number of replaced packs is cut short"),
    "no-operation": (HEAD, "PackError", "PK-1", "no operation"),
    "count-too-large": (MAGIC + number(2**32 - 1) + framed(A), "PackError", "PK-1", "more packs than bytes"),
    "too-many-replaced": (
        MAGIC + number(257) + b"".join(NAMES[:257]) + framed(A), "PackError", "PK-1", "one replaced pack too many"),
    "replaced-order": (
        MAGIC + number(2) + NAMES[1] + NAMES[0] + framed(A), "PackError", "PK-1", "replaced packs out of order"),
    "replaced-twice": (
        MAGIC + number(2) + NAMES[0] + NAMES[0] + framed(A), "PackError", "PK-1", "a replaced pack twice"),
    "order": (HEAD + framed(*reversed(IN_ORDER)), "PackError", "PK-1", "operations out of order"),
    "twice": (HEAD + framed(IN_ORDER[0], IN_ORDER[0]), "PackError", "PK-1", "an operation twice"),
    "cut-in-length": (HEAD + framed(A) + b"\0", "PackError", "PK-1", "it ends in the middle of a length"),
    "cut-in-operation": (HEAD + framed(A)[:-1], "PackError", "PK-1", "it ends in the middle of an operation"),
    "follows": (HEAD + framed(A) + b"\0\0\0\0", "PackError", "PK-1 PK-2", "an operation of no bytes follows"),
    "malformed": (HEAD + framed(b"\x80"), "PackError", "PK-2", "an operation that breaks OS-2"),
    "workspace": (HEAD + framed(FOREIGN), "WrongWorkspace", "PK-2", "an operation of another workspace"),
}  # fmt: skip


def read(i: str, pack: bytes, says: str | None, clauses: str, why: str) -> Case:
    inputs = {"workspace": WORKSPACE.hex(), "pack": pack.hex()}
    return Case("read-pack", f"read-pack-{i}", clauses, why, inputs, says)


def ids(start: int, stop: int) -> list[str]:
    return sorted(H("operation", n.to_bytes(2, "big")).hex() for n in range(start, stop))


def levels(i: str, why: str, packs: list[list[str]], says: Json, nbytes: int = 1000) -> Case:
    files = [
        {"name": H("pack", n.to_bytes(2, "big")).hex(), "bytes": nbytes, "operations": held}
        for n, held in enumerate(packs)
    ]
    return Case("merge-packs", f"merge-packs-{i}", "PK-3 PK-4", why, {"packs": files}, says)


SIXTEEN = [ids(n, n + 1) for n in range(16)]
LEVELS = [
    levels("fifteen", "15 of a level", SIXTEEN[:15], {"merge": [], "inside": []}),
    levels("sixteen", "16 of the lowest level", SIXTEEN, None),
    levels("seventeen", "the 16 with the smallest names of 17", [*SIXTEEN, ids(16, 17)], None),
    levels("two-levels", "15 of level 1, and one of level 2", [*SIXTEEN[:15], ids(16, 272)],
           {"merge": [], "inside": []}),
    levels("higher", "16 of level 2, whatever there is of level 1",
           [*(ids(n * 256, n * 256 + 256) for n in range(16)), ids(5000, 5001)], None),
    levels("inside", "one that lies inside another does not count", [*SIXTEEN, ids(0, 2)], None),
    levels("one-inside", "one that lies in one larger, and another", [ids(0, 2), ids(1, 4), ids(0, 3)], None),
    levels("covered", "two larger packs hold it together", [ids(1, 3), ids(0, 2), ids(2, 5)],
           {"merge": [], "inside": []}),
    levels("same", "of two that hold the same, one counts, and none lies inside the other",
           [*SIXTEEN[:15], ids(14, 15)], {"merge": [], "inside": []}),
    levels("too-long", "16 that would not fit into one", SIXTEEN, {"merge": [], "inside": []}, 2**22 + 1),
]  # fmt: skip

#: Indexes: the names of packs, and the ids of operations.
INDEXES: dict[str, tuple[list[bytes], list[bytes], str]] = {
    "empty": ([], [], "nothing"),
    "packs": (NAMES[3:0:-1], [], "the order of names, not that of the input"),
    "both": (
        NAMES[:2],
        [operation_id(A), operation_id(B), operation_id(A)],
        "packs, and operations in files of their own",
    ),
}

JOINED = b"".join(NAMES[:2])
#: Bytes of indexes: what they are, and the rule that they break.
READ_INDEX: dict[str, tuple[bytes, str | None, str]] = {
    "empty": (make_index([], []), None, "nothing"),
    "both": (make_index(NAMES[:2], [operation_id(A)]), None, "packs and an operation"),
    "no-bytes": (b"", "PackError", "no value"),
    "no-map": (canonical.encode([JOINED, b""]), "PackError", "an array"),
    "lacks": (canonical.encode({"packs": JOINED}), "PackError", "a key is missing"),
    "another": (canonical.encode({"operations": b"", "packs": JOINED, "x": 1}), "PackError", "another key"),
    "text": (canonical.encode({"operations": "", "packs": JOINED}), "PackError", "a string in place of bytes"),
    "cut": (canonical.encode({"operations": b"", "packs": JOINED[:-1]}), "PackError", "no whole name"),
    "order": (canonical.encode({"operations": b"", "packs": NAMES[1] + NAMES[0]}), "PackError", "out of order"),
    "twice": (canonical.encode({"operations": NAMES[0] * 2, "packs": b""}), "PackError", "an id twice"),
    "key-order": (b"\x82\xa5packs\xc4\0\xaaoperations\xc4\0", "PackError", "not canonical: keys out of order"),
    "follows": (make_index([], []) + b"\0", "PackError", "something follows"),
}

INDEXED = [
    *(Case("pack-index", f"pack-index-{i}", "PK-8", why,
           {"packs": [x.hex() for x in names], "operations": [x.hex() for x in operations]})
      for i, (names, operations, why) in INDEXES.items()),
    *(Case("read-pack-index", f"read-pack-index-{i}", "PK-8", why, {"index": index.hex()}, says)
      for i, (index, says, why) in READ_INDEX.items()),
]  # fmt: skip

CASES = [*MADE, *(read(i, *row) for i, row in READ.items()), *LEVELS, *INDEXED]
