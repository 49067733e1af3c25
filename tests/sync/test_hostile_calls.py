"""Thousands of hostile calls, answers, frames, requests and signatures: nothing is lost, nothing is let in.

Of each kind so many are tried as INPUTS says; those of `test_hostile_messages.py` and `test_live.py` come on top.
"""

from __future__ import annotations

import asyncio
import io
import os
from collections import Counter
from dataclasses import dataclass
from random import Random

import pytest

from mergealgebra.crdt.permission import grant
from mergealgebra.encoding import decode, encode
from mergealgebra.errors import EncodingError, MergeAlgebraError, PeerError
from mergealgebra.store.objects import Store
from mergealgebra.sync import calls, frames
from mergealgebra.sync.admittance import Admittance
from mergealgebra.sync.calls import Run
from mergealgebra.sync.challenges import SCHEME, Asked, SignedHeader
from mergealgebra.sync.http_paths import BLOBS_PATH, CHALLENGE_PATH, PREFIX
from mergealgebra.sync.live import sync_live
from mergealgebra.sync.peer import CarriedPeer
from mergealgebra.sync.service import Service
from mergealgebra.sync.streams import serve_streams
from mergealgebra.sync.terms import Terms, Who
from tests.crdt.strategies import nonce
from tests.fuzz.mutation import mutate_bytes
from tests.signed import GENESIS, MAINTAINER, STRANGER, WRITER
from tests.store.stores import entry_of, files_of, manifest_of, names_in, write_blob
from tests.sync.live_peers import wire_to
from tests.sync.mutations import mutated
from tests.sync.test_hostile_messages import COUNTS

#: How many of each are tried: more than 10,000 here, and 12,000 messages of reconciliations.
INPUTS = {
    "calls": 3000,
    "answers": 4000,
    "answers in a sync": 300,
    "questions in frames": 500,
    "answers in frames": 1500,
    "signatures": 2000,
    "requests": 1000,
}


def test_there_are_enough():
    of_messages = 2 * sum(COUNTS.values())
    print(f"hostile inputs: {sum(INPUTS.values())} here, {of_messages} messages of reconciliations; by kind: {INPUTS}")
    assert sum(INPUTS.values()) > 10_000
    assert of_messages >= 12_000


@pytest.fixture
def stores(tmp_path, monkeypatch):
    """Alice's store and Bob's: signed, each with a contribution of its own; the writer has a grant in both."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    made = [Store.create(tmp_path / name, GENESIS) for name in ("alice", "bob")]
    granted = grant(made[0].state(), WRITER.key, "writer", MAINTAINER)
    for number, store in enumerate(made):
        store.write_delta(granted)
        root = write_blob(tmp_path / f"{number}.safetensors", number)
        store.import_blob(entry_of(tmp_path / f"{number}.safetensors"), root)
        store.write_delta(store.state().add(manifest_of(root), nonce(number), signer=WRITER))
    return made


@dataclass
class Kept:
    """A store as it was, and all operations that honest people made."""

    store: Store
    honest: frozenset[str]

    def __post_init__(self) -> None:
        self.before, self.around = files_of(self.store.path), names_in(self.store.path.parent)

    def check(self) -> None:
        """Nothing of before is lost or changed, and nothing is there that nobody made."""
        after = files_of(self.store.path)
        assert {name: after.get(name) for name in self.before} == self.before
        assert self.honest.issuperset(self.store.operation_ids())
        assert set(self.store.blob_roots()) == {
            root.removeprefix("blobs/").removesuffix(".safetensors")
            for root in self.before
            if root.startswith("blobs/")
        }
        assert not any(name.startswith("tmp/") for name in after)
        assert names_in(self.store.path.parent) == self.around


def kept(store: Store, *others: Store) -> Kept:
    return Kept(store, frozenset(id_ for one in (store, *others) for id_ in one.operation_ids()))


def one_line(error: Exception) -> bool:
    return "\n" not in str(error) and len(str(error)) < 1500


def questions(stores) -> list[tuple[str, bytes]]:
    """What honest people ask, and what a stranger and a thief would like to put."""
    alice, bob = stores
    wire = wire_to(bob)
    sync_live(Store.open(alice.path), wire.peer)
    stranger = alice.state().add(manifest_of("cd" * 32), nonce(7), signer=WRITER)
    (operation,) = stranger.operations
    forged = decode(operation.encode())
    forged["body"]["author"] = bytes.fromhex(STRANGER.key)
    put = [one.encode() for one in bob.state().operations]
    return [*wire.asked, ("put", calls.write_operations([*put, encode(forged)])), ("put", calls.write_operations(put))]


@pytest.mark.clause("PR-9", "PR-11")
def test_hostile_calls(stores):
    asked = questions(stores)
    alice, bob = stores
    service, was, refused = Service(bob, writes=True), kept(bob, alice), 0
    for seed in range(INPUTS["calls"]):
        random = Random(seed)
        call, data = random.choice(asked)
        call = random.choice((call, call, call, "put", "operations", "nothing", "../genesis"))
        try:
            found = service.answer(call, mutated(random, data))
            assert len(found) <= calls.CALLS[call][1]
        except MergeAlgebraError as error:
            refused += 1
            assert one_line(error)
    assert refused > INPUTS["calls"] // 2
    was.check()


class Answering:
    """A carrier whose answers are given."""

    name = "http://bob.example"

    def __init__(self, found: bytes) -> None:
        self.found = found

    def call(self, call: str, asked: bytes, most: int) -> bytes:
        return self.found[:most]


#: What a peer is asked, and a good answer.
ASKED = {
    "genesis": (lambda peer: peer.genesis(), calls.write_genesis(GENESIS.encode(), bytes(32))),
    "operations": (lambda peer: peer.operations([bytes(32)] * 3), calls.write_operations([b"abc", None, b"d" * 40])),
    "put": (lambda peer: peer.put_operations([b"abc"] * 5), calls.write_refusals([(1, "no"), (3, "never")])),
    "blobs": (lambda peer: peer.blob_sizes([bytes(32)] * 3), calls.write_sizes([1, None, 2**40])),
}


@pytest.mark.clause("PR-9", "PR-11")
def test_hostile_answers():
    refused = 0
    for seed in range(INPUTS["answers"]):
        random = Random(seed)
        ask, good = ASKED[random.choice(list(ASKED))]
        answer = random.choice(list(ASKED.values()))[1] if random.random() < 0.1 else mutated(random, good)
        try:
            ask(CarriedPeer(Answering(answer)))
        except PeerError as error:
            refused += 1
            assert one_line(error)
            assert str(error).startswith(Answering.name)
    assert refused > INPUTS["answers"] // 2


@pytest.mark.clause("PR-9", "PR-11", "PR-12")
def test_hostile_answers_in_a_sync(stores):
    """What was answered before may come again, in place of another answer: those are replayed too."""
    alice, bob = stores
    was = kept(alice, bob)
    earlier: list[bytes] = []
    refused = 0
    for seed in range(INPUTS["answers in a sync"]):
        random = Random(seed)
        at, count = random.randrange(8), 0

        def change(call, data, random=random, at=at):
            nonlocal count
            count += 1
            earlier.append(data)
            if count != at + 1:
                return data
            found = random.choice(earlier) if random.random() < 0.3 else mutated(random, data)
            return found[: len(data) if call == "blob" else 1 << 16]  # no carrier gives more than was asked for

        try:
            refused += bool(sync_live(alice, wire_to(bob, writes=False, change=change).peer).refused)
        except MergeAlgebraError as error:
            refused += 1
            assert one_line(error)
        after = files_of(alice.path)
        for name in after.keys() - was.before.keys():
            honest = bob.path / name
            assert not honest.is_file() or name.startswith("incomplete") or after[name] == honest.read_bytes()
            (alice.path / name).unlink()
    assert refused > INPUTS["answers in a sync"] // 3
    was.check()


# Frames


@pytest.mark.clause("PR-14")
def test_hostile_questions_in_frames(stores):
    alice, bob = stores
    stream = io.BytesIO()
    for call, data in questions(stores):
        frames.write_question(stream.write, call, len(data))
        stream.write(data)
    root = bob.blob_roots()[0]
    frames.write_question(stream.write, frames.MAP, 32)
    stream.write(bytes.fromhex(root))
    frames.write_question(stream.write, frames.LEAVES, 38)
    stream.write(frames.write_run(Run(root, 0, 1)) + b"\0")
    good = stream.getvalue()
    service, was, ended = Service(bob, writes=True), kept(bob, alice), Counter()
    for seed in range(INPUTS["questions in frames"]):
        random = Random(seed)
        start = random.randrange(len(good)) if random.random() < 0.2 else 0
        sink = io.BytesIO()
        try:
            serve_streams(service, io.BytesIO(mutated(random, good[start:])), sink)
            ended["answered"] += 1
        except PeerError as error:
            ended["refused"] += 1
            assert one_line(error)
    assert min(ended["answered"], ended["refused"]) > 50
    was.check()


@pytest.mark.clause("PR-14")
def test_hostile_answers_in_frames():
    stream = io.BytesIO()
    frames.write_answer(stream.write, 40)
    frames.write_refusal(stream.write, "no, and here is why")
    good, refused = stream.getvalue(), 0
    for seed in range(INPUTS["answers in frames"]):
        data = io.BytesIO(mutated(Random(seed), good))
        try:
            while True:
                nbytes, reason = frames.read_answer(data.read)
                assert 0 <= nbytes < 1 << 53
                assert reason is None or isinstance(reason, str)
        except (PeerError, EncodingError) as error:
            refused += 1
            assert one_line(error)
    assert refused == INPUTS["answers in frames"]


# Signatures and requests

PUT, SERVER = f"{PREFIX}/put", "alice.example:8790"


@pytest.mark.clause("PR-20", "PR-21")
def test_hostile_signatures(stores):
    """Good headers of other requests, servers, workspaces and people, and changed ones: only the good one opens."""
    alice, _ = stores
    terms = Terms(Who.EVERYBODY, Who.MEMBERS)
    ours, twin = (Admittance.of(GENESIS, alice.state, terms, [SERVER]) for _ in range(2))
    workspace = bytes.fromhex(GENESIS.workspace_id)
    good = Asked(workspace, SERVER, "POST", PUT, b"body")
    opened = Counter()
    for seed in range(INPUTS["signatures"]):
        random = Random(seed)
        asked = Asked(
            random.choice((workspace, workspace, bytes(32))),
            random.choice((SERVER, SERVER, "alice.example:443")),
            random.choice(("POST", "POST", "PUT", "GET")),
            random.choice((PUT, PUT, f"{PREFIX}/operations", f"{BLOBS_PATH}/{'ab' * 32}")),
            random.choice((b"body", b"body", b"", b"another")),
        )
        signer = random.choice((WRITER, MAINTAINER, STRANGER))
        giver = random.choice((ours, ours, ours, twin))
        header = SignedHeader.sign(asked, giver.challenger.challenge(), signer).text
        right = asked == good and signer is not STRANGER and giver is ours
        if random.random() < 0.6:
            changed = mutate_bytes(random, header.encode(), (b" ", SCHEME.encode(), SERVER.encode())).decode("latin-1")
            header, right = changed, right and changed == header
        try:
            ours.finish(ours.begin(header, None), "POST", PUT, b"body")
            opened["right" if right else "wrong"] += 1
        except PeerError as error:
            opened["refused" if not right else "refused though right"] += 1
            assert one_line(error)
    assert opened.keys() == {"right", "refused"}
    assert opened["right"] > 10


@pytest.mark.clause("PR-21", "PR-23")
def test_hostile_requests(stores):
    """Requests at the application itself, by those who are no members: nothing of theirs is taken."""
    pytest.importorskip("uvicorn", reason="needs uvicorn and starlette (extra net)")
    from mergealgebra.sync.http_connections import Connections
    from mergealgebra.sync.http_guard import Guard
    from mergealgebra.sync.http_server import application

    bob = stores[1]
    asked = questions(stores)
    admittance = Admittance.of(GENESIS, bob.state, Terms(Who.EVERYBODY, Who.MEMBERS), [SERVER])
    connections = Connections()
    guard = Guard(application(Service(bob, writes=True), connections), admittance, connections)
    was, statuses = kept(bob), Counter()
    header = SignedHeader.sign(Asked(bytes(32), SERVER, "POST", PUT), admittance.challenger.challenge(), WRITER).text

    async def all_of_them() -> None:
        for seed in range(INPUTS["requests"]):
            statuses[await one(Random(seed))] += 1

    async def one(random: Random) -> int:
        call, data = random.choice(asked)
        root = random.choice((bob.blob_roots()[0], "ab" * 32, "..%2Fgenesis", "../genesis", "\0"))
        path = random.choice(
            (
                f"{PREFIX}/{call}",
                f"{PREFIX}/{call}",
                PUT,
                f"{BLOBS_PATH}/{root}/map",
                f"{BLOBS_PATH}/{root}/leaves/0/1/0",
                CHALLENGE_PATH,
                "/",
                "//x",
            )
        )
        method = random.choice(("POST", "POST", "GET", "PUT", "HEAD", "DELETE", "OPTIONS", "put"))
        body = mutated(random, data)[: 1 << 22]
        cuts = sorted(random.randrange(len(body) + 1) for _ in range(random.randrange(4)))
        pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        messages[-1]["more_body"] = random.random() < 0.1
        messages.append({"type": "http.disconnect"})
        headers = [(b"content-length", random.choice((str(len(body)).encode(), b"-1", b"9" * 30, b"x")))]
        headers += [(b"authorization", mutate_bytes(random, header.encode()))] * random.randrange(3)
        found = []

        async def receive():
            return messages.pop(0) if len(messages) > 1 else messages[0]

        async def send(message):
            found.append(message)

        scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
                 "root_path": "", "headers": headers, "client": None, "server": ("127.0.0.1", 1), "scheme": "http",
                 "http_version": "1.1"}  # fmt: skip
        await guard(scope, receive, send)
        return found[0]["status"] if found else 0

    asyncio.run(all_of_them())
    assert statuses[401] > 100
    assert statuses[200] > 20
    assert not statuses[500]
    was.check()
