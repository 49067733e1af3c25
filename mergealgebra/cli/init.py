"""`mergealgebra [-C WORKSPACE] init --base B [--recipe R] [--name N] [--as YOU | --share]`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mergealgebra.cli.options import PATH, as_option, json_option
from mergealgebra.cli.progress import progress_bar
from mergealgebra.cli.report import report

if TYPE_CHECKING:
    from mergealgebra.store.objects import Store


@click.command()
@click.option("--base", type=PATH, required=True, help="The base: a file or a model folder.")
@click.option("--recipe", "recipe_path", type=PATH, help="A YAML file; `method: ties` if left out.")
@click.option("--name", default="", help="A name for the workspace; part of its identity.")
@as_option
@click.option("--share", is_flag=True, help="Make a shared folder, to sync with, in place of a workspace of yours.")
@json_option
@click.pass_obj
def command(
    workspace: str,
    base: Path,
    recipe_path: Path | None,
    name: str,
    as_name: str | None,
    share: bool,
    as_json: bool,
) -> None:
    """Make a workspace for improving a base model together. Equal arguments make the same one everywhere."""
    from mergealgebra.recipe import Ties
    from mergealgebra.recipe_file import read_recipe
    from mergealgebra.workspace import Workspace

    if share and as_name is not None:
        raise click.UsageError("a shared folder is nobody's and has no use for --as; give it to your `init` or `clone`")
    recipe = read_recipe(recipe_path) if recipe_path else Ties()
    with progress_bar() as show:
        if share:
            store = Workspace.init_share(workspace, base=base, recipe=recipe, name=name, progress=show)
        else:
            store = Workspace.init(workspace, base=base, recipe=recipe, name=name, as_name=as_name, progress=show).store
    report_workspace(store, as_json)


def report_workspace(store: Store, as_json: bool) -> None:
    """Print what a new workspace is, or a share of one."""
    from mergealgebra.ids import SHORT
    from mergealgebra.recipe import in_words

    genesis = store.genesis
    base, recipe = (genesis.base, dict(genesis.recipe)) if as_json else (genesis.base[:SHORT], in_words(genesis.recipe))
    found = {"workspace": genesis.workspace_id, "name": genesis.name, "base": base}  # the id whole: `clone` takes it
    report(found | {"recipe": recipe, "path": str(store.path)}, as_json)
