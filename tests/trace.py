"""The thread from clause to test and code: no clause without either, and neither cites a clause that is not there."""

from __future__ import annotations

import pytest

from spec.trace import clauses, gaps, in_code, strangers

#: The property of a test's report that names a clause; reports reach us from other processes too.
CLAUSE = "clause"


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
            self._judged, code = True, in_code()
            ran = {clause: ["a test that ran"] for clause in self._tested}
            self._problems = [*gaps(clauses(), ran.keys(), code.keys()), *strangers(clauses(), ran, code)]
            if self._problems:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for problem in self._problems:
            terminalreporter.write_line(f"spec trace: {problem}", red=True)
        if self._judged and not self._problems:
            terminalreporter.write_line(f"spec trace: {len(clauses())} clauses, each tested and cited")
