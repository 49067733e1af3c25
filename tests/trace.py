"""The thread from clause to test and code: no clause without either, and neither cites a clause that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
#: The property of a test's report that names a clause; reports reach us from other processes too.
CLAUSE = "clause"
PREFIXES = "EN|RC|TV|CT|EX|TI|ME|TA|MG|OS|SY|LK|CL"
_DEFINED = re.compile(rf"^- \*\*((?:{PREFIXES})-\d+)\*\*", re.MULTILINE)
_CITED = re.compile(rf"\b((?:{PREFIXES})-\d+)\b(?: to ((?:{PREFIXES})-\d+))?")


def clauses(spec: Path = ROOT / "spec") -> set[str]:
    """The clauses that the specification defines."""
    return {clause for path in spec.glob("*.md") for clause in _DEFINED.findall(path.read_text())}


def cited(package: Path = ROOT / "mergealgebra") -> set[str]:
    """The clauses that the code cites; `EN-1 to EN-3` cites three."""
    return {clause for path in package.rglob("*.py") for clause in citations(path.read_text())}


def citations(text: str) -> Iterator[str]:
    """Every clause that a text cites, ranges written out."""
    for first, last in _CITED.findall(text):
        yield from _range(first, last) if last else [first]


def orphans(defined: set[str], tested: set[str], in_code: set[str]) -> list[str]:
    """What breaks the thread, a line each."""
    return [
        *(f"{clause} has no test that ran" for clause in _ordered(defined - tested)),
        *(f"{clause} is cited nowhere in mergealgebra/" for clause in _ordered(defined - in_code)),
        *(f"a test names {clause}, which spec/ does not have" for clause in _ordered(tested - defined)),
        *(f"the code cites {clause}, which spec/ does not have" for clause in _ordered(in_code - defined)),
    ]


class Trace:
    """The pytest plugin: collects the clauses of the tests that passed, and judges at the end of a whole run."""

    def __init__(self, config: pytest.Config) -> None:
        # With pytest-xdist only the process that hears of all tests can judge.
        self._judge = config.getoption("--trace-spec") and not hasattr(config, "workerinput")
        self._tested: set[str] = set()
        self._judged = False
        self._problems: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            item.user_properties += [(CLAUSE, clause) for mark in item.iter_markers("clause") for clause in mark.args]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self._tested |= {value for name, value in report.user_properties if name == CLAUSE}

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._judge and session.exitstatus == pytest.ExitCode.OK:
            self._judged, self._problems = True, orphans(clauses(), self._tested, cited())
            if self._problems:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for problem in self._problems:
            terminalreporter.write_line(f"spec trace: {problem}", red=True)
        if self._judged and not self._problems:
            terminalreporter.write_line(f"spec trace: {len(clauses())} clauses, each tested and cited")


def _range(first: str, last: str) -> Iterator[str]:
    prefix, start = first.split("-")
    for number in range(int(start), int(last.split("-")[1]) + 1):
        yield f"{prefix}-{number}"


def _ordered(found: Iterable[str]) -> list[str]:
    return sorted(found, key=lambda clause: (clause[:2], int(clause[3:])))
