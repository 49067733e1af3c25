"""What the checks of peers' messages do with a case's input."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from generator.reference import reconciliation, requests
from generator.reference.tensors import read_bytes

Json = Any


def read_ids(x: Json) -> set[bytes]:
    """Ids as the cases write them."""
    first, end = x["hashed"]
    hashed = {sha256(i.to_bytes(4, "big")).digest() for i in range(first, end) if i not in x.get("without", ())}
    more = read_bytes(x.get("more", ""))
    return hashed | {more[at : at + 32] for at in range(0, len(more), 32)}


def read_span(x: Json) -> reconciliation.Span:
    lower, upper = x
    return bytes.fromhex(lower), None if upper is None else bytes.fromhex(upper)


def id_set(x: Json) -> Json:
    ids = read_ids(x["ids"])
    prints = [reconciliation.fingerprint(ids, read_span(span)).hex() for span in x["spans"]]
    return {"root": reconciliation.root(ids).hex(), "fingerprints": prints}


def cut(x: Json) -> Json:
    bounds = reconciliation.cut(read_ids(x["ids"]), read_span(x["span"]), x["parts"])
    return {"bounds": [None if bound is None else bound.hex() for bound in bounds]}


def answer(x: Json) -> Json:
    return {"answer": reconciliation.answer(read_bytes(x["question"]), read_ids(x["ids"])).hex()}


def read_answer(x: Json) -> Json:
    question = reconciliation.read_question(read_bytes(x["question"]))
    read = reconciliation.read_page if "after" in question else reconciliation.read_answer
    read(read_bytes(x["answer"]), question)
    return {}


def reconcile(x: Json) -> Json:
    asker = reconciliation.Asker(read_ids(x["asker"]), read_ids(x["answering"]), bytes.fromhex(x["salt"]))
    asker.run()
    return {
        "messages": [message.hex() for message in asker.messages],
        "lacking": [i.hex() for i in sorted(asker.lacking)],
        "extra": [i.hex() for i in sorted(asker.extra)],
    }


def challenge(x: Json) -> Json:
    parts = (bytes.fromhex(x[name]) for name in ("key", "workspace", "nonce"))
    return {"challenge": requests.challenge(*parts, x["end"]).hex()}


def _asked(x: Json) -> dict[str, Any]:
    """What is asked, of the input of a case."""
    return {**{name: x[name] for name in ("method", "path")}, **{n: bytes.fromhex(x[n]) for n in ("workspace", "body")}}


def sign_request(x: Json) -> Json:
    given, server = bytes.fromhex(x["challenge"]), x["server"]
    message = requests.message(server=server, given=given, **_asked(x))
    return {"message": message.hex(), "header": requests.header(bytes.fromhex(x["seed"]), server, given, message)}


def check_request(x: Json) -> Json:
    members = [bytes.fromhex(key) for key in x["members"]]
    requests.check(_asked(x), x["header"], bytes.fromhex(x["key"]), members, x["names"], x["now"])
    return {}


PEER_CHECKS: dict[str, Callable[[Json], Json]] = {
    "answer": answer,
    "challenge": challenge,
    "check-request": check_request,
    "cut": cut,
    "id-set": id_set,
    "read-answer": read_answer,
    "reconciliation": reconcile,
    "sign-request": sign_request,
}
