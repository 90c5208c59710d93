"""A consortium in one process: what a story, a test or the explorer plays on."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

from ledger.audit.source import open_store
from ledger.audit.verify import verify_chain
from ledger.chain.genesis import read_genesis
from ledger.chain.store import Store
from ledger.chain.transaction import Call
from ledger.client.builder import Account
from ledger.node.answers import Status
from ledger.node.node import Node
from ledger.sim import journal
from ledger.sim.bounds import excess
from ledger.sim.checker import Broken, Checker, Reference
from ledger.sim.client import WINDOW, Clients, Ticket, send
from ledger.sim.clock import SimClock
from ledger.sim.disk import Image, Remains, SimDisk
from ledger.sim.elections import Elections
from ledger.sim.founding import Consortium, consortium, memory_directory
from ledger.sim.loop import Process, SimLoop
from ledger.sim.machines import Machines
from ledger.sim.member import Member
from ledger.sim.network import SimNetwork
from ledger.sim.trace import Trace
from ledger.sim.weather import Line

#: How long a job lasts that a node gives to a thread: about what the sync of a good disk takes.
JOB_SECONDS = 0.002
#: Lines of the trace that a failure shows.
SHOWN_LINES = 60


class World:
    """Everything from one seed. Use it as a context manager, or `close` it.

    Nodes do not run before they are started; ``start_all`` does that in order of their names.

    Args:
        seed: of all randomness.
        validators: how many; they are called A, B, C …
        followers: how many; they are called f1, f2 …
        line: what lines are like, unless changed.
        parameters: of the chain, where they differ from the defaults.
        reference: executes blocks once more; see `Checker`.
        founded: another consortium than the usual one of that size.
    """

    def __init__(
        self,
        seed: int,
        validators: int = 4,
        followers: int = 0,
        *,
        line: Line | None = None,
        parameters: Mapping[str, int] | None = None,
        reference: Reference | None = None,
        founded: Consortium | None = None,
    ) -> None:
        self.seed = seed
        self.random = self._random("world")
        self.consortium: Consortium = founded or consortium(
            validators, followers, tuple(sorted((parameters or {}).items()))
        )
        self.loop = SimLoop(job_seconds=self._job_seconds)
        self.trace = Trace(self.loop.time)
        self.network = SimNetwork(self.loop, self._random("network"), line)
        self.network.watchers.append(self._record)
        self._directory = Path(tempfile.mkdtemp(prefix="ledger-sim-run-", dir=memory_directory()))
        self._genesis = Store.open(str(self.consortium.founded), read_only=True)
        self.checker = Checker(self._genesis, self.complain, reference, self.trace.note)
        self.network.watchers.append(self.checker.sent)
        widest = (parameters or {}).get("validity_window", WINDOW)
        self.clients = Clients(self.consortium, self._random("clients"), min(WINDOW, widest))
        self.elections = Elections(self.consortium.validators)
        #: What was found broken, one sentence each.
        self.complaints: list[str] = []
        self.machines = Machines(
            self.consortium,
            self._directory,
            self.loop,
            self.network,
            self.checker,
            self.trace,
            random=self._random,
            complain=self.complain,
        )
        self._journal = journal.open_journal(self.trace, self._read)

    def _random(self, what: str) -> Random:
        return Random(f"{self.seed}/{what}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything and remove the files of the run."""
        self.machines.halt()
        self.loop.close()
        self._genesis.close()
        self._journal.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    # --- looking at it -------------------------------------------------------------------------

    @property
    def now_ms(self) -> float:
        """Virtual milliseconds since the start."""
        return self.loop.time() * 1000

    @property
    def nodes(self) -> dict[str, Member]:
        """The members by the names of their nodes."""
        return self.machines.members

    @property
    def clocks(self) -> dict[str, SimClock]:
        return {name: member.clock for name, member in self.nodes.items()}

    @property
    def disk(self) -> dict[str, SimDisk]:
        return {name: member.disk for name, member in self.nodes.items()}

    @property
    def founded(self) -> Image:
        """A store with nothing but the genesis."""
        return Image(self.consortium.founded.read_bytes(), b"")

    @property
    def tickets(self) -> list[Ticket]:
        """Everything that clients have submitted."""
        return self.clients.tickets

    @property
    def running(self) -> list[Member]:
        """The members whose nodes run and are not paused."""
        return [member for member in self.nodes.values() if member.running and not member.paused]

    @property
    def validators(self) -> tuple[str, ...]:
        return self.consortium.validators

    def heights(self) -> dict[str, int]:
        """Node → height of its newest block; -1 where it does not run."""
        return {name: member.height for name, member in self.nodes.items()}

    def node(self, name: str) -> Node:
        """The running node; raises `LookupError`."""
        return self.machines.node(name)

    def status(self, name: str) -> Status:
        """What a node says about itself now."""
        return self.loop.inside(self.node(name).service.status, self.nodes[name].process)

    # --- nodes come and go ---------------------------------------------------------------------

    def start(self, name: str) -> bool:
        """Start a node with what is on its disk; False when it refused, see `Member.ended`."""
        return self.machines.start(name)

    def start_all(self) -> None:
        """Start every node that does not run."""
        for name, member in self.nodes.items():
            if not member.running:
                self.start(name)

    def stop(self, name: str) -> None:
        """End a node in order, as SIGTERM does."""
        self.machines.stop(name)
        self._judge()

    def crash(
        self,
        name: str,
        *,
        mid_commit: Remains | str | None = None,
        after: int = 0,
        power: bool = False,
    ) -> None:
        """End a node without warning, as SIGKILL does.

        Args:
            mid_commit: what is left of the transaction in the middle of which the power fails; the
                crash comes with the next transaction rather than now.
            after: how many transactions are finished before that one.
            power: the whole machine goes, and nobody is told that connections are gone.
        """
        remains = None if mid_commit is None else Remains(mid_commit)
        self.machines.crash(name, remains, after, told=not power)

    def restart(self, name: str) -> bool:
        """Crash a node if it runs, and start it again."""
        if self.nodes[name].running:
            self.crash(name)
        return self.start(name)

    def pause(self, name: str) -> None:
        """Let a process stand still, as SIGSTOP does; its connections stay."""
        self.machines.pause(name)

    def resume(self, name: str) -> None:
        """Let a paused process go on."""
        self.machines.resume(name)

    def renew(self, name: str) -> None:
        """Let a node have a new TLS certificate from its institution, valid from now on by its own
        clock; it shows it from its next start on."""
        self.machines.renew(name)

    def configure(self, name: str, **changes: int) -> None:
        """Change ``node.toml`` of a node; it reads it at its next start.

        Args:
            changes: ``keep_blocks``, ``archive_blocks`` and ``snapshot_after``; others raise
                `ValueError`.
        """
        self.machines.configure(name, changes)

    # --- clients -------------------------------------------------------------------------------

    def submit(
        self, name: str, call: Call | None = None, *, signer: Account | None = None
    ) -> Ticket:
        """Let a client give a transaction to a node; by default a patient grants a consent."""
        member = self.nodes[name]
        ticket = self.clients.prepare(name, max(member.height, 0), call, signer)
        self.send(ticket)
        return ticket

    def send(self, ticket: Ticket, name: str | None = None) -> None:
        """Send a transaction, perhaps again and perhaps to another node; nothing if that is off."""
        member = self.nodes[name or ticket.node]
        ticket.node = member.name
        if member.node is not None:
            node, process = member.node, member.process
            self.loop.inside(
                lambda: self.loop.create_task(send(node, ticket), name="client"), process
            )

    # --- time ----------------------------------------------------------------------------------

    def run(self, ms: float) -> None:
        """Let virtual time pass; raises `Broken` when an invariant does not hold."""
        self.loop.advance(self.loop.time() + ms / 1000)
        self._judge()

    def run_until(self, reached: Callable[[], object], limit_ms: float) -> bool:
        """Let time pass until something is true; False when it was not in time."""
        found = self.loop.advance(
            self.loop.time() + limit_ms / 1000, lambda: bool(self.complaints or reached())
        )
        self._judge()
        return found or bool(reached())

    def reach(self, height: int, limit_ms: float, *nodes: str) -> bool:
        """Run until these nodes, or all that run, have a block of that height."""
        members = [self.nodes[name] for name in nodes] or self.running
        return self.run_until(lambda: all(member.height >= height for member in members), limit_ms)

    def settle(self, limit_ms: float = 180_000, blocks: int = 2) -> float:
        """End all trouble and demand progress; returns after how many milliseconds it came.

        Lines are open and lose nothing, clocks are right, disks have room and are quick, every node
        runs. Then as many times as ``blocks`` says, a client of another node must get a transaction
        into a block, and all honest nodes must get that block, in time.
        """
        self.calm()
        begun = self.now_ms
        honest = [
            member
            for member in self.running
            if member.name not in self.checker.liars and not member.disk.flipped
        ]
        for number in range(blocks):
            goal = self.checker.height + 1
            ticket = self.submit(honest[number % len(honest)].name)

            def well(goal: int = goal, ticket: Ticket = ticket) -> bool:
                return ticket.final and all(member.height >= goal for member in honest)

            if not self.run_until(well, begun + limit_ms - self.now_ms):
                words = "; ".join(
                    f"{member.name} at {member.height}: {self.status(member.name).reason}"
                    for member in honest
                    if member.running
                )
                self.complain(f"no progress to block {goal} in {limit_ms / 1000:.0f} s: {words}")
                break
        self._judge()
        return self.now_ms - begun

    def calm(self) -> None:
        """End all trouble that the world makes: lines, clocks, disks, pauses, crashes."""
        self.network.calm()
        for name, member in self.nodes.items():
            member.clock.correct()
            member.disk.full(False)
            member.disk.slow(0)
            member.disk.no_crash()
            self.resume(name)
        self.start_all()

    # --- judging -------------------------------------------------------------------------------

    def complain(self, what: str) -> None:
        """An invariant does not hold."""
        self.complaints.append(what)
        self.trace.note("", f"BROKEN: {what}")

    def check(self, *, audit: bool = False) -> None:
        """Look at everything that is not looked at while it happens; raises `Broken`.

        Args:
            audit: also let the auditor replay the longest chain from the genesis.
        """
        self.checker.acknowledged(self.tickets)
        for member in self.running:
            assert member.node is not None
            for what in excess(member.node):
                self.complain(f"{member.name} holds too much: {what}")
        if audit:
            self._audit()
        self._judge()

    def _audit(self) -> None:
        honest = [
            member
            for member in self.nodes.values()
            if member.name not in self.checker.liars and not member.disk.flipped
        ]
        longest = max(
            honest,
            key=lambda member: (
                member.store is not None and member.store.base() == 0,
                self.checker.durable.get(member.name, 0),
            ),
        )
        genesis = read_genesis(longest.home.path / "genesis.json")
        with open_store(str(longest.disk.path)) as source:
            report = verify_chain(source, genesis)
        for fault in report.faults:
            self.complain(f"the auditor finds in the store of {longest.name}: {fault}")

    def _judge(self) -> None:
        for process, error in self.loop.failures:
            self.complain(f"{process.name if process else 'the simulation'} failed: {error!r}")
        self.loop.failures.clear()
        if self.complaints:
            found = "\n".join(dict.fromkeys(self.complaints))
            raise Broken(
                f"seed {self.seed}, {len(self.nodes)} nodes: {found}\n\n"
                f"the last {SHOWN_LINES} lines of the trace:\n{self.trace.last(SHOWN_LINES)}"
            )

    def _read(self, node: str, entry: Mapping[str, Any]) -> None:
        """A node writes something to its log."""
        if entry["event"] == "peer_accused" and not self.nodes[node].disk.flipped:
            peer = str(entry["peer"])
            if not self.nodes[peer].disk.damaged:
                self.checker.accused(node, peer, str(entry["rule"]))

    def _record(self, sender: str, receiver: str, frame: bytes) -> None:
        self.trace.feed(f"{self.loop.time():.9f}{sender}>{receiver}".encode() + frame)

    def _job_seconds(self, process: Process | None) -> float:
        if process is None:
            return JOB_SECONDS
        return JOB_SECONDS + self.nodes[process.name].disk.delay_s


__all__ = ["Broken", "Line", "Remains", "World"]
