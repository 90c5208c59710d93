"""One member of the simulated consortium: its machine, and the node that runs on it or does not."""

from __future__ import annotations

from random import Random

from ledger.node.node import Node
from ledger.node.setup.home import NodeHome
from ledger.node.surroundings import Surroundings
from ledger.sim.clock import SimClock
from ledger.sim.disk import SimDisk
from ledger.sim.founding import Seat
from ledger.sim.loop import Process, SimLoop
from ledger.sim.network import SimNetwork
from ledger.sim.watchedstore import WatchedStore, Witness


class Member:
    """A machine with a clock, a disk and, from a start to its end, a running node.

    Args:
        home: the node's, in a directory of this run.
        seat: its keys.
        random: what its node draws from.
    """

    def __init__(
        self, home: NodeHome, seat: Seat, clock: SimClock, disk: SimDisk, random: Random
    ) -> None:
        self.name = home.node
        self.home = home
        self.key = seat.key
        self.tls = seat.tls
        self.clock = clock
        self.disk = disk
        self._random = random
        self.node: Node | None = None
        self.store: WatchedStore | None = None
        self.process: Process | None = None
        #: Why the node ended by itself, or did not start; empty while all is well.
        self.ended = ""

    @property
    def running(self) -> bool:
        """Whether there is a process, be it paused."""
        return self.node is not None

    @property
    def paused(self) -> bool:
        return self.process is not None and self.process.paused is not None

    @property
    def height(self) -> int:
        """Of the newest block; -1 while the node does not run."""
        return -1 if self.node is None else self.node.replica.head.height

    def boot(self, process: Process, network: SimNetwork, witness: Witness) -> Node:
        """Open the store and make the node; raises what a node process would end with."""
        self.ended = ""
        store = WatchedStore.over(self.disk.open())
        try:
            store.watch(self.name, witness)
            node = Node(
                self.home,
                store,
                self.key,
                self.tls,
                Surroundings(
                    clock=self.clock,
                    entropy=self._random.randbytes,
                    links=network.links,
                    keeps_records=False,
                    breath=lambda: lambda: None,
                    file_times=self.disk.times,
                ),
            )
        except BaseException:
            store.close()
            raise
        self.node, self.store, self.process = node, store, process
        return node

    def halt(self, loop: SimLoop) -> None:
        """Nothing of the node runs any more; its files are closed."""
        if self.process is not None:
            loop.kill(self.process)
        if self.store is not None:
            self.store.close()
        self.node = self.store = self.process = None
