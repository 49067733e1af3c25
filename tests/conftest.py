"""What the whole suite shares: the spec trace, the report of exact fallbacks, and Hypothesis' profile."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests.trace import Trace

settings.register_profile(
    "suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("suite")

#: Coordinates summed by the exact fallback, by the test that counted them; printed at the end of a run.
FALLBACKS: dict[str, int] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--trace-spec",
        action="store_true",
        help="fail unless each clause of spec/ has a test that ran and is cited in the package, and no others are",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Trace(config), "spec-trace")


@pytest.fixture
def count_fallbacks(request: pytest.FixtureRequest):
    """A function that records how many coordinates of a directed vector took the exact fallback."""

    def record(count: int) -> None:
        FALLBACKS[request.node.name] = FALLBACKS.get(request.node.name, 0) + count

    return record


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FALLBACKS:
        terminalreporter.write_line(f"exact fallback: {sum(FALLBACKS.values())} coordinates took it")
