"""A consortium of seven hospitals, each with a host of its own that runs the real node.

Nodes listen on their hosts' addresses with TLS and dial each other there, or, told so, through the
lab's lines.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from ledger.audit.source import open_store
from ledger.audit.verify import verify_chain
from ledger.chain.block import Header
from ledger.chain.codec import decode
from ledger.chain.genesis import read_genesis
from ledger.chain.handover import Trust
from ledger.chain.transaction import decode_transaction
from ledger.client.builder import Account
from ledger.client.http import AsyncClient, Client
from ledger.client.verify import trust_in
from ledger.node.setup.founding import node_home
from ledger.node.setup.home import load_home
from tests.support.lab.checker import Block
from tests.support.lab.founded import found
from tests.support.lab.lab import API_PORT, PEER_PORT, ROOT, Lab

T = TypeVar("T")

BASE = f"http://127.0.0.1:{API_PORT}"

#: How long anything that must come about may take, in seconds: of patience, not of speed.
PATIENCE = 150.0
#: Debian's libfaketime, in the build for programs with threads.
FAKETIME = next(
    iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), Path("/nowhere/libfaketime")
)
#: Whether hosts can have firewalls.
NFT = shutil.which("nft") is not None
#: What a node of a network without liars must never log.
GRAVE = frozenset({"diverged", "peer_accused", "consensus_job_failed"})


def until(condition: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """What the condition gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come about in {seconds} seconds"
        time.sleep(0.1)
    return found


class Hosts:
    """The consortium. Use as a context manager; everything ends with it.

    Args:
        directory: for the network home, which stays.
        hosts: how many.
        seed: of jitter and loss on lines.
        parameters: of the chain, over those that make a test short.
    """

    def __init__(self, directory: Path, hosts: int = 7, seed: int = 0, **parameters: int) -> None:
        short = {"view_timeout": 2000, "view_timeout_cap": 10_000, "empty_block_interval": 3000}
        self.all = list(range(1, hosts + 1))
        self.home = found(directory / "home", self.all, {**short, **parameters})
        self.genesis = read_genesis(self.home / "genesis.json")
        self.notes: list[str] = []
        self._wrong_clocks: set[int] = set()
        self._begun = time.monotonic()
        self.lab = Lab(hosts, seed)
        self._clients: dict[int, Client] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for client in self._clients.values():
            client.close()
        self.lab.close()

    def note(self, text: str) -> None:
        """Write down what is done to the network, for whoever reads a failure."""
        self.notes.append(f"{time.monotonic() - self._begun:8.2f} s  {text}")

    # --- names and files -----------------------------------------------------------------------

    @staticmethod
    def node(host: int) -> str:
        return f"node-{host}"

    def node_home(self, host: int) -> Path:
        return node_home(self.home, self.node(host))

    def others(self, *hosts: int) -> list[int]:
        return [host for host in self.all if host not in hosts]

    @property
    def quorum(self) -> int:
        return len(self.all) - (len(self.all) - 1) // 3

    @property
    def trust(self) -> Trust:
        """What somebody has who was given only the genesis file."""
        return trust_in(self.genesis)

    def officer(self, host: int) -> Account:
        """The key of a node, which may sign transactions."""
        return Account(load_home(self.node_home(host)).signing_key(lambda: ""))

    def log(self, host: int) -> list[dict[str, Any]]:
        """The lines that a node has logged."""
        path = self.node_home(host) / "node.log"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{")]

    def log_tail(self, host: int, lines: int = 12) -> str:
        path = self.node_home(host) / "node.log"
        text = path.read_text(errors="replace").splitlines() if path.exists() else []
        return "\n".join(text[-lines:])

    # --- processes -----------------------------------------------------------------------------

    def start(self, *hosts: int) -> None:
        """Start the nodes of some hosts, or of all, and wait until each is ready."""
        wanted = list(hosts) or self.all
        self.launch(*wanted)
        self._wait_ready(wanted)

    def dead(self) -> list[int]:
        """The hosts whose node does not run."""
        return [host for host in self.all if not self.lab.alive(host)]

    def launch(self, *hosts: int) -> None:
        """Start the nodes of some hosts, and wait for nothing."""
        if not hosts:
            return
        self.note(f"start {hosts}")
        for host in hosts:
            home = self.node_home(host)
            environment = {}
            if FAKETIME.exists():
                clock = home / "clock"
                clock.write_text("+0s")
                self._wrong_clocks.discard(host)
                environment = {
                    "LD_PRELOAD": str(FAKETIME),
                    "FAKETIME_TIMESTAMP_FILE": str(clock),
                    "FAKETIME_CACHE_DURATION": "1",
                    "DONT_FAKE_MONOTONIC": "1",
                }
            command = [sys.executable, "-m", "ledger.cli.main", "node", "run", "--home", str(home)]
            environment["PYTHONPATH"] = str(ROOT)
            self.lab.start(host, command, home / "node.log", **environment)

    def _wait_ready(self, hosts: Sequence[int]) -> None:
        for host in hosts:
            until(partial(self._ready, host), f"{self.node(host)} being ready")

    def _ready(self, host: int) -> bool:
        code = self.lab.ended(host)
        assert code is None, f"{self.node(host)} ended with {code}\n{self.log_tail(host)}"
        transport = httpx.HTTPTransport(uds=str(self.lab.gate(host)))
        with httpx.Client(transport=transport, timeout=5.0) as client:
            try:
                return client.get(f"{BASE}/readyz").status_code == 200
            except httpx.TransportError:
                return False

    def kill(self, *hosts: int) -> None:
        """End nodes at once, as a power cut would."""
        self.note(f"kill {hosts}")
        for host in hosts:
            self.lab.signal(host, "SIGKILL")
        for host in hosts:
            until(partial(self._gone, host), f"the end of {self.node(host)}")

    def stop(self, *hosts: int) -> None:
        """End nodes in an orderly way."""
        wanted = list(hosts) or self.all
        self.note(f"stop {wanted}")
        running = [host for host in wanted if self.lab.alive(host)]
        for host in running:
            self.lab.signal(host, "SIGTERM")
        for host in running:
            until(partial(self._gone, host), f"the end of {self.node(host)}")

    def _gone(self, host: int) -> bool:
        return not self.lab.alive(host)

    def pause(self, *hosts: int) -> None:
        self.note(f"pause {hosts}")
        for host in hosts:
            self.lab.signal(host, "SIGSTOP")

    def resume(self, *hosts: int) -> None:
        self.note(f"resume {hosts}")
        for host in hosts:
            self.lab.signal(host, "SIGCONT")

    def set_clock(self, host: int, seconds: float) -> None:
        """Let a host's clock be wrong by so much, from a second later on; timers are left alone."""
        self.note(f"clock of {host} {seconds:+g} s")
        (self._wrong_clocks.add if seconds else self._wrong_clocks.discard)(host)
        # Written beside and moved, for the node must never read half a number.
        clock = self.node_home(host) / "clock"
        beside = clock.with_suffix(".new")
        beside.write_text(f"{seconds:+g}s")
        beside.replace(clock)

    def cut(self, *hosts: int) -> None:
        """Pull the cables of some hosts."""
        self.note(f"cut {hosts}")
        self.lab.cut(*hosts)

    def plug(self, *hosts: int) -> None:
        self.note(f"plug {hosts}")
        self.lab.plug(*hosts)

    def partition(self, *groups: Sequence[int]) -> None:
        """Each group on a network of its own; whoever is in none is alone."""
        self.note("partition " + " | ".join(" ".join(map(str, group)) for group in groups))
        self.lab.partition(*groups)

    def deafen(self, host: int, *sources: int) -> None:
        """Let a host drop all that comes from some others."""
        self.note(f"deafen {host} to {sources}")
        self.lab.deafen(host, *sources)

    def shape(self, hosts: Collection[int], **shape: float) -> None:
        """Give the lines of some hosts to all others a shape."""
        self.note(f"lines of {list(hosts)}: {shape or 'perfect'}")
        self.lab.shape(hosts, self.all, **shape)

    def reset(self, *hosts: int) -> None:
        """Reset every connection on the lines of some hosts."""
        self.note(f"reset the lines of {hosts}: {self.lab.reset(hosts, self.all)} connections")

    def hold(self, *hosts: int) -> None:
        """Let the lines of some hosts pass nothing, with connections open."""
        self.note(f"hold the lines of {hosts}")
        self.lab.hold(hosts, self.all)

    def use_lines(self) -> None:
        """Let nodes that are down dial each other through the lab's lines from now on."""
        for host in self.all:
            path = self.node_home(host) / "node.toml"
            text = path.read_text()
            for other in self.others(host):
                text = text.replace(
                    f'"{self.lab.address(other)}:{PEER_PORT}"', f'"{self.lab.line(host, other)}"'
                )
            path.write_text(text)

    def mend(self) -> None:
        """Take back what was done to the network: links, lines, firewalls, clocks, processes."""
        self.note("mend")
        self.lab.heal()
        if NFT:
            for host in self.all:
                self.lab.deafen(host)
        dead = self.dead()
        for host in self.others(*dead):
            self.lab.signal(host, "SIGCONT")
            if host in self._wrong_clocks:
                self.set_clock(host, 0)
        self.launch(*dead)
        # Not only those: one that was started before may still be on its way.
        self._wait_ready(self.all)

    def come_together(self) -> int:
        """Wait until every node is past the highest block of any at this moment; that height."""
        top = max(self.heights().values())
        until(lambda: min(self.heights().values()) > top, f"all nodes being past height {top}")
        return top

    # --- asking --------------------------------------------------------------------------------

    def client(self, host: int) -> Client:
        if host not in self._clients:
            transport = httpx.HTTPTransport(uds=str(self.lab.gate(host)))
            self._clients[host] = Client(BASE, transport=transport)
        return self._clients[host]

    def async_client(self, host: int) -> AsyncClient:
        transport = httpx.AsyncHTTPTransport(uds=str(self.lab.gate(host)))
        return AsyncClient(BASE, transport=transport)

    def status(self, host: int) -> dict[str, Any]:
        return self.client(host).status()

    def reason(self, host: int) -> str:
        """What a node says about how it stands, in its own words, or that it says nothing."""
        transport = httpx.HTTPTransport(uds=str(self.lab.gate(host)))
        with httpx.Client(transport=transport, timeout=2.0) as client:
            try:
                status = client.get(f"{BASE}/v1/status").json()
            except httpx.TransportError as error:
                return f"no answer: {error!r}"
        return f"height {status['height']}: {status['reason']}"

    def height(self, host: int) -> int:
        return int(self.status(host)["height"])

    def heights(self, hosts: Collection[int] = ()) -> dict[int, int]:
        return {host: self.height(host) for host in hosts or self.all}

    def proposer(self, host: int) -> int:
        """The host whose node proposed the newest block that a host has."""
        header = self.client(host).block()["header"]
        return int(header["proposer"].rpartition("-")[2])

    def newest_proposer(self) -> int:
        """The host whose node proposed the highest block of any that answers at once."""
        found = [(0, 1)]
        for host in self.all:
            transport = httpx.HTTPTransport(uds=str(self.lab.gate(host)))
            with httpx.Client(transport=transport, timeout=1.0) as client:
                try:
                    answer = client.get(f"{BASE}/v1/blocks/latest", params={"limit": 0})
                except httpx.TransportError:
                    continue
            header = answer.json()["header"]
            found.append((header["height"], int(header["proposer"].rpartition("-")[2] or 1)))
        return max(found)[1]

    def headers(self, host: int) -> list[dict[str, Any]]:
        """All headers of a node's chain, by its API."""
        transport = httpx.HTTPTransport(uds=str(self.lab.gate(host)))
        found: list[dict[str, Any]] = []
        with httpx.Client(transport=transport, base_url=BASE, timeout=30.0) as client:
            following: int | None = 0
            while following is not None:
                page = client.get("/v1/blocks", params={"from": following, "limit": 100}).json()
                found += page["blocks"]
                following = page["next"]
        return found

    def grave(self) -> list[str]:
        """Everything that nodes logged and must not, in a network where nobody lies."""
        return [
            f"{self.node(host)}: {line}"
            for host in self.all
            for line in self.log(host)
            if line.get("event") in GRAVE or line.get("level") in ("error", "critical")
        ]

    # --- reading the stores --------------------------------------------------------------------

    def stored_chain(self, host: int) -> list[Block]:
        """A node's chain as it is in its store, running or not."""
        blocks = []
        with open_store(str(self.store(host))) as source:
            for row in source:
                header = decode(row.header, Header, limit=len(row.header))
                body = decode(row.body, tuple[bytes, ...], limit=len(row.body))
                ids = tuple(decode_transaction(raw).id.hex() for raw in body)
                blocks.append(Block(header.height, header.hash().hex(), header.parent.hex(), ids))
        return blocks

    def audit(self, host: int) -> list[str]:
        """Replay a node's store from the genesis file; what is wrong with it."""
        with open_store(str(self.store(host))) as source:
            report = verify_chain(source, self.genesis)
        return [f"{self.node(host)}: {fault}" for fault in report.faults]

    def store(self, host: int) -> Path:
        return self.node_home(host) / "data" / "ledger.db"
