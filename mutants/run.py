"""Mutation testing of algebra/ and crdt/: every mutant of a module against the module's own tests.

    python -m mutants.run [--jobs N] [FILE ...]        FILE as in `algebra/trim.py`; all of both packages when left out

A process that has imported third-party packages, but nothing of this project, forks for each mutant. The fork imports
the mutant in place of the module and runs its tests up to the first failure. Nothing is written to the working tree.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType
from typing import TextIO

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies

from mutants.judge import listed, problems, table
from mutants.mutations import Mutant, mutants

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "mergealgebra"
#: The packages, each with the tests that are about all of its modules.
SHARED = {"algebra": ["tests/algebra/test_arrays.py"], "crdt": []}
#: The tests of modules that have no file of their own, or not that one alone.
ELSEWHERE = {
    "crdt/authority.py": ["tests/crdt/test_authority.py", "tests/crdt/test_signed_operations.py"],
    "crdt/payloads.py": ["tests/crdt/test_operations.py"],
    "crdt/permission.py": ["tests/crdt/test_authority.py"],
    "crdt/policy.py": ["tests/crdt/test_policy.py", "tests/crdt/test_authority.py"],
}
#: Imported once, before the forks: what the tests need and what is not ours.
THIRD_PARTY = ("array_api_compat.torch", "doctest", "hypothesis.stateful", "ml_dtypes", "msgpack", "numba")
#: A mutant that takes so many times the processor time of the module itself, and these seconds more, counts as killed.
PATIENCE, GRACE = 5, 10
MEMORY = 4 << 30


def tests_of(file: str) -> list[str]:
    """The tests of a module: `tests/` mirrors the package, but for some."""
    package, _, module = file.partition("/")
    own = ELSEWHERE.get(file, [f"tests/{package}/test_{module}"])
    return list(dict.fromkeys([*own, *SHARED[package]]))


class Mutated(MetaPathFinder, SourceFileLoader):
    """Finds a mutant where its module would have been found."""

    def __init__(self, mutant: Mutant) -> None:
        name = "mergealgebra." + mutant.file.removesuffix(".py").replace("/", ".")
        super().__init__(name, str(PACKAGE / mutant.file))
        self._source = mutant.source

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        return spec_from_file_location(fullname, self.path, loader=self) if fullname == self.name else None

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._source, self.path, "exec")


@dataclass
class Trial:
    """A run of tests in a fork."""

    tests: list[str]
    mutant: Mutant | None
    seconds: int
    survived: bool = False
    taken: float = 0.0


class Trials:
    """The pytest plugin that forks before anything is collected: the parent waits, each fork goes on to its tests."""

    def __init__(self, files: list[str], jobs: int, screen: TextIO) -> None:
        self._files, self._jobs, self._screen = files, jobs, screen
        self._running: dict[int, Trial] = {}
        self.is_fork = False
        self.done: list[Trial] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> bool | None:
        gc.freeze()  # a collector that runs in a fork would copy every page of its parent
        for trial in self._trials():
            while len(self._running) >= self._jobs:
                self._wait()
            pid = os.fork()
            if not pid:
                self.is_fork = True
                _become(trial, session.config)
                return None  # the fork collects and runs its tests as any session does
            self._running[pid] = trial
        while self._running:
            self._wait()
        return True

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Single cases before the searches of Hypothesis: what they kill dies sooner."""
        items.sort(key=lambda item: item.get_closest_marker("hypothesis") is not None)

    def _trials(self) -> Iterator[Trial]:
        for file in self._files:
            tests = tests_of(file)
            plain = Trial(tests, None, 600)
            yield plain
            while self._running:
                self._wait()
            if not plain.survived:
                return
            seconds = int(plain.taken * PATIENCE) + GRACE
            for mutant in mutants(file, (PACKAGE / file).read_text(encoding="utf-8")):
                yield Trial(tests, mutant, seconds)

    def _wait(self) -> None:
        pid, status, usage = os.wait4(-1, 0)
        trial = self._running.pop(pid)
        trial.taken = usage.ru_utime + usage.ru_stime
        code = os.waitstatus_to_exitcode(status)
        trial.survived = code == 0
        self.done.append(trial)
        if not trial.mutant:
            self._say(f"{trial.tests[0]}: {trial.taken:.1f} s without any mutant")
        elif code <= 0:
            self._say(f"{f'killed by signal {-code}' if code else 'survives'} in {trial.mutant}")

    def _say(self, text: str) -> None:
        print(text, file=self._screen, flush=True)


def _become(trial: Trial, config: pytest.Config) -> None:
    """Make this process the one of a trial; the kernel ends it when its time is over."""
    resource.setrlimit(resource.RLIMIT_CPU, (trial.seconds, trial.seconds + 1))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    signal.alarm(20 * trial.seconds)
    if trial.mutant:
        sys.meta_path.insert(0, Mutated(trial.mutant))
    # tests/conftest.py has loaded its profile; a failure is all that counts here, the least one is not looked for.
    settings.load_profile("mutants")
    config.args = trial.tests


@given(strategies.none())
def warm(_: None) -> None:
    """Hypothesis looks through all imported modules once; so that no fork has to do it again."""


def run(files: list[str], jobs: int, screen: TextIO) -> list[tuple[Mutant, bool]]:
    """Every mutant of these files, and whether it survived."""
    for name in THIRD_PARTY:
        importlib.import_module(name)
    warm()
    every = settings(settings.get_profile("default"), phases=(Phase.explicit, Phase.generate), database=None)
    settings.register_profile(
        "mutants", every, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), max_examples=50
    )
    trials = Trials(files, jobs, screen)
    folders = [f"tests/{package}" for package in SHARED]
    plain = ["-x", "--tb=no", "--assert=plain", "-p", "no:cacheprovider", "-o", "addopts="]
    status = pytest.main([*plain, *folders], plugins=[trials])
    if trials.is_fork:
        os._exit(status)
    for trial in trials.done:
        if not trial.mutant and not trial.survived:
            raise SystemExit(f"{' '.join(trial.tests)} does not pass without any mutant")
    return [(trial.mutant, trial.survived) for trial in trials.done if trial.mutant]


def every_file() -> list[str]:
    """All modules of the packages that have anything in them."""
    paths = (path for package in SHARED for path in sorted((PACKAGE / package).glob("*.py")))
    return [str(path.relative_to(PACKAGE)) for path in paths if path.name != "__init__.py"]


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m mutants.run", description=__doc__.partition("\n")[0])
    arguments.add_argument(
        "files", nargs="*", metavar="FILE", help="a module, as in algebra/trim.py; all when left out"
    )
    arguments.add_argument("--jobs", type=int, default=1, help="how many forks at a time")
    chosen = arguments.parse_args()
    files, start = chosen.files or every_file(), time.monotonic()
    screen = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what pytest says in two thousand forks
    with tempfile.TemporaryDirectory() as folder:
        sys.pycache_prefix, sys.dont_write_bytecode = folder, False  # the forks share what they compile
        verdicts = run(files, chosen.jobs, screen)
    found = problems(verdicts, listed(), files)
    lines = [table(verdicts), *found, f"{(time.monotonic() - start) / 60:.1f} minutes"]
    print(*lines, sep="\n", file=screen, flush=True)  # nothing closes what gc.freeze() has seen
    return bool(found)


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
