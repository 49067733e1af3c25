"""What syncs that did not end left of blobs: listed, counted, and removed when somebody asks for it [BL-12]."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from mergealgebra.crdt.fields import is_id
from mergealgebra.model_folder.leftovers import not_removed
from mergealgebra.store.entries import PARTIAL, Entry, files_in
from mergealgebra.store.partial_blob import BLOCK_BYTES, MAP, PART

#: A sync writes leaves more often than that.
_IDLE_SECONDS: Final = 60 * 60


@dataclass(frozen=True)
class Unfinished:
    """What a sync that did not end left of a blob. age: seconds since the last leaf came."""

    store: Path
    root: str
    nbytes: int
    age: float
    kind: ClassVar[str] = "tensors that came in part, from which a sync goes on"

    @property
    def path(self) -> Path:
        """Where they are."""
        return self.store / PARTIAL / f"{self.root}{PART}"

    @property
    def is_settled(self) -> bool:
        """Whether no sync is at work on them."""
        return self.age > _IDLE_SECONDS

    def remove(self) -> None:
        """Remove them. Raises OutputError."""
        try:
            for suffix in (PART, MAP):
                Entry(self.store, PARTIAL, f"{self.root}{suffix}").remove()
        except OSError as error:
            raise not_removed(self.path, error) from error


def unfinished_blobs(store: Path) -> list[Unfinished]:
    """The blobs in the making, by root, with the bytes that they take on the disk. Raises OSError."""
    found: dict[str, list[os.stat_result]] = {}
    for name, told in files_in(store, PARTIAL).items():
        root, dot, _ = name.partition(".")
        if is_id(root) and dot + name.partition(".")[2] in (MAP, PART):
            found.setdefault(root, []).append(told)
    now = time.time()
    return [
        Unfinished(
            store,
            root,
            sum(told.st_blocks for told in files) * BLOCK_BYTES,
            max(0.0, now - max(told.st_mtime for told in files)),
        )
        for root, files in sorted(found.items())
    ]
