"""Run a command as a child and measure it: wall time, CPU time, peak memory; several of them by turns.

The caller should stay small: a child's peak memory is never told as less than its parent's at the time of the start.
"""

from __future__ import annotations

import itertools
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from settings import Label, Measurement

SAMPLE_SECONDS = 0.02
SAMPLES_PER_SEARCH = 25  # looking for new processes costs more than looking at the known ones
READ_BYTES = 1 << 22


class CommandFailed(Exception):
    """A measured command that did not exit with 0."""


@dataclass(frozen=True)
class Run:
    """One run of a command.

    wall, user, system: seconds, those of its own children included. peak_rss: the most resident bytes of it and all
    its children, files mapped into memory included. peak_anonymous: the same without mapped files, sampled.
    """

    wall: float
    user: float
    system: float
    peak_rss: int
    peak_anonymous: int


@dataclass(frozen=True)
class Command:
    """What is measured, told apart by its labels.

    reads: the files and folders to bring into the page cache before each run. writes: what must not be there before a
    run. before: what to do before each run, unmeasured. runs: how often.
    """

    labels: Mapping[str, Label]
    words: Sequence[str | Path]
    runs: int
    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()
    environment: Mapping[str, str] | None = None
    before: Callable[[], None] | None = None


def measure_by_turns(commands: Sequence[Command]) -> list[Measurement]:
    """Measure commands round by round, so that whatever else the machine does falls on all of them alike.

    Returns for each its labels, all its runs in the order of the rounds, and their medians. Raises CommandFailed.
    """
    runs: list[list[Run]] = [[] for _ in commands]
    for turn in range(max(command.runs for command in commands)):
        for command, done in zip(commands, runs, strict=True):
            if turn < command.runs:
                done.append(_measure(command))
                print(f"  {' '.join(map(str, command.labels.values()))}: {done[-1].wall:.2f} s", flush=True)
    return [measurement(command.labels, done) for command, done in zip(commands, runs, strict=True)]


def measurement(labels: Mapping[str, Label], runs: Sequence[Run]) -> Measurement:
    """The runs of one command and their medians, field by field."""
    rows = [asdict(run) for run in runs]
    medians = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
    return {"labels": dict(labels), "median": medians, "runs": rows}


def run(words: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> str:
    """Run a command that is not measured and return what it printed. Raises CommandFailed."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, **(environment or {})})
    if done.returncode:
        raise CommandFailed(_failure(words, done.returncode, done.stdout + done.stderr))
    return done.stdout


def read_whole(paths: Iterable[Path]) -> None:
    """Read every file, and every file in every folder, so that they are in the page cache."""
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                with file.open("rb", buffering=0) as stream:
                    while stream.read(READ_BYTES):
                        pass


def remove(paths: Iterable[Path]) -> None:
    """Remove files and folders, there or not."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _measure(command: Command) -> Run:
    """One run, with its inputs in the page cache and no writes of earlier runs under way."""
    remove(command.writes)
    if command.before:
        command.before()
    read_whole(command.reads)
    os.sync()
    return _run_measured(command.words, {**os.environ, **(command.environment or {})})


def _run_measured(words: Sequence[str | Path], environment: Mapping[str, str]) -> Run:
    with tempfile.TemporaryFile("w+") as output:
        start = time.perf_counter()
        child = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, env=environment)
        sampler = _MemorySampler(child.pid)
        _, status, usage = os.wait4(child.pid, 0)  # waits, and tells what the child and its own children used
        wall = time.perf_counter() - start
        sampler.stop()
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            output.seek(0)
            raise CommandFailed(_failure(words, child.returncode, output.read()))
    peak = max(usage.ru_maxrss * 1024, sampler.peak_rss)
    return Run(wall, usage.ru_utime, usage.ru_stime, peak, sampler.peak_anonymous)


class _MemorySampler:
    """Looks at a process and its descendants every few milliseconds and keeps the highest sums."""

    def __init__(self, process: int) -> None:
        self.peak_rss = 0
        self.peak_anonymous = 0
        self._process = process
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        for sample in itertools.count():
            if sample % SAMPLES_PER_SEARCH == 0:
                processes = _descendants(self._process)
            sums = [_memory(process) for process in processes]
            self.peak_rss = max(self.peak_rss, sum(rss for rss, _ in sums))
            self.peak_anonymous = max(self.peak_anonymous, sum(anonymous for _, anonymous in sums))
            if self._ended.wait(SAMPLE_SECONDS):
                return


def _descendants(process: int) -> list[int]:
    """A process and all below it; what has ended meanwhile is left out."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
    found = [process]
    for ancestor in found:
        found.extend(child for child, parent in parents.items() if parent == ancestor)
    return found


def _memory(process: int) -> tuple[int, int]:
    """Resident bytes of a process, and those of them that belong to no file."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0, 0
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    resident, anonymous = (int(fields.get(key, "0").split()[0]) * 1024 for key in ("VmRSS", "RssAnon"))
    return resident, anonymous


def _failure(words: Sequence[str | Path], code: int, output: str) -> str:
    last = "\n".join(output.strip().splitlines()[-15:])
    return f"exit code {code}: {' '.join(map(str, words))}\n{last}"
