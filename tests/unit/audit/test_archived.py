"""Auditing a chain of which a node keeps only the newest part."""

import asyncio
import shutil

import pytest

from ledger.audit.archived import open_archives
from ledger.audit.verify import verify_chain
from ledger.chain.genesis import read_genesis
from ledger.chain.handover import Trust
from ledger.chain.store import Store
from ledger.client.builder import build, call
from ledger.contracts.replica import Replica
from tests.support.archived import archive_and_prune
from tests.support.chain_fixtures import consortium
from tests.support.local_service import LocalService, open_replica
from tests.support.snapshots import join
from tests.unit.audit.test_audit import execute, rows

__all__ = ["consortium"]


@pytest.fixture
def genesis(consortium):
    return read_genesis(consortium.home / "genesis.json")


@pytest.fixture
def pruned(consortium, tmp_path):
    """A store of 8 blocks, of which 1 to 3 and 4 to 5 are in archive files: path and directory."""
    replica = open_replica(consortium, tmp_path)
    service = LocalService(replica, consortium.nodes, consortium.network)
    patient = consortium.anybody("patient")
    subject = consortium.people.with_role("patient")[0].id

    def consent(number, **scope):
        given = {"id": f"c-{number % 2}", "subject": subject, "scope": {"purposes": ["TREAT"]}}
        asked = call("consent", "withdraw", id=f"c-{number % 2}")
        told = call("consent", "grant", **given) if number < 2 else asked
        return build(service.chain, service.head().height, 100, [told], [patient])

    async def grow():
        for number in range(8):
            await service.submit([consent(number).raw])
            await service.commit()

    asyncio.run(grow())
    while replica.store.reclaim():
        pass
    shutil.copy(tmp_path / "ledger.db", tmp_path / "whole.db")
    trust = Trust(service.chain, replica.validators)
    for last in (3, 5):
        archive_and_prune(replica.store, tmp_path / "archive", last, trust)
    replica.store.close()
    return tmp_path / "ledger.db", tmp_path / "archive"


def audit(genesis, store=None, *places):
    with open_archives(places, None if store is None else str(store)) as source:
        return verify_chain(source, genesis)


def test_a_chain_is_replayed_out_of_archives_and_a_pruned_store(pruned, genesis):
    store, directory = pruned
    report = audit(genesis, store, directory)
    assert report.faults == ()
    assert report.verified
    assert (report.blocks, report.transactions, report.height) == (9, 8, 8)


def test_archives_alone_are_replayed_as_far_as_they_reach(pruned, genesis):
    _, directory = pruned
    report = audit(genesis, None, directory)
    assert report.verified
    assert (report.blocks, report.height) == (6, 5)


def test_missing_archives_are_named_and_nothing_is_called_verified(pruned, genesis):
    store, directory = pruned
    first, second = sorted(directory.iterdir())
    report = audit(genesis, store)
    assert not report.verified
    assert report.faults == ()
    assert "blocks 1 to 5" in report.unchecked[0]
    report = audit(genesis, store, first)
    assert not report.verified
    assert "blocks 4 to 5" in report.unchecked[0]
    assert report.height == 3
    assert "blocks 1 to 5" in audit(genesis, store, second).unchecked[0]


@pytest.mark.parametrize(
    ("change", "table"),
    [
        ("update state set value = x'00' where id = (select max(id) from state)", "state"),
        ("delete from state where id = (select min(id) from state)", "state"),
        ("delete from tiles where height = (select max(height) from tiles)", "tiles"),
        ("delete from tiles where height = (select min(height) from tiles)", "tiles"),
        ("delete from transactions where height = 7", "transactions"),
        ("update blocks set total = 99 where height = 7", "blocks"),
        ("update blocks set body = x'90' where height = 7", "blocks"),
        ("insert into state values (9999, 1, 1, 8, x'61', x'00')", "state"),
    ],
)
def test_a_changed_row_of_a_pruned_store_is_found(pruned, genesis, change, table):
    store, directory = pruned
    execute(store, change)
    report = audit(genesis, store, directory)
    assert not report.verified
    assert table in {fault.table for fault in report.faults}


def test_rows_that_pruning_has_not_come_to_yet_are_no_fault(pruned, genesis, tmp_path):
    store, directory = pruned
    # A value that was superseded below the base is still there: pruning was cut short.
    execute(store, superseded(tmp_path / "whole.db", store))
    assert audit(genesis, store, directory).verified


def superseded(whole, store):
    """The first row of the state that pruning removed, as an insertion."""
    there = {row[0] for row in rows(store, "select id from state")}
    number, name, group, height, key, value = next(
        row for row in rows(whole, "select * from state order by id") if row[0] not in there
    )
    return (
        f"insert into state values ({number}, {name}, {group}, {height}, "
        f"x'{key.hex()}', x'{value.hex()}')"
    )


class Developed:
    """The development network, as far as a snapshot of it needs it."""

    def __init__(self, consortium, directory):
        directory.mkdir()
        self._path = directory / "ledger.db"
        replica = open_replica(consortium, directory)
        self.trust = Trust(replica.head.chain, replica.validators)
        replica.store.close()

    def found(self, path):
        shutil.copy(self._path, path)
        return Store.open(str(path))


@pytest.fixture
def begun(pruned, consortium, tmp_path):
    """A store that began with a snapshot of block 6, and has gone on to block 8."""
    whole = Store.open(str(tmp_path / "whole.db"))
    path = tmp_path / "begun.db"
    store = join(Developed(consortium, tmp_path / "founded"), whole, path, 6)
    replica = Replica(store)
    for block, certificate, _results in whole.blocks(7):
        replica.extend(block, certificate)
    store.close()
    whole.close()
    return path


def test_a_store_that_began_with_a_snapshot_is_checked_from_there(begun, genesis):
    report = audit(genesis, begun)
    assert report.faults == ()
    assert (report.blocks, report.height) == (2, 8)
    assert report.unchecked == ("the blocks 1 to 6 are in none of the archive files",)
    assert not report.verified


@pytest.mark.parametrize(
    "change",
    [
        "update state set value = x'00' where id = (select min(id) from state)",
        "delete from state where id = (select min(id) from state)",
        "insert into state values (9999, 1, 1, 6, x'61', x'00')",
        "update blocks set certificate = x'00' where height = 6",
        "delete from tiles where height = 6",
        "update trail set ids = x'00' where height = 5",
        "delete from trail where height = 5",
        "delete from transactions where height = 5",
        "update log set hash = zeroblob(32) where level = (select max(level) from log)",
        "update blocks set body = x'90' where height = 8",
    ],
)
def test_a_changed_row_of_such_a_store_is_found(begun, genesis, change):
    execute(begun, change)
    assert audit(genesis, begun).faults != ()
