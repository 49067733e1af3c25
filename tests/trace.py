"""The thread from clause to test and code: no clause without either, and neither cites a clause that is not there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

import pytest

from spec.trace import clauses, in_code, untestable

#: The property of a test's report that names a clause; reports reach us from other processes too.
CLAUSE = "clause"


def orphans(defined: Mapping[str, str], tested: Set[str], cited: Set[str]) -> list[str]:
    """What breaks the thread, a line each."""
    without = untestable(defined).keys()
    return [
        *(f"{clause} has no test that ran" for clause in _ordered(defined.keys() - tested - without)),
        *(f"{clause} has a test, and says that it is untestable" for clause in _ordered(without & tested)),
        *(f"{clause} is cited nowhere in mergealgebra/" for clause in _ordered(defined.keys() - cited)),
        *(f"a test names {clause}, which spec/ does not have" for clause in _ordered(tested - defined.keys())),
        *(f"the code cites {clause}, which spec/ does not have" for clause in _ordered(cited - defined.keys())),
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
            self._judged, self._problems = True, orphans(clauses(), self._tested, in_code().keys())
            if self._problems:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for problem in self._problems:
            terminalreporter.write_line(f"spec trace: {problem}", red=True)
        if self._judged and not self._problems:
            terminalreporter.write_line(f"spec trace: {len(clauses())} clauses, each tested and cited")


def _ordered(found: Iterable[str]) -> list[str]:
    return sorted(found, key=lambda clause: (clause[:2], int(clause[3:])))
