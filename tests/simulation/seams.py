"""Where the world enters the product, taken over: nonces and clocks come from the history.

The product draws nonces in `crdt.orset` and `crdt.permission` (`secrets.token_bytes`), names of temporary files in
`store.atomic` (`secrets.token_hex`), times in `history` (`time.time`). Nothing else of it is replaced here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from mergealgebra import history
from mergealgebra.crdt import orset, pack_levels, packs, permission
from mergealgebra.crdt.operations import Operation
from mergealgebra.store import atomic, operation_store, packing
from mergealgebra.sync import blob_parts, object_operations


@contextmanager
def replaced(owner: Any, **values: Any) -> Iterator[None]:
    """Attributes of a module or class replaced while the body runs; far quicker than `unittest.mock`."""
    before = {name: vars(owner)[name] for name in values}
    for name, value in values.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


@contextmanager
def merged_by(branch: int) -> Iterator[None]:
    """So many files of a level are merged, in place of 16 [PK-3]."""
    with ExitStack() as stack:
        for module in (packs, pack_levels, operation_store, packing, object_operations):
            stack.enter_context(replaced(module, BRANCH=branch))
        yield


@contextmanager
def few_leaves() -> Iterator[None]:
    """Blobs of three leaves have several parts [PR-18]."""
    with replaced(blob_parts, PART_LEAVES=2):
        yield


def decoded_once(name: str) -> Any:
    """A decoder of `Operation`, which is a function of its bytes, computed once for each of them in a history."""
    decode = vars(Operation)[name].__func__
    known: dict[tuple[bytes, str], Operation] = {}

    def decoded(cls: type[Operation], data: bytes, workspace: str) -> Operation:
        if (data, workspace) not in known:
            known[data, workspace] = decode(cls, data, workspace)
        return known[data, workspace]

    return classmethod(decoded)


class World:
    """Nonces and times of one history. fact: what is being said; its nonce does not depend on what was said before.

    Two calls for one fact give two nonces, as the operating system would.
    """

    def __init__(self) -> None:
        self.fact = ""
        self.now = 0
        self._drawn: dict[str, int] = {}

    def token_bytes(self, size: int) -> bytes:
        """In place of `secrets.token_bytes`."""
        self._drawn[self.fact] = number = self._drawn.get(self.fact, 0) + 1
        return hashlib.sha256(f"{self.fact}/{number}".encode()).digest()[:size]

    def token_hex(self, size: int) -> str:
        """In place of `secrets.token_hex`."""
        return self.token_bytes(size).hex()

    def time(self) -> float:
        """In place of `time.time`: whatever the clock of this replica shows."""
        return float(self.now)


@contextmanager
def taken_over() -> Iterator[World]:
    """Nonces and clocks of the product are the history's while the body runs."""
    world = World()
    files = _Names()
    nonces = replaced(orset, secrets=world), replaced(permission, secrets=world)
    with nonces[0], nonces[1], replaced(history, time=world), replaced(atomic, secrets=files):
        yield world


class _Names:
    """Names of temporary files, each once: they must not use up the nonces of a fact."""

    def __init__(self) -> None:
        self._made = 0

    def token_hex(self, size: int) -> str:
        self._made += 1
        return f"{self._made:0{2 * size}x}"
