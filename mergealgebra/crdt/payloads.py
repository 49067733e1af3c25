"""What operations of every workspace say: a contribution is there, or taken back, or a merge gave a root [OS-4]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from mergealgebra.crdt.fields import check_ascending, check_id, id_from_bytes, ids_from_array, map_with_keys
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.errors import OperationError
from mergealgebra.text import shown

NONCE_BYTES: Final = 16
#: How long the name of whoever made an operation, or whom a grant is for, may be [OS-3, SG-5].
NAME_BYTES: Final = range(1, 257)
#: The most operations that one remove or keep is made to name, within what an operation can hold [OS-10].
MOST_NAMES: Final = 1 << 14


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
        check_ascending(self.operations, "the operations of a remove", OperationError)

    def to_fields(self) -> dict[str, object]:
        """The canonical value of the fields."""
        return {"operations": [bytes.fromhex(name) for name in self.operations]}

    @classmethod
    def from_fields(cls, fields: object) -> Remove:
        """The remove that these decoded fields describe. Raises OperationError."""
        found = map_with_keys(fields, {"operations"}, "a remove", OperationError)
        return cls(ids_from_array(found["operations"], "the operations of a remove", OperationError))


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
