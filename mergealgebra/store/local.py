"""What only the owner of a replica knows [SY-1]: where the base is on this machine, under which name they contribute.

`local.json` lies beside the genesis, and sync never carries it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from mergealgebra.addresses import whole_path
from mergealgebra.crdt.fields import check_name
from mergealgebra.crdt.operations import NAME_BYTES
from mergealgebra.errors import BaseMismatch, MergeAlgebraError, OperationError, WorkspaceError
from mergealgebra.methods.method import Method
from mergealgebra.recipe import complete_recipe
from mergealgebra.store.atomic import write_atomically
from mergealgebra.store.entries import BLOBS, GENESIS, INCOMPLETE, LOCAL, OPERATIONS, PACKS, ROOT, TMP, Entry
from mergealgebra.store.objects import Store, has_genesis, refuse_lost_genesis
from mergealgebra.text import by_caller, command_in, fsck_repair, location, shown

#: A file like `local.json` is much shorter.
_MOST_BYTES: Final = 1 << 20


def is_replica(store: Store | Path) -> bool:
    """Whether a store is somebody's workspace, and not a folder for exchange. Raises OSError."""
    path = store.path if isinstance(store, Store) else store
    return Entry(path, ROOT, LOCAL).is_there()


def write_local(store: Store, base: str | os.PathLike[str], name: str | None = None) -> None:
    """Write down where the base is here, and which workspace this is. name: the owner's, the one that is there if None.

    Raises OutputError.
    """
    found = _read(store.path, LOCAL) | {"base": str(whole_path(base)), "workspace": store.genesis.workspace_id}
    write_json(store.path, LOCAL, found if name is None else found | {"name": name})


def write_name(store: Store, name: str | None) -> None:
    """Write down the name under which the owner contributes, or forget it. Raises OutputError, and as `check_own_name`.

    Raises WorkspaceError for a store that is not a workspace of somebody's.
    """
    refuse_exchange_folder(store)
    check_own_name(name)
    found = {key: value for key, value in _read(store.path, LOCAL).items() if key != "name"}
    write_json(store.path, LOCAL, found if name is None else found | {"name": name})


def write_key(store: Store, path: str | os.PathLike[str] | None) -> None:
    """Write down where the owner's private key is, or forget it: never what is in it [SG-15]. Raises OutputError.

    Raises WorkspaceError for a store that is not a workspace of somebody's.
    """
    refuse_exchange_folder(store)
    found = {key: value for key, value in _read(store.path, LOCAL).items() if key != "key"}
    write_json(store.path, LOCAL, found if path is None else found | {"key": str(whole_path(path))})


def own_key(store: Store) -> str | None:
    """Where the owner's private key is, if they said so."""
    path = _read(store.path, LOCAL).get("key")
    return path if isinstance(path, str) and path and "\0" not in path else None


def own_name(store: Store) -> str | None:
    """The name under which the owner contributes, None without one; never the name of a user of the system.

    Raises WorkspaceError for what no operation can carry.
    """
    name = _read(store.path, LOCAL).get("name")
    try:
        return check_own_name(name)
    except OperationError as error:
        corrects = by_caller(f"{command_in(store.path)} set-name NAME", "set_name(NAME)")
        raise WorkspaceError(f"{location(store.path / LOCAL)}: {error}; `{corrects}` corrects that") from None


def check_own_name(name: object) -> str | None:
    """The same name, or None. Raises OperationError for one that no operation can carry [OS-3], or that nobody sees."""
    if name is None:
        return None
    check_name(name, NAME_BYTES, "your name", OperationError)
    if not str(name).strip():
        raise OperationError(f"your name is {shown(name)}, and nobody would see it; write some letters")
    return str(name)


def unmake(path: Path, *, folder: bool) -> None:
    """Take back what was made of a replica that holds nothing yet; where it holds something, all of it stays.

    folder: take its folder away, too.
    """
    with suppress(OSError):
        for part in (OPERATIONS, PACKS, BLOBS):
            with suppress(FileNotFoundError):
                (path / part).rmdir()
        for name in (INCOMPLETE, LOCAL, GENESIS):
            Entry(path, ROOT, name).remove()
        (path / TMP).rmdir()
        if folder:
            path.rmdir()


def base_path(store: Store) -> Path:
    """Where the base is on this machine. Raises WorkspaceError when nobody wrote it down, or nothing is there."""
    refuse_exchange_folder(store)
    local, base = location(store.path / LOCAL), _read(store.path, LOCAL).get("base")
    advice = f"`{_set_base(store)}` corrects that"
    if not isinstance(base, str) or not base or "\0" in base:
        raise WorkspaceError(f"{local} does not say where the base is; {advice}")
    if not os.path.exists(base):  # noqa: PTH110 - of a path that no system could have, too
        raise WorkspaceError(f"{location(Path(base))} is not there, where {local} says the base is; {advice}")
    return Path(base)


@contextmanager
def advising_set_base(store: Store) -> Iterator[None]:
    """Where another model stands in place of the base, say how to name the right one."""
    try:
        yield
    except BaseMismatch as error:
        advice = f"put the base back, or name where it is: `{_set_base(store)}`"
        raise BaseMismatch(f"{error}: {advice}") from error


def _set_base(store: Store) -> str:
    return by_caller(f"{command_in(store.path)} set-base PATH", "set_base(PATH)")


def refuse_no_workspace(path: Path) -> None:
    """Raise WorkspaceError where there is no folder, or one without a workspace. Raises as `has_genesis` does."""
    if has_genesis(path) or (path.exists() and not path.is_dir()):  # a file is refused as for every store
        return
    if not path.exists():
        raise WorkspaceError(f"there is no folder {location(path)}: check the path")
    refuse_lost_genesis(path)
    raise WorkspaceError(
        f"{location(path)} is not a workspace, it has no file `{GENESIS}`: check the path, or init or clone one there"
    )


def refuse_exchange_folder(store: Store) -> None:
    """Raise WorkspaceError for a store that is not a workspace of somebody's."""
    if not is_replica(store):
        raise WorkspaceError(
            f"{location(store.path)} is a shared folder: name your workspace instead; if this was your workspace, run "
            "its init or clone again"
        )


def began_with(store: Path) -> str | None:
    """The id of the workspace that a replica was made for, if that can be read."""
    began = _read(store, LOCAL).get("workspace")
    return began if isinstance(began, str) else None


def check_genesis(store: Store) -> None:
    """Raise WorkspaceError when the genesis is another than the one that this replica began with.

    Nothing else shows it: a genesis with one changed bit is often a sound genesis of another workspace.
    """
    found = store.genesis.workspace_id
    began = began_with(store.path)
    if began not in (None, found):
        raise WorkspaceError(
            f"{location(store.path / GENESIS)} is damaged: it is that of workspace {found}, and "
            f"{location(store.path / LOCAL)} names {shown(began)}; `{fsck_repair(store.path)}` copies the genesis of a "
            "peer there"
        )


def default_recipe(store: Store) -> Method:
    """The recipe of a workspace, which its genesis has in full [OS-1]. Raises RecipeError or DecimalError."""
    try:
        return complete_recipe(store.genesis.recipe)
    except MergeAlgebraError as error:
        raise type(error)(f"{store.path}: the genesis has a recipe that this version does not know: {error}") from None


def write_json(store: Path, name: str, found: Mapping[str, object]) -> None:
    """Write a file that lies beside the genesis. Raises OutputError."""
    text = json.dumps(found) + "\n"  # in ASCII: not every path is text
    write_atomically(Entry(store, ROOT, name), text.encode())


def _read(store: Path, name: str) -> dict[str, object]:
    """What is written down; nothing when that cannot be read."""
    return read_json(store, name) or {}


def read_json(store: Path, name: str) -> dict[str, object] | None:
    """What is written down: an empty map when there is no file, None when the file cannot be read."""
    with suppress(OSError, ValueError, RecursionError):
        try:
            found = json.loads(Entry(store, ROOT, name).read(_MOST_BYTES))
        except FileNotFoundError:
            return {}
        return found if isinstance(found, dict) else None
    return None
