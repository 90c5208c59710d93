"""The replica on a thread of its own, so that executing a block never holds up the event loop.

One thread means one writer: the replica needs no lock, and jobs are carried out in the order in
which they were asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from ledger.chain.block import Block, Certificate
from ledger.chain.snapshot import Anchor
from ledger.chain.transaction import Transaction
from ledger.contracts import blocks
from ledger.contracts.blocks import BlockFault, Executed
from ledger.contracts.difference import Difference, Outcome, first_difference
from ledger.contracts.replica import Replica

P = ParamSpec("P")
T = TypeVar("T")


class Executor:
    """Builds, checks and stores blocks on the tip of one replica."""

    def __init__(self, replica: Replica, verified: Callable[[bytes], Transaction | None]) -> None:
        self._replica = replica
        self._verified = verified
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="execution")
        # Blocks executed on the present tip, by header hash: a proposal is executed once, before
        # the vote, and what came out is stored when it becomes final.
        self._executed: dict[bytes, Executed] = {}
        self._newest: Executed | None = None

    async def _run(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: job(*args, **kwargs))

    async def build(
        self, height: int, view: int, proposer: str, time: int, transactions: Sequence[Transaction]
    ) -> Block | None:
        """A candidate for ``height``, or None when the chain has moved on meanwhile."""

        def job() -> Block | None:
            tip = self._replica.tip()
            if tip.header.height + 1 != height:
                return None
            executed = blocks.candidate(
                tip,
                self._replica.machine,
                proposer=proposer,
                view=view,
                time=time,
                transactions=transactions,
            )
            self._executed[executed.block.header.hash()] = executed
            return executed.block

        return await self._run(job)

    async def check(self, block: Block) -> BlockFault | None:
        """Execute a proposal; the fault that keeps this node from voting for it, or None."""

        def job() -> BlockFault | None:
            key = block.header.hash()
            if key in self._executed:
                return None
            try:
                self._executed[key] = blocks.check(
                    self._replica.tip(),
                    self._replica.machine,
                    block,
                    verified=self._verified,
                )
            except BlockFault as fault:
                return fault
            return None

        return await self._run(job)

    def outcome(self, digest: bytes) -> Executed | None:
        """What came of a block on the present tip, or of the newest one; None for any other."""
        newest = self._newest
        if newest is not None and newest.block.header.hash() == digest:
            return newest
        return self._executed.get(digest)

    async def difference(self, block: Block, theirs: Outcome) -> Difference | None:
        """Where executing a block on the present tip begins to differ from what another computed;
        None where it does not, or the chain has moved on.

        Raises:
            Unproven, Malformed: the other's outcome is not that of the block.
        """

        def job() -> Difference | None:
            tip = self._replica.tip()
            if tip.header.height + 1 != block.header.height:
                return None
            return first_difference(tip, self._replica.machine, block, theirs)

        return await self._run(job)

    async def commit(self, block: Block, certificate: Certificate) -> Executed | None:
        """Store a block that the consensus decided; None when the replica already holds it."""

        def job() -> Executed | None:
            if block.header.height <= self._replica.head.height:
                return None
            executed = self._executed.get(block.header.hash())
            if executed is None:
                executed = blocks.check(
                    self._replica.tip(), self._replica.machine, block, verified=self._verified
                )
            self._replica.commit(executed, certificate)
            self._newest = executed
            self._executed.clear()
            return executed

        return await self._run(job)

    async def extend(self, block: Block, certificate: Certificate) -> Executed | None:
        """Verify, execute and store a certified block from a peer; None when already held.

        Raises:
            InvalidCertificate, BlockFault: the peer, or a quorum, is at fault.
        """

        def job() -> Executed | None:
            if block.header.height <= self._replica.head.height:
                return None
            executed = self._replica.extend(block, certificate)
            self._newest = executed
            self._executed.clear()
            return executed

        return await self._run(job)

    async def begin_at(self, anchor: Anchor) -> bool:
        """Go on from a snapshot whose pieces are staged; False when the chain here is as long.

        Raises:
            Incomplete: pieces are missing.
            StoreFull, StoreUnusable: nothing was stored.
        """

        def job() -> bool:
            if anchor.header.height <= self._replica.head.height:
                return False
            self._replica.begin_at(anchor)
            self._executed.clear()
            return True

        return await self._run(job)

    def close(self) -> None:
        """Wait for the job under way and let the thread go."""
        self._thread.shutdown(wait=True, cancel_futures=True)
