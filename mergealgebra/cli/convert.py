"""`mergealgebra convert CONFIG [OUT.yaml]`"""

from __future__ import annotations

from pathlib import Path

import click

from mergealgebra.cli.options import PATH
from mergealgebra.cli.report import say, warn


@click.command()
@click.argument("config", type=PATH)
@click.argument("out", type=PATH, required=False)
def command(config: Path, out: Path | None) -> None:
    """Write the mergekit file CONFIG as a merge file of ours, to OUT.yaml or to standard output.

    Both files give the same model. Paths in OUT are relative to its folder, those on standard output to the current
    one.
    """
    from mergealgebra.disk import refused_as_output
    from mergealgebra.errors import RecipeError
    from mergealgebra.formats.mergekit.conversion import convert_file
    from mergealgebra.formats.mergekit.grammar import is_mergekit
    from mergealgebra.text import location

    if not is_mergekit(config):
        raise RecipeError(f"{location(config)} is not a mergekit file: it needs no converting")
    text, remarks = convert_file(config, Path() if out is None else out.parent)
    if out is None:
        for line in text.splitlines():
            say(line)
    else:
        with refused_as_output(out), out.open("x") as file:
            file.write(text)
        say(f"{location(out)} is the same merge; `mergealgebra merge {location(out)} OUT` makes the model")
    for remark in remarks:
        warn(remark)
