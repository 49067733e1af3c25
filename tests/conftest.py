"""What the whole suite shares: the spec trace, the report of exact fallbacks, and Hypothesis' profile."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests.trace import Trace

settings.register_profile(
    "suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.register_profile("thorough", settings.get_profile("suite"), max_examples=1000, derandomize=False)
settings.load_profile("suite")

#: The property of a test's report that tells how many coordinates the exact fallback summed.
FALLBACK = "coordinates by the exact fallback"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough",
        action="store_true",
        help="try 1000 examples where Hypothesis' default would do",
    )
    parser.addoption(
        "--trace-spec",
        action="store_true",
        help="fail unless each clause of spec/ has a test that ran and is cited in the package, and no others are",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Trace(config), "spec-trace")
    if config.getoption("--thorough"):
        settings.load_profile("thorough")


@pytest.fixture
def count_fallbacks(request: pytest.FixtureRequest):
    """A function that records how many coordinates of a directed vector took the exact fallback."""

    def record(count: int) -> None:
        request.node.user_properties.append((FALLBACK, count))

    return record


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    passed = terminalreporter.stats.get("passed", [])
    count = sum(value for report in passed for name, value in report.user_properties if name == FALLBACK)
    if count:
        terminalreporter.write_line(f"exact fallback: {count} coordinates took it")
