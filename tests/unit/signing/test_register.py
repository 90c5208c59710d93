"""Promises are in the store before the watermark claims them, and in both before they leave."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.chain.store import ConflictingVote, Store, StoreFull
from ledger.chain.vote import Vote
from ledger.node.signing.register import Forgotten, Register
from ledger.node.signing.standing import Memory, Standing
from ledger.node.signing.watermark import EVERY_VOTE, Watermark
from tests.support.chain import HandmadeChain


def vote(height: int = 1, view: int = 0, phase: str = "prepare", digest: bytes = b"d") -> Vote:
    return Vote(height, view, phase, digest * 32, b"m")


class Rig:
    """A store with its watermark, opened as often as a test likes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "ledger.db"
        self.chain = HandmadeChain(self.path)
        self.chain.append()
        self.register = self.opened(self.chain.store)

    def opened(self, store: Store, *, was_empty: bool = False) -> Register:
        self.watermark = Watermark(self.directory / "signer", self.chain.chain, "n1")
        return Register(store, self.watermark, was_empty=was_empty)

    def standing(self) -> Standing:
        return self.opened(self.chain.store).standing

    def backup(self) -> bytes:
        self.chain.store.close()
        content = self.path.read_bytes()
        self.chain.store = Store.open(str(self.path))
        self.register = self.opened(self.chain.store)
        return content

    def restore(self, content: bytes) -> None:
        self.chain.store.close()
        self.path.write_bytes(content)
        self.chain.store = Store.open(str(self.path))


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.chain.store.close()


def test_without_a_watermark_an_existing_chain_is_not_vouched_for(rig: Rig) -> None:
    assert rig.register.standing == Standing(Memory.UNKNOWN)


def test_a_node_that_stops_and_starts_knows_all_it_promised(rig: Rig) -> None:
    rig.register.vouch(1)
    assert rig.standing() == Standing(Memory.WHOLE)
    for each in (vote(2), vote(2, phase="commit"), vote(2, view=1)):
        rig.register.save([each])
        assert rig.standing() == Standing(Memory.WHOLE)
    rig.chain.append()
    assert rig.standing() == Standing(Memory.WHOLE)


def test_a_database_put_back_within_a_height_is_older_than_the_watermark(rig: Rig) -> None:
    rig.register.vouch(1)
    rig.register.save([vote(2)])
    content = rig.backup()
    assert rig.register.standing == Standing(Memory.WHOLE)
    rig.register.save([vote(2, phase="commit")])
    rig.restore(content)
    assert rig.standing() == Standing(Memory.OLDER, 2)


def test_a_database_put_back_by_some_heights_is_older_than_the_watermark(rig: Rig) -> None:
    rig.register.vouch(1)
    content = rig.backup()
    for height in (2, 3):
        rig.register.save([vote(height)])
        rig.chain.append()
    rig.register.save([vote(4)])
    rig.restore(content)
    assert rig.standing() == Standing(Memory.OLDER, 4)


def test_nothing_is_saved_where_the_node_abstains(rig: Rig) -> None:
    rig.register.abstain(3)
    for height in (2, 3):
        with pytest.raises(Forgotten):
            rig.register.save([vote(height)])
    assert rig.chain.store.votes(2) == []
    rig.register.save([vote(4)])
    assert rig.watermark.mark is not None
    assert (rig.watermark.mark.height, rig.watermark.mark.votes) == (4, 1)


def test_abstaining_survives_a_restart(rig: Rig) -> None:
    rig.register.abstain(3)
    assert rig.standing() == Standing(Memory.OLDER, 3)
    with pytest.raises(Forgotten):
        rig.opened(rig.chain.store).save([vote(3)])


def test_a_vote_that_the_store_refuses_is_not_counted(rig: Rig) -> None:
    rig.register.vouch(1)
    rig.register.save([vote(2)])
    with pytest.raises(ConflictingVote):
        rig.register.save([vote(2, digest=b"e")])
    assert rig.watermark.mark is not None
    assert rig.watermark.mark.votes == 1


def test_a_save_that_is_repeated_counts_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.register.vouch(1)

    def full(*_: object) -> None:
        raise StoreFull("no room")

    with monkeypatch.context() as patch:
        patch.setattr(rig.watermark, "set", full)
        with pytest.raises(StoreFull):
            rig.register.save([vote(2)])
    assert rig.standing() == Standing(Memory.WHOLE)
    rig.register.save([vote(2)])
    rig.register.save([])
    assert rig.watermark.mark is not None
    assert rig.watermark.mark.votes <= 1


def test_the_store_has_what_the_watermark_claims_at_every_moment(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.register.vouch(1)
    claims: list[tuple[int, int]] = []
    real = rig.watermark.set

    def look(height: int, votes: int) -> None:
        assert len(rig.chain.store.votes(height)) >= votes
        claims.append((height, votes))
        real(height, votes)

    monkeypatch.setattr(rig.watermark, "set", look)
    rig.register.save([vote(2), vote(2, phase="commit")])
    assert claims == [(2, 2)]
    assert claims[0][1] < EVERY_VOTE
