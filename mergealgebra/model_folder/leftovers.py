"""What killed merges left beside their OUT: found, reported, and removed when somebody asks for it [LK-7].

Anybody may put anything under the name of such a folder, even a finished model, where others can rename it. So a folder
counts only if it belongs to this user, has the mark in it, has no living writer, and holds only what a merge writes. It
is removed through its descriptor.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
import time
from collections.abc import Mapping, Set
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from mergealgebra.disk import lock, opened_folder
from mergealgebra.errors import OutputError
from mergealgebra.model_folder.unfinished import MARK, announced, is_same, remove_same, token_of
from mergealgebra.tensors.file_names import DIFFUSERS_STEM, LOCK, MODEL, STEM
from mergealgebra.tensors.single_file import is_single_file, lock_beside
from mergealgebra.text import location

#: Where there are no locks, a folder that has not changed for so long has no writer.
STALE_SECONDS: Final = 24 * 60 * 60
#: An empty folder that is younger may be one that a merge has just made and not locked yet.
STARTING_SECONDS: Final = 60

_WRITTEN: Final = re.compile(
    rf"({STEM}|{DIFFUSERS_STEM})((-[0-9]{{5,}}-of-[0-9]{{5,}})?[.]safetensors|[.]safetensors[.]index[.]json)"
    rf"|README[.]md|{re.escape(LOCK)}"
)


@dataclass(frozen=True)
class UnfinishedModel:
    """The folder in which a merge was writing when it was killed. age: seconds since anything in it changed."""

    path: Path
    nbytes: int
    age: float
    kind: ClassVar[str] = "unfinished model"

    def remove(self) -> None:
        """Remove it, unless it has come to life or another thing has its name. Raises OutputError."""
        try:
            with ExitStack() as stack:
                if (held := _held(self.path, stack)) is None:
                    return
                held.withdraw_lock()
                held.empty()
                os.rmdir(self.path.name, dir_fd=held.parent)
        except OSError as error:
            raise not_removed(self.path, error) from error


def unfinished_in(folder: Path) -> list[UnfinishedModel]:
    """The unfinished models of dead merges in a folder, by name. Raises OSError when it cannot be read."""
    names = sorted(name for name in os.listdir(folder) if token_of(name))  # noqa: PTH208 - names, not paths
    return [found for name in names if (found := unfinished_at(folder / name)) is not None]


def unfinished_at(path: Path) -> UnfinishedModel | None:
    """The unfinished model of a dead merge at a path; None for whatever else is there, at once."""
    with ExitStack() as stack:
        held = _held(path, stack)
        if held is None:
            return None
        return UnfinishedModel(path, sum(file.st_size for file in held.files.values()), held.age)


def not_removed(path: Path, error: OSError) -> OutputError:
    """What the system refused while something was removed."""
    return OutputError(f"{location(path)} cannot be removed: {error.strerror}; check its permissions, and run gc again")


def warnings_beside(out: Path) -> list[str]:
    """What a merge to `out` says of the unfinished models in the same folder; one line, or none."""
    folder = Path(os.path.realpath(out)).parent
    try:
        found = unfinished_in(folder)
    except OSError:
        return []
    if not found:
        return []
    models = "an unfinished model of a killed merge"
    if len(found) > 1:
        models = f"{len(found)} unfinished models of killed merges"
    nbytes = sum(model.nbytes for model in found)
    command = f"mergealgebra gc --delete {shlex.quote(location(folder))}"
    return [f"{location(folder)} holds {models}, {nbytes:,} bytes; `{command}` removes what is left"]


def age_in_words(seconds: float) -> str:
    """A time in its largest unit.

    >>> [age_in_words(seconds) for seconds in (59, 60, 7300, 86400 * 3)]
    ['less than a minute', '1 minute', '2 hours', '3 days']
    """
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return "less than a minute"


@dataclass(frozen=True)
class _Held:
    """A dead merge's folder, open and locked, with its files, and the folders of parts in it, open too.

    files: by name, in a part as PART/NAME.
    """

    parent: int
    folder: int
    parts: Mapping[str, int]
    files: Mapping[str, os.stat_result]
    age: float

    def empty(self) -> None:
        """Remove all that is in it. Raises OSError."""
        own = [name for name in self.files if "/" not in name]
        for path in self.files.keys() - own:
            part, _, name = path.rpartition("/")
            os.unlink(name, dir_fd=self.parts[part])
        for part in self.parts:
            os.rmdir(part, dir_fd=self.folder)
        for name in sorted(own, key=MARK.__eq__):  # the mark last: who is interrupted comes again
            os.unlink(name, dir_fd=self.folder)

    def withdraw_lock(self) -> None:
        """Remove the lock that stands beside it without its model, where that is as far as it came [LK-9]."""
        if not (MODEL in self.files and LOCK in self.files):
            return
        for name in filter(is_single_file, map(Path, announced(self.folder))):
            if name.parent == Path() and not is_same(self.parent, name.name, self.files[MODEL]):
                remove_same(self.parent, lock_beside(name).name, self.files[LOCK])


def _held(path: Path, stack: ExitStack) -> _Held | None:
    """The folder at a path, until the stack ends; None unless it was a merge's, is this user's, and its writer dead."""
    if token_of(path.name) is None:
        return None
    try:
        parent = stack.enter_context(opened_folder(path.parent))
        folder = stack.enter_context(opened_folder(path.name, within=parent))
        found, status = _found_in(folder, stack), os.fstat(folder)
        if found is None or status.st_uid != os.geteuid() or (not found.files and _age(status) < STARTING_SECONDS):
            return None
        locked = lock(folder)
        found = _found_in(folder, stack)  # now that nobody else writes there
        named = os.stat(path.name, dir_fd=parent, follow_symlinks=False)
    except (OSError, ValueError):  # gone, not a folder, in use, closed to us, or not a path of any system
        return None
    if found is None or not os.path.samestat(status, named):  # its writer has just given it its name
        return None
    age = min(map(_age, (status, *found.files.values())))
    return _Held(parent, folder, found.parts, found.files, age) if locked or age > STALE_SECONDS else None


@dataclass(frozen=True)
class _Found:
    """What is in such a folder. parts: the folders in it, open. files: by name, in a part as PART/NAME."""

    parts: Mapping[str, int]
    files: Mapping[str, os.stat_result]


def _found_in(folder: int, stack: ExitStack) -> _Found | None:
    """What is in an open folder; None if it holds anything that no merge writes, or has lost its mark."""
    files, parts = _statuses(folder), dict[str, int]()
    if not files:
        return _Found({}, {})
    if MARK not in files or not stat.S_ISREG(files[MARK].st_mode):
        return None
    told = announced(folder)
    for part in [name for name in files if f"{name}/" in told]:
        parts[part] = stack.enter_context(opened_folder(part, within=folder))
        del files[part]
        files |= {f"{part}/{name}": status for name, status in _statuses(parts[part]).items()}
    sound = all(stat.S_ISREG(status.st_mode) and _is_written(name, told) for name, status in files.items())
    return _Found(parts, files) if sound else None


def _statuses(folder: int) -> dict[str, os.stat_result]:
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat(follow_symlinks=False) for entry in entries}


def _is_written(name: str, copied: Set[str]) -> bool:
    from mergealgebra.tensors.companions import is_companion  # hardly any workspace has such a folder to look into

    written = _WRITTEN.fullmatch(name.rpartition("/")[2]) is not None
    return name == MARK or written or (name in copied and is_companion(name))


def _age(status: os.stat_result) -> float:
    return max(0.0, time.time() - status.st_mtime)
