"""Who takes part in a signed workspace, what they can sign, and what becomes of bytes in the hands of a forger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import msgpack

from mergealgebra.crdt import genesis
from mergealgebra.crdt.authority import Grant, Keep, Later, Revoke
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.operations import Add, Attest, Operation, Remove, SignedPayload
from mergealgebra.signatures import message
from tests.signers import SeedSigner
from tests.simulation import contributions
from tests.simulation.team_model import ANOTHER_BASE

#: Two who may do everything, three whom they may let write, of whom anyone may turn, and one whom nobody lets.
MAINTAINERS, WRITERS, STRANGER = ("m0", "m1"), ("w0", "w1", "w2"), "e0"
PEOPLE = (*MAINTAINERS, *WRITERS, STRANGER)
SIGNERS = {who: SeedSigner(who.encode().ljust(32)) for who in PEOPLE}
NAMES = {signer.key: who for who, signer in SIGNERS.items()}
GENESIS = replace(contributions.GENESIS, maintainers=tuple(sorted(SIGNERS[who].key for who in MAINTAINERS)))
#: Another workspace of the same people.
SISTER = replace(GENESIS, name="another")
ROOTS = {"v0": "0" * 64, "v1": "1" * 64}
#: A grant that nobody ever made.
NO_GRANT = "5" * 64

_L = 2**252 + 27742317777372353535851937790883648493


def merge_id_of(manifests: Iterable[Manifest]) -> str:
    """The merge id of these contributions."""
    return genesis.merge_id(GENESIS.base, GENESIS.recipe_id, [one.id for one in manifests])


def payload_of(kind: str, what: str, names: tuple[str, ...], manifests: Mapping[str, Manifest]) -> SignedPayload | None:
    """What anybody can sign, whether or not it is theirs to say; None where something is lacking for it.

    what: as in the model, but of a keep the id of the revoke. names: ids of operations; of an attest, contributions.
    """
    nonce = f"{kind} {what}".encode().ljust(16)[:16]
    match kind:
        case "add":
            base = contributions.OTHER_BASE if what == ANOTHER_BASE else GENESIS.base
            return Add(replace(manifests["c0" if what == ANOTHER_BASE else what], base=base), nonce)
        case "grant":
            return Grant(SIGNERS[what].key, what, nonce)
        case "attest":
            return Attest(merge_id_of(manifests[name] for name in names), ROOTS[what])
        case "later":
            version = 3 + sum(what.encode()) % 2
            return Later(version, f"kind of {what}", msgpack.packb({"fields": {}} if version == 3 else {}))
        case "remove" | "revoke":
            return (Remove if kind == "remove" else Revoke)(names) if names else None
        case "keep":
            return Keep(what, names) if names and what else None
    raise ValueError(kind)


# Forgeries: what is not a sound signed operation of this workspace, under a name that fits [SG-1, SG-2, SG-4, SG-7].


def _other_key(operation: Operation) -> bytes:
    return bytes.fromhex(SIGNERS["e0" if NAMES[str(operation.author)] == "m0" else "m0"].key)


def _changed(operation: Operation, **entries: object) -> bytes:
    value = msgpack.unpackb(operation.encode())
    value["body"] = dict(sorted({**value["body"], **entries}.items()))
    return bytes(msgpack.packb(value))


def _with_signature(operation: Operation, signature: bytes) -> bytes:
    return bytes(msgpack.packb({"body": msgpack.unpackb(operation.encode())["body"], "signature": signature}))


def _in_sister(operation: Operation) -> Operation:
    signer = SIGNERS[NAMES[str(operation.author)]]
    return replace(operation, workspace=SISTER.workspace_id).signed_by(signer, operation.grant)


def _plus_l(operation: Operation) -> bytes:
    signature = operation.signature or bytes(64)
    number = int.from_bytes(signature[32:], "little") + _L
    return _with_signature(operation, signature[:32] + number.to_bytes(32, "little"))


def _unsigned(operation: Operation) -> bytes:
    return replace(operation, author=None, grant=None, signature=None).encode()


def _descending(operation: Operation) -> bytes:
    value = msgpack.unpackb(operation.encode())
    body = dict(sorted(value["body"].items(), reverse=True))
    signature = SIGNERS[NAMES[str(operation.author)]].sign(message(msgpack.packb(body)))
    return bytes(msgpack.packb({"body": body, "signature": signature}))


FORGERIES: dict[str, Callable[[Operation], bytes]] = {
    "anothers-signature": lambda one: _changed(one, author=_other_key(one)),
    "another-time": lambda one: _changed(one, time=(one.time or 0) + 1),
    "another-grant": lambda one: _changed(one, grant=bytes(32)),
    "broken-signature": lambda one: _with_signature(one, bytes(64)),
    "second-signature": _plus_l,
    "sister": lambda one: _in_sister(one).encode(),
    "sister-renamed": lambda one: _changed(_in_sister(one), workspace=bytes.fromhex(GENESIS.workspace_id)),
    "unsigned": _unsigned,
    "version-1": lambda one: _changed(one, version=1),
    "descending": _descending,
    "goes-on": lambda one: one.encode() + b"\xc0",
    "nothing": lambda one: b"",
}


def forged(operation: Operation, how: str) -> bytes:
    """What a forger makes of an operation; nothing of it may enter the set."""
    return FORGERIES[how](operation)
