"""What crashes and bad disks leave of a store."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from random import Random

import pytest

from ledger.chain.database.errors import StoreFull
from ledger.sim.disk import PowerLossInTransaction, Remains, SimDisk
from ledger.sim.wal import FRAME_HEADER_BYTES, HEADER_BYTES, read_log


@pytest.fixture
def disk(tmp_path: Path) -> SimDisk:
    return SimDisk(tmp_path / "ledger.db", tmp_path / "watermark", lambda: 0.0, Random(1))


def insert(disk: SimDisk, database, *values: int) -> None:
    with database.transaction() as writer:
        for value in values:
            writer.run(database.query(_insert(value)))


def _insert(value: int):
    from sqlalchemy import text

    return text(f"INSERT INTO t VALUES ({value}, zeroblob(9000))")


def prepared(disk: SimDisk):
    from sqlalchemy import text

    database = disk.open()
    with database.transaction() as writer:
        writer.run(database.query(text("CREATE TABLE t (n INTEGER, filler BLOB)")))
    insert(disk, database, 1)
    return database


def numbers(disk: SimDisk) -> list[int]:
    connection = sqlite3.connect(disk.path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [number for (number,) in connection.execute("SELECT n FROM t ORDER BY n")]
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("remains", "left"),
    [
        (Remains.NOTHING, [1]),
        (Remains.PART, [1]),
        (Remains.GARBLED, [1]),
        (Remains.WHOLE, [1, 2]),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_a_crash_in_a_transaction_leaves_all_of_it_or_nothing(
    tmp_path: Path, remains: Remains, left: list[int], seed: int
):
    disk = SimDisk(tmp_path / "ledger.db", tmp_path / "watermark", lambda: 0.0, Random(seed))
    database = prepared(disk)
    disk.crash_in_transaction(remains)
    with pytest.raises(PowerLossInTransaction) as loss:
        insert(disk, database, 2)
    database.close()
    disk.recover(loss.value.image, disk.mark())
    assert numbers(disk) == left


def test_a_crash_can_wait_for_a_later_transaction(disk: SimDisk):
    database = prepared(disk)
    disk.crash_in_transaction(Remains.NOTHING, after=2)
    insert(disk, database, 2)
    insert(disk, database, 3)
    with pytest.raises(PowerLossInTransaction) as loss:
        insert(disk, database, 4)
    database.close()
    disk.recover(loss.value.image, disk.mark())
    assert numbers(disk) == [1, 2, 3]


def test_a_full_disk_takes_nothing_and_what_was_there_stays(disk: SimDisk):
    database = prepared(disk)
    disk.full()
    with pytest.raises(StoreFull):
        insert(disk, database, 2)
    disk.full(False)
    insert(disk, database, 3)
    database.close()
    assert numbers(disk) == [1, 3]


def test_an_old_copy_can_be_put_back(disk: SimDisk):
    database = prepared(disk)
    copy = disk.backup()
    insert(disk, database, 2)
    database.close()
    disk.restore(copy)
    assert numbers(disk) == [1]
    assert disk.damaged


def test_a_flipped_bit_is_one_bit(disk: SimDisk):
    prepared(disk).close()
    before = disk.path.read_bytes()
    place = disk.flip()
    after = disk.path.read_bytes()
    differ = [at for at in range(len(before)) if before[at] != after[at]]
    assert differ == [place]
    assert (before[place] ^ after[place]).bit_count() == 1


def test_the_last_transaction_of_a_log_is_found(disk: SimDisk):
    database = prepared(disk)
    first = read_log(disk.image().log)
    insert(disk, database, 2, 3)
    second = read_log(disk.image().log)
    database.close()
    assert first.frame > FRAME_HEADER_BYTES
    assert second.start == first.end
    assert second.end == second.start + first.frame * ((second.end - second.start) // first.frame)
    assert (second.end - second.start) // first.frame > 1


def test_a_log_without_a_transaction_has_none():
    assert read_log(b"").end == 0
    assert read_log(bytes(HEADER_BYTES)).end == 0
