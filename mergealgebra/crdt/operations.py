"""Operations: the immutable facts of which a state is a set, each named by the hash of its bytes [OS-2 to OS-6].

An operation that is malformed or of another workspace cannot be built, so it never enters a set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Final

from mergealgebra.crdt.fields import check_id, check_integer, check_name, check_text, id_from_bytes, map_with_keys
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.encoding import decode, encode, hash_id
from mergealgebra.errors import OperationError, WrongWorkspace
from mergealgebra.text import shown

#: Versions of bodies: without a name, and with one [OS-3].
NAMELESS: Final = 1
NAMED: Final = 2
MAX_OPERATION_BYTES: Final = 1 << 20
NONCE_BYTES: Final = 16
#: The most adds that one remove may name, within MAX_OPERATION_BYTES [OS-10].
MOST_NAMES: Final = 1 << 14
#: How long a note may be [OS-3].
NOTE_BYTES: Final = range(1, 4097)
#: How long the name of whoever made an operation may be [OS-3].
NAME_BYTES: Final = range(1, 257)

#: Seconds since 1970 that an operation may carry [OS-3].
OPERATION_TIMES: Final = range(1 << 53)

_BODY_KEYS: Final = frozenset({"version", "workspace", "kind", "fields"})
#: The optional keys, in the order in which an `Operation` takes them; an author is refused when it is read [OS-5].
_EXTRAS: Final = ("time", "note", "name")
_BODY_EXTRAS: Final = frozenset({"author", *_EXTRAS})


@dataclass(frozen=True)
class Add:
    """Makes a contribution visible; the nonce tells this add from every other add of it [OS-4, OS-9]."""

    kind: ClassVar[str] = "add"
    manifest: Manifest
    nonce: bytes

    def __post_init__(self) -> None:
        if not isinstance(self.nonce, bytes) or len(self.nonce) != NONCE_BYTES:
            raise OperationError(f"the nonce of an add is {shown(self.nonce)}, not {NONCE_BYTES} bytes")

    def to_fields(self) -> dict[str, object]:
        """The canonical value of the fields."""
        return {"manifest": self.manifest.to_map(), "nonce": self.nonce}

    @classmethod
    def from_fields(cls, fields: object) -> Add:
        """The add that these decoded fields describe. Raises OperationError or CoefficientError."""
        found = map_with_keys(fields, {"manifest", "nonce"}, "an add", OperationError)
        return cls(Manifest.from_map(found["manifest"]), found["nonce"])


@dataclass(frozen=True)
class Remove:
    """Takes back the adds that it names, and no others, whenever they arrive [OS-4, OS-9].

    operations: ids, ascending, each once, at least one.
    """

    kind: ClassVar[str] = "remove"
    operations: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in self.operations:
            check_id(name, "an operation named by a remove", OperationError)
        if not self.operations:
            raise OperationError("a remove names no operation; it must name at least one")
        if list(self.operations) != sorted(set(self.operations)):
            raise OperationError("the operations named by a remove are not in ascending order, each once")

    def to_fields(self) -> dict[str, object]:
        """The canonical value of the fields."""
        return {"operations": [bytes.fromhex(name) for name in self.operations]}

    @classmethod
    def from_fields(cls, fields: object) -> Remove:
        """The remove that these decoded fields describe. Raises OperationError."""
        names = map_with_keys(fields, {"operations"}, "a remove", OperationError)["operations"]
        if not isinstance(names, list):
            raise OperationError(f"the operations of a remove are {shown(names)}, not an array")
        what = "an operation named by a remove"
        return cls(tuple(id_from_bytes(name, what, OperationError) for name in names))


@dataclass(frozen=True)
class Attest:
    """Says that a replica computed a model root for a merge id; what is visible stays the same [OS-12]."""

    kind: ClassVar[str] = "attest"
    merge_id: str
    model_root: str

    def __post_init__(self) -> None:
        check_id(self.merge_id, "the merge id of an attest", OperationError)
        check_id(self.model_root, "the model root of an attest", OperationError)

    def to_fields(self) -> dict[str, object]:
        """The canonical value of the fields."""
        return {"merge_id": bytes.fromhex(self.merge_id), "model_root": bytes.fromhex(self.model_root)}

    @classmethod
    def from_fields(cls, fields: object) -> Attest:
        """The attest that these decoded fields describe. Raises OperationError."""
        found = map_with_keys(fields, {"merge_id", "model_root"}, "an attest", OperationError)
        return cls(
            id_from_bytes(found["merge_id"], "the merge id of an attest", OperationError),
            id_from_bytes(found["model_root"], "the model root of an attest", OperationError),
        )


Payload = Add | Remove | Attest

#: All kinds of operations in an open workspace [OS-4].
KINDS: Final[Mapping[str, type[Payload]]] = MappingProxyType(
    {payload.kind: payload for payload in (Add, Remove, Attest)}
)


@dataclass(frozen=True, eq=False)
class Operation:
    """One fact about one workspace [OS-2, OS-3]; operations with one id are equal.

    workspace: the workspace's id. time: seconds since 1970, in [0, 2^53). note: 1 to 4,096 bytes of text. name: who
    made it, as they say, which nothing proves: 1 to 256 bytes without control characters. Raises OperationError.

    >>> workspace = "ab" * 32
    >>> operation = Operation(workspace, Attest(merge_id="cd" * 32, model_root="ef" * 32), time=0, note="on a laptop")
    >>> operation.kind, Operation.decode(operation.encode(), workspace) == operation
    ('attest', True)
    """

    workspace: str
    payload: Payload
    time: int | None = None
    note: str | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        check_id(self.workspace, "the operation's workspace", OperationError)
        if self.time is not None:
            check_integer(self.time, OPERATION_TIMES.stop, "the operation's time", OperationError)
        if self.note is not None:
            check_text(self.note, NOTE_BYTES, "the operation's note", OperationError)
        if self.name is not None:
            check_name(self.name, NAME_BYTES, "the operation's name", OperationError)
        if len(self._encoded) > MAX_OPERATION_BYTES:
            raise OperationError(
                f"the operation is {len(self._encoded)} bytes long, at most {MAX_OPERATION_BYTES} are allowed"
            )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Operation) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def kind(self) -> str:
        """One of KINDS."""
        return self.payload.kind

    @cached_property
    def id(self) -> str:
        """The hash of the whole operation [OS-2]."""
        return hash_id("operation", self._encoded)

    def encode(self) -> bytes:
        """The canonical bytes of the operation, of which its id is the hash [OS-2]."""
        return self._encoded

    @classmethod
    def decode(cls, data: bytes, workspace: str) -> Operation:
        """Decode an operation of `workspace` from its canonical bytes [OS-6].

        Raises EncodingError (not canonical), WrongWorkspace, CoefficientError, or OperationError for any other fault.
        """
        value = decode(data, max_bytes=MAX_OPERATION_BYTES)
        body = _body_of(map_with_keys(value, {"body"}, "the operation", OperationError, optional={"signature"}))
        named = id_from_bytes(body["workspace"], "the operation's workspace", OperationError)
        if named != workspace:
            raise WrongWorkspace(f"the operation belongs to workspace {named}, not to {workspace}")
        payload = _payload_class(body["kind"]).from_fields(body["fields"])
        return cls(named, payload, **{key: _present(body, key) for key in _EXTRAS if key in body})

    @cached_property
    def _encoded(self) -> bytes:
        body: dict[str, object] = {
            "version": NAMELESS if self.name is None else NAMED,
            "workspace": bytes.fromhex(self.workspace),
            "kind": self.kind,
            "fields": self.payload.to_fields(),
        }
        extras = {"time": self.time, "note": self.note, "name": self.name}
        return encode({"body": body | {key: value for key, value in extras.items() if value is not None}})


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
        raise OperationError("the operation has an author or a signature, which this version does not know")
    return body


def _payload_class(kind: object) -> type[Payload]:
    if not isinstance(kind, str) or kind not in KINDS:
        raise OperationError(f"the operation's kind is {shown(kind)}, not one of {', '.join(KINDS)}")
    return KINDS[kind]


def _present(body: Mapping[str, Any], key: str) -> Any:
    """The value of an optional key that stands there: a key is left out, never set to nil [OS-3]."""
    if body[key] is None:
        raise OperationError(f"the operation's {key} is nil; leave the key out instead")
    return body[key]
