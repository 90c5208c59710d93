"""One copy of a chain: what it stores, what it refuses, and that copies agree."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from ledger.chain.block import Block, Certificate, InvalidCertificate
from ledger.chain.store import Store, StoreFull
from ledger.contracts.blocks import BlockFault
from ledger.contracts.replica import Replica
from tests.support.chain_fixtures import consortium
from tests.support.founded import Chain
from tests.support.local_service import Consortium

__all__ = ["consortium"]


@pytest.fixture
def chain(consortium: Consortium, tmp_path: Path) -> Iterator[Chain]:
    chain = Chain(consortium, tmp_path)
    yield chain
    chain.replica.store.close()


def test_copies_that_get_the_same_blocks_are_the_same(chain: Chain) -> None:
    follower = chain.another()
    assert follower.position == chain.replica.position
    for number in range(3):
        follower.extend(*chain.append(chain.grant(str(number))))
    assert follower.position == chain.replica.position
    assert follower.tip().log_root == chain.replica.tip().log_root
    key = b"consent/consents/1"
    assert follower.read(key) == chain.replica.read(key) == follower.store.value(key)


def test_a_copy_that_is_opened_again_goes_on(chain: Chain) -> None:
    chain.append(chain.grant("a"))
    again = Replica(chain.replica.store)
    assert again.position == chain.replica.position
    assert again.tip().log_root == chain.replica.tip().log_root
    executed = chain.executed(chain.grant("b"))
    again.extend(executed.block, chain.certificate(executed.block))
    assert again.head == executed.block.header


def test_a_store_without_a_chain_is_no_replica(tmp_path: Path) -> None:
    store = Store.open(str(tmp_path / "empty.db"), create=True)
    with pytest.raises(ValueError, match="no chain"):
        Replica(store)
    store.close()


def test_an_empty_store_is_founded_and_a_full_one_opened(chain: Chain, tmp_path: Path) -> None:
    genesis = chain.replica.genesis
    store = Store.open(str(tmp_path / "new.db"), create=True)
    founded = Replica.open(store, genesis)
    assert founded.head.height == 0
    assert Replica.open(store, genesis).head == founded.head
    store.close()


def test_the_store_of_another_chain_is_not_opened(chain: Chain) -> None:
    other = msgspec.structs.replace(chain.replica.genesis, network="elsewhere")
    with pytest.raises(ValueError, match="another chain"):
        Replica.open(chain.replica.store, other)


def test_a_block_without_a_quorum_is_not_stored(chain: Chain) -> None:
    block = chain.executed(chain.grant("a")).block
    good = chain.certificate(block)
    short = Certificate(good.height, good.view, good.block, good.signatures[:2])
    with pytest.raises(InvalidCertificate):
        chain.replica.extend(block, short)
    assert chain.replica.head.height == 0


def test_a_certified_block_that_does_not_check_out_is_not_stored(chain: Chain) -> None:
    good = chain.executed(chain.grant("a")).block
    wrong = Block(msgspec.structs.replace(good.header, state_root=bytes(32)), good.transactions)
    before = chain.replica.position
    with pytest.raises(BlockFault, match="state root"):
        chain.replica.extend(wrong, chain.certificate(wrong))
    assert chain.replica.position is before
    chain.replica.extend(good, chain.certificate(good))


def test_a_block_that_finds_no_room_changes_nothing_and_can_come_again(chain: Chain) -> None:
    """The database is given no more pages than it has: what SQLite says on a full disk."""
    chain.append(chain.grant("a"))
    replica = chain.replica
    database = replica.store._database._writer
    assert database is not None
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    before = replica.position
    root = replica.tip().log_root
    database.execute(f"PRAGMA max_page_count = {pages}")
    many = [chain.grant(f"many-{number}") for number in range(100)]
    executed = chain.executed(*many)
    certificate = chain.certificate(executed.block)
    with pytest.raises(StoreFull):
        replica.commit(executed, certificate)

    assert replica.position is before
    assert replica.tip().log_root == root
    assert replica.store.head() == before.head
    assert replica.read(b"consent/consents/many-1") is None
    assert replica.store.value(b"consent/consents/many-1") is None
    assert replica.store.locate(many[0].id) is None
    assert chain.executed(*many) == executed

    database.execute("PRAGMA max_page_count = 1000000")
    replica.commit(executed, certificate)
    assert replica.head == executed.block.header
    assert replica.read(b"consent/consents/many-1") is not None
