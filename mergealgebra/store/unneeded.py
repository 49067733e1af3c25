"""What a replica does not need: tensors of retracted contributions, and its cache; freed when asked for [SY-13].

Another process may be about to make tensors visible again. A sync writes the `add` and then looks for the blob: so we
first move a blob aside, and then read what is visible. A `contribute` finds the blob and then writes its `add`: so it
sets the blob's time to now, and a young blob stays.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar, Final

from mergealgebra.crdt.orset import ORSet
from mergealgebra.errors import OutputError, WorkspaceError
from mergealgebra.model_folder.leftovers import not_removed
from mergealgebra.store.atomic import set_aside
from mergealgebra.store.blob_store import root_of
from mergealgebra.store.cache import AGGREGATE, ANSWERS
from mergealgebra.store.entries import BLOBS, Entry, files_in, opened_part
from mergealgebra.store.inspection import HEADER_BYTES
from mergealgebra.store.objects import Store
from mergealgebra.store.private import private_key
from mergealgebra.store.refusals import refused_as
from mergealgebra.store.usage import visible_roots
from mergealgebra.text import location
from mergealgebra.wanted import known_manifests

#: The `add` that names a blob follows it within moments; clocks of other machines may be wrong by minutes.
SETTLING_SECONDS: Final = 60 * 60


@dataclass(frozen=True, eq=False)
class Needed:
    """The roots of visible tensors, read again when there are operations that were not there before."""

    store: Store
    _read: list[tuple[ORSet, frozenset[str]]] = field(default_factory=list)

    def __contains__(self, root: str) -> bool:
        state = self.store.state()  # the same object while nothing is new
        if not self._read or self._read[-1][0] is not state:
            self._read[:] = [(state, visible_roots(state))]
        return root in self._read[-1][1]


@dataclass(frozen=True)
class UnneededBlob:
    """Tensors that no visible contribution needs. kind: whose they were. age: seconds since they were written."""

    needed: Needed
    root: str
    kind: str
    nbytes: int
    age: float
    option: ClassVar[str] = "--retracted"

    @property
    def path(self) -> Path:
        """Where they are."""
        return self.needed.store.blob_path(self.root)

    @property
    def is_settled(self) -> bool:
        """Whether they are too old for an `add` that is still to come."""
        return self.age > SETTLING_SECONDS

    def remove(self) -> None:
        """Remove them, unless they are needed again. Raises OutputError."""
        store = self.needed.store
        try:
            with set_aside(store.blob(self.root)) as told:
                if told is not None and (_age(told) <= SETTLING_SECONDS or self.root in self.needed):
                    raise OutputError(f"{location(self.path)} came into use again and stays; run gc again for the rest")
        except OSError as error:
            raise not_removed(self.path, error) from error
        store.forget_report(self.root)


def unneeded_blobs(store: Store) -> list[UnneededBlob]:
    """The tensors in a replica that nothing visible needs, by root. Raises as `state` does, and WorkspaceError."""
    state = store.state()
    visible, retracted = visible_roots(state), _retracted(state)
    needed = Needed(store)
    with refused_as(WorkspaceError, store.path / BLOBS):
        found = {root_of(name): told for name, told in files_in(store.path, BLOBS).items()}
    return [
        UnneededBlob(needed, root, retracted.get(root, "tensors that nothing here names"), told.st_size, _age(told))
        for root, told in sorted((root, told) for root, told in found.items() if root is not None)
        if root not in visible
    ]


def _retracted(state: ORSet) -> Mapping[str, str]:
    """Whose tensors those of each root were."""
    ids: dict[str, list[str]] = {}
    for id_, manifest in sorted(known_manifests(state).items()):
        for root in manifest.roots():
            ids.setdefault(root, []).append(id_[:12])
    return {root: f"tensors of {_first_of(own)}, retracted" for root, own in ids.items()}


def _first_of(ids: Sequence[str]) -> str:
    return ids[0] if len(ids) == 1 else f"{ids[0]} and {len(ids) - 1} more"


@dataclass(frozen=True)
class CachedAnswers:
    """What was found out once. part: the folder that it is in. age: seconds since the last was written."""

    store: Path
    part: str
    nbytes: int
    age: float
    option: ClassVar[str] = "--cache"
    is_settled: ClassVar[bool] = True

    @property
    def kind(self) -> str:
        """What they are."""
        return ANSWERS[self.part]

    @property
    def path(self) -> Path:
        """The folder that they are in."""
        return self.store / self.part

    def remove(self) -> None:
        """Remove them. Raises OutputError."""
        try:
            for name in files_in(self.store, self.part):
                Entry(self.store, self.part, name).remove()
        except OSError as error:
            raise not_removed(self.path, error) from error


@dataclass(frozen=True)
class CachedAggregate:
    """The sums that `resolve --keep-aggregate` left. age: seconds since they were written."""

    store: Path
    nbytes: int
    age: float
    kind: ClassVar[str] = "kept aggregate, without which the next merge reads all contributions"
    option: ClassVar[str] = "--cache"
    is_settled: ClassVar[bool] = True

    @property
    def path(self) -> Path:
        """The folder that it is in."""
        return self.store / AGGREGATE

    def remove(self) -> None:
        """Remove it, but not what a living merge is writing. Raises OutputError."""
        from mergealgebra.incremental.folder import Home  # slow to load, and most replicas keep nothing

        home = Home(partial(opened_part, self.store, AGGREGATE), partial(private_key, self.store))
        try:
            with home.opened(HEADER_BYTES) as folder:
                folder.clear()
        except OSError as error:
            raise not_removed(self.path, error) from error


Unneeded = UnneededBlob | CachedAnswers | CachedAggregate


def caches(store: Path) -> list[CachedAnswers | CachedAggregate]:
    """What a replica keeps to save time. Raises WorkspaceError."""
    found: list[CachedAnswers | CachedAggregate] = [
        CachedAnswers(store, part, *told) for part in ANSWERS if (told := _told(store, part))
    ]
    if told := _told(store, AGGREGATE):
        found.append(CachedAggregate(store, *told))
    return found


def _told(store: Path, part: str) -> tuple[int, float] | None:
    """The bytes in a folder, and seconds since the last file was written; None for an empty one."""
    with refused_as(WorkspaceError, store / part):
        files = files_in(store, part).values()
    return (sum(told.st_size for told in files), min(map(_age, files))) if files else None


def _age(told: os.stat_result) -> float:
    return max(0.0, time.time() - told.st_mtime)
