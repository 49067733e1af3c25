"""What only the owner of a replica knows [SY-1]: where the base is on this machine, under which name they contribute,
and with whom a sync is incomplete.

`local.json` and `incomplete.json` lie beside the genesis, and sync never carries them.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from mergealgebra.crdt.fields import check_name
from mergealgebra.crdt.manifest import KINDS
from mergealgebra.crdt.operations import NAME_BYTES
from mergealgebra.disk import lock, opened_folder, refused_as_output
from mergealgebra.errors import BaseMismatch, MergeAlgebraError, OperationError, WorkspaceError
from mergealgebra.methods.method import Method
from mergealgebra.recipe import complete_recipe
from mergealgebra.store.atomic import write_atomically
from mergealgebra.store.entries import BLOBS, GENESIS, LOCAL, OPERATIONS, ROOT, TMP, Entry
from mergealgebra.store.objects import Store, has_genesis
from mergealgebra.text import command_in, location, printable, shown

INCOMPLETE: Final = "incomplete.json"

#: Begins what a peer could not be given, of what is written down of a sync.
NOT_GIVEN: Final = "not given: "

#: Either file is much shorter.
_MOST_BYTES: Final = 1 << 20
#: So many refusals of one peer are written down; their number is too.
_REFUSALS: Final = 8
#: The peer of syncs of which nothing is known: no path is empty.
_UNKNOWN: Final = ""
_LOCK_SECONDS: Final = 2.0


def is_replica(store: Store | Path) -> bool:
    """Whether a store is somebody's workspace, and not a folder for exchange. Raises OSError."""
    path = store.path if isinstance(store, Store) else store
    return Entry(path, ROOT, LOCAL).is_there()


def write_local(store: Store, base: str | os.PathLike[str], name: str | None = None) -> None:
    """Write down where the base is here, and which workspace this is. name: the owner's, the one that is there if None.

    Raises OutputError.
    """
    found = _read(store.path, LOCAL) | {"base": str(Path(base).absolute()), "workspace": store.genesis.workspace_id}
    _write(store.path, LOCAL, found if name is None else found | {"name": name})


def write_name(store: Store, name: str | None) -> None:
    """Write down the name under which the owner contributes, or forget it. Raises OutputError, and as `check_own_name`.

    Raises WorkspaceError for a store that is not a workspace of somebody's.
    """
    refuse_exchange_folder(store)
    check_own_name(name)
    found = {key: value for key, value in _read(store.path, LOCAL).items() if key != "name"}
    _write(store.path, LOCAL, found if name is None else found | {"name": name})


def own_name(store: Store) -> str | None:
    """The name under which the owner contributes, None without one; never the name of a user of the system.

    Raises WorkspaceError for what no operation can carry.
    """
    name = _read(store.path, LOCAL).get("name")
    try:
        return check_own_name(name)
    except OperationError as error:
        advice = f"`{command_in(store.path)} set-name NAME` corrects that"
        raise WorkspaceError(f"{location(store.path / LOCAL)}: {error}; {advice}") from None


def check_own_name(name: object) -> str | None:
    """The same name; None is none. Raises OperationError for one that no operation can carry [OS-3], or nobody sees."""
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
        for part in (OPERATIONS, BLOBS):
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
    advice = f"`{command_in(store.path)} set-base PATH` corrects that"
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
        advice = f"put the base back, or name where it is: `{command_in(store.path)} set-base PATH`"
        raise BaseMismatch(f"{error}: {advice}") from error


def refuse_no_workspace(path: Path) -> None:
    """Raise WorkspaceError where there is no folder, or one without a workspace. Raises as `has_genesis` does."""
    if has_genesis(path) or (path.exists() and not path.is_dir()):  # a file is refused as for every store
        return
    if not path.exists():
        raise WorkspaceError(f"there is no folder {location(path)}: check the path")
    raise WorkspaceError(
        f"{location(path)} is not a workspace, it has no file `{GENESIS}`: check the path, or init or clone one there"
    )


def refuse_exchange_folder(store: Store) -> None:
    """Raise WorkspaceError for a store that is not a workspace of somebody's."""
    if not is_replica(store):
        raise WorkspaceError(
            f"{location(store.path)} is a shared folder: name your workspace instead; if this was your "
            "workspace, run its "
            "init or clone again"
        )


def began_with(store: Path) -> str | None:
    """The id of the workspace that a replica was made for, if that can be read."""
    began = _read(store, LOCAL).get("workspace")
    return began if isinstance(began, str) else None


def check_genesis(store: Store) -> None:
    """Raise WorkspaceError when the genesis is another than the one that this replica began with.

    Nothing else tells: a genesis with one bit changed is often the sound genesis of another workspace.
    """
    found = store.genesis.workspace_id
    began = began_with(store.path)
    if began not in (None, found):
        raise WorkspaceError(
            f"{location(store.path / GENESIS)} is damaged: it is that of workspace {found}, and "
            f"{location(store.path / LOCAL)} names {shown(began)}; `fsck --repair PEER` copies the genesis of "
            "a peer there"
        )


def default_recipe(store: Store) -> Method:
    """The recipe of a workspace, which its genesis has in full [OS-1]. Raises RecipeError or DecimalError."""
    try:
        return complete_recipe(store.genesis.recipe)
    except MergeAlgebraError as error:
        raise type(error)(f"{store.path}: the genesis has a recipe that this version does not know: {error}") from None


def needed_kinds(store: Store) -> Collection[str]:
    """The kinds of auxiliary tensors that the default recipe needs [CT-16]; all, if this version does not know it."""
    try:
        return default_recipe(store).needs.auxiliary
    except MergeAlgebraError:
        return KINDS


# Syncs that were incomplete


def write_incomplete(store: Store, peer: str, refusals: Sequence[str]) -> None:
    """Write down what a sync with a peer could not carry; nothing is left of it when there is nothing.

    peer: where it is, as its owner would name it. Raises OutputError.
    """
    with refused_as_output(store.path), _alone(store.path):
        before = read_incomplete(store)
        after = {name: told for name, told in before.items() if name != peer}
        if refusals:
            more = [f"and {len(refusals) - _REFUSALS} more"] if len(refusals) > _REFUSALS else []
            after[peer] = [*refusals[:_REFUSALS], *more]
        if after:
            if after != before:
                _write(store.path, INCOMPLETE, after)
        elif before:
            Entry(store.path, ROOT, INCOMPLETE).remove()


@contextmanager
def _alone(store: Path) -> Iterator[None]:
    """While no other sync of the replica writes down what it could not carry, where there are locks.

    Whoever keeps the lock for seconds is none of us, and is not waited for.
    """
    deadline = time.monotonic() + _LOCK_SECONDS
    with opened_folder(store) as folder:
        while time.monotonic() < deadline:
            with suppress(BlockingIOError):
                lock(folder)
                break
            time.sleep(_LOCK_SECONDS / 1000)
        yield


def read_incomplete(store: Store) -> dict[str, list[str]]:
    """What the last sync with each peer could not carry, by peer; those with whom it was complete are left out.

    Where that cannot be read, it is nothing in particular with the peer _UNKNOWN, until somebody deletes the file.
    """
    written = _parsed(store.path, INCOMPLETE)
    if written is None:
        return {_UNKNOWN: []}
    found: dict[str, list[str]] = {}
    for peer, told in written.items():
        found[peer] = [text for text in told if isinstance(text, str)] if isinstance(told, list) else []
    return found


def incomplete_lines(store: Store) -> list[str]:
    """The same as lines for people."""
    file = location(store.path / INCOMPLETE)
    found = read_incomplete(store)
    lines = [_incomplete_line(peer, told, file) for peer, told in found.items() if peer != _UNKNOWN]
    if _UNKNOWN in found:
        lines.append(
            f"{file} is or was damaged, so nobody knows which syncs were incomplete, and contributions may be lacking: "
            "delete it, and sync with all peers"
        )
    return lines


def _incomplete_line(peer: str, told: Sequence[str], file: str) -> str:
    given = bool(told) and all(text.startswith(NOT_GIVEN) for text in told)
    lacking = "others may lack yours" if given else "contributions may be lacking"
    return (
        f"the last sync with {printable(peer)} was incomplete, so {lacking}: "
        f"{printable(_advice_once([text.removeprefix(NOT_GIVEN) for text in told]))}; sync again "
        f"(if that peer is gone for good, delete {file})"
    )


def _advice_once(told: Sequence[str]) -> str:
    """Texts in a row, of which those that end with the same advice end with it once.

    >>> _advice_once(["a is full; make room", "b is full; make room"])
    'a is full; b is full; make room'
    """
    parts = [text.rpartition("; ") for text in told]
    following = [*(advice for _, _, advice in parts), None][1:]
    return "; ".join(
        what if mark and advice == after else f"{what}{mark}{advice}"
        for (what, mark, advice), after in zip(parts, following, strict=True)
    )


def _write(store: Path, name: str, found: Mapping[str, object]) -> None:
    text = json.dumps(found) + "\n"  # in ASCII: not every path is text
    write_atomically(Entry(store, ROOT, name), text.encode())


def _read(store: Path, name: str) -> dict[str, object]:
    """What is written down; nothing when that cannot be read."""
    return _parsed(store, name) or {}


def _parsed(store: Path, name: str) -> dict[str, object] | None:
    """What is written down, nothing when there is no file; None for what is not such a file."""
    with suppress(OSError, ValueError, RecursionError):
        try:
            found = json.loads(Entry(store, ROOT, name).read(_MOST_BYTES))
        except FileNotFoundError:
            return {}
        return found if isinstance(found, dict) else None
    return None
