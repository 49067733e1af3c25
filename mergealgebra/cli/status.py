"""`mergealgebra [-C WORKSPACE] status`"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from mergealgebra.cli.options import json_option
from mergealgebra.cli.report import report, warn

if TYPE_CHECKING:
    from mergealgebra.crdt.orset import ORSet
    from mergealgebra.store.objects import Store


@click.command()
@json_option
@click.pass_obj
def command(workspace: str, as_json: bool) -> None:
    """Show the visible contributions, what they merge to, and what is amiss."""
    from mergealgebra.workspace import Workspace

    store = Workspace.open(workspace).store
    state, genesis = store.state(), store.genesis
    visible = _visible(state, store)
    warnings = [*_warnings(state, visible), *_unfinished(store)]
    found = {
        "workspace": genesis.workspace_id,
        "name": genesis.name,
        "base": genesis.base,
        "recipe": dict(genesis.recipe),
        "recipe_id": genesis.recipe_id,
        "merge_id": state.merge_id,
        "operations": len(state.operations),
        "visible": visible,
        "warnings": warnings,
    }
    report(found, as_json)
    if not as_json:
        for entry in visible:
            line = f"{entry['form']}  coefficient {entry['coefficient']}  {entry['elements']:,} elements"
            click.echo(f"  {entry['contribution']}  {line}")
        for text in warnings:
            warn(text)


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


def _warnings(state: ORSet, visible: list[dict[str, object]]) -> list[str]:
    """What stops `resolve`, or may surprise [OS-12, OS-13]."""
    warnings = [f"contribution {e['contribution']}: its tensors are not here; sync" for e in visible if not e["here"]]
    first: dict[object, object] = {}
    for entry in visible:
        earlier = first.setdefault(entry["tensors"], entry["contribution"])
        if earlier != entry["contribution"]:
            warnings.append(f"contributions {earlier} and {entry['contribution']} hold the same tensors")
    if roots := sorted(state.disagreements()):
        warnings.append(
            f"replicas computed different models for this merge id, some machine is broken: {', '.join(roots)}"
        )
    return warnings


def _unfinished(store: Store) -> list[str]:
    """What this workspace's killed merges left [LK-7]."""
    from mergealgebra.leftovers import age_in_words
    from mergealgebra.store.garbage import unfinished_models
    from mergealgebra.text import place

    command = f"mergealgebra -C {shlex.quote(place(store.path))} gc --delete"
    return [
        f"{place(model.path)} is an unfinished model of a merge that was killed, {model.nbytes:,} bytes, "
        f"{age_in_words(model.age)} old; `{command}` removes it"
        for model in unfinished_models(store.path)
    ]
