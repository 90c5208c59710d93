"""Homes and databases that were put back: the node does not sign twice, and votes again later.

Every node writes down what the others send it, so that the tests see what was signed.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from consortium import Consortium, command, config, signers_of, until

from ledger.cli.output import ExitCode
from ledger.node.fleet import free_ports
from ledger.node.signing.watermark import SLOT_BYTES, TOLERANCE_MS, read_marks
from tests.support.eavesdropper import signed


class Listening(Consortium):
    """A consortium whose nodes write down what they hear."""

    def start(self, *nodes: str) -> None:
        wanted = nodes or self.nodes
        for node in wanted:
            self.fleet.run(node, [sys.executable, "-m", "tests.support.eavesdropper"])
        self.fleet.wait_ready(wanted)

    def peers(self, node: str) -> list[Path]:
        return [self.node_home(other) for other in self.nodes if other != node]

    def slots(self, node: str) -> set[tuple[int, int, str]]:
        """At which height and view others have heard which kind of message from a node."""
        return set(signed(self.chain, node, self.peers(node)))

    def never_contradicted_itself(self, node: str) -> bool:
        return all(
            len(statements) == 1
            for statements in signed(self.chain, node, self.peers(node)).values()
        )

    def promised(self, node: str) -> int:
        """The height up to which the watermark of a node says that it may have signed."""
        raw = (self.node_home(node) / "signer" / "watermark").read_bytes()
        mark = read_marks(raw[: 2 * SLOT_BYTES])
        assert mark is not None
        return mark.height

    def events(self, node: str, name: str) -> list[dict[str, object]]:
        return [line for line in self.log(node) if line["event"] == name]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    settings = config(observer=False, view_timeout=5_000, proposer_term=1_000_000)
    with Listening(tmp_path_factory.mktemp("restores"), settings) as consortium:
        consortium.start()
        consortium.anchor(consortium.validators[0], 3)
        yield consortium


@pytest.fixture
def victim(network: Listening) -> Iterator[str]:
    """A validator that is not the proposer; whatever a test does, it never signs twice."""
    proposer = network.proposer()
    node = next(each for each in network.validators if each != proposer)
    yield node
    network.agreement()
    for each in network.nodes:
        assert network.never_contradicted_itself(each)


def work(network: Listening, *without: str) -> None:
    """Some blocks."""
    node = next(each for each in network.validators if each not in without)
    for _ in range(3):
        network.anchor(node)


def votes_again(network: Listening, victim: str, above: int) -> None:
    """Anchor until a block above a height carries the signature of the victim."""

    def is_there() -> bool:
        network.anchor(network.proposer())
        newest = network.block(victim)
        return newest["header"]["height"] > above and victim in signers_of(newest)

    until(is_there, f"a vote of {victim} above height {above}")


def old_enough(path: Path) -> None:
    """Wait until a copy of a file can be told from it by its time of change."""
    then = path.stat().st_ctime_ns
    probe = path.with_name("probe")

    def is_later() -> bool:
        probe.write_bytes(b"")
        return (probe.stat().st_ctime_ns - then) // 1_000_000 > TOLERANCE_MS + 100

    until(is_later, "the clock of the file system moving on")
    probe.unlink()


def backup_of(store: Path, to: Path) -> None:
    """A copy of a database in use, as an administrator would make it."""
    with sqlite3.connect(store) as source, sqlite3.connect(to) as target:
        source.backup(target)


def put_back(copy: Path, store: Path) -> None:
    for end in ("-wal", "-shm"):
        store.with_name(store.name + end).unlink(missing_ok=True)
    shutil.copyfile(copy, store)


def test_a_database_that_was_put_back_does_not_make_its_node_sign_twice(
    network: Listening, victim: str, tmp_path: Path
) -> None:
    work(network)
    backup_of(network.store(victim), tmp_path / "copy.db")
    work(network)
    network.fleet.kill(victim)
    promised = network.promised(victim)
    before = network.slots(victim)
    put_back(tmp_path / "copy.db", network.store(victim))

    network.start(victim)
    found = until(lambda: network.events(victim, "votes_not_vouched_for"), "the node noticing")
    assert found[-1]["memory"] == "older"
    assert found[-1]["through"] == promised
    votes_again(network, victim, promised)
    assert min(network.slots(victim) - before)[0] > promised


def test_a_home_that_was_put_back_whole_does_not_make_its_node_sign_twice(
    network: Listening, victim: str, tmp_path: Path
) -> None:
    home = network.node_home(victim)
    network.stop(victim)
    shutil.copytree(home, tmp_path / "copy")
    network.start(victim)
    work(network)
    network.fleet.kill(victim)
    before = network.slots(victim)
    highest = max(before)[0]
    old_enough(tmp_path / "copy" / "signer" / "watermark")
    heard = (home / "heard.log").read_text()
    shutil.rmtree(home)
    shutil.copytree(tmp_path / "copy", home)
    (home / "heard.log").write_text(heard)

    network.start(victim)
    found = until(lambda: network.events(victim, "votes_withheld"), "the node noticing")
    through = int(str(found[-1]["through"]))
    assert through >= highest
    votes_again(network, victim, through)
    assert min(network.slots(victim) - before)[0] > through


def test_a_height_that_is_open_is_closed_to_a_node_that_may_have_voted_there(
    network: Listening, victim: str, tmp_path: Path
) -> None:
    network.agreement()
    backup_of(network.store(victim), tmp_path / "copy.db")
    gone = [each for each in network.validators if each not in (victim, network.proposer())]
    for node in gone:
        network.fleet.pause(node)
    try:
        # The proposer and the victim vote, and are too few.
        proposer = network.proposer()
        height = network.height(proposer) + 1
        network.client(proposer).submit(*network.anchors(proposer, 1))
        until(
            lambda: any(slot[0] == height for slot in network.slots(victim)),
            "the victim voting",
        )
        network.fleet.kill(victim)
        before = network.slots(victim)
        put_back(tmp_path / "copy.db", network.store(victim))
        network.start(victim)
    finally:
        for node in gone:
            network.fleet.resume(node)
    votes_again(network, victim, height)
    after = network.slots(victim) - before
    assert min(after)[0] > height


def test_a_consortium_that_loses_power_at_once_goes_on_without_anybody_abstaining(
    network: Listening, victim: str
) -> None:
    network.agreement()
    withheld = {node: len(network.events(node, "votes_withheld")) for node in network.nodes}
    network.client(victim).submit(*network.anchors(victim, 20))
    for node in network.validators:
        network.fleet.kill(node)
    network.start()
    head = network.agreement()
    work(network)
    assert network.agreement().height > head.height
    for node in network.nodes:
        assert len(network.events(node, "votes_withheld")) == withheld[node]


def test_a_home_without_its_watermark_waits_until_others_have_gone_on(
    network: Listening, victim: str
) -> None:
    network.stop(victim)
    (network.node_home(victim) / "signer" / "watermark").unlink()
    network.start(victim)
    until(
        lambda: "does not vote up to height" in network.status(victim)["reason"],
        "the status saying so",
    )
    votes_again(network, victim, network.promised(victim))


def test_an_operator_can_vouch_for_a_home_that_was_moved(network: Listening, victim: str) -> None:
    network.stop(victim)
    (network.node_home(victim) / "signer" / "watermark").unlink()
    withheld = len(network.events(victim, "votes_withheld"))
    done = command("node", "vouch", "--home", str(network.node_home(victim)), "--yes")
    assert done.returncode == ExitCode.GOOD, done.stderr
    network.start(victim)
    votes_again(network, victim, network.height(victim))
    assert len(network.events(victim, "votes_withheld")) == withheld


def test_a_second_process_with_the_key_of_a_running_node_stops_and_says_so(
    network: Listening, victim: str, tmp_path: Path
) -> None:
    twin = tmp_path / "twin"
    shutil.copytree(network.node_home(victim), twin)
    base = free_ports(2)
    settings = (twin / "node.toml").read_text()
    for name, port in (
        ("peer_port", base),
        ("api_port", base + 1),
    ):
        own = next(place for place in network.config.nodes() if place.id == victim)
        settings = settings.replace(f"port = {getattr(own, name)}\n", f"port = {port}\n")
    (twin / "node.toml").write_text(settings)
    other = subprocess.Popen(
        [sys.executable, "-m", "ledger.cli.main", "node", "run", "--home", str(twin)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(
            lambda: (
                network.anchor(network.proposer())
                and (other.poll() is not None or victim not in network.fleet.running)
            ),
            "one of the two stopping",
        )
    finally:
        other.kill()
        _, errors = other.communicate()
    if victim not in network.fleet.running:
        errors = network.fleet.log_tail(victim)
        network.start(victim)
    assert f"another process uses the identity of {victim}" in errors


def test_a_damaged_store_is_not_served_and_is_rebuilt_from_the_others_by_one_command(
    network: Listening, victim: str
) -> None:
    work(network)
    network.fleet.kill(victim)
    promised = network.promised(victim)
    before = network.slots(victim)
    path = network.store(victim)
    with sqlite3.connect(path) as database:
        (newest,) = database.execute("SELECT max(height) FROM blocks").fetchone()
        database.execute(
            "UPDATE blocks SET results = zeroblob(length(results)) WHERE height = ?", (newest,)
        )
    home = str(network.node_home(victim))
    refused = command("node", "run", "--home", home)
    assert refused.returncode == ExitCode.FAILED
    assert f"block {newest} is damaged in the store" in refused.stderr
    assert "node check" in refused.stderr
    assert command("node", "check", "--home", home).returncode == ExitCode.NO
    assert command("node", "repair", "--home", home).returncode == ExitCode.GOOD

    network.start(victim)
    until(lambda: network.height(victim) >= newest, "the chain coming back")
    votes_again(network, victim, promised)
    assert min(network.slots(victim) - before)[0] > promised
    assert network.audit(victim)["verified"]
    assert list(path.parent.glob("ledger.db-damaged-*/ledger.db"))
