"""Tables and plots of what was measured: python report.py [--results FOLDER]

All tables go into FOLDER/README.md beside the plots, the most important ones into README.md between two markers.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from aims import aims
from results import Results, moved_bytes, ratio
from settings import FULL_RESOLVE, KEPT, OURS, Measurement

HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
#: The machine, the aims and the comparison.
IN_README = 3
MARKS = {True: "yes", False: "**no**", None: ""}


def write(folder: Path, readme: Path | None) -> None:
    """Make the plots and FOLDER/README.md with all tables; put the first two and the plots into the README too."""
    results = Results.read(folder)
    found = list(tables(results)) or ["Not measured yet."]
    pictures = _draw(results, folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text("# Everything that was measured\n\n" + "\n\n".join(found) + "\n")
    print("\n\n".join(found[:IN_README]))
    if readme is not None:
        images = [f"![{file.stem}]({file.relative_to(readme.parent)})" for file in pictures]
        text = "\n\n".join([*found[:IN_README], *images, "All tables: [results/](results/README.md)."])
        before, rest = readme.read_text().split(BEGIN)
        readme.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}")


def _draw(results: Results, folder: Path) -> list[Path]:
    """Make the plots, unless matplotlib is missing. Returns their files."""
    if find_spec("matplotlib") is None:
        print("no plots: `pip install -r benchmarks/requirements.txt`, then `python benchmarks/report.py`")
        return []
    import plots

    return plots.write(results, folder)


def tables(results: Results) -> Iterator[str]:
    """Every table that something was measured for."""
    if results.parts:
        yield _machines(results)
    for title, columns, rows_of in TABLES:
        if rows := list(rows_of(results)):
            yield f"**{title}**\n\n{_table(columns, rows)}"


def _machines(results: Results) -> str:
    """One line for each machine and set of versions, with the parts measured on it."""
    lines: dict[str, list[str]] = {}
    for name, part in results.parts.items():
        lines.setdefault(_machine(part["machine"], part["settings"]["threads"]), []).append(name)
    return "\n".join(f"- {line} ({', '.join(names)})" for line, names in lines.items())


def _machine(machine: dict[str, Any], threads: int) -> str:
    packages = {**machine["packages"], **machine.get("peers", {})}
    versions = ", ".join(f"{name} {version}" for name, version in packages.items() if version)
    hardware = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB"
    software = f"{machine['system']}, Python {machine['python']}, {versions}, commit {machine['commit']}"
    return f"{hardware}; {threads} threads; {software}"


def _aims(results: Results) -> Iterator[list[str]]:
    for aim in aims(results):
        yield [aim.text, aim.measured, MARKS[aim.holds]]


def _comparison(results: Results) -> Iterator[list[str]]:
    """Every program, with its time as a multiple of ours in the same scope and of the floor."""
    for found in results.all("compare"):
        labels, median = found["labels"], found["median"]
        scope = labels.get("scope", "model")
        ours = results.one("compare", program=OURS, dtype=labels["dtype"], scope=scope)
        floor = results.one("compare", program="floor", dtype=labels["dtype"])
        yield [
            labels["program"] + (f", {labels['scope']}" if "scope" in labels else ""),
            labels["dtype"],
            f"{median['wall']:.2f}",
            f"{median['user'] + median['system']:.2f}",
            _megabytes(median["peak_rss"]),
            *(f"{ratio(found, other)[0]:.1f}" if other else "" for other in (ours, floor)),
        ]


def _agreement(results: Results) -> Iterator[list[str]]:
    for found in results.parts.get("compare", {}).get("agreement", []):
        yield [found["program"], found["dtype"], f"{found['share']:.4%}", f"{found['largest']:.1e}"]


def _start(results: Results) -> Iterator[list[str]]:
    for found in results.all("start") + results.all("kernels"):
        median = found["median"]
        yield [found["labels"]["program"], f"{median['wall']:.2f}", _megabytes(median["peak_rss"])]


def _workspace(results: Results) -> Iterator[list[str]]:
    seen = set()
    for found in results.all("cached"):
        labels = found["labels"]
        if (labels["program"], labels["dtype"]) not in seen:
            seen.add((labels["program"], labels["dtype"]))
            yield [labels["program"], labels["dtype"], *_time_and_memory(found)]


def _growth(part: str) -> Callable[[Results], Iterator[list[str]]]:
    def rows(results: Results) -> Iterator[list[str]]:
        for found in results.all(part):
            labels = found["labels"]
            size = [f"{labels['parameters']:,}", str(labels["n"])]
            rate = moved_bytes(found) / found["median"]["wall"] / 1e9
            yield [labels["program"], *size, *_time_and_memory(found), f"{rate:.2f}"]

    return rows


def _incremental(results: Results) -> Iterator[list[str]]:
    sizes = results.parts.get("incremental", {}).get("aggregate_bytes_per_parameter", {})
    for full in results.all("incremental", program=FULL_RESOLVE):
        count = full["labels"]["n"]
        kept = results.one("incremental", program=KEPT, n=count)
        if kept:
            times = [f"{found['median']['wall']:.2f}" for found in (full, kept)]
            yield [str(count), *times, f"{ratio(full, kept)[0]:.2f}", f"{sizes[str(count)]:.1f}"]


def _joins(results: Results) -> Iterator[list[str]]:
    kinds = list(dict.fromkeys(found["labels"]["what"] for found in results.all("joins")))
    for found in results.all("joins", what="join"):
        count = found["labels"]["operations"]
        times = (results.median("joins", what=kind, operations=count) for kind in kinds)
        yield [f"{count:,}", *(f"{seconds / count * 1e6:.2f}" for seconds in times if seconds is not None)]


def _opening(results: Results) -> Iterator[list[str]]:
    """CPU seconds, and what they are of those that reading the bytes takes."""
    for found in results.all("opening", what="read"):
        count = found["labels"]["operations"]
        rows = {one["labels"]["what"]: one["median"]["cpu"] for one in results.all("opening", operations=count)}
        yield [
            f"{count:,}",
            *(f"{rows[what]:.4f}" for what in OPENING.values()),
            f"{rows['status'] - rows['start']:.4f}",
        ]


def _syncing(results: Results) -> Iterator[list[str]]:
    """CPU seconds of both sides, and bytes, by what the two lack of each other."""
    for found in results.all("syncing", what="missing"):
        count = found["labels"]["operations"]
        rows = {one["labels"]["what"]: one["median"] for one in results.all("syncing", operations=count)}
        missing = rows["missing"]
        yield [
            f"{count:,}",
            *(f"{rows[what]['cpu']:.3f}" for what in ("all", "missing", "nothing")),
            f"{missing['reconciling']:,.0f}",
            f"{missing['round_trips']:.0f}",
            f"{rows['nothing']['reconciling']:,.0f}",
        ]


#: The columns of what opening takes, and what each shows.
OPENING = {
    "read the bytes": "read",
    "open, all new": "first",
    "open": "open",
    "join one more": "join",
    "`status`": "status",
}
GROWTH_COLUMNS = ("program", "parameters", "n", "s", "CPU s", "peak MB", "GB/s")
#: Every table: its title, its columns, its rows.
TABLES: tuple[tuple[str, Sequence[str], Callable[[Results], Iterator[list[str]]]], ...] = (
    ("Aims (the ratios: median, least and greatest over the rounds)", ("aim", "measured", "holds"), _aims),
    (
        "One merge, everything included",
        ("program, scope", "dtype", "s", "CPU s", "peak MB", "times ours, same scope", "times the floor"),
        _comparison,
    ),
    (
        "Do the others compute the same? Against ours, scope `tensor`",
        ("program", "dtype", "elements that differ by more than rounding", "largest difference"),
        _agreement,
    ),
    ("Start-up", ("program", "s", "peak MB"), _start),
    ("A workspace", ("command", "dtype", "s", "CPU s", "peak MB"), _workspace),
    ("Growth with the number of fine-tunes", GROWTH_COLUMNS, _growth("count")),
    ("Growth with the size", GROWTH_COLUMNS, _growth("size")),
    (
        "Adding the n-th contribution",
        ("n", "full `resolve`, s", "with a kept aggregate, s", "times faster", "aggregate, bytes a parameter"),
        _incremental,
    ),
    (
        "States: microseconds for each operation",
        ("operations", "join, half shared", "join one more", "what is visible", "decode"),
        _joins,
    ),
    (
        "Workspaces of many operations: CPU seconds",
        ("operations", *OPENING, "`status` beyond start-up"),
        _opening,
    ),
    (
        "Syncing with a live peer: CPU seconds of both sides, bytes of reconciling ids",
        (
            "operations",
            "one side has none",
            "10 missing on each side",
            "nothing new",
            "bytes, 10 missing",
            "round trips",
            "bytes, nothing new",
        ),
        _syncing,
    ),
)


def _time_and_memory(found: Measurement) -> list[str]:
    median = found["median"]
    return [f"{median['wall']:.2f}", f"{median['user'] + median['system']:.2f}", _megabytes(median["peak_rss"])]


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.0f}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Report what lies in the results folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, help="another folder; the README stays as it is")
    folder = parser.parse_args().results
    write(folder or HERE / "results", None if folder else HERE / "README.md")


if __name__ == "__main__":
    main()
