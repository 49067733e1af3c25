"""How two replicas find out which ids each lacks [PR-1 to PR-8], slow and by the letter of the clauses."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from generator.reference.canonical import decode, encode
from generator.reference.hashes import H
from generator.reference.refused import Refused

Json = Any
Span = tuple[bytes, bytes | None]
EVERYTHING: Span = (b"", None)
FEW = 64
SETS = ("maintainers", "admissible")


def root(ids: set[bytes]) -> bytes:
    """PR-1."""
    return H("ids", b"".join(sorted(ids)))


def inside(ids: set[bytes], span: Span) -> list[bytes]:
    lower, upper = span
    return sorted(i for i in ids if lower <= i and (upper is None or i < upper))


def fingerprint(ids: set[bytes], span: Span) -> bytes:
    return root(set(inside(ids, span)))[:16]


def short(salt: bytes, i: bytes) -> bytes:
    return H("short", salt + i)[:6]


def cut(ids: set[bytes], span: Span, most: int) -> list[bytes | None]:
    """The bounds of the parts [PR-2]."""
    own = inside(ids, span)
    n = len(own)
    parts = max(1, min(most, (n + 15) // 16))
    bounds: list[bytes | None] = [span[0]]
    for part in range(1, parts):
        rank = part * n // parts
        length = next(k for k in range(1, 33) if own[rank][:k] > own[rank - 1])
        bounds.append(own[rank][:length])
    return [*bounds, span[1]]


def spans_of(bounds: list[Any]) -> list[Span]:
    return list(pairwise(bounds))


def prints(ids: set[bytes], bounds: list[Any]) -> bytes:
    return b"".join(fingerprint(ids, span) for span in spans_of(bounds))


# Reading


def expect(ok: bool) -> None:
    if not ok:
        raise Refused("PeerError")


def is_bytes(x: object, *lengths: int) -> bool:
    return isinstance(x, bytes) and (not lengths or len(x) in lengths)


def is_number(x: object, below: int) -> bool:
    return isinstance(x, int) and not isinstance(x, bool) and 0 <= x < below


def rises(x: list[Any]) -> bool:
    return all(a < b for a, b in pairwise(x))


def check_bounds(bounds: list[Any]) -> None:
    """Bounds that rise; nil stands only at the end."""
    expect(all(is_bytes(b) and len(b) <= 32 for b in bounds[:-1]))
    expect(bounds[-1] is None or (is_bytes(bounds[-1]) and len(bounds[-1]) <= 32))
    expect(rises([b for b in bounds if b is not None]))


def check_apart(spans: list[Span]) -> None:
    for (_, upper), (lower, _) in pairwise(spans):
        expect(upper is not None and upper <= lower)


def ids_of(joined: Any, most: int) -> list[bytes]:
    expect(is_bytes(joined) and len(joined) % 32 == 0 and len(joined) <= 32 * most)
    found = [joined[at : at + 32] for at in range(0, len(joined), 32)]
    expect(rises(found))
    return found


def read_question(data: bytes) -> dict[str, Any]:
    """PR-3 and PR-6."""
    if len(data) > 2**20:
        raise Refused("EncodingError")
    question = decode(data)
    expect(isinstance(question, dict))
    page = "after" in question
    expect(set(question) == ({"after", "of", "version"} if page else {"lists", "of", "prints", "salt", "version"}))
    expect(is_number(question["version"], 2) and question["version"] == 1 and question["of"] in SETS)
    if page:
        expect(is_bytes(question["after"], 0, 32))
        return dict(question)
    expect(is_bytes(question["salt"], 8))
    expect(isinstance(question["prints"], list) and isinstance(question["lists"], list))
    expect(len(question["lists"]) <= 2**10)
    for split in question["prints"]:
        expect(isinstance(split, list) and len(split) == 2 and isinstance(split[0], list) and len(split[0]) >= 2)
        check_bounds(split[0])
        expect(is_bytes(split[1], 16 * (len(split[0]) - 1)))
    for one in question["lists"]:
        expect(isinstance(one, list) and len(one) == 3)
        check_bounds(one[:2])
        expect(is_bytes(one[2]) and len(one[2]) % 6 == 0 and len(one[2]) <= 6 * FEW)
    expect(sum(len(split[0]) - 1 for split in question["prints"]) <= 2**10)
    check_apart([(split[0][0], split[0][-1]) for split in question["prints"]])
    check_apart([(lower, upper) for lower, upper, _ in question["lists"]])
    return dict(question)


def parts_of(question: dict[str, Any]) -> list[Span]:
    """The ranges of the splits, as they are numbered."""
    return [span for bounds, _ in question["prints"] for span in spans_of(bounds)]


def spans_of_lists(question: dict[str, Any]) -> list[Span]:
    return [(lower, upper) for lower, upper, _ in question["lists"]]


def check_numbers(numbers: list[Any], below: int) -> None:
    expect(all(is_number(n, below) for n in numbers) and rises(numbers))


def check_whole(answer: dict[str, Any]) -> None:
    expect(is_number(answer["count"], 2**22) and is_bytes(answer["root"], 32))


def read_answer(data: bytes, question: dict[str, Any]) -> dict[str, Any]:
    """PR-4 and PR-5, against the question that is answered."""
    if len(data) > 2**22:
        raise Refused("EncodingError")
    answer = decode(data, 2**22)
    expect(isinstance(answer, dict) and set(answer) == {"asks", "count", "differences", "root", "splits"})
    check_whole(answer)
    expect(all(isinstance(answer[key], list) for key in ("asks", "differences", "splits")))
    expect(all(isinstance(entry, list) and len(entry) == 3 for entry in answer["splits"] + answer["differences"]))
    parts, lists = parts_of(question), question["lists"]
    spans = parts + spans_of_lists(question)
    check_numbers(answer["asks"], len(parts))
    check_numbers([entry[0] for entry in answer["splits"]], len(spans))
    check_numbers([entry[0] for entry in answer["differences"]], len(spans))
    expect(all(entry[0] >= len(parts) for entry in answer["differences"]))
    said = [*answer["asks"], *(entry[0] for entry in answer["splits"] + answer["differences"])]
    expect(len(said) == len(set(said)))
    for number, cuts, joined in answer["splits"]:
        expect(isinstance(cuts, list) and 1 <= len(cuts) <= 15 and None not in cuts)
        check_bounds([spans[number][0], *cuts, spans[number][1]])
        expect(is_bytes(joined, 16 * (len(cuts) + 1)))
    for number, joined, unknown in answer["differences"]:
        found = ids_of(joined, FEW)
        expect(inside(set(found), spans[number]) == found and isinstance(unknown, list))
        check_numbers(unknown, len(lists[number - len(parts)][2]) // 6)
    return dict(answer)


def read_page(data: bytes, question: dict[str, Any]) -> dict[str, Any]:
    if len(data) > 2**22:
        raise Refused("EncodingError")
    page = decode(data, 2**22)
    expect(isinstance(page, dict) and set(page) == {"count", "ids", "root"})
    check_whole(page)
    expect(rises([question["after"], *ids_of(page["ids"], 2**15)]))
    return dict(page)


# The answering side


def answer(data: bytes, ids: set[bytes]) -> bytes:
    """PR-4 to PR-6."""
    question = read_question(data)
    whole = {"count": len(ids), "root": root(ids)}
    if "after" in question:
        above = sorted(i for i in ids if i > question["after"])[: 2**15]
        return encode({**whole, "ids": b"".join(above)})
    asks, splits, differences = [], [], []
    parts, said = parts_of(question), b"".join(joined for _, joined in question["prints"])
    for number, span in enumerate(parts):
        if fingerprint(ids, span) != said[16 * number : 16 * number + 16]:
            if len(inside(ids, span)) <= FEW:
                asks.append(number)
            else:
                splits.append(split_of(number, span, ids))
    for number, (lower, upper, joined) in enumerate(question["lists"], len(parts)):
        own = inside(ids, (lower, upper))
        shorts = [joined[at : at + 6] for at in range(0, len(joined), 6)]
        if len(own) > FEW:
            splits.append(split_of(number, (lower, upper), ids))
            continue
        known = {short(question["salt"], i) for i in own}
        lacking = [i for i in own if short(question["salt"], i) not in shorts]
        unknown = [at for at, one in enumerate(shorts) if one not in known]
        if lacking or unknown:
            differences.append([number, b"".join(lacking), unknown])
    return encode({**whole, "asks": asks, "differences": differences, "splits": splits})


def split_of(number: int, span: Span, ids: set[bytes]) -> list[Any]:
    bounds = cut(ids, span, 16)
    return [number, bounds[1:-1], prints(ids, bounds)]


# The asking side


@dataclass
class Asker:
    """One reconciliation by ranges, with a side that does not change meanwhile [PR-7]."""

    ids: set[bytes]
    theirs: set[bytes]
    salt: bytes
    splits: list[list[Any]] = field(default_factory=list)
    lists: list[Span] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    lacking: set[bytes] = field(default_factory=set)
    extra: set[bytes] = field(default_factory=set)

    def run(self) -> None:
        """Everything that is asked and answered, then the comparison of roots [PR-8]."""
        if not self.ids:
            self.pages()
            return
        self.deal(EVERYTHING, 256)
        while self.splits or self.lists:
            question = self.question()
            self.messages += [encode(question), answer(encode(question), self.theirs)]
            self.take(question, read_answer(self.messages[-1], question))
        if root((self.ids - self.extra) | self.lacking) != root(self.theirs):
            self.pages()

    def deal(self, span: Span, most: int = 16) -> None:
        if len(inside(self.ids, span)) <= FEW:
            self.lists.append(span)
        else:
            self.splits.append(cut(self.ids, span, most))

    def question(self) -> dict[str, Any]:
        """The lowest ranges that are waiting, as many as a question holds."""
        self.splits.sort(key=lambda bounds: bounds[0])
        self.lists.sort(key=lambda span: span[0])
        asked: list[list[Any]] = []
        while self.splits and sum(len(b) - 1 for b in [*asked, self.splits[0]]) <= 2**10:
            asked.append(self.splits.pop(0))
        spans, self.lists = self.lists[: 2**10], self.lists[2**10 :]
        shorts = [b"".join(short(self.salt, i) for i in inside(self.ids, span)) for span in spans]
        return {
            "lists": [[lower, upper, joined] for (lower, upper), joined in zip(spans, shorts, strict=True)],
            "of": "admissible",
            "prints": [[bounds, prints(self.ids, bounds)] for bounds in asked],
            "salt": self.salt,
            "version": 1,
        }

    def take(self, question: dict[str, Any], found: dict[str, Any]) -> None:
        parts = parts_of(question)
        spans = parts + spans_of_lists(question)
        for number in found["asks"]:
            self.deal(parts[number])
        for number, cuts, joined in found["splits"]:
            for at, span in enumerate(spans_of([spans[number][0], *cuts, spans[number][1]])):
                if fingerprint(self.ids, span) != joined[16 * at : 16 * at + 16]:
                    self.deal(span)
        for number, joined, unknown in found["differences"]:
            self.lacking |= {joined[at : at + 32] for at in range(0, len(joined), 32)}
            self.extra |= {inside(self.ids, spans[number])[at] for at in unknown}

    def pages(self) -> None:
        found: list[bytes] = []
        first = True
        while first or len(found) < len(self.theirs):
            first = False
            question = {"after": found[-1] if found else b"", "of": "admissible", "version": 1}
            self.messages += [encode(question), answer(encode(question), self.theirs)]
            found += ids_of(read_page(self.messages[-1], question)["ids"], 2**15)
        self.lacking, self.extra = set(found) - self.ids, self.ids - set(found)
