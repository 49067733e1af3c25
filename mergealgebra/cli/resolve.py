"""`mergealgebra [-C WORKSPACE] resolve OUT [--recipe R | --lock L]`"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mergealgebra.cli.keys import key_options, signer_in
from mergealgebra.cli.options import (
    PATH,
    WHEN_IT_PAYS,
    ValueLeftOut,
    backend_option,
    block_option,
    json_option,
    keep_option,
    memory_option,
    threads_option,
)
from mergealgebra.cli.progress import progress_bar
from mergealgebra.cli.report import report, say, tell, warn

if TYPE_CHECKING:
    from mergealgebra.merge_result import MergeResult


@click.command(cls=ValueLeftOut)
@click.argument("out", type=PATH)
@click.option("--recipe", "recipe_path", type=PATH, help="A YAML file; the workspace's own recipe if left out.")
@click.option("--lock", type=PATH, help="Make the model that this merge.lock describes once more.")
@backend_option
@threads_option
@block_option
@memory_option
@keep_option
@click.option("--no-attest", is_flag=True, help="Do not tell the others which model came out.")
@key_options
@json_option
@click.pass_obj
def command(
    workspace: str,
    out: Path,
    recipe_path: Path | None,
    lock: Path | None,
    backend: str,
    threads: int | None,
    block: int | None,
    memory: int | None,
    keep_aggregate: str | None,
    no_attest: bool,
    key: Path | None,
    passphrase_fd: int | None,
    as_json: bool,
) -> None:
    """Merge all visible contributions by the workspace's recipe or another.

    OUT is a new folder, or a new file if its name ends in .safetensors; its lock, OUT.lock, is then beside it.
    """
    from mergealgebra.cli.words import command_for, few, made_of, same_tensors
    from mergealgebra.execution import start_numpy
    from mergealgebra.recipe_file import read_recipe
    from mergealgebra.workspace import Workspace

    if recipe_path and lock:
        raise click.UsageError("--lock has a recipe of its own; give it or --recipe")
    opened = Workspace.open(workspace)
    state = opened.state  # read once
    recipe = read_recipe(recipe_path, state.visible_ids()) if recipe_path else None
    signer = None if no_attest else signer_in(opened, key, passphrase_fd)
    start_numpy()
    with progress_bar() as show:
        result = opened.resolve(
            out,
            state=state,
            recipe=recipe,
            lock=lock,
            backend=backend,
            threads=threads,
            block=block,
            memory=memory,
            attest=not no_attest,
            key=signer,
            keep_aggregate="always" if keep_aggregate == "always" else keep_aggregate == WHEN_IT_PAYS,
            progress=show,
        )
    merged = result.lock.contributions
    twice = same_tensors({one.id: one.tensors for one in merged}, command_for(opened.store))
    made = few(list(made_of([one.id for one in merged], state)))
    report_result(result, [*opened.doubts, *result.warnings, *twice], as_json, made)


def report_result(result: MergeResult, warnings: Sequence[str], as_json: bool, made_of: Sequence[str] = ()) -> None:
    """Print what a merge made, and what is amiss. made_of: lines about what went in, for people."""
    if as_json:
        report(_for_json(result) | {"warnings": list(warnings)})
    else:
        tell(_for_people(result))
        for line in made_of:
            say(f"  {line}")
    for text in warnings:
        warn(text)


def _for_json(result: MergeResult) -> dict[str, object]:
    lock = result.lock
    found: dict[str, object] = {
        "merge_id": lock.merge_id,
        "model_root": lock.model_root,
        "out": str(result.out),
        "backend": lock.backend,
        "contributions": [contribution.id for contribution in lock.contributions],
        "achieved_density": lock.achieved_density,
        "uncertified": lock.uncertified,
    }
    if aggregate := result.aggregate:
        nbytes = aggregate.cost.nbytes if aggregate.cost else 0
        found |= {"aggregate": aggregate.in_words(), "changes": aggregate.changes, "aggregate_bytes": nbytes}
    return found


def _for_people(result: MergeResult) -> dict[str, str]:
    from mergealgebra.cli.words import count
    from mergealgebra.ids import SHORT
    from mergealgebra.text import location

    lock = result.lock
    lines = {
        "model": location(result.out),
        "made of": _made_of(result),
        "computed by": lock.backend,
        "merge id": lock.merge_id[:SHORT],
        "model root": lock.model_root[:SHORT],
    }
    if lock.uncertified:
        lines["slow sums"] = f"{lock.uncertified:,}, added as whole numbers to be exact"
    if aggregate := result.aggregate:
        lines["kept sums"] = aggregate.in_words()
        if aggregate.changes is not None:
            lines["read anew"] = f"{count(aggregate.changes, 'contribution')}; the kept sums had the others"
    return lines


def _made_of(result: MergeResult) -> str:
    """How many went in. Of whole models no share is kept: what the base has too is no change that was left out."""
    from mergealgebra.cli.words import count, percent

    if result.models:
        return count(result.models, "model")
    density = result.lock.achieved_density
    kept = f", {percent(density)} of their values kept" if float(density) < 1 else ""
    return count(len(result.lock.contributions), "contribution") + kept
