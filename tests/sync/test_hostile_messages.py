"""Ten thousand hostile messages: a mutated, cut, long, reordered or mistyped one changes nothing of what is found."""

from __future__ import annotations

import tracemalloc
from random import Random

import pytest

from mergealgebra.encoding import decode
from mergealgebra.errors import PeerError
from mergealgebra.sync.messages import ANSWER_BYTES, QUESTION_BYTES, Listing, Question, Split
from mergealgebra.sync.ranges import IdSet, Range, ranges_between
from mergealgebra.sync.reconciliation import answer, reconcile
from tests.sync.mutations import MUTATIONS
from tests.sync.peer_sets import BOB, SALT, OtherSide, check_finds_all, hashed, reconciled

EVERYTHING = sorted(hashed(range(400)))
OURS, THEIRS = set(EVERYTHING) - set(EVERYTHING[::40]), set(EVERYTHING) - set(EVERYTHING[7::40])
SETS = IdSet(OURS), IdSet(THEIRS)


#: 12,000 in all: half of them questions, half answers.
COUNTS = {"bytes": 2000, "values": 3000, "short": 500, "long": 250, "other": 250}


@pytest.mark.clause("PR-9")
@pytest.mark.parametrize("kind", MUTATIONS)
def test_hostile_answers(kind):
    refused = 0
    for seed in range(COUNTS[kind]):
        random = Random(seed)
        at = random.randrange(2)

        def change(number: int, found: bytes, random=random, at=at) -> bytes:
            return MUTATIONS[kind](random, found) if number == at else found

        other = OtherSide(SETS[1], change)
        try:
            check_finds_all(OURS, THEIRS, reconcile(SETS[0], other, "admissible", SALT, BOB))
        except PeerError as error:
            refused += 1
            assert str(error).startswith(f"{BOB} gives an answer that the protocol does not allow: ")
            assert len(str(error)) < 600
        assert len(other.sizes) < 12
    assert refused


@pytest.mark.clause("PR-9")
@pytest.mark.parametrize("kind", MUTATIONS)
def test_hostile_questions(kind):
    asked: list[bytes] = []
    reconcile(SETS[0], lambda question: asked.append(question) or answer(question, lambda of: SETS[1]), "admissible",
              SALT, BOB)  # fmt: skip
    refused = 0
    for seed in range(COUNTS[kind]):
        random = Random(seed)
        try:
            found = answer(MUTATIONS[kind](random, random.choice(asked)), lambda of: SETS[1])
            assert len(found) <= ANSWER_BYTES
            assert decode(found, max_bytes=ANSWER_BYTES)["root"] == SETS[1].root()
        except PeerError as error:
            refused += 1
            assert len(str(error)) < 400
    assert refused


@pytest.mark.clause("PR-9")
def test_what_a_message_claims_is_not_allocated():
    claims = [b"\x85\xa5lists\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\x83\xa5after\xc6\xff\xff\xff\xff"]
    claims.append(b"\xc6" + (QUESTION_BYTES * 2).to_bytes(4) + bytes(QUESTION_BYTES * 2))
    tracemalloc.start()
    for claim in claims:
        with pytest.raises(PeerError):
            answer(claim, lambda of: SETS[1])
        with pytest.raises(PeerError):
            reconciled(OURS, THEIRS, change=lambda _, found, claim=claim: claim)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24


@pytest.mark.clause("PR-9")
def test_the_largest_answer_to_a_question_fits():
    """The dearest question: 2^10 parts and as many lists, ids that begin alike, so that bounds are long."""
    ids = [n.to_bytes(2) + bytes(28) + k.to_bytes(2) for n in range(1, 2049) for k in range(65)]
    spans = ranges_between([n.to_bytes(2) for n in range(1, 1026)])
    lists = [Listing(Range(n.to_bytes(2), (n + 1).to_bytes(2)), (bytes(6),) * 64) for n in range(1025, 2049)]
    question = Question("admissible", SALT, (Split(tuple(spans), (bytes(16),) * 1024),), tuple(lists))
    for held in (ids, [id_ for id_ in ids if id_[-1] != 64]):
        assert len(question.encode()) <= QUESTION_BYTES
        held_set = IdSet(held)
        assert len(answer(question.encode(), lambda of, held=held_set: held)) <= ANSWER_BYTES
