"""The index of a store: which packs and single operations there are, for who cannot list them [PK-8].

It is a hint that writers rewrite. Nothing is concluded from it but what to ask for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mergealgebra.crdt.fields import check_id, map_with_keys
from mergealgebra.encoding import decode, encode
from mergealgebra.errors import EncodingError, PackError
from mergealgebra.text import shown

#: The name of the index in the folder of packs.
INDEX: Final = "index"
#: How many packs, and how many operations, it may name.
MOST_NAMED: Final = 1 << 16
_ID: Final = 32
MAX_INDEX_BYTES: Final = 2 * MOST_NAMED * _ID + 64


@dataclass(frozen=True)
class PackIndex:
    """Names of packs, and ids of operations in files of their own, both ascending. Raises PackError."""

    packs: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for names, what in ((self.packs, "packs"), (self.operations, "operations")):
            for name in names:
                check_id(name, f"one of the index's {what}", PackError)
            if list(names) != sorted(set(names)) or len(names) > MOST_NAMED:
                raise PackError(
                    f"the {what} of the index are {len(names)} ids, not at most {MOST_NAMED}, ascending, each once"
                )

    def encode(self) -> bytes:
        """The bytes of the index [PK-8]."""
        return encode({"operations": _joined(self.operations), "packs": _joined(self.packs)})

    @classmethod
    def decode(cls, data: bytes) -> PackIndex:
        """The index of these bytes. Raises PackError."""
        try:
            value = decode(data, max_bytes=MAX_INDEX_BYTES)
        except EncodingError as error:
            raise PackError(f"the index is not canonical: {error}") from error
        found = map_with_keys(value, {"operations", "packs"}, "the index", PackError)
        return cls(_ids(found["packs"], "packs"), _ids(found["operations"], "operations"))


def _joined(names: Iterable[str]) -> bytes:
    return b"".join(map(bytes.fromhex, names))


def _ids(value: object, what: str) -> tuple[str, ...]:
    if not isinstance(value, bytes) or len(value) % _ID:
        raise PackError(f"the {what} of the index are {shown(value)}, not ids of {_ID} bytes")
    return tuple(value[at : at + _ID].hex() for at in range(0, len(value), _ID))
