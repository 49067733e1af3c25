"""Operations: the immutable facts of which a state is a set, each named by the hash of its bytes [OS-2 to OS-6].

An operation that is malformed or of another workspace cannot be built, so it never enters a set. Those of signed
workspaces have an author and a signature [SG-4].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, Protocol

from mergealgebra.crdt.authority import VERSIONS, Grant, Keep, Later, Revoke
from mergealgebra.crdt.fields import (
    check_id,
    check_integer,
    check_key,
    check_name,
    check_text,
    id_from_bytes,
    map_with_keys,
)
from mergealgebra.crdt.payloads import MOST_NAMES, NAME_BYTES, NONCE_BYTES, Add, Attest, Remove
from mergealgebra.encoding import decode, encode, hash_id
from mergealgebra.errors import OperationError, SignatureError, WrongWorkspace
from mergealgebra.signatures import SIGNATURE_BYTES, is_valid, message
from mergealgebra.text import shown

__all__ = ["MOST_NAMES", "NAME_BYTES", "NONCE_BYTES", "Add", "Attest", "Operation", "Remove"]

#: Versions of bodies: without a name, with one, and signed [OS-3, SG-4].
NAMELESS: Final = 1
NAMED: Final = 2
SIGNED: Final = 3
MAX_OPERATION_BYTES: Final = 1 << 20
#: How long a note may be [OS-3].
NOTE_BYTES: Final = range(1, 4097)

#: Seconds since 1970 that an operation may carry [OS-3].
OPERATION_TIMES: Final = range(1 << 53)

_BODY_KEYS: Final = frozenset({"version", "workspace", "kind", "fields"})
#: The optional keys, in the order in which an `Operation` takes them; an author is refused when it is read [OS-5].
_EXTRAS: Final = ("time", "note", "name")
_BODY_EXTRAS: Final = frozenset({"author", *_EXTRAS})
#: The keys that a signed body of any version has, and those that it may have [SG-6].
_SIGNED_KEYS: Final = frozenset({"version", "workspace", "kind", "author", "grant"})


Payload = Add | Remove | Attest
SignedPayload = Payload | Grant | Revoke | Keep | Later

#: All kinds of operations in an open workspace [OS-4].
KINDS: Final[Mapping[str, type[Payload]]] = MappingProxyType(
    {payload.kind: payload for payload in (Add, Remove, Attest)}
)
#: All kinds in a signed workspace that this version knows [SG-5].
SIGNED_KINDS: Final[Mapping[str, type[Payload | Grant | Revoke | Keep]]] = MappingProxyType(
    {payload.kind: payload for payload in (Add, Remove, Attest, Grant, Revoke, Keep)}
)


class Signer(Protocol):
    """Who can sign with a private key. key: the public one, in 64 hexadecimal digits."""

    @property
    def key(self) -> str: ...

    def sign(self, message: bytes) -> bytes: ...


@dataclass(frozen=True)
class Operation:
    """One fact about one workspace [OS-2, OS-3, SG-4].

    workspace: the workspace's id. time: seconds since 1970, in [0, 2^53). note: 1 to 4,096 bytes of text. name: who
    made it, as they say, which nothing proves: 1 to 256 bytes without control characters. author, signature: in a
    signed workspace, whose key signed it, and what `signed_by` made. grant: the id of the grant under which it was
    made. Raises OperationError.

    >>> workspace = "ab" * 32
    >>> operation = Operation(workspace, Attest(merge_id="cd" * 32, model_root="ef" * 32), time=0, note="on a laptop")
    >>> operation.kind, Operation.decode(operation.encode(), workspace) == operation
    ('attest', True)
    """

    workspace: str
    payload: SignedPayload
    time: int | None = None
    note: str | None = None
    name: str | None = None
    author: str | None = None
    grant: str | None = None
    signature: bytes | None = None

    def __post_init__(self) -> None:
        check_id(self.workspace, "the operation's workspace", OperationError)
        if self.time is not None:
            check_integer(self.time, OPERATION_TIMES.stop, "the operation's time", OperationError)
        if self.note is not None:
            check_text(self.note, NOTE_BYTES, "the operation's note", OperationError)
        if self.name is not None:
            check_name(self.name, NAME_BYTES, "the operation's name", OperationError)
        if self.author is not None:
            check_key(self.author, "the operation's author", OperationError)
        if self.grant is not None:
            check_id(self.grant, "the operation's grant", OperationError)
        if len(self._encoded) > MAX_OPERATION_BYTES:
            raise OperationError(
                f"the operation is {len(self._encoded)} bytes long, at most {MAX_OPERATION_BYTES} are allowed"
            )

    @property
    def kind(self) -> str:
        """One of SIGNED_KINDS, or `later` [SG-6]."""
        return self.payload.kind

    @property
    def names(self) -> tuple[str, ...]:
        """The operations that a remove, a revoke or a keep names."""
        match self.payload:
            case Remove(operations=names) | Keep(operations=names) | Revoke(grants=names):
                return names
        return ()

    @property
    def about(self) -> str:
        """Of an add its base, of a grant its key, of a keep its revoke: what decides, with `names`, what counts."""
        match self.payload:
            case Add(manifest=manifest):
                return manifest.base
            case Grant(key=about) | Keep(revoke=about):
                return about
        return ""

    @cached_property
    def id(self) -> str:
        """The hash of the whole operation [OS-2]."""
        return hash_id("operation", self._encoded)

    def encode(self) -> bytes:
        """The canonical bytes of the operation, of which its id is the hash [OS-2]."""
        return self._encoded

    def signed_by(self, signer: Signer, grant: str | None = None) -> Operation:
        """The same operation of that author, under that grant unless they are a maintainer [SG-4]."""
        draft = replace(self, author=signer.key, grant=grant, signature=bytes(SIGNATURE_BYTES))
        return replace(draft, signature=signer.sign(message(encode(draft.body))))

    @property
    def is_valid(self) -> bool:
        """Whether it has a valid signature of its author's [SG-2]."""
        if self.author is None or self.signature is None:
            return False
        return is_valid(bytes.fromhex(self.author), self.signature, message(encode(self.body)))

    @classmethod
    def decode(cls, data: bytes, workspace: str) -> Operation:
        """Decode an operation of an open `workspace` from its canonical bytes [OS-6].

        Raises EncodingError (not canonical), WrongWorkspace, CoefficientError, or OperationError for any other fault.
        """
        value = decode(data, max_bytes=MAX_OPERATION_BYTES)
        body = _body_of(map_with_keys(value, {"body"}, "the operation", OperationError, optional={"signature"}))
        named = _workspace_of(body, workspace)
        payload = _payload_class(body["kind"]).from_fields(body["fields"])
        return cls(named, payload, **{key: _present(body, key) for key in _EXTRAS if key in body})

    @classmethod
    def decode_signed(cls, data: bytes, workspace: str) -> Operation:
        """Decode an operation of a signed `workspace` from its canonical bytes, and verify its signature [SG-7].

        Raises SignatureError for the signature, and as `decode` does.
        """
        operation = cls.decode_verified(data, workspace)
        if not operation.is_valid:
            raise SignatureError("the operation's signature is not one of its author's over these bytes")
        return operation

    @classmethod
    def decode_verified(cls, data: bytes, workspace: str) -> Operation:
        """The same, where the signature of these very bytes was verified before. Raises as `decode` does."""
        value = decode(data, max_bytes=MAX_OPERATION_BYTES)
        found = map_with_keys(value, {"body", "signature"}, "the operation", SignatureError)
        body, signature = _signed_body_of(found["body"]), found["signature"]
        if not isinstance(signature, bytes) or len(signature) != SIGNATURE_BYTES:
            raise SignatureError(f"the operation's signature is {shown(signature)}, not {SIGNATURE_BYTES} bytes")
        named = _workspace_of(body, workspace)
        author = id_from_bytes(body["author"], "the operation's author", OperationError)
        grant = id_from_bytes(body["grant"], "the operation's grant", OperationError) if "grant" in body else None
        extras = {key: _present(body, key) for key in _EXTRAS if key in body and body["version"] == SIGNED}
        return cls(named, _signed_payload(body), **extras, author=author, grant=grant, signature=signature)

    @property
    def body(self) -> dict[str, object]:
        """The canonical value of the body [OS-3, SG-4]."""
        if isinstance(self.payload, Later):
            body = self.payload.to_map()
        else:
            version = SIGNED if self.author else NAMELESS if self.name is None else NAMED
            body = {"version": version, "kind": self.kind, "fields": self.payload.to_fields()}
        extras: dict[str, object] = {"time": self.time, "note": self.note, "name": self.name}
        extras |= {key: bytes.fromhex(id_) for key, id_ in (("author", self.author), ("grant", self.grant)) if id_}
        said = {key: value for key, value in extras.items() if value is not None}
        return {**body, "workspace": bytes.fromhex(self.workspace), **said}

    @cached_property
    def _encoded(self) -> bytes:
        signature = {} if self.signature is None else {"signature": self.signature}
        return encode({"body": self.body, **signature})


def check_note(note: str | None) -> None:
    """Refuse a note that no operation can carry [OS-3]. Raises OperationError."""
    if note is not None:
        check_text(note, NOTE_BYTES, "the note", OperationError)


def _body_of(operation: Mapping[str, Any]) -> dict[str, Any]:
    """The body, when it is of a version that is known, and unsigned [OS-3, OS-5]."""
    what = "the operation's body"
    body = map_with_keys(operation["body"], _BODY_KEYS, what, OperationError, optional=_BODY_EXTRAS)
    version = body["version"]
    if type(version) is not int or version not in (NAMELESS, NAMED):
        raise OperationError(f"the operation's version is {shown(version)}, not {NAMELESS} or {NAMED}")
    if (version == NAMED) != ("name" in body):
        has = "a" if "name" in body else "no"
        raise OperationError(f"the operation has {has} name and version {version}: {NAMED} is for those with one")
    if "author" in body or "signature" in operation:
        raise OperationError("the operation has an author or a signature, and its workspace is open")
    return body


def _signed_body_of(body: object) -> dict[str, Any]:
    """The body, when it is one of a signed workspace, of this version or a later one [SG-4, SG-6]."""
    what = "the operation's body"
    version = body.get("version") if isinstance(body, dict) else None
    if version == SIGNED or not isinstance(body, dict):
        required, optional = _BODY_KEYS | {"author"}, frozenset({"grant", *_EXTRAS})
        return map_with_keys(body, required, what, OperationError, optional=optional)
    if type(version) is not int or not SIGNED < version < VERSIONS:
        raise OperationError(f"the operation's version is {shown(version)}, not {SIGNED} or a later one")
    return map_with_keys(body, _SIGNED_KEYS - {"grant"}, what, OperationError, optional=_SIGNED_KEYS | body.keys())


def _signed_payload(body: Mapping[str, Any]) -> SignedPayload:
    """What a signed body says; of a later version, only that it does [SG-6]."""
    if body["version"] != SIGNED:
        return Later.of(body, _SIGNED_KEYS)
    kind, fields = body["kind"], body["fields"]
    if isinstance(kind, str) and kind in SIGNED_KINDS:
        return SIGNED_KINDS[kind].from_fields(fields)
    if not isinstance(fields, dict):
        raise OperationError(f"the operation's fields are {shown(fields)}, not a map")
    return Later.of(body, _SIGNED_KEYS.union(_EXTRAS))


def _workspace_of(body: Mapping[str, Any], workspace: str) -> str:
    """The workspace that a body names, which must be this one."""
    named = id_from_bytes(body["workspace"], "the operation's workspace", OperationError)
    if named != workspace:
        raise WrongWorkspace(f"the operation belongs to workspace {named}, not to {workspace}")
    return named


def _payload_class(kind: object) -> type[Payload]:
    if not isinstance(kind, str) or kind not in KINDS:
        raise OperationError(f"the operation's kind is {shown(kind)}, not one of {', '.join(KINDS)}")
    return KINDS[kind]


def _present(body: Mapping[str, Any], key: str) -> Any:
    """The value of an optional key that stands there: a key is left out, never set to nil [OS-3]."""
    if body[key] is None:
        raise OperationError(f"the operation's {key} is nil; leave the key out instead")
    return body[key]
