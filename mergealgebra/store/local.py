"""`local.json`: what only the owner of a replica knows, such as where the base is on this machine [SY-1]."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from mergealgebra.errors import WorkspaceError
from mergealgebra.store.atomic import write_atomically
from mergealgebra.store.objects import GENESIS, TMP, Store
from mergealgebra.text import place

LOCAL: Final = "local.json"


def write_local(store: Store, base: str | os.PathLike[str]) -> None:
    """Write down where the base is here, and which workspace this is. Raises OutputError."""
    found = {"base": str(Path(base).absolute()), "workspace": store.genesis.workspace_id}
    text = json.dumps(found) + "\n"  # in ASCII: not every path is text
    write_atomically(store.path / LOCAL, text.encode(), tmp=store.path / TMP)


def base_path(store: Store) -> Path:
    """Where the base is on this machine. Raises WorkspaceError when nobody wrote it down, or nothing is there."""
    refuse_exchange_folder(store)
    local, base = place(store.path / LOCAL), _read(store).get("base")
    if not isinstance(base, str) or not base or "\0" in base:
        raise WorkspaceError(f'{local} does not say where the base is; write {{"base": "PATH"}} to it, or clone again')
    if not os.path.exists(base):  # noqa: PTH110 - of a path that no system could have, too
        raise WorkspaceError(f"{place(Path(base))} is not there, where {local} says the base is; correct the path")
    return Path(base)


def refuse_exchange_folder(store: Store) -> None:
    """Raise WorkspaceError for a store that is not a workspace of somebody's."""
    if not (store.path / LOCAL).exists():
        raise WorkspaceError(
            f"{place(store.path)} is an exchange folder, and no workspace of yours: clone it, with --base, first; "
            "or, if its init or clone was interrupted, run that again"
        )


def check_genesis(store: Store) -> None:
    """Raise WorkspaceError when the genesis is another than the one that this replica began with.

    Nothing else tells: a genesis with one bit changed is often the sound genesis of another workspace.
    """
    found = store.genesis.workspace_id
    began = _read(store).get("workspace", found)
    if began != found:
        raise WorkspaceError(
            f"{place(store.path / GENESIS)} is damaged: it is that of workspace {found}, and "
            f"{place(store.path / LOCAL)} names {began}; copy the genesis of a peer there"
        )


def _read(store: Store) -> dict[str, object]:
    """What is written down; nothing when that cannot be read."""
    try:
        found = json.loads((store.path / LOCAL).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
