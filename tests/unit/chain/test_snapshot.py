"""Snapshots: what a store gives of them, what a store that begins with one is, what is refused."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from ledger.chain import snapshot, supplier
from ledger.chain.codec import encode
from ledger.chain.constitution import PARAMETERS_KEY, oldest_repeatable
from ledger.chain.handover import Trust, handovers
from ledger.chain.receipt import build_receipt, verify_receipt
from ledger.chain.snapshot import (
    Chunk,
    Introduction,
    InvalidSnapshot,
    Manifest,
    Trace,
    read_chunk,
    read_trail,
)
from ledger.chain.staging import Incomplete, chunk_item
from ledger.chain.statetree import StateTree, verify_state_proof
from ledger.chain.store import Store, StoreUnusable
from ledger.chain.vote import Vote
from ledger.crypto.hashing import STATE_KEY
from tests.support.chain import HandmadeChain, certify, parameters
from tests.support.snapshots import fetch_state, fetch_trail, introduce, join

WINDOW = 8


def grow(chain: HandmadeChain, blocks: int, seed: int = 1) -> None:
    """Blocks with transactions and with entries of all sizes, some of which go again."""
    choice = random.Random(seed)
    for _ in range(blocks):
        transactions = [chain.transaction() for _ in range(choice.randrange(3))]
        writes: dict[bytes, bytes | None] = {
            b"records/m/%d" % choice.randrange(900): encode("x" * choice.randrange(900))
            for _ in range(40)
        }
        writes[b"records/m/%d" % choice.randrange(900)] = None
        chain.append(transactions, writes)


@pytest.fixture
def chain(tmp_path):
    chain = HandmadeChain(tmp_path / "ledger.db")
    grow(chain, 20)
    chain.hand_over("n1", "n2", "n3", "n5")
    grow(chain, 3, seed=2)
    chain.hand_over("n1", "n2", "n3", "n6")
    grow(chain, 4, seed=3)
    yield chain
    chain.store.close()


@pytest.fixture
def joined(chain, address):
    store = join(chain, chain.store, address, chain.head.height)
    yield store
    store.close()


def entries_of(store: Store, height: int) -> dict[bytes, bytes]:
    """Every entry after a block, by its chunks."""
    found: dict[bytes, bytes] = {}
    header = store.header(height)
    assert header is not None
    wanted = [(b"", header.state_root)]
    while wanted:
        path, expected = wanted.pop()
        raw = supplier.chunk(store, height, path)
        assert raw is not None
        chunk = read_chunk(raw, path, expected)
        found.update(chunk.entries)
        wanted += snapshot.children(path, chunk.slots)
    return found


class TestAStoreThatBeginsWithASnapshot:
    def test_has_the_head_the_state_and_the_log_of_the_chain(self, chain, joined):
        assert joined.head() == chain.head
        assert joined.certificate(chain.head.height) == chain.store.certificate(chain.head.height)
        assert StateTree(joined).root == chain.tree.root
        assert joined.log().root() == chain.store.log().root()
        every = entries_of(chain.store, chain.head.height)
        assert len(every) > 300
        assert entries_of(joined, chain.head.height) == every
        assert all(joined.value(key) == value for key, value in every.items())

    def test_proves_presence_and_absence(self, chain, joined):
        tree = StateTree(joined)
        for number in range(0, 900, 90):
            key = b"records/m/%d" % number
            proof = tree.prove(key, chain.head.height)
            value = chain.store.value(key)
            assert verify_state_proof(chain.head.state_root, key, value, proof)

    def test_goes_on_with_blocks_as_any_other(self, chain, joined):
        tree = StateTree(joined)
        for _ in range(5):
            writes = {b"records/m/7": encode(chain.head.height), b"records/m/8": None}
            transactions = [chain.transaction()]
            block, results, _ = chain.prepare(transactions, writes)
            update = tree.update(writes, block.header.height)
            assert update.root == block.header.state_root
            certificate = certify(block.header, [m.node for m in chain.validators.members])
            ids = [transaction.id for transaction in transactions]
            joined.commit(block, certificate, results, writes, update.tiles, ids)
            tree.adopt(update)
            chain.append(transactions, writes)
        assert joined.head() == chain.head
        assert joined.log().root() == chain.store.log().root()
        receipt = build_receipt(joined, ids[0])
        assert receipt is not None
        assert len(receipt.handovers) == 2
        assert verify_receipt(receipt, chain.chain, chain.founders).header == chain.head

    def test_survives_being_opened_again(self, chain, joined, address):
        joined.close()
        again = Store.open(address)
        assert (again.head(), again.base()) == (chain.head, chain.head.height + 1)
        assert again.log().root() == chain.store.log().root()
        again.close()

    def test_answers_none_for_what_it_does_not_hold(self, chain, joined):
        height = chain.head.height
        assert joined.base() == height + 1
        assert joined.block(height) is None
        assert joined.results(height) is None
        for below in (0, 1, height - 1):
            assert joined.header(below) is None
            assert joined.block(below) is None
            assert joined.certificate(below) is None
            assert joined.results(below) is None
            assert joined.value(PARAMETERS_KEY, below) is None
        assert joined.counts() == (height + 1, 0)

    def test_knows_the_transactions_that_could_be_sent_again(self, chain, joined):
        for height in range(1, chain.head.height + 1):
            block = chain.store.block(height)
            results = chain.store.trace(height)
            assert block is not None
            assert results is not None
            ids = Trace(*results).identities()
            kept = height > chain.head.height - WINDOW
            assert joined.seen(ids) == (set(ids) if kept else set())
            assert joined.trace(height) == (results if kept else None)
            for tx_id in ids:
                assert build_receipt(joined, tx_id) is None
                assert joined.locate(tx_id) == (chain.store.locate(tx_id) if kept else None)

    def test_keeps_the_handovers(self, chain, joined):
        height = chain.head.height
        assert len(handovers(chain.store, height)) == 2
        assert handovers(joined, height) == handovers(chain.store, height)

    def test_hands_over_again_at_its_very_first_block(self, chain, tmp_path):
        chain.hand_over("n1", "n2", "n3", "n7")
        store = join(chain, chain.store, tmp_path / "edge.db", chain.head.height)
        block, results, _tiles = chain.prepare()
        certificate = certify(block.header, [m.node for m in chain.validators.members])
        store.commit(block, certificate, results, {}, {}, [])
        chain.append()
        height = chain.head.height
        assert len(handovers(store, height)) == 3
        assert handovers(store, height) == handovers(chain.store, height)
        store.close()

    def test_supplies_others_with_the_same_and_with_later_snapshots(self, chain, joined, tmp_path):
        second = join(chain, joined, tmp_path / "second.db", chain.head.height)
        assert entries_of(second, chain.head.height) == entries_of(joined, chain.head.height)
        second.close()

    def test_keeps_its_promises_and_forgets_what_was_there(self, chain, tmp_path):
        store = chain.found(tmp_path / "old.db")
        vote = Vote(chain.head.height + 1, 0, "prepare", b"d" * 32, b"m")
        store.save_votes([vote])
        anchor = introduce(chain, chain.store, chain.head.height)
        fetch_state(chain.store, store.staging(), anchor)
        fetch_trail(chain.store, store.staging(), anchor)
        assert store.numbering() == 0
        store.begin_at(anchor)
        assert store.numbering() == anchor.header.height
        assert store.votes(vote.height) == [vote]
        assert store.header(0) is None
        assert store.staging().count() == 0
        store.close()


class TestStaging:
    def test_nothing_changes_while_a_piece_is_missing(self, chain, tmp_path):
        store = chain.found(tmp_path / "new.db")
        anchor = introduce(chain, chain.store, chain.head.height)
        for fetch in (
            lambda: fetch_state(chain.store, store.staging(), anchor, limit=3),
            lambda: fetch_state(chain.store, store.staging(), anchor),
        ):
            fetch()
            with pytest.raises(Incomplete):
                store.begin_at(anchor)
            assert store.height() == 0
            assert store.base() == 0
            assert store.header(0) is not None
        fetch_trail(chain.store, store.staging(), anchor)
        store.begin_at(anchor)
        assert store.head() == chain.head
        store.close()

    def test_pieces_of_an_earlier_snapshot_serve_a_later_one(self, chain, tmp_path):
        store = chain.found(tmp_path / "new.db")
        first = introduce(chain, chain.store, chain.head.height)
        whole = fetch_state(chain.store, store.staging(), first)
        chain.append(writes={b"records/m/1": encode("changed")})
        second = introduce(chain, chain.store, chain.head.height)
        again = fetch_state(chain.store, store.staging(), second)
        assert 0 < again <= 3 < whole
        fetch_trail(chain.store, store.staging(), second)
        store.begin_at(second)
        assert store.value(b"records/m/1") == encode("changed")
        store.close()

    def test_a_piece_that_went_bad_is_missing(self, chain, tmp_path):
        store = chain.found(tmp_path / "new.db")
        anchor = introduce(chain, chain.store, chain.head.height)
        fetch_state(chain.store, store.staging(), anchor)
        fetch_trail(chain.store, store.staging(), anchor)
        kind, name, content = chunk_item(b"", anchor.header.state_root, b"\x92\x90\x90")
        store.staging().put([(kind, name, content)])
        with pytest.raises(Incomplete):
            store.begin_at(anchor)
        assert store.height() == 0
        store.close()

    @pytest.mark.parametrize("moment", ["pieces", "switch"])
    def test_a_kill_leaves_the_old_chain_and_the_pieces(self, chain, tmp_path, moment):
        chain.found(tmp_path / "new.db").close()
        script = """
import os, signal, sys
from pathlib import Path
from ledger.chain import store as stores
from ledger.chain.staging import Staging
from ledger.chain.store import Store
from tests.support.chain import HandmadeChain
from tests.support.snapshots import fetch_state, fetch_trail
import tests.support.snapshots as snapshots
from ledger.chain.handover import Trust
from ledger.chain.snapshot import Introduction
from ledger.chain import supplier
from ledger.chain.constitution import validators_at
source = Store.open(sys.argv[1], read_only=True)
target = Store.open(sys.argv[2])
trust = Trust(source.genesis().chain_id(), validators_at(lambda key: source.value(key, 0), 1))
introduction = Introduction(trust, source.height())
anchor = introduction.take(supplier.manifest(source, source.height(), 0))
fetch_state(source, target.staging(), anchor)
fetch_trail(source, target.staging(), anchor)
if sys.argv[3] == "switch":
    real = Staging.state
    def state(self, header):
        for number, batch in enumerate(real(self, header)):
            if number == 5:
                os.kill(os.getpid(), signal.SIGKILL)
            yield batch
    Staging.state = state
    target.begin_at(anchor)
os.kill(os.getpid(), signal.SIGKILL)
"""
        done = subprocess.run(
            [sys.executable, "-c", script, tmp_path / "ledger.db", tmp_path / "new.db", moment],
            cwd=Path(__file__).parents[3],
            check=False,
            env=os.environ,
        )
        assert done.returncode == -signal.SIGKILL
        store = Store.open(str(tmp_path / "new.db"))
        assert (store.height(), store.base()) == (0, 0)
        anchor = introduce(chain, chain.store, chain.head.height)
        assert fetch_state(chain.store, store.staging(), anchor, limit=0) == 0
        store.begin_at(anchor)
        assert store.head() == chain.head
        store.close()

    def test_a_snapshot_of_another_chain_is_refused(self, chain, tmp_path):
        other = HandmadeChain(tmp_path / "other.db", "m1", "m2", "m3", "m4")
        store = Store.open(str(tmp_path / "empty.db"), create=True)
        with pytest.raises(StoreUnusable, match="another chain"):
            store.begin_at(introduce(chain, chain.store, chain.head.height))
        store.close()
        other.store.close()


class TestTheManifest:
    def page(self, chain, **changes):
        raw = supplier.manifest(chain.store, chain.head.height, 0)
        assert raw is not None
        manifest = msgspec.msgpack.decode(raw, type=Manifest)
        return encode(msgspec.structs.replace(manifest, **changes))

    def refused(self, chain, raw, rule, height=None):
        trust = Trust(chain.chain, chain.founders)
        introduction = Introduction(trust, chain.head.height if height is None else height)
        with pytest.raises(InvalidSnapshot) as fault:
            introduction.take(raw)
        assert fault.value.rule == rule
        assert introduction.known == 0

    def test_comes_in_pages_where_there_are_many_handovers(self, chain, monkeypatch):
        monkeypatch.setattr(supplier, "PIECE_BYTES", 100)
        introduction = Introduction(Trust(chain.chain, chain.founders), chain.head.height)
        pages = 0
        anchor = None
        while anchor is None:
            raw = supplier.manifest(chain.store, chain.head.height, introduction.known)
            anchor = introduction.take(raw)
            pages += 1
        assert pages == 2
        assert [height for height, _ in anchor.handovers] == [21, 25]
        assert anchor.oldest == chain.head.height - WINDOW + 1

    def test_is_refused_with_a_header_that_nobody_certified(self, chain):
        header = msgspec.structs.replace(chain.head, time=1)
        self.refused(chain, self.page(chain, header=header), "not_final")

    def test_is_refused_with_a_certificate_of_too_few(self, chain):
        certificate = certify(chain.head, ["n1", "n2"])
        self.refused(chain, self.page(chain, certificate=certificate), "not_final")

    def test_is_refused_without_a_handover_that_leads_to_it(self, chain):
        every = handovers(chain.store, chain.head.height)
        self.refused(chain, self.page(chain, handovers=every[1:], total=1), "handover")
        self.refused(chain, self.page(chain, handovers=every[:1], total=1), "not_final")
        self.refused(chain, self.page(chain, handovers=every[::-1]), "handover")
        self.refused(chain, self.page(chain, handovers=()), "malformed")
        self.refused(chain, self.page(chain, total=1), "malformed")
        self.refused(chain, self.page(chain, first=1), "malformed")

    def test_is_refused_with_another_log(self, chain):
        peaks = chain.store.log(chain.head.height).peaks
        for wrong in ((), peaks[:-1], peaks[::-1], (*peaks[:-1], bytes(32)), (*peaks[:-1], b"")):
            self.refused(chain, self.page(chain, peaks=wrong), "log")

    def test_is_refused_with_other_parameters(self, chain):
        self.refused(chain, self.page(chain, parameters=parameters(2)), "parameters")

    def test_is_refused_for_another_height(self, chain):
        self.refused(chain, self.page(chain), "malformed", height=chain.head.height - 1)


class TestTheChunk:
    def at_root(self, chain):
        raw = supplier.chunk(chain.store, chain.head.height, b"")
        assert raw is not None
        return msgspec.msgpack.decode(raw, type=Chunk)

    def refused(self, chunk, path, expected, rule):
        with pytest.raises(InvalidSnapshot) as fault:
            read_chunk(encode(chunk), path, expected)
        assert fault.value.rule == rule

    def test_with_entries_left_out_added_or_changed_is_refused(self, chain):
        root = self.at_root(chain)
        path, expected = snapshot.children(b"", root.slots)[0]
        raw = supplier.chunk(chain.store, chain.head.height, path)
        assert raw is not None
        entries = read_chunk(raw, path, expected).entries
        assert len(entries) > 5
        foreign = (b"records/m/stranger", encode(1))
        for wrong in (
            entries[1:],
            entries[:-1],
            entries[::-1],
            (*entries, entries[-1]),
            ((entries[0][0], entries[0][1] + b"x"), *entries[1:]),
            tuple(sorted((*entries, foreign), key=lambda entry: STATE_KEY(entry[0]))),
        ):
            self.refused(Chunk(wrong, ()), path, expected, "chunk")
        self.refused(Chunk((), ()), path, expected, "malformed")
        self.refused(Chunk(entries, root.slots), path, expected, "malformed")

    def test_with_other_slots_is_refused(self, chain):
        slots = self.at_root(chain).slots
        root = chain.head.state_root
        self.refused(Chunk((), (slots[1], slots[0], *slots[2:])), b"", root, "chunk")
        self.refused(Chunk((), slots[:15]), b"", root, "malformed")
        self.refused(Chunk((), (bytes(32), *slots[1:])), b"", root, "malformed")
        self.refused(Chunk((), (b"x", *slots[1:])), b"", root, "malformed")
        self.refused(Chunk((), (b"\xff" * 64, *slots[1:])), b"", root, "chunk")
        self.refused(Chunk((), slots), bytes(64), root, "malformed")

    def test_of_one_entry_may_be_larger_than_others(self, chain, tmp_path):
        big = encode("x" * 200_000)
        chain.append(writes={b"records/big": big})
        store = join(chain, chain.store, tmp_path / "big.db", chain.head.height)
        assert store.value(b"records/big") == big
        store.close()

    def test_is_none_where_the_store_has_nothing_to_give(self, chain, joined):
        height = chain.head.height
        assert supplier.chunk(joined, height - 1, b"") is None
        assert supplier.chunk(joined, height + 1, b"") is None
        assert supplier.chunk(chain.store, height, bytes(65)) is None
        assert supplier.chunk(chain.store, height, b"\x10") is None
        assert supplier.chunk(chain.store, height, bytes(64)) is None
        assert supplier.manifest(joined, height - 1, 0) is None
        assert supplier.manifest(chain.store, 0, 0) is None
        assert supplier.trail(joined, height - WINDOW, 1) is None
        assert supplier.trail(chain.store, height + 1, 1) is None
        assert supplier.trail(chain.store, 0, 1) is None


class TestTheTrail:
    def traces(self, chain, top, count=5):
        raw = supplier.trail(chain.store, top, count)
        assert raw is not None
        return read_trail(raw, top, chain.chain)

    def refused(self, chain, traces, top, rule):
        with pytest.raises(InvalidSnapshot) as fault:
            read_trail(encode(tuple(traces)), top, chain.chain)
        assert fault.value.rule == rule

    def test_with_an_id_left_out_added_or_changed_is_refused(self, chain):
        chain.append([chain.transaction(), chain.transaction()])
        top = chain.head.height
        *before, last = self.traces(chain, top)
        for ids in (last.ids[:32], last.ids + bytes(32), last.ids[32:] + last.ids[:32], b"x"):
            self.refused(chain, [*before, Trace(last.header, ids)], top, "trail")

    def test_that_does_not_hang_together_is_refused(self, chain):
        top = chain.head.height
        traces = self.traces(chain, top)
        self.refused(chain, (*traces[:-2], traces[-1]), top, "trail")
        self.refused(chain, traces[:-1], top, "malformed")
        self.refused(chain, (), top, "malformed")
        other = msgspec.structs.replace(traces[0].header, chain=bytes(32))
        self.refused(chain, (Trace(other, traces[0].ids), *traces[1:]), top, "trail")
        older = msgspec.structs.replace(traces[0].header, version=2)
        self.refused(chain, (Trace(older, traces[0].ids), *traces[1:]), top, "malformed")

    def test_stops_where_it_would_be_too_long(self, chain, monkeypatch):
        monkeypatch.setattr(supplier, "PIECE_BYTES", 1_000)
        assert 1 < len(self.traces(chain, chain.head.height)) < 5


def schedule(*entries):
    value = encode([{"from": start, "values": {"validity_window": w}} for start, w in entries])
    return {PARAMETERS_KEY: value}.get


@pytest.mark.parametrize(
    ("entries", "height", "oldest"),
    [
        (((0, 16),), 100, 85),
        (((0, 16),), 5, 1),
        (((0, 200),), 100, 1),
        # narrowed at 50: what was taken in before may still be wide
        (((0, 60), (50, 16)), 100, 41),
        (((0, 60), (50, 16)), 120, 105),
        # widened at 50: what was taken in before is narrow
        (((0, 16), (50, 60)), 100, 50),
        (((0, 16), (50, 60)), 55, 40),
        # not in force yet
        (((0, 16), (101, 60)), 100, 85),
    ],
)
def test_the_trail_reaches_back_as_far_as_a_transaction_can_be_sent_again(entries, height, oldest):
    assert oldest_repeatable(schedule(*entries), height) == oldest


def test_the_trail_is_as_wide_as_the_widest_window_admits():
    read = schedule((0, 60), (50, 16), (80, 30))
    widths = [60] * 50 + [16] * 30 + [30] * 121
    for height in range(1, 200):
        brute = [h for h in range(1, height + 1) if h + widths[h] > height]
        assert oldest_repeatable(read, height) == min(brute)
