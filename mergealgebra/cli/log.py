"""`mergealgebra [-C WORKSPACE] log`"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from mergealgebra.cli.options import json_option
from mergealgebra.cli.report import report, say

if TYPE_CHECKING:
    from mergealgebra.crdt.operations import Operation


@click.command()
@json_option
@click.pass_obj
def command(workspace: str, as_json: bool) -> None:
    """List all operations by time: an add or a remove is about a contribution, an attest about a model root."""
    from mergealgebra.crdt.operations import Add
    from mergealgebra.workspace import Workspace

    log = Workspace.open(workspace).log()
    added = {o.id: o.payload.manifest.id for o in log if isinstance(o.payload, Add)}
    operations = [_entry(operation, added) for operation in log]
    if as_json:
        report({"operations": operations}, as_json)
        return
    if operations:
        say(f"{'time':<20}  {'operation':<12}  {'kind':<6}  {'about':<12}  note")
    for entry in operations:
        say("  ".join(_line(entry)).rstrip())


def _entry(operation: Operation, added: Mapping[str, str]) -> dict[str, object]:
    """An operation for JSON. added: the contribution of each add that is known."""
    from mergealgebra.crdt.operations import Add, Remove

    payload = operation.payload
    entry: dict[str, object] = {"operation": operation.id, "kind": operation.kind}
    if isinstance(payload, Add):
        entry["contribution"] = payload.manifest.id
    elif isinstance(payload, Remove):
        entry["removes"] = list(payload.operations)
        entry["contributions"] = sorted({added[name] for name in payload.operations if name in added})
    else:
        entry |= {"merge_id": payload.merge_id, "model_root": payload.model_root}
    extras = {"time": operation.time, "note": operation.note}
    return entry | {key: value for key, value in extras.items() if value is not None}


def _line(entry: dict[str, object]) -> list[str]:
    when = entry.get("time")
    stamp = _utc(when) if isinstance(when, int) else ""
    about = entry.get("contributions") or [entry.get("contribution") or entry.get("model_root") or "unknown"]
    first = about[0] if isinstance(about, list) else ""
    return [
        f"{stamp:<20}",
        str(entry["operation"])[:12],
        f"{entry['kind']:<6}",
        str(first)[:12],
        str(entry.get("note", "")),
    ]


def _utc(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):  # a time that no calendar has
        return str(seconds)
