"""The folder beside OUT in which a model is written: its name, and the lock that says that its writer lives [LK-7]."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from mergealgebra.disk import opened_folder

_NAME: Final = re.compile(r"\..+\.([0-9a-f]{16})\.unfinished", re.DOTALL)
#: So much of OUT's name goes into it: with what is added, no system finds it too long that took OUT's.
_NAME_BYTES: Final = 200

#: What is told where a folder will be, and stays open until it is gone.
Noted = Callable[[Path], AbstractContextManager[object]]


def token_of(name: str) -> str | None:
    """The random part of the name of such a folder; None for any other name."""
    match = _NAME.fullmatch(name)
    return match[1] if match else None


@contextmanager
def unfinished_folder(out: Path, noted: Noted) -> Iterator[Path]:
    """A new folder beside `out`, locked while the body runs and gone at the end. Raises OSError."""
    folder = out.parent / f".{_beginning(out.name)}.{secrets.token_hex(8)}.unfinished"
    with noted(folder):
        folder.mkdir()
        try:
            with opened_folder(folder) as descriptor:
                lock(descriptor)
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def lock(descriptor: int) -> bool:
    """Take the lock of a folder until its descriptor is closed; False on a file system without locks.

    Raises BlockingIOError when somebody else holds it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


def _beginning(name: str) -> str:
    encoded = os.fsencode(name)
    return name if len(encoded) <= _NAME_BYTES else encoded[:_NAME_BYTES].decode(errors="ignore")
