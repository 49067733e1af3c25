"""Ranges of ids, questions and answers about them, and whole reconciliations."""

from __future__ import annotations

from typing import Any

from generator.cases import Case
from generator.peer_checks import read_ids
from generator.reference.canonical import encode
from generator.reference.reconciliation import cut, fingerprint, prints, root, short

Json = Any
SALT = bytes(range(8))


def hashed(end: int, *without: int, first: int = 0, more: Json = "") -> Json:
    named = {"without": list(without)} if without else {}
    return {"hashed": [first, end], **named, **({"more": more} if more else {})}


#: Ids that begin alike for 28 bytes: no hash gives them, and the clauses take them all the same.
ALIKE = {"counted": "ab" * 28, "times": 200}
NONE, ONE, TWO, MANY = hashed(0), hashed(1), hashed(2), hashed(300)
A_THIRD, HALF = "55", "80"
FULL = "ff" * 32

ID_SETS = [
    ("empty", NONE, [["", None]], "no id: the hash of the domain alone"),
    ("one", ONE, [["", None], ["", HALF]], "one id"),
    ("many", MANY, [["", None], ["", A_THIRD], [A_THIRD, HALF], [HALF, None]], "neighbouring ranges"),
    ("bounds", TWO, [["df3f", "df40"], ["96a2", None], ["", "96a2"]],
     "an id is above its prefixes, and the upper bound is outside"),
    ("whole-id", hashed(0, more="00" * 32), [["00" * 32, "00" * 31 + "01"], ["", "00" * 32]],
     "a bound may be a whole id"),
]  # fmt: skip

CUTS = [
    ("one-part", hashed(16), ["", None], 16, "sixteen ids are one part"),
    ("two-parts", hashed(17), ["", None], 16, "seventeen are two"),
    ("ranks", hashed(100), ["", None], 3, "parts that differ by one"),
    ("most", MANY, ["", None], 16, "no more parts than were asked for"),
    ("first", MANY, ["", None], 256, "nor more than a sixteenth of the ids"),
    ("inside", MANY, [A_THIRD, HALF], 4, "a range keeps its own bounds"),
    ("alike", hashed(0, more=ALIKE), ["", None], 4, "ids that begin alike: the bounds are longer"),
]


def question(ids: Json, **changes: Any) -> dict[str, Any]:
    """The question with which a side begins: its fingerprints of everything."""
    own = read_ids(ids)
    bounds = cut(own, (b"", None), 256)
    return {"lists": [], "of": "admissible", "prints": [[bounds, prints(own, bounds)]], "salt": SALT,
            "version": 1} | changes  # fmt: skip


def listing(ids: Json, lower: bytes = b"", upper: bytes | None = None) -> list[Any]:
    own = sorted(i for i in read_ids(ids) if lower <= i and (upper is None or i < upper))
    return [lower, upper, b"".join(short(SALT, i) for i in own)]


def page(after: bytes = b"", **changes: Any) -> dict[str, Any]:
    return {"after": after, "of": "maintainers", "version": 1} | changes


PRINT = fingerprint(set(), (b"", None))
WHOLE = [[b"", None], PRINT]
LISTED = question(ONE, prints=[], lists=[listing(ONE)])

ANSWERS: list[tuple[str, str, Json, Any, str]] = [
    ("equal", "PR-4", MANY, question(MANY), "nothing differs: only what the whole set is"),
    ("asks", "PR-4", hashed(300, 7), question(MANY), "a part with few ids that differs is to be listed"),
    ("splits", "PR-4", hashed(300), question(ONE), "a part with many is cut"),
    ("sixty-four", "PR-4", hashed(64), question(ONE), "64 are few"),
    ("sixty-five", "PR-4", hashed(65), question(ONE), "65 are not"),
    ("none", "PR-4", NONE, question(MANY), "a side without ids asks for every part"),
    ("list-equal", "PR-5", hashed(9), question(ONE, prints=[], lists=[listing(hashed(9))]),
     "a list without difference"),
    ("list-both", "PR-5", hashed(9, 4), question(ONE, prints=[], lists=[listing(hashed(9, 2, 6))]),
     "ids that either side lacks"),
    ("list-lacking", "PR-5", hashed(9), question(ONE, prints=[], lists=[listing(NONE)]), "an empty list"),
    ("list-many", "PR-5", MANY, question(ONE, prints=[], lists=[listing(ONE)]), "a list of a range with many is cut"),
    ("list-salt", "PR-1 PR-5", hashed(9), question(ONE, prints=[], lists=[listing(hashed(9))], salt=bytes(8)),
     "under another salt no short id is known"),
    ("lists", "PR-3 PR-5", hashed(90, 4, 40), question(hashed(90), lists=[listing(hashed(90), b"", b"\x20"),
     listing(hashed(90), b"\x80", b"\x90")]), "lists are numbered behind the parts"),
    ("page", "PR-6", MANY, page(), "the first page"),
    ("page-after", "PR-6", hashed(9), page(sorted(read_ids(hashed(9)))[6]), "what is above an id"),
    ("page-between", "PR-6", hashed(9), page(b"\x80" + bytes(31)), "that need not be there"),
    ("page-end", "PR-6", hashed(9), page(b"\xff" * 32), "nothing above the last"),
    ("page-empty", "PR-6", NONE, page(), "of nothing"),
    ("most-parts", "PR-3", ONE, question(ONE, prints=[[[i.to_bytes(2, "big") for i in range(1025)], PRINT * 1024]]),
     "2^10 parts"),
]  # fmt: skip

BAD_QUESTIONS: list[tuple[str, Any, str]] = [
    ("no-map", [1], "an array"),
    ("nil", None, "nothing"),
    ("key-missing", {k: v for k, v in question(ONE).items() if k != "salt"}, "without a salt"),
    ("key-unknown", question(ONE, more=1), "an unknown key"),
    ("version", question(ONE, version=2), "another version"),
    ("version-bool", question(ONE, version=True), "a boolean is not a version"),
    ("set", question(ONE, of="visible"), "a set that there is not"),
    ("set-type", question(ONE, of=1), "a set that is not text"),
    ("salt-short", question(ONE, salt=bytes(7)), "seven bytes of salt"),
    ("salt-text", question(ONE, salt="12345678"), "salt that is text"),
    ("prints-type", question(ONE, prints={}), "splits that are not an array"),
    ("lists-type", question(ONE, lists=None), "lists that are not an array"),
    ("split-length", question(ONE, prints=[[[b"", None]]]), "a split without fingerprints"),
    ("split-one-bound", question(ONE, prints=[[[b""], b""]]), "a split with one bound"),
    ("split-text-bound", question(ONE, prints=[[["", None], PRINT]]), "a bound that is text"),
    ("split-nil-first", question(ONE, prints=[[[None, None], PRINT]]), "nil as the lower bound"),
    ("split-nil-inside", question(ONE, prints=[[[b"", None, b"\x80"], PRINT * 2]]), "nil between bounds"),
    ("split-long-bound", question(ONE, prints=[[[bytes(33), None], PRINT]]), "a bound of 33 bytes"),
    ("split-equal", question(ONE, prints=[[[b"\x01", b"\x01"], PRINT]]), "an empty range"),
    ("split-falls", question(ONE, prints=[[[b"\x02", b"\x01"], PRINT]]), "bounds that fall"),
    ("split-prints-few", question(ONE, prints=[[[b"", b"\x80", None], PRINT]]), "one fingerprint of two parts"),
    ("split-prints-many", question(ONE, prints=[[[b"", None], PRINT * 2]]), "two fingerprints of one part"),
    ("split-prints-short", question(ONE, prints=[[[b"", None], PRINT[:15]]]), "fifteen bytes of a fingerprint"),
    ("splits-overlap", question(ONE, prints=[[[b"", b"\x80"], PRINT], [[b"\x7f", None], PRINT]]), "overlapping splits"),
    ("splits-after-all", question(ONE, prints=[WHOLE, [[b"\x7f", None], PRINT]]), "a split after everything"),
    ("splits-order", question(ONE, prints=[[[b"\x80", None], PRINT], [[b"", b"\x80"], PRINT]]), "splits out of order"),
    ("parts-many", question(ONE, prints=[[[i.to_bytes(2, "big") for i in range(1026)], PRINT * 1025]]), "1025 parts"),
    ("list-length", question(ONE, lists=[[b"", None]]), "a list without short ids"),
    ("list-nil", question(ONE, lists=[[None, None, b""]]), "a list without a lower bound"),
    ("list-empty-range", question(ONE, lists=[[b"\x01", b"\x01", b""]]), "a list of an empty range"),
    ("list-piece", question(ONE, lists=[[b"", None, bytes(7)]]), "seven bytes of short ids"),
    ("list-long", question(ONE, lists=[[b"", None, bytes(6 * 65)]]), "65 short ids"),
    ("list-array", question(ONE, lists=[[b"", None, [bytes(6)]]]), "short ids in an array"),
    ("lists-overlap", question(ONE, lists=[[b"", b"\x80", b""], [b"\x7f", None, b""]]), "overlapping lists"),
    ("lists-many", question(ONE, prints=[], lists=[[i.to_bytes(2, "big"), (i + 1).to_bytes(2, "big"), b""]
     for i in range(1025)]), "1025 lists"),
    ("page-key", page(salt=SALT), "a page with a salt"),
    ("page-after", page(bytes(31)), "a page after 31 bytes"),
    ("page-after-nil", page(after=None), "a page after nil"),
]  # fmt: skip

THREE = hashed(3)
IDS = sorted(read_ids(THREE))
ASKED = question(ONE, lists=[listing(TWO)])  # one part, and one list of two ids
BOTH = {"count": 3, "root": root(set(IDS))}
FINE: dict[str, Any] = {**BOTH, "asks": [], "differences": [], "splits": []}

#: Answers to ASKED: range 0 is its part, range 1 its list.
READ: list[tuple[str, Any, str | None, str]] = [
    ("nothing", FINE, None, "nothing differs"),
    ("ask", {**FINE, "asks": [0]}, None, "the part is to be listed"),
    ("split", {**FINE, "splits": [[0, [b"\x80"], PRINT * 2]]}, None, "the part is cut"),
    ("split-of-list", {**FINE, "splits": [[1, [b"\x80"], PRINT * 2]]}, None, "the list's range is cut"),
    ("difference", {**FINE, "differences": [[1, IDS[0], [0, 1]]]}, None, "an id more, and two that are not known"),
    ("ask-list", {**FINE, "asks": [1]}, "PeerError", "a list is not to be listed"),
    ("ask-beyond", {**FINE, "asks": [2]}, "PeerError", "a range that was not asked about"),
    ("ask-negative", {**FINE, "asks": [-1]}, "PeerError", "a negative number"),
    ("ask-bool", {**FINE, "asks": [False]}, "PeerError", "a boolean is not a number"),
    ("ask-twice", {**FINE, "asks": [0, 0]}, "PeerError", "one range twice"),
    ("ask-and-split", {**FINE, "asks": [0], "splits": [[0, [b"\x80"], PRINT * 2]]}, "PeerError",
     "two things of one range"),
    ("split-and-difference", {**FINE, "splits": [[1, [b"\x80"], PRINT * 2]], "differences": [[1, IDS[0], []]]},
     "PeerError", "and of a list"),
    ("split-no-cut", {**FINE, "splits": [[0, [], PRINT]]}, "PeerError", "a split into one part goes on for ever"),
    ("split-sixteen-cuts", {**FINE, "splits": [[0, [bytes([i]) for i in range(1, 17)], PRINT * 17]]}, "PeerError",
     "seventeen parts"),
    ("split-at-bound", {**FINE, "splits": [[0, [b""], PRINT * 2]]}, "PeerError", "a cut at the lower bound"),
    ("split-nil", {**FINE, "splits": [[0, [None], PRINT * 2]]}, "PeerError", "a cut at the upper bound"),
    ("split-prints", {**FINE, "splits": [[0, [b"\x80"], PRINT]]}, "PeerError", "one fingerprint of two parts"),
    ("splits-order", {**FINE, "splits": [[1, [b"\x80"], PRINT * 2], [0, [b"\x80"], PRINT * 2]]}, "PeerError",
     "splits out of order"),
    ("difference-of-part", {**FINE, "differences": [[0, IDS[0], []]]}, "PeerError", "a difference of a part"),
    ("difference-piece", {**FINE, "differences": [[1, IDS[0][:31], []]]}, "PeerError", "31 bytes of an id"),
    ("difference-order", {**FINE, "differences": [[1, IDS[1] + IDS[0], []]]}, "PeerError", "ids out of order"),
    ("difference-twice", {**FINE, "differences": [[1, IDS[0] * 2, []]]}, "PeerError", "one id twice"),
    ("difference-unknown", {**FINE, "differences": [[1, b"", [2]]]}, "PeerError", "a position behind the list"),
    ("difference-unknown-order", {**FINE, "differences": [[1, b"", [1, 0]]]}, "PeerError", "positions out of order"),
    ("count-negative", {**FINE, "count": -1}, "PeerError", "fewer than no ids"),
    ("count-large", {**FINE, "count": 2**22}, "PeerError", "2^22 ids"),
    ("root-short", {**FINE, "root": bytes(31)}, "PeerError", "31 bytes of a root"),
    ("key-unknown", {**FINE, "after": b""}, "PeerError", "an unknown key"),
    ("page", {**BOTH, "ids": b"".join(IDS)}, "PeerError", "a page, which was not asked for"),
]  # fmt: skip

PAGES: list[tuple[str, Any, str | None, str]] = [
    ("all", {**BOTH, "ids": b"".join(IDS)}, None, "all ids"),
    ("none", {**BOTH, "ids": b""}, None, "none, whatever the count says"),
    ("order", {**BOTH, "ids": IDS[1] + IDS[0]}, "PeerError", "ids out of order"),
    ("twice", {**BOTH, "ids": IDS[0] * 2}, "PeerError", "one id twice"),
    ("piece", {**BOTH, "ids": b"".join(IDS)[:-1]}, "PeerError", "a piece of an id"),
    ("array", {**BOTH, "ids": IDS}, "PeerError", "ids in an array"),
]

COURSES = [
    ("both-empty", NONE, NONE, "two empty sets: one empty page"),
    ("all-lacking", NONE, hashed(5), "who has nothing asks for a page"),
    ("all-extra", hashed(5), NONE, "the other side has nothing"),
    ("equal", MANY, MANY, "equal sets: one round trip"),
    ("few", hashed(9, 3), hashed(9, 5, 7), "few ids are listed at once"),
    ("sixty-four", hashed(64, 5), hashed(65, 6), "64 are few"),
    ("sixty-five", hashed(65), hashed(67, 5), "65 are cut"),
    ("some", hashed(400, 1, 2, 3), hashed(400, 3, 4, 200), "some of some hundreds"),
    ("much-more", hashed(3), hashed(700), "the answering side cuts what was listed"),
    ("much-less", hashed(1300), hashed(3), "the asker cuts what it is to list"),
    ("disjoint", hashed(150), hashed(300, first=150), "nothing in common"),
    ("thousands", hashed(1500, 1000), hashed(1500, 500, 1499), "fifteen hundred"),
    ("alike", hashed(300, 5, more=ALIKE), hashed(300, 6, more={"counted": "ab" * 28, "times": 190}),
     "many ids that begin alike"),
]  # fmt: skip


def after_bounds() -> bytes:
    """A split whose ranges touch and leave gaps, as later questions have them."""
    own = read_ids(MANY)
    first, second = [b"", b"\x10", b"\x20"], [b"\x40", b"\x80\x01", None]
    splits = [[bounds, prints(own, bounds)] for bounds in (first, second)]
    return encode(question(ONE, prints=splits, lists=[listing(MANY, b"\x22", b"\x26")]))


CASES = [
    *(Case("id-set", f"id-set-{i}", "PR-1 PR-2", why, {"ids": ids, "spans": spans}) for i, ids, spans, why in ID_SETS),
    *(
        Case("cut", f"cut-{i}", "PR-2", why, {"ids": ids, "span": span, "parts": parts})
        for i, ids, span, parts, why in CUTS
    ),
    *(
        Case("answer", f"answer-{i}", clauses, why, {"ids": ids, "question": encode(asked).hex()})
        for i, clauses, ids, asked, why in ANSWERS
    ),
    Case("answer", "answer-gaps", "PR-3 PR-4", "splits that leave gaps", {"ids": hashed(300, *range(0, 300, 3)),
         "question": after_bounds().hex()}),
    *(
        Case("answer", f"question-refused-{i}", "PR-3 PR-6 PR-9", why, {"ids": ONE, "question": encode(asked).hex()},
             "PeerError")
        for i, asked, why in BAD_QUESTIONS
    ),
    Case("answer", "question-refused-long", "PR-3 PR-9", "2^20 + 1 bytes",
         {"ids": ONE, "question": {"repeat": "c0", "bytes": 2**20 + 1}}, "EncodingError"),
    Case("answer", "question-refused-deep", "PR-9", "nine arrays around a value",
         {"ids": ONE, "question": "91" * 9 + "c0"}, "EncodingError"),
    *(
        Case("read-answer", f"read-answer-{i}", "PR-4 PR-5 PR-9", why,
             {"question": encode(ASKED).hex(), "answer": encode(found).hex()}, says)
        for i, found, says, why in READ
    ),
    *(
        Case("read-answer", f"read-page-{i}", "PR-6 PR-9", why,
             {"question": encode(page()).hex(), "answer": encode(found).hex()}, says)
        for i, found, says, why in PAGES
    ),
    Case("read-answer", "read-page-below", "PR-6 PR-9", "the id that was named is not above itself",
         {"question": encode(page(IDS[0])).hex(), "answer": encode({**BOTH, "ids": IDS[0]}).hex()}, "PeerError"),
    Case("read-answer", "read-answer-long", "PR-4 PR-9", "2^22 + 1 bytes",
         {"question": encode(ASKED).hex(), "answer": {"repeat": "c0", "bytes": 2**22 + 1}}, "EncodingError"),
    *(
        Case("reconciliation", f"reconciliation-{i}", "PR-7 PR-8", why,
             {"asker": ours, "answering": theirs, "salt": SALT.hex()})
        for i, ours, theirs, why in COURSES
    ),
]  # fmt: skip
