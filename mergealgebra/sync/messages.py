"""Questions and answers of a reconciliation: canonical bytes, read strictly [PR-3 to PR-6].

Sizes and counts are judged before anything is kept of a message. Whoever wrote it is named by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from mergealgebra.crdt.fields import check_integer, map_with_keys
from mergealgebra.encoding import decode, encode
from mergealgebra.errors import PeerError
from mergealgebra.sync.message_fields import (
    array_of,
    bound_of,
    bytes_of,
    check_ascending,
    check_rising,
    entry_of,
    last_bound_of,
    number_of,
    numbers_of,
    pieces_of,
)
from mergealgebra.sync.ranges import FEW, ID_BYTES, PARTS, PRINT_BYTES, SHORT_BYTES, IdSet, Range, ranges_between
from mergealgebra.text import shown

VERSION: Final = 1
SALT_BYTES: Final = 8
MOST_PARTS: Final = 1 << 10
MOST_LISTS: Final = 1 << 10
MOST_IDS_OF_PAGE: Final = 1 << 15
#: The largest set that is reconciled.
MOST_IDS: Final = 1 << 22
QUESTION_BYTES: Final = 1 << 20
ANSWER_BYTES: Final = 1 << 22

#: The sets of a replica that are reconciled, one after the other [PR-10].
MAINTAINERS: Final = "maintainers"
ADMISSIBLE: Final = "admissible"
SETS: Final = (MAINTAINERS, ADMISSIBLE)

_QUESTION_KEYS: Final = frozenset({"lists", "of", "prints", "salt", "version"})
_PAGE_KEYS: Final = frozenset({"after", "of", "version"})


@dataclass(frozen=True)
class Split:
    """Ranges that lie one behind the other, and one side's fingerprint of each."""

    spans: tuple[Range, ...]
    prints: tuple[bytes, ...]

    @classmethod
    def of(cls, ids: IdSet, span: Range, parts: int) -> Split:
        """A range of a set, cut by rank [PR-2]."""
        spans = tuple(ids.cut(span, parts))
        return cls(spans, tuple(map(ids.fingerprint, spans)))


@dataclass(frozen=True)
class Listing:
    """A range, and the short ids of all that the asker has in it, in the order of the ids."""

    span: Range
    shorts: tuple[bytes, ...]


@dataclass(frozen=True)
class Question:
    """What an asker says of ranges of one of its sets [PR-3]."""

    of: str
    salt: bytes
    prints: tuple[Split, ...]
    lists: tuple[Listing, ...]

    @property
    def parts(self) -> list[tuple[Range, bytes]]:
        """The ranges of which there is a fingerprint, as they are numbered in an answer; lists follow them."""
        return [part for split in self.prints for part in zip(split.spans, split.prints, strict=True)]

    def encode(self) -> bytes:
        """The canonical bytes."""
        prints = [[_bounds(split.spans), b"".join(split.prints)] for split in self.prints]
        lists = [[listing.span.lower, listing.span.upper, b"".join(listing.shorts)] for listing in self.lists]
        return encode({"lists": lists, "of": self.of, "prints": prints, "salt": self.salt, "version": VERSION})


@dataclass(frozen=True)
class PageQuestion:
    """Asks for the ids of a set above one, from the first on if it is empty [PR-6]."""

    of: str
    after: bytes = b""

    def encode(self) -> bytes:
        """The canonical bytes."""
        return encode({"after": self.after, "of": self.of, "version": VERSION})


@dataclass(frozen=True)
class Difference:
    """Of a list: the ids that the asker lacks, and the positions of those that the answering side lacks [PR-5]."""

    number: int
    ids: tuple[bytes, ...]
    unknown: tuple[int, ...]


@dataclass(frozen=True)
class Answer:
    """What the answering side says of the ranges of a question, by their numbers in it [PR-4, PR-5].

    count, root: of the whole set. asks: ranges whose ids the asker is to list.
    """

    count: int
    root: bytes
    asks: tuple[int, ...]
    splits: tuple[tuple[int, Split], ...]
    differences: tuple[Difference, ...]

    def encode(self) -> bytes:
        """The canonical bytes. The outer bounds of a split are those of the question's range, so they are left out."""
        splits = [[number, _bounds(split.spans)[1:-1], b"".join(split.prints)] for number, split in self.splits]
        differences = [[one.number, b"".join(one.ids), list(one.unknown)] for one in self.differences]
        return encode(
            {
                "asks": list(self.asks),
                "count": self.count,
                "differences": differences,
                "root": self.root,
                "splits": splits,
            }
        )


@dataclass(frozen=True)
class Page:
    """Some of a set's ids, ascending, and what is said of the whole set [PR-6]."""

    count: int
    root: bytes
    ids: tuple[bytes, ...]

    def encode(self) -> bytes:
        """The canonical bytes."""
        return encode({"count": self.count, "ids": b"".join(self.ids), "root": self.root})


# Reading


def read_question(data: bytes) -> Question | PageQuestion:
    """The question in these bytes. Raises PeerError or EncodingError."""
    found = decode(data, max_bytes=QUESTION_BYTES)
    is_page = isinstance(found, dict) and "after" in found
    fields = map_with_keys(found, _PAGE_KEYS if is_page else _QUESTION_KEYS, "the question", PeerError)
    if type(fields["version"]) is not int or fields["version"] != VERSION:
        raise PeerError(f"the question is of version {shown(fields['version'])}, this side knows {VERSION}")
    if fields["of"] not in SETS:
        raise PeerError(f"the question is about {shown(fields['of'])}, not {' or '.join(SETS)}")
    if is_page:
        after = bytes_of(fields["after"], (0, ID_BYTES), "the id after which a page begins")
        return PageQuestion(fields["of"], after)
    salt = bytes_of(fields["salt"], (SALT_BYTES,), "the salt")
    prints = tuple(_split(entry) for entry in array_of(fields["prints"], MOST_PARTS, "the splits of the question"))
    lists = tuple(_listing(entry) for entry in array_of(fields["lists"], MOST_LISTS, "the lists of the question"))
    question = Question(fields["of"], salt, prints, lists)
    if len(question.parts) > MOST_PARTS:
        raise PeerError(f"the question has {len(question.parts)} parts, at most {MOST_PARTS} are allowed")
    check_ascending([split.spans[0].lower for split in prints], [split.spans[-1].upper for split in prints])
    check_ascending([listing.span.lower for listing in lists], [listing.span.upper for listing in lists])
    return question


def read_answer(data: bytes, question: Question) -> Answer:
    """The answer to a question in these bytes. Raises PeerError or EncodingError."""
    keys = {"asks", "count", "differences", "root", "splits"}
    fields = map_with_keys(decode(data, max_bytes=ANSWER_BYTES), keys, "the answer", PeerError)
    spans = [span for span, _ in question.parts] + [listing.span for listing in question.lists]
    parts = len(question.parts)
    asks = numbers_of(fields["asks"], range(parts), "the ranges to list")
    splits = tuple(_answered(entry, spans) for entry in array_of(fields["splits"], len(spans), "the splits"))
    found = array_of(fields["differences"], len(question.lists), "the differences")
    differences = tuple(_difference(entry, parts, question.lists) for entry in found)
    numbers_of([number for number, _ in splits], range(len(spans)), "the ranges that are split")
    numbers_of([one.number for one in differences], range(parts, len(spans)), "the ranges with differences")
    numbers = [*asks, *(number for number, _ in splits), *(one.number for one in differences)]
    if len(set(numbers)) != len(numbers):
        raise PeerError("the answer says two things of one range")
    return Answer(*_whole(fields), asks, splits, differences)


def read_page(data: bytes, question: PageQuestion) -> Page:
    """The page in these bytes. Raises PeerError or EncodingError."""
    found = map_with_keys(decode(data, max_bytes=ANSWER_BYTES), {"count", "ids", "root"}, "the page", PeerError)
    ids = pieces_of(found["ids"], ID_BYTES, MOST_IDS_OF_PAGE, "the ids of the page")
    if any(one >= other for one, other in pairwise((question.after, *ids))):
        raise PeerError("the ids of the page are not in ascending order, each once, above the one that was named")
    return Page(*_whole(found), ids)


def _bounds(spans: Sequence[Range]) -> list[bytes | None]:
    return [*(span.lower for span in spans), spans[-1].upper]


def _whole(fields: dict[str, Any]) -> tuple[int, bytes]:
    """What an answer says of the whole set: the number of its ids, and its root."""
    check_integer(fields["count"], MOST_IDS, "the number of ids", PeerError)
    return fields["count"], bytes_of(fields["root"], (ID_BYTES,), "the root")


def _split(entry: object) -> Split:
    """Bounds and prints as a question has them."""
    bounds, prints = entry_of(entry, 2, "a split of the question")
    found = array_of(bounds, MOST_PARTS + 1, "the bounds of a split")
    if len(found) < 2:
        raise PeerError(f"a split has {len(found)} bounds, at least 2 are needed")
    return _split_at(found, prints)


def _answered(entry: object, spans: Sequence[Range]) -> tuple[int, Split]:
    """A split as an answer has it: inside a range of the question."""
    number, cuts, prints = entry_of(entry, 3, "a split of the answer")
    span = spans[number_of(number, range(len(spans)), "the range that is split")]
    found = array_of(cuts, PARTS - 1, "the cuts of a split")
    if not found:
        raise PeerError("a split of the answer has no cut, so it would go on for ever")
    return number, _split_at([span.lower, *found, span.upper], prints)


def _split_at(bounds: Sequence[object], prints: object) -> Split:
    found = [*(bound_of(bound) for bound in bounds[:-1]), last_bound_of(bounds[-1])]
    check_rising(found)
    parts = pieces_of(prints, PRINT_BYTES, len(bounds) - 1, "the fingerprints of a split")
    if len(parts) != len(bounds) - 1:
        raise PeerError(f"a split has {len(parts)} fingerprints of {len(bounds) - 1} parts")
    return Split(tuple(ranges_between(found)), parts)


def _listing(entry: object) -> Listing:
    lower, upper, shorts = entry_of(entry, 3, "a list")
    span = Range(bound_of(lower), last_bound_of(upper))
    check_rising([span.lower, span.upper])
    return Listing(span, pieces_of(shorts, SHORT_BYTES, FEW, "the short ids of a list"))


def _difference(entry: object, parts: int, lists: Sequence[Listing]) -> Difference:
    number, ids, unknown = entry_of(entry, 3, "a difference")
    listing = lists[number_of(number, range(parts, parts + len(lists)), "the range with a difference") - parts]
    found = pieces_of(ids, ID_BYTES, FEW, "the ids of a difference")
    if not all(id_ in listing.span for id_ in found) or any(one >= other for one, other in pairwise(found)):
        raise PeerError("the ids of a difference are not in ascending order, each once, inside its range")
    return Difference(number, found, numbers_of(unknown, range(len(listing.shorts)), "the unknown ids of a list"))
