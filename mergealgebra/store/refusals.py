"""How a store's files are read: what cannot be read becomes an error of one line, with what to do [SY-3]."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mergealgebra.disk import NotAFile, NotAFolder, TooLarge, refused_as_output
from mergealgebra.errors import MergeAlgebraError, OutputError
from mergealgebra.store.entries import Entry
from mergealgebra.store.rights import missing_right
from mergealgebra.text import location


def read_entry(entry: Entry, most: int, refusal: type[MergeAlgebraError]) -> bytes:
    """All bytes of an entry; where they cannot be read, the refusal is one line."""
    try:
        return entry.read(most)
    except FileNotFoundError:
        raise refusal(f"{location(entry.path)} is missing; sync again") from None
    except TooLarge as error:
        raise refusal(f"{location(entry.path)} is damaged: {error.strerror}; delete it and sync again") from None
    except OSError as error:
        raise refusal(
            f"{location(entry.path)} cannot be read: {error.strerror}; {advice(error, entry.path)}"
        ) from error


@contextmanager
def refused_as(refusal: type[MergeAlgebraError], path: Path) -> Iterator[None]:
    """What the operating system refuses to read becomes one line with the path and what to do."""
    try:
        yield
    except OSError as error:
        raise refusal(f"{location(path)} cannot be read: {error.strerror}; {advice(error, path)}") from error


@contextmanager
def refused_in_store(path: Path) -> Iterator[None]:
    """What the operating system refuses to write becomes an OutputError, which says whose permission is missing."""
    with refused_as_output(path):
        try:
            yield
        except PermissionError as error:
            if (needed := missing_right(path)) is None:
                raise
            raise OutputError(f"{location(path)} cannot be written: {error.strerror}; {needed}") from error


def advice(error: OSError, path: Path) -> str:
    """What to do about a file that cannot be read; it may be good, so nobody is told to delete it."""
    if isinstance(error, NotAFile):
        return "move it away and sync again"
    if isinstance(error, NotAFolder):
        return "put the folder itself there"
    needed = missing_right(path) if isinstance(error, PermissionError) else None
    return needed or "check the disk, and its permissions"
