"""Two institutions on one chain without a network: East holds records, South's staff ask."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx

from ledger.api.app import create_app
from ledger.chain.result import CallResult
from ledger.chain.transaction import Call
from ledger.client.builder import Account, build, call
from ledger.client.verify import trust_in
from ledger.contracts.machine import BlockContext
from ledger.node.anchoring import anchor
from ledger.node.clock import now_ms
from ledger.node.desk import RecordDesk
from ledger.node.holders import Holders, Trusted
from ledger.node.metrics import Metrics
from ledger.node.retrieval import Retrieval
from ledger.node.setup.home import NodeHome, load_home
from ledger.node.vault.connector import DirectoryConnector
from ledger.node.vault.patients import SUBJECTS_FILE
from tests.support.local_service import Consortium, LocalService

URL = "http://127.0.0.1:8100"


class Pieces(httpx.AsyncByteStream):
    """A body that comes in two pieces, as from a network."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        half = len(self._content) // 2
        yield self._content[:half]
        yield self._content[half:]


def reply(
    status: int, content: bytes = b"", headers: dict[str, str] | None = None
) -> httpx.Response:
    return httpx.Response(status, headers=headers, stream=Pieces(content))


class East(LocalService):
    """East's node with its vault."""

    def equip(self, home: NodeHome, consortium: Consortium) -> None:
        self.home = home
        self.people = consortium.people
        self.desk = RecordDesk(
            home,
            self.chain,
            trust_in(self._replica.genesis).validators,
            clock=now_ms,
            entropy=secrets.token_bytes,
            block_time=lambda: self._replica.head.time,
            whois=self.whois,
            ask=self.ask,
            officer=lambda: self._keys[self.node],
            perform=self.perform,
            metrics=Metrics(),
        )

    def ask(self, contract: str, method: str, arguments: dict[str, Any]) -> CallResult:
        head, store = self._replica.head, self._store
        return self._replica.machine.query(
            lambda key: store.value(key, head.height),
            BlockContext(self.chain, head.height, head.time),
            contract, method, arguments,
        )  # fmt: skip

    def whois(self, key: str) -> dict[str, Any] | None:
        return self.ask("registry", "whois", {"key": key}).value

    def place(self, institution: str) -> dict[str, Any] | None:
        return self.ask("directory", "place", {"institution": institution}).value

    async def perform(self, told: Call) -> tuple[int, CallResult]:
        made = build(self.chain, self.head().height, 100, [told], [Account(self._keys[self.node])])
        await self.submit([made.raw])
        await self.commit()
        outcome = self.outcome(made.id)
        assert outcome is not None
        return outcome[0], outcome[2].calls[0]

    async def says(self, label: str, contract: str, method: str, **arguments: Any) -> CallResult:
        """Something that a person of the consortium does with a key of her own."""
        account = Account(self.people.signing_key(self.people[label], lambda: ""))
        told = [call(contract, method, **arguments)]
        made = build(self.chain, self.head().height, 100, told, [account])
        await self.submit([made.raw])
        await self.commit()
        outcome = self.outcome(made.id)
        assert outcome is not None
        return outcome[2].calls[0]

    async def anchor(self, files: dict[str, bytes], subject: str) -> None:
        """Put files into the source as records of ``Patient/1``, and anchor them."""
        for name, content in files.items():
            (self.home.records / name).write_bytes(content)
        connector = DirectoryConnector(self.home.records)
        self.desk._vault._connector = connector
        await anchor(self.desk._vault, "east", {"Patient/1": subject}, now_ms(), self.perform)

    async def release(self, request: bytes, first: int = 0) -> AsyncGenerator[bytes, None]:
        return await self.desk.release(request, first)

    async def pointers(self, request: bytes) -> bytes:
        return await self.desk.pointers(request)

    async def enquired(self, request: bytes) -> bytes:
        return await self.desk.enquired(request)


def home_of(consortium: Consortium, directory: Path) -> NodeHome:
    """East's home with an empty source, in a place of its own."""
    original = load_home(consortium.home / "nodes" / "east-1")
    (directory / "vault" / "records").mkdir(parents=True)
    (directory / "vault" / SUBJECTS_FILE).write_text(json.dumps({}))
    return NodeHome(directory, original.settings)


def retrieval_for(
    east: East,
    institution: str = "south",
    *,
    change: Callable[[httpx.Request, bytes], httpx.Response] | None = None,
    local: bool = False,
) -> Retrieval:
    """What South's node does for its staff; ``change`` is what happens to answers on the way."""
    inside = httpx.ASGITransport(app=create_app(east))

    async def carry(request: httpx.Request) -> httpx.Response:
        response = await inside.handle_async_request(request)
        content = await response.aread()
        if change is not None:
            return change(request, content)
        return reply(response.status_code, content)

    return Retrieval(
        east.chain,
        institution,
        act=east.act,
        key_of=lambda person: east.custody[person],
        ask=east.ask,
        receipt=east.receipt,
        holders=Holders(east.place, Trusted(loopback=True), httpx.MockTransport(carry)),
        desk=east.desk if local else None,
    )
