"""`mergealgebra [-C WORKSPACE] show ID [--tensors]`"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from mergealgebra.cli.options import json_option, threads_option
from mergealgebra.cli.progress import progress_bar
from mergealgebra.cli.report import report, say, say_table, tell
from mergealgebra.text import shown

if TYPE_CHECKING:
    from mergealgebra.crdt.operations import Operation
    from mergealgebra.details import Details


@click.command()
@click.argument("contribution", metavar="ID")
@click.option("--tensors", "with_tensors", is_flag=True, help="List its tensors: names, dtypes, shapes.")
@threads_option
@json_option
@click.pass_obj
def command(workspace: str, contribution: str, with_tensors: bool, threads: int | None, as_json: bool) -> None:
    """Show what is known of the contribution ID, or whose id begins so: what it is, who, when, and how large.

    What was not measured here yet is measured now: its tensors and the base are read.
    """
    from mergealgebra.workspace import Workspace

    with progress_bar() as show:
        found = Workspace.open(workspace).show(contribution, threads=threads, progress=show)
    if as_json:
        report(_for_json(found, with_tensors))
        return
    tell(_for_people(found))
    if with_tensors and found.tensors:
        say()
        say_table([("tensor", "dtype", "shape"), *((t.name, t.dtype, str(list(t.shape))) for t in found.tensors)])
    say()
    for line in _remarks(found):
        say(line)


def _for_people(found: Details) -> dict[str, str]:
    from mergealgebra.algebra.decimals import shortest
    from mergealgebra.cli.words import NOTHING, change, count, few, form_in_words, size, when, who
    from mergealgebra.ids import SHORT

    add, manifest = found.told_by, found.manifest
    lines = {
        "contribution": found.contribution,
        "who": who(_maker(add)),
        "when": f"{when(add.time)} UTC" if add.time is not None else NOTHING,
        "note": add.note or NOTHING,
        "what": form_in_words(manifest.form, shortest(found.coefficient)),
        "size": "not here" if found.nbytes is None else size(found.nbytes),
        "tensors": f"{count(len(found.tensors), 'tensor')}, " if found.tensors else "",
        "change": change(found.figures) if found.figures else "not known",
        "visible": "yes" if found.visible else "no, it was taken back",
    }
    lines["tensors"] = f"{lines['tensors']}{count(manifest.elements, 'element')}"
    for number, remove in enumerate(found.retractions, 1):
        what = "taken back" if len(found.retractions) == 1 else f"taken back {number}"
        lines[what] = ", ".join(_deed(remove))
    if others := few([", ".join(_deed(add)) for add in found.adds if add != found.told_by]):
        lines["also contributed by"] = "; ".join(others)
    if found.merge_id is not None:
        models = ", ".join(root[:SHORT] for root in found.models)
        made = f"made: {models}" if models else "which nobody has made yet"
        lines["in the merge"] = f"{found.merge_id[:SHORT]}, {made}"
    return lines


def _deed(operation: Operation) -> list[str]:
    from mergealgebra.cli.words import when, who

    note = [shown(operation.note)] if operation.note else []
    return [who(_maker(operation)), when(operation.time), *note]


def _maker(operation: Operation) -> str | None:
    """Whose key signed it, or in an open workspace who they say they are."""
    from mergealgebra.signatures import fingerprint

    return operation.name if operation.author is None else fingerprint(operation.author)


def _remarks(found: Details) -> Iterator[str]:
    from mergealgebra.cli.words import UNPROVED, count

    yield from (f"Not known: {line}." for line in found.unknown)
    if found.other_merges:
        one = found.other_merges == 1
        known = f"{count(found.other_merges, 'earlier merge')} {'is' if one else 'are'} known here"
        yield f"{known}; whether this was in {'it' if one else 'them'} is not recorded."
    if any(operation.name and not operation.author for operation in (*found.adds, *found.retractions)):
        yield UNPROVED


def _for_json(found: Details, with_tensors: bool) -> Mapping[str, object]:
    from mergealgebra.algebra.decimals import shortest

    told: dict[str, object] = {
        "contribution": found.contribution,
        "manifest": asdict(found.manifest),
        "coefficient": shortest(found.coefficient),
        "visible": found.visible,
        "adds": [_operation(add) for add in found.adds],
        "retractions": [_operation(remove) for remove in found.retractions],
        "bytes": found.nbytes,
        "tensor_count": len(found.tensors) or None,
        "difference": found.figures.get("difference"),
        "changed": found.figures.get("changed"),
        "unknown": list(found.unknown),
        "merge_id": found.merge_id,
        "models": list(found.models),
        "other_merges": found.other_merges,
    }
    return told | ({"tensors": [asdict(tensor) for tensor in found.tensors]} if with_tensors else {})


def _operation(operation: Operation) -> dict[str, object]:
    found: dict[str, object] = {
        "operation": operation.id,
        "name": operation.name,
        "time": operation.time,
        "note": operation.note,
    }
    return found | ({"author": _maker(operation)} if operation.author else {})
