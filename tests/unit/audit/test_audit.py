"""The auditor: a good chain passes, and every changed byte is found and located."""

import json
import random
import shutil
import sqlite3

import msgspec
import pytest

from ledger.audit.report import AuditReport
from ledger.audit.source import open_export, open_store
from ledger.audit.verify import NotAuditable, verify_chain, verify_receipt_file
from ledger.chain.block import Block
from ledger.chain.codec import Malformed, decode, encode
from ledger.chain.export import write_export
from ledger.chain.genesis import Genesis
from ledger.chain.receipt import InvalidReceipt, build_receipt, dump_receipt
from ledger.chain.result import decode_result
from ledger.chain.rules import proposer_of
from ledger.chain.store import Store, StoreUnusable
from ledger.contracts import blocks
from tests.support.chain import certify
from tests.support.notes import NODES, NotesChain, notes_genesis

HEIGHT = 8
#: Table, its key columns, and the columns that a tamperer changes.
COLUMNS = {
    "meta": ("name", ["value"]),
    "blocks": ("height", ["header", "certificate", "results", "body", "tree", "total", "height"]),
    "transactions": ("id", ["id", "height", "place"]),
    "state": ("id", ["name", "map", "height", "key", "value"]),
    "tiles": ("height, path", ["height", "path", "tile"]),
    "log": ("level, place", ["level", "place", "hash"]),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A closed store with a change of validators in it."""
    path = tmp_path_factory.mktemp("good") / "ledger.db"
    chain = NotesChain(path)
    chain.grow(3)
    chain.hand_over("n2", "n3", "n4", "n5")
    chain.grow(HEIGHT)
    write_export(chain.store, path.with_name("chain.export"))
    chain.store.close()
    return path


@pytest.fixture
def copy(good, tmp_path):
    """A copy of the store to be tampered with."""
    return shutil.copy(good, tmp_path / "ledger.db")


def audit(path, genesis: Genesis | None = None) -> AuditReport:
    with open_store(str(path)) as source:
        return verify_chain(source, genesis or notes_genesis())


def execute(path, statement, *values):
    with sqlite3.connect(path) as database:
        database.execute(statement, values)
    database.close()


def rows(path, statement):
    with sqlite3.connect(path) as database:
        found = database.execute(statement).fetchall()
    database.close()
    return found


def changed(value, random_):
    """The same kind of value with one thing about it different."""
    if isinstance(value, int):
        return value + random_.choice([-1000, 1000])
    damaged = bytearray(value)
    damaged[random_.randrange(len(damaged))] ^= random_.randrange(1, 256)
    return bytes(damaged)


class TestGoodChains:
    def test_a_good_store_verifies(self, good):
        steps = []
        with open_store(str(good)) as source:
            report = verify_chain(source, notes_genesis(), lambda *step: steps.append(step))
        assert report.verified
        assert report.faults == ()
        assert report.first_fault is None
        assert (report.blocks, report.height) == (HEIGHT + 1, HEIGHT)
        assert report.transactions == 4 * 7 + 1
        assert steps == [(done, HEIGHT + 1) for done in range(1, HEIGHT + 2)]
        store = Store.open(str(good), read_only=True)
        assert report.state_root == store.head().state_root.hex()
        store.close()

    def test_a_good_export_verifies(self, good):
        with open_export(good.with_name("chain.export")) as source:
            report = verify_chain(source, notes_genesis())
        assert report.verified
        assert report.blocks == HEIGHT + 1

    def test_a_store_verifies_while_a_node_writes_to_it(self, tmp_path):
        chain = NotesChain(tmp_path / "ledger.db")
        chain.grow(2)
        with open_store(str(tmp_path / "ledger.db")) as source:
            chain.grow(4)
            report = verify_chain(source, chain.genesis)
        assert report.verified
        assert report.height == 2
        chain.store.close()

    def test_an_audit_leaves_no_trace(self, good):
        before = {file.name: file.read_bytes() for file in good.parent.iterdir()}
        audit(good)
        assert {file.name: file.read_bytes() for file in good.parent.iterdir()} == before

    def test_a_report_is_json(self, good):
        text = json.dumps(audit(good).as_json())
        assert json.loads(text)["verified"] is True


class TestTamperedStores:
    @pytest.mark.parametrize("table", COLUMNS)
    def test_every_changed_cell_is_found_and_located(self, good, tmp_path, table):
        keys, columns = COLUMNS[table]
        rng = random.Random(table)
        for column in columns:
            found = rows(good, f"select {keys}, {column} from {table} where length({column}) > 0")
            for row in rng.sample(found, min(4, len(found))):
                path = shutil.copy(good, tmp_path / "ledger.db")
                execute(path, _update(table, column), changed(row[-1], rng), *row[:-1])
                report = audit(path)
                assert not report.verified, (table, column, row)
                fault = report.first_fault
                assert table in {fault.table for fault in report.faults}, (column, row, report)
                if table in ("blocks", "transactions", "state", "tiles"):
                    assert fault.height is not None

    @pytest.mark.parametrize("column", ["header", "certificate", "body", "results"])
    def test_every_byte_of_a_block_is_under_guard(self, copy, column):
        height = 5
        ((raw,),) = rows(copy, f"select {column} from blocks where height = {height}")
        rng = random.Random(column)
        for place in rng.sample(range(len(raw)), min(25, len(raw))):
            damaged = bytearray(raw)
            damaged[place] ^= rng.randrange(1, 256)
            execute(copy, f"update blocks set {column} = ? where height = 5", bytes(damaged))
            fault = audit(copy).first_fault
            assert (fault.height, fault.table, fault.key) == (height, "blocks", column), fault

    def test_every_byte_of_a_state_entry_is_under_guard(self, copy):
        key = b"notes/notes/h2-0"
        where = f"key = x'{key.hex()}' and value is not null"
        ((row, height, raw),) = rows(copy, f"select id, height, value from state where {where}")
        for place in range(len(raw)):
            damaged = bytearray(raw)
            damaged[place] ^= 0x01
            execute(copy, "update state set value = ? where id = ?", bytes(damaged), row)
            fault = audit(copy).first_fault
            assert (fault.height, fault.table, fault.key) == (height, "state", key.decode())
            assert raw.hex() == fault.expected or f", at {place} " in fault.expected
            assert fault.expected != fault.found

    def test_a_changed_transaction_is_named(self, copy):
        ((raw,),) = rows(copy, "select body from blocks where height = 5")
        envelopes = list(decode(raw, list[bytes], limit=2**20))
        identity = rows(copy, "select id from transactions where height = 5 and place = 2")[0][0]
        damaged = bytearray(envelopes[2])
        damaged[-1] ^= 1
        envelopes[2] = bytes(damaged)
        execute(copy, "update blocks set body = ? where height = 5", encode(envelopes))
        fault = audit(copy).first_fault
        assert (fault.height, fault.index, fault.transaction) == (5, 2, identity.hex())
        assert fault.what == "a signature is not good"

    def test_a_changed_result_is_named_with_both_sides(self, copy):
        ((raw,),) = rows(copy, "select results from blocks where height = 5")
        results = [decode_result(item) for item in decode(raw, list[bytes], limit=2**20)]
        call = msgspec.structs.replace(results[1].calls[0], value=999)
        results[1] = msgspec.structs.replace(results[1], calls=(call,))
        execute(
            copy,
            "update blocks set results = ? where height = 5",
            encode([encode(result) for result in results]),
        )
        report = audit(copy)
        fault = report.first_fault
        assert (fault.height, fault.index) == (5, 1)
        assert fault.transaction == results[1].transaction.hex()
        assert "999" in fault.found
        assert "999" not in fault.expected
        assert report.height == HEIGHT

    @pytest.mark.parametrize("table", ["transactions", "state", "tiles", "log", "blocks", "votes"])
    def test_a_missing_row_is_found(self, copy, table):
        if table == "votes":
            execute(copy, "insert into votes values (9, 0, 'prepare', x'00', x'00')")
            assert audit(copy).verified  # what a validator promised is its own affair
            return
        height = "(level + 1)" if table == "log" else "height"
        execute(copy, f"delete from {table} where {height} = 3")
        report = audit(copy)
        assert not report.verified
        assert "missing" in report.first_fault.what

    def test_a_row_that_no_block_makes_is_found(self, copy):
        execute(copy, "insert into state(name, map, height, key, value) values (1,1,3,x'61',x'01')")
        execute(copy, "insert into transactions values (zeroblob(32), 3, 9)")
        execute(copy, "insert into meta values ('more', x'00')")
        faults = audit(copy).faults
        assert {(fault.table, fault.key) for fault in faults} == {
            ("state", "a"),
            ("transactions", "00" * 32),
            ("meta", "more"),
        }

    def test_a_value_of_another_type_is_found(self, copy):
        execute(copy, "update state set value = 7 where height = 3")
        execute(copy, "update blocks set header = 'text' where height = 6")
        report = audit(copy)
        assert report.faults[0].table == "state"
        assert ("blocks", 6) in {(fault.table, fault.height) for fault in report.faults}

    def test_the_first_fault_is_the_one_at_the_lowest_height(self, copy):
        execute(copy, "update blocks set total = 99 where height = 4")
        execute(copy, "update state set value = x'00' where height = 2")
        report = audit(copy)
        assert [fault.height for fault in report.faults] == sorted(
            fault.height for fault in report.faults
        )
        assert report.first_fault.table == "state"

    def test_flipped_bytes_of_the_file_are_found(self, good, tmp_path):
        whole = good.read_bytes()
        rng = random.Random(1)
        reference = dump(good)
        path = tmp_path / "ledger.db"
        noticed = 0
        for _ in range(45):
            damaged = bytearray(whole)
            damaged[rng.randrange(100, len(whole))] ^= 1 << rng.randrange(8)
            path.write_bytes(damaged)
            try:
                verified = audit(path).verified
            except StoreUnusable:
                verified = False
            if verified:
                assert dump(path) == reference  # the byte was in unused space
            else:
                noticed += 1
        assert noticed > 10


class TestLiars:
    """A quorum that certifies what is not so."""

    def lie(self, tmp_path, **claims):
        chain = NotesChain(tmp_path / "ledger.db")
        chain.grow(2)
        tip = chain.replica.tip()
        executed = blocks.candidate(
            tip,
            chain.replica.machine,
            proposer=proposer_of(tip.header, tip.validators, tip.parameters, 3, 0),
            view=0,
            time=tip.header.time + 1_000,
            transactions=[chain.note("x"), chain.note("y")],
        )
        results = list(executed.encoded_results)
        if "results_root" in claims:
            other = msgspec.structs.replace(executed.results[1], calls=())
            results[1] = encode(other)
        header = msgspec.structs.replace(executed.block.header, **claims)
        chain.store.commit(
            Block(header, executed.block.transactions),
            certify(header, NODES),
            results,
            executed.writes,
            executed.update.tiles,
            [transaction.id for transaction in executed.transactions],
        )
        chain.store.close()
        report = audit(tmp_path / "ledger.db")
        assert not report.verified
        assert report.height == 2
        assert report.first_fault.height == 3
        return executed, report.first_fault

    def test_a_certified_result_that_the_contracts_do_not_give(self, tmp_path):
        executed, fault = self.lie(tmp_path, results_root=bytes(32))
        assert fault.index == 1
        assert fault.transaction == executed.transactions[1].id.hex()
        assert "not what the contracts give" in fault.what

    @pytest.mark.parametrize("root", ["state_root", "log_root"])
    def test_a_certified_root_that_is_not_so(self, tmp_path, root):
        executed, fault = self.lie(tmp_path, **{root: bytes(32)})
        assert fault.what == root.replace("_", " ")
        assert fault.expected == getattr(executed.block.header, root).hex()
        assert fault.found == bytes(32).hex()

    def test_a_certified_block_by_the_wrong_proposer(self, tmp_path):
        _, fault = self.lie(tmp_path, proposer="n9")
        assert "n9 is not the proposer" in fault.what


class TestExports:
    def test_flipped_bytes_are_found(self, good, tmp_path):
        whole = good.with_name("chain.export").read_bytes()
        rng = random.Random(2)
        path = tmp_path / "chain.export"
        for _ in range(60):
            damaged = bytearray(whole)
            damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
            path.write_bytes(damaged)
            try:
                with open_export(path) as source:
                    report = verify_chain(source, notes_genesis())
            except Malformed:
                continue
            # The genesis inside is JSON, where some bytes are only white space.
            assert not report.verified or damaged[:4000] != whole[:4000]

    def test_an_export_that_is_cut_off_is_told(self, good, tmp_path):
        whole = good.with_name("chain.export").read_bytes()
        path = tmp_path / "chain.export"
        path.write_bytes(whole[:-10])
        with open_export(path) as source:
            report = verify_chain(source, notes_genesis())
        assert "cut off" in report.first_fault.found
        assert report.height == HEIGHT - 1
        path.write_bytes(whole[:10])
        with pytest.raises(Malformed):
            open_export(path)


def test_a_chain_of_another_genesis_is_told(good):
    report = audit(good, notes_genesis("other"))
    assert report.first_fault.what == "the chain starts from another genesis"
    assert report.height == -1


def test_a_genesis_that_fails_cannot_be_audited(good):
    genesis = notes_genesis()
    broken = msgspec.structs.replace(genesis.contracts[0], arguments={})
    with pytest.raises(NotAuditable):
        audit(good, msgspec.structs.replace(genesis, contracts=(broken,)))


def test_what_is_no_store_is_not_audited(tmp_path):
    (tmp_path / "x.db").write_bytes(b"nothing like it" * 100)
    with pytest.raises(StoreUnusable):
        open_store(str(tmp_path / "x.db"))
    sqlite3.connect(tmp_path / "y.db").execute("create table t(x)")
    with pytest.raises(StoreUnusable):
        open_store(str(tmp_path / "y.db"))


def test_a_receipt_file_is_checked_with_nothing_but_the_genesis(tmp_path):
    chain = NotesChain(tmp_path / "ledger.db")
    chain.hand_over("n2", "n3", "n4", "n5")
    chain.grow(3)
    transaction = chain.note("mine")
    chain.append(transaction)
    receipt = build_receipt(chain.store, transaction.id)
    chain.store.close()
    path = tmp_path / "receipt.json"
    path.write_bytes(dump_receipt(receipt))
    verified = verify_receipt_file(chain.genesis, path)
    assert verified.transaction.id == transaction.id
    assert verified.result.calls[0].ok
    with pytest.raises(InvalidReceipt):
        verify_receipt_file(notes_genesis("other"), path)


def dump(path):
    with sqlite3.connect(path) as database:
        found = {table: database.execute(f"select * from {table}").fetchall() for table in COLUMNS}
    database.close()
    return found


def _update(table: str, column: str) -> str:
    keys = " and ".join(f"{key.strip()} = ?" for key in COLUMNS[table][0].split(","))
    return f"update {table} set {column} = ? where {keys}"
