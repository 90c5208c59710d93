"""Keeping a store small: archive files first, then rows, then room; and crashes in between."""

import os
import sqlite3

import pytest

from ledger.chain import archivewriter, pruning, retention
from ledger.chain.archive import Archive
from ledger.chain.archiveverifier import verify_archive
from ledger.chain.constitution import PARAMETERS_KEY
from ledger.chain.database import StoreFull
from ledger.chain.export import write_export
from ledger.chain.handover import Trust, handovers
from ledger.chain.receipt import build_receipt, verify_receipt
from ledger.chain.retention import Keeper, KeepsTooLittle, Retention
from ledger.chain.store import Store, StoreUnusable
from tests.support.chain import HandmadeChain, parameters

NOW = 1_767_225_700_000


@pytest.fixture
def chain(tmp_path):
    chain = HandmadeChain(tmp_path / "ledger.db")
    for number in range(30):
        writes = {b"notes/a": bytes([number]), b"notes/%d" % number: b"x" * 500}
        chain.append([chain.transaction(), chain.transaction()], writes)
    yield chain
    chain.store.close()


@pytest.fixture
def trust(chain):
    return Trust(chain.chain, chain.founders)


@pytest.fixture
def keeper(chain, trust, tmp_path):
    return Keeper(chain.store, Retention(10, tmp_path / "archive", file_blocks=6), trust)


def finish(steps):
    for _ in steps:
        pass


def work(keeper):
    while keeper.archive(NOW) is not None:
        pass
    finish(keeper.prune())


def test_old_blocks_go_to_files_and_the_newest_stay(chain, keeper, trust, tmp_path):
    work(keeper)
    ranges = [(entry.first, entry.last) for entry in chain.store.archives()]
    assert ranges == [(1, 6), (7, 12), (13, 18)]
    assert chain.store.base() == 19
    for entry in chain.store.archives():
        path = tmp_path / "archive" / entry.file
        summary = verify_archive(path, trust)
        assert (summary.first, summary.last) == (entry.first, entry.last)
        assert (entry.size, entry.time) == (path.stat().st_size, NOW)
    assert chain.store.archive_of(12).first == 7
    assert chain.store.archive_of(19) is None
    # Blocks 19 and 20 are older than ten blocks, and wait until a file is full.
    assert keeper.due() is None
    assert chain.store.block(19) is not None


def test_nothing_is_due_while_the_chain_is_short(tmp_path):
    chain = HandmadeChain(tmp_path / "short.db")
    retained = Retention(10, tmp_path, file_blocks=6)
    keeper = Keeper(chain.store, retained, Trust(chain.chain, chain.founders))
    for _ in range(15):
        assert keeper.due() is None
        chain.append()
    chain.append()
    assert keeper.due() == (1, 6)
    finish(keeper.prune())
    assert chain.store.base() == 0
    chain.store.close()


def test_a_file_is_full_when_it_has_enough_transactions(chain, keeper, monkeypatch):
    monkeypatch.setattr(retention, "MAX_TRANSACTIONS", 7)
    assert keeper.due() == (1, 3)


def test_keeping_less_than_the_validity_window_is_refused(chain, trust, tmp_path):
    with pytest.raises(KeepsTooLittle, match=r"keep_blocks = 7 .* 8 heights"):
        Keeper(chain.store, Retention(7, tmp_path), trust)
    Keeper(chain.store, Retention(8, tmp_path), trust)


def test_a_window_that_a_vote_made_longer_keeps_more(chain, keeper):
    assert keeper.due() == (1, 6)
    chain.append(writes={PARAMETERS_KEY: parameters(28)})
    assert keeper.due() is None
    for _ in range(3):
        chain.append()
    assert keeper.due() == (1, 6)
    work(keeper)
    assert chain.store.base() == 7


def test_a_receipt_from_before_is_good_and_the_archive_makes_the_same(
    chain, keeper, trust, tmp_path
):
    old = chain.store.trace(3)[1][:32]
    receipt = build_receipt(chain.store, old)
    work(keeper)
    assert build_receipt(chain.store, old) is None
    verify_receipt(receipt, trust.chain, trust.validators)
    with Archive(tmp_path / "archive" / chain.store.archive_of(3).file) as opened:
        assert opened.receipt(old) == receipt


def test_a_transaction_that_could_be_sent_again_is_still_known(chain, keeper):
    work(keeper)
    head, window = chain.store.height(), 8
    for height in range(head - window, head + 1):
        ids = chain.store.trace(height)[1]
        assert chain.store.seen([ids[:32], ids[32:]]) == {ids[:32], ids[32:]}


def test_ids_that_nobody_can_send_again_are_gone(chain, keeper):
    ids = chain.store.trace(2)[1]
    work(keeper)
    assert chain.store.seen([ids[:32], ids[32:]]) == set()
    assert chain.store.trace(2) is None


def test_the_file_shrinks(chain, keeper, tmp_path):
    for _ in range(4):
        chain.append([chain.transaction(calls=100) for _ in range(40)])
    for _ in range(20):
        chain.append()
    before = chain.store.size_bytes()
    bodies = sum(
        len(row.body) + len(row.results)
        for row in map(chain.store.stored, range(chain.store.height() - 9))
    )
    work(keeper)
    after = chain.store.size_bytes()
    assert bodies > 500_000
    assert before - after > bodies
    assert (tmp_path / "ledger.db-wal").stat().st_size == 0
    chain.append([chain.transaction()])


def test_a_file_of_an_earlier_version_is_made_to_shrink_too(tmp_path, monkeypatch):
    original = sqlite3.connect

    class Old(sqlite3.Connection):
        def execute(self, sql, *arguments):
            return super().execute("SELECT 1" if "auto_vacuum =" in sql else sql, *arguments)

    with monkeypatch.context() as context:
        context.setattr(
            sqlite3, "connect", lambda *args, **named: original(*args, factory=Old, **named)
        )
        chain = HandmadeChain(tmp_path / "old.db")
        for _ in range(20):
            chain.append([chain.transaction(calls=100) for _ in range(20)])
        chain.store.close()
    store = Store.open(str(tmp_path / "old.db"))
    before, blocks = store.size_bytes(), [store.stored(height) for height in range(21)]
    finish(pruning.Pruning(store).steps(20))
    assert not store.reclaim()
    assert store.size_bytes() >= before
    assert store.prepare_reclaiming()
    assert not store.prepare_reclaiming()
    while store.reclaim():
        pass
    assert store.size_bytes() < before / 2
    assert store.stored(20) == blocks[20]
    store.close()


# Crashes.


class Crash(Exception):
    pass


def test_a_crash_before_the_file_has_its_name_leaves_nothing(chain, keeper, tmp_path, monkeypatch):
    def crash(*_):
        raise Crash

    with monkeypatch.context() as context:
        context.setattr(archivewriter, "verify_archive", crash)
        with pytest.raises(Crash):
            keeper.archive(NOW)
    assert list((tmp_path / "archive").iterdir()) == []
    assert chain.store.archives() == []
    finish(keeper.prune())
    assert chain.store.base() == 0


def test_a_file_that_does_not_verify_is_not_relied_on(chain, keeper, tmp_path, monkeypatch):
    # The disk gives back something else than what was written.
    original = os.fsync

    def flip(descriptor):
        original(descriptor)
        for path in (tmp_path / "archive").glob("*.partial"):
            raw = bytearray(path.read_bytes())
            raw[len(raw) // 2] ^= 1
            path.write_bytes(raw)

    monkeypatch.setattr(archivewriter.os, "fsync", flip)
    with pytest.raises(StoreUnusable, match="the archive of blocks 1 to 6"):
        keeper.archive(NOW)
    assert list((tmp_path / "archive").iterdir()) == []
    finish(keeper.prune())
    assert chain.store.base() == 0


def test_a_crash_between_file_and_note_writes_the_file_once(chain, keeper, tmp_path, monkeypatch):
    def crash(*_):
        raise Crash

    with monkeypatch.context() as context:
        context.setattr(chain.store, "maintenance", crash)
        with pytest.raises(Crash):
            keeper.archive(NOW)
    (file,) = (tmp_path / "archive").iterdir()
    assert chain.store.base() == 0
    written = file.stat().st_mtime_ns
    assert keeper.archive(NOW).file == file.name
    assert file.stat().st_mtime_ns == written
    assert len(list((tmp_path / "archive").iterdir())) == 1


def test_after_a_crash_at_any_step_the_next_run_ends_in_the_same_place(
    chain, trust, tmp_path, monkeypatch
):
    monkeypatch.setattr(pruning, "STEP_ROWS", 7)
    monkeypatch.setattr(pruning, "STEP_BLOCKS", 3)
    chain.store.close()
    whole = (tmp_path / "ledger.db").read_bytes()
    ends = set()
    for stop in [*range(0, 40, 3), 10_000]:
        path = tmp_path / "copy.db"
        for side in tmp_path.glob("copy.db*"):
            side.unlink()
        path.write_bytes(whole)
        retained = Retention(10, tmp_path / "archive", file_blocks=6)
        store = Store.open(str(path))
        keeper = Keeper(store, retained, trust)
        while keeper.archive(NOW) is not None:
            pass
        for _ in zip(range(stop), keeper.prune(), strict=False):
            pass
        store.close()
        store = Store.open(str(path))
        work(Keeper(store, retained, trust))
        with store._database.moment() as moment:
            ends.add(
                tuple(
                    tuple(moment.rows(table.select().order_by(*table.primary_key.columns)))
                    for table in store_tables()
                )
            )
        store.close()
    assert len(ends) == 1
    assert len(list((tmp_path / "archive").iterdir())) == 3


def store_tables():
    from ledger.chain import schema

    return [table for name, table in schema.metadata.tables.items() if name != "meta"]


def test_a_full_disk_is_said_and_changes_nothing(chain, keeper, monkeypatch, tmp_path):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(archivewriter.os, "fsync", full)
        with pytest.raises(StoreFull, match="archive"):
            keeper.archive(NOW)
    assert list((tmp_path / "archive").iterdir()) == []
    assert keeper.archive(NOW) is not None


def test_an_export_of_a_pruned_store_says_where_the_rest_is(chain, keeper, tmp_path):
    work(keeper)
    with pytest.raises(StoreUnusable, match="archive files"):
        write_export(chain.store, tmp_path / "chain.export")


def test_a_base_above_the_newest_block_is_refused(chain):
    with pytest.raises(ValueError, match="no block 31"):
        finish(pruning.Pruning(chain.store).steps(31))


def test_both_databases_are_pruned_to_the_same_rows(address, tmp_path):
    chain = HandmadeChain(address)
    for number in range(30):
        writes = {b"notes/a": bytes([number]), b"notes/%d" % number: b"x"}
        if number > 3:
            writes[b"notes/%d" % (number - 3)] = None
        if number == 6:
            chain.hand_over("n1", "n2", "n3", "n5")
        chain.append([chain.transaction()], writes)
    trust = Trust(chain.chain, chain.founders)
    values = {key: chain.store.value(key, 25) for key in (b"notes/a", b"notes/25", b"notes/1")}
    work(Keeper(chain.store, Retention(10, tmp_path / "archive", file_blocks=6), trust))
    assert chain.store.base() == 19
    assert {key: chain.store.value(key, 25) for key in values} == values
    assert len(handovers(chain.store, 31)) == 1
    with chain.store._database.moment() as moment:
        counted = {
            table.name: sum(1 for _ in moment.rows(table.select())) for table in store_tables()
        }
    chain.append([chain.transaction()], {b"notes/a": b"new"})
    chain.store.close()
    assert {name: counted[name] for name in ("blocks", "handovers", "archives", "trail")} == {
        "blocks": 14,
        "handovers": 1,
        "archives": 3,
        "trail": 8,
    }
    assert counted["transactions"] == 13 + 8
