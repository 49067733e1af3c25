"""What killed commands of a workspace left: unfinished models wherever it wrote them, stale files in `tmp` [LK-7]."""

from __future__ import annotations

import os
import re
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from mergealgebra.model_folder.leftovers import STALE_SECONDS, UnfinishedModel, not_removed, unfinished_at
from mergealgebra.store.entries import TMP, Entry, opened_part
from mergealgebra.store.runs import Runs

#: The names that `store.atomic` gives.
_PART: Final = re.compile("[0-9]+-[0-9a-f]{16}[.]part")


@dataclass(frozen=True)
class StaleFile:
    """A file under `tmp` that nobody has written to for a day."""

    store: Path
    name: str
    nbytes: int
    age: float
    kind: ClassVar[str] = "unfinished file"

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.store / TMP / self.name

    def remove(self) -> None:
        """Remove it, if it is still there. Raises OutputError."""
        try:
            Entry(self.store, TMP, self.name).remove()
        except OSError as error:
            raise not_removed(self.path, error) from error


Leftover = UnfinishedModel | StaleFile


def leftovers(store: Path) -> list[Leftover]:
    """All that killed commands of a workspace left."""
    return [*unfinished_models(store), *stale_files(store)]


def unfinished_models(store: Path) -> list[UnfinishedModel]:
    """The unfinished models of this workspace's dead merges, wherever they are."""
    return [found for folder in Runs(store).folders() if (found := unfinished_at(folder)) is not None]


def stale_files(store: Path) -> list[StaleFile]:
    """The stale files of this user under the workspace's own `tmp`, by name."""
    found = []
    with suppress(OSError), opened_part(store, TMP) as tmp:
        for name in sorted(filter(_PART.fullmatch, os.listdir(tmp))):  # noqa: PTH208 - names
            with suppress(FileNotFoundError):
                status = os.stat(name, dir_fd=tmp, follow_symlinks=False)
                age = time.time() - status.st_mtime
                if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and age > STALE_SECONDS:
                    found.append(StaleFile(store, name, status.st_size, age))
    return found
