"""Catching up, with peers that tell the truth, lie, stay silent or go away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
from peers import until

from ledger.chain.block import (
    Block,
    Certificate,
    InvalidCertificate,
    encode_block,
    verify_certificate,
)
from ledger.chain.codec import Malformed, encode
from ledger.node.net.frames import Blocks, CertifiedBlock, GetBlocks, Manifest
from ledger.node.sync import Sync, answer, blocks, catchup, peers, read_certified
from ledger.node.sync.snapshots import Answer
from tests.support.chain import HandmadeChain

HEIGHT = 12


@pytest.fixture
def chain(tmp_path: Path) -> HandmadeChain:
    chain = HandmadeChain(tmp_path / "chain.db")
    for _ in range(HEIGHT):
        chain.append([chain.transaction()])
    return chain


class World:
    """A node that catches up, and peers of which each has its own way of answering."""

    def __init__(self, chain: HandmadeChain) -> None:
        self.chain = chain
        self.blocks: list[Block] = []
        self.asked: list[str] = []
        self.ways: dict[str, Callable[[GetBlocks], Blocks | None]] = {}
        self.sync = Sync(lambda: len(self.blocks), self.send, self.extend, patience=0.0)
        self.failure: Exception | None = None

    def truth(self, request: GetBlocks) -> Blocks:
        return answer(self.chain.store, HEIGHT, request)

    def send(self, node: str, request: GetBlocks) -> bool:
        self.asked.append(node)
        if node not in self.ways:
            return False
        found = self.ways[node](request)
        if found is not None:
            asyncio.get_running_loop().call_soon(self.sync.arrived, node, found)
        return True

    async def extend(self, block: Block, certificate: Certificate) -> None:
        if self.failure is not None:
            raise self.failure
        verify_certificate(block.header, certificate, self.chain.validators)
        assert block.header.height == len(self.blocks) + 1
        self.blocks.append(block)

    def peer(
        self, node: str, way: Callable[[GetBlocks], Blocks | None], claim: int = HEIGHT
    ) -> None:
        self.ways[node] = way
        self.sync.heard(node, claim)

    @property
    def height(self) -> int:
        return len(self.blocks)


@pytest.fixture
async def world(chain: HandmadeChain) -> AsyncIterator[World]:
    world = World(chain)
    task = asyncio.create_task(world.sync.run())
    yield world
    task.cancel()
    results = await asyncio.gather(task, return_exceptions=True)
    if world.failure is None:
        assert isinstance(results[0], asyncio.CancelledError), results


def changed(item: CertifiedBlock, **fields: object) -> CertifiedBlock:
    return msgspec.structs.replace(item, **fields)


async def test_a_node_that_is_behind_fetches_everything_from_one_peer(world: World) -> None:
    world.peer("honest", world.truth)
    await until(lambda: world.height == HEIGHT)
    assert world.blocks == [world.chain.store.block(height) for height in range(1, HEIGHT + 1)]
    assert set(world.asked) == {"honest"}


async def test_nobody_is_asked_while_nobody_claims_more(world: World) -> None:
    world.peer("honest", world.truth, claim=0)
    await asyncio.sleep(0.02)
    assert world.asked == []


async def test_an_answer_stops_at_its_limits(chain: HandmadeChain) -> None:
    assert len(answer(chain.store, HEIGHT, GetBlocks(3, 4)).blocks) == 4
    assert len(answer(chain.store, 5, GetBlocks(3, 100)).blocks) == 3
    assert answer(chain.store, HEIGHT, GetBlocks(HEIGHT + 1, 5)).blocks == ()
    assert answer(chain.store, HEIGHT, GetBlocks(0, 1)).start == 0


async def test_an_answer_stays_small(chain: HandmadeChain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "ANSWER_BYTES", 1)
    assert len(answer(chain.store, HEIGHT, GetBlocks(1, 10)).blocks) == 1


def other_transactions(item: CertifiedBlock, chain: HandmadeChain) -> CertifiedBlock:
    block, _certificate = read_certified(item, 1)
    stolen = Block(block.header, (chain.transaction().raw,))
    return changed(item, block=encode_block(stolen))


LIES: dict[str, Callable[[World, CertifiedBlock], CertifiedBlock]] = {
    "no block at all": lambda _world, item: changed(item, block=b"\xc1"),
    "no certificate at all": lambda _world, item: changed(item, certificate=b"\xc1"),
    "other transactions": lambda world, item: other_transactions(item, world.chain),
    "a certificate of another block": lambda world, item: changed(
        item, certificate=encode(world.chain.store.certificate(2))
    ),
    "too few signatures": lambda world, item: changed(
        item,
        certificate=encode(
            msgspec.structs.replace(
                world.chain.store.certificate(1),
                signatures=world.chain.store.certificate(1).signatures[:2],
            )
        ),
    ),
    "a later block": lambda world, _item: world.truth(GetBlocks(5, 1)).blocks[0],
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_lying_peer_is_found_out_and_another_is_asked(world: World, lie: str) -> None:
    def way(request: GetBlocks) -> Blocks:
        first, *rest = world.truth(request).blocks
        return Blocks(request.start, (LIES[lie](world, first), *rest))

    world.peer("liar", way, claim=HEIGHT + 5)
    await until(lambda: "liar" in world.sync.liars)
    assert world.height == 0
    world.peer("honest", world.truth)
    await until(lambda: world.height == HEIGHT)
    assert world.asked.count("liar") == 1
    assert list(world.sync.liars) == ["liar"]


async def test_a_peer_that_claims_what_it_does_not_have_is_not_believed_for_long(
    world: World,
) -> None:
    world.peer("boaster", lambda request: Blocks(request.start, ()), claim=10**12)
    world.peer("honest", world.truth)
    await until(lambda: world.height == HEIGHT)
    assert world.sync.target == HEIGHT
    world.sync.heard("boaster", 10**12)
    await asyncio.sleep(0.02)
    assert world.sync.target == HEIGHT
    assert world.asked.count("boaster") == 1


async def test_a_peer_that_repeats_old_blocks_cannot_hold_a_node_up(world: World) -> None:
    world.peer("honest", lambda request: answer(world.chain.store, 3, request), claim=3)
    await until(lambda: world.height == 3)
    world.peer("liar", lambda request: Blocks(request.start, world.truth(GetBlocks(1, 3)).blocks))
    await until(lambda: "liar" in world.sync.liars)
    assert world.asked.count("liar") == 1


async def test_a_silent_peer_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "FIRST_PATIENCE", 0.05)
    world.peer("silent", lambda _request: None, claim=HEIGHT + 1)
    await until(lambda: world.asked == ["silent"])
    world.peer("honest", world.truth)
    await until(lambda: world.height == HEIGHT)
    assert world.sync.liars == {}


async def test_a_peer_lost_in_the_middle_is_replaced_at_once(world: World) -> None:
    world.peer("leaving", lambda _request: None, claim=HEIGHT + 1)
    await until(lambda: world.asked == ["leaving"])
    world.sync.lost("leaving")
    # It comes back before the node has noticed that it was gone.
    world.peer("leaving", world.truth, claim=HEIGHT)
    await until(lambda: world.height == HEIGHT)


async def test_a_peer_that_leaves_whenever_it_is_asked_cannot_hold_a_node_up(world: World) -> None:
    def leave(_request: GetBlocks) -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(world.sync.lost, "boaster")
        loop.call_soon(world.sync.heard, "boaster", 1_000)

    world.peer("honest", world.truth)
    world.peer("boaster", leave, claim=1_000)
    await until(lambda: world.height == HEIGHT)
    assert world.asked.count("boaster") == 2


async def test_answers_that_were_not_asked_for_are_dropped(world: World) -> None:
    world.sync.arrived("stranger", world.truth(GetBlocks(1, 5)))
    world.peer("slow", lambda _request: None)
    await until(lambda: world.asked == ["slow"])
    world.sync.arrived("stranger", world.truth(GetBlocks(1, 5)))
    world.sync.arrived("slow", world.truth(GetBlocks(2, 5)))
    await asyncio.sleep(0.02)
    assert world.height == 0
    world.sync.arrived("slow", world.truth(GetBlocks(1, 5)))
    await until(lambda: world.height == 5)


async def test_a_peer_that_is_not_connected_is_passed_over(world: World) -> None:
    world.sync.heard("gone", HEIGHT + 3)
    world.peer("honest", world.truth)
    await until(lambda: world.height == HEIGHT)
    assert world.sync.target == HEIGHT


async def test_a_failure_of_the_node_itself_is_not_blamed_on_the_peer(chain: HandmadeChain) -> None:
    world = World(chain)
    world.failure = RuntimeError("diverged")
    task = asyncio.create_task(world.sync.run())
    world.peer("honest", world.truth)
    with pytest.raises(RuntimeError, match="diverged"):
        await task
    assert world.sync.liars == {}


async def test_a_validator_waits_a_little_for_its_own_decision(chain: HandmadeChain) -> None:
    world = World(chain)
    world.sync = Sync(lambda: world.height, world.send, world.extend, patience=0.05)
    task = asyncio.create_task(world.sync.run())
    world.peer("honest", world.truth, claim=1)
    await asyncio.sleep(0.01)
    assert world.asked == []
    world.blocks.append(chain.store.block(1))
    await asyncio.sleep(0.1)
    assert world.asked == []
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_a_block_of_another_height_is_malformed(chain: HandmadeChain) -> None:
    item = answer(chain.store, HEIGHT, GetBlocks(4, 1)).blocks[0]
    assert read_certified(item, 4)[0] == chain.store.block(4)
    with pytest.raises(Malformed, match="block 4 where block 5 was asked for"):
        read_certified(item, 5)


def test_the_world_itself_refuses_uncertified_blocks(chain: HandmadeChain) -> None:
    block, certificate = chain.store.block(1), chain.store.certificate(2)
    assert block is not None
    assert certificate is not None
    with pytest.raises(InvalidCertificate):
        verify_certificate(block.header, certificate, chain.validators)


class FakeSnapshots:
    """Jumps to a height, or says that there is no snapshot."""

    progress = "taking a snapshot"

    def __init__(self, world: World, height: int) -> None:
        self.world = world
        self.height = height
        self.runs = self.jumps = 0
        self.told: list[tuple[str, Answer | None]] = []

    def arrived(self, node: str, answer: Answer) -> None:
        self.told.append((node, answer))

    def lost(self, node: str) -> None:
        self.told.append((node, None))

    async def run(self, beyond: int) -> bool:
        self.runs += 1
        stored = [self.world.chain.store.block(height + 1) for height in range(self.height)]
        if self.height > beyond:
            self.world.blocks = [block for block in stored if block is not None]
            self.jumps += 1
            return True
        return False


async def caught_up(world: World, snapshots: FakeSnapshots, gap: int) -> None:
    world.sync = Sync(
        lambda: world.height, world.send, world.extend, patience=0.0, snapshots=snapshots, gap=gap
    )
    task = asyncio.create_task(world.sync.run())
    world.sync.heard("honest", HEIGHT)
    await until(lambda: world.height == HEIGHT)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_node_far_behind_takes_a_snapshot_and_then_blocks(chain: HandmadeChain) -> None:
    world = World(chain)
    world.ways["honest"] = world.truth
    snapshots = FakeSnapshots(world, HEIGHT - 3)
    await caught_up(world, snapshots, gap=5)
    assert snapshots.runs == 1
    assert world.asked == ["honest"]


async def test_a_node_a_little_behind_takes_blocks(chain: HandmadeChain) -> None:
    world = World(chain)
    world.ways["honest"] = world.truth
    snapshots = FakeSnapshots(world, HEIGHT - 3)
    await caught_up(world, snapshots, gap=HEIGHT)
    assert snapshots.runs == 0


async def test_where_there_is_no_snapshot_blocks_are_taken(chain: HandmadeChain) -> None:
    world = World(chain)
    world.ways["honest"] = world.truth
    snapshots = FakeSnapshots(world, 0)
    await caught_up(world, snapshots, gap=5)
    assert snapshots.runs == 1


async def test_where_the_blocks_are_forgotten_a_snapshot_is_taken(chain: HandmadeChain) -> None:
    world = World(chain)

    def pruned(request: GetBlocks) -> Blocks:
        return world.truth(request) if request.start > 6 else Blocks(request.start, (), 7)

    world.ways["honest"] = pruned
    snapshots = FakeSnapshots(world, 8)
    await caught_up(world, snapshots, gap=HEIGHT)
    assert snapshots.runs == 1
    assert world.sync.liars == {}


def pruned(request: GetBlocks) -> Blocks:
    """What a peer answers that has forgotten everything."""
    return Blocks(request.start, (), HEIGHT + 1)


async def catching_up(
    world: World, snapshots: FakeSnapshots, monkeypatch: pytest.MonkeyPatch, **claims: int
) -> None:
    monkeypatch.setattr(catchup, "NEWS_SECONDS", 0.05)
    world.sync = Sync(
        lambda: world.height, world.send, world.extend, patience=0.0, snapshots=snapshots, gap=5
    )
    for node, claim in claims.items():
        world.sync.heard(node, claim)
    task = asyncio.create_task(world.sync.run())
    await asyncio.sleep(0.01)
    if "slow" in claims:
        world.sync.heard("slow", HEIGHT)
    await until(lambda: world.height == HEIGHT)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_boast_does_not_cost_a_node_its_history(
    chain: HandmadeChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(chain)
    world.ways["boaster"] = world.ways["honest"] = world.truth
    world.blocks = [chain.store.block(height) for height in range(1, HEIGHT - 3)]  # type: ignore[misc]
    snapshots = FakeSnapshots(world, HEIGHT)
    await catching_up(world, snapshots, monkeypatch, boaster=10**12, honest=HEIGHT)
    assert snapshots.runs > 0
    assert snapshots.jumps == 0


async def test_nobody_s_word_alone_is_taken_for_blocks_being_forgotten(
    chain: HandmadeChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(chain)
    world.blocks = [chain.store.block(height) for height in range(1, HEIGHT - 3)]  # type: ignore[misc]
    world.ways["pruned"], world.ways["honest"] = pruned, world.truth
    snapshots = FakeSnapshots(world, HEIGHT)
    await catching_up(world, snapshots, monkeypatch, pruned=HEIGHT, honest=HEIGHT)
    assert snapshots.jumps == 0
    assert world.sync.liars == {}


async def test_the_first_to_be_ahead_has_to_wait_for_what_others_have(
    chain: HandmadeChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(chain)
    world.blocks = [chain.store.block(height) for height in range(1, HEIGHT - 3)]  # type: ignore[misc]
    world.ways["pruned"], world.ways["slow"] = pruned, world.truth
    snapshots = FakeSnapshots(world, HEIGHT)
    await catching_up(world, snapshots, monkeypatch, pruned=HEIGHT, slow=0)
    assert snapshots.jumps == 0


async def test_where_all_have_forgotten_a_snapshot_is_taken_however_little_is_missing(
    chain: HandmadeChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(chain)
    world.blocks = [chain.store.block(height) for height in range(1, HEIGHT - 3)]  # type: ignore[misc]
    world.ways.update(pruned=pruned, slow=pruned)
    snapshots = FakeSnapshots(world, HEIGHT)
    await catching_up(world, snapshots, monkeypatch, pruned=HEIGHT, slow=0)
    assert snapshots.jumps == 1


async def test_answers_about_snapshots_are_passed_on(chain: HandmadeChain) -> None:
    world = World(chain)
    snapshots = FakeSnapshots(world, 0)
    sync = Sync(lambda: 0, world.send, world.extend, patience=0.0, snapshots=snapshots, gap=1)
    manifest = Manifest(1, 0, b"")
    sync.arrived("a", manifest)
    sync.lost("a")
    assert snapshots.told == [("a", manifest), ("a", None)]
    assert sync.progress == "taking a snapshot"
