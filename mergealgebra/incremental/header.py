"""The header of a kept aggregate: what it is the aggregate of, and which file holds its pages.

It is sealed whole, so it says what this workspace wrote at some time. That may be long ago, or it may be about other
contributions than are visible now: it does no harm. A contribution's id stands for its base, form, coefficient and
bytes, and the recipe's id for all else that sums depend on. So an aggregate is right for as long as it names the
recipe, whichever contributions are in it, and what comes or goes since then is put in or taken out. What statistics
found was proved before it came here, or found in the bytes that the ids stand for. The seal of each page is in the
header, so pages of another file do not fit, nor older ones.
"""

from __future__ import annotations

import hmac
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from mergealgebra.algebra.exact import LIMITS
from mergealgebra.crdt.genesis import SPEC
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.encoding import decode, encode
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.incremental.pages import BITS, RECORD, VOTES, Bytes, Element, Layout, Paged
from mergealgebra.incremental.seals import HEADER_BYTES, Seal

_FORMAT: Final = 3


@dataclass(frozen=True)
class Entry:
    """A contribution that is in an aggregate: how many of its elements trim kept, and its packed thresholds."""

    manifest: Manifest
    kept: int
    thresholds: bytes

    @classmethod
    def of(cls, value: Any) -> Self:
        """The entry that a decoded value is. Raises OperationError or ValueError."""
        match value:
            case [manifest, int(kept), bytes(thresholds)]:
                return cls(Manifest.from_map(manifest), kept, thresholds)
        raise ValueError(value)


@dataclass(frozen=True)
class Header:
    """What an aggregate is the aggregate of, and where its pages are.

    recipe: its id. entries: in any order; their manifests name the base. least: the biased exponent of the least grid
    of any coefficient that ever was in it. token: names its file. table: a record for each page.
    """

    recipe: str
    entries: tuple[Entry, ...]
    least: int
    layout: Layout
    token: str
    table: Bytes

    def encode(self, seal: Seal) -> bytes:
        """The file: its seal, then the canonical encoding."""
        value = {
            "bits": self.layout.element.bits,
            "contributions": [[entry.manifest.to_map(), entry.kept, entry.thresholds] for entry in self.entries],
            "format": _FORMAT,
            "least": self.least,
            "pages": self.table.tobytes(),
            "recipe": self.recipe,
            "spec": SPEC,
            "sums": self.layout.element.sums,
            "tensors": [[one.name, one.size, one.unit, one.page] for one in self.layout.tensors],
            "token": self.token,
            "votes": self.layout.element.votes,
        }
        data = encode(value)
        return seal.of_header(data) + data

    @classmethod
    def decode(cls, data: bytes, seal: Seal) -> Header | None:
        """The inverse; None for anything else. Nothing is decoded before its seal has been checked."""
        sealed, body = data[:HEADER_BYTES], data[HEADER_BYTES:]
        if not hmac.compare_digest(seal.of_header(body), sealed):
            return None
        with suppress(MergeAlgebraError, ArithmeticError, LookupError, TypeError, ValueError):
            return cls._made(decode(body, max_bytes=len(body)))
        return None

    @classmethod
    def _made(cls, value: Any) -> Header | None:
        if (value["format"], value["spec"]) != (_FORMAT, SPEC) or value["votes"] not in VOTES:
            return None
        if not 0 <= value["least"] < LIMITS.size or value["sums"] < 1 or value["bits"] not in BITS:
            return None
        entries = tuple(Entry.of(entry) for entry in value["contributions"])
        tensors = tuple(
            Paged(str(name), int(size), int(unit), int(page)) for name, size, unit, page in value["tensors"]
        )
        layout = Layout(tensors, Element(int(value["sums"]), value["votes"], int(value["bits"])))
        table = np.frombuffer(value["pages"], np.uint8).reshape(layout.pages, RECORD)
        return cls(value["recipe"], entries, int(value["least"]), layout, str(value["token"]), table)
