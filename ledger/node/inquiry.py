"""Finds out where this node and another differ about a block that both executed.

The other node is asked for what it computed. Its answer is checked against the roots of the header,
so a wrong answer is noticed; then the block is executed once more here, looking on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Final

import structlog

from ledger.chain.block import Block
from ledger.chain.codec import Malformed
from ledger.contracts.blocks import Executed
from ledger.contracts.difference import Difference, Outcome, Unproven
from ledger.node.answers import Divergence
from ledger.node.driver import Diverged
from ledger.node.executor import Executor
from ledger.node.net import frames

_log = structlog.get_logger(__name__)

#: How long a peer may take to answer, in seconds.
ANSWER_SECONDS: Final = 10.0
#: Larger outcomes than this are not sent, in bytes of values.
ROOM: Final = 16 * 1024 * 1024


def answer(executed: Executed | None, request: frames.GetOutcome) -> frames.Outcome:
    """What this node computed for a block; empty where it does not know, or it would not fit."""
    nothing = frames.Outcome(request.block, (), ())
    if executed is None:
        return nothing
    size = sum(map(len, executed.encoded_results))
    size += sum(len(key) + len(value or b"") for key, value in executed.writes.items())
    if size > ROOM:
        return nothing
    return frames.Outcome(
        request.block, executed.encoded_results, tuple(sorted(executed.writes.items()))
    )


class Inquiry:
    """Asks one peer after the other about one block at a time.

    Args:
        send: puts a frame on the way to a peer; False when it is not connected.
    """

    def __init__(self, executor: Executor, send: Callable[[str, frames.Frame], bool]) -> None:
        self._executor = executor
        self._send = send
        self._waiting: tuple[str, bytes, asyncio.Future[frames.Outcome]] | None = None

    async def about(self, block: Block, peers: Sequence[str]) -> tuple[str, Difference] | None:
        """The first difference to one of the peers, and to whom; None if no answer tells it."""
        if self._waiting is not None:
            return None
        for peer in peers:
            told = await self._answer_of(peer, block.header.hash())
            if told is None:
                continue
            try:
                theirs = Outcome(told.results, dict(told.writes))
                found = await self._executor.difference(block, theirs)
            except (Unproven, Malformed) as fault:
                _log.warning("outcome_unproven", peer=peer, reason=str(fault))
                continue
            if found is not None:
                _log.error("difference_found", peer=peer, difference=str(found))
                return peer, found
        return None

    async def _answer_of(self, peer: str, digest: bytes) -> frames.Outcome | None:
        future: asyncio.Future[frames.Outcome] = asyncio.get_running_loop().create_future()
        self._waiting = peer, digest, future
        try:
            if not self._send(peer, frames.GetOutcome(digest)):
                return None
            return await asyncio.wait_for(future, ANSWER_SECONDS)
        except TimeoutError:
            return None
        finally:
            self._waiting = None

    def asked(self, peer: str, request: frames.GetOutcome) -> None:
        """A peer wants to know what this node computed."""
        self._send(peer, answer(self._executor.outcome(request.block), request))

    def arrived(self, peer: str, outcome: frames.Outcome) -> None:
        """An answer came in; one that was not asked for is dropped."""
        if self._waiting is None:
            return
        asked, digest, future = self._waiting
        if (asked, digest) == (peer, outcome.block) and not future.done():
            future.set_result(outcome)


class Dispute:
    """What this node knows about a block on whose execution it disagrees with others.

    Args:
        spawn: runs a job as a part of the node.
    """

    def __init__(
        self, inquiry: Inquiry, spawn: Callable[[Coroutine[None, None, None]], None]
    ) -> None:
        self._inquiry = inquiry
        self._spawn = spawn
        #: Why this node has stopped for good, in a sentence; empty while it has not.
        self.halted = ""
        #: The newest difference that was found.
        self.difference: Divergence | None = None

    def refused(self, block: Block) -> None:
        """This node refuses a proposal because of its execution: ask its proposer."""
        self._spawn(self._look(block, (block.header.proposer,)))

    async def lost(self, diverged: Diverged) -> None:
        """A quorum decided otherwise: this node stands still and asks those who did."""
        self.halted = f"{diverged}."
        signers = [signature.node for signature in diverged.certificate.signatures]
        await self._look(diverged.block, signers)
        if self.difference is not None:
            self.halted = f"{diverged}; {self.difference.sentence}."

    async def _look(self, block: Block, peers: Sequence[str]) -> None:
        found = await self._inquiry.about(block, peers)
        if found is None:
            return
        peer, one = found
        self.difference = Divergence(
            height=block.header.height,
            peer=peer,
            transaction=one.identity,
            call=one.call,
            place=one.place,
            what=one.what,
            ours=one.ours,
            theirs=one.theirs,
            sentence=f"compared with {peer}: {one}",
        )
