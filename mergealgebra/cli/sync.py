"""`mergealgebra [-C WORKSPACE] sync PEER... [--create[=group] | --pull] [--retracted] [--auxiliary] [--key K]`"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mergealgebra.cli.keys import key_options, signer_when_needed
from mergealgebra.cli.options import PEER, ValueLeftOut, json_option, share_option
from mergealgebra.cli.progress import progress_bar
from mergealgebra.cli.report import report, say, tell, warn
from mergealgebra.errors import MergeAlgebraError

if TYPE_CHECKING:
    from mergealgebra.crdt.orset import ORSet
    from mergealgebra.sync.folder import SyncOptions, SyncResult


@click.command(cls=ValueLeftOut)
@click.argument("peers", metavar="PEER...", type=PEER, nargs=-1, required=True)
@share_option("--create", "Make a share at PEER first, a folder or s3://BUCKET/PREFIX, if nothing is there")
@click.option("--pull", is_flag=True, help="Take what PEER has and give it nothing, such as one that takes nothing.")
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
@key_options
@json_option
@click.pass_obj
def command(
    workspace: str,
    peers: tuple[str, ...],
    create: str | None,
    pull: bool,
    retracted: bool,
    auxiliary: bool,
    key: Path | None,
    passphrase_fd: int | None,
    as_json: bool,
) -> None:
    """Exchange contributions with each PEER, both ways; with --pull only take them.

    A PEER is a workspace or a shared folder, or the address of one: http://HOST:PORT or https://HOST:PORT where `serve`
    runs, or a web server that serves the files of a share, ssh://HOST/PATH, or s3://BUCKET/PREFIX. A server of a signed
    workspace takes what members sign: your key is asked for only there.
    """
    from mergealgebra.workspace import Workspace

    if pull and create is not None:
        raise click.UsageError("--create makes a share to give to, and --pull gives nothing: leave one of them out")
    opened = Workspace.open(workspace)
    before = opened.state
    signer = signer_when_needed(opened, key, passphrase_fd)
    new = [peer for peer in peers if create is not None and _is_new(peer)]
    options: SyncOptions = {
        "create": "group" if create == "group" else create is not None,
        "retracted": retracted,
        "auxiliary": auxiliary,
        "give": not pull,
    }
    alone = len(peers) == 1
    with progress_bar() as show:
        results: list[SyncResult | MergeAlgebraError]
        if alone:
            results = [opened.sync(peers[0], key=signer, progress=show, **options)]
        else:
            results = opened.sync_all(peers, key=signer, progress=show, **options)
    failed = [result for result in results if isinstance(result, MergeAlgebraError)]
    done = {
        peer: result for peer, result in zip(peers, results, strict=True) if not isinstance(result, MergeAlgebraError)
    }
    state = opened.state
    if not as_json:
        _tell(done, before, state, alone=alone, pull=pull)
        _tell_more(done, new, before, state)
    if failed:
        raise type(failed[0])(f"{failed[0]} ({len(failed)} of {len(peers)} peers failed)")
    if as_json:
        _report(
            {peer: _moved(result, retracted, state.genesis.is_signed) for peer, result in done.items()}, before, state
        )


def _tell_more(done: Mapping[str, SyncResult], new: Sequence[str], before: ORSet, state: ORSet) -> None:
    """What is left to do, which shares were made, and that nobody proves names in an open workspace."""
    from mergealgebra.cli.words import UNPROVED

    for line in dict.fromkeys(line for result in done.values() for line in _left(result)):
        warn(line)
    for peer in new:
        if peer in done:
            say(_of_new(peer, done[peer], before))
    if any(operation.name for operation in state.difference(before).operations) and not state.genesis.is_signed:
        say(UNPROVED)


def _moved(result: SyncResult, retracted: bool, signed: bool) -> dict[str, object]:
    """What one sync moved, for --json."""
    moved: dict[str, object] = {
        "taken_operations": list(result.taken_operations),
        "taken_blobs": list(result.taken_blobs),
        "given_operations": list(result.given_operations),
        "given_blobs": list(result.given_blobs),
        "mended": list(result.mended),
        "ignored": list(result.ignored),
    }
    if signed:
        moved["passed_over"] = [str(error) for error in result.passed_over]
        moved["not_admissible"] = result.held_back
    return {**moved, "lost": list(result.lost)} if retracted else moved


def _report(moved: Mapping[str, Mapping[str, object]], before: ORSet, state: ORSet) -> None:
    """What was moved and what changed, as JSON; of several peers, by peer."""
    was, is_ = before.visible().keys(), state.visible().keys()
    changed = {"appeared": sorted(is_ - was), "disappeared": sorted(was - is_)}
    of_peers: Mapping[str, object] = {"peers": moved} if len(moved) != 1 else next(iter(moved.values()))
    report({**of_peers, **changed, "merge_id": state.merge_id})


def _tell(done: Mapping[str, SyncResult], before: ORSet, state: ORSet, *, alone: bool, pull: bool) -> None:
    """What was moved and what changed, for people; of several peers, each by itself."""
    from mergealgebra.cli.words import count, few, news
    from mergealgebra.ids import SHORT

    now = {"visible here": count(len(state.visible()), "contribution"), "merge id": state.merge_id[:SHORT]}
    for peer, result in done.items():
        exchanged = {
            "received": _exchanged(result.taken_operations, result.taken_blobs),
            **({} if pull else {"given": _exchanged(result.given_operations, result.given_blobs)}),
            **_named(result),
        }
        tell({**exchanged, **now} if alone else {"peer": peer, **exchanged})
    if not alone:
        tell(now)
    for line in few(list(news(before, state))):
        say(f"  {line}")


def _left(result: SyncResult) -> Iterator[str]:
    """Lines for what a signed workspace does not take [SG-7, SG-10]."""
    from mergealgebra.cli.words import count

    if result.passed_over:
        files = count(len(result.passed_over), "file")
        yield f"{files} there cannot be operations of this workspace, and changed nothing: {result.passed_over[0]}"
    if result.held_back:
        operations = count(result.held_back, "operation")
        yield f"{operations} without effect, carried to nobody: under no grant, or a revoked one"


def _of_new(peer: str, result: SyncResult, before: ORSet) -> str:
    """What was made where there was no genesis; what is not given all that is here had some of it already."""
    if result.taken_operations or len(result.given_operations) + result.held_back < len(before.records()):
        return f"{peer} had lost its genesis, and has it again"
    return f"made a new share at {peer}; nobody else is there yet"


def _is_new(peer: str) -> bool:
    """Whether a share can be made there. What is wrong there is said when it is synced."""
    from mergealgebra.creation import can_make_share

    try:
        return can_make_share(peer)
    except MergeAlgebraError:
        return False


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
