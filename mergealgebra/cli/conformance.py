"""`mergealgebra conformance TARGET`"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mergealgebra.cli.options import PATH, PATH_TEXT, json_option
from mergealgebra.cli.progress import progress_bar
from mergealgebra.cli.report import report, report_tables, say
from mergealgebra.cli.targets import FUNCTION, seconds_option
from mergealgebra.errors import NotConformant, NothingAnswered, TargetError

if TYPE_CHECKING:
    from mergealgebra.conformance.verdict import Verdict
    from mergealgebra.targets.questions import Target


_HELP = f"""\
Find out what the implementation of TIES that TARGET names computes.

TARGET is mergekit, peft, crdt-merge, sd-mecha or fusion-bench, installed for the interpreter --python; authors or
mergelm, with --checkout; mergealgebra or mergealgebra:DIALECT; a program and its arguments in one word, which
speaks the lines of JSON that --protocol describes; or module:function, found from the current folder. Such a
function is written

{FUNCTION}; without density little can be told. What it raises is a refusal,
which is an answer. `mergealgebra laws` calls it in the same way.

What TARGET does is a result: the exit status is 0, or 1 when it answers none of the questions, or conforms to no
--dialect that is named.
"""


@click.command(help=_HELP)
@click.argument("target", required=False)
@click.option("--dialect", "dialects", multiple=True, metavar="NAME", help="Fail unless TARGET conforms to it.")
@click.option("--discover", is_flag=True, help="Only find out which option TARGET takes at each point: quicker.")
@click.option("--python", type=PATH_TEXT, metavar="P", help="The Python that has the package or module; else ours.")
@click.option("--checkout", type=PATH_TEXT, metavar="PATH", help="A checkout: for the targets authors and mergelm.")
@seconds_option(30, "How long one answer may take. After six that took longer it stops.")
@click.option("--junit", type=PATH, metavar="F", help="Write the verdict to F as JUnit XML.")
@click.option("--html", type=PATH, metavar="F", help="Write the verdict to F as one HTML page.")
@click.option("--protocol", is_flag=True, help="Print the protocol for programs in any language, and stop.")
@click.option("--points", is_flag=True, help="Print all points, their options and who takes which, and stop.")
@json_option
def command(
    target: str | None,
    dialects: tuple[str, ...],
    discover: bool,
    python: str | None,
    checkout: str | None,
    seconds: int,
    junit: Path | None,
    html: Path | None,
    protocol: bool,
    points: bool,
    as_json: bool,
) -> None:
    if protocol or points:
        _explain(protocol, points)
        return
    if target is None:
        raise click.UsageError("Missing argument 'TARGET'.")
    _judge(target, dialects, discover, python, checkout, seconds, junit, html, as_json)


def _explain(protocol: bool, points: bool) -> None:
    from mergealgebra.conformance.reports.tables import every_point
    from mergealgebra.targets.protocol import text

    if protocol:
        for line in text().rstrip("\n").split("\n"):
            say(line)
    if points:
        report_tables(every_point())


def _judge(
    target: str,
    dialects: tuple[str, ...],
    discover: bool,
    python: str | None,
    checkout: str | None,
    seconds: int,
    junit: Path | None,
    html: Path | None,
    as_json: bool,
) -> None:
    from mergealgebra.conformance.reports.tables import told
    from mergealgebra.targets.loading import open_target

    _check_dialects(dialects, discover)
    for path in filter(None, (junit, html)):
        _check_place(path)
    if junit and html and junit.resolve() == html.resolve():
        raise click.UsageError("--junit and --html name one file: give each its own")
    verdict = _judged(open_target(target, python=python, checkout=checkout), seconds, discover)
    if junit:
        _write_junit(junit, verdict, dialects)
    if html:
        _write_page(html, verdict)
    _print(verdict, discover, as_json)
    if not told(verdict):
        raise NothingAnswered(f"{target}: {verdict.summary}")
    if dialects and not set(dialects) & set(verdict.conformant_to):
        raise NotConformant(f"{target} does not conform to {' or '.join(dialects)}{_but(verdict, dialects)}")


def _but(verdict: Verdict, dialects: tuple[str, ...]) -> str:
    """That rounding is all that is between it and a dialect, if it is so."""
    near = [s.dialect for s in verdict.standings if s.dialect in dialects and s.differences == s.rounding > 0]
    return f"; from {' and '.join(near)} it differs by rounding alone, but a dialect is bit for bit" if near else ""


def _check_dialects(dialects: tuple[str, ...], discover: bool) -> None:
    from mergealgebra.dialects.points import DIALECTS

    if discover and dialects:
        raise click.UsageError("--discover gives no verdict: leave it out, or leave out --dialect")
    for name in dialects:
        if name not in DIALECTS:
            raise click.BadParameter(f"{name!r} is not a dialect; expected one of {', '.join(DIALECTS)}")


def _check_place(path: Path) -> None:
    """Before the questions, which take a while, see that the answers can be written down."""
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if (path.exists() and not path.is_file()) or not (above.is_dir() and os.access(above, os.W_OK)):
        raise click.BadParameter(f"{path} is not where a file can be written")


def _judged(target: Target, seconds: int, discover: bool) -> Verdict:
    from mergealgebra.conformance.judgement import judge as judging
    from mergealgebra.targets.loading import PACKAGES

    ask = judging.discover if discover else judging.judge
    try:
        with progress_bar() as show:
            return ask(target, seconds=seconds, progress=show)
    except TargetError as error:
        if target.name in PACKAGES:
            raise TargetError(f"{error}; name a Python that has {target.name} as --python") from error
        raise


def _write_junit(path: Path, verdict: Verdict, dialects: tuple[str, ...]) -> None:
    from mergealgebra.conformance.reports.junit import junit

    _write(path, junit(verdict, dialects))


def _write_page(path: Path, verdict: Verdict) -> None:
    from mergealgebra.conformance.reports.page import page
    from mergealgebra.conformance.reports.tables import LEGEND, name_of, ruled_out, telling, told

    shown = [*telling(verdict), *([ruled_out(verdict)] if told(verdict) else [])]
    paragraphs = [verdict.summary, " ".join(LEGEND)] if told(verdict) else [verdict.summary]
    _write(path, page(f"Conformance: {name_of(verdict)}", paragraphs, shown).encode())


def _write(path: Path, data: bytes) -> None:
    from mergealgebra.store.atomic import replace_file

    replace_file(path.resolve(), data)


def _print(verdict: Verdict, discover: bool, as_json: bool) -> None:
    from mergealgebra.conformance.reports.tables import (
        LEGEND,
        as_discovery,
        as_map,
        clauses,
        name_of,
        nearest,
        telling,
        told,
    )

    if as_json:
        report(as_discovery(verdict) if discover else as_map(verdict))
        return
    say(name_of(verdict))
    found = (clauses(verdict), nearest(verdict)) if discover and told(verdict) else telling(verdict)
    report_tables(table for table in found if table.rows)
    for line in ("", *LEGEND) if told(verdict) else ():
        say(line)
    say()
    say(verdict.summary)
