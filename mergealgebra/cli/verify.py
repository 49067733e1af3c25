"""`mergealgebra verify OUT [--against WORKSPACE]`"""

from __future__ import annotations

from pathlib import Path

import click

from mergealgebra.cli.options import PATH, backend_option, json_option, threads_option
from mergealgebra.cli.progress import progress_bar
from mergealgebra.cli.report import report, say, tell, warn


@click.command()
@click.argument("out", type=PATH)
@click.option("--against", type=PATH, help="Compute the model again from this workspace.")
@backend_option
@threads_option
@json_option
def command(out: Path, against: Path | None, backend: str, threads: int | None, as_json: bool) -> None:
    """Check that the model OUT, a folder or a file, is the one that its lock says it is."""
    from mergealgebra.formats.mergekit.chain import chain_checked
    from mergealgebra.ids import SHORT
    from mergealgebra.text import location
    from mergealgebra.verification import verify

    with progress_bar() as show:
        found = chain_checked(out, verify(out, against, backend=backend, threads=threads, progress=show))
    if as_json:
        shown: dict[str, object] = {"ok": found.ok, "merge_id": found.merge_id, "model_root": found.model_root}
        shown |= {"problem": found.problem} if found.problem else {}
        report(shown | {"warnings": list(found.remarks)})
    elif found.ok:
        say(f"{location(out)} is the model that its lock describes: every tensor is as it was written.")
        if against is not None:
            say(f"Merged again from {location(against)}, it has the same bits.")
        tell({"merge id": found.merge_id[:SHORT], "model root": found.model_root[:SHORT]})
    for remark in found.remarks:
        warn(remark)
    found.raise_if_failed()
