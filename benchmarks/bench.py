"""Measure mergealgebra on this machine: `make bench`, or

    python bench.py                             everything; mergekit and peft are installed on the first run
    python bench.py --parts compare,threads     some parts
    python bench.py --no-peers                  without mergekit and peft
    python bench.py --quick                     everything but them, tiny, in less than a minute: does it run?

Each part leaves its raw runs, their medians and a description of the machine in RESULTS/PART.json; the plots and the
tables of README.md are made of those files.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import machine
import peers
import report
from comparison import compare, measure_kernels, measure_start, measure_threads, warm_up
from growth import grow_count, grow_size
from measure import CommandFailed, remove, run
from settings import FULL, QUICK, Scale, Settings, Skipped, number_of
from workspaces import measure_cached, measure_incremental

HERE = Path(__file__).resolve().parent


def measure_joins(settings: Settings) -> dict[str, Any]:
    """Joining states of many operations, in a process of its own."""
    operations = map(str, settings.scale.operations)
    found: dict[str, Any] = json.loads(run([sys.executable, HERE / "joining.py", *operations]))
    return found


def measure_opening(settings: Settings) -> dict[str, Any]:
    """Opening workspaces of many operations, in a process of its own."""
    return _of_workspaces(settings, "opening.py")


def measure_syncing(settings: Settings) -> dict[str, Any]:
    """Syncing workspaces of many operations with a live peer, in a process of its own."""
    return _of_workspaces(settings, "syncing.py")


def _of_workspaces(settings: Settings, script: str) -> dict[str, Any]:
    operations = [str(count) for count in settings.scale.operations if count >= settings.scale.operations[-1] // 100]
    found: dict[str, Any] = json.loads(run([sys.executable, HERE / script, settings.out / "opened", *operations]))
    return found


#: Every part, in the order of a full run. Compiling kernels is not for a quick one.
PARTS: Final[dict[str, Callable[[Settings], dict[str, Any]]]] = {
    "start": measure_start,
    "kernels": measure_kernels,
    "compare": compare,
    "threads": measure_threads,
    "cached": measure_cached,
    "count": grow_count,
    "size": grow_size,
    "incremental": measure_incremental,
    "joins": measure_joins,
    "opening": measure_opening,
    "syncing": measure_syncing,
}
#: Those in which mergekit and peft are measured too.
PEERED: Final = {"start", "compare"}
#: What the command line can change in a scale.
CHANGEABLE: Final = ("parameters", "finetunes", "runs", "peer_runs")


def main() -> None:
    """Measure what the command line asks for, then report. Exits with 1 when a measured command fails."""
    wanted = _arguments()
    work = wanted.work.resolve()
    environment = None
    try:
        if not (wanted.quick or wanted.no_peers) and PEERED & set(wanted.parts):
            environment = wanted.peers or peers.make_environment(work / "peers")
        settings = Settings(_scale(wanted), work, wanted.threads, wanted.backend, environment)
        warm_up(settings)
    except CommandFailed as error:
        sys.exit(f"bench: {error}")
    done = [_measure(part, settings, wanted.results) for part in wanted.parts]
    report.write(wanted.results, wanted.readme)
    sys.exit(0 if all(done) else "bench: not everything could be measured, see above")


def _measure(part: str, settings: Settings, results: Path) -> bool:
    """Measure one part and write its file. Returns False when one of its commands failed.

    A part that fails, or cannot be measured here, says why and leaves an old file as it is.
    """
    print(f"{part}:", flush=True)
    start = time.monotonic()
    described = machine.describe()
    remove([settings.out])
    try:
        found = PARTS[part](settings)
    except Skipped as reason:
        print(f"  skipped: {reason}")
        return True
    except CommandFailed as error:
        print(f"  failed: {error}", flush=True)
        return False
    finally:
        remove([settings.out])
    if settings.peers:
        described["peers"] = peers.versions(settings.peers)
    how = {"threads": settings.threads, "backend": settings.backend, **asdict(settings.scale)}
    results.mkdir(parents=True, exist_ok=True)
    content = {"part": part, "machine": described, "settings": how, **found}
    (results / f"{part}.json").write_text(json.dumps(content, indent=1) + "\n")
    print(f"  {time.monotonic() - start:.0f} s altogether", flush=True)
    return True


def _scale(wanted: argparse.Namespace) -> Scale:
    """The full or the small one, with what the command line changes in it."""
    changes = {key: getattr(wanted, key) for key in CHANGEABLE if getattr(wanted, key) is not None}
    return replace(QUICK if wanted.quick else FULL, **changes)


def _arguments() -> argparse.Namespace:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--quick", action="store_true", help="tiny models, one run, no mergekit or peft")
    parser.add_argument("--parts", type=_parts, help=f"of {','.join(PARTS)}")
    parser.add_argument("--parameters", type=number_of, help="of the models that are compared, like 60M")
    parser.add_argument("--finetunes", type=int, help="of them")
    parser.add_argument("--runs", type=int, help="of our own commands")
    parser.add_argument("--peer-runs", type=int, help="of mergekit and peft, which take far longer")
    parser.add_argument("--threads", type=int, default=2, help="for every program")
    parser.add_argument("--backend", help="of mergealgebra: auto, or numpy with --quick, if left out")
    parser.add_argument("--no-peers", action="store_true", help="leave mergekit and peft out")
    parser.add_argument("--peers", type=_absolute, help="an environment that has mergekit and peft")
    parser.add_argument("--work", type=Path, default=HERE / ".work", help="for models and outputs")
    parser.add_argument("--results", type=Path, help="for JSON and plots")
    wanted = parser.parse_args()
    wanted.parts = wanted.parts or [part for part in PARTS if not (wanted.quick and part == "kernels")]
    wanted.backend = wanted.backend or ("numpy" if wanted.quick else "auto")
    # Figures of a quick run mean nothing and stay out of the README; so do those that are kept elsewhere.
    wanted.readme = None if wanted.quick or wanted.results else HERE / "README.md"
    wanted.results = wanted.results or (wanted.work / "results" if wanted.quick else HERE / "results")
    return wanted


def _parts(text: str) -> list[str]:
    parts = text.split(",")
    if unknown := set(parts) - set(PARTS):
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(sorted(unknown))}")
    return parts


def _absolute(text: str) -> Path:
    return Path(text).absolute()  # not resolved: the interpreter of an environment is a link


if __name__ == "__main__":
    main()
