"""The consensus driver with a core that does what the test says."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from peers import until

from ledger.chain.block import Block, Certificate
from ledger.chain.store import StoreAway, StoreFull
from ledger.chain.vote import Vote
from ledger.consensus import effects, inputs
from ledger.consensus.effects import Effect
from ledger.consensus.errors import PeerFault, Rule
from ledger.consensus.messages import Prepare, encode_message
from ledger.contracts.blocks import Executed
from ledger.crypto.keys import SigningKey
from ledger.node import driver as driver_module
from ledger.node.clock import now_ms
from ledger.node.driver import Diverged, Driver
from ledger.node.executor import Executor
from ledger.node.mempool import Mempool
from ledger.node.net.frames import Consensus, Frame
from ledger.node.room import Room
from tests.support.founded import Chain

NODE = "east-1"
MESSAGE = Prepare(1, 0, bytes(32), NODE, bytes(64))


class ScriptedCore:
    """Notes its inputs and answers each with the effects that were put in its way."""

    def __init__(self) -> None:
        self.heard: list[inputs.Input] = []
        self.answers: list[list[Effect]] = []

    def handle(self, happened: inputs.Input) -> list[Effect]:
        self.heard.append(happened)
        return self.answers.pop(0) if self.answers else []

    def status(self) -> None:
        return None

    def learn(self, key: SigningKey) -> None:
        self.learned = key

    def of(self, kind: type) -> list[Any]:
        return [each for each in self.heard if isinstance(each, kind)]


@dataclass
class Rig:
    """A driver on a real replica, and all that it did to the outside, in order."""

    chain: Chain
    core: ScriptedCore = field(default_factory=ScriptedCore)
    did: list[tuple[Any, ...]] = field(default_factory=list)
    held: dict[bytes, SigningKey] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = self.chain.replica.store
        own = self.chain.consortium.nodes[NODE]
        self.held.setdefault(own.public, own)
        self.mempool = Mempool(lambda _transaction, _height: None, lambda _identity: False)
        self.executor = Executor(self.chain.replica, self.mempool.verified)
        self.room = Room(pause=0.001)
        self.driver = Driver(
            NODE,
            self.core,  # type: ignore[arg-type]
            self.chain.replica,
            self.executor,
            self.store,
            self.mempool,
            self.room,
            clock=now_ms,
            save=lambda votes: self.store.save_votes(votes),
            send=self.send,
            broadcast=lambda frame, nodes: self.did.append(("broadcast", frame, tuple(nodes))),
            final=self.final,
            behind=lambda node, height: self.did.append(("behind", node, height)),
            lagging=lambda node: self.did.append(("lagging", node)),
            accused=lambda fault: self.did.append(("accused", fault.accused)),
            keys=self.held.get,
        )

    def send(self, node: str, frame: Frame) -> bool:
        self.did.append(("send", node, frame))
        return True

    async def final(self, executed: Executed, certificate: Certificate) -> None:
        self.did.append(("final", executed.block.header.height, certificate.view))

    def say(self, *answer: Effect) -> None:
        """Let the core answer the next input with these effects."""
        self.core.answers.append(list(answer))
        self.driver.feed(inputs.WorkPending())

    async def done(self, *kinds: str) -> None:
        await until(lambda: [each[0] for each in self.did] == list(kinds))


@pytest.fixture
async def rig(chain: Chain) -> AsyncIterator[Rig]:
    rig = Rig(chain)
    task = asyncio.create_task(rig.driver.run())
    await until(lambda: rig.core.of(inputs.Begin))
    yield rig
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    rig.executor.close()


def others(rig: Rig) -> tuple[str, ...]:
    return tuple(
        member.node for member in rig.chain.replica.validators.members if member.node != NODE
    )


async def test_the_first_input_opens_the_next_height_with_the_votes_of_before(chain: Chain) -> None:
    vote = Vote(1, 0, "prepare", bytes(32), b"message")
    chain.replica.store.save_votes([vote])
    rig = Rig(chain)
    task = asyncio.create_task(rig.driver.run())
    await until(lambda: rig.core.heard)
    (begin,) = rig.core.heard
    assert isinstance(begin, inputs.Begin)
    assert begin.context.height == 1
    assert begin.context.parent == chain.replica.head
    assert begin.context.validators == chain.replica.validators
    assert begin.context.votes == (vote,)
    assert not begin.context.work_pending
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    rig.executor.close()


async def test_a_height_is_opened_once_and_only_where_this_node_votes(rig: Rig) -> None:
    rig.driver.begin()
    rig.chain.append()
    rig.driver.begin()
    rig.driver.begin()
    await until(lambda: len(rig.core.of(inputs.Begin)) == 2)
    await asyncio.sleep(0.01)
    assert [begin.context.height for begin in rig.core.of(inputs.Begin)] == [1, 2]

    rig.driver.node = "voted-out"
    rig.chain.append()
    rig.driver.begin()
    await asyncio.sleep(0.01)
    assert len(rig.core.of(inputs.Begin)) == 2


async def test_a_vote_is_on_disk_before_it_is_sent(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    vote = Vote(1, 0, "prepare", bytes(32), b"message")
    on_disk: list[list[Vote]] = []

    def broadcast(_frame: Frame, nodes: list[str]) -> None:
        on_disk.append(rig.store.votes(1))
        rig.did.append(("broadcast", _frame, tuple(nodes)))

    monkeypatch.setattr(rig.driver, "_broadcast", broadcast)
    rig.say(effects.Persist((vote,)), effects.Broadcast(MESSAGE))
    await rig.done("broadcast")
    assert on_disk == [[vote]]
    assert rig.did == [("broadcast", Consensus(encode_message(MESSAGE)), others(rig))]


async def test_nothing_is_sent_while_the_disk_is_full(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    vote = Vote(1, 0, "prepare", bytes(32), b"message")
    save = rig.store.save_votes
    attempts: list[int] = []

    def full_at_first(votes: tuple[Vote, ...]) -> None:
        attempts.append(len(rig.did))
        if len(attempts) < 3:
            raise StoreFull("no room")
        save(votes)

    monkeypatch.setattr(rig.store, "save_votes", full_at_first)
    rig.say(effects.Persist((vote,)), effects.Send("south-1", MESSAGE))
    await rig.done("send")
    assert attempts == [0, 0, 0]
    assert rig.room.shortage == ""


async def test_timers_ring_once_unless_they_are_cancelled_or_set_anew(rig: Rig) -> None:
    rig.say(
        effects.SetTimer(inputs.Timer.VIEW, 1, 0, 1),
        effects.SetTimer(inputs.Timer.VIEW, 1, 1, 5),
        effects.SetTimer(inputs.Timer.IDLE, 1, 0, 5),
        effects.CancelTimer(inputs.Timer.IDLE),
        effects.CancelTimer(inputs.Timer.RESEND),
    )
    await until(lambda: rig.core.of(inputs.TimerFired))
    await asyncio.sleep(0.02)
    assert rig.core.of(inputs.TimerFired) == [inputs.TimerFired(inputs.Timer.VIEW, 1, 1)]


async def test_a_timer_that_ran_out_behind_a_slow_disk_and_was_then_stopped_is_not_told(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The firing waits in the queue while a vote is written; what is told next must not be it."""
    monkeypatch.setattr(rig.driver, "_save", lambda _votes: time.sleep(0.05))
    rig.say(
        effects.SetTimer(inputs.Timer.RESEND, 1, 0, 1),
        effects.Persist((Vote(1, 0, "prepare", bytes(32), b"message"),)),
        effects.CancelTimer(inputs.Timer.RESEND),
        effects.SetTimer(inputs.Timer.IDLE, 1, 0, 1),
    )
    await until(lambda: rig.core.of(inputs.TimerFired))
    assert rig.core.of(inputs.TimerFired) == [inputs.TimerFired(inputs.Timer.IDLE, 1, 0)]


async def test_a_transaction_that_fits_into_no_block_is_no_work(rig: Rig) -> None:
    transaction = rig.chain.transaction()
    rig.mempool.add(transaction, 1)
    assert rig.mempool.has_work(len(transaction.raw))
    assert not rig.mempool.has_work(len(transaction.raw) - 1)


async def test_a_block_is_built_from_what_waits(rig: Rig) -> None:
    transaction = rig.chain.transaction()
    rig.mempool.add(transaction, 1)
    rig.say(effects.BuildBlock(1, 0))
    await until(lambda: rig.core.of(inputs.BlockBuilt))
    (built,) = rig.core.of(inputs.BlockBuilt)
    assert (built.height, built.view) == (1, 0)
    assert built.block.transactions == (transaction.raw,)
    assert built.block.header.proposer == NODE


async def test_a_proposal_is_checked_and_the_fault_told(rig: Rig) -> None:
    good = rig.chain.executed(rig.chain.transaction()).block
    wrong = Block(msgspec.structs.replace(good.header, state_root=bytes(32)), good.transactions)
    for block in (good, wrong):
        rig.say(effects.CheckBlock(block.header.hash(), block))
    await until(lambda: len(rig.core.of(inputs.BlockChecked)) == 2)
    first, second = rig.core.of(inputs.BlockChecked)
    assert first == inputs.BlockChecked(good.header.hash(), None)
    assert second.digest == wrong.header.hash()
    assert "state root" in second.fault


async def test_a_proposal_that_became_final_meanwhile_is_not_judged(rig: Rig) -> None:
    block = rig.chain.executed(rig.chain.transaction()).block
    rig.say(
        effects.Decide(block, rig.chain.certificate(block)),
        effects.CheckBlock(block.header.hash(), block),
        effects.SetTimer(inputs.Timer.IDLE, 2, 0, 20),
    )
    await until(lambda: rig.core.of(inputs.TimerFired))
    assert rig.core.of(inputs.BlockChecked) == []


async def test_a_decided_block_is_stored_and_announced(rig: Rig) -> None:
    block = rig.chain.executed(rig.chain.transaction()).block
    certificate = rig.chain.certificate(block)
    rig.say(effects.Decide(block, certificate))
    await rig.done("final")
    assert rig.chain.replica.head == block.header
    # The same block may come a second time, by way of a peer.
    rig.say(effects.Decide(block, certificate), effects.Lagging("west-1", 0))
    await rig.done("final", "lagging")


async def test_a_decided_block_waits_for_room_on_the_disk(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = rig.chain.executed(rig.chain.transaction()).block
    commit: Callable[..., None] = rig.store.commit
    heights: list[int] = []

    def full_at_first(*arguments: Any) -> None:
        heights.append(rig.chain.replica.head.height)
        if len(heights) < 3:
            raise StoreFull("no room")
        commit(*arguments)

    monkeypatch.setattr(rig.store, "commit", full_at_first)
    rig.say(effects.Decide(block, rig.chain.certificate(block)))
    await rig.done("final")
    assert heights == [0, 0, 0]
    assert rig.chain.replica.head == block.header


async def test_a_node_that_cannot_reproduce_a_decided_block_stops(chain: Chain) -> None:
    rig = Rig(chain)
    good = chain.executed(chain.transaction()).block
    wrong = Block(msgspec.structs.replace(good.header, state_root=bytes(32)), good.transactions)
    task = asyncio.create_task(rig.driver.run())
    rig.say(effects.Decide(wrong, chain.certificate(wrong)))
    with pytest.raises(Diverged, match="state root"):
        await task
    assert chain.replica.head.height == 0
    assert rig.did == []
    rig.executor.close()


async def test_what_the_core_notices_about_others_is_passed_on(rig: Rig) -> None:
    fault = PeerFault("west-1", Rule.STRANGER, "it has no vote at this height")
    rig.say(
        effects.Behind(7, ("south-1", "west-1")),
        effects.Lagging("north-1", 3),
        effects.Accuse(fault),
    )
    await rig.done("behind", "behind", "lagging", "accused")
    assert rig.did == [
        ("behind", "south-1", 7),
        ("behind", "west-1", 7),
        ("lagging", "north-1"),
        ("accused", "west-1"),
    ]


async def test_nothing_reaches_the_core_before_the_driver_runs(chain: Chain) -> None:
    rig = Rig(chain)
    rig.driver.feed(inputs.Received("west-1", MESSAGE))
    rig.driver.begin()
    task = asyncio.create_task(rig.driver.run())
    await until(lambda: rig.core.of(inputs.Begin))
    assert len(rig.core.heard) == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    rig.executor.close()


async def test_a_flood_of_messages_is_bounded(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_module, "MAX_WAITING_INPUTS", 10)
    rig = Rig(chain)
    task = asyncio.create_task(rig.driver.run())
    await until(lambda: rig.core.of(inputs.Begin))
    for _ in range(50):
        rig.driver.feed(inputs.Received("west-1", MESSAGE))
    rig.driver.feed(inputs.WorkPending())
    await until(lambda: rig.core.of(inputs.WorkPending))
    assert len(rig.core.of(inputs.Received)) == 10
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    rig.executor.close()


# --- while the database is gone ----------------------------------------------------------------


def away(call: Callable[..., Any], times: int, *, after: bool = False) -> Callable[..., Any]:
    """The call as it is on a database that is gone so many times, before or after the deed."""
    left = itertools.chain(itertools.repeat(True, times), itertools.repeat(False))

    def attempt(*arguments: Any) -> Any:
        gone = next(left)
        if gone and not after:
            raise StoreAway("gone")
        result = call(*arguments)
        if gone:
            raise StoreAway("gone")
        return result

    return attempt


@pytest.mark.parametrize("after", [False, True])
async def test_a_vote_is_not_sent_before_the_database_has_said_that_it_has_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    vote = Vote(1, 0, "prepare", bytes(32), b"message")
    gone = threading.Event()
    gone.set()
    save = rig.store.save_votes

    def save_votes(votes: Sequence[Vote]) -> None:
        if after:
            save(votes)
        if gone.is_set():
            raise StoreAway("gone")
        save(votes)

    monkeypatch.setattr(rig.store, "save_votes", save_votes)
    rig.say(effects.Persist((vote,)), effects.Broadcast(MESSAGE))
    await until(lambda: rig.room.shortage)
    await asyncio.sleep(0.02)
    assert rig.did == []
    gone.clear()
    await rig.done("broadcast")
    assert rig.store.votes(1) == [vote]


async def test_proposals_are_built_and_checked_when_the_database_is_back(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = rig.chain.executed(rig.chain.transaction()).block
    monkeypatch.setattr(rig.executor, "build", away(rig.executor.build, 2))
    monkeypatch.setattr(rig.executor, "check", away(rig.executor.check, 2))
    rig.say(effects.BuildBlock(1, 0), effects.CheckBlock(block.header.hash(), block))
    await until(lambda: rig.core.of(inputs.BlockBuilt) and rig.core.of(inputs.BlockChecked))
    assert rig.core.of(inputs.BlockChecked)[0].fault is None


async def test_the_first_height_is_opened_when_the_database_is_back(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(chain)
    monkeypatch.setattr(rig.store, "votes", away(rig.store.votes, 3))
    task = asyncio.create_task(rig.driver.run())
    await until(lambda: rig.core.of(inputs.Begin))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    rig.executor.close()
