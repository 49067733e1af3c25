"""Whose permission is missing when somebody cannot read or write a store, and the command that gives it [SY-16]."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from mergealgebra.permissions import is_member, may, owner_and_group
from mergealgebra.store.entries import GENESIS
from mergealgebra.text import location


def missing_right(path: Path) -> str | None:
    """What keeps this process from a path in a store, and the command that gives access; None if the modes do not tell.

    Each folder of the store must be open to reading and writing, and a file to reading.
    """
    if not hasattr(os, "geteuid"):  # no users and modes as here
        return None
    store = next((folder for folder in path.parents if _is_there(folder / GENESIS)), path.parent)
    steps = [step for step in (path, *path.parents) if step.is_relative_to(store)]
    closed = next((step for step in reversed(steps) if not _is_open(step)), None)
    return None if closed is None else _advice(closed, closed.lstat(), store)


def for_group(store: Path) -> str:
    """The command by which the owner of a folder opens all of it to its group."""
    folder = shlex.quote(location(store))
    return f"chmod -R g+rwX {folder}; find {folder} -type d -exec chmod g+s {{}} +"


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)


def _is_open(path: Path) -> bool:
    needed = os.R_OK | os.W_OK | os.X_OK if os.path.isdir(path) else os.R_OK  # noqa: PTH112 - pathlib raises here
    return not _is_there(path) or may(path, needed)


def _advice(path: Path, told: os.stat_result, store: Path) -> str:
    mode = f"{location(path)} has the mode {stat.filemode(told.st_mode)}"
    if told.st_uid == os.geteuid():
        return f"{mode} and is yours: `chmod u+rwX {shlex.quote(location(path))}`"
    user, group = owner_and_group(told)
    mode = f"{mode} and is {user}'s, of the group {group}"
    if told.st_gid == told.st_uid or user == group:  # a group of the owner's own, which others do not get into
        command = f"chgrp -R GROUP {shlex.quote(location(store))}; {for_group(store)}"
        return f"{mode}; {user} opens it to a GROUP that you are both in: `{command}`"
    need = "" if is_member(told) else f", and you get into the group {group}"
    return f"{mode}; {user} opens it to the group: `{for_group(store)}`{need}"
