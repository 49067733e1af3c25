"""Removing the folder in which a stranger's program ran, whatever the program made of it."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from typing import Final

_FOLDER: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


def remove_folder(path: str) -> None:
    """Remove a folder and all that is in it; of links, the links alone. What cannot be removed stays.

    It may be as deep as a program can make one: each folder inside is emptied by moving those in it to the top, so
    that nothing here is recursive and no path is long.
    """
    with suppress(OSError):
        if not _is_folder(path):
            os.unlink(path)  # noqa: PTH108
            return
        os.chmod(path, 0o700)  # noqa: PTH101 - as below, where it has the descriptor of a folder
        top = os.open(path, _FOLDER)
        try:
            _empty(top)
        finally:
            os.close(top)
        os.rmdir(path)  # noqa: PTH106


def _empty(top: int) -> None:
    """Remove what is in an open folder, level by level. Raises OSError."""
    while names := os.listdir(top):
        for name in names:
            _remove(name, top)


def _remove(name: str, top: int) -> None:
    """Remove what has a name in an open folder; the folders in it are moved to the top."""
    if not _is_folder(name, top):
        os.unlink(name, dir_fd=top)
        return
    os.chmod(name, 0o700, dir_fd=top)
    inside = os.open(name, _FOLDER, dir_fd=top)
    try:
        for inner in os.listdir(inside):  # noqa: PTH208
            if _is_folder(inner, inside):
                os.chmod(inner, 0o700, dir_fd=inside)  # what is moved has to be writable
                os.rename(inner, secrets.token_hex(16), src_dir_fd=inside, dst_dir_fd=top)
            else:
                os.unlink(inner, dir_fd=inside)
    finally:
        os.close(inside)
    os.rmdir(name, dir_fd=top)


def _is_folder(name: str, within: int | None = None) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=within, follow_symlinks=False).st_mode)
