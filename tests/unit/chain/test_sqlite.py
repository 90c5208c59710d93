"""A store in an SQLite file: what belongs to files, and how it refuses what it cannot do."""

import os
import sqlite3
from pathlib import Path

import pytest

from ledger.chain.store import Store, StoreBusy, StoreFull, StoreUnusable
from ledger.chain.vote import Vote
from tests.support.chain import HandmadeChain, certify


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture
def chain(path):
    chain = HandmadeChain(path)
    yield chain
    chain.store.close()


def read_everything(path):
    store = Store.open(str(path))
    try:
        list(store.blocks())
        for height in range(store.height() + 1):
            store.tile(b"", height)
            store.locate(bytes([height]) * 32)
        for number in range(50):
            store.value(b"a/%d" % number)
        store.log_path(3, 21)
    finally:
        store.close()


class TestReadOnly:
    def files(self, path):
        return {
            file.name: file.read_bytes()
            for file in path.parent.iterdir()
            if not file.name.endswith("-shm")  # locks of readers
        }

    def test_a_closed_store_is_read_without_a_trace(self, chain, path):
        chain.append([chain.transaction()], {b"a/b": b"\x01"})
        chain.store.close()
        before = self.files(path)
        assert set(before) == {"ledger.db"}
        store = Store.open(str(path), read_only=True)
        assert store.head() == chain.head
        assert store.value(b"a/b") == b"\x01"
        assert self.files(path) == before
        store.close()
        assert self.files(path) == before

    def test_a_store_in_use_is_read_without_a_trace(self, chain, path):
        chain.append([chain.transaction()])
        before = self.files(path)
        store = Store.open(str(path), read_only=True)
        assert store.head() == chain.head
        assert self.files(path) == before
        chain.append()
        assert store.head() == chain.head
        assert store.log().root() == chain.store.log().root()
        store.close()

    def test_a_copy_of_a_store_in_use_is_read_without_a_trace(self, chain, path, tmp_path):
        chain.append([chain.transaction()])
        copy = tmp_path / "copy" / "ledger.db"
        copy.parent.mkdir()
        for end in ("", "-wal"):
            copy.with_name("ledger.db" + end).write_bytes(Path(f"{path}{end}").read_bytes())
        before = self.files(copy)
        store = Store.open(str(copy), read_only=True)
        assert store.head() == chain.head
        store.close()
        assert self.files(copy) == before
        assert {file.name for file in copy.parent.iterdir()} == set(before)


class TestRefusals:
    @pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" * 50])
    def test_a_file_that_is_no_database_is_refused(self, path, content):
        path.write_bytes(content)
        for read_only in (False, True):
            with pytest.raises(StoreUnusable):
                Store.open(str(path), read_only=read_only)
        assert path.read_bytes() == content

    def test_a_missing_store_is_not_made_by_mistake(self, path, tmp_path):
        for read_only in (False, True):
            with pytest.raises(StoreUnusable, match="no store"):
                Store.open(str(path), read_only=read_only)
        with pytest.raises(StoreUnusable):
            Store.open(str(tmp_path / "no" / "directory"), create=True)
        assert list(tmp_path.iterdir()) == []

    def test_a_truncated_store_is_refused_or_complains_when_read(self, chain, path):
        for _ in range(20):
            chain.append([chain.transaction()], {b"a/%d" % n: b"x" * 50 for n in range(50)})
        chain.store.close()
        whole = path.read_bytes()
        for keep in (100, 4096, len(whole) // 3, len(whole) - 4096):
            path.write_bytes(whole[:keep])
            with pytest.raises(StoreUnusable):
                read_everything(path)

    def test_a_full_disk_leaves_the_chain_as_it_was(self, chain):
        chain.append([chain.transaction()])
        before = chain.head
        writer = chain.store._database._writer
        (pages,) = writer.execute("pragma page_count").fetchone()
        writer.execute(f"pragma max_page_count={pages + 3}")
        big = {b"a/%d" % n: b"x" * 1_000 for n in range(100)}
        with pytest.raises(StoreFull):
            chain.append([chain.transaction()], big)
        assert chain.store.head() == before
        assert chain.store.value(b"a/1") is None
        with pytest.raises(StoreFull):
            chain.store.save_votes([Vote(2, 0, "prepare", b"d" * 32, b"m" * 100_000)])
        writer.execute("pragma max_page_count=1000000")
        chain.append([chain.transaction()], big)
        assert chain.store.value(b"a/1") == b"x" * 1_000

    def test_a_locked_store_is_busy_and_stays_as_it_was(self, chain, path):
        writer = chain.store._database._writer
        writer.execute("pragma busy_timeout=50")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("begin immediate")
        with pytest.raises(StoreBusy):
            chain.append()
        other.execute("rollback")
        other.close()
        chain.append()
        assert chain.store.height() == 1

    def test_a_second_writer_cannot_fork_the_store(self, chain, path):
        other = Store.open(str(path))
        block, results, tiles = chain.prepare()
        certificate = certify(block.header, [m.node for m in chain.validators.members])
        other.commit(block, certificate, results, {}, tiles, [])
        with pytest.raises(StoreUnusable):
            chain.append()
        other.close()

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
    def test_a_file_that_may_not_be_read_is_refused(self, chain, path):
        chain.store.close()
        path.chmod(0)
        with pytest.raises(StoreUnusable):
            Store.open(str(path))

    def test_only_the_owner_can_read_a_new_store(self, chain, path):
        for file in path.parent.iterdir():
            assert file.stat().st_mode & 0o077 == 0
