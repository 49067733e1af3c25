"""What the calls of peers carry, beside questions and answers of a reconciliation [PR-11, PR-12, BL-4].

Canonical bytes, read strictly: sizes and counts are judged before anything is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mergealgebra.crdt.fields import is_id, map_with_keys
from mergealgebra.crdt.operations import MAX_OPERATION_BYTES
from mergealgebra.encoding import MAX_BYTES, decode, encode
from mergealgebra.errors import PeerError
from mergealgebra.sync.message_fields import array_of, bytes_of, entry_of, number_of, pieces_of
from mergealgebra.sync.messages import ANSWER_BYTES, QUESTION_BYTES
from mergealgebra.sync.ranges import ID_BYTES
from mergealgebra.text import shortened, shown

#: Ids in one call.
MOST_ASKED: Final = 1 << 12
#: Operations, and their bytes, in one call.
MOST_GIVEN: Final = 1 << 12
BATCH_BYTES: Final = 1 << 21
#: Characters of a reason.
MOST_REASON: Final = 400

#: Leaves in one run, and the highest number of one.
MOST_LEAVES: Final = 16
MOST_NUMBER: Final = 1 << 32

#: Every call, with the most bytes of what is asked and of what is answered.
GENESIS: Final = "genesis"
RECONCILE: Final = "reconcile"
OPERATIONS: Final = "operations"
PUT: Final = "put"
BLOBS: Final = "blobs"
_CARRIED: Final = BATCH_BYTES + MAX_OPERATION_BYTES + (1 << 16)
_GENESIS_BYTES: Final = MAX_BYTES + 100
CALLS: Final = {
    GENESIS: (0, _GENESIS_BYTES),
    RECONCILE: (QUESTION_BYTES, ANSWER_BYTES),
    OPERATIONS: (1 << 18, _CARRIED),
    PUT: (_CARRIED, 1 << 21),
    BLOBS: (1 << 18, 1 << 16),
}
#: Those that change nothing: a server asks for no signature where everybody may read [PR-21].
READING: Final = frozenset({GENESIS, RECONCILE, OPERATIONS, BLOBS})


def most_asked(call: str) -> int:
    """How long what is asked in a call may be. Raises PeerError for one that there is not."""
    if call not in CALLS:
        raise PeerError(f"there is no call {shown(call)}, only {', '.join(CALLS)}")
    return CALLS[call][0]


def write_genesis(genesis: bytes, maintainers: bytes) -> bytes:
    """The encoding of a genesis, and the root of the operations that maintainers made."""
    return encode({"genesis": genesis, "maintainers": maintainers})


def read_genesis(data: bytes) -> tuple[bytes, bytes]:
    """The same from their bytes; the genesis is not looked at. Raises PeerError or EncodingError."""
    value = decode(data, max_bytes=_GENESIS_BYTES)
    found = map_with_keys(value, {"genesis", "maintainers"}, "the answer", PeerError)
    genesis = bytes_of(found["genesis"], range(MAX_BYTES + 1), "the genesis")
    return genesis, bytes_of(found["maintainers"], (ID_BYTES,), "the root of what maintainers made")


# Ids, and what is known of each


def write_ids(ids: Sequence[bytes]) -> bytes:
    """Ids or roots that are asked for."""
    return encode({"ids": b"".join(ids)})


def read_ids(data: bytes) -> tuple[bytes, ...]:
    """The same from their bytes. Raises PeerError or EncodingError."""
    found = map_with_keys(decode(data), {"ids"}, "what is asked", PeerError)
    return pieces_of(found["ids"], ID_BYTES, MOST_ASKED, "the ids that are asked for")


def write_operations(operations: Sequence[bytes | None]) -> bytes:
    """The encodings of operations, None for one that is not there."""
    return encode({"operations": list(operations)})


def read_operations(data: bytes, most: int = MOST_GIVEN) -> list[bytes | None]:
    """The same from their bytes; what is in an encoding is not looked at. Raises PeerError or EncodingError."""
    found = map_with_keys(decode(data, max_bytes=_CARRIED), {"operations"}, "the operations", PeerError)
    operations = array_of(found["operations"], most, "the operations")
    for one in operations:
        if one is not None and not isinstance(one, bytes):
            raise PeerError(f"one of the operations is {shown(one)}, not bytes")
    return operations


def batches(operations: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Operations in as many pieces as calls take, in their order."""
    start, nbytes = 0, 0
    for at, one in enumerate(operations):
        if at > start and (nbytes + len(one) > BATCH_BYTES or at - start == MOST_GIVEN):
            yield operations[start:at]
            start, nbytes = at, 0
        nbytes += len(one)
    if start < len(operations):
        yield operations[start:]


def write_refusals(refusals: Sequence[tuple[int, str]]) -> bytes:
    """Which of the operations that were put were not taken, by their positions, and why."""
    return encode({"refused": [[position, shortened(reason, MOST_REASON)] for position, reason in refusals]})


def read_refusals(data: bytes, given: int) -> list[tuple[int, str]]:
    """The same from their bytes. given: how many were put. Raises PeerError or EncodingError."""
    found = map_with_keys(decode(data, max_bytes=CALLS[PUT][1]), {"refused"}, "what was refused", PeerError)
    entries = (entry_of(one, 2, "a refusal") for one in array_of(found["refused"], given, "the refusals"))
    return [(number_of(position, range(given), "what is refused"), _reason(reason)) for position, reason in entries]


def write_sizes(sizes: Sequence[int | None]) -> bytes:
    """The sizes of blobs, None for one that is not there."""
    return encode({"sizes": list(sizes)})


def read_sizes(data: bytes, asked: int) -> list[int | None]:
    """The same from their bytes. asked: of how many. Raises PeerError or EncodingError."""
    found = map_with_keys(decode(data), {"sizes"}, "the sizes", PeerError)
    sizes: list[Any] = array_of(found["sizes"], asked, "the sizes")
    if len(sizes) != asked:
        raise PeerError(f"there are {len(sizes)} sizes of {asked} blobs")
    return [None if size is None else number_of(size, range(1 << 53), "a size") for size in sizes]


# Leaves


@dataclass(frozen=True)
class Run:
    """Neighbouring leaves of the blob with this root [BL-3]."""

    root: str
    first: int
    count: int

    @property
    def numbers(self) -> range:
        """Their numbers."""
        return range(self.first, self.first + self.count)

    def checked(self) -> Run:
        """This, if one call may be about it. Raises PeerError."""
        if not is_id(self.root):
            raise PeerError(f"{shown(self.root)} is not a root, 64 digits 0-9a-f")
        if not (0 <= self.first < MOST_NUMBER and 1 <= self.count <= MOST_LEAVES):
            raise PeerError(f"a run is of 1 to {MOST_LEAVES} leaves, not of {self.count} from {self.first} on")
        return self


def runs_of(root: str, numbers: Sequence[int], most: int = MOST_LEAVES) -> Iterator[Run]:
    """Ascending numbers of leaves in runs of at most so many.

    >>> [(run.first, run.count) for run in runs_of("ab", [0, 1, 2, 7, 8], 2)]
    [(0, 2), (2, 1), (7, 2)]
    """
    start = 0
    for at in range(1, len(numbers) + 1):
        if at == len(numbers) or numbers[at] != numbers[at - 1] + 1 or at - start == most:
            yield Run(root, numbers[start], at - start)
            start = at


def write_wanted(here: bytes, packing: int) -> bytes:
    """Which leaves somebody who was given a map has, and what they can unpack [BL-11]."""
    return encode({"here": here, "packing": packing})


def read_wanted(data: bytes, leaves: int) -> tuple[bytes, int]:
    """The same from their bytes. leaves: how many there are. Raises PeerError or EncodingError."""
    found = map_with_keys(decode(data), {"here", "packing"}, "what is lacking", PeerError)
    here = bytes_of(found["here"], (-(-leaves // 8),), "the leaves that are there")
    return here, number_of(found["packing"], range(3), "what can be unpacked")


def _reason(reason: object) -> str:
    if not isinstance(reason, str):
        raise PeerError(f"a reason is {shown(reason)}, not text")
    return shortened(reason, MOST_REASON)
