"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


class _NamedPath(click.Path):
    """A path that has been named: an empty one, as an unset variable leaves it, would mean the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the path is empty; write . for the current folder", param, ctx)
        return super().convert(value, param, ctx)


#: A path as text, and as a Path.
PATH_TEXT = _NamedPath()
PATH = _NamedPath(path_type=Path)

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
threads_option = click.option("--threads", type=click.IntRange(min=1), help="Threads; all cores if left out.")
block_option = click.option(
    "--block", type=click.IntRange(min=1), help="Elements in a block; never changes the result."
)
backend_option = click.option(
    "--backend",
    type=click.Choice(["auto", "numpy", "torch", "torch-cuda"]),
    default="auto",
    show_default=True,
    help="What computes it; never changes the result.",
)
