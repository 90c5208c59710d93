"""A node's seat among the validators: it votes while it has one, and once it may."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence

from ledger.consensus import inputs
from ledger.consensus.messages import decode_message
from ledger.consensus.status import Status
from ledger.contracts.replica import Replica
from ledger.node.censorship import Watch
from ledger.node.driver import Driver
from ledger.node.inbox import in_frames
from ledger.node.mempool import Mempool
from ledger.node.net.frames import Consensus, GetHeard
from ledger.node.net.links import Links
from ledger.node.signing.joining import Joining


class Seat:
    """Runs the consensus for a node whenever the chain gives it a vote.

    Args:
        make: a driver for this node.
        joining: says when this node may vote.
        spawn: runs a job as a part of the node, which ends with it.
    """

    def __init__(
        self,
        node: str,
        replica: Replica,
        mempool: Mempool,
        links: Links,
        joining: Joining,
        make: Callable[[], Driver],
        spawn: Callable[[Coroutine[None, None, None]], None],
    ) -> None:
        self._node = node
        self._replica = replica
        self._mempool = mempool
        self._links = links
        self._joining = joining
        self._make = make
        self._spawn = spawn
        self._driver: Driver | None = None
        self._watch = Watch()

    @property
    def taken(self) -> bool:
        """Whether this node votes on the next block."""
        return self._replica.validators.find(self._node) is not None

    @property
    def others(self) -> list[str]:
        """The other validators, in proposer order."""
        members = self._replica.validators.members
        return [member.node for member in members if member.node != self._node]

    @property
    def waiting(self) -> int:
        """How many inputs the consensus has yet to take."""
        return 0 if self._driver is None else self._driver.waiting

    def status(self) -> Status | None:
        """Where the consensus stands; None without a seat or before the first height began."""
        return self._driver.snapshot() if self._driver is not None and self.taken else None

    @property
    def withheld(self) -> str:
        """Why this node does not use its vote, in a sentence; empty if it does, or has none."""
        keyless = "" if self._driver is None else self._driver.keyless
        return (keyless or self._joining.reason) if self.taken else ""

    @property
    def ready(self) -> bool:
        """Whether this node uses its vote, or would from the first height at which it had one."""
        return not self.withheld if self.taken else self._joining.vouched

    def start(self) -> None:
        """Vote as soon as that cannot contradict an earlier vote."""
        if self.taken:
            self._take()

    def _take(self) -> None:
        self._driver = self._make()
        self._spawn(self._vote(self._driver))

    async def _vote(self, driver: Driver) -> None:
        await self._joining.admitted()
        self._spawn(self._joining.watch())
        self._spawn(self._keep_reminding())
        await driver.run()

    def advance(self) -> None:
        """A block is final: vote on the next height if this node is a validator there."""
        if not self.taken:
            if not self._joining.vouched:
                self._spawn(self._joining.follows())
            return
        if self._driver is None:
            self._take()
            return
        self._driver.begin(neglected=self._neglected())

    def passed_over(self, included: Sequence[bytes]) -> None:
        """A block with these transactions is final, which the mempool does not know yet."""
        here = [identity for identity in included if identity in self._mempool]
        line = (transaction.id for transaction in self._mempool)
        self._watch.block(here, line, asyncio.get_running_loop().time())

    def _neglected(self) -> bool:
        self._watch.gone(self._mempool.__contains__)
        timeout = self._replica.parameters.view_timeout / 1000
        return self._watch.complains(timeout, asyncio.get_running_loop().time())

    async def _keep_reminding(self) -> None:
        while True:
            await asyncio.sleep(self._replica.parameters.view_timeout / 2000)
            self.remind()

    def remind(self) -> None:
        """Forward to the proposer what it does not seem to have; twice in a view timeout."""
        status = self.status()
        if status is None or status.proposer == self._node:
            return
        line = (transaction.id for transaction in self._mempool)
        due = [self._mempool.get(one) for one in self._watch.reminders(line, status.proposer)]
        for frame in in_frames(each.raw for each in due if each is not None):
            self._links.send(status.proposer, frame)

    def rearmed(self) -> None:
        """The node holds another key than before."""
        if self._driver is not None:
            self._driver.begin()

    def work(self) -> None:
        """There is something to put into a block."""
        if self._driver is not None:
            self._driver.feed(inputs.WorkPending())

    def asked(self, peer: str, _frame: GetHeard) -> None:
        """A validator wants to know what this node has heard from it."""
        held = () if self._driver is None else self._driver.heard(peer)
        self._links.send(peer, self._joining.answer(held))

    def received(self, peer: str, frame: Consensus) -> None:
        """A message of the consensus came in; raises `Malformed`."""
        if self._driver is not None:
            self._driver.feed(inputs.Received(peer, decode_message(frame.message)))
