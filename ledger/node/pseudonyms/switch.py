"""How questions find the holders of shares, and answers find back.

Validators are connected to each other, followers only to some nodes above them. So a node that a
question is not for passes it on, to the holder or upwards, and remembers whom it had it from. It
cannot read it, change it unnoticed, or use it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.chain.codec import encode
from ledger.chain.evaluation import NONCE_SIZE, Reply
from ledger.node.net import frames
from ledger.node.net.frames import MAX_HOPS, Evaluate, Evaluated

#: Questions on their way, of one peer and of all.
MAX_OF_PEER: Final = 64
MAX_PENDING: Final = 4_096
#: A question whose answer has not come by then is forgotten, in seconds.
PATIENCE_SECONDS: Final = 30.0

_Ticket = tuple[str, bytes]


@dataclass(slots=True)
class _Pending:
    """``origin``: the peer who waits, None for this node. ``via``: whom it was sent to."""

    origin: str | None
    via: str
    until: float
    answer: asyncio.Future[bytes] | None = None


class Switch:
    """Passes questions and answers on, and answers those that are for this node.

    Args:
        node: this node's id.
        send: queues a frame for a peer; False when it is not connected or its queue is full.
        connected: whether a peer is connected.
        upwards: the nodes above this one, first choice first.
        answer: what this node replies to a question; it may take a while, and runs on a thread.
        spawn: runs a job beside everything else.
        entropy: random bytes.
    """

    def __init__(
        self,
        node: str,
        send: Callable[[str, frames.Frame], bool],
        connected: Callable[[str], bool],
        upwards: Callable[[], Sequence[str]],
        answer: Callable[[bytes], Reply | None],
        spawn: Callable[[Coroutine[None, None, None]], None],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._node = node
        self._send = send
        self._connected = connected
        self._upwards = upwards
        self._answer = answer
        self._spawn = spawn
        self._entropy = entropy
        self._pending: dict[_Ticket, _Pending] = {}
        self._of_peer: Counter[str] = Counter()
        self._one = asyncio.Semaphore(1)

    # --- Frames --------------------------------------------------------------------------------

    def asked(self, peer: str, frame: Evaluate) -> None:
        """A question came from a peer."""
        self._forget_old()
        if self._of_peer[peer] >= MAX_OF_PEER:
            return
        if frame.holder == self._node:
            self._of_peer[peer] += 1
            self._spawn(self._serve(peer, frame))
            return
        ticket = (frame.holder, frame.ticket)
        if ticket in self._pending or len(self._pending) >= MAX_PENDING:
            return
        via = self._way(frame.holder, frame.hops, without=peer)
        if via is None:
            return
        onwards = Evaluate(frame.holder, frame.ticket, max(0, frame.hops - 1), frame.question)
        if self._send(via, onwards):
            self._of_peer[peer] += 1
            self._pending[ticket] = _Pending(peer, via, self._now() + PATIENCE_SECONDS)

    def arrived(self, peer: str, frame: Evaluated) -> None:
        """An answer came; from anybody but the node that the question went to it is passed over."""
        ticket = (frame.holder, frame.ticket)
        pending = self._pending.get(ticket)
        if pending is None or pending.via != peer:
            return
        if pending.origin is not None:
            self._send(pending.origin, frame)
        elif pending.answer is not None and not pending.answer.done():
            pending.answer.set_result(frame.reply)
        self._forget(ticket)

    def lost(self, peer: str) -> None:
        """A peer is gone, and so are the answers that it should have brought or got."""
        for ticket, pending in list(self._pending.items()):
            if peer in (pending.origin, pending.via):
                self._forget(ticket)

    async def _serve(self, peer: str, frame: Evaluate) -> None:
        try:
            reply = await self._evaluated(frame.question)
            if reply is not None:
                self._send(peer, Evaluated(frame.holder, frame.ticket, encode(reply)))
        finally:
            self._less(peer)

    async def _evaluated(self, question: bytes) -> Reply | None:
        # One at a time: it is work for a processor, and votes come first.
        async with self._one:
            return await asyncio.to_thread(self._answer, question)

    # --- Asking --------------------------------------------------------------------------------

    async def ask(self, holder: str, question: bytes, seconds: float) -> bytes | None:
        """The encoded reply of a holder; None where it cannot be reached or does not answer."""
        if holder == self._node:
            reply = await self._evaluated(question)
            return None if reply is None else encode(reply)
        self._forget_old()
        via = self._way(holder, MAX_HOPS)
        if via is None or len(self._pending) >= MAX_PENDING:
            return None
        frame = Evaluate(holder, self._entropy(NONCE_SIZE), MAX_HOPS - 1, question)
        ticket = (holder, frame.ticket)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._pending[ticket] = _Pending(None, via, self._now() + seconds, answer)
        try:
            if not self._send(via, frame):
                return None
            async with asyncio.timeout(seconds):
                return await answer
        except (TimeoutError, asyncio.CancelledError):
            if not answer.done() and not answer.cancelled():
                answer.cancel()
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            return None
        finally:
            self._forget(ticket)

    def _way(self, holder: str, hops: int, without: str = "") -> str | None:
        if self._connected(holder) and holder != without:
            return holder
        if hops <= 0:
            return None
        above = (node for node in self._upwards() if node != without and self._connected(node))
        return next(above, None)

    # --- What is on its way --------------------------------------------------------------------

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _forget_old(self) -> None:
        now = self._now()
        for ticket in [one for one, pending in self._pending.items() if pending.until < now]:
            self._forget(ticket)

    def _forget(self, ticket: _Ticket) -> None:
        pending = self._pending.pop(ticket, None)
        if pending is None:
            return
        if pending.origin is not None:
            self._less(pending.origin)
        elif pending.answer is not None and not pending.answer.done():
            pending.answer.cancel()

    def _less(self, peer: str) -> None:
        self._of_peer[peer] -= 1
        if self._of_peer[peer] <= 0:
            del self._of_peer[peer]
