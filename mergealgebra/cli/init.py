"""`mergealgebra [-C WORKSPACE] init --base B [--recipe R] [--name N] [--as YOU | --share] [--maintainer KEY]`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mergealgebra.cli.keys import key_options, private_key
from mergealgebra.cli.options import MODEL, PATH, ValueLeftOut, as_option, json_option, share_option
from mergealgebra.cli.progress import progress_bar
from mergealgebra.cli.report import report, say, tell, warn

if TYPE_CHECKING:
    from mergealgebra.methods.method import Method
    from mergealgebra.store.objects import Store


@click.command(cls=ValueLeftOut)
@click.option("--base", type=MODEL, help="The base: a file or a model folder.")
@click.option("--recipe", "recipe_path", type=PATH, help="A YAML file; `method: ties` if left out.")
@click.option("--name", help="A name for the workspace; part of its identity.")
@as_option
@share_option("--share", "Make a shared folder, to sync with, in place of a workspace of yours")
@click.option(
    "--maintainer",
    "maintainers",
    multiple=True,
    metavar="KEY",
    help="A public key, as an OpenSSH line or a file of one. With any, the workspace is signed: they alone say who may "
    "contribute, and they never change.",
)
@click.option("--from", "old", type=PATH, metavar="OLD", help="Take over what is visible in another workspace.")
@key_options
@json_option
@click.pass_obj
def command(
    workspace: str,
    base: Path | None,
    recipe_path: Path | None,
    name: str | None,
    as_name: str | None,
    share: str | None,
    maintainers: tuple[str, ...],
    old: Path | None,
    key: Path | None,
    passphrase_fd: int | None,
    as_json: bool,
) -> None:
    """Make a workspace for improving a base model together. Equal arguments make the same one everywhere."""
    from mergealgebra.methods.ties import Ties
    from mergealgebra.recipe_file import read_recipe
    from mergealgebra.store.local import write_key
    from mergealgebra.workspace import Workspace

    if share and as_name is not None:
        raise click.UsageError("a shared folder is nobody's and has no use for --as; give it to your `init` or `clone`")
    if old and (share or recipe_path or not maintainers):
        raise click.UsageError("--from takes the recipe along, makes no share, and needs a --maintainer")
    if base is None and not old:
        raise click.UsageError("name the base with --base, or another workspace with --from")
    signer = private_key(key, passphrase_fd) if key else None
    recipe = read_recipe(recipe_path) if recipe_path else Ties()
    with progress_bar() as show:
        if old:
            known: dict[str, Any] = {"maintainers": maintainers, "key": signer, "name": name, "as_name": as_name}
            store = Workspace.succeed(workspace, old, **known, base=base, progress=show).store
        else:
            said: dict[str, Any] = {"base": base, "recipe": recipe, "name": name or "", "maintainers": maintainers}
            if share:
                store = Workspace.init_share(workspace, **said, group=share == "group", progress=show)
            else:
                store = Workspace.init(workspace, **said, as_name=as_name, progress=show).store
    if key and not share:
        write_key(store, key)
    report_workspace(store, as_json)
    if len(store.genesis.maintainers) == 1 and not as_json:
        say(
            "If this maintainer's key is lost, nobody can take its place. Two maintainers are named when a workspace "
            "is made: `--maintainer ONE.pub --maintainer OTHER.pub`."
        )
    if not old:
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
    from mergealgebra.signatures import fingerprint
    from mergealgebra.text import location

    genesis = store.genesis
    maintainers = [fingerprint(key) for key in genesis.maintainers]
    if as_json:
        found: dict[str, object] = {"workspace": genesis.workspace_id, "name": genesis.name, "base": genesis.base}
        found |= {"maintainers": maintainers} if maintainers else {}
        report({**found, "recipe": dict(genesis.recipe), "path": str(store.path)})
        return
    tell(
        {
            "workspace": genesis.name or "without a name",
            "id": genesis.workspace_id,  # whole: it is what `clone PEER#ID` takes
            "base": genesis.base[:SHORT],
            "recipe": in_words(genesis.recipe),
            **({"maintainers": ", ".join(maintainers)} if maintainers else {}),
            "folder": location(store.path),
        }
    )
