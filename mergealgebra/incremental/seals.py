"""Seals: what shows that this workspace itself wrote what its cache holds [SY-9].

A seal is a keyed BLAKE2b (RFC 7693) over what is sealed, or over its place and its SHA-256. Whoever lacks the key sees
a random function: no seal of one thing tells anything about that of another. So nobody else can make the seal of
something that was not sealed, but by guessing it, or by finding two byte strings with one SHA-256.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from mergealgebra.encoding import encode

if TYPE_CHECKING:  # `status` checks seals, and starts without arrays
    import numpy as np

    from mergealgebra.engine.sources import Block

#: Bytes of a private key.
KEY_BYTES: Final = 32
#: Bytes of the seals of a header, and of a page or an input: none of these is guessed.
HEADER_BYTES: Final = 32
PAGE_BYTES: Final = 16


class Seal:
    """The seals that one private key makes. key: random bytes that nobody else can read."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of_header(self, body: bytes) -> bytes:
        """The seal of the header of an aggregate."""
        return hashlib.blake2b(body, digest_size=HEADER_BYTES, key=self._key, person=b"header").digest()

    def of_entry(self, body: bytes) -> bytes:
        """The seal of an entry of a cache, with the place that it is in."""
        return hashlib.blake2b(body, digest_size=HEADER_BYTES, key=self._key, person=b"entry").digest()

    def of_records(self, body: bytes) -> bytes:
        """The seal of what a pack of operations holds."""
        return hashlib.blake2b(body, digest_size=HEADER_BYTES, key=self._key, person=b"records").digest()

    def of_page(self, token: str, page: Block, memory: np.ndarray[Any, Any]) -> bytes:
        """The seal of a page of an aggregate: of its bytes, in its index, in this file of pages and no other."""
        return self._in_place(b"page", token, page, memory)

    def of_input(self, contribution: str, page: Block, values: np.ndarray[Any, Any], kind: str = "") -> int:
        """The seal of what a contribution, by its id, holds of a page. Those of all inputs are joined by exclusive or.

        kind: of auxiliary tensors.

        That is a seal of them all: of a contribution only those bytes were ever sealed that its id stands for, once
        their root had been checked. Other bytes bring in a random number that nobody knows and nothing takes out
        again, whichever joined seals were seen before.
        """
        return int.from_bytes(self._in_place(b"input", contribution, page, values, *([kind] if kind else [])))

    def _in_place(self, person: bytes, whose: str, page: Block, memory: np.ndarray[Any, Any], *further: str) -> bytes:
        # SHA-256 is the faster of the two on whole pages, and lets other threads run meanwhile.
        content = hashlib.sha256(memory.view("u1").data).digest()
        what = encode([whose, page.name, page.start, *further]) + content
        return hashlib.blake2b(what, digest_size=PAGE_BYTES, key=self._key, person=person).digest()
