"""How two replicas find out which ids each of them lacks, in few bytes and fewer round trips [PR-3 to PR-9].

    ask     fingerprints of 256 parts of the own set
    answer  of each part that differs: fingerprints of 16 parts of it, or that the ids are to be listed
    ask     of each of those parts: short ids of what is there
    answer  what either side lacks

The answering side keeps nothing between two questions. What the asker found must add up to the root that the other
side names; where it does not, all ids are listed. Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from mergealgebra.errors import EncodingError, PeerError
from mergealgebra.sync.messages import (
    MOST_IDS_OF_PAGE,
    MOST_LISTS,
    MOST_PARTS,
    Answer,
    Difference,
    Listing,
    Page,
    PageQuestion,
    Question,
    Split,
    read_answer,
    read_page,
    read_question,
)
from mergealgebra.sync.ranges import EVERYTHING, FEW, FIRST_PARTS, ID_BYTES, PARTS, IdSet, Range, short_id
from mergealgebra.text import shortened

#: Sends a question to the other side and returns its answer.
Exchange = Callable[[bytes], bytes]

#: How often a set is reconciled anew that changes while it is.
_TRIES: Final = 4
_MOST_ROUNDS: Final = 64
#: What a reconciliation by ranges may cost, in bytes, beside those of all ids of both sides.
_SPARE_BYTES: Final = 1 << 16
#: Characters of what is wrong with a message, which may quote it.
_MOST_QUOTED: Final = 300


@dataclass(frozen=True)
class Reconciled:
    """What two sets have and the other has not, ascending; and what it took to find out.

    lacking: what the asker lacks. extra: what the other side lacks. nbytes: of all questions and answers.
    """

    lacking: tuple[bytes, ...]
    extra: tuple[bytes, ...]
    rounds: int
    nbytes: int


# The answering side


def answer(question: bytes, set_named: Callable[[str], IdSet]) -> bytes:
    """The answer to the bytes of a question. set_named: the ids of one of SETS. Raises PeerError."""
    try:
        asked = read_question(question)
    except (PeerError, EncodingError) as error:
        raise PeerError(shortened(str(error), _MOST_QUOTED)) from error
    ids = set_named(asked.of)
    if isinstance(asked, PageQuestion):
        return Page(len(ids), ids.root(), tuple(ids.after(asked.after, MOST_IDS_OF_PAGE))).encode()
    return answer_ranges(asked, ids).encode()


def answer_ranges(question: Question, ids: IdSet) -> Answer:
    """What a set differs in from what the question says [PR-4, PR-5]."""
    asks, splits, differences = [], [], []
    parts = question.parts
    for number, (span, fingerprint) in enumerate(parts):
        if ids.fingerprint(span) == fingerprint:
            continue
        if ids.count(span) <= FEW:
            asks.append(number)
        else:
            splits.append((number, Split.of(ids, span, PARTS)))
    for number, listing in enumerate(question.lists, len(parts)):
        if ids.count(listing.span) > FEW:
            splits.append((number, Split.of(ids, listing.span, PARTS)))
        elif found := _difference(number, listing, ids, question.salt):
            differences.append(found)
    return Answer(len(ids), ids.root(), tuple(asks), tuple(splits), tuple(differences))


def _difference(number: int, listing: Listing, ids: IdSet, salt: bytes) -> Difference | None:
    own = {id_: short_id(salt, id_) for id_ in ids.within(listing.span)}
    shorts, listed = set(own.values()), set(listing.shorts)
    lacking = tuple(id_ for id_, short in own.items() if short not in listed)
    unknown = tuple(at for at, short in enumerate(listing.shorts) if short not in shorts)
    return Difference(number, lacking, unknown) if lacking or unknown else None


# The asking side


def reconcile(ids: IdSet, exchange: Exchange, of: str, salt: bytes, peer: str) -> Reconciled:
    """Find out which ids either side lacks of one of SETS [PR-7, PR-8].

    salt: eight random bytes, new for each call. peer: how messages name the other side. Raises PeerError for answers
    that the protocol does not allow, after a bounded number of them [PR-9], and what `exchange` raises.
    """
    asker = _Asker(ids, exchange, of, salt, peer)
    if len(ids):
        for _ in range(_TRIES):
            course = _Course(asker)
            if course.run():
                return asker.reconciled(course.lacking, course.extra)
            if not course.moved:
                break
    theirs = _listed(asker)
    return asker.reconciled(theirs.difference(ids), set(ids).difference(theirs))


@dataclass
class _Asker:
    """What does not change while one set is reconciled, and the tally."""

    ids: IdSet
    exchange: Exchange
    of: str
    salt: bytes
    peer: str
    rounds: int = 0
    nbytes: int = 0

    def ask(self, question: bytes) -> bytes:
        """The answer, as it came."""
        self.rounds += 1
        found = self.exchange(question)
        self.nbytes += len(question) + len(found)
        return found

    def reconciled(self, lacking: set[bytes], extra: set[bytes]) -> Reconciled:
        """The result, with the tally."""
        return Reconciled(tuple(sorted(lacking)), tuple(sorted(extra)), self.rounds, self.nbytes)

    @contextmanager
    def judging(self) -> Iterator[None]:
        """Name the peer in what is wrong with an answer."""
        try:
            yield
        except (PeerError, EncodingError) as error:
            raise PeerError(
                f"{self.peer} gives an answer that the protocol does not allow: "
                f"{shortened(str(error), _MOST_QUOTED)}; nothing was taken of it: "
                "sync with another peer, and tell whoever runs this one"
            ) from error


@dataclass
class _Course:
    """One reconciliation by ranges: what is still to be asked, and what was found.

    moved: whether the other side's set changed on the way.
    """

    asker: _Asker
    splits: list[Split] = field(default_factory=list)
    spans: list[Range] = field(default_factory=list)
    lacking: set[bytes] = field(default_factory=set)
    extra: set[bytes] = field(default_factory=set)
    root: bytes | None = None
    moved: bool = False

    def run(self) -> bool:
        """Ask until nothing is left to ask. Whether what was found adds up to the root of the other side [PR-8]."""
        self._deal_with(EVERYTHING, FIRST_PARTS)
        budget, spent = _SPARE_BYTES + ID_BYTES * len(self.asker.ids), self.asker.nbytes
        first = self.asker.rounds
        while self.splits or self.spans:
            question = self._next_question()
            data = question.encode()
            if self.asker.nbytes - spent + len(data) > budget or self.asker.rounds - first >= _MOST_ROUNDS:
                return False
            found = self.asker.ask(data)
            with self.asker.judging():
                read = read_answer(found, question)
                if self.root is None:
                    budget += ID_BYTES * read.count
                elif read.root != self.root:
                    self.moved = True
                    return False
                self.root = read.root
                self._take(read, question)
        return IdSet(self.lacking.union(self.asker.ids) - self.extra).root() == self.root

    def _next_question(self) -> Question:
        """Of what is still to be asked, as much as one question holds, from the lowest range on."""
        self.splits.sort(key=lambda split: split.spans[0].lower)
        self.spans.sort(key=lambda span: span.lower)
        taken, parts = 0, 0
        while taken < len(self.splits) and parts + len(self.splits[taken].spans) <= MOST_PARTS:
            parts += len(self.splits[taken].spans)
            taken += 1
        splits, self.splits = self.splits[:taken], self.splits[taken:]
        spans, self.spans = self.spans[:MOST_LISTS], self.spans[MOST_LISTS:]
        salt = self.asker.salt
        lists = (Listing(span, tuple(short_id(salt, id_) for id_ in self.asker.ids.within(span))) for span in spans)
        return Question(self.asker.of, salt, tuple(splits), tuple(lists))

    def _deal_with(self, span: Range, parts: int = PARTS) -> None:
        """Ask next about a range that differs: list what is in it, or cut it where that is much."""
        if self.asker.ids.count(span) <= FEW:
            self.spans.append(span)
        else:
            self.splits.append(Split.of(self.asker.ids, span, parts))

    def _take(self, found: Answer, question: Question) -> None:
        """Take what an answer says."""
        ids, parts = self.asker.ids, question.parts
        for number in found.asks:
            self._deal_with(parts[number][0])
        for _, split in found.splits:
            for span, fingerprint in zip(split.spans, split.prints, strict=True):
                if ids.fingerprint(span) != fingerprint:
                    self._deal_with(span)
        for one in found.differences:
            own = ids.within(question.lists[one.number - len(parts)].span)
            if not set(own).isdisjoint(one.ids):
                raise PeerError("it names an id as lacking that was listed")
            self.lacking.update(one.ids)
            self.extra.update(own[at] for at in one.unknown)


def _listed(asker: _Asker) -> set[bytes]:
    """All ids of the other side, page by page, under the root that each of them names [PR-6, PR-8]."""
    for _ in range(_TRIES):
        found = _pages(asker)
        if found is not None:
            return found
    raise PeerError(f"{asker.peer} takes new operations faster than it lists those it has; sync again later")


def _pages(asker: _Asker) -> set[bytes] | None:
    """The same; None where the set changed on the way."""
    ids: list[bytes] = []
    first: Page | None = None
    while first is None or len(ids) < first.count:
        question = PageQuestion(asker.of, ids[-1] if ids else b"")
        data = asker.ask(question.encode())
        with asker.judging():
            page = read_page(data, question)
            first = first or page
            if (page.root, page.count) != (first.root, first.count):
                return None
            if not page.ids and len(ids) < first.count:
                raise PeerError(f"it ends after {len(ids)} of {first.count} ids")
            ids += page.ids
    found = IdSet(ids)
    with asker.judging():
        if len(found) != first.count or found.root() != first.root:
            raise PeerError(f"its {len(found)} ids do not have the root that it names for {first.count}")
    return set(found)
