"""`mergealgebra warmup`"""

from __future__ import annotations

from time import monotonic

import click

from mergealgebra.cli.options import json_option
from mergealgebra.cli.progress import progress_bar
from mergealgebra.cli.report import report, tell
from mergealgebra.text import location


@click.command()
@json_option
def command(as_json: bool) -> None:
    """Compile the kernels for this machine, so that the first merge need not.

    They are kept, and later processes load them at once. Others are needed after an upgrade, and on another processor.
    """
    from mergealgebra.engine.backends import warm_up

    start = monotonic()
    with progress_bar() as show:
        folder, compiled = warm_up(show)
    seconds = monotonic() - start
    if as_json:
        report({"compiled": compiled, "folder": str(folder), "seconds": round(seconds, 3)})
        return
    done = f"{len(compiled)} compiled in {seconds:.1f} s" if compiled else "all compiled before, nothing to do"
    tell({"kernels": done, "kept in": location(folder)})
