"""Connections between nodes: real sockets and real TLS on loopback."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
from peers import CHAIN, QUICK, STRANGER, Node, RawPeer, until

from ledger.chain import limits
from ledger.chain.codec import Malformed
from ledger.node.net.connection import Volume
from ledger.node.net.frames import (
    Blocks,
    CertifiedBlock,
    Consensus,
    Frame,
    GetBlocks,
    Hello,
    NewHead,
    Ping,
    Pong,
    Transactions,
    encode_frame,
)
from ledger.node.net.transport import backoff

Start = Callable[..., Awaitable[Node]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    nodes: list[Node] = []

    async def begin(name: str, **options: object) -> Node:
        node = Node(name, **options)
        await node.network.start()
        nodes.append(node)
        return node

    yield begin
    await asyncio.gather(*(node.network.close() for node in nodes))
    mine = asyncio.current_task()
    await until(lambda: not [task for task in asyncio.all_tasks() if task is not mine])


async def pair(start: Start, **options: object) -> tuple[Node, Node]:
    b = await start("b", **options)
    a = await start("a", dial={"b": b.network.port}, **options)
    await until(lambda: "b" in a.network and "a" in b.network)
    return a, b


async def joined(node: Node, name: str, **options: int) -> RawPeer:
    peer = await RawPeer.connect(node.network.port, name, **options)
    peer.greet(name)
    await until(lambda: name in node.network)
    return peer


async def test_frames_of_every_kind_arrive_in_order(start):
    a, b = await pair(start)
    sent: list[Frame] = [
        Consensus(b"vote"),
        GetBlocks(1, 2),
        Blocks(1, (CertifiedBlock(bytes(limits.MIB), b"certificate"),)),
        Transactions((b"envelope",)),
    ]
    for frame in sent:
        assert a.network.send("b", frame)
    await until(lambda: len(b.got(Transactions)) == 1)
    arrived = [frame for _, frame in b.frames if not isinstance(frame, Ping | Pong)]
    assert arrived == [Hello(1, CHAIN, "a", 7), *sent]
    assert {peer for peer, _ in b.frames} == {"a"}


async def test_a_broadcast_reaches_the_named_peers_or_all(start):
    a, b = await pair(start)
    c = await start("c", dial={"a": a.network.port})
    await until(lambda: "c" in a.network)
    assert a.network.broadcast(NewHead(1, CHAIN)) == 2
    assert a.network.broadcast(NewHead(2, CHAIN), to=["c", "nobody"]) == 1
    await until(lambda: NewHead(2, CHAIN) in c.got(NewHead) and b.got(NewHead))
    assert NewHead(2, CHAIN) not in b.got(NewHead)
    assert not a.network.send("nobody", NewHead(1, CHAIN))


async def test_frames_and_bytes_are_counted_by_kind_at_both_ends(start):
    a, b = await pair(start)
    frames = [Consensus(b"one"), Consensus(b"another"), NewHead(7, bytes(32))]
    for frame in frames:
        assert a.network.send("b", frame)
    assert not a.network.send("nobody", frames[0])
    await until(lambda: b.got(NewHead))
    for counts in (a.network.traffic.sent, b.network.traffic.received):
        for kind in (Consensus, NewHead):
            sizes = [len(encode_frame(frame)) for frame in frames if isinstance(frame, kind)]
            assert counts[kind.__name__] == Volume(len(sizes), sum(sizes))
        assert counts["Hello"].frames == 1
        assert counts["Blocks"] == Volume()


async def test_a_connection_that_this_node_no_longer_wants_ends(start):
    a, b = await pair(start)
    dialler, other = (a, b) if a.network.peers()[0].dialled else (b, a)
    dialler.network.configure({}, set())
    await until(lambda: dialler.name not in other.network)
    assert other.name not in dialler.network


@pytest.mark.parametrize("order", ["at once", "smaller first", "larger first"])
async def test_two_nodes_that_dial_each_other_keep_what_the_smaller_id_dialled(start, order):
    a, b = await start("a"), await start("b")
    for here, there in ((a, b), (b, a)):
        here.network.configure({there.name: f"127.0.0.1:{there.network.port}"}, set())
    if order == "at once":
        await asyncio.gather(a.network._dial_once("b"), b.network._dial_once("a"))
    elif order == "smaller first":
        await a.network._dial_once("b")
        await b.network._dial_once("a")
    else:
        await b.network._dial_once("a")
        await a.network._dial_once("b")
    await until(lambda: [peer.dialled for peer in a.network.peers()] == [True])
    await until(lambda: [peer.dialled for peer in b.network.peers()] == [False])
    assert a.network.send("b", Consensus(b"still here"))
    await until(lambda: b.got(Consensus))
    await asyncio.sleep(0.2)
    assert [peer.dialled for peer in (*a.network.peers(), *b.network.peers())] == [True, False]


async def test_a_peer_that_died_is_dialled_until_it_is_back(start):
    a, b = await pair(start)
    port = b.network.port
    await b.network.close()
    await until(lambda: a.lost == ["b"])
    await until(lambda: a.network.traffic.failed_dials > 2)
    again = await start("b", port=port)
    await until(lambda: "b" in a.network and "a" in again.network)
    assert a.network.send("b", Consensus(b"welcome back"))
    await until(lambda: again.got(Consensus))


def test_the_pauses_between_dials_double_up_to_the_cap():
    settings = replace(QUICK, backoff_first=0.1, backoff_cap=3)
    assert [backoff(attempts, settings, 0.0) for attempts in (0, 3, 1000)] == [0.05, 0.4, 1.5]
    assert [backoff(attempts, settings, 1.0) for attempts in (0, 3, 1000)] == [0.1, 0.8, 3.0]


async def test_heartbeats_tell_the_height_and_keep_an_idle_connection(start):
    a, b = await pair(start)
    await asyncio.sleep(1.0)  # more than twice the silence that is allowed
    assert "b" in a.network
    assert a.lost == b.lost == []
    assert a.network.peers()[0].height == 7
    assert a.got(Ping)
    assert a.got(Pong)


async def test_a_frame_above_the_limit_costs_the_connection(start):
    node = await start("b")
    peer = await joined(node, "c")
    peer.writer.write(struct.pack(">I", limits.MAX_FRAME_BYTES + 1))
    assert await peer.hung_up()
    assert node.refused == {"oversized": 1}
    assert node.lost == ["c"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "oversized"),
        (bytes(4), "empty"),
        (struct.pack(">I", 5) + b"\x63garb", "unknown_kind"),
        (struct.pack(">I", 5) + b"\x01garb", "malformed"),
        (encode_frame(Ping(1, 1_000)), "no_hello"),
        (encode_frame(Consensus(bytes(2000))), "oversized"),
        (encode_frame(Hello(2, CHAIN, "c", 0)), "wrong_version"),
        (encode_frame(Hello(1, bytes(32), "c", 0)), "wrong_chain"),
        (encode_frame(Hello(1, CHAIN, "d", 0)), "wrong_identity"),
    ],
)
async def test_a_first_frame_that_is_no_good_greeting_is_refused(start, data, reason):
    node = await start("b")
    peer = await RawPeer.connect(node.network.port, "c")
    peer.writer.write(data)
    assert await peer.hung_up()
    assert node.refused == {reason: 1}
    assert node.frames == []


async def test_garbage_after_the_greeting_costs_the_connection(start):
    node = await start("b")
    peer = await joined(node, "c")
    peer.writer.write(encode_frame(Ping(3, 1_000)) + b"\x00\x00\x00\x03\x07\xff\xff")
    assert await peer.hung_up()
    assert node.refused == {"malformed": 1}
    assert node.got(Ping) == [Ping(3, 1_000)]


async def test_a_second_greeting_costs_the_connection(start):
    node = await start("b")
    peer = await joined(node, "c")
    peer.greet("c")
    assert await peer.hung_up()
    assert node.refused == {"repeated_hello": 1}


async def test_content_that_the_node_finds_malformed_costs_the_connection(start):
    node = await start("b")
    peer = await joined(node, "c")

    def reject(_peer: str, _frame: Frame) -> None:
        raise Malformed("not a consensus message")

    node.network._on_frame = reject
    peer.send(Consensus(b"?"), Consensus(b"?"))
    assert await peer.hung_up()
    assert node.refused == {"malformed": 1}


async def test_both_sides_of_a_wrong_chain_learn_the_reason(start):
    b = await start("b")
    a = await start("a", dial={"b": b.network.port}, chain=bytes(32))
    await until(lambda: a.refused.get("wrong_chain") or b.refused.get("wrong_chain"))
    await until(lambda: "wrong_chain" in a.refused and "wrong_chain" in b.refused)
    assert a.network.peers() == b.network.peers() == []


async def test_a_certificate_of_an_unknown_authority_does_not_pass_tls(start):
    node = await start("b")
    impostor = await start("a", dial={"b": node.network.port}, authority=STRANGER)
    await until(lambda: node.refused.get("handshake_failed"))
    assert "a" not in node.network
    assert node.frames == impostor.frames == []


async def test_a_certificate_that_is_not_on_the_chain_is_refused(start):
    node = await start("b", members={"a"})
    peer = await RawPeer.connect(node.network.port, "c")
    peer.greet("c")
    assert await peer.hung_up()
    assert node.refused == {"unknown_certificate": 1}
    assert node.frames == []


async def test_nobody_can_connect_as_the_node_itself(start):
    node = await start("b")
    peer = await RawPeer.connect(node.network.port, "b")
    assert await peer.hung_up()
    assert node.refused == {"unknown_certificate": 1}


async def test_another_node_at_a_dialled_address_is_not_taken_for_the_one_meant(start):
    c = await start("c")
    a = await start("a", dial={"b": c.network.port})
    await until(lambda: a.refused.get("wrong_identity"))
    assert a.network.peers() == []
    assert a.frames == []


async def test_a_member_that_was_removed_loses_its_connection(start):
    a, b = await pair(start)
    b.network.recheck()
    await asyncio.sleep(0.05)
    assert "a" in b.network
    b.members.discard("a")
    b.network.recheck()
    await until(lambda: "a" not in b.network)
    await until(lambda: a.lost)
    assert b.refused["unknown_certificate"] >= 1


async def test_a_connection_without_tls_or_without_greeting_times_out(start):
    node = await start("b")
    plain = RawPeer(*await asyncio.open_connection("127.0.0.1", node.network.port))
    silent = await RawPeer.connect(node.network.port, "c")
    assert await plain.hung_up()
    assert await silent.hung_up()
    assert node.refused == {"handshake_timeout": 2}


async def test_a_peer_that_falls_silent_is_given_up(start):
    node = await start("b")
    peer = await joined(node, "c")
    assert await peer.hung_up()
    assert node.refused == {"silent": 1}
    assert node.lost == ["c"]


async def test_plain_text_on_the_port_is_refused(start):
    node = await start("b")
    plain = RawPeer(*await asyncio.open_connection("127.0.0.1", node.network.port))
    plain.writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await plain.hung_up()
    assert node.refused == {"handshake_failed": 1}


async def test_a_newer_connection_of_a_peer_replaces_the_older(start):
    node = await start("b")
    older = await joined(node, "c")
    newer = await RawPeer.connect(node.network.port, "c")
    newer.greet("c")
    assert await older.hung_up()
    assert "c" in node.network
    assert node.lost == []
    assert len(node.got(Hello)) == 2


async def test_a_flood_of_strangers_disturbs_nobody(start):
    settings = replace(QUICK, max_handshakes=16, accepts_per_second=500, handshake_timeout=2.0)
    a, b = await pair(start, settings=settings)
    flood = [
        RawPeer(*await asyncio.open_connection("127.0.0.1", b.network.port)) for _ in range(100)
    ]
    for number in range(50):
        a.network.send("b", Consensus(bytes([number])))
        await asyncio.sleep(0.005)
    await until(lambda: len(b.got(Consensus)) == 50)
    latecomer = await start("c", dial={"b": b.network.port}, settings=settings)
    await until(lambda: "b" in latecomer.network)
    assert "a" in b.network
    assert a.lost == b.lost == []
    assert b.refused["evicted"] >= 80
    assert len(b.network._handshakes) <= 16
    assert all(await asyncio.gather(*(peer.hung_up() for peer in flood)))


async def test_strangers_beyond_the_connection_limit_are_refused_and_known_nodes_are_not(start):
    node = await start("b", settings=replace(QUICK, max_connections=1, silence_timeout=60))
    first = await joined(node, "c")
    peer = await RawPeer.connect(node.network.port, "d")
    peer.greet("d")
    assert await peer.hung_up()
    assert node.refused["too_many_connections"] == 1
    node.network.configure({"a": "127.0.0.1:1"}, set())
    second = await joined(node, "a")
    assert {peer.node for peer in node.network.peers()} == {"a", "c"}
    first.writer.close()
    second.writer.close()


async def test_a_peer_that_does_not_read_is_bounded_and_then_dropped(start):
    settings = replace(QUICK, queue_bytes=40 * limits.MIB, silence_timeout=60)
    node = await start("b", settings=settings)
    other = await start("a", dial={"b": node.network.port}, settings=settings)
    await until(lambda: "a" in node.network)
    peer = await joined(node, "c", limit=1024)  # and never reads
    gossip, vote = Transactions((bytes(limits.MIB),)), Consensus(bytes(limits.MIB))
    while node.network.send("c", gossip):
        pass
    assert node.network.send("c", vote)  # pushes gossip out
    queued = next(peer.queued for peer in node.network.peers() if peer.node == "c")
    assert queued <= 40 * limits.MIB
    assert node.network.traffic.dropped == {"Transactions": 2}
    node.network.send("a", Consensus(b"undisturbed"))
    await until(lambda: other.got(Consensus))
    await until(lambda: "c" not in node.network)
    assert node.refused == {"stalled": 1}
    assert "a" in node.network
    peer.writer.close()


async def test_votes_overtake_gossip_that_waits(start):
    node = await start("b", settings=replace(QUICK, silence_timeout=60, stall_timeout=60))
    peer = await joined(node, "c")
    for _ in range(20):
        node.network.send("c", Transactions((bytes(limits.MIB),)))
    await asyncio.sleep(0.2)  # the sockets are full by now
    node.network.send("c", Consensus(b"vote"))
    arrived: list[type[Frame]] = []
    while Consensus not in arrived:
        arrived += [type(frame) for frame in await peer.read()]
    assert arrived.count(Transactions) < 20


async def test_a_closed_network_frees_its_port_and_tells_its_peers(start):
    a, b = await pair(start)
    port = a.network.port
    await a.network.close()
    await until(lambda: b.lost == ["a"])
    again = await start("a", port=port)
    assert again.network.port == port


async def test_a_port_in_use_is_an_error_at_the_start(start):
    a = await start("a")
    with pytest.raises(OSError, match="in use"):
        await Node("b", port=a.network.port).network.start()
