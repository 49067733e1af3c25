"""Signed operations and geneses that strangers mangled: nothing but what was signed enters, and no other error."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mergealgebra.crdt.authority import Grant, Keep, Revoke
from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.operations import Add, Attest, Operation, Remove
from mergealgebra.encoding import encode
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.signatures import message
from tests.crdt.strategies import MANIFESTS, nonce
from tests.signed import GENESIS, MAINTAINER, WRITER

A, B = "a" * 64, "b" * 64
PAYLOADS = (
    Add(MANIFESTS[0], nonce(1)),
    Remove((A, B)),
    Attest(A, B),
    Grant(WRITER.key, "Ada", nonce(2)),
    Revoke((A,)),
    Keep(A, (A, B)),
)
SIGNED = [
    Operation(GENESIS.workspace_id, payload, time=7, note="why", name="Ada").signed_by(MAINTAINER, grant).encode()
    for payload in PAYLOADS
    for grant in (None, B)
]
LATER_BODY = {
    "version": 9,
    "workspace": bytes.fromhex(GENESIS.workspace_id),
    "kind": "poll",
    "author": bytes.fromhex(MAINTAINER.key),
    "options": [1, {"deep": b"x"}],
}
SIGNED.append(encode({"body": LATER_BODY, "signature": MAINTAINER.sign(message(encode(LATER_BODY)))}))


def mangled(whole: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Bytes with a bit flipped, a piece cut out, doubled, or of another put in."""

    def mangle(data: bytes, other: bytes, at: int, until: int, how: str) -> bytes:
        at, until = sorted((at % len(data), until % len(data)))
        match how:
            case "flip":
                return data[:at] + bytes([data[at] ^ 1 << until % 8]) + data[at + 1 :]
            case "cut":
                return data[:at] + data[until + 1 :]
            case "double":
                return data[:until] + data[at:until] + data[until:]
            case _:
                return data[:at] + other[at:until] + data[until:]

    places, ways = st.integers(0, 4095), st.sampled_from(["flip", "cut", "double", "graft"])
    return st.builds(mangle, whole, whole, places, places, ways)


@pytest.mark.clause("SG-7")
@settings(max_examples=1500)
@given(mangled(st.sampled_from(SIGNED)))
def test_what_was_mangled_does_not_enter(data):
    try:
        operation = Operation.decode_signed(data, GENESIS.workspace_id)
    except MergeAlgebraError:
        return
    assert data in SIGNED  # a graft may give the whole of one
    assert operation.encode() == data


@pytest.mark.clause("SG-4", "SG-6")
@settings(max_examples=1500)
@given(mangled(st.sampled_from(SIGNED)))
def test_what_is_read_is_written_as_it_was(data):
    try:
        operation = Operation.decode_verified(data, GENESIS.workspace_id)
    except MergeAlgebraError:
        return
    assert operation.encode() == data


@pytest.mark.clause("SG-3")
@settings(max_examples=500)
@given(mangled(st.sampled_from([GENESIS.encode(), Genesis("c" * 64, "", {"method": "mean"}).encode()])))
def test_a_mangled_genesis_is_another_or_none(data):
    try:
        genesis = Genesis.decode(data)
    except MergeAlgebraError:
        return
    assert genesis.encode() == data
