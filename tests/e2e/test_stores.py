"""Stores that are damaged, foreign, full or taken: what a node says, and that the chain is safe."""

from __future__ import annotations

import secrets
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from consortium import Consortium, command, config, until

from ledger.cli.output import ExitCode
from ledger.node.setup.founding import found_network


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    settings = config(observer=True, proposer_term=1_000_000)
    with Consortium(tmp_path_factory.mktemp("stores"), settings) as consortium:
        consortium.start()
        consortium.anchor("east-1", 20)
        yield consortium


@contextmanager
def down(network: Consortium, node: str) -> Iterator[str]:
    """Stop a node; afterwards its data is as it was, and the node up again."""
    network.agreement()
    network.stop(node)
    with kept(network.node_home(node) / "data"):
        yield node
    network.start(node)
    network.anchor(node)
    network.agreement()


@contextmanager
def kept(data: Path) -> Iterator[None]:
    """Afterwards a directory is as it was."""
    copy = data.with_name(f"{data.name}-kept-{secrets.token_hex(4)}")
    shutil.copytree(data, copy)
    yield
    shutil.rmtree(data)
    copy.rename(data)


@pytest.fixture(scope="class")
def asleep(network: Consortium) -> Iterator[str]:
    """A validator that is down, and is not the proposer."""
    proposer = network.proposer()
    with down(network, next(each for each in network.validators if each != proposer)) as node:
        yield node


@pytest.fixture
def stopped(network: Consortium, asleep: str) -> Iterator[str]:
    """The same, whose data a test may damage."""
    with kept(network.node_home(asleep) / "data"):
        yield asleep


def refuses_to_start(network: Consortium, node: str) -> str:
    """The one line with which a node says why it does not start."""
    done = command("node", "run", "--home", str(network.node_home(node)))
    assert done.returncode == ExitCode.FAILED, done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


def damage(path: Path, start: int, stop: int, seed: int = 1) -> None:
    """Flip a bit in every 64th byte of a part of a file."""
    content = bytearray(path.read_bytes())
    for place in range(start + seed, min(stop, len(content)), 64):
        content[place] ^= 0x40
    path.write_bytes(content)


class TestAValidatorThatIsDown:
    """It is stopped once, and each test finds its data as they were."""

    def test_a_store_whose_beginning_is_damaged_is_refused(
        self, network: Consortium, stopped: str
    ) -> None:
        damage(network.store(stopped), 0, 200)
        assert "the store cannot be used" in refuses_to_start(network, stopped)

    def test_a_file_that_is_no_store_is_refused(self, network: Consortium, stopped: str) -> None:
        network.store(stopped).write_bytes(secrets.token_bytes(100_000))
        refuses_to_start(network, stopped)

    def test_a_database_of_something_else_is_refused(
        self, network: Consortium, stopped: str
    ) -> None:
        path = network.store(stopped)
        path.unlink()
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE notes (text)")
        assert "is not a store of this software" in refuses_to_start(network, stopped)

    def test_a_store_of_another_chain_is_refused(
        self, network: Consortium, stopped: str, tmp_path: Path
    ) -> None:
        settings = config(observer=True).moved(peer_port=20_000, api_port=21_000)
        other = found_network(
            settings, tmp_path / "other", passphrase=None, insecure=True, now_ms=1_000_000_000_000
        )
        shutil.copy(other.home / "genesis.json", network.node_home(stopped) / "genesis.json")
        try:
            line = refuses_to_start(network, stopped)
        finally:
            shutil.copy(network.home / "genesis.json", network.node_home(stopped))
        assert "another chain" in line

    def test_a_changed_state_entry_is_noticed_by_the_audit(
        self, network: Consortium, stopped: str
    ) -> None:
        path = network.store(stopped)
        with sqlite3.connect(path) as database:
            (value,) = database.execute("SELECT max(value) FROM state").fetchone()
            changed = value[:-1] + bytes([value[-1] ^ 1])
            database.execute("UPDATE state SET value = ? WHERE value = ?", (changed, value))
        report = network.audit(stopped)
        assert not report["verified"]
        assert report["faults"], report

    def test_a_home_without_its_key_is_refused(self, network: Consortium, stopped: str) -> None:
        key = network.node_home(stopped) / "node.key"
        hidden = key.rename(key.with_name("hidden.key"))
        try:
            assert "node.key" in refuses_to_start(network, stopped)
        finally:
            hidden.rename(key)


def test_a_second_process_on_the_same_home_is_refused(network: Consortium) -> None:
    for node in (network.validators[0], "centre-1"):
        before = network.height(node)
        line = refuses_to_start(network, node)
        assert "another process already runs this node" in line
        assert network.height(node) >= before
    network.anchor(network.validators[0])


# --- a full disk ---------------------------------------------------------------------------------


@contextmanager
def on_a_small_disk(network: Consortium, node: str) -> Iterator[Path]:
    """Put the data of a node that is down on a disk of its own with little room."""
    data = network.node_home(node) / "data"
    files = {path.name: path.read_bytes() for path in data.iterdir()}
    size = 6 * 2**20 + 2 * sum(map(len, files.values()))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(data)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("no right to mount a file system; the node's part is tested in tests/unit/node")
    try:
        for name, content in files.items():
            (data / name).write_bytes(content)
        yield data
    finally:
        if node in network.fleet.running:
            network.stop(node)
        subprocess.run(["umount", str(data)], check=True)


def fill(disk: Path) -> Path:
    """A file that takes all the room that is left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (2**20, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return ballast


@pytest.mark.parametrize("role", ["validator", "observer"])
def test_a_node_on_a_full_disk_says_so_and_goes_on_when_there_is_room(
    network: Consortium, role: str
) -> None:
    proposer = network.proposer()
    follower = next(each for each in network.validators if each != proposer)
    name = follower if role == "validator" else "centre-1"
    with down(network, name) as node, on_a_small_disk(network, node) as disk:
        network.start(node)
        network.agreement()
        ballast = fill(disk)
        # The log of the database has pages to spare: blocks come until it has to grow.
        until(
            lambda: (
                network.anchor(proposer, 50) and network.status(node)["reason"].startswith(FULL)
            ),
            "the node noticing that its disk is full",
        )
        stuck = network.head(node)
        assert not network.status(node)["committing"]
        acknowledged = network.anchor(proposer, 3)
        until(lambda: complaints(network, node) >= 2, "another attempt")
        assert network.head(node) == stuck
        assert network.head(proposer, stuck.height) == stuck

        ballast.unlink()
        assert network.agreement().height > stuck.height
        until(lambda: network.status(node)["committing"], "blocks being made there again")
        for identity in acknowledged:
            assert network.client(node).receipt(identity).header.height > stuck.height
        assert network.audit(node)["verified"]


FULL = "The disk or the database is full"


def complaints(network: Consortium, node: str) -> int:
    return sum(line["event"] == "disk_full" for line in network.log(node))


def test_processes_leave_nothing_open_for_others(network: Consortium) -> None:
    for node in network.nodes:
        home = network.node_home(node)
        for path in (home / "node.key", home / "tls.key", network.store(node)):
            assert path.stat().st_mode & 0o077 == 0, path
