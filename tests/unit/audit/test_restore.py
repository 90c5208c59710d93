"""Importing an export: a store like the first one, or a refusal that names the block."""

import pytest

from ledger.audit.restore import NotRestored, restore
from ledger.chain.export import write_export
from ledger.chain.store import Store, StoreUnusable
from tests.support.notes import NotesChain, notes_genesis


@pytest.fixture
def export(tmp_path):
    chain = NotesChain(tmp_path / "first.db")
    chain.grow(2)
    chain.hand_over("n2", "n3", "n4", "n5")
    chain.grow(5)
    path = tmp_path / "chain.export"
    steps = []
    assert write_export(chain.store, path, lambda *step: steps.append(step)) == 6
    assert steps[-1] == (6, 6)
    yield path, list(chain.store.blocks())
    chain.store.close()


@pytest.fixture
def empty(tmp_path):
    store = Store.open(str(tmp_path / "second.db"), create=True)
    yield store
    store.close()


def test_a_restored_store_holds_the_same_chain(export, empty):
    path, blocks = export
    assert restore(path, notes_genesis(), empty) == 6
    assert list(empty.blocks()) == blocks


def test_a_block_that_is_not_good_stops_the_import(export, empty):
    path, blocks = export
    raw = path.read_bytes()
    place = raw.index(blocks[4][0].transactions[1]) + 40
    path.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
    with pytest.raises(NotRestored) as refusal:
        restore(path, notes_genesis(), empty)
    assert refusal.value.height == 4
    assert empty.height() == 3


def test_an_export_of_another_chain_is_refused(export, empty):
    with pytest.raises(NotRestored, match="not the genesis block"):
        restore(export[0], notes_genesis("other"), empty)


def test_a_store_that_holds_a_chain_is_not_overwritten(export, empty):
    restore(export[0], notes_genesis(), empty)
    with pytest.raises(StoreUnusable):
        restore(export[0], notes_genesis(), empty)


def test_an_export_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    chain = NotesChain(tmp_path / "first.db")
    with pytest.raises(StoreUnusable):
        write_export(chain.store, tmp_path / "no" / "chain.export")
    chain.store.close()
    store = Store.open(str(tmp_path / "empty.db"), create=True)
    with pytest.raises(StoreUnusable, match="no chain"):
        write_export(store, tmp_path / "chain.export")
    store.close()
    assert not list(tmp_path.glob("*.export*"))
