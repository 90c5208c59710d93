"""Fetching a record of any size from its holder, and going on where it broke off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing, closing
from typing import Any, BinaryIO, Final, NamedTuple

from ledger.chain.codec import encode
from ledger.chain.exchange import ask_release
from ledger.chain.pointer import Pointer
from ledger.chain.receipt import Receipt
from ledger.chain.streaming import RecordOpener
from ledger.client.builder import Account
from ledger.client.http import AsyncClient, Client, NodeRefused, NodeUnreachable
from ledger.client.requests import Request, sealed
from ledger.crypto.sealing import SealingKey

#: How often in a row it may break off without a new chunk.
ATTEMPTS: Final = 5
FIRST_PAUSE_S: Final = 0.5


class Permitted(NamedTuple):
    """A record that may be fetched.

    ``requester``: the first signer of the permitted request. ``decision``: its id, with ``receipt``
    of the transaction in which it was made. ``reply``: the private half of its reply key.
    ``pointer``: of the record. ``officer``: says whether a wire public key is that of a records
    officer of the holder; without it only the end tells whose record it was.
    """

    requester: Account
    chain: bytes
    decision: str
    receipt: Receipt
    reply: SealingKey
    pointer: Pointer
    officer: Callable[[bytes], bool] | None = None


def download(client: Client, record: Permitted, out: BinaryIO) -> None:
    """Write a record to a file as it comes; it is the one asked for once this returns.

    Where this raises, what has been written is authentic and not whole: throw it away.

    Raises:
        NodeUnreachable: it broke off too often.
        NodeRefused: the holder does not hand it out.
        Malformed, SealError: not what a holder answers.
        Mismatch: not the bytes to which the pointer commits; it carries their digest.
    """
    transfer = _Transfer(record)
    while not transfer.opener.complete:
        try:
            with closing(client.stream(transfer.request())) as pieces:
                for piece in pieces:
                    for plain in transfer.opener.feed(piece):
                        out.write(plain)
            pause = transfer.pause(None)
        except (NodeUnreachable, NodeRefused) as error:
            pause = transfer.pause(error)
        time.sleep(pause)
    transfer.opener.finish()


async def download_async(client: AsyncClient, record: Permitted, out: BinaryIO) -> None:
    """The same with an asynchronous client; writing to ``out`` is not awaited."""
    transfer = _Transfer(record)
    while not transfer.opener.complete:
        try:
            async with aclosing(client.stream(transfer.request())) as pieces:
                async for piece in pieces:
                    for plain in transfer.opener.feed(piece):
                        out.write(plain)
            pause = transfer.pause(None)
        except (NodeUnreachable, NodeRefused) as error:
            pause = transfer.pause(error)
        await asyncio.sleep(pause)
    transfer.opener.finish()


class _Transfer:
    """Where one download stands."""

    def __init__(self, record: Permitted) -> None:
        self._body = encode(
            ask_release(
                record.requester.key, record.chain, record.pointer.holder, record.decision,
                encode(record.receipt),
            )
        )  # fmt: skip
        self.opener = RecordOpener(
            record.reply, record.chain, record.decision, record.pointer, record.officer
        )
        self._failures = 0
        self._reached = 0

    def request(self) -> Request[Any]:
        """The request for what is missing."""
        self._reached = self.opener.next
        made = sealed("/v1/records/release", self._body, bytes)
        return made._replace(params={"first": str(self._reached)} if self._reached else {})

    def pause(self, error: NodeUnreachable | NodeRefused | None) -> float:
        """Seconds to wait before going on; raises the error, or `NodeUnreachable` for an answer
        that was cut short, where that does not help any more."""
        if self.opener.complete:
            return 0.0
        self._failures = self._failures + 1 if self.opener.next == self._reached else 1
        busy = not isinstance(error, NodeRefused) or error.status in (429, 503)
        if not busy or self._failures >= ATTEMPTS:
            raise error or NodeUnreachable("the holder's answers are cut short")
        self.opener.resume()
        return FIRST_PAUSE_S * float(2**self._failures)
