"""What `laws` and `conformance` share on the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

#: How a merge function is written. The mark of a backspace keeps the lines as they are.
FUNCTION: Final = """\
\b
  def merge(base, task_vectors, *, density="1", lambda_="1", coefficients=None):
      return {name: array, ...}

base is a dict of NumPy arrays by name, task_vectors a list of such dicts, fine-tuned minus base in fp32. Call that
parameter models to be given fine-tuned models instead. The last three may be left out: density and lambda_ are
decimals as text, coefficients a list of them"""


def seconds_option(default: int, help_: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """How long a target may take."""
    return click.option("--seconds", type=click.IntRange(1, 10**6), default=default, show_default=True, help=help_)
