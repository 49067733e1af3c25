"""`mergealgebra laws TARGET`"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from mergealgebra.cli.options import json_option
from mergealgebra.cli.report import report, say
from mergealgebra.cli.targets import FUNCTION, seconds_option

if TYPE_CHECKING:
    from mergealgebra.laws.verdict import Verdict


class _Option(click.ParamType[tuple[str, str]]):
    """KEY=VALUE."""

    name = "key=value"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        key, separator, text = str(value).partition("=")
        if not (key and separator):
            self.fail(f"{value!r} is not an option of TARGET; write KEY=VALUE, such as density=0.2", param, ctx)
        return key, text


_HELP = f"""\
Search for counterexamples to laws of the merge function TARGET.

TARGET is a method by its name, such as ties, with the keys of a recipe as options; mergekit or peft, where installed,
with method=... and its parameters; or module:function, found from the current folder. Such a function is written

{FUNCTION}. `mergealgebra conformance` calls it in the same way.

A broken law is a result: the exit status is 0, and the counterexample is printed as a program that runs by itself.
Where the two sides of a law never differ by more than the last digits of numbers, it holds but for rounding, which
is not a mistake.
"""


@click.command(help=_HELP)
@click.argument("target")
@click.option("-o", "--option", "options", type=_Option(), multiple=True, help="An option of TARGET, KEY=VALUE.")
@click.option("--law", "laws", multiple=True, help="Check this law; all of them if left out.")
@click.option("--tries", type=click.IntRange(min=1), help="Random cases for each law; 100 if left out.")
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses the random cases.")
@seconds_option(120, "How long loading TARGET, and each law, may take. After two laws that took longer it stops.")
@json_option
def command(
    target: str,
    options: tuple[tuple[str, str], ...],
    laws: tuple[str, ...],
    tries: int | None,
    seed: int,
    seconds: int,
    as_json: bool,
) -> None:
    from mergealgebra.laws.checker import TRIES, names_of, require_hypothesis
    from mergealgebra.laws.isolation import Question, check_apart
    from mergealgebra.laws.table import LAWS

    names = names_of(laws or None)
    require_hypothesis()
    question = Question(target, dict(options), tries or TRIES, seed)
    found = check_apart(question, names, seconds)
    if as_json:
        verdicts = list(found)
        asked = {"target": target, "options": dict(options), "seed": seed, "tries": question.tries}
        told = [{**verdict.to_map(), "sentence": LAWS[verdict.law].sentence} for verdict in verdicts]
        report({**asked, "verdicts": told, "causes": _causes(verdicts)})
        return
    verdicts = list(_as_they_come(found, max(map(len, LAWS))))
    for line in _programs(verdicts):
        say(line)


def _as_they_come(found: Iterable[Verdict], width: int) -> Iterator[Verdict]:
    """Print each verdict in a line; of those that fail by one cause, the first in full."""
    first: dict[str, str] = {}
    for verdict in found:
        text, cause = str(verdict), verdict.cause
        if cause and first.setdefault(cause, verdict.law) != verdict.law:
            text = text.replace(cause, f"the same as {first[cause]}", 1)
        say(f"{verdict.law:<{width}}  {text}")
        yield verdict


def _causes(verdicts: Iterable[Verdict]) -> dict[str, list[str]]:
    """The laws that fail, by cause."""
    causes: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.cause:
            causes.setdefault(verdict.cause, []).append(verdict.law)
    return causes


def _programs(verdicts: Iterable[Verdict]) -> Iterator[str]:
    """What many laws fail by, and the lines of the counterexamples, one for each cause."""
    verdicts = list(verdicts)
    causes = _causes(verdicts)
    for cause, laws in causes.items():
        if len(laws) > 1:
            yield from ("", f"{len(laws)} laws met one error: {cause}")
    repeated = {law for laws in causes.values() for law in laws[1:]}
    shown = [v for v in verdicts if v.counterexample and v.outcome in ("broken", "error") and v.law not in repeated]
    for number, verdict in enumerate(shown, 1):
        separator = [f"# ---- program {number} of {len(shown)} ----"] if len(shown) > 1 else []
        yield from ("", *separator, *verdict.counterexample.removesuffix("\n").split("\n"))
