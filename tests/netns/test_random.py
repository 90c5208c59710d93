"""Faults drawn from a seed for as long as one likes; see `docs/operators/real-hosts.md`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from tests.support.lab.checker import check
from tests.support.lab.evidence import receipts_are_good, stored_chains
from tests.support.lab.hosts import Hosts
from tests.support.lab.nemesis import SEED, Nemesis
from tests.support.lab.writers import Writers

SECONDS = float(os.environ.get("HEALTH_LEDGER_LAB_SECONDS", "0"))
#: Rounds of faults before everybody has to have come together again.
ROUNDS = 4


@pytest.mark.skipif(not SECONDS, reason="a long run: set HEALTH_LEDGER_LAB_SECONDS to its length")
@pytest.mark.timeout(SECONDS * 2 + 900)
def test_a_consortium_survives_whatever_a_seed_throws_at_it(
    hosts: Hosts, writers: Writers, record_property: Callable[[str, object], None]
) -> None:
    hosts.kill(*hosts.all)
    hosts.use_lines()
    hosts.start()
    nemesis = Nemesis(hosts, SEED)
    deadline = time.monotonic() + SECONDS
    times_together = 0
    while time.monotonic() < deadline:
        for _ in range(ROUNDS):
            nemesis.strike()
        hosts.mend()
        hosts.come_together()
        writers.go_on_everywhere()
        times_together += 1
    writers.stop()
    hosts.come_together()
    receipts = receipts_are_good(hosts, writers.history)
    height = min(hosts.heights().values())
    hosts.stop()
    violations = check(writers.history.all(), stored_chains(hosts))
    assert [str(each) for each in violations] == []
    assert [fault for host in hosts.all for fault in hosts.audit(host)] == []
    assert hosts.grave() == []
    record_property("seed", SEED)
    record_property("height", height)
    record_property("together again", times_together)
    record_property("receipts", receipts)
    record_property("faults", dict(sorted(nemesis.done.items())))
    record_property("operations", writers.history.summary())
