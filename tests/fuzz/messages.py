"""What peers send each other: questions, answers, calls, frames, and the header of a signed request [PR-3 to PR-20]."""

from __future__ import annotations

import io
from pathlib import Path
from random import Random
from typing import Any, Final

from generator.reference import reconciliation, requests

from mergealgebra.encoding import encode
from mergealgebra.sync import calls, challenges, frames
from mergealgebra.sync.challenges import Asked, SignedHeader
from mergealgebra.sync.messages import Answer, Difference, Listing, Question, Split, read_answer, read_question
from mergealgebra.sync.ranges import Range, ranges_between
from tests.fuzz import outer
from tests.fuzz.families import VALUES
from tests.fuzz.mutation import mutate_value
from tests.fuzz.reference import accepts
from tests.fuzz.target import Family
from tests.signers import SeedSigner

_SALT, _ID, _ROOT = bytes(range(8)), b"\xab" * 32, bytes(32)
_SPLIT = Split(tuple(ranges_between([b"", b"\x40", b"\x80", None])), (bytes(16),) * 3)
_LISTS = (Listing(Range(b"\x90", b"\xa0"), (bytes(6), b"\x01" * 6)), Listing(Range(b"\xa0", None), (b"\x02" * 6,)))
#: What is answered.
ASKED: Final = Question("admissible", _SALT, (_SPLIT,), _LISTS)

# Questions and answers


def decode_question(data: bytes, _: Path) -> Any:
    return read_question(data)


def check_question(data: bytes, found: Any, _: Path) -> None:
    assert found.encode() == data


def accepts_question(data: bytes) -> bool:
    return accepts(lambda: reconciliation.read_question(data))


def decode_answer(data: bytes, _: Path) -> Answer:
    return read_answer(data, ASKED)


def check_answer(data: bytes, found: Answer, _: Path) -> None:
    assert found.encode() == data


def accepts_answer(data: bytes) -> bool:
    asked = reconciliation.read_question(ASKED.encode())
    return accepts(lambda: reconciliation.read_answer(data, asked))


# Calls: the first byte says which

_CALLS: Final = (
    calls.read_ids,
    calls.read_operations,
    lambda data: calls.read_refusals(data, 5),
    lambda data: calls.read_sizes(data, 3),
    calls.read_genesis,
    challenges.read_challenge,
)


def decode_call(data: bytes, _: Path) -> Any:
    return _CALLS[data[0] % len(_CALLS)](data[1:]) if data else None


def check_call(data: bytes, found: Any, _: Path) -> None:
    """Counts are within what was asked; what can be written is the same bytes again."""
    kind, rest = data[0] % len(_CALLS), data[1:]
    if kind == 0:
        assert calls.write_ids(found) == rest
    elif kind == 1:
        assert calls.write_operations(found) == rest
    elif kind == 2:
        assert all(0 <= position < 5 and len(reason) <= calls.MOST_REASON for position, reason in found)
    elif kind == 3:
        assert calls.write_sizes(found) == rest
    elif kind == 4:
        assert calls.write_genesis(*found) == rest
    else:
        given, seconds, workspace = found
        assert encode({"challenge": given, "seconds": seconds, "workspace": workspace}) == rest


def mutate_call(random: Random, data: bytes) -> bytes:
    return data[:1] + mutate_value(random, data[1:])


def amend_call(data: bytes) -> bytes:
    return data[:1] + outer.canonical(data[1:])


# Frames: the first byte says whether they are those of questions


def decode_frames(data: bytes, _: Path) -> list[Any]:
    """The heads of a stream, until it ends; their bodies are empty."""
    read, found = io.BytesIO(data[1:]).read, []
    if data[:1] < b"\x80":
        while (head := frames.read_question(read)) is not None:
            found.append(head)
    else:
        found.append(frames.read_answer(read))
    return found


def check_frames(data: bytes, found: list[Any], _: Path) -> None:
    stream = io.BytesIO()
    for head in found:
        if data[:1] < b"\x80":
            frames.write_question(stream.write, *head)
        else:
            body = encode({"bytes": head[0], "refused": head[1]})
            stream.write(len(body).to_bytes(4) + body)
    assert data[1:].startswith(stream.getvalue())


def mutate_frames(random: Random, data: bytes) -> bytes:
    return data[:5] + mutate_value(random, data[5:])


def amend_frames(data: bytes) -> bytes:
    """One canonical head, whose length is right."""
    head = outer.canonical(data[5:])
    return data[:1] + len(head).to_bytes(4) + head


# Signed requests


def decode_request(data: bytes, _: Path) -> SignedHeader:
    return SignedHeader.read(data.decode("latin-1"))


def check_request(data: bytes, found: SignedHeader, _: Path) -> None:
    assert found.text.encode() == data


def accepts_request(data: bytes) -> bool | None:
    """Whether it has the form; the second implementation has no bound of its own."""
    found = requests.FORM.fullmatch(data.decode("latin-1"))
    return (found is not None) if len(data) < challenges.HEADER_BYTES and not (found and len(found[1]) > 300) else None


# Hostile inputs


def _question(**changed: Any) -> bytes:
    return encode({"lists": [], "of": "admissible", "prints": [], "salt": _SALT, "version": 1} | changed)


def _answer(**changed: Any) -> bytes:
    return encode({"asks": [], "count": 3, "differences": [], "root": _ROOT, "splits": []} | changed)


def _bounds(count: int) -> list[bytes]:
    return [i.to_bytes(4, "big") for i in range(max(2, count))]


QUESTIONS: Final[dict[str, Family]] = {
    **VALUES,
    "bounds": lambda n: _question(prints=[[_bounds(n // 22), bytes(16 * (max(2, n // 22) - 1))]]),
    "splits": lambda n: _question(prints=[[[b"", None], bytes(16)]] * (n // 25)),
    "lists": lambda n: _question(
        lists=[[a, b, b""] for a, b in zip(_bounds(n // 15), _bounds(n // 15)[1:], strict=False)]
    ),
    "short ids": lambda n: _question(lists=[[b"", None, bytes(n)]]),
    "a long bound": lambda n: _question(prints=[[[bytes(n), None], bytes(16)]]),
}
ANSWERS: Final[dict[str, Family]] = {
    **VALUES,
    "asks": lambda n: _answer(asks=list(range(n))),
    "splits": lambda n: _answer(splits=[[0, [b"\x01"], bytes(32)]] * (n // 40)),
    "cuts": lambda n: _answer(splits=[[0, _bounds(n // 6), bytes(n)]]),
    "ids of a difference": lambda n: _answer(differences=[[3, bytes(n - n % 32), []]]),
    "unknown ids": lambda n: _answer(differences=[[3, b"", list(range(n))]]),
}
CALLS: Final[dict[str, Family]] = {
    **{name: (lambda n, family=family: b"\x01" + family(n)) for name, family in VALUES.items()},
    "ids": lambda n: b"\x00" + calls.write_ids([bytes(32)] * (n // 32)),
    "operations": lambda n: b"\x01" + calls.write_operations([None] * n),
    "operations of a byte": lambda n: b"\x01" + calls.write_operations([b"x"] * (n // 3)),
    "refusals": lambda n: b"\x02" + calls.write_refusals([(0, "no")] * (n // 5)),
    "a reason": lambda n: b"\x02" + encode({"refused": [[0, "x" * n]]}),
    "sizes": lambda n: b"\x03" + calls.write_sizes([2**40] * (n // 9)),
    "a genesis": lambda n: b"\x04" + calls.write_genesis(bytes(n), _ROOT),
    "a challenge": lambda n: b"\x05" + encode({"challenge": bytes(n), "seconds": 300, "workspace": _ID}),
}
FRAMES: Final[dict[str, Family]] = {
    "heads": lambda n: b"\x00" + (b"\x00\x00\x00\x13" + encode({"bytes": 0, "call": "blob"})) * (n // 24),
    "a head that declares much": lambda n: b"\x00" + b"\xff" * 4 + bytes(n),
    "a head that declares a little more": lambda n: b"\x00" + (4096).to_bytes(4) + bytes(min(n, 4000)),
    "a reason": lambda n: b"\xff" + amend_frames(b"\x00" * 5 + encode({"bytes": 0, "refused": "x" * n}))[1:],
    "a body of 2^53 bytes": lambda n: (
        b"\x00" + amend_frames(b"\x00" * 5 + encode({"bytes": 2**53, "call": "x" * n}))[1:]
    ),
    "lengths": lambda n: b"\x00" + bytes(n),
}
REQUESTS: Final[dict[str, Family]] = {
    "a server": lambda n: f"Mergealgebra {'x' * n} {'00' * 152}".encode(),
    "digits": lambda n: b"Mergealgebra x " + b"0" * n,
    "spaces": lambda n: b"Mergealgebra" + b" " * n,
    "schemes": lambda n: b"Mergealgebra " * (n // 13),
}

# Seeds

_SIGNED = SignedHeader.sign(
    Asked(_ID, "a.example:443", "POST", "/mergealgebra/1/put", b"x"), bytes(56), SeedSigner(_ID)
)
_CUT = Split(tuple(ranges_between([b"\x80", b"\x88", None])), (bytes(16),) * 2)
_QUESTION_HEAD, _ANSWER_HEAD = (
    amend_frames(bytes(5) + encode(head))
    for head in ({"bytes": 8, "call": "blob"}, {"bytes": 0, "refused": "it is served for reading only"})
)

SEEDS: Final[dict[str, dict[str, bytes]]] = {
    "question": {
        "everything": ASKED.encode(),
        "first": _question(prints=[[[b"", None], bytes(16)]]),
        "page": encode({"after": _ID, "of": "maintainers", "version": 1}),
        "overlap": _question(prints=[[[b"", b"\x80"], bytes(16)], [[b"\x7f", None], bytes(16)]]),
        "nil-inside": _question(prints=[[[b"", None, b"\x80"], bytes(32)]]),
    },
    "answer": {
        "nothing": _answer(),
        "everything": Answer(7, _ROOT, (0,), ((2, _CUT),), (Difference(3, (b"\x95" * 32,), (0, 1)),)).encode(),
        "two-things": _answer(asks=[0], splits=[[0, [b"\x20"], bytes(32)]]),
        "no-cut": _answer(splits=[[0, [], bytes(16)]]),
    },
    "call": {
        "ids": b"\x00" + calls.write_ids([_ID, _ROOT]),
        "operations": b"\x01" + calls.write_operations([b"abc", None]),
        "refusals": b"\x02" + calls.write_refusals([(0, "no"), (4, "never")]),
        "sizes": b"\x03" + calls.write_sizes([1, None, 2**40]),
        "genesis": b"\x04" + calls.write_genesis(b"genesis", _ROOT),
        "challenge": b"\x05" + encode({"challenge": bytes(56), "seconds": 300, "workspace": _ID}),
    },
    "frames": {
        "questions": _QUESTION_HEAD + _QUESTION_HEAD[1:],
        "answer": b"\xff" + amend_frames(bytes(5) + encode({"bytes": 40, "refused": None}))[1:],
        "refusal": b"\xff" + _ANSWER_HEAD[1:],
        "cut": _QUESTION_HEAD[:-3],
    },
    "request": {"signed": _SIGNED.text.encode(), "short": _SIGNED.text.encode()[:-2], "empty": b""},
}  # fmt: skip
