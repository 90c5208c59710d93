"""Asking the others: what counts as an answer, and what follows from it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.chain.block import Certificate, CommitSignature, Header
from ledger.chain.codec import Malformed
from ledger.chain.constitution import Parameters
from ledger.chain.store import StoreUnusable
from ledger.chain.vote import Vote
from ledger.consensus.messages import Prepare, encode_message, prepare_statement
from ledger.contracts.replica import Position
from ledger.crypto.keys import SigningKey
from ledger.node.net.frames import Frame, GetHeard, Heard
from ledger.node.signing import joining as module
from ledger.node.signing.joining import IdentityInUse, Joining
from ledger.node.signing.register import Register
from ledger.node.signing.standing import Memory
from ledger.node.signing.watermark import Watermark
from tests.support.chain import HandmadeChain, key_of

NODE = "n1"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ASK_SECONDS", "WATCH_SECONDS", "LOOK_SECONDS"):
        monkeypatch.setattr(module, name, 0.001)


class Rig:
    """Node n1 of four, at height 2, and what it sends."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.chain = HandmadeChain(directory / "ledger.db")
        self.chain.append()
        self.chain.append()
        self.sent: list[tuple[str, Frame]] = []
        Register(self.chain.store, self.watermark(), was_empty=False).vouch(2)
        self.start()

    def watermark(self) -> Watermark:
        return Watermark(self.directory / "signer", self.chain.chain, NODE)

    def start(self) -> Joining:
        self.register = Register(self.chain.store, self.watermark(), was_empty=False)
        self.joining = Joining(
            NODE, key_of(NODE), self.chain.store, self.register, self.position, self.send
        )
        return self.joining

    def position(self) -> Position:
        return Position(self.chain.head, self.chain.validators, Parameters())

    def send(self, node: str, frame: Frame) -> bool:
        self.sent.append((node, frame))
        return True

    @property
    def head(self) -> Header:
        return self.chain.head

    def prepare(
        self, height: int, digest: bytes = bytes(32), key: SigningKey | None = None
    ) -> bytes:
        return encode_message(self.signed(height, digest, key))

    def signed(self, height: int, digest: bytes, key: SigningKey | None = None) -> Prepare:
        statement = prepare_statement(self.chain.chain, height, 0, digest)
        return Prepare(height, 0, digest, NODE, (key or key_of(NODE)).sign(statement))

    def store(self, height: int, digest: bytes = bytes(32)) -> None:
        message = self.prepare(height, digest)
        self.register.save([Vote(height, 0, "prepare", digest, message)])

    def answer(self, *statements: bytes, height: int = 2, nodes: str = "234") -> None:
        for number in nodes:
            self.joining.arrived(f"n{number}", Heard(height, statements))

    async def admitted(self) -> bool:
        try:
            await asyncio.wait_for(self.joining.admitted(), 0.2)
        except TimeoutError:
            return False
        return True


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.chain.store.close()


async def test_a_node_asks_all_others_until_it_may_vote(rig: Rig) -> None:
    assert not await rig.admitted()
    assert "0 of 2" in rig.joining.reason
    assert {node for node, _ in rig.sent} == {"n2", "n3", "n4"}
    assert all(frame == GetHeard(2) for _, frame in rig.sent)
    rig.answer(nodes="23")
    assert await rig.admitted()
    assert rig.joining.reason == ""


async def test_its_own_stored_votes_are_no_news(rig: Rig) -> None:
    rig.store(3)
    rig.start()
    rig.answer(rig.prepare(3), nodes="23")
    assert await rig.admitted()


async def test_a_signature_that_the_store_does_not_have_closes_its_height(rig: Rig) -> None:
    rig.answer(rig.prepare(3))
    assert not await rig.admitted()
    assert "up to height 3" in rig.joining.reason
    rig.chain.append()
    assert await rig.admitted()


async def test_what_it_learned_survives_a_restart(rig: Rig) -> None:
    rig.answer(rig.prepare(3))
    assert not await rig.admitted()
    rig.start()
    assert rig.register.standing.memory is Memory.OLDER
    rig.answer()
    assert not await rig.admitted()


async def test_another_vote_for_the_same_view_is_news(rig: Rig) -> None:
    rig.store(3)
    rig.start()
    rig.answer(rig.prepare(3, b"\1" * 32))
    assert not await rig.admitted()


async def test_old_news_is_none(rig: Rig) -> None:
    rig.answer(rig.prepare(2, b"\1" * 32))
    assert await rig.admitted()


async def test_what_this_node_has_not_signed_counts_for_nothing(rig: Rig) -> None:
    rig.answer(rig.prepare(3, key=key_of("n2")))
    assert await rig.admitted()


@pytest.mark.parametrize("what", ["another's", "garbage"])
async def test_what_is_no_statement_of_this_node_is_malformed(rig: Rig, what: str) -> None:
    other = encode_message(Prepare(3, 0, bytes(32), "n2", rig.signed(3, bytes(32)).signature))
    raw = {"another's": other, "garbage": b"\x00"}[what]
    with pytest.raises(Malformed):
        rig.answer(raw)
    assert not await rig.admitted()


async def test_a_process_with_the_same_key_is_noticed_by_one_that_votes(rig: Rig) -> None:
    rig.answer()
    assert await rig.admitted()
    rig.answer(rig.prepare(3, b"\1" * 32))
    with pytest.raises(IdentityInUse, match="another process uses the identity of n1"):
        await asyncio.wait_for(rig.joining.watch(), 1)


async def test_one_that_goes_on_voting_is_noticed_by_one_that_waits(rig: Rig) -> None:
    rig.answer()
    rig.joining.arrived("n2", Heard(2, (rig.prepare(3),)))
    assert not await rig.admitted()
    rig.answer(rig.prepare(9), height=8)
    with pytest.raises(IdentityInUse):
        await rig.joining.admitted()


def certificate(rig: Rig, height: int, *nodes: str) -> Certificate:
    return Certificate(
        height, 0, bytes(32), tuple(CommitSignature(node, bytes(64)) for node in nodes)
    )


async def test_a_block_with_a_signature_that_a_voting_node_did_not_make_stops_it(rig: Rig) -> None:
    rig.answer()
    assert await rig.admitted()
    rig.joining.decided(certificate(rig, 3, "n2", "n3", "n4"))
    with pytest.raises(IdentityInUse):
        rig.joining.decided(certificate(rig, 3, "n1", "n2", "n3"))


async def test_a_block_with_its_own_signature_is_as_it_should_be(rig: Rig) -> None:
    rig.answer()
    assert await rig.admitted()
    rig.register.save([Vote(3, 0, "commit", bytes(32), b"m")])
    rig.joining.decided(certificate(rig, 3, "n1", "n2", "n3"))
    rig.chain.append()
    rig.start()
    rig.answer(height=3)
    assert await rig.admitted()
    rig.register.save([Vote(4, 0, "commit", bytes(32), b"m")])
    rig.start()
    rig.joining.decided(certificate(rig, 4, "n1", "n2", "n3"))
    assert rig.joining.vouched


async def test_a_machine_that_was_put_back_is_known_by_its_signature_on_later_blocks(
    rig: Rig,
) -> None:
    rig.joining.decided(certificate(rig, 3, "n1", "n2", "n3"))
    assert not rig.joining.vouched
    assert rig.start().vouched is False
    rig.answer(height=4)
    assert not await rig.admitted()
    assert "up to height 8" in rig.joining.reason


async def test_votes_of_its_own_do_not_alarm_a_node(rig: Rig) -> None:
    rig.answer()
    assert await rig.admitted()
    rig.store(3)
    rig.answer(rig.prepare(3))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(rig.joining.watch(), 0.05)


async def test_stored_votes_that_are_damaged_are_not_gone_by(rig: Rig) -> None:
    rig.register.save([Vote(3, 0, "prepare", bytes(32), b"\xff")])
    with pytest.raises(StoreUnusable, match="votes are damaged"):
        rig.answer(rig.prepare(3))


def claims(joining: Joining, *heights: int) -> None:
    """Nodes n2, n3 … connect and say where their chains stand."""
    for number, height in enumerate(heights, 2):
        joining.met(f"n{number}", height)


async def test_a_follower_is_vouched_for_once_its_chain_is_longer_than_any_was_at_its_start(
    rig: Rig,
) -> None:
    (rig.directory / "signer" / "watermark").unlink()
    assert not rig.start().vouched
    claims(rig.joining, 2, 2, 2)
    await rig.joining.follows()
    assert not rig.joining.vouched
    rig.chain.append()
    claims(rig.joining, 3, 3, 3)
    await rig.joining.follows()
    assert rig.joining.vouched
    assert rig.start().vouched


@pytest.mark.parametrize("heights", [(1, 1), (1, 1, 2), (1, 1, 2**50), ()])
async def test_of_fewer_than_a_quorum_nothing_follows(rig: Rig, heights: tuple[int, ...]) -> None:
    (rig.directory / "signer" / "watermark").unlink()
    claims(rig.start(), *heights)
    await rig.joining.follows()
    assert not rig.joining.vouched
    assert not rig.start().vouched


async def test_a_liar_that_claims_a_huge_chain_does_not_keep_a_follower_from_a_vote(
    rig: Rig,
) -> None:
    (rig.directory / "signer" / "watermark").unlink()
    rig.start().met("n1", 1)
    claims(rig.joining, 2**50, 1, 1)
    await rig.joining.follows()
    assert rig.joining.vouched


async def test_two_looks_at_once_note_it_once(rig: Rig) -> None:
    (rig.directory / "signer" / "watermark").unlink()
    claims(rig.start(), 1, 1, 1)
    await asyncio.gather(*(rig.joining.follows() for _ in range(8)))
    assert rig.watermark().mark is not None
    assert rig.start().vouched


def test_others_are_told_what_was_heard_from_them(rig: Rig) -> None:
    message = rig.signed(3, bytes(32))
    assert rig.joining.answer([message]) == Heard(2, (encode_message(message),))
