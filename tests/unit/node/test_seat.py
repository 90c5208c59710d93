"""What a validator does for the transactions that wait at it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest
from peers import until

from ledger.consensus import inputs
from ledger.node.mempool import Mempool
from ledger.node.net.frames import Frame, Transactions
from ledger.node.seat import Seat
from tests.support.founded import Chain

NODE = "east-1"


class Scene:
    """A seat whose consensus only notes what it is told."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.proposer = "north-1"
        self.told: list[inputs.Input] = []
        self.complaints: list[bool] = []
        self.sent: list[tuple[str, Frame]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.mempool = Mempool(lambda _transaction, _height: None, lambda _identity: False)
        self.seat = Seat(
            NODE,
            chain.replica,
            self.mempool,
            SimpleNamespace(send=lambda node, frame: self.sent.append((node, frame))),  # type: ignore[arg-type]
            SimpleNamespace(admitted=self.rest, watch=self.rest, vouched=True),  # type: ignore[arg-type]
            lambda: self,  # type: ignore[arg-type, return-value]
            self.spawn,
        )
        self.seat.start()

    async def rest(self) -> None: ...

    async def run(self) -> None: ...

    def begin(self, *, neglected: bool) -> None:
        self.complaints.append(neglected)

    def feed(self, item: inputs.Input) -> None:
        self.told.append(item)

    def snapshot(self) -> Any:
        return SimpleNamespace(proposer=self.proposer)

    def spawn(self, job: Coroutine[None, None, None]) -> None:
        self.tasks.append(asyncio.ensure_future(job))

    def waiting(self, name: str) -> bytes:
        transaction = self.chain.grant(name)
        self.mempool.add(transaction, 1)
        return transaction.raw


@pytest.fixture
async def scene(chain: Chain) -> AsyncIterator[Scene]:
    scene = Scene(chain)
    yield scene
    for task in scene.tasks:
        task.cancel()
    await asyncio.gather(*scene.tasks, return_exceptions=True)


async def test_what_stands_still_is_forwarded_to_the_proposer(scene: Scene) -> None:
    raw = scene.waiting("a")
    scene.seat.remind()
    assert scene.sent == []
    scene.seat.remind()
    assert scene.sent == [("north-1", Transactions((raw,)))]
    scene.seat.remind()
    assert len(scene.sent) == 1


async def test_the_proposer_itself_forwards_nothing(scene: Scene) -> None:
    scene.proposer = NODE
    scene.waiting("a")
    scene.seat.remind()
    scene.seat.remind()
    assert scene.sent == []


async def test_reminders_go_out_by_themselves(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def soon(_seconds: float) -> None:
        await rest(0)

    rest = asyncio.sleep
    monkeypatch.setattr("ledger.node.seat.asyncio.sleep", soon)
    raw = scene.waiting("a")
    async with asyncio.timeout(5):
        while not scene.sent:
            await rest(0)
    assert scene.sent[0] == ("north-1", Transactions((raw,)))


async def test_a_proposer_that_passes_a_transaction_over_for_long_is_complained_of(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(
        "ledger.node.seat.asyncio.get_running_loop", lambda: SimpleNamespace(time=lambda: now)
    )
    scene.waiting("victim")
    timeout = scene.chain.replica.parameters.view_timeout / 1000
    for _ in range(4):
        scene.seat.passed_over([])
        scene.seat.advance()
        now += timeout / 2
    now += timeout / 2
    scene.seat.passed_over([])
    scene.seat.advance()
    assert scene.complaints == [False, False, False, False, True]


async def test_a_transaction_in_a_block_is_not_passed_over(scene: Scene) -> None:
    scene.waiting("a")
    (transaction,) = scene.mempool
    scene.seat.passed_over([transaction.id, bytes(32)])
    scene.mempool.remove([transaction.id], 1)
    scene.seat.advance()
    await until(lambda: scene.tasks)
    assert scene.complaints == [False]
