"""`mergealgebra [-C WORKSPACE] gc [--delete [--retracted] [--cache]] [FOLDER...]`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from mergealgebra.cli.options import PATH, json_option
from mergealgebra.cli.report import report, say, tell, warn
from mergealgebra.errors import MergeAlgebraError, OutputError

if TYPE_CHECKING:
    from mergealgebra.store.garbage import Leftover
    from mergealgebra.store.objects import Store
    from mergealgebra.store.unfinished import Unfinished
    from mergealgebra.store.unneeded import Unneeded

_DELETE: Final = "--delete"


@dataclass(frozen=True)
class _Row:
    """Something that could be freed. options: those that free it; none while it is too new."""

    entry: Leftover | Unfinished | Unneeded
    options: tuple[str, ...]


@click.command()
@click.argument("folders", type=PATH, nargs=-1, metavar="[FOLDER]...")
@click.option(_DELETE, is_flag=True, help="Remove what killed commands left.")
@click.option(
    "--retracted", is_flag=True, help="With --delete, also remove tensors that no visible contribution needs."
)
@click.option(
    "--cache",
    is_flag=True,
    help="With --delete, also remove what only saves time: thresholds, dot products, kept sums.",
)
@json_option
@click.pass_obj
def command(workspace: str, folders: Sequence[Path], delete: bool, retracted: bool, cache: bool, as_json: bool) -> None:
    """List what could be freed, and by which options; with --delete, remove what killed commands left.

    In each FOLDER, these are the models that merges into it did not finish, and in a shared folder or workspace your
    own temporary files that are older than a day. Without a FOLDER, those of the workspace, wherever they are, its
    temporary files, and tensors that came in part. Its retracted tensors and its cache are listed too: an old merge
    cannot be made again without its tensors, and only somebody who has them or the checkpoint can bring them back.
    What a living process may be writing is never removed.
    """
    if folders and (retracted or cache):
        raise click.UsageError("--retracted and --cache are about a workspace: name it by -C, and no FOLDER")
    if not delete and (retracted or cache):
        raise click.UsageError("nothing is removed without --delete: add it, or leave all options out for the list")
    asked = {_DELETE: delete, "--retracted": retracted, "--cache": cache}
    found = _in_folders(folders) if folders else _of_workspace(workspace, retracted)
    chosen = [row for row in found if row.options and all(map(asked.__getitem__, row.options))]
    refused = _remove(chosen)
    _report(found, [row for row in chosen if row not in refused], as_json)
    for error in refused.values():
        raise error


def _in_folders(folders: Sequence[Path]) -> list[_Row]:
    from mergealgebra.model_folder.leftovers import unfinished_in
    from mergealgebra.store.garbage import stale_files
    from mergealgebra.store.objects import has_genesis
    from mergealgebra.text import location

    found: list[_Row] = []
    for folder in dict.fromkeys(folders):
        try:
            left: list[Leftover] = [*unfinished_in(folder), *(stale_files(folder) if has_genesis(folder) else ())]
            found += [_Row(entry, (_DELETE,)) for entry in left]
        except OSError as error:
            raise OutputError(f"{location(folder)} cannot be read: {error.strerror}; check the path") from error
    return found


def _of_workspace(workspace: str, retracted: bool) -> list[_Row]:
    from mergealgebra.store.garbage import leftovers
    from mergealgebra.store.local import refuse_exchange_folder
    from mergealgebra.store.unfinished import unfinished_blobs
    from mergealgebra.store.unneeded import caches
    from mergealgebra.workspace import Workspace

    store = Workspace.open(workspace).store
    refuse_exchange_folder(store)  # that is its members' together, who may be writing
    left = [_Row(leftover, (_DELETE,)) for leftover in leftovers(store.path)]
    left += [_Row(blob, (_DELETE,) if blob.is_settled else ()) for blob in unfinished_blobs(store.path)]
    cached = [_Row(cache, (_DELETE, "--cache")) for cache in caches(store.path)]
    return [*left, *_unneeded(store, retracted), *cached]


def _unneeded(store: Store, asked: bool) -> list[_Row]:
    """The tensors that nothing visible needs; none, with a warning, where a damaged file hides what is visible."""
    from mergealgebra.store.unneeded import unneeded_blobs

    try:
        return [_Row(blob, (_DELETE, "--retracted") if blob.is_settled else ()) for blob in unneeded_blobs(store)]
    except MergeAlgebraError as error:
        if asked:
            raise
        warn(f"nobody knows which tensors were retracted: {error}")
        return []


def _remove(rows: Sequence[_Row]) -> dict[_Row, OutputError]:
    """Remove all that can be; what cannot, with why."""
    refused = {}
    for row in rows:
        try:
            row.entry.remove()
        except OutputError as error:
            refused[row] = error
    return refused


def _report(found: Sequence[_Row], removed: Sequence[_Row], as_json: bool) -> None:
    freed = sum(row.entry.nbytes for row in removed)
    left = sum(row.entry.nbytes for row in found if row.options) - freed  # what is too new is not freed now
    if as_json:
        entries = [_told(row) | {"removed": row in removed} for row in found]
        report({"removed_bytes": freed, "left_bytes": left, "leftovers": entries})
        return
    tell({"removed": f"{freed:,} bytes", "could be freed": f"{left:,} bytes"})
    for row in found:
        say(f"  {_line(row, 'removed' if row in removed else _what_to_do(row))}")


def _told(row: _Row) -> dict[str, object]:
    entry = row.entry
    return {
        "path": str(entry.path),
        "kind": entry.kind,
        "bytes": entry.nbytes,
        "seconds": int(entry.age),
        "options": list(row.options),
    }


def _line(row: _Row, end: str) -> str:
    from mergealgebra.model_folder.leftovers import age_in_words
    from mergealgebra.text import location

    entry = row.entry
    return f"{location(entry.path)}  {entry.kind}, {entry.nbytes:,} bytes, {age_in_words(entry.age)} old; {end}"


def _what_to_do(row: _Row) -> str:
    if row.options:
        return f"{' '.join(row.options)} removes it"
    return "kept until it is an hour old, for a command may be about to use it"
