"""Seven real nodes on hosts of their own, clients writing all the while, and all that can break.

Every story ends with the network mended, every node past the highest block of any, and every node
acknowledging writes; the last one reads what they have stored. They share one network, in this
order.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.support.lab.checker import check, one_history
from tests.support.lab.evidence import receipts_are_good, served_chains, stored_chains
from tests.support.lab.hosts import FAKETIME, NFT, Hosts, until
from tests.support.lab.writers import Writers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

needs_nft = pytest.mark.skipif(not NFT, reason="one-way links need nftables (the command nft)")
needs_faketime = pytest.mark.skipif(
    not FAKETIME.exists(), reason="wrong clocks need libfaketime (Debian's package faketime)"
)


@pytest.fixture(autouse=True)
def mended(hosts: Hosts, writers: Writers, request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a story breaks, it finds and leaves a network that is whole."""
    hosts.note(f"--- {request.node.name}")
    yield
    if writers.running:
        hosts.mend()


def all_go_on(hosts: Hosts, writers: Writers) -> None:
    """The network, mended, moves on as a whole and has one history."""
    hosts.mend()
    hosts.come_together()
    writers.go_on_everywhere()
    tops = served_chains(hosts)
    shortest = min(len(chain) for chain in tops.values())
    assert list(one_history({node: chain[:shortest] for node, chain in tops.items()})) == []


def test_a_majority_goes_on_while_the_minority_stands_still_and_catches_up_later(
    hosts: Hosts, writers: Writers
) -> None:
    majority, minority = [1, 2, 3, 4, 5], [6, 7]
    hosts.partition(majority, minority)
    writers.go_on(5, *majority)
    stopped = hosts.heights(minority)
    writers.go_on(10, *majority)
    assert hosts.heights(minority) == stopped
    assert min(hosts.heights(majority).values()) > max(stopped.values())
    all_go_on(hosts, writers)


def test_no_side_of_a_split_without_a_quorum_makes_a_block(hosts: Hosts, writers: Writers) -> None:
    hosts.partition([1, 3, 5, 7], [2, 4, 6])
    time.sleep(1.0)  # what was decided when the links went down is stored by somebody by now
    before = max(hosts.heights().values())
    acknowledged = len(writers.history.acknowledged())
    time.sleep(3.0)
    # Whoever lacked the last block may still get it from its own side.
    assert max(hosts.heights().values()) == before
    late = writers.history.acknowledged()[acknowledged:]
    assert all(each.height <= before for each in late)
    all_go_on(hosts, writers)


def test_a_proposer_that_is_cut_off_is_replaced(hosts: Hosts, writers: Writers) -> None:
    alone = hosts.proposer(1)
    rest = hosts.others(alone)
    hosts.cut(alone)
    writers.go_on(3, *rest)
    since = max(hosts.heights(rest).values())
    writers.go_on(10, *rest)
    later = hosts.headers(rest[0])[since + 1 :]
    assert later
    assert hosts.node(alone) not in {header["proposer"] for header in later}
    all_go_on(hosts, writers)


def test_flapping_links_cost_nothing_that_was_acknowledged(hosts: Hosts, writers: Writers) -> None:
    for number in range(8):
        flapping = [1 + number % 7, 1 + (number + 3) % 7]
        hosts.cut(*flapping)
        time.sleep(0.3)
        hosts.plug(*flapping)
        time.sleep(0.2)
    writers.go_on(5)
    all_go_on(hosts, writers)


def test_a_stopped_proposer_and_another_do_not_hold_five_others_up(
    hosts: Hosts, writers: Writers
) -> None:
    first = hosts.proposer(1)
    stopped = [first, first % 7 + 1]
    hosts.pause(*stopped)
    writers.go_on(10, *hosts.others(*stopped))
    hosts.resume(*stopped)
    all_go_on(hosts, writers)


def test_two_killed_nodes_of_seven_come_back_and_catch_up(hosts: Hosts, writers: Writers) -> None:
    first = hosts.proposer(1)
    killed = [first, (first + 2) % 7 + 1]
    hosts.kill(*killed)
    rest = hosts.others(*killed)
    writers.go_on(10, *rest)
    missed = max(hosts.heights(rest).values())
    hosts.start(*killed)
    until(lambda: min(hosts.heights(killed).values()) >= missed, f"{killed} catching up")
    all_go_on(hosts, writers)


@needs_nft
def test_a_proposer_that_is_heard_and_hears_nothing_is_replaced(
    hosts: Hosts, writers: Writers
) -> None:
    deaf = hosts.proposer(1)
    rest = hosts.others(deaf)
    hosts.deafen(deaf, *rest)
    writers.go_on(10, *rest)
    all_go_on(hosts, writers)


@needs_nft
def test_two_quorums_that_share_three_nodes_make_one_history(
    hosts: Hosts, writers: Writers
) -> None:
    # Five nodes suffice on either side, and nobody but the three in the middle hears both.
    for left in (1, 2):
        hosts.deafen(left, 6, 7)
    for right in (6, 7):
        hosts.deafen(right, 1, 2)
    writers.go_on(10)
    all_go_on(hosts, writers)


@needs_faketime
def test_a_proposer_whose_clock_is_ahead_cannot_put_its_time_on_the_chain(
    hosts: Hosts, writers: Writers
) -> None:
    ahead = hosts.proposer(1)
    behind = ahead % 7 + 1
    hosts.set_clock(ahead, 300)
    hosts.set_clock(behind, -300)
    started = time.time_ns() // 1_000_000
    since = hosts.come_together()
    writers.go_on(10)
    hosts.come_together()
    blocks = hosts.headers(1)[since:]
    now = time.time_ns() // 1_000_000
    allowed = 10_000  # the chain's parameter clock_ahead
    assert all(started - allowed < block["time"] <= now + allowed for block in blocks)
    all_go_on(hosts, writers)


def test_the_chain_goes_on_over_long_thin_bad_lines_after_a_power_cut_at_every_hospital(
    hosts: Hosts, writers: Writers
) -> None:
    hosts.kill(*hosts.all)
    hosts.use_lines()
    hosts.shape(hosts.all, delay=0.02, jitter=0.01)
    # As to a village: 1 Mbit/s, 200 ms there and back.
    hosts.shape([6, 7], delay=0.1, jitter=0.03, rate=125_000, loss=0.02)
    hosts.start()
    writers.go_on_everywhere()
    hosts.reset(2, 6)
    writers.go_on(10)
    hosts.hold(3, 7)
    writers.go_on(10)
    all_go_on(hosts, writers)


def test_every_store_replays_to_one_history_that_fits_what_clients_were_told(
    hosts: Hosts, writers: Writers
) -> None:
    all_go_on(hosts, writers)
    writers.stop()
    hosts.come_together()
    receipts_are_good(hosts, writers.history)
    served = served_chains(hosts)
    hosts.stop()
    chains = stored_chains(hosts)
    violations = check(writers.history.all(), chains)
    for node, chain in served.items():
        assert [block.hash for block in chain] == [
            block.hash for block in chains[node][: len(chain)]
        ]
    assert [str(each) for each in violations] == []
    assert [fault for host in hosts.all for fault in hosts.audit(host)] == []
    assert hosts.grave() == []
