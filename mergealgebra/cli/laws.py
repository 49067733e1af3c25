"""`mergealgebra laws TARGET`"""

from __future__ import annotations

import click

from mergealgebra.cli.options import json_option
from mergealgebra.cli.report import report, say


class _Option(click.ParamType[tuple[str, str]]):
    """KEY=VALUE."""

    name = "key=value"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        key, separator, text = str(value).partition("=")
        if not (key and separator):
            self.fail(f"{value!r} is no option; write KEY=VALUE, such as density=0.2", param, ctx)
        return key, text


@click.command()
@click.argument("target")
@click.option("-o", "--option", "options", type=_Option(), multiple=True, help="An option of TARGET, KEY=VALUE.")
@click.option("--law", "laws", multiple=True, help="Check this law; all of them if left out.")
@click.option("--tries", type=click.IntRange(min=1), help="Random cases for each law; 100 if left out.")
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses the random cases.")
@click.option("--seconds", type=click.IntRange(1, 10**6), default=600, show_default=True, help="Most for one law.")
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
    """Search for counterexamples to laws of the merge function TARGET.

    TARGET is ties, mean or task_arithmetic, with the keys of a recipe as options; mergekit or peft, where installed,
    with method=... and its parameters; or module:function, found from the current folder, which takes a base and a
    list of task vectors, mappings from names to NumPy arrays, and returns the merged model. A broken law is a result:
    the exit status is 0, and the counterexample is printed as a program that runs by itself.
    """
    from mergealgebra.laws.apart import Question, check_apart
    from mergealgebra.laws.checking import TRIES, names_of, require_hypothesis
    from mergealgebra.laws.table import LAWS

    names = names_of(laws or None)
    require_hypothesis()
    question = Question(target, dict(options), tries or TRIES, seed)
    verdicts = []
    width = max(map(len, LAWS))
    for verdict in check_apart(question, names, seconds):
        verdicts.append(verdict)
        if not as_json:
            say(f"{verdict.law:<{width}}  {verdict}")
    if as_json:
        found = [{**verdict.to_map(), "sentence": LAWS[verdict.law].sentence} for verdict in verdicts]
        asked = {"target": target, "options": dict(options), "seed": seed, "tries": question.tries}
        report({**asked, "verdicts": found}, as_json)
        return
    for verdict in verdicts:
        if verdict.counterexample:
            for line in ["", *verdict.counterexample.removesuffix("\n").split("\n")]:
                say(line)
