"""What the checks of peers' messages mean for this implementation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from mergealgebra.crdt.policy import Authority
from mergealgebra.sync.admittance import Admittance
from mergealgebra.sync.challenges import SECONDS, Asked, Challenger, SignedHeader
from mergealgebra.sync.messages import PageQuestion, read_answer, read_page, read_question
from mergealgebra.sync.ranges import IdSet, Range
from mergealgebra.sync.reconciliation import answer, reconcile
from tests.signers import SeedSigner
from tests.spec.vectors import Json, data


def ids(case: Json) -> IdSet:
    """Ids as the cases write them."""
    first, end = case["hashed"]
    hashed = [hashlib.sha256(i.to_bytes(4)).digest() for i in range(first, end) if i not in case.get("without", ())]
    more = data(case.get("more", ""))
    return IdSet([*hashed, *(more[at : at + 32] for at in range(0, len(more), 32))])


def span(case: Json) -> Range:
    lower, upper = case
    return Range(bytes.fromhex(lower), None if upper is None else bytes.fromhex(upper))


def id_set(case: Json, _: Path) -> Json:
    found = ids(case["ids"])
    return {"root": found.root().hex(), "fingerprints": [found.fingerprint(span(one)).hex() for one in case["spans"]]}


def cut(case: Json, _: Path) -> Json:
    parts = ids(case["ids"]).cut(span(case["span"]), case["parts"])
    bounds = [*(part.lower for part in parts), parts[-1].upper]
    return {"bounds": [None if bound is None else bound.hex() for bound in bounds]}


def answered(case: Json, _: Path) -> Json:
    found, question = ids(case["ids"]), data(case["question"])
    read_question(question)  # whose errors are told apart here; an answering side names the peer in all of them
    return {"answer": answer(question, lambda name: found).hex()}


def answer_read(case: Json, _: Path) -> Json:
    question = read_question(data(case["question"]))
    if isinstance(question, PageQuestion):
        read_page(data(case["answer"]), question)
    else:
        assert read_answer(data(case["answer"]), question).encode() == data(case["answer"])
    return {}


def reconciled(case: Json, _: Path) -> Json:
    theirs, messages = ids(case["answering"]), []

    def exchange(question: bytes) -> bytes:
        messages.extend([question, answer(question, lambda name: theirs)])
        return messages[-1]

    found = reconcile(ids(case["asker"]), exchange, "admissible", bytes.fromhex(case["salt"]), "the other side")
    return {
        "messages": [message.hex() for message in messages],
        "lacking": [id_.hex() for id_ in found.lacking],
        "extra": [id_.hex() for id_ in found.extra],
    }


def challenge(case: Json, _: Path) -> Json:
    end, key, workspace = case["end"], bytes.fromhex(case["key"]), bytes.fromhex(case["workspace"])
    challenger = Challenger(workspace, key, clock=lambda: end - SECONDS)
    return {"challenge": challenger.challenge(bytes.fromhex(case["nonce"])).hex()}


def request_signed(case: Json, _: Path) -> Json:
    body = b"" if case["method"] == "PUT" else bytes.fromhex(case["body"])
    asked = Asked(bytes.fromhex(case["workspace"]), case["server"], case["method"], case["path"], body)
    given = bytes.fromhex(case["challenge"])
    header = SignedHeader.sign(asked, given, SeedSigner(bytes.fromhex(case["seed"])))
    assert SignedHeader.read(header.text) == header
    return {"message": asked.message(given).hex(), "header": header.text}


def request_checked(case: Json, _: Path) -> Json:
    workspace, members = bytes.fromhex(case["workspace"]), case["members"]
    challenger = Challenger(workspace, bytes.fromhex(case["key"]), clock=lambda: case["now"])
    state = SimpleNamespace(authority=Authority("", frozenset(members)))
    genesis = SimpleNamespace(workspace_id=workspace.hex())
    admittance = Admittance(genesis, lambda: state, names=case["names"], challenger=challenger)
    signed = admittance.begin(case["header"], None)
    body = b"" if case["method"] == "PUT" else bytes.fromhex(case["body"])
    admittance.finish(signed, case["method"], case["path"], body)
    return {}


PEER_CHECKS: dict[str, Callable[[Json, Path], Json]] = {
    "answer": answered,
    "challenge": challenge,
    "check-request": request_checked,
    "cut": cut,
    "id-set": id_set,
    "read-answer": answer_read,
    "reconciliation": reconciled,
    "sign-request": request_signed,
}
