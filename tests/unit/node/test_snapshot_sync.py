"""Taking a snapshot from peers that tell the truth, lie, stay silent, forget or go away."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from ledger.chain import supplier
from ledger.chain.codec import encode
from ledger.chain.compression import compress, decompress
from ledger.chain.handover import Trust
from ledger.chain.snapshot import Anchor, Trace, children, read_chunk
from ledger.chain.snapshot import Chunk as ChunkContent
from ledger.chain.store import Store
from ledger.node.net.frames import (
    Chunk,
    Frame,
    GetChunk,
    GetManifest,
    GetTrail,
    Manifest,
    Trail,
)
from ledger.node.sync import peers as peers_module
from ledger.node.sync import plan
from ledger.node.sync.peers import Peers
from ledger.node.sync.provider import Question, answer
from ledger.node.sync.snapshots import Answer, SnapshotSync
from tests.support.chain import HandmadeChain

WINDOW = 8
GAP = 5

Way = Callable[[Question], Frame | None]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> HandmadeChain:
    chain = HandmadeChain(tmp_path_factory.mktemp("chain") / "chain.db")
    choice = random.Random(7)
    for _ in range(30):
        writes: dict[bytes, bytes | None] = {
            b"records/m/%d" % choice.randrange(2_000): encode("x" * choice.randrange(900))
            for _ in range(40)
        }
        chain.append([chain.transaction()], writes)
    return chain


class World:
    """A node that takes a snapshot, and peers of which each has its own way of answering."""

    def __init__(self, chain: HandmadeChain, store: Store) -> None:
        self.chain = chain
        self.store = store
        self.asked: list[tuple[str, Question]] = []
        self.ways: dict[str, Way] = {}
        self.peers = Peers()
        self.adopted: list[Anchor] = []
        self.sync = SnapshotSync(
            Trust(chain.chain, chain.founders),
            store,
            self.peers,
            self.send,
            self.adopt,
            gap=GAP,
        )

    def truth(self, question: Question) -> Frame:
        return answer(self.chain.store, question)

    def send(self, node: str, question: Frame) -> bool:
        assert isinstance(question, GetManifest | GetChunk | GetTrail)
        self.asked.append((node, question))
        if node not in self.ways:
            return False
        found = self.ways[node](question)
        if found is not None:
            asyncio.get_running_loop().call_soon(self.give, node, found)
        return True

    def give(self, node: str, frame: Frame) -> None:
        assert isinstance(frame, Manifest | Chunk | Trail)
        self.sync.arrived(node, frame)

    async def adopt(self, anchor: Anchor) -> None:
        await asyncio.to_thread(self.store.begin_at, anchor)
        self.adopted.append(anchor)

    def peer(self, node: str, way: Way, claim: int | None = None) -> None:
        self.ways[node] = way
        self.peers.heard(node, self.chain.head.height if claim is None else claim)

    def count(self, node: str) -> int:
        return sum(1 for who, _question in self.asked if who == node)


@pytest.fixture
async def world(chain: HandmadeChain, tmp_path: Path) -> AsyncIterator[World]:
    store = chain.found(tmp_path / "store.db")
    yield World(chain, store)
    store.close()


def is_there(world: World) -> None:
    assert world.store.head() == world.chain.head
    assert world.store.base() == world.chain.head.height + 1
    for number in range(0, 2_000, 50):
        key = b"records/m/%d" % number
        assert world.store.value(key) == world.chain.store.value(key)


async def test_a_snapshot_comes_from_all_peers_together(world: World) -> None:
    for node in ("a", "b", "c"):
        world.peer(node, world.truth)
    assert await world.sync.run()
    is_there(world)
    assert all(world.count(node) > 3 for node in "abc")
    asked = [question for _node, question in world.asked]
    assert len(asked) == len(set(asked))
    assert world.peers.liars == {}


async def test_without_peers_there_is_none(world: World) -> None:
    assert not await world.sync.run()
    world.peers.heard("gone", 30)
    assert not await world.sync.run()
    assert world.store.height() == 0


async def test_peers_that_give_no_snapshot_are_left_alone_and_not_called_liars(
    world: World,
) -> None:
    world.peer("a", lambda question: Manifest(0, 0, b""))
    assert not await world.sync.run()
    assert world.peers.liars == {}
    assert world.peers.target == 0


async def test_a_snapshot_of_too_low_a_block_is_not_taken_and_nobody_is_blamed(
    world: World,
) -> None:
    world.peer("honest", world.truth)
    world.peer("boaster", world.truth, claim=10**12)
    assert not await world.sync.run(world.chain.head.height)
    assert world.adopted == []
    assert world.peers.liars == {}
    assert [node for _claim, node in world.peers.believed()] == ["honest"]
    assert await world.sync.run(world.chain.head.height - 1)
    is_there(world)


async def test_a_peer_that_boasts_is_not_believed(world: World) -> None:
    world.peer("boaster", world.truth, claim=10**12)
    world.peer("honest", world.truth)
    assert await world.sync.run()
    is_there(world)
    assert world.peers.target == world.chain.head.height


def other_manifest(raw: bytes) -> bytes:
    return raw[:-1] + bytes([raw[-1] ^ 1])


def without_an_entry(raw: bytes) -> bytes:
    chunk = msgspec.msgpack.decode(raw, type=ChunkContent)
    return encode(ChunkContent(chunk.entries[1:], chunk.slots[1:]))


def with_other_ids(raw: bytes) -> bytes:
    first, *rest = msgspec.msgpack.decode(raw, type=tuple[Trace, ...])
    return encode((Trace(first.header, bytes(32)), *rest))


def bomb(_raw: bytes) -> bytes:
    return bytes(2**23)


def liar(world: World, kind: type[Frame], lie: Callable[[bytes], bytes]) -> Way:
    """Answers the truth, except for frames of one kind."""

    def way(question: Question) -> Frame:
        frame = world.truth(question)
        if type(frame) is not kind:
            return frame
        assert isinstance(frame, Manifest | Chunk | Trail)
        raw = decompress(frame.content, 2**24)
        return msgspec.structs.replace(frame, content=compress(lie(raw)))

    return way


@pytest.mark.parametrize(
    ("kind", "lie", "rule"),
    [
        (Manifest, other_manifest, ""),
        (Manifest, lambda _raw: b"\xc1", "malformed"),
        (Chunk, without_an_entry, ""),
        (Chunk, lambda _raw: b"\xc1", "malformed"),
        (Chunk, bomb, "malformed"),
        (Trail, with_other_ids, "trail"),
        (Trail, lambda _raw: b"\xc1", "malformed"),
    ],
)
async def test_a_liar_is_named_with_the_rule_and_others_go_on(
    world: World, kind: type[Frame], lie: Callable[[bytes], bytes], rule: str
) -> None:
    world.peer("liar", liar(world, kind, lie), claim=world.chain.head.height + 1)
    world.peer("honest", world.truth)
    assert await world.sync.run()
    is_there(world)
    assert list(world.peers.liars) == ["liar"]
    assert world.peers.liars["liar"].startswith(rule)
    last = max(place for place, (node, _question) in enumerate(world.asked) if node == "liar")
    assert last < len(world.asked) - 5


async def test_a_trail_that_hangs_together_and_leads_elsewhere_is_its_senders_fault(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "MAX_TRACES", 2)
    other = HandmadeChain(tmp_path / "other.db")
    while other.head.height < world.chain.head.height:
        other.append()

    def way(question: Question) -> Frame:
        elsewhere = isinstance(question, GetTrail) and question.top < world.chain.head.height
        return answer(other.store, question) if elsewhere else world.truth(question)

    world.peer("liar", way)
    world.peer("honest", world.truth)
    assert await world.sync.run()
    is_there(world)
    assert list(world.peers.liars) == ["liar"]
    assert world.peers.liars["liar"].startswith("trail")
    other.store.close()


async def test_a_silent_peer_is_given_up_and_what_it_owed_comes_from_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers_module, "FIRST_PATIENCE", 0.2)

    def way(question: Question) -> Frame | None:
        return world.truth(question) if isinstance(question, GetManifest) else None

    world.peer("silent", way)
    world.peer("honest", world.truth)
    assert await world.sync.run()
    is_there(world)
    assert world.peers.liars == {}
    assert "silent" not in [node for _claim, node in world.peers.believed()]


async def test_a_peer_lost_on_the_way_is_replaced(world: World) -> None:
    def way(question: Question) -> Frame | None:
        if isinstance(question, GetManifest) or world.count("leaving") < 4:
            return world.truth(question)
        world.peers.gone("leaving")
        asyncio.get_running_loop().call_soon(world.sync.lost, "leaving")
        return None

    world.peer("leaving", way)
    world.peer("honest", world.truth)
    assert await world.sync.run()
    is_there(world)


async def test_another_provider_goes_on_with_the_same_pieces(world: World) -> None:
    def way(question: Question) -> Frame | None:
        frame = world.truth(question)
        forgets = isinstance(frame, Chunk) and world.count("forgetful") > 12
        return msgspec.structs.replace(frame, content=b"") if forgets else frame

    world.peer("forgetful", way)
    assert not await world.sync.run()
    staged = world.store.staging().count()
    assert staged > 5
    world.asked.clear()
    world.ways.clear()
    world.peers.gone("forgetful")
    world.peer("honest", world.truth)
    assert await world.sync.run()
    is_there(world)
    whole = 1 + sum(1 for _ in entries_and_trail(world))
    assert world.count("honest") <= whole - staged + WINDOW + 2


def entries_and_trail(world: World) -> list[bytes]:
    """The paths of all chunks, and one more for each height of the trail."""
    found = [b""] * WINDOW
    wanted = [(b"", world.chain.head.state_root)]
    while wanted:
        path, expected = wanted.pop()
        found.append(path)
        raw = supplier.chunk(world.chain.store, world.chain.head.height, path)
        assert raw is not None
        wanted += children(path, read_chunk(raw, path, expected).slots)
    return found


async def test_a_node_whose_own_state_is_old_asks_only_for_what_has_changed(
    chain: HandmadeChain, tmp_path: Path
) -> None:
    copy = HandmadeChain(tmp_path / "copy.db")
    choice = random.Random(7)
    for _ in range(30):
        writes: dict[bytes, bytes | None] = {
            b"records/m/%d" % choice.randrange(2_000): encode("x" * choice.randrange(900))
            for _ in range(40)
        }
        copy.append([copy.transaction()], writes)
    fresh = World(chain, chain.found(tmp_path / "fresh.db"))
    fresh.peer("honest", fresh.truth)
    assert await fresh.sync.run()
    old = World(HandmadeChain(tmp_path / "longer.db"), copy.store)
    choice = random.Random(7)
    for _ in range(30):
        writes = {
            b"records/m/%d" % choice.randrange(2_000): encode("x" * choice.randrange(900))
            for _ in range(40)
        }
        old.chain.append([old.chain.transaction()], writes)
    for _ in range(20):
        old.chain.append(writes={b"records/m/1": encode(old.chain.head.height)})
    old.peer("honest", old.truth)
    assert await old.sync.run()
    is_there(old)
    assert 3 * old.count("honest") < fresh.count("honest")
    for store in (fresh.store, copy.store, old.chain.store):
        store.close()


async def test_a_snapshot_that_the_chain_left_behind_is_given_up_for_a_newer_one(
    world: World, tmp_path: Path
) -> None:
    grown = HandmadeChain(tmp_path / "grown.db")
    for number in range(10):
        grown.append([grown.transaction()], {b"records/m/%d" % number: encode("x" * 900)})
    mine = World(grown, grown.found(tmp_path / "mine.db"))

    def way(question: Question) -> Frame:
        frame = mine.truth(question)
        if isinstance(question, GetChunk) and grown.head.height < 10 + 2 * GAP:
            for _ in range(2 * GAP):
                grown.append()
            mine.peers.heard("growing", grown.head.height)
        return frame

    mine.peer("growing", way)
    assert await mine.sync.run()
    assert [anchor.header.height for anchor in mine.adopted] == [10 + 2 * GAP]
    mine.store.close()
    grown.store.close()


async def test_a_snapshot_that_is_staged_whole_is_taken_without_another_question(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_room(_anchor: Anchor) -> None:
        raise OSError("the power failed")

    world.peer("a", world.truth)
    with monkeypatch.context() as broken:
        broken.setattr(world.sync, "_adopt", no_room)
        with pytest.raises(OSError, match="power"):
            await world.sync.run()
    world.asked.clear()
    assert await world.sync.run()
    is_there(world)
    assert {type(question) for _node, question in world.asked} == {GetManifest}


async def test_answers_that_were_not_asked_for_are_dropped(world: World) -> None:
    def way(question: Question) -> Frame:
        stranger: Answer = Chunk(30, b"\x01", b"junk")
        world.sync.arrived("stranger", stranger)
        world.sync.arrived("honest", Chunk(30, b"\x0f" * 60, b"junk"))
        world.sync.arrived("honest", Manifest(1, 99, b"junk"))
        return world.truth(question)

    world.peer("honest", way)
    assert await world.sync.run()
    is_there(world)
    assert world.peers.liars == {}


async def test_what_is_going_on_is_told_in_words(world: World) -> None:
    told: list[str] = []

    def way(question: Question) -> Frame:
        told.append(world.sync.progress)
        return world.truth(question)

    world.peer("honest", way)
    assert world.sync.progress == ""
    assert await world.sync.run()
    assert world.sync.progress == ""
    assert told[-1].startswith("taking a snapshot of block 30: ")
