"""What holds for all tests: a slow machine is no failure, and one word on what was not tested."""

import pytest
from hypothesis import HealthCheck, settings

from tests.support.browser import NO_BROWSER
from tests.support.databases import NO_SERVER, address, postgres
from tests.support.javascript import NO_NODE

__all__ = ["address", "postgres"]

settings.register_profile(
    "ledger", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("ledger")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once why there was no PostgreSQL, nothing that runs on Node.js, or no browser."""
    reasons = [
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", ())
        if isinstance(report.longrepr, tuple)
        and any(why in report.longrepr[2] for why in (NO_SERVER, NO_NODE, NO_BROWSER))
    ]
    for reason in sorted(set(reasons)):
        terminalreporter.write_line(f"{reason} ({reasons.count(reason)} tests skipped)")
