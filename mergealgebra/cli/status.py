"""`mergealgebra [-C WORKSPACE] status`"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

import click

from mergealgebra.cli.options import json_option
from mergealgebra.cli.report import report, say, warn

if TYPE_CHECKING:
    from mergealgebra.crdt.orset import ORSet
    from mergealgebra.store.objects import Store

#: What the folder of an open workspace can and cannot promise.
_TRUST: Final = (
    "This workspace is open: whoever can write to a folder that you sync with can add contributions, take them back, "
    "and hide that they did."
)


@click.command()
@json_option
@click.pass_obj
def command(workspace: str, as_json: bool) -> None:
    """Show the visible contributions, what they merge to, and what is amiss."""
    from mergealgebra.attestations import MOST_SHOWN, disagreements
    from mergealgebra.recipe import in_words
    from mergealgebra.store.usage import Usage
    from mergealgebra.workspace import Workspace

    opened = Workspace.open(workspace)
    store, genesis = opened.store, opened.store.genesis
    state = store.state()
    visible = _visible(state, store)
    warnings = [*opened.doubts, *_warnings(visible)]
    warnings += [line for _, line in disagreements(state)][:MOST_SHOWN] + _unfinished(store)
    usage = Usage.of(store, state)
    found = {
        "workspace": genesis.workspace_id,
        "name": genesis.name,
        "base": genesis.base,
        "default_recipe": dict(genesis.recipe) if as_json else in_words(genesis.recipe),
        "default_recipe_id": genesis.recipe_id,
        "merge_id": state.merge_id,
        "operations": len(state.operations),
        "bytes": usage.to_map() if as_json else usage.in_words(),
        "visible": visible,
        "warnings": warnings,
    }
    report(found, as_json)
    if not as_json:
        for entry in visible:
            line = f"{entry['form']}  coefficient {entry['coefficient']}  {entry['elements']:,} elements"
            say(f"  {entry['contribution']}  {line}")
        for text in warnings:
            warn(text)
        say(_TRUST)


def _visible(state: ORSet, store: Store) -> list[dict[str, object]]:
    from mergealgebra.algebra.decimals import from_hex

    return [
        {
            "contribution": id_,
            "form": manifest.form,
            "coefficient": f"{from_hex(manifest.coefficient):.9g}",
            "elements": manifest.elements,
            "tensors": manifest.tensors,
            "here": store.has_blob(manifest.tensors),
        }
        for id_, manifest in state.visible().items()
    ]


def _warnings(visible: list[dict[str, object]]) -> list[str]:
    """What stops `resolve`, or may surprise [OS-13]."""
    warnings = [f"contribution {e['contribution']}: its tensors are not here; sync" for e in visible if not e["here"]]
    first: dict[object, object] = {}
    for entry in visible:
        earlier = first.setdefault(entry["tensors"], entry["contribution"])
        if earlier != entry["contribution"]:
            warnings.append(f"contributions {earlier} and {entry['contribution']} hold the same tensors")
    return warnings


def _unfinished(store: Store) -> list[str]:
    """What killed commands of this workspace left [LK-7]."""
    from mergealgebra.leftovers import age_in_words
    from mergealgebra.store.garbage import leftovers
    from mergealgebra.text import place

    command = f"mergealgebra -C {shlex.quote(place(store.path))} gc --delete"
    return [
        f"{place(left.path)} is an {left.kind} of a command that was killed, {left.nbytes:,} bytes, "
        f"{age_in_words(left.age)} old; `{command}` removes it"
        for left in leftovers(store.path)
    ]
