"""The aims of the project, each with the figure that was measured for it and whether it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

from results import ITEM_BYTES, Results, moved_bytes, ratio
from settings import AGAIN, FSYNC, FULL_RESOLVE, IMPORTS, KEPT, NO_FSYNC, OURS, TINY, TWICE

FASTER = {"mergekit": 20, "peft": 10}
SLOWER_THAN_FLOOR = 4
TWO_CORES = 1.6
MEMORY_MB = 400
LINEAR = 0.15


@dataclass(frozen=True)
class Aim:
    """One row of the table."""

    text: str
    measured: str
    holds: bool | None


def aims(results: Results) -> list[Aim]:
    """Every aim that something was measured for."""
    return [aim for rule in RULES for aim in rule(results)]


def _faster_than_peers(results: Results) -> Iterator[Aim]:
    for (peer, least), dtype in product(FASTER.items(), ITEM_BYTES):
        theirs = results.one("compare", program=peer, dtype=dtype)
        for scope in ("model", "tensor"):
            ours = results.one("compare", program=OURS, dtype=dtype, scope=scope)
            if theirs and ours:
                middle, low, high = ratio(theirs, ours)
                text = f"first `merge`, {dtype}, scope `{scope}`: at least {least} times faster than {peer}"
                yield Aim(text, f"{middle:.1f} times ({low:.1f} to {high:.1f})", middle >= least)


def _near_the_floor(results: Results) -> Iterator[Aim]:
    for dtype in ITEM_BYTES:
        again, floor, bare = (results.one("cached", program=name, dtype=dtype) for name in (AGAIN, FSYNC, NO_FSYNC))
        if again and floor and bare:
            middle, low, high = ratio(again, floor)
            measured = f"{middle:.1f} times ({low:.1f} to {high:.1f}); {ratio(again, bare)[0]:.1f} without its fsync"
            text = f"second `resolve`, {dtype}: at most {SLOWER_THAN_FLOOR} times the floor"
            yield Aim(text, measured, middle <= SLOWER_THAN_FLOOR)


def _two_cores(results: Results) -> Iterator[Aim]:
    for dtype in ITEM_BYTES:
        one, two = (results.one("threads", dtype=dtype, threads=threads) for threads in (1, 2))
        if one and two:
            middle, low, high = ratio(one, two)
            text = f"2 threads, {dtype}: at least {TWO_CORES} times one"
            yield Aim(text, f"{middle:.2f} times ({low:.2f} to {high:.2f})", middle >= TWO_CORES)


def _little_memory(results: Results) -> Iterator[Aim]:
    """Beyond what the imports alone take, mapped files counted and not."""
    imports = results.one("start", program=IMPORTS)
    merges = results.all("compare", program=OURS, scope="model") + results.all("size", program=TWICE)
    for merge in merges if imports else ():
        beyond, anonymous = (
            (merge["median"][field] - imports["median"][field]) / 1e6 for field in ("peak_rss", "peak_anonymous")
        )
        labels = merge["labels"]
        merged = f"{_millions(labels['parameters'])} x {labels['n']}, {labels['dtype']}"
        text = f"{merged}: peak memory under {MEMORY_MB} MB beyond the imports"
        yield Aim(text, f"{beyond:.0f} MB; {anonymous:.0f} without mapped files", beyond < MEMORY_MB)


def _linear_in_size(results: Results) -> Iterator[Aim]:
    """Time for a byte in the largest model over that in the smallest, start-up taken off both."""
    start, sizes = results.median("start", program=TINY), results.all("size", program=OURS)
    # A smallest merge that is mostly start-up would tell nothing.
    if start is not None and len(sizes) > 1 and sizes[0]["median"]["wall"] > 2 * start:
        small, large = (((m["median"]["wall"] - start) / moved_bytes(m)) for m in (sizes[0], sizes[-1]))
        whole = [m["median"]["wall"] / moved_bytes(m) for m in (sizes[0], sizes[-1])]
        ends = " to ".join(_millions(m["labels"]["parameters"]) for m in (sizes[0], sizes[-1]))
        measured = f"{large / small - 1:+.0%} for a byte; {whole[1] / whole[0] - 1:+.0%} with start-up"
        yield Aim(f"linear in bytes from {ends}: within {LINEAR:.0%}", measured, abs(large / small - 1) <= LINEAR)


def _aggregate_pays(results: Results) -> Iterator[Aim]:
    kept, full = (results.all("incremental", program=name) for name in (KEPT, FULL_RESOLVE))
    if kept and full:
        loses = [m["labels"]["n"] for m, other in zip(kept, full, strict=True) if ratio(other, m)[0] <= 1]
        pays = [m["labels"]["n"] for m in kept if m["labels"]["n"] > max(loses, default=0)]
        size = list(results.parts["incremental"]["aggregate_bytes_per_parameter"].values())[-1]
        start = f"from n = {min(pays)}" if pays else "for no n that was measured"
        yield Aim("adding one contribution to a kept aggregate pays", f"{start}; {size:.0f} bytes a parameter", None)


RULES: tuple[Callable[[Results], Iterator[Aim]], ...] = (
    _faster_than_peers,
    _near_the_floor,
    _two_cores,
    _little_memory,
    _linear_in_size,
    _aggregate_pays,
)


def _millions(parameters: int) -> str:
    return f"{parameters / 1e6:.3g}M" if parameters < 995e6 else f"{parameters / 1e9:.3g}B"
