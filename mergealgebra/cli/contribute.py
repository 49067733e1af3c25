"""`mergealgebra [-C WORKSPACE] contribute CKPT`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mergealgebra.cli.keys import key_options, signer_in
from mergealgebra.cli.options import PATH, json_option, leave_option, note_option, take_option, threads_option
from mergealgebra.cli.progress import progress_bar
from mergealgebra.cli.report import report, tell, warn

if TYPE_CHECKING:
    from mergealgebra.publication import ContributionId
    from mergealgebra.workspace import Workspace


@click.command()
@click.argument("checkpoint", metavar="CKPT", type=PATH)
@click.option("--coefficient", default="1", show_default=True, help="A decimal that scales it.")
@click.option("--task-vector", is_flag=True, help="CKPT holds a difference from the base, not a model.")
@click.option(
    "--low-rank", is_flag=True, help="CKPT holds factors of a difference: NAME.low_rank_up, _down and _scale."
)
@click.option(
    "--fisher", type=PATH, help="A checkpoint of Fisher information, for methods that weigh by it, such as fisher."
)
@click.option(
    "--gram",
    type=PATH,
    help="A checkpoint of Gram matrices of the layers' inputs: kept for later, no method of this version reads it.",
)
@take_option
@leave_option
@click.option("--force", is_flag=True, help="Contribute it although it looks like a mistake.")
@note_option
@key_options
@threads_option
@json_option
@click.pass_obj
def command(
    workspace: str,
    checkpoint: Path,
    coefficient: str,
    task_vector: bool,
    low_rank: bool,
    fisher: Path | None,
    gram: Path | None,
    take: tuple[str, ...],
    leave: tuple[str, ...],
    force: bool,
    note: str | None,
    key: Path | None,
    passphrase_fd: int | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Publish the fine-tuned checkpoint CKPT: a safetensors file, a model folder, or a LoRA adapter as it is."""
    from mergealgebra.workspace import Workspace

    if task_vector and low_rank:
        raise click.UsageError("--task-vector and --low-rank are two forms; give one")
    form = "low_rank" if low_rank else "task_vector" if task_vector else "finetuned"
    given = {"fisher": fisher, "gram": gram}
    opened = Workspace.open(workspace)
    signer = signer_in(opened, key, passphrase_fd)
    with progress_bar() as show:
        made = opened.contribute(
            checkpoint,
            coefficient,
            form=form,
            take=take,
            leave=leave,
            force=force,
            note=note,
            auxiliary={kind: path for kind, path in given.items() if path is not None},
            key=signer,
            threads=threads,
            progress=show,
        )
    _say(opened, made, coefficient, as_json)


def _say(opened: Workspace, made: ContributionId, coefficient: str, as_json: bool) -> None:
    """What was contributed, and what looks odd about it."""
    from mergealgebra.cli.words import change, form_in_words
    from mergealgebra.ids import short_ids

    figures, form = made.measure.to_map(), opened.visible()[made].form
    if as_json:
        found = {"contribution": str(made), "operation": made.operation, "form": form, "coefficient": coefficient}
        report({**found, **figures, "warnings": list(made.warnings)})
    else:
        tell(
            {
                "contribution": short_ids([*opened.visible(), made])[made],
                "what": form_in_words(form, coefficient),
                "change": change(figures),
            }
        )
    for text in made.warnings:
        warn(text)
