"""`mergealgebra [-C WORKSPACE] log`"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from mergealgebra.cli.options import json_option
from mergealgebra.cli.report import report, say, say_table

if TYPE_CHECKING:
    from mergealgebra.crdt.operations import Operation, Remove
    from mergealgebra.crdt.orset import ORSet


@click.command()
@json_option
@click.pass_obj
def command(workspace: str, as_json: bool) -> None:
    """List what was done by time: who contributed, took back or merged what, as far as it is known here."""
    from mergealgebra.cli.words import UNPROVED, WHEN
    from mergealgebra.crdt.operations import Add
    from mergealgebra.history import by_time
    from mergealgebra.signing import own_public_key
    from mergealgebra.workspace import Workspace

    opened = Workspace.open(workspace)
    state = opened.state
    log = by_time(state.operations)
    added = {o.id: o.payload.manifest.id for o in log if isinstance(o.payload, Add)}
    if as_json:
        report({"operations": [_entry(operation, added) for operation in log]})
        return
    if not log:
        say("Nothing was done yet.")
        return
    say_table([(WHEN, "who", "did", "to", "note"), *_lines(log, added, state, own_public_key(opened.store))])
    if any(operation.name for operation in log) and not state.genesis.is_signed:
        say(UNPROVED)
    if idle := len(state.operations - state.effective):
        say(f"{idle} of these changed nothing; `status` says why.")


def _entry(operation: Operation, added: Mapping[str, str]) -> dict[str, object]:
    """An operation for JSON. added: the contribution of each add that is known."""
    from mergealgebra.crdt.authority import Grant, Later
    from mergealgebra.crdt.operations import Add, Attest, Remove
    from mergealgebra.signatures import fingerprint

    payload = operation.payload
    entry: dict[str, object] = {"operation": operation.id, "kind": operation.kind}
    if isinstance(payload, Add):
        entry["contribution"] = payload.manifest.id
    elif isinstance(payload, Remove):
        entry["removes"] = list(payload.operations)
        entry["contributions"] = _removed(payload, added)
    elif isinstance(payload, Attest):
        entry |= {"merge_id": payload.merge_id, "model_root": payload.model_root}
    elif isinstance(payload, Grant):
        entry |= {"key": fingerprint(payload.key), "granted": payload.name}
    elif isinstance(payload, Later):
        entry |= {"version": payload.version, "label": payload.label}
    else:
        entry["operations"] = list(operation.names)
    extras = {"time": operation.time, "name": operation.name, "note": operation.note}
    if operation.author:
        extras["author"] = fingerprint(operation.author)
    return entry | {key: value for key, value in extras.items() if value is not None}


def _lines(
    log: Sequence[Operation], added: Mapping[str, str], state: ORSet, own: str | None
) -> Iterator[tuple[str, ...]]:
    from mergealgebra.cli.words import maker, noted, when, who
    from mergealgebra.ids import short_ids

    short = short_ids(added.values())
    for operation in log:
        deed = _deed(operation, added, short)
        yield when(operation.time), who(maker(operation, state, own)), *deed, noted(operation.note)


def _deed(operation: Operation, added: Mapping[str, str], short: Mapping[str, str]) -> tuple[str, str]:
    """What was done, in the words of the command line, and to what."""
    from mergealgebra.cli.words import count
    from mergealgebra.crdt.authority import Grant, Keep, Later, Revoke
    from mergealgebra.crdt.operations import Add, Attest, Remove
    from mergealgebra.ids import SHORT
    from mergealgebra.signatures import fingerprint

    match operation.payload:
        case Add(manifest=manifest):
            return "contribute", short[manifest.id]
        case Remove() as remove:
            known = [short[id_] for id_ in _removed(remove, added)]
            return "retract", ", ".join(known) if known else "something unknown here"
        case Attest() as attest:
            return "resolve", f"{attest.merge_id[:SHORT]}, to the model {attest.model_root[:SHORT]}"
        case Grant(key=key, name=name):
            return "grant", f"{fingerprint(key)}, {name!r}"
        case Later(label=label, version=version):
            return "later", f"{label!r} of version {version}, unknown here"
        case Revoke() | Keep():
            return operation.kind, count(len(operation.names), "operation")


def _removed(remove: Remove, added: Mapping[str, str]) -> list[str]:
    return sorted({added[name] for name in remove.operations if name in added})
