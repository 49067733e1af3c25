"""The figures as tables in Markdown, and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any, TypeAlias

from bars import Bar, Chart

#: As results.json has them: by row of the table, what was found with each seed.
Row: TypeAlias = Mapping[str, Any]
Results: TypeAlias = Mapping[str, Any]

#: How many models are merged and made: what a row is compared with. The colour in the picture, and a title.
GROUPS = {
    "all": ("plain", "One model of all fine-tunes, tested on all tasks"),
    "task": ("best", "A model for each task, tested on that task"),
    "two": ("agree", "One model of the first two fine-tunes, tested on their tasks"),
    "one": ("bad", "One model of the first fine-tune, tested on its task"),
}
HEAD = "| method | lambda 1 | lambda tuned | the lambdas | CPU s | MB |\n|---|---|---|---|---|---|"


def markdown(results: Results) -> str:
    """A table for each group, the best first; base and fine-tunes stand above them."""
    return "\n\n".join(_table(results, group, title) for group, (_, title) in GROUPS.items())


def _table(results: Results, group: str, title: str) -> str:
    references = [f"| *{name}* | {spread(found)} | | | | |" for name, found in _references(results, group)]
    rows = [_line(name, row) for name, row in ranked(results, group)]
    return "\n".join([f"**{title}**", "", HEAD, *references, *rows])


def _line(name: str, row: Row) -> str:
    trials = row["trials"]
    label = ", ".join([f"`{name}`", *(f"{key} {value}" for key, value in row["keys"].items())])
    tuned, lambdas = spread(_of(trials, "tuned")), " ".join(_of(trials, "lambda_"))
    if not lambdas:
        tuned = ""
    seconds, peak = median(_of(trials, "cpu_seconds")), median(_of(trials, "peak_bytes"))
    return f"| {label} | {spread(_of(trials, 'at_one'))} | {tuned} | {lambdas} | {seconds:.2f} | {peak / 1e6:.0f} |"


def ranked(results: Results, group: str) -> list[tuple[str, Row]]:
    """The rows of a group by their mean accuracy with lambda tuned, the best first."""
    rows = [(name, row) for name, row in results["rows"].items() if row["group"] == group]
    return sorted(rows, key=lambda entry: -fmean(_of(entry[1]["trials"], "tuned")))


def depending_on_order(rows: Mapping[str, Row]) -> list[str]:
    """The rows whose models were others when the fine-tunes came in reverse order."""
    return [
        label
        for label, row in rows.items()
        if any(trial["roots"] != trial["reversed_roots"] for trial in row["trials"])
    ]


def spread(found: Sequence[float]) -> str:
    """The mean over the seeds, and between what it is.

    >>> spread([84.04, 85.0])
    '84.5 (84.0-85.0)'
    """
    return f"{fmean(found):.1f} ({min(found):.1f}-{max(found):.1f})" if len(found) > 1 else f"{found[0]:.1f}"


def chart(results: Results) -> Chart:
    """A bar for each row: accuracy with lambda 1, and a dot for each seed with lambda tuned."""
    bars = []
    for group, (colour, _) in GROUPS.items():
        bars += [Bar(name, [("faint", fmean(x))], f"{fmean(x):.1f}") for name, x in _references(results, group)]
        bars += [_bar(name, row["trials"], colour) for name, row in ranked(results, group)]
    seeds = len(results["seeds"])
    return Chart(
        "What each method is worth",
        f"Percent of test images recognised, {seeds} seeds; bars: lambda 1, dots: lambda tuned",
        "Accuracy in percent, with lambda 1 and with lambda tuned: "
        + "; ".join(f"{bar.label} {bar.value.replace(' / ', ' and ')}" for bar in bars)
        + ".",
        bars,
        {
            "plain": "all fine-tunes",
            "best": "by task",
            "agree": "the first two",
            "bad": "the first",
            "faint": "not merged",
            "dot": "lambda tuned, one seed",
        },
    )


def _references(results: Results, group: str) -> list[tuple[str, Sequence[float]]]:
    return list(results["references"][group].items())


def _bar(name: str, trials: Sequence[Row], colour: str) -> Bar:
    at_one, tuned = _of(trials, "at_one"), _of(trials, "tuned")
    has_lambda = bool(_of(trials, "lambda_"))
    value = f"{fmean(at_one):.1f} / {fmean(tuned):.1f}" if has_lambda else f"{fmean(at_one):.1f}"
    return Bar(name, [(colour, fmean(at_one))], value, tuned)


def _of(trials: Sequence[Row], key: str) -> list[Any]:
    """What was found with each seed; where a method has no lambda, none of that."""
    return [trial[key] for trial in trials if trial[key] is not None]
