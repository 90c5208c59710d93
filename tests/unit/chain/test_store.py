"""The store: what it gives back, and how it refuses what it cannot do."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from ledger.chain import merkle
from ledger.chain.genesis import Genesis, GenesisContract
from ledger.chain.statetree import StateTree, verify_state_proof
from ledger.chain.store import (
    ConflictingVote,
    NotNext,
    Store,
    StoreUnusable,
)
from ledger.chain.vote import Vote
from ledger.crypto import hashing
from tests.support.chain import HandmadeChain, certify
from tests.support.databases import run_sql


@pytest.fixture
def chain(address):
    chain = HandmadeChain(address)
    yield chain
    chain.store.close()


def nodes(chain):
    return [member.node for member in chain.validators.members]


def vote(height=1, view=0, phase="prepare", digest=b"d" * 32, message=b"m"):
    return Vote(height, view, phase, digest, message)


class TestReading:
    def test_an_empty_store_holds_nothing(self, address):
        store = Store.open(address, create=True)
        assert store.genesis() is None
        assert store.head() is None
        assert store.height() == -1
        assert store.counts() == (0, 0)
        assert store.block(0) is None
        assert store.value(b"a") is None
        assert store.tree_height() is None
        store.close()

    def test_a_block_comes_back_byte_for_byte(self, chain):
        transactions = [chain.transaction() for _ in range(3)]
        block, results, _ = chain.prepare(transactions)
        certificate = certify(block.header, nodes(chain))
        chain.append(transactions)
        assert chain.store.block(1) == block
        assert chain.store.header(1) == block.header
        assert chain.store.certificate(1) == certificate
        assert chain.store.results(1) == results
        assert list(chain.store.blocks(1)) == [(block, certificate, results)]
        assert chain.store.head() == block.header
        assert chain.store.counts() == (2, 3)

    def test_the_genesis_has_no_certificate(self, chain):
        assert chain.store.certificate(0) is None
        assert chain.store.genesis() == chain.genesis

    def test_a_transaction_is_found_by_its_id(self, chain):
        transactions = [chain.transaction() for _ in range(3)]
        chain.append(transactions[:1])
        chain.append(transactions[1:2])
        assert chain.store.locate(transactions[1].id) == (2, 0)
        assert chain.store.locate(transactions[2].id) is None
        assert chain.store.seen([t.id for t in transactions]) == {
            transactions[0].id,
            transactions[1].id,
        }

    def test_a_value_is_known_at_every_height(self, chain):
        chain.append(writes={b"a/x": b"\x01", b"a/y": b"\x02"})
        chain.append(writes={b"a/x": b"\x03", b"a/y": None})
        chain.append()
        read = chain.store.value
        assert (read(b"a/x"), read(b"a/y")) == (b"\x03", None)
        assert (read(b"a/x", 1), read(b"a/y", 1)) == (b"\x01", b"\x02")
        assert (read(b"a/x", 0), read(b"a/z", 3)) == (None, None)
        assert [(e.height, e.value) for e in chain.store.history(b"a/y")] == [
            (1, b"\x02"),
            (2, None),
        ]

    def test_past_values_have_proofs_from_the_stored_tiles(self, chain):
        for height in range(1, 5):
            chain.append(writes={b"m/k%d" % n: b"%d" % height for n in range(40)})
        tree = StateTree(chain.store)
        for height in range(1, 5):
            header = chain.store.header(height)
            proof = tree.prove(b"m/k7", height)
            assert verify_state_proof(header.state_root, b"m/k7", b"%d" % height, proof)

    def test_entries_of_a_map_are_listed_last_written_first(self, chain):
        chain.append(writes={b"m/x/a": b"1", b"m/x/b": b"1", b"m/y": b"1", b"m/xx/c": b"1"})
        chain.append(writes={b"m/x/c": b"2", b"m/x/a": b"2"})
        chain.append(writes={b"m/x/b": None, b"m/x/long/key": b"3"})
        entries, mark = chain.store.values_under(b"m/x/")
        assert [(e.key, e.value) for e in entries] == [
            (b"m/x/long/key", b"3"),
            (b"m/x/c", b"2"),
            (b"m/x/a", b"2"),
        ]
        assert mark is None
        assert [e.key for e in chain.store.values_under(b"m/y")[0]] == [b"m/y"]
        assert [e.key for e in chain.store.values_under(b"m/x/long/")[0]] == [b"m/x/long/key"]

    def test_a_listing_goes_on_where_it_stopped(self, chain):
        for height in range(4):
            chain.append(writes={b"m/x/%d" % n: b"%d" % height for n in range(5)})
        seen, mark = [], None
        while True:
            entries, mark = chain.store.values_under(b"m/x/", 2, before=mark)
            seen += [(entry.key, entry.value) for entry in entries]
            if mark is None:
                break
        assert sorted(seen) == [(b"m/x/%d" % n, b"3") for n in range(5)]

    def test_the_log_proves_old_headers_and_growth(self, chain):
        for _ in range(10):
            chain.append()
        store = chain.store
        root = store.log().root()
        for size in (1, 5, 11):
            for height in range(size):
                leaf = merkle.leaf_hash(store.header(height).hash())
                path = store.log_path(height, size)
                found = merkle.root_from_inclusion(leaf, height, size, path)
                assert found == (root if size == 11 else store.header(size).log_root)
        path = store.log_consistency(4, 11)
        assert merkle.verify_consistency(4, store.header(4).log_root, 11, root, path)
        with pytest.raises(IndexError):
            store.log_path(0, 12)

    def test_other_threads_read_while_one_writes(self, chain):
        wrong, stop = [], threading.Event()

        def read():
            while not stop.is_set():
                head = chain.store.head()
                block = chain.store.block(head.height)
                if block is None or block.header != head:
                    wrong.append(head.height)
                if chain.store.value(b"a/n", head.height) != b"%d" % head.height:
                    wrong.append(head.height)

        chain.append(writes={b"a/n": b"1"})
        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for height in range(2, 40):
            chain.append([chain.transaction()], {b"a/n": b"%d" % height})
        stop.set()
        for reader in readers:
            reader.join()
        assert wrong == []


class TestReopening:
    def test_a_reopened_store_goes_on(self, chain, address):
        chain.append([chain.transaction()], {b"a/b": b"\x01"})
        chain.store.close()
        chain.store = Store.open(address)
        chain.tree = StateTree(chain.store)
        assert chain.store.head() == chain.head
        chain.append([chain.transaction()], {b"a/b": None})
        assert chain.store.counts() == (3, 2)

    def test_what_was_committed_is_there_after_a_kill(self, address):
        script = (
            "import sys\n"
            "from tests.support.chain import HandmadeChain\n"
            "chain = HandmadeChain(sys.argv[1])\n"
            "while True:\n"
            "    chain.append([chain.transaction()], {b'a/n': b'%d' % (chain.head.height + 1)})\n"
            "    print(chain.head.height, flush=True)\n"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", script, address],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        )
        for _ in range(20):
            told = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        process.wait()
        told = max([told, *map(int, process.stdout.read().split())])
        for read_only in (True, False):
            store = Store.open(address, read_only=read_only)
            height = store.height()
            assert height >= told
            assert store.value(b"a/n") == b"%d" % height
            assert StateTree(store).root == store.head().state_root
            assert store.counts() == (height + 1, height)
            store.close()


class TestRefusals:
    def refused(self, chain, block, match, **fields):
        certificate = fields.pop("certificate", None) or certify(block.header, nodes(chain))
        height = chain.store.height()
        with pytest.raises((NotNext, StoreUnusable), match=match):
            chain.store.commit(block, certificate, [], {b"a": b"b"}, {}, [])
        assert chain.store.height() == height
        assert chain.store.value(b"a") is None

    def test_a_block_that_does_not_follow_is_refused(self, chain):
        block, _, _ = chain.prepare()
        replace = msgspec.structs.replace
        later = replace(block, header=replace(block.header, height=2))
        self.refused(chain, later, "does not follow")
        orphan = replace(block, header=replace(block.header, parent=bytes(32)))
        self.refused(chain, orphan, "does not follow")
        foreign = replace(block, header=replace(block.header, chain=bytes(32)))
        self.refused(chain, foreign, "another chain")
        wrong = certify(orphan.header, nodes(chain))
        self.refused(chain, block, "for another block", certificate=wrong)
        chain.append()
        self.refused(chain, block, "does not follow")

    def test_a_store_holds_one_chain(self, chain):
        other = Genesis(1, "other", 0, (GenesisContract("governance", "", {}),))
        with pytest.raises(StoreUnusable, match="another chain"):
            chain.store.initialise(other, chain.head, {}, {b"": b""})
        with pytest.raises(StoreUnusable, match="this chain already"):
            chain.store.initialise(chain.genesis, chain.head, {}, {b"": b""})

    def test_rows_of_another_chain_are_noticed(self, chain, address):
        chain.store.close()
        run_sql(address, "delete from meta where name = 'chain'")
        with pytest.raises(StoreUnusable, match="not that of the stored chain"):
            Store.open(address)

    def test_a_database_of_somebody_else_is_refused(self, address):
        run_sql(address, "create table notes(text text)")
        for create in (True, False):
            with pytest.raises(StoreUnusable, match="not a store"):
                Store.open(address, create=create)

    def test_a_store_from_a_newer_version_is_refused(self, chain, address):
        chain.store.close()
        run_sql(address, "update alembic_version set version_num = '9999'")
        for read_only in (True, False):
            with pytest.raises(StoreUnusable, match="revision 9999"):
                Store.open(address, read_only=read_only)

    def test_nothing_can_be_written_through_a_store_that_is_open_to_be_read(self, chain, address):
        block, results, tiles = chain.prepare()
        store = Store.open(address, read_only=True)
        with pytest.raises(StoreUnusable):
            store.commit(block, certify(block.header, nodes(chain)), results, {}, tiles, [])
        with pytest.raises(StoreUnusable):
            store.save_votes([vote()])
        store.close()

    @pytest.mark.parametrize(
        "url", ["sqlite://", "sqlite:///:memory:", "mysql://x/y", "odd://", "postgresql://h:port/x"]
    )
    def test_an_address_that_cannot_hold_a_store_is_refused(self, url):
        with pytest.raises(StoreUnusable):
            Store.open(url, create=True)


class TestVotes:
    def test_votes_come_back_in_order(self, chain):
        votes = [vote(view=1), vote(phase="commit"), vote(phase="prepare")]
        chain.store.save_votes(votes)
        assert chain.store.votes(1) == [votes[1], votes[2], votes[0]]
        assert chain.store.votes(2) == []

    def test_the_same_promise_may_be_made_again(self, chain):
        chain.store.save_votes([vote()])
        chain.store.save_votes([vote(), vote(phase="commit")])
        assert len(chain.store.votes(1)) == 2

    def test_a_different_promise_is_refused_and_nothing_of_its_batch_stays(self, chain):
        chain.store.save_votes([vote()])
        with pytest.raises(ConflictingVote):
            chain.store.save_votes([vote(phase="commit"), vote(digest=b"e" * 32)])
        assert chain.store.votes(1) == [vote()]

    def test_votes_are_dropped_once_a_later_block_is_final(self, chain):
        chain.store.save_votes([vote(1), vote(2), vote(3)])
        chain.append()
        assert chain.store.votes(1) == [vote(1)]
        chain.append()
        assert chain.store.votes(1) == []
        assert chain.store.votes(2) == [vote(2)]
        assert chain.store.votes(3) == [vote(3)]


def test_commits_are_timed(chain):
    for _ in range(3):
        chain.append()
    timing = chain.store.timing
    assert timing.count == 3
    assert 0 < timing.last <= timing.longest <= timing.total


def test_a_store_that_begins_at_genesis_has_the_base_0(chain):
    chain.append([chain.transaction()])
    assert chain.store.base() == 0


def test_the_trace_of_a_block_is_its_header_and_the_ids_in_order(chain):
    transactions = [chain.transaction() for _ in range(3)]
    header = chain.append(transactions)
    ids = b"".join(transaction.id for transaction in transactions)
    assert chain.store.trace(header.height) == (header, ids)
    assert header.identities == hashing.IDENTITIES(ids)
    assert chain.store.trace(header.height + 1) is None


def test_an_entry_is_found_by_the_hash_of_its_key(chain):
    chain.append(writes={b"records/a": b"\x01"})
    chain.append(writes={b"records/a": None})
    name = hashing.STATE_KEY(b"records/a")
    assert chain.store.entry(name, 0) is None
    assert chain.store.entry(name, 1) == (b"records/a", b"\x01")
    assert chain.store.entry(name, 2) is None
