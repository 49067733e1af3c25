"""`mergealgebra [-C WORKSPACE] sync PEER [--create[=group]] [--retracted] [--auxiliary]`"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from mergealgebra.cli.options import PATH_TEXT, ValueLeftOut, json_option, share_option
from mergealgebra.cli.progress import progress_bar
from mergealgebra.cli.report import report, say, tell, warn

if TYPE_CHECKING:
    from mergealgebra.sync.folder import SyncResult


@click.command(cls=ValueLeftOut)
@click.argument("peer", type=PATH_TEXT)
@share_option("--create", "Make a shared folder at PEER first, if nothing is there")
@click.option(
    "--retracted",
    is_flag=True,
    help="Take the tensors of contributions that were taken back too: old merges need them.",
)
@click.option(
    "--auxiliary",
    is_flag=True,
    help="Take Fisher information and Gram matrices too, though the workspace's recipe does not need them.",
)
@json_option
@click.pass_obj
def command(workspace: str, peer: str, create: str | None, retracted: bool, auxiliary: bool, as_json: bool) -> None:
    """Exchange contributions with PEER, both ways: a workspace, or a shared folder."""
    from mergealgebra.cli.words import UNPROVED, count, few, news
    from mergealgebra.ids import SHORT
    from mergealgebra.workspace import Workspace

    opened = Workspace.open(workspace)
    before, made = opened.state, create is not None and _is_new(peer)
    with progress_bar() as show:
        result = opened.sync(
            peer,
            create="group" if create == "group" else create is not None,
            retracted=retracted,
            auxiliary=auxiliary,
            progress=show,
        )
    moved: dict[str, list[str]] = {
        "taken_operations": list(result.taken_operations),
        "taken_blobs": list(result.taken_blobs),
        "given_operations": list(result.given_operations),
        "given_blobs": list(result.given_blobs),
        "mended": list(result.mended),
        "ignored": list(result.ignored),
    }
    if store_signed := opened.store.genesis.is_signed:
        moved["passed_over"] = [str(error) for error in result.passed_over]
    if retracted:
        moved["lost"] = list(result.lost)
    state = opened.state
    was, is_ = before.visible().keys(), state.visible().keys()
    if as_json:
        changed = {"appeared": sorted(is_ - was), "disappeared": sorted(was - is_)}
        held = {"not_admissible": result.held_back} if store_signed else {}
        report({**moved, **changed, **held, "merge_id": state.merge_id})
        return
    tell(
        {
            "received": _exchanged(result.taken_operations, result.taken_blobs),
            "given": _exchanged(result.given_operations, result.given_blobs),
            **_named(result),
            "visible here": count(len(state.visible()), "contribution"),
            "merge id": state.merge_id[:SHORT],
        }
    )
    for line in few(list(news(before, state))):
        say(f"  {line}")
    for line in _left(result):
        warn(line)
    if made:
        say(f"made a new shared folder at {peer}; nobody else is there yet")
    if any(operation.name for operation in state.difference(before).operations) and not store_signed:
        say(UNPROVED)


def _left(result: SyncResult) -> Iterator[str]:
    """Lines for what a signed workspace does not take [SG-7, SG-10]."""
    from mergealgebra.cli.words import count

    if result.passed_over:
        files = count(len(result.passed_over), "file")
        yield f"{files} there cannot be operations of this workspace, and changed nothing: {result.passed_over[0]}"
    if result.held_back:
        operations = count(result.held_back, "operation")
        yield f"{operations} without effect, carried to nobody: under no grant, or a revoked one"


def _is_new(peer: str) -> bool:
    """Whether a shared folder can be made there: there is none yet."""
    from mergealgebra.addresses import peer_path
    from mergealgebra.store.objects import has_genesis

    return not has_genesis(peer_path(peer))


def _exchanged(operations: Sequence[str], blobs: Sequence[str]) -> str:
    """What went one way, in words."""
    from mergealgebra.cli.words import count

    if not operations and not blobs:
        return "nothing new"
    return f"{count(len(operations), 'operation')}, the tensors of {count(len(blobs), 'contribution')}"


def _named(result: SyncResult) -> dict[str, str]:
    """What a sync seldom meets: files that it mended, and those that it did not know."""
    from mergealgebra.cli.words import count

    found = {
        "mended": (result.mended, "damaged file"),
        "left alone": (result.ignored, "unknown file"),
        "not there": (result.lost, "retracted tensor set"),
    }
    return {label: count(len(files), noun) for label, (files, noun) in found.items() if files}
