"""One consortium on seven hosts for all stories, and what is told when one of them fails."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from tests.support.lab.hosts import Hosts
from tests.support.lab.lab import why_not
from tests.support.lab.nemesis import SEED
from tests.support.lab.writers import Writers

_told = pytest.StashKey[Hosts]()


@pytest.fixture(scope="session")
def a_lab() -> None:
    """Skips whatever needs hosts where the machine does not allow them."""
    if reason := why_not():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def hosts(
    a_lab: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hosts]:
    """Seven hosts, every node up."""
    with Hosts(tmp_path_factory.mktemp("hosts"), seed=SEED) as consortium:
        request.config.stash[_told] = consortium
        try:
            consortium.start()
            yield consortium
        finally:
            log = consortium.home.parent / "nemesis.log"
            log.write_text(f"seed {SEED}\n" + "\n".join(consortium.notes) + "\n")


@pytest.fixture(scope="module")
def writers(hosts: Hosts) -> Iterator[Writers]:
    """A client at each hospital, writing all the while."""
    with Writers(hosts, SEED) as clients:
        try:
            clients.go_on_everywhere()
            yield clients
        finally:
            clients.history.save(hosts.home.parent / "history.jsonl")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    consortium = item.config.stash.get(_told, None)
    if report.failed and consortium is not None:
        report.sections.append(("seed", f"HEALTH_LEDGER_LAB_SEED={SEED}"))
        report.sections.append(("what was done to the network", "\n".join(consortium.notes)))
        report.sections.append(("homes, logs and history are kept in", str(consortium.home.parent)))
        reasons = [f"{consortium.node(host)} {consortium.reason(host)}" for host in consortium.all]
        report.sections.append(("what nodes say of themselves", "\n".join(reasons)))
        for host in consortium.all:
            report.sections.append((f"log of {consortium.node(host)}", consortium.log_tail(host)))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What a long run did, which passing tests otherwise keep to themselves."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")
