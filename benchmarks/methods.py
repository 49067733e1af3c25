"""Methods against mergekit on the same files: CPU and wall time, and memory, a row for each method and program.

    python benchmarks/methods.py                                  # all methods, 50M parameters, 4 fine-tunes, fp32
    python benchmarks/methods.py --size 20M --methods linear,slerp --rounds 5

Programs take turns, with every input in the page cache and the same number of threads. A ratio is mergekit's time by
a program's, the median of the rounds; `beyond start` leaves out what each takes for a tiny `linear`. `floor` reads,
writes and hashes what a merge does, once, and computes nothing. mergekit is that of `make .venvs/mergekit-0.1.5/made`.
Results: benchmarks/results/methods.json, and a table on the terminal.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import floor
import machine
import peers
from measure import Command, CommandFailed, measure_by_turns, remove, run
from ours import PROGRAM, Models, keep_bytecode, models
from settings import FULL, Measurement, Settings, number_of

HERE = Path(__file__).resolve().parent
ENVIRONMENT: Final = HERE.parent / ".venvs" / "mergekit-0.1.5"
MERGEKIT: Final = "mergekit"
FLOOR: Final = "floor"
#: That, ours with compiled code and without, and what hashing alone takes.
PROGRAMS: Final = (MERGEKIT, "auto", "numpy", FLOOR)
#: Parameters of the models whose merge is start-up and nothing else.
TINY: Final = 100_000
MIB: Final = 1 << 20


@dataclass(frozen=True)
class Case:
    """A method under its name in both programs.

    ours: its keys in our file. each: its parameters of each model in mergekit's. whole: those of the merge. inputs: how
    many fine-tunes there must be, if not any number. base: what mergekit gets as the base: that, the first fine-tune,
    or nothing.
    """

    ours: Mapping[str, str] = field(default_factory=dict)
    each: Mapping[str, float] = field(default_factory=dict)
    whole: Mapping[str, Any] = field(default_factory=dict)
    inputs: int | None = None
    base: str = "base"


_WEIGHT: Final = {"weight": 1.0}
_HALF: Final = {"weight": 1.0, "density": 0.5}
_CRUMBS: Final = {"weight": 1.0, "density": 0.9, "gamma": 0.01}
_DELLA: Final = {"weight": 1.0, "density": 0.5, "epsilon": 0.15}
CASES: Final[Mapping[str, Case]] = {
    "linear": Case(each=_WEIGHT, base="none"),
    "task_arithmetic": Case(each=_WEIGHT),
    "ties": Case({"density": "0.5", "scope": "tensor"}, _HALF),
    "dare_linear": Case({"density": "0.5"}, _HALF),
    "dare_ties": Case({"density": "0.5"}, _HALF),
    "della": Case({"density": "0.5", "epsilon": "0.15"}, _DELLA),
    "della_linear": Case({"density": "0.5", "epsilon": "0.15"}, _DELLA),
    "breadcrumbs": Case({"density": "0.9", "gamma": "0.01"}, _CRUMBS),
    "breadcrumbs_ties": Case({"density": "0.9", "gamma": "0.01"}, _CRUMBS),
    "sce": Case(),
    "slerp": Case(whole={"t": 0.5}, inputs=2, base="first"),
    "nuslerp": Case(each=_WEIGHT, inputs=2),
    "multislerp": Case(each=_WEIGHT),
    "karcher": Case(base="none"),
    "model_stock": Case(),
    "ram": Case(),
    "nearswap": Case(whole={"t": 0.0001}, inputs=1),
    "passthrough": Case(inputs=1, base="none"),
    "arcee_fusion": Case(inputs=1),
}


def main() -> None:
    """Measure what the command line asks for. Exits with 1 when a command fails."""
    wanted = _arguments()
    settings = Settings(FULL, wanted.work.resolve(), wanted.threads, "auto", wanted.peers.absolute())
    keep_bytecode()
    run([*PROGRAM, "warmup"])
    described, rows = machine.describe(), []
    made = models(settings, wanted.size, wanted.finetunes, wanted.dtype)
    tiny = models(settings, TINY, wanted.finetunes, wanted.dtype)
    starts = measure_by_turns([_command(settings, "linear", program, tiny, 2) for program in PROGRAMS])
    for name in wanted.methods or CASES:
        try:
            found = measure_by_turns([_command(settings, name, program, made, wanted.rounds) for program in PROGRAMS])
        except CommandFailed as error:
            print(f"{name}: failed: {error}", flush=True)
            continue
        rows += _rows(name, starts, found)
        print(table(rows[-len(PROGRAMS) :]), flush=True)
        remove([settings.out])
        _write(wanted, made, described, rows)
    print(f"load {described['load']} before, {machine.describe()['load']} after\n\n{table(rows)}")
    sys.exit(0 if rows else 1)


def _write(
    wanted: argparse.Namespace, made: Models, described: Mapping[str, object], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Write what was measured so far."""
    how = {"threads": wanted.threads, "rounds": wanted.rounds, "finetunes": wanted.finetunes, "dtype": wanted.dtype}
    machine_ = {**described, "load after": machine.describe()["load"]}
    content = {"machine": machine_, "settings": {**how, "parameters": made.parameters}, "rows": rows}
    wanted.results.parent.mkdir(parents=True, exist_ok=True)
    wanted.results.write_text(json.dumps(content, indent=1) + "\n")


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a Markdown table."""
    head = "| method | program | CPU s | wall s | CPU s beyond start | times faster: CPU | beyond start | wall | MiB |"
    lines = [head, "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        ratios = [f"{row[key]:.1f}" for key in ("cpu_ratio", "cpu_beyond_ratio", "wall_ratio")]
        times = [f"{row[key]:.2f}" for key in ("cpu", "wall", "cpu_beyond")]
        cells = [row["method"], row["program"], *times, *ratios, f"{row['memory_beyond'] / MIB:,.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _rows(name: str, starts: Sequence[Measurement], found: Sequence[Measurement]) -> Iterator[dict[str, Any]]:
    """What was measured of a method, with ratios to mergekit's, which is the first. memory_beyond: without start-up."""
    medians = [one["median"] for one in found]
    at_start = [one["median"] for one in starts]
    cpu = [one["user"] + one["system"] for one in medians]
    beyond = [time - one["user"] - one["system"] for time, one in zip(cpu, at_start, strict=True)]
    for i, program in enumerate(PROGRAMS):
        memory = medians[i]["peak_anonymous"] - at_start[i]["peak_anonymous"]
        yield {
            "method": name, "program": program, "cpu": cpu[i], "wall": medians[i]["wall"], "cpu_beyond": beyond[i],
            "cpu_ratio": cpu[0] / cpu[i], "cpu_beyond_ratio": beyond[0] / beyond[i],
            "wall_ratio": medians[0]["wall"] / medians[i]["wall"], "memory_beyond": memory, "runs": found[i]["runs"],
        }  # fmt: skip


def _command(settings: Settings, name: str, program: str, made: Models, rounds: int) -> Command:
    case, out = CASES[name], settings.out / f"{name}-{program}-{made.parameters}"
    made = made.first(case.inputs or len(made.finetunes))
    if program == MERGEKIT:
        words = peers.mergekit_with(settings.peers, _for_mergekit(name, case, made), out, settings.threads)
        environment = peers.OFFLINE
    elif program == FLOOR:
        out.parent.mkdir(parents=True, exist_ok=True)
        words, environment = floor.hashing(made, out), {}
    else:
        words, environment = _for_us(settings, name, case, program, made, out), {}
    labels = made.labels(program, method=name)
    return Command(labels, words, rounds, reads=made.paths, writes=(out,), environment=environment)


def _for_us(settings: Settings, name: str, case: Case, program: str, made: Models, out: Path) -> list[str | Path]:
    config = out.with_suffix(".yaml")
    config.parent.mkdir(parents=True, exist_ok=True)
    listed = [{"path": str(path)} for path in made.finetunes]
    config.write_text(json.dumps({"method": name, **case.ours, "base": str(made.base), "models": listed}))
    return [*PROGRAM, "merge", config, out, "--backend", program, "--threads", str(settings.threads)]


def _for_mergekit(name: str, case: Case, made: Models) -> dict[str, Any]:
    listed = [{"model": str(path), "parameters": dict(case.each)} for path in made.finetunes]
    wanted = {
        "merge_method": name,
        "dtype": peers.MERGEKIT_DTYPES[made.dtype],
        "parameters": dict(case.whole),
        "models": listed,
    }
    bases = {"base": made.base, "first": made.finetunes[0]}
    return wanted | ({"base_model": str(bases[case.base])} if case.base in bases else {})


def _arguments() -> argparse.Namespace:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--size", type=number_of, default=50_000_000, help="parameters of each model")
    parser.add_argument("--finetunes", type=int, default=4, help="for methods that take any number")
    parser.add_argument("--dtype", choices=peers.MERGEKIT_DTYPES, default="fp32")
    parser.add_argument("--methods", type=_methods, help=f"of {','.join(CASES)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="for every program")
    parser.add_argument("--peers", type=Path, default=ENVIRONMENT, help="an environment that has mergekit")
    parser.add_argument("--work", type=Path, default=HERE / ".work", help="for models and outputs")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "methods.json")
    return parser.parse_args()


def _methods(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(CASES):
        raise argparse.ArgumentTypeError(f"no such method: {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    main()
