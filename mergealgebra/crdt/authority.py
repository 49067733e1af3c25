"""What maintainers say about who may write, and what a later version says, of which only the envelope is known [SG-5].

These stand in signed workspaces alone. Who counts is decided in policy.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from mergealgebra.crdt.fields import (
    check_ascending,
    check_id,
    check_integer,
    check_key,
    check_name,
    id_from_bytes,
    ids_from_array,
    map_with_keys,
)
from mergealgebra.crdt.payloads import NAME_BYTES, NONCE_BYTES
from mergealgebra.encoding import decode, encode
from mergealgebra.errors import OperationError
from mergealgebra.text import shown

#: How long the name of a kind of a later version may be [SG-6].
KIND_BYTES: Final = range(1, 65)
#: Versions of bodies lie below this [SG-6].
VERSIONS: Final = 1 << 31


@dataclass(frozen=True)
class Grant:
    """Lets the owner of a key write; the nonce tells this grant from every other one to the key [SG-5, SG-8].

    key: 64 hexadecimal digits. name: what the maintainers call its owner.
    """

    kind: ClassVar[str] = "grant"
    key: str
    name: str
    nonce: bytes

    def __post_init__(self) -> None:
        check_key(self.key, "the key of a grant", OperationError)
        check_name(self.name, NAME_BYTES, "the name of a grant", OperationError)
        if not isinstance(self.nonce, bytes) or len(self.nonce) != NONCE_BYTES:
            raise OperationError(f"the nonce of a grant is {shown(self.nonce)}, not {NONCE_BYTES} bytes")

    def to_fields(self) -> dict[str, object]:
        """The canonical value of the fields."""
        return {"key": bytes.fromhex(self.key), "name": self.name, "nonce": self.nonce}

    @classmethod
    def from_fields(cls, fields: object) -> Grant:
        """The grant that these decoded fields describe. Raises OperationError."""
        found = map_with_keys(fields, {"key", "name", "nonce"}, "a grant", OperationError)
        return cls(id_from_bytes(found["key"], "the key of a grant", OperationError), found["name"], found["nonce"])


@dataclass(frozen=True)
class Revoke:
    """Takes grants back: what was made under them counts no more, but for what is kept [SG-5, SG-8].

    grants: ids, ascending, each once, at least one.
    """

    kind: ClassVar[str] = "revoke"
    grants: tuple[str, ...]

    def __post_init__(self) -> None:
        check_ascending(self.grants, "the grants of a revoke", OperationError)

    def to_fields(self) -> dict[str, object]:
        """The canonical value of the fields."""
        return {"grants": [bytes.fromhex(name) for name in self.grants]}

    @classmethod
    def from_fields(cls, fields: object) -> Revoke:
        """The revoke that these decoded fields describe. Raises OperationError."""
        found = map_with_keys(fields, {"grants"}, "a revoke", OperationError)
        return cls(ids_from_array(found["grants"], "the grants of a revoke", OperationError))


@dataclass(frozen=True)
class Keep:
    """Says which operations a revoke leaves as they are [SG-5, SG-8].

    revoke: its id. operations: ids, ascending, each once, at least one.
    """

    kind: ClassVar[str] = "keep"
    revoke: str
    operations: tuple[str, ...]

    def __post_init__(self) -> None:
        check_id(self.revoke, "the revoke of a keep", OperationError)
        check_ascending(self.operations, "the operations of a keep", OperationError)

    def to_fields(self) -> dict[str, object]:
        """The canonical value of the fields."""
        return {
            "revoke": bytes.fromhex(self.revoke),
            "operations": [bytes.fromhex(name) for name in self.operations],
        }

    @classmethod
    def from_fields(cls, fields: object) -> Keep:
        """The keep that these decoded fields describe. Raises OperationError."""
        found = map_with_keys(fields, {"operations", "revoke"}, "a keep", OperationError)
        return cls(
            id_from_bytes(found["revoke"], "the revoke of a keep", OperationError),
            ids_from_array(found["operations"], "the operations of a keep", OperationError),
        )


@dataclass(frozen=True)
class Later:
    """What a later version wrote. It is kept and passed on, and changes nothing here [SG-6].

    version, label: of its body, the version and the kind. rest: the encoding of the keys that only it knows.
    """

    kind: ClassVar[str] = "later"
    version: int
    label: str
    rest: bytes

    def __post_init__(self) -> None:
        check_integer(self.version, VERSIONS, "the operation's version", OperationError)
        check_name(self.label, KIND_BYTES, "the operation's kind", OperationError)

    @classmethod
    def of(cls, body: Mapping[str, Any], known: frozenset[str]) -> Later:
        """What a decoded body says beyond the keys that are known."""
        return cls(body["version"], body["kind"], encode({key: body[key] for key in body.keys() - known}))

    def to_map(self) -> dict[str, object]:
        """The keys of a body that it has."""
        rest: dict[str, object] = decode(self.rest)
        return {"version": self.version, "kind": self.label, **rest}
