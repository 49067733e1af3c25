"""Sets of ids for reconciliations, and the other side of one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from mergealgebra.sync.ranges import IdSet
from mergealgebra.sync.reconciliation import Reconciled, answer, reconcile

SALT = bytes(8)
BOB = "http://bob.example"


def hashed(numbers: Iterable[int]) -> set[bytes]:
    """Ids as operations have them."""
    return {hashlib.sha256(number.to_bytes(8)).digest() for number in numbers}


def alike(count: int, prefix: bytes) -> set[bytes]:
    """Ids that somebody chose, all with one prefix."""
    return {prefix + hashlib.sha256(number.to_bytes(8)).digest()[len(prefix) :] for number in range(count)}


@dataclass
class OtherSide:
    """Answers questions about a set. change: what becomes of an answer, by its number from 0."""

    ids: IdSet
    change: Callable[[int, bytes], bytes] = lambda _, found: found
    sizes: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, question: bytes) -> bytes:
        found = self.change(len(self.sizes), answer(question, lambda of: self.ids))
        self.sizes.append((len(question), len(found)))
        return found


def reconciled(ours: set[bytes], theirs: set[bytes], **changes) -> Reconciled:
    return reconcile(IdSet(ours), OtherSide(IdSet(theirs), **changes), "admissible", SALT, BOB)


def check_finds_all(ours: set[bytes], theirs: set[bytes], found: Reconciled) -> None:
    assert set(found.lacking) == theirs - ours
    assert set(found.extra) == ours - theirs
