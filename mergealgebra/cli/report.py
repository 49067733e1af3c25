"""What a verb prints: aligned lines for people, or one JSON object [CL-2]."""

from __future__ import annotations

import json
from collections.abc import Mapping

import click

from mergealgebra.text import printable


def report(found: Mapping[str, object], as_json: bool) -> None:
    """Print what a verb found. Lists and mappings inside are for JSON only, but for lists of lines."""
    if as_json:
        click.echo(json.dumps(found))
        return
    lines = {key.replace("_", " "): value for key, value in found.items() if not isinstance(value, (list, dict))}
    width = max(map(len, lines))
    for key, value in lines.items():
        click.echo(f"{key:<{width}}  {value}")


def say(text: str) -> None:
    """Print lines for people."""
    for line in text.splitlines():
        click.echo(printable(line))


def warn(text: str) -> None:
    """Print a warning to standard error."""
    click.echo(f"warning: {text}", err=True)
