"""Pruning random histories: whatever a kept height could prove before, it proves after, and no row
stays that nothing needs."""

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from ledger.chain import pruning, schema, tiles
from ledger.chain.handover import Trust, handovers, verify_final
from ledger.chain.pruning import Pruning
from ledger.chain.receipt import build_receipt
from ledger.chain.statetree import StateTree, verify_state_proof
from ledger.chain.store import Store
from tests.support.chain import HandmadeChain

KEYS = [f"notes/map/{number}".encode() for number in range(40)]

writes = st.dictionaries(
    st.sampled_from(KEYS), st.one_of(st.none(), st.binary(min_size=1, max_size=3)), max_size=12
)
block = st.tuples(writes, st.integers(0, 2), st.booleans())
histories = st.lists(block, min_size=4, max_size=14)


def grow(chain, history):
    committees = [("n1", "n2", "n3", "n4"), ("n3", "n4", "n5", "n6")]
    for written, transactions, hands_over in history:
        if hands_over:
            present = chain.validators.members[0].node
            chain.hand_over(*committees[present == "n1"])
        chain.append([chain.transaction() for _ in range(transactions)], written)


def observed(store, chain, first, keys=KEYS):
    """All that a store says about the heights from ``first`` on, of the state with these keys."""
    seen = {}
    tree = StateTree(store, cache=0)
    for height in range(first, store.height() + 1):
        header = store.header(height)
        for key in keys:
            value, proof = store.value(key, height), tree.prove(key, height)
            assert verify_state_proof(header.state_root, key, value, proof)
            seen[height, key] = value, proof
        seen[height, "root"] = tree.root_at(height)
        seen[height, "header"] = header, store.certificate(height)
        if height > first:
            seen[height, "block"] = store.block(height), store.results(height)
            seen[height, "trace"] = store.trace(height)
        if height > 0:
            leading = handovers(store, height)
            trust = Trust(chain.chain, chain.founders)
            verify_final(trust, header, store.certificate(height), leading)
            seen[height, "handovers"] = leading
    size = store.height() + 1
    for index in range(size):
        seen["log", index] = store.log_path(index, size)
    return seen


def rows(store, table):
    return store._database.all(store._database.query(select(*table.primary_key.columns)))


def reachable(store, base):
    """Height and path of every tile that a tree from just below the base on is made of."""
    found = set()

    def visit(path, version):
        if (version, path) in found:
            return
        tile = tiles.decode_tile(
            store.tile(path, version), version, lambda at: store.tile(path, at)
        )
        found.add((version, path))
        found.add((tile[0][1], path))
        for slot in range(tiles.SLOTS):
            entry = tile[tiles.SLOTS + slot]
            if len(entry) == tiles.CHILD_SIZE:
                visit(path + bytes([slot]), tiles.child_height(entry))

    for height in range(base - 1, store.height() + 1):
        visit(b"", store.tree_height(height))
    return found


def needed_values(chain, base):
    """How many rows of the state the heights from just below the base on rest on."""
    store = chain.store
    keys = {
        row[0] for row in store._database.all(store._database.query(select(schema.state.c.key)))
    }
    return sum(
        (store.value(key, base - 1) is not None)
        + sum(entry.height >= base for entry in store.history(key))
        for key in keys
    )


@settings(max_examples=25, deadline=None)
@given(histories, st.lists(st.integers(1, 100), min_size=1, max_size=3), histories)
def test_kept_heights_prove_the_same_before_and_after(history, bases, future):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        chain = HandmadeChain(Path(directory) / "ledger.db")
        grow(chain, history)
        pruner = Pruning(chain.store)
        top = chain.store.height()
        for share in sorted(bases):
            base = 1 + share * (top - 1) // 100
            ids = [
                id_
                for height in range(max(base, chain.store.base()), top + 1)
                for id_ in split(chain.store.trace(height)[1])
            ]
            before = observed(chain.store, chain, max(base, chain.store.base()) - 1)
            receipts = {id_: build_receipt(chain.store, id_) for id_ in ids}
            needed = needed_values(chain, max(base, chain.store.base()))
            for _ in pruner.steps(max(base, chain.store.base())):
                pass
            base = chain.store.base()
            assert observed(chain.store, chain, base - 1) == before
            assert {id_: build_receipt(chain.store, id_) for id_ in ids} == receipts
            assert set(rows(chain.store, schema.tiles)) == reachable(chain.store, base)
            assert needed - 1 <= len(rows(chain.store, schema.state)) <= needed + 1
            for height in range(base):
                assert chain.store.block(height) is None
                assert (chain.store.header(height) is None) == (height < base - 1)
        # The pruned chain goes on as the other one would.
        grow(chain, future)
        chain.store.close()
        twin = HandmadeChain(Path(directory) / "twin.db")
        grow(twin, history)
        grow(twin, future)
        assert twin.head == chain.head
        reopened = Store.open(str(Path(directory) / "ledger.db"))
        assert observed(reopened, chain, base - 1) == observed(twin.store, twin, base - 1)
        reopened.close()
        twin.store.close()


def split(ids):
    return [ids[at : at + 32] for at in range(0, len(ids), 32)]


@pytest.fixture
def small_steps(monkeypatch):
    monkeypatch.setattr(pruning, "STEP_ROWS", 3)
    monkeypatch.setattr(pruning, "STEP_BLOCKS", 2)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(histories, st.integers(1, 100), st.integers(0, 60))
def test_pruning_that_was_cut_short_is_gone_on_with(small_steps, history, share, stop):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        path = Path(directory) / "ledger.db"
        chain = HandmadeChain(path)
        grow(chain, history)
        base = 1 + share * (chain.store.height() - 1) // 100
        before = observed(chain.store, chain, base - 1)
        steps = Pruning(chain.store).steps(base)
        for number, _ in enumerate(itertools.islice(steps, stop)):
            # After every step what is kept is whole; of the keys an eighth is looked at in turn.
            seen = observed(chain.store, chain, base - 1, KEYS[number % 8 :: 8])
            assert seen == {what: before[what] for what in seen}
        chain.store.close()
        store = Store.open(str(path))
        assert observed(store, chain, base - 1) == before
        for _ in Pruning(store).steps(base):
            pass
        assert observed(store, chain, base - 1) == before
        assert set(rows(store, schema.tiles)) == reachable(store, base)
        store.close()
