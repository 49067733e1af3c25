"""`mergealgebra [-C WORKSPACE] status`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mergealgebra.cli.options import json_option
from mergealgebra.cli.report import report, warn

if TYPE_CHECKING:
    from mergealgebra.workspace import Workspace


@click.command()
@json_option
@click.pass_obj
def command(workspace: str, as_json: bool) -> None:
    """Show the visible contributions, what they merge to, and what is amiss."""
    from mergealgebra.workspace import Workspace

    opened = Workspace.open(workspace)
    state, genesis = opened.state, opened.store.genesis
    visible = _visible(opened)
    found = {
        "workspace": genesis.workspace_id,
        "name": genesis.name,
        "base": genesis.base,
        "recipe": dict(genesis.recipe),
        "recipe_id": genesis.recipe_id,
        "merge_id": state.merge_id,
        "operations": len(state.operations),
        "visible": visible,
        "warnings": _warnings(opened, visible),
    }
    report(found, as_json)
    if not as_json:
        for entry in visible:
            line = f"{entry['form']}  coefficient {entry['coefficient']}  {entry['elements']:,} elements"
            click.echo(f"  {entry['contribution']}  {line}")
        for text in _warnings(opened, visible):
            warn(text)


def _visible(workspace: Workspace) -> list[dict[str, object]]:
    from mergealgebra.algebra.decimals import from_hex

    return [
        {
            "contribution": id_,
            "form": manifest.form,
            "coefficient": f"{from_hex(manifest.coefficient):.9g}",
            "elements": manifest.elements,
            "tensors": manifest.tensors,
            "here": workspace.store.has_blob(manifest.tensors),
        }
        for id_, manifest in workspace.visible().items()
    ]


def _warnings(workspace: Workspace, visible: list[dict[str, object]]) -> list[str]:
    """What stops `resolve`, or may surprise [OS-12, OS-13]."""
    warnings = [f"contribution {e['contribution']}: its tensors are not here; sync" for e in visible if not e["here"]]
    first: dict[object, object] = {}
    for entry in visible:
        earlier = first.setdefault(entry["tensors"], entry["contribution"])
        if earlier != entry["contribution"]:
            warnings.append(f"contributions {earlier} and {entry['contribution']} hold the same tensors")
    roots = sorted(workspace.disagreements())
    if roots:
        warnings.append(
            f"replicas computed different models for this merge id, some machine is broken: {', '.join(roots)}"
        )
    return warnings
