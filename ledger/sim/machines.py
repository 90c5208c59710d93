"""The machines of the simulated members: their nodes start, stop, crash and stand still."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from ledger.node.net.admission import PeerIdentity
from ledger.node.node import Node
from ledger.node.setup.home import NodeHome
from ledger.sim.checker import Checker
from ledger.sim.clock import SimClock
from ledger.sim.disk import Image, PowerLossInTransaction, Remains, SimDisk
from ledger.sim.founding import EPOCH, Consortium
from ledger.sim.loop import PowerLoss, Process, SimLoop
from ledger.sim.member import Member
from ledger.sim.network import SimNetwork
from ledger.sim.trace import Trace

#: How long a node may take to end in order, in seconds.
STOP_SECONDS = 60


class Machines:
    """One machine for each member of a consortium.

    Args:
        directory: for the homes of the nodes.
        random: the randomness for a purpose.
        complain: told in a sentence of what must not happen.
    """

    def __init__(
        self,
        consortium: Consortium,
        directory: Path,
        loop: SimLoop,
        network: SimNetwork,
        checker: Checker,
        trace: Trace,
        random: Callable[[str], Random],
        complain: Callable[[str], None],
    ) -> None:
        self._consortium = consortium
        self._directory = directory
        self._loop = loop
        self._network = network
        self._checker = checker
        self._trace = trace
        self._random = random
        self._complain = complain
        #: How often a node ended without warning, and how often one started.
        self.crashes = self.starts = 0
        loop.on_power_loss = self._power_lost
        self.members: dict[str, Member] = {
            name: self._member(name) for name in (*consortium.validators, *consortium.followers)
        }

    def _member(self, name: str) -> Member:
        seat = self._consortium.seats[name]
        path = self._directory / name
        (path / "data").mkdir(parents=True)
        for file in ("genesis.json", "data/ledger.db"):
            shutil.copyfile(seat.home.path / file, path / file)
        home = NodeHome(path, seat.home.settings)
        self._network.register(name, f"{home.settings.peer.host}:{home.settings.peer.port}")
        return Member(
            home,
            seat,
            SimClock(self._loop.time, EPOCH),
            SimDisk(
                path / "data" / "ledger.db",
                home.signer / "watermark",
                self._loop.time,
                self._random(f"disk {name}"),
            ),
            self._random(f"node {name}"),
        )

    def node(self, name: str) -> Node:
        """The running node; raises `LookupError`."""
        node = self.members[name].node
        if node is None:
            raise LookupError(f"{name} does not run")
        return node

    def halt(self) -> None:
        """End everything at once."""
        for member in self.members.values():
            member.halt(self._loop)

    # --- starting and stopping -----------------------------------------------------------------

    def start(self, name: str) -> bool:
        """Start a node with what is on its disk; False when it refused, see `Member.ended`."""
        member = self.members[name]
        if member.running:
            raise ValueError(f"{name} runs already")
        process = Process(name)

        def boot() -> None:
            node = member.boot(process, self._network, self._checker)
            assert member.store is not None
            self._checker.started(name, member.store, damaged=member.disk.damaged)
            self._loop.create_task(self._live(member, node), name=name)

        try:
            self._loop.inside(boot, process)
        except PowerLossInTransaction as loss:
            self._crashed(member, loss.image, told=False)
            return False
        except Exception as error:  # noqa: BLE001
            member.ended = f"{type(error).__name__}: {error}"
            member.halt(self._loop)
            self._trace.note(name, f"does not start: {member.ended}")
            if not member.disk.damaged:
                self._complain(f"{name} does not start: {member.ended}")
            return False
        self.starts += 1
        self._trace.note(name, f"starts at block {member.height}")
        return True

    def stop(self, name: str) -> None:
        """End a node in order, as SIGTERM does; raises `LookupError` where none runs."""
        member = self.members[name]
        node, process = self.node(name), member.process
        if process is not None and process.paused is not None:
            self._loop.resume(process)
        closing = self._loop.inside(lambda: self._loop.create_task(node.close()), process)
        if not self._loop.advance(self._loop.time() + STOP_SECONDS, closing.done):
            self._complain(f"{name} does not end")
        if process is not None:
            self._network.vanish(process, told=True)
        member.halt(self._loop)
        self._trace.note(name, "stops")

    def pause(self, name: str) -> None:
        """Let a process stand still, as SIGSTOP does; its connections stay."""
        process = self.members[name].process
        if process is not None and process.paused is None:
            process.paused = []
            self._trace.note(name, "is paused")

    def resume(self, name: str) -> None:
        """Let a paused process go on."""
        process = self.members[name].process
        if process is not None and process.paused is not None:
            self._loop.resume(process)
            self._trace.note(name, "goes on")

    def renew(self, name: str) -> None:
        """Give a node a new TLS certificate of its institution; see `World.renew`."""
        member = self.members[name]
        institution = member.home.institution
        now_ms = self._loop.time() * 1000
        member.tls = self._consortium.authorities[institution].issue(
            PeerIdentity(institution, name),
            ["127.0.0.1"],
            now=datetime.fromtimestamp(member.clock() / 1000, UTC),
            entropy=self._random(f"certificate of {name} at {now_ms}").randbytes,
        )
        self._trace.note(name, "has a new certificate")

    def configure(self, name: str, changes: Mapping[str, int]) -> None:
        """Change the settings of a node; see `World.configure`."""
        member = self.members[name]
        known = {"keep_blocks", "archive_blocks"}
        if unknown := set(changes) - known - {"snapshot_after"}:
            raise ValueError(f"no setting is called {min(unknown)!r}")
        settings = member.home.settings
        store = {key: value for key, value in changes.items() if key in known}
        sync = {key: value for key, value in changes.items() if key not in known}
        settings = settings.model_copy(
            update={
                "store": settings.store.model_copy(update=store),
                "sync": settings.sync.model_copy(update=sync),
            }
        )
        member.home = NodeHome(member.home.path, settings)

    async def _live(self, member: Member, node: Node) -> None:
        """What a node process does: it ends with the first part that fails."""
        try:
            await node.start()
            await node.run()
        except Exception as error:  # noqa: BLE001
            member.ended = f"{type(error).__name__}: {error}"
            self._later(self._failed, member)

    # --- crashing ------------------------------------------------------------------------------

    def crash(self, name: str, mid_commit: Remains | None, after: int, *, told: bool) -> None:
        """End a node without warning, now or in the middle of a transaction; see `World.crash`."""
        member = self.members[name]
        if mid_commit is not None:
            member.disk.crash_in_transaction(mid_commit, after)
        elif member.running:
            self._crashed(member, member.disk.image(), told=told)

    def _failed(self, member: Member) -> None:
        if member.running:
            self._trace.note(member.name, f"ends: {member.ended}")
            if not member.disk.damaged and member.name not in self._checker.liars:
                self._complain(f"{member.name} ended: {member.ended}")
            self._crashed(member, member.disk.image(), told=True)

    def _power_lost(self, process: Process | None, loss: PowerLoss) -> None:
        assert isinstance(loss, PowerLossInTransaction)
        member = None if process is None else self.members[process.name]
        if member is not None and member.process is process and process is not None:
            process.paused = []  # not another step
            self._later(self._crashed, member, loss.image, False)

    def _crashed(self, member: Member, image: Image, told: bool) -> None:
        process = member.process
        self.crashes += 1
        self._trace.note(member.name, f"crashes at block {member.height}")
        if process is not None:
            self._network.vanish(process, told=told)
        mark = member.disk.mark()  # before the last words of the process, which nobody wrote
        member.halt(self._loop)
        member.disk.recover(image, mark)

    def _later(self, call: Callable[..., object], *args: object) -> None:
        self._loop.call_soon(call, *args, context=self._loop.context(None))
