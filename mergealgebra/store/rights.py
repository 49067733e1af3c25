"""Whose permission is missing when somebody cannot read or write a store, and the command that gives it [SY-16]."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from mergealgebra.store.entries import GENESIS
from mergealgebra.text import place


def missing_right(path: Path) -> str | None:
    """What keeps this process from a path in a store, and what to type; None if the modes do not tell.

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
    folder = shlex.quote(place(store))
    return f"chmod -R g+rwX {folder}; find {folder} -type d -exec chmod g+s {{}} +"


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)


def _is_open(path: Path) -> bool:
    needed = os.R_OK | os.W_OK | os.X_OK if os.path.isdir(path) else os.R_OK  # noqa: PTH112 - pathlib raises here
    return not _is_there(path) or os.access(path, needed, effective_ids=os.access in os.supports_effective_ids)


def _advice(path: Path, told: os.stat_result, store: Path) -> str:
    mode = f"{place(path)} has the mode {stat.filemode(told.st_mode)}"
    quoted = shlex.quote(place(path))
    if told.st_uid == os.geteuid():
        return f"{mode} and is yours: `chmod u+rwX {quoted}`"
    user, group = _names(told)
    member = told.st_gid in (os.getegid(), *os.getgroups())
    need = "" if member else f", and you get into the group {group}"
    return f"{mode} and is {user}'s, of the group {group}; {user} opens it to the group: `{for_group(store)}`{need}"


def _names(told: os.stat_result) -> tuple[str, str]:
    """The names of a file's user and group; their numbers where they have none."""
    import grp
    import pwd

    try:
        user = pwd.getpwuid(told.st_uid).pw_name
    except KeyError:
        user = f"user {told.st_uid}"
    try:
        return user, grp.getgrgid(told.st_gid).gr_name
    except KeyError:
        return user, str(told.st_gid)
