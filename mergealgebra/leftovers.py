"""What killed merges left beside their OUT: found, told of, and removed when somebody asks for it [LK-7].

Anybody may put anything under the name of such a folder, our finished models too, where others can rename them. So one
counts only if it is a folder of this user's with the mark in it, whose writer is dead and which holds what a merge
writes and nothing else; and it is removed through its descriptor.
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
from mergealgebra.engine.unfinished import MARK, announced, is_same, remove_same, token_of
from mergealgebra.errors import OutputError
from mergealgebra.tensors.single_file import is_single_file, lock_beside
from mergealgebra.text import place

#: Where there are no locks, what nobody has written to for so long has no writer.
STALE_SECONDS: Final = 24 * 60 * 60
#: An empty folder that is younger may be one that a merge has just made and not locked yet.
STARTING_SECONDS: Final = 60

_WRITTEN: Final = re.compile(
    "model(-[0-9]{5,}-of-[0-9]{5,})?[.]safetensors|model[.]safetensors[.]index[.]json|README[.]md"
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
                for name in sorted(held.files, key=MARK.__eq__):  # the mark last: who is interrupted comes again
                    os.unlink(name, dir_fd=held.folder)
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
    return OutputError(f"{place(path)} cannot be removed: {error.strerror}; check its permissions, and run gc again")


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
    command = f"mergealgebra gc --delete {shlex.quote(place(folder))}"
    return [f"{place(folder)} holds {models}, {nbytes:,} bytes; `{command}` removes what is left"]


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
    """A dead merge's folder, open and locked, with its files."""

    parent: int
    folder: int
    files: Mapping[str, os.stat_result]
    age: float

    def withdraw_lock(self) -> None:
        """Remove the lock that stands beside it without its model, where that is as far as it came [LK-9]."""
        from mergealgebra.lock import LOCK
        from mergealgebra.tensors.folder import MODEL

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
        files, status = _files(folder), os.fstat(folder)
        if files is None or status.st_uid != os.geteuid() or (not files and _age(status) < STARTING_SECONDS):
            return None
        locked = lock(folder)
        files = _files(folder)  # now that nobody else writes there
        named = os.stat(path.name, dir_fd=parent, follow_symlinks=False)
    except (OSError, ValueError):  # gone, not a folder, in use, closed to us, or not a path of any system
        return None
    if files is None or not os.path.samestat(status, named):  # its writer has just given it its name
        return None
    age = min(map(_age, (status, *files.values())))
    return _Held(parent, folder, files, age) if locked or age > STALE_SECONDS else None


def _files(folder: int) -> dict[str, os.stat_result] | None:
    """The files in an open folder; None if it holds anything that no merge writes, or has lost its mark."""
    files = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            files[entry.name] = entry.stat(follow_symlinks=False)
    if not files:
        return files
    if MARK not in files or not all(stat.S_ISREG(status.st_mode) for status in files.values()):
        return None
    copied = announced(folder)
    return files if all(_is_written(name, copied) for name in files) else None


def _is_written(name: str, copied: Set[str]) -> bool:
    from mergealgebra.lock import LOCK  # hardly any workspace has such a folder to look into
    from mergealgebra.tensors.companions import is_companion

    named = name in (MARK, LOCK) or _WRITTEN.fullmatch(name) is not None
    return named or (name in copied and is_companion(name))


def _age(status: os.stat_result) -> float:
    return max(0.0, time.time() - status.st_mtime)
