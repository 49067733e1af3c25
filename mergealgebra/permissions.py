"""Whose permission is missing when somebody cannot read a file of their own or of a colleague's, and what gives it."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from mergealgebra.text import location


def reading_advice(error: OSError, path: Path, otherwise: str) -> str:
    """What to do about a file or folder that cannot be read. otherwise: that, where the modes do not tell."""
    return (missing_permission(path) if isinstance(error, PermissionError) else None) or otherwise


def missing_permission(path: Path) -> str | None:
    """What keeps this process from reading a path, and what to type; None if the modes do not tell."""
    if not hasattr(os, "geteuid"):  # no users and modes as here
        return None
    steps = (path, *path.absolute().parents)
    closed = next((step for step in reversed(steps) if not _is_open(step, os.R_OK if step is path else 0)), None)
    return None if closed is None else _advice(closed, closed.stat())


def may(path: Path, needed: int) -> bool:
    """Whether this process may do to a path what is needed, by the modes."""
    return os.access(path, needed, effective_ids=os.access in os.supports_effective_ids)


def is_member(told: os.stat_result) -> bool:
    """Whether this process is in the group of a file."""
    return told.st_gid in (os.getegid(), *os.getgroups())


def owner_and_group(told: os.stat_result) -> tuple[str, str]:
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


def _is_open(path: Path, needed: int) -> bool:
    if not os.path.lexists(path):
        return True
    return may(path, needed | os.X_OK if os.path.isdir(path) else needed)  # noqa: PTH112 - pathlib raises here


def _advice(path: Path, told: os.stat_result) -> str:
    is_folder = stat.S_ISDIR(told.st_mode)
    mode, target = stat.filemode(told.st_mode), f"{'-R ' if is_folder else ''}%s {shlex.quote(location(path))}"
    if told.st_uid == os.geteuid():
        return f"{location(path)} has the mode {mode} and is yours: `chmod {target % 'u+rX'}`"
    user, group = owner_and_group(told)
    command = f"chmod {target % ('g+rX' if is_member(told) else 'o+rX')}"
    return f"{location(path)} has the mode {mode} and is {user}'s, of the group {group}; {user} opens it: `{command}`"
