"""`mergealgebra [-C WORKSPACE] extract OUT --rank R [--model MODEL | --contribution ID]`"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from mergealgebra.cli.options import PATH, json_option
from mergealgebra.cli.progress import progress_bar
from mergealgebra.cli.report import report, tell

if TYPE_CHECKING:
    from mergealgebra.formats.adapters.extraction import Extraction, Source
    from mergealgebra.progress import Progress


@click.command()
@click.argument("out", type=PATH)
@click.option("--rank", type=click.IntRange(min=1), required=True, help="The rank of all factors.")
@click.option("--model", type=PATH, help="The merged model; the merge of all visible contributions if left out.")
@click.option("--contribution", metavar="ID", help="In place of a model, one contribution, without its coefficient.")
@click.option("--base", type=PATH, help="The model's base; the workspace's if left out.")
@click.option("--matrices-only", is_flag=True, help="Leave out what is no matrix, and name it.")
@click.option("--prefix", default="", help="What peft's names of modules have before the base's, like `transformer.`.")
@json_option
@click.pass_obj
def command(
    workspace: str,
    out: Path,
    rank: int,
    model: Path | None,
    contribution: str | None,
    base: Path | None,
    matrices_only: bool,
    prefix: str,
    as_json: bool,
) -> None:
    """Write what a model changes as a LoRA adapter of rank R, for peft: OUT is a new folder.

    Each matrix gets the factors that are nearest to its change, by LAPACK: their bits depend on the machine. What they
    lack is told for each. Norms and biases are in the adapter whole.
    """
    from mergealgebra.formats.adapters.extraction import extract, in_words
    from mergealgebra.model_folder.output import refuse_occupied

    if model and contribution:
        raise click.UsageError("--model and --contribution are two things to extract; give one")
    if base and not model:
        raise click.UsageError("--base is of a --model; a workspace has its own")
    refuse_occupied(out)
    with ExitStack() as opened, progress_bar() as show:
        source = _source(workspace, out, model, contribution, base, opened, show)
        done = extract(source, out, rank, matrices_only=matrices_only, prefix=prefix, progress=show)
        origin = str(source.base.path)
    if as_json:
        report(_for_json(out, origin, done))
    else:
        tell({"adapter": str(out), "base": origin, **in_words(done)})


def _source(
    workspace: str,
    out: Path,
    model: Path | None,
    contribution: str | None,
    base: Path | None,
    opened: ExitStack,
    show: Progress,
) -> Source:
    """What is extracted, open."""
    from mergealgebra.formats.adapters.extraction import Source
    from mergealgebra.formats.models import open_base, open_model
    from mergealgebra.store.local import base_path
    from mergealgebra.workspace import Workspace

    if model and base:
        original = opened.enter_context(open_base(base))
        held = open_model(model, original)
        opened.callback(held.close)
        return Source(original, held)
    here = Workspace.open(workspace)
    original = opened.enter_context(open_base(base_path(here.store)))
    if contribution:
        from mergealgebra.contribution_blobs import open_blob
        from mergealgebra.ids import contribution_named

        state = here.state
        manifest = state.visible()[contribution_named(contribution, sorted(state.visible_ids()))]
        held = open_blob(manifest, here.store.blob_path(manifest.tensors), original)
        opened.callback(held.close)
        return Source(original, held, manifest.form)
    if model is None:
        folder = opened.enter_context(TemporaryDirectory(dir=out.absolute().parent, prefix=f".{out.name}."))
        model = here.resolve(Path(folder) / "merged", attest=False, progress=show).out
    held = open_model(model, original)
    opened.callback(held.close)
    return Source(original, held)


def _for_json(out: Path, base: str, done: Extraction) -> dict[str, object]:
    return {
        "out": str(out),
        "base": base,
        "rank": done.rank,
        "error": f"{done.error:.6g}",
        "errors": {name: f"{error:.6g}" for name, error in done.errors.items()},
        "whole": done.whole,
        "left_out": done.left_out,
    }
