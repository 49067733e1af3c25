"""What the whole suite shares: the spec trace, the report of exact fallbacks, and Hypothesis' profile."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from mergealgebra.store import private
from tests.trace import Trace

settings.register_profile(
    "suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("suite")

#: The property of a test's report that tells how many coordinates the exact fallback summed.
FALLBACK = "coordinates by the exact fallback"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--trace-spec",
        action="store_true",
        help="fail unless each clause of spec/ has a test that ran and is cited in the package, and no others are",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Trace(config), "spec-trace")


@pytest.fixture(scope="session", autouse=True)
def users_folder(tmp_path_factory):
    """A user whose own key is none of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        private._key(private._users_folder())  # now, so that no test meets its making
        yield


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
