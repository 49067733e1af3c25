"""Plots of what was measured, one SVG file each, the same bytes for the same figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from results import Results
from settings import FSYNC, FULL_RESOLVE, KEPT, OURS, Measurement

matplotlib.rcParams.update({"svg.hashsalt": "mergealgebra", "axes.spines.top": False, "axes.spines.right": False})
SHADES = {"fp32": "#1f6f8b", "bf16": "#e0a458"}
PLAIN = "#1f6f8b"
OTHER = "#9aa5ab"


def write(results: Results, folder: Path) -> list[Path]:
    """Write every plot that something was measured for. Returns the files."""
    return [_draw(draw, results, folder / f"{name}.svg") for name, draw in PLOTS.items() if name in results.parts]


def _draw(draw: Callable[[Figure, Results], None], results: Results, file: Path) -> Path:
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    draw(figure, results)
    figure.savefig(file, metadata={"Date": None})
    return file


def _compare(figure: Figure, results: Results) -> None:
    """Time and memory of each program as bars, times on a logarithmic scale."""
    time, memory = figure.subplots(1, 2, sharey=True)
    _bars(time, results, lambda found: found["median"]["wall"], "{:.2g}")
    time.set_xscale("log")
    time.set_xlabel("seconds (logarithmic)")
    _bars(memory, results, lambda found: found["median"]["peak_rss"] / 1e9, "{:.2f}")
    memory.set_xlabel("peak memory, GB")
    memory.legend(frameon=False, loc="upper right")
    figure.suptitle(_title(results.parts["compare"]["measurements"][0]), fontsize=10)


def _bars(axes: Axes, results: Results, value: Callable[[Measurement], float], form: str) -> None:
    found = [one for one in results.all("compare") if one["labels"]["program"] != "floor without fsync"]
    names = list(dict.fromkeys(_bar_name(one) for one in found))[::-1]
    dtypes = list(dict.fromkeys(one["labels"]["dtype"] for one in found))
    for place, dtype in enumerate(dtypes):
        mine = [one for one in found if one["labels"]["dtype"] == dtype]
        heights = [names.index(_bar_name(one)) - (place - (len(dtypes) - 1) / 2) * 0.38 for one in mine]
        bars = axes.barh(heights, [value(one) for one in mine], 0.34, label=dtype, color=SHADES[dtype])
        axes.bar_label(bars, [" " + form.format(value(one)) for one in mine], fontsize=8)
    axes.set_yticks(range(len(names)), names)
    axes.margins(x=0.18)


def _bar_name(found: Measurement) -> str:
    labels = found["labels"]
    return labels["program"] + (f"\nper {labels['scope']}" if "scope" in labels else "")


def _count(figure: Figure, results: Results) -> None:
    time, memory = figure.subplots(1, 2)
    found = results.all("count", program=OURS)
    _line(time, found, "n", "wall", 1, OURS)
    _line(memory, found, "n", "peak_rss", 1e6, OURS)
    _finish(time, "fine-tunes", "seconds")
    _finish(memory, "fine-tunes", "peak memory, MB")
    figure.suptitle(f"{found[0]['labels']['parameters'] / 1e6:.3g} million parameters, bf16", fontsize=10)


def _size(figure: Figure, results: Results) -> None:
    time, memory = figure.subplots(1, 2)
    found = results.all("size", program=OURS)
    _line(time, found, "parameters", "wall", 1, OURS, 1e6)
    _line(time, results.all("size", program=FSYNC), "parameters", "wall", 1, "floor", 1e6, OTHER)
    _line(memory, found, "parameters", "peak_rss", 1e6, OURS, 1e6)
    _finish(time, "million parameters", "seconds")
    _finish(memory, "million parameters", "peak memory, MB")
    time.legend(frameon=False)
    figure.suptitle(f"{found[0]['labels']['n']} fine-tunes, bf16", fontsize=10)


def _incremental(figure: Figure, results: Results) -> None:
    axes = figure.subplots()
    for name, shade in ((FULL_RESOLVE, OTHER), (KEPT, PLAIN)):
        _line(axes, results.all("incremental", program=name), "n", "wall", 1, name, shade=shade)
    _finish(axes, "contributions, the last one new", "seconds")
    axes.legend(frameon=False)
    found = results.all("incremental", program=KEPT)
    figure.suptitle(f"{found[0]['labels']['parameters'] / 1e6:.3g} million parameters, bf16", fontsize=10)


def _joins(figure: Figure, results: Results) -> None:
    axes = figure.subplots()
    kinds = list(dict.fromkeys(found["labels"]["what"] for found in results.all("joins")))
    for kind in kinds:
        found = results.all("joins", what=kind)
        counts = [one["labels"]["operations"] for one in found]
        micros = [one["median"]["wall"] / count * 1e6 for one, count in zip(found, counts, strict=True)]
        axes.plot(counts, micros, marker="o", label=kind)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("operations in the state")
    axes.set_ylabel("microseconds for each")
    axes.legend(frameon=False, ncols=len(kinds), loc="upper center", bbox_to_anchor=(0.5, 1.15))


def _opening(figure: Figure, results: Results) -> None:
    _by_operations(figure, results, "opening", ("first", "open", "status", "join", "read"))


def _syncing(figure: Figure, results: Results) -> None:
    _by_operations(figure, results, "syncing", ("all", "missing", "nothing"))


def _by_operations(figure: Figure, results: Results, part: str, kinds: tuple[str, ...]) -> None:
    """CPU seconds against the number of operations, both on logarithmic scales."""
    axes = figure.subplots()
    for kind in kinds:
        found = results.all(part, what=kind)
        counts = [one["labels"]["operations"] for one in found]
        axes.plot(counts, [one["median"]["cpu"] for one in found], marker="o", label=kind)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("operations in the workspace")
    axes.set_ylabel("CPU seconds")
    axes.legend(frameon=False, ncols=len(kinds), loc="upper center", bbox_to_anchor=(0.5, 1.15))


def _line(
    axes: Axes,
    found: list[Measurement],
    label: str,
    field: str,
    unit: float,
    name: str,
    label_unit: float = 1,
    shade: str = PLAIN,
) -> None:
    """Medians as a line, every single run as a dot."""
    places = [one["labels"][label] / label_unit for one in found]
    axes.plot(places, [one["median"][field] / unit for one in found], color=shade, label=name)
    for place, one in zip(places, found, strict=True):
        axes.plot([place] * len(one["runs"]), [run[field] / unit for run in one["runs"]], ".", color=shade)


def _finish(axes: Axes, across: str, up: str) -> None:
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)


def _title(found: dict[str, Any]) -> str:
    labels = found["labels"]
    return f"{labels['parameters'] / 1e6:.3g} million parameters, {labels['n']} fine-tunes"


#: Every plot by the part that it shows.
PLOTS: dict[str, Callable[[Figure, Results], None]] = {
    "compare": _compare,
    "count": _count,
    "size": _size,
    "incremental": _incremental,
    "joins": _joins,
    "opening": _opening,
    "syncing": _syncing,
}
