"""`mergealgebra [-C WORKSPACE] sync PEER`"""

from __future__ import annotations

from pathlib import Path

import click

from mergealgebra.cli.options import PATH, json_option
from mergealgebra.cli.report import report


@click.command()
@click.argument("peer", type=PATH)
@json_option
@click.pass_obj
def command(workspace: str, peer: Path, as_json: bool) -> None:
    """Exchange contributions with PEER, both ways: a workspace, or a shared folder, made if it is not there."""
    from mergealgebra.workspace import Workspace

    opened = Workspace.open(workspace)
    result = opened.sync(peer)
    moved: dict[str, list[str]] = {
        "taken_operations": list(result.taken_operations),
        "taken_blobs": list(result.taken_blobs),
        "given_operations": list(result.given_operations),
        "given_blobs": list(result.given_blobs),
        "mended": list(result.mended),
        "ignored": list(result.ignored),
    }
    if as_json:
        report({**moved, "merge_id": opened.merge_id}, as_json)
        return
    counts: dict[str, object] = {name: len(ids) for name, ids in moved.items() if ids}
    report(counts | {"merge_id": opened.merge_id}, as_json)
