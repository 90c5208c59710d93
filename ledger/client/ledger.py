"""A client that believes nothing but what is proven: the one to begin with.

`Ledger` and `AsyncLedger` ask a node and check every answer against the genesis, offline. What a
node can only say and not prove is under `unverified`, so that code shows which of the two it uses.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from typing import Any, Final, Self, TypeVar

import httpx

from ledger.chain.block import Header
from ledger.chain.ceremonies import Epoch
from ledger.chain.disclosures import Entry
from ledger.chain.genesis import Genesis
from ledger.chain.handover import Trust
from ledger.chain.receipt import Verified
from ledger.chain.statement import Proven
from ledger.chain.transaction import Call
from ledger.client import lists
from ledger.client.blocks import ProvenBlock
from ledger.client.builder import Account
from ledger.client.following import EventLines, ProvenEvent, Told, stream_params
from ledger.client.http import (
    AsyncClient,
    Client,
    NodeRefused,
    NodeUnreachable,
    Token,
    refused_submissions,
)
from ledger.client.patients import Act, Prepared
from ledger.client.proven import WINDOW, NotAccepted, Procedure, Prover
from ledger.client.requests import Request
from ledger.client.verify import trust_in

__all__ = ["AsyncLedger", "Ledger", "NodeRefused", "NodeUnreachable", "NotAccepted"]

T = TypeVar("T")

EVENTS: Final = "/v1/events"
FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 30.0
#: How long a submission waits by default for its block, in seconds.
WAIT_S: Final = 30.0


def _trust(trust: Trust | Genesis) -> Trust:
    return trust_in(trust) if isinstance(trust, Genesis) else trust


def _pause(failures: int) -> float:
    return float(min(FIRST_PAUSE_S * 2 ** min(failures, 10), LONGEST_PAUSE_S))


class Ledger:
    """A node's interface, verified, synchronously. Use as a context manager.

    Beside what each method says, all raise `NodeUnreachable`, `NodeRefused`, and `Malformed` for an
    answer that is not what it should be.

    Args:
        url: base URL of the node.
        trust: your copy of the genesis, or a trust file of it.
        token: bearer token, or what gives the one of now.
        transport: another httpx transport, for tests.
    """

    def __init__(
        self,
        url: str,
        trust: Trust | Genesis,
        *,
        token: Token | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        #: The interface as it is: answers are the node's word.
        self.unverified = Client(url, token=token, transport=transport)
        self._prover = Prover(_trust(trust))

    @property
    def newest(self) -> Header | None:
        """The newest block that an answer has proven: how fresh what you know is."""
        return self._prover.newest

    def _run(self, procedure: Procedure[T]) -> T:
        try:
            request = next(procedure)
            while True:
                request = procedure.send(self._ask(request))
        except StopIteration as stop:
            result: T = stop.value
            return result

    def _ask(self, request: Request[Any]) -> Any:
        try:
            return self.unverified.send(request)
        except NodeRefused as error:
            return refused_submissions(request, error)

    def receipt(self, tx_id: bytes, wait: float = 0) -> Verified:
        """A final transaction and what came out of it; raises `InvalidReceipt`."""
        return self._run(self._prover.receipt(tx_id, wait))

    def submit(self, *raws: bytes, wait: float = WAIT_S) -> list[Verified]:
        """Submit envelopes; what is proven to have come out of each. Raises `NotAccepted`."""
        return self._run(self._prover.submit(raws, wait))

    def perform(
        self,
        account: Account,
        *calls: Call,
        cosigners: Sequence[Account] = (),
        atomic: bool = False,
        wait: float = WAIT_S,
        window: int = WINDOW,
    ) -> Verified:
        """Sign calls, submit them, and what is proven to have come out. Raises `NotAccepted`."""
        signers = (account, *cosigners)
        return self._run(
            self._prover.perform(calls, signers, atomic=atomic, wait=wait, window=window)
        )

    def state(
        self, contract: str, key: str, height: int | None = None, *, at_least: int = 0
    ) -> Proven:
        """A state entry or its absence, proven; raises `InvalidProof`. ``at_least``: a height below
        which the answer would be too old."""
        return self._run(self._prover.state(contract, key, height, at_least))

    def header(self, height: int | None = None) -> Header:
        """The header of a final block, the newest by default; raises `InvalidProof`."""
        return self._run(self._prover.header(height))

    def headers(self, first: int = 1, page: int = 100) -> Iterator[Header]:
        """All headers from a height on, up to the newest; raises `InvalidProof`."""
        while found := self._run(self._prover.headers(first, page)):
            yield from found
            first = found[-1].height + 1

    def block(self, height: int | None = None) -> ProvenBlock:
        """A whole final block, the newest by default: its transactions without their signatures,
        and what came out of each; raises `InvalidProof`."""
        return self._run(self._prover.block(height))

    def prepare(self, key: bytes, act: Act, subject: str) -> Prepared:
        """Have the node prepare what a patient wants (`ledger.client.patients`) for her to sign.

        Args:
            key: the wire public key that will sign, one of those of who is signed in.
            subject: for whom: her pseudonym, or of one for whom she speaks.

        Raises:
            NotAsked: the node prepared something else; do not sign it.
        """
        return self._run(self._prover.prepare(key, act, subject))

    def declare(self, account: Account, act: Act, subject: str, wait: float = WAIT_S) -> Verified:
        """Have it prepared, sign and submit it, and what is proven to have come out. Raises
        `NotAsked`, `NotAccepted`."""
        return self._run(self._prover.declare(account, act, subject, wait))

    def pseudonym_key(self, domain: str, *, at_least: int = 0) -> Epoch | None:
        """How the key of a domain of pseudonyms is held now, proven, for
        `ledger.client.pseudonyms.Deriver`; None where there is none. Raises `InvalidProof`."""
        return self._run(self._prover.pseudonym_key(domain, at_least))

    def disclosures(self, subject: str, *, at_least: int = 0) -> list[Entry]:
        """Who asked for a patient's records: her whole log, oldest first, proven to be whole up to
        `newest`; raises `InvalidProof`."""
        return self._run(self._prover.disclosures(subject, at_least))

    def events(
        self, after: str | None = None, filters: Mapping[str, Sequence[str]] | None = None
    ) -> Iterator[ProvenEvent]:
        """Events behind a cursor, without end, each proven, over broken connections.

        Args:
            after: a cursor; ``0.0.0`` for all from the beginning, None for only new ones.
            filters: of ``contract``, ``name``, ``subject``, ``institution``, ``holder``.

        Raises:
            InvalidProof, InvalidReceipt: an event is not proven; ask another node.
        """
        lines = EventLines(after)
        wanted = dict(filters or {})
        failures = 0
        while True:
            try:
                params = stream_params(lines.cursor, wanted)
                with closing(self.unverified.lines(EVENTS, params)) as source:
                    for line in source:
                        told = lines.feed(line)
                        failures = 0
                        if told is not None:
                            yield self._run(self._prover.event(told))
                            lines.cursor = told.cursor
            except NodeUnreachable:
                failures += 1
            lines = EventLines(lines.cursor)
            time.sleep(_pause(failures))

    def listed(self, name: str, page: int = 100, **about: Any) -> Iterator[dict[str, Any]]:
        """All lines of a list, newest first, page by page. **Unverified.** ``name``:
        ``disclosures``, ``emergencies``, ``findings``, ``consents`` or ``cases``."""
        cursor: str | None = None
        while True:
            found = self.unverified.send(lists.listing(name, cursor, page, **about))
            yield from found.lines
            cursor = found.cursor
            if cursor is None:
                return

    def close(self) -> None:
        self.unverified.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class AsyncLedger:
    """A node's interface, verified, asynchronously; otherwise like `Ledger`."""

    def __init__(
        self,
        url: str,
        trust: Trust | Genesis,
        *,
        token: Token | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        #: The interface as it is: answers are the node's word.
        self.unverified = AsyncClient(url, token=token, transport=transport)
        self._prover = Prover(_trust(trust))

    @property
    def newest(self) -> Header | None:
        """The newest block that an answer has proven: how fresh what you know is."""
        return self._prover.newest

    async def _run(self, procedure: Procedure[T]) -> T:
        try:
            request = next(procedure)
            while True:
                request = procedure.send(await self._ask(request))
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def _ask(self, request: Request[Any]) -> Any:
        try:
            return await self.unverified.send(request)
        except NodeRefused as error:
            return refused_submissions(request, error)

    async def receipt(self, tx_id: bytes, wait: float = 0) -> Verified:
        """As `Ledger.receipt`."""
        return await self._run(self._prover.receipt(tx_id, wait))

    async def submit(self, *raws: bytes, wait: float = WAIT_S) -> list[Verified]:
        """As `Ledger.submit`."""
        return await self._run(self._prover.submit(raws, wait))

    async def perform(
        self,
        account: Account,
        *calls: Call,
        cosigners: Sequence[Account] = (),
        atomic: bool = False,
        wait: float = WAIT_S,
        window: int = WINDOW,
    ) -> Verified:
        """As `Ledger.perform`."""
        signers = (account, *cosigners)
        return await self._run(
            self._prover.perform(calls, signers, atomic=atomic, wait=wait, window=window)
        )

    async def state(
        self, contract: str, key: str, height: int | None = None, *, at_least: int = 0
    ) -> Proven:
        """As `Ledger.state`."""
        return await self._run(self._prover.state(contract, key, height, at_least))

    async def header(self, height: int | None = None) -> Header:
        """As `Ledger.header`."""
        return await self._run(self._prover.header(height))

    async def headers(self, first: int = 1, page: int = 100) -> AsyncIterator[Header]:
        """As `Ledger.headers`."""
        while found := await self._run(self._prover.headers(first, page)):
            for header in found:
                yield header
            first = found[-1].height + 1

    async def block(self, height: int | None = None) -> ProvenBlock:
        """As `Ledger.block`."""
        return await self._run(self._prover.block(height))

    async def prepare(self, key: bytes, act: Act, subject: str) -> Prepared:
        """As `Ledger.prepare`."""
        return await self._run(self._prover.prepare(key, act, subject))

    async def declare(
        self, account: Account, act: Act, subject: str, wait: float = WAIT_S
    ) -> Verified:
        """As `Ledger.declare`."""
        return await self._run(self._prover.declare(account, act, subject, wait))

    async def pseudonym_key(self, domain: str, *, at_least: int = 0) -> Epoch | None:
        """As `Ledger.pseudonym_key`."""
        return await self._run(self._prover.pseudonym_key(domain, at_least))

    async def disclosures(self, subject: str, *, at_least: int = 0) -> list[Entry]:
        """As `Ledger.disclosures`."""
        return await self._run(self._prover.disclosures(subject, at_least))

    async def events(
        self, after: str | None = None, filters: Mapping[str, Sequence[str]] | None = None
    ) -> AsyncIterator[ProvenEvent]:
        """As `Ledger.events`."""
        lines = EventLines(after)
        wanted = dict(filters or {})
        failures = 0
        while True:
            try:
                params = stream_params(lines.cursor, wanted)
                async with aclosing(self.unverified.lines(EVENTS, params)) as source:
                    async for line in source:
                        told: Told | None = lines.feed(line)
                        failures = 0
                        if told is not None:
                            yield await self._run(self._prover.event(told))
                            lines.cursor = told.cursor
            except NodeUnreachable:
                failures += 1
            lines = EventLines(lines.cursor)
            await asyncio.sleep(_pause(failures))

    async def listed(
        self, name: str, page: int = 100, **about: Any
    ) -> AsyncIterator[dict[str, Any]]:
        """As `Ledger.listed`. **Unverified.**"""
        cursor: str | None = None
        while True:
            found = await self.unverified.send(lists.listing(name, cursor, page, **about))
            for line in found.lines:
                yield line
            cursor = found.cursor
            if cursor is None:
                return

    async def close(self) -> None:
        await self.unverified.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()
