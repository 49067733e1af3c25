"""Options that several verbs share."""

from __future__ import annotations

import click

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
