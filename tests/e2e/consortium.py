"""A consortium of real node processes on loopback, as the end-to-end tests use it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import httpx

from ledger.chain.genesis import read_genesis
from ledger.chain.handover import Trust
from ledger.chain.transaction import Call
from ledger.client.builder import Account, build
from ledger.client.http import Client
from ledger.client.requests import Submitted
from ledger.client.verify import trust_in
from ledger.node.clock import now_ms
from ledger.node.fleet import Fleet, free_ports
from ledger.node.setup.config import NetworkConfig, parse_config
from ledger.node.setup.founding import found_network, node_home
from ledger.node.setup.home import load_home
from ledger.node.setup.people import load_people

T = TypeVar("T")

DEV = Path(__file__).parents[2] / "network-configs" / "dev.toml"
#: Beside the four hospitals: a township centre that follows, and a physician who asks for records.
MORE = """
[[institutions]]
id = "centre"
name = "Township Health Centre"
name_zh = "乡镇卫生院"
kind = "township-centre"
county = "Ansai"

[[institutions.nodes]]
id = "centre-1"
role = "observer"

[[people]]
key = "west-physician"
institution = "west"
roles = ["physician", "emergency-physician"]
name = "Zhao Min"
name_zh = "赵敏"
"""
PATIENCE = 60.0
WINDOW = 500


def until(condition: Callable[[], T], what: str = "the condition", seconds: float = PATIENCE) -> T:
    """What the condition gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come about in {seconds} seconds"
        time.sleep(0.05)
    return found


def config(*, observer: bool, **parameters: int) -> NetworkConfig:
    """The four hospitals of ``dev.toml``, and what is in `MORE` if an observer is wanted."""
    text = DEV.read_text() + (MORE if observer else "")
    settings = parse_config(text)
    return settings.model_copy(update={"parameters": {**settings.parameters, **parameters}})


def command(*arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """Run ``health-ledger`` as a person would, with a terminal that never breaks lines."""
    return subprocess.run(
        [sys.executable, "-m", "ledger.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        stdin=subprocess.DEVNULL,
    )


class Head(NamedTuple):
    """Where a node's chain ends."""

    height: int
    block: str
    state_root: str


class Consortium:
    """A founded network whose nodes are processes. Use as a context manager."""

    def __init__(self, directory: Path, settings: NetworkConfig) -> None:
        count = len(settings.nodes())
        base = free_ports(2 * count)
        self.config = settings.moved(peer_port=base, api_port=base + count)
        self.founding = found_network(
            self.config, directory / "home", passphrase=None, insecure=True, now_ms=now_ms()
        )
        self.home = self.founding.home
        self.chain = self.founding.chain_id
        self.validators = self.founding.validators
        self.nodes = (*self.validators, *self.founding.observers)
        self.people = load_people(self.home)
        self.fleet = Fleet(
            {node: node_home(self.home, node) for node in self.nodes}, self.founding.urls
        )
        self._clients: dict[str, Client] = {}

    def __enter__(self) -> Consortium:
        return self

    def __exit__(self, *_error: object) -> None:
        for client in self._clients.values():
            client.close()
        self.fleet.stop()

    # --- processes -----------------------------------------------------------------------------

    def start(self, *nodes: str) -> None:
        """Start the named nodes, or all, and wait until each is ready."""
        wanted = nodes or self.nodes
        self.fleet.start(wanted)
        self.fleet.wait_ready(wanted)

    def stop(self, node: str) -> None:
        """End a node in an orderly way (SIGTERM)."""
        self.fleet.stop([node])

    def node_home(self, node: str) -> Path:
        return node_home(self.home, node)

    def store(self, node: str) -> Path:
        return self.node_home(node) / "data" / "ledger.db"

    def log(self, node: str) -> list[dict[str, Any]]:
        """The lines that a node has logged."""
        lines = (self.node_home(node) / "node.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    # --- asking --------------------------------------------------------------------------------

    @property
    def trust(self) -> Trust:
        """What somebody has who was given only the genesis file."""
        return trust_in(read_genesis(self.home / "genesis.json"))

    def client(self, node: str) -> Client:
        if node not in self._clients:
            self._clients[node] = Client(self.founding.urls[node])
        return self._clients[node]

    def status(self, node: str) -> dict[str, Any]:
        return self.client(node).status()

    def height(self, node: str) -> int:
        return int(self.status(node)["height"])

    def audit(self, node: str) -> dict[str, Any]:
        """What an outsider with the genesis file finds in a node's store, running or not."""
        genesis = str(self.home / "genesis.json")
        done = command(
            "audit", "verify", "--genesis", genesis, "--store", str(self.store(node)), "--json"
        )
        assert done.stdout, done.stderr
        return dict(json.loads(done.stdout))

    def block(self, node: str, height: int | None = None) -> dict[str, Any]:
        return self.client(node).block(height)

    def head(self, node: str, height: int | None = None) -> Head:
        header = self.block(node, height)["header"]
        return Head(header["height"], header["hash"], header["state_root"])

    def proposer(self) -> str:
        """The validator that proposed the newest block, and goes on while it can."""
        return str(self.block(self.validators[0])["header"]["proposer"])

    def metric(self, node: str, name: str) -> float:
        """One metric of a node, without labels."""
        text = httpx.get(f"{self.founding.urls[node]}/metrics", trust_env=False).text
        for line in text.splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise AssertionError(f"{node} has no metric {name}")

    def agreement(self, *nodes: str) -> Head:
        """Wait until all nodes have come to the highest block of any, and compare them there."""
        asked = nodes or self.nodes
        top = max(self.height(node) for node in asked)
        until(
            lambda: all(self.height(node) >= top for node in asked),
            f"height {top} at {', '.join(asked)}",
        )
        heads = {self.head(node, top) for node in asked}
        assert len(heads) == 1, heads
        return heads.pop()

    # --- acting --------------------------------------------------------------------------------

    def account(self, label: str) -> Account:
        return Account(self.people.signing_key(self.people[label], lambda: ""))

    def officer(self, node: str) -> Account:
        """The key of a node, which is its institution's records officer."""
        return Account(load_home(self.node_home(node)).signing_key(lambda: ""))

    def signed(self, node: str, calls: Sequence[Call], *signers: Account) -> bytes:
        return build(self.chain, self.height(node), WINDOW, calls, signers).raw

    def send(self, node: str, calls: Sequence[Call], *signers: Account) -> Submitted:
        """Submit calls at a node and wait for what comes out of them."""
        (submitted,) = self.client(node).submit(self.signed(node, calls, *signers), wait=PATIENCE)
        return submitted

    def anchor(self, node: str, count: int = 1) -> list[bytes]:
        """Submit transactions that anchor an invented record each; their ids once final.

        Any validator's key may sign; the ids are what a client holds an acknowledgement for.
        """
        raws = self.anchors(node, count)
        submitted = self.client(node).submit(*raws, wait=PATIENCE)
        for item in submitted:
            assert item.outcome is not None, item
            assert item.outcome.ok, item.outcome
        return [bytes.fromhex(item.id or "") for item in submitted]

    def anchors(self, node: str, count: int) -> list[bytes]:
        """Signed anchorings by the records officer of a node's institution."""
        officer = self.officer(node)
        holder = load_home(self.node_home(node)).institution
        height = self.height(node)
        return [
            build(
                self.chain,
                height,
                WINDOW,
                [
                    Call(
                        "records",
                        "anchor_many",
                        {"holder": holder, "root": random.randbytes(32), "size": 3},
                    )
                ],
                [officer],
            ).raw
            for _ in range(count)
        ]


def signers_of(block: dict[str, Any]) -> set[str]:
    """The validators whose commit signatures make a block final."""
    return {entry["node"] for entry in block["certificate"]["signatures"]}
