"""`mergealgebra [-C WORKSPACE] init --base B [--recipe R] [--name N] [--as YOU | --share[=group]]`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mergealgebra.cli.options import PATH, ValueLeftOut, as_option, json_option, share_option
from mergealgebra.cli.progress import progress_bar
from mergealgebra.cli.report import report, tell, warn

if TYPE_CHECKING:
    from mergealgebra.methods.method import Method
    from mergealgebra.store.objects import Store


@click.command(cls=ValueLeftOut)
@click.option("--base", type=PATH, required=True, help="The base: a file or a model folder.")
@click.option("--recipe", "recipe_path", type=PATH, help="A YAML file; `method: ties` if left out.")
@click.option("--name", default="", help="A name for the workspace; part of its identity.")
@as_option
@share_option("--share", "Make a shared folder, to sync with, in place of a workspace of yours")
@json_option
@click.pass_obj
def command(
    workspace: str,
    base: Path,
    recipe_path: Path | None,
    name: str,
    as_name: str | None,
    share: str | None,
    as_json: bool,
) -> None:
    """Make a workspace for improving a base model together. Equal arguments make the same one everywhere."""
    from mergealgebra.methods.ties import Ties
    from mergealgebra.recipe_file import read_recipe
    from mergealgebra.workspace import Workspace

    if share and as_name is not None:
        raise click.UsageError("a shared folder is nobody's and has no use for --as; give it to your `init` or `clone`")
    recipe = read_recipe(recipe_path) if recipe_path else Ties()
    with progress_bar() as show:
        if share:
            group = share == "group"
            store = Workspace.init_share(workspace, base=base, recipe=recipe, name=name, group=group, progress=show)
        else:
            store = Workspace.init(workspace, base=base, recipe=recipe, name=name, as_name=as_name, progress=show).store
    report_workspace(store, as_json)
    _warn_of_task(recipe)


def _warn_of_task(recipe: Method) -> None:
    """There are no contributions yet, and a genesis never changes."""
    if recipe.needs.task:
        warn(
            f"the recipe's task, {recipe.needs.task[:12]}, is a contribution that is not here yet: until it is, "
            "nothing can be merged by this recipe; for models of single tasks leave `task` out, and name it in a "
            "recipe for `resolve OUT --recipe R`"
        )


def report_workspace(store: Store, as_json: bool) -> None:
    """Print what a new workspace is, or a share of one."""
    from mergealgebra.ids import SHORT
    from mergealgebra.recipe import in_words
    from mergealgebra.text import location

    genesis = store.genesis
    if as_json:
        found = {"workspace": genesis.workspace_id, "name": genesis.name, "base": genesis.base}
        report({**found, "recipe": dict(genesis.recipe), "path": str(store.path)})
        return
    tell(
        {
            "workspace": genesis.name or "without a name",
            "id": genesis.workspace_id,  # whole: it is what `clone PEER#ID` takes
            "base": genesis.base[:SHORT],
            "recipe": in_words(genesis.recipe),
            "folder": location(store.path),
        }
    )
