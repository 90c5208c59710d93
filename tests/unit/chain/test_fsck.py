"""The check at every start, and reads that notice what a disk has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.chain.database import StoreUnusable
from ledger.chain.fsck import NEWEST, check
from ledger.chain.store import Store
from ledger.chain.verified import VerifiedReads
from tests.support.chain import HandmadeChain
from tests.support.rows import execute

BLOCKS = 6


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def chain(path: Path) -> Iterator[HandmadeChain]:
    chain = HandmadeChain(path)
    for height in range(1, BLOCKS + 1):
        writes: dict[bytes, bytes | None] = {
            b"records/r/%d" % number: b"%d at %d" % (number, height) for number in range(40)
        }
        chain.append([chain.transaction(), chain.transaction()], writes)
    yield chain
    chain.store.close()


def test_a_good_store_passes(chain: HandmadeChain) -> None:
    assert check(chain.store) == BLOCKS + 1
    assert check(chain.store, newest=3) == 3
    assert NEWEST > 3


def test_an_empty_store_passes(tmp_path: Path) -> None:
    store = Store.open(str(tmp_path / "empty.db"), create=True)
    assert check(store) == 0
    store.close()


#: What is changed, and a statement that does it at the newest height.
DAMAGE = {
    "header": "UPDATE blocks SET header = substr(header, 1, 60) || x'00' || substr(header, 62)",
    "certificate": "UPDATE blocks SET certificate = "
    "substr(certificate, 1, 100) || x'00' || substr(certificate, 102)",
    "body": "UPDATE blocks SET body = substr(body, 1, 40) || x'00' || substr(body, 42)",
    "results": "UPDATE blocks SET results = substr(results, 1, 20) || x'00' || substr(results, 22)",
    "no certificate": "UPDATE blocks SET certificate = x''",
    "number for bytes": "UPDATE blocks SET header = 7",
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_newest_block_that_was_changed_is_found(
    chain: HandmadeChain, path: Path, what: str
) -> None:
    execute(path, f"{DAMAGE[what]} WHERE height = {BLOCKS}")
    with pytest.raises(StoreUnusable):
        check(chain.store)


@pytest.mark.parametrize(
    "statement",
    [
        f"DELETE FROM blocks WHERE height = {BLOCKS - 1}",
        f"DELETE FROM blocks WHERE height = {BLOCKS}",
        f"DELETE FROM log WHERE level = 0 AND place = {BLOCKS}",
        f"UPDATE log SET hash = zeroblob(32) WHERE level = 0 AND place = {BLOCKS - 2}",
        f"DELETE FROM tiles WHERE height = {BLOCKS}",
        f"UPDATE tiles SET tile = zeroblob(40) WHERE height = {BLOCKS}",
        "UPDATE state SET value = x'00' WHERE key = CAST('governance/validators' AS BLOB)",
    ],
)
def test_what_belongs_to_the_newest_blocks_is_looked_at(
    chain: HandmadeChain, path: Path, statement: str
) -> None:
    assert execute(path, statement)
    with pytest.raises(StoreUnusable):
        check(chain.store)


READS: dict[str, Callable[[VerifiedReads], object]] = {
    "header": lambda reads: reads.header(3),
    "certificate": lambda reads: reads.certificate(3),
    "body": lambda reads: reads.block(3),
    "results": lambda reads: reads.results(3),
}


@pytest.mark.parametrize("what", READS)
def test_an_old_block_that_was_changed_is_not_handed_out(
    chain: HandmadeChain, path: Path, what: str
) -> None:
    verified = VerifiedReads(chain.store)
    assert READS[what](verified) is not None
    execute(path, f"{DAMAGE[what]} WHERE height = 3")
    with pytest.raises(StoreUnusable):
        READS[what](verified)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE state SET value = x'00' WHERE key = {key} AND height = 3",
        "UPDATE state SET value = NULL WHERE key = {key} AND height = 3",
        "UPDATE state SET height = 4 WHERE key = {key} AND height = 3",
        "DELETE FROM state WHERE key = {key} AND height = 3",
        "DELETE FROM state WHERE key = {key}",
    ],
)
def test_an_entry_that_was_changed_is_not_handed_out(
    chain: HandmadeChain, path: Path, statement: str
) -> None:
    verified = VerifiedReads(chain.store)
    key = b"records/r/7"
    assert verified.value(key, 3) == b"7 at 3"
    execute(path, statement.format(key=f"CAST('{key.decode()}' AS BLOB)"))
    with pytest.raises(StoreUnusable, match="state tree"):
        verified.value(key, 3)


def test_that_an_entry_is_absent_is_verified_too(chain: HandmadeChain, path: Path) -> None:
    verified = VerifiedReads(chain.store)
    assert verified.value(b"records/r/none", 3) is None
    execute(
        path,
        "UPDATE tiles SET tile = zeroblob(40) WHERE height = 3",
    )
    with pytest.raises(StoreUnusable):
        verified.value(b"records/r/none", 3)


def test_a_block_that_should_be_there_is_not_answered_with_nothing(
    chain: HandmadeChain, path: Path
) -> None:
    execute(path, "DELETE FROM blocks WHERE height = 3")
    execute(path, "UPDATE blocks SET certificate = x'' WHERE height = 4")
    verified = VerifiedReads(chain.store)
    with pytest.raises(StoreUnusable, match="certificate is missing"):
        verified.certificate(4)
    for ask in (verified.header, verified.block, verified.results, verified.certificate):
        with pytest.raises(StoreUnusable, match="height 3"):
            ask(3)


def test_what_is_not_there_is_answered_as_by_the_store(chain: HandmadeChain) -> None:
    verified = VerifiedReads(chain.store)
    assert verified.header(BLOCKS + 1) is None
    assert verified.block(BLOCKS + 1) is None
    assert verified.results(BLOCKS + 1) is None
    assert verified.certificate(0) is None
    assert verified.certificate(BLOCKS + 1) is None
    with pytest.raises(LookupError):
        verified.value(b"x", BLOCKS + 1)
