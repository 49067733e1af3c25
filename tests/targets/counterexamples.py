"""Running the programs that counterexamples are."""

from __future__ import annotations

import contextlib
import io


def run(program, **names):
    """Run a program, with some names bound before. Returns its names, what it raised or None, and what it printed."""
    scope = {"__name__": "counterexample", **names}
    raised = None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            exec(compile(program, "<counterexample>", "exec"), scope)
        except (Exception, SystemExit) as error:
            raised = error
    return scope, raised, printed.getvalue()
