"""Packs of a signed workspace: a signature is checked once, and what may not enter the set is passed over."""

from __future__ import annotations

from functools import cache

import pytest

from mergealgebra.crdt import operations as operations_module
from mergealgebra.crdt.operations import Attest, Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.packs import Pack
from mergealgebra.crdt.permission import grant
from mergealgebra.encoding import hash_id
from mergealgebra.fsck import inspect
from mergealgebra.store.local import write_local
from mergealgebra.store.objects import Store
from mergealgebra.sync.folder import sync
from tests.crdt.strategies import MANIFESTS, OTHER_GENESIS, nonce
from tests.signed import GENESIS, MAINTAINER, WRITER

pytestmark = pytest.mark.clause("PK-6", "SG-7")


@pytest.fixture
def store(tmp_path):
    """A replica of a signed workspace."""
    store = Store.create(tmp_path / "alice", GENESIS)
    write_local(store, tmp_path / "base")
    return store


@pytest.fixture
def verified(monkeypatch):
    """How many signatures were verified."""
    found, real = [], operations_module.is_valid
    monkeypatch.setattr(operations_module, "is_valid", lambda *given: (found.append(given), real(*given))[1])
    return found


@cache
def history() -> ORSet:
    """A grant to a writer, and what they added under it."""
    state = ORSet(GENESIS)
    state = state.join(grant(state, WRITER.key, "Wanda", MAINTAINER))
    for number in range(3):
        state = state.join(state.add(MANIFESTS[number], nonce(number), signer=WRITER))
    return state


def forged() -> bytes:
    """An operation with a signature of nobody's."""
    made = Operation(GENESIS.workspace_id, Attest("1" * 64, "2" * 64)).signed_by(MAINTAINER)
    return made.encode()[:-1] + bytes([made.encode()[-1] ^ 1])


def pack(*more: bytes) -> Pack:
    return Pack.of([*(one.encode() for one in history().operations), *more])


def test_a_signature_is_verified_once(store, verified):
    store.write_pack(pack())
    state = Store.open(store.path).state()
    assert len(verified) == len(state.operations) == 4
    verified.clear()
    again = Store.open(store.path).state()
    assert again.visible() == state.visible()
    assert len(again.visible()) == 3
    assert verified == []


def test_nobody_s_word_is_taken_for_it(store, verified):
    """What is kept is sealed: what others put there is verified."""
    store.write_pack(pack())
    store.state()
    (entry,) = (store.path / "cache" / "records").iterdir()
    entry.write_bytes(entry.read_bytes()[:-1] + b"\x00")
    verified.clear()
    assert len(Store.open(store.path).state().operations) == len(verified) == 4


def test_what_is_known_is_not_verified_when_a_peer_has_it_too(store, tmp_path, verified):
    store.write_pack(pack())
    share = Store.create(tmp_path / "share", GENESIS)
    share.write_pack(pack())
    for operation in history().operations:
        share.write_operation(operation)
    store.state()
    verified.clear()
    assert not sync(Store.open(store.path), share.path).refused
    assert verified == []


def test_a_forged_one_is_passed_over_counted_and_named_each_time(store):
    store.write_pack(pack(forged()))
    for _ in range(2):  # the second time as it was kept
        state, foreign = Store.open(store.path).contents()
        assert state == history()
        assert ["is passed over" in str(error) for error in foreign] == [True]
        assert pack(forged()).name in str(foreign[0])
    found = inspect(store.path)
    assert (found.operations, found.damaged) == (4, [])
    (line,) = found.foreign
    assert pack(forged()).name in line
    assert line.endswith("that is no damage, nothing reads it: leave it there, with the others of its pack")


@pytest.mark.parametrize("part", ["operations", "packs"])
def test_what_is_another_workspace_s_is_no_damage_and_goes_as_it_is_said(store, part):
    stray = Operation(OTHER_GENESIS.workspace_id, Attest("ab" * 32, "cd" * 32)).encode()
    packed = Pack.of([stray])
    name, data = (packed.name, packed.encode()) if part == "packs" else (hash_id("operation", stray), stray)
    (store.path / part).mkdir(exist_ok=True)
    path = store.path / part / name
    path.write_bytes(data)
    found = inspect(store.path)
    assert found.damaged == []
    (line,) = found.foreign
    assert line.startswith(str(path)) and line.endswith(": delete it" if part == "operations" else ": delete the pack")


def test_a_pack_of_nothing_but_forgeries_stops_nothing(store):
    store.write_pack(Pack.of([forged()]))
    store.write_pack(pack())
    state, foreign = store.contents()
    assert (state, len(foreign)) == (history(), 1)
