"""`mergealgebra [-C WORKSPACE] gc [FOLDER...]`"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mergealgebra.cli.options import PATH, json_option
from mergealgebra.cli.report import report, say
from mergealgebra.errors import OutputError

if TYPE_CHECKING:
    from mergealgebra.store.garbage import Leftover


@click.command()
@click.argument("folders", type=PATH, nargs=-1, metavar="[FOLDER]...")
@click.option("--delete", is_flag=True, help="Remove what is listed.")
@json_option
@click.pass_obj
def command(workspace: str, folders: Sequence[Path], delete: bool, as_json: bool) -> None:
    """List what killed commands left; with --delete, remove it.

    In each FOLDER, the models that merges into it did not finish. Without a FOLDER, those of the workspace, wherever
    they are, and its temporary files. What a living process may be writing is neither listed nor removed.
    """
    found = _in_folders(folders) if folders else _of_workspace(workspace)
    refused = _remove(found) if delete else []
    _report([leftover for leftover in found if leftover not in dict(refused)], delete, as_json)
    for _, error in refused:
        raise error


def _in_folders(folders: Sequence[Path]) -> list[Leftover]:
    from mergealgebra.leftovers import unfinished_in
    from mergealgebra.text import place

    found: list[Leftover] = []
    for folder in dict.fromkeys(folders):
        try:
            found += unfinished_in(folder)
        except OSError as error:
            raise OutputError(f"{place(folder)} cannot be read: {error.strerror}; check the path") from error
    return found


def _of_workspace(workspace: str) -> list[Leftover]:
    from mergealgebra.store.garbage import leftovers
    from mergealgebra.store.local import refuse_exchange_folder
    from mergealgebra.workspace import Workspace

    store = Workspace.open(workspace).store
    refuse_exchange_folder(store)  # that is its members' together, who may be writing
    return leftovers(store.path)


def _remove(found: Sequence[Leftover]) -> list[tuple[Leftover, OutputError]]:
    """Remove all that can be; what cannot, with why."""
    refused = []
    for leftover in found:
        try:
            leftover.remove()
        except OutputError as error:
            refused.append((leftover, error))
    return refused


def _report(found: Sequence[Leftover], removed: bool, as_json: bool) -> None:
    from mergealgebra.leftovers import age_in_words
    from mergealgebra.text import place

    entries = [
        {"path": str(leftover.path), "kind": leftover.kind, "bytes": leftover.nbytes, "seconds": int(leftover.age)}
        for leftover in found
    ]
    total = sum(leftover.nbytes for leftover in found)
    report({"removed": removed, "bytes": total if as_json else f"{total:,}", "leftovers": entries}, as_json)
    if as_json:
        return
    for leftover in found:
        what = f"{leftover.kind}, {leftover.nbytes:,} bytes, {age_in_words(leftover.age)} old"
        say(f"  {place(leftover.path)}  {what}")
    if found and not removed:
        say("nothing was removed; run it again with --delete")
