"""`mergealgebra merge CONFIG OUT`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mergealgebra.cli.options import (
    PATH,
    backend_option,
    block_option,
    json_option,
    leave_option,
    memory_option,
    take_option,
    threads_option,
)
from mergealgebra.cli.progress import progress_bar

if TYPE_CHECKING:
    from mergealgebra.execution import Execution
    from mergealgebra.merge_result import MergeResult


@click.command()
@click.argument("config", type=PATH)
@click.argument("out", type=PATH)
@click.option(
    "--tokenizer-source",
    metavar="base|union|MODEL",
    help="Whose tokens the merged model has; rows follow them.",
)
@click.option("--as", "as_", type=click.Choice(["mergekit"]), help="Compute a mergekit file as mergekit does.")
@click.option("--masks", type=PATH, metavar="FILE", help="The masks that mergekit drew, for --as mergekit.")
@take_option
@leave_option
@backend_option
@threads_option
@block_option
@memory_option
@json_option
def command(
    config: Path,
    out: Path,
    tokenizer_source: str | None,
    as_: str | None,
    masks: Path | None,
    take: tuple[str, ...],
    leave: tuple[str, ...],
    backend: str,
    threads: int | None,
    block: int | None,
    memory: int | None,
    as_json: bool,
) -> None:
    """Merge the models named in the YAML file CONFIG into the new folder OUT, or into one file OUT.safetensors.

    \b
    method: ties            # or mean, linear, task_arithmetic, dare_ties, breadcrumbs, della, ...
    density: "0.2"
    dialect: canonical      # or whose TIES, as in mergekit-0.1.5; the order of models never counts
    base: path/to/base      # paths are relative to CONFIG's folder
    models:
      - {path: path/to/fine-tune, coefficient: "1"}

    `take` and `leave`, patterns of tensor names like 'lm_head.*', choose tensors: at the top for all models, beside a
    path for that one. --take and --leave are added to those at the top. `fisher` beside a path names the file of Fisher
    information of that model, which `method: fisher` needs. `tokenizer_source` is whose tokens the merged model has.
    CONFIG may be a file of mergekit's, as it is: it is merged by the methods here, or with --as mergekit as mergekit
    computes it. A path may be that of a model on the Hugging Face hub, org/name or org/name@revision.
    """
    from mergealgebra.cli.resolve import report_result
    from mergealgebra.errors import RecipeError
    from mergealgebra.execution import Execution, start_numpy

    start_numpy()
    from mergealgebra.formats.mergekit.files import merge_file
    from mergealgebra.formats.mergekit.grammar import is_mergekit
    from mergealgebra.formats.mergekit.merging import How
    from mergealgebra.text import location

    theirs, where = is_mergekit(config), location(config)
    if (as_ or masks) and not theirs:
        raise RecipeError(f"{where} is not a mergekit file, which --as and --masks are for: leave them out")
    if tokenizer_source and theirs:
        raise RecipeError(f"{where} is a mergekit file: write `tokenizer_source: {tokenizer_source}` in it")
    with progress_bar() as show:
        execution = Execution(backend, threads, block, show, memory)
        if theirs:
            result = merge_file(config, out, execution, How(take, leave, as_ == "mergekit", masks))
        else:
            result = _merge_ours(config, out, execution, tokenizer_source, take, leave)
    report_result(result, result.warnings, as_json)


def _merge_ours(
    config: Path,
    out: Path,
    execution: Execution,
    tokenizer_source: str | None,
    take: tuple[str, ...],
    leave: tuple[str, ...],
) -> MergeResult:
    from mergealgebra.file_merge import Model, merge_checkpoints
    from mergealgebra.formats.models import tokenizer_wanted
    from mergealgebra.recipe_file import read_merge_file

    file = read_merge_file(config)
    models = [Model(m.path, m.coefficient, m.take, m.leave, m.auxiliary, m.settings) for m in file.models]
    return merge_checkpoints(
        *(file.base, models, file.recipe, out, execution),
        take=(*file.take, *take),
        leave=(*file.leave, *leave),
        listed_in=config,
        tokenizer=tokenizer_wanted(tokenizer_source or file.tokenizer_source),
    )
