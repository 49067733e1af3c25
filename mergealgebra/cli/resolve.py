"""`mergealgebra [-C WORKSPACE] resolve OUT`"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mergealgebra.cli.options import (
    PATH,
    backend_option,
    block_option,
    json_option,
    keep_option,
    memory_option,
    threads_option,
)
from mergealgebra.cli.progress import progress_bar
from mergealgebra.cli.report import report, warn

if TYPE_CHECKING:
    from mergealgebra.resolve import MergeResult


@click.command()
@click.argument("out", type=PATH)
@backend_option
@threads_option
@block_option
@memory_option
@keep_option
@json_option
@click.pass_obj
def command(
    workspace: str,
    out: Path,
    backend: str,
    threads: int | None,
    block: int | None,
    memory: int | None,
    keep_aggregate: bool,
    as_json: bool,
) -> None:
    """Merge all visible contributions into the new model folder OUT."""
    from mergealgebra.cli.status import disagreement_lines
    from mergealgebra.workspace import Workspace

    opened = Workspace.open(workspace)
    with progress_bar() as show:
        result = opened.resolve(
            out,
            backend=backend,
            threads=threads,
            block=block,
            memory=memory,
            keep_aggregate=keep_aggregate,
            progress=show,
        )
    warnings = [*opened.doubts, *result.warnings, *disagreement_lines(opened.state)]
    report_result(result, warnings, as_json)


def report_result(result: MergeResult, warnings: Sequence[str], as_json: bool) -> None:
    """Print what a merge made, and what is amiss."""
    lock = result.lock
    found: dict[str, object] = {
        "merge_id": lock.merge_id,
        "model_root": lock.model_root,
        "out": str(result.out),
        "backend": lock.backend,
        "contributions": [contribution.id for contribution in lock.contributions],
        "achieved_density": lock.achieved_density,
        "uncertified": lock.uncertified,
    }
    if result.aggregate is not None:
        found["aggregate"] = f"not kept: {result.aggregate.problem}" if result.aggregate.problem else "kept"
        found["changes"] = result.aggregate.changes
    found["warnings"] = list(warnings)
    report(found, as_json)
    for text in warnings:
        warn(text)
