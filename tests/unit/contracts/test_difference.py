"""Two nodes that disagree about a block are told where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from ledger.chain.block import Block
from ledger.chain.codec import encode
from ledger.chain.transaction import Transaction
from ledger.contracts import blocks
from ledger.contracts.blocks import BlockFault, Executed, Tip
from ledger.contracts.difference import Outcome, Unproven, first_difference
from tests.support.notes import NOTES, NotesChain

COUNT = b"notes/count"


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[NotesChain]:
    chain = NotesChain(tmp_path / "notes.db")
    chain.append(chain.note("first"))
    yield chain
    chain.store.close()


def damaged(tip: Tip, **entries: object) -> Tip:
    """A tip whose store gives other values for some entries of the notes."""
    wrong = {f"notes/{name}".encode(): encode(value) for name, value in entries.items()}
    return replace(tip, read=lambda key: wrong.get(key, tip.read(key)))


def built(tip: Tip, chain: NotesChain, *transactions: Transaction) -> Executed:
    return blocks.candidate(
        tip, chain.replica.machine, proposer="n2", view=0, time=tip.header.time + 1_000,
        transactions=transactions,
    )  # fmt: skip


def outcome(executed: Executed) -> Outcome:
    return Outcome(executed.encoded_results, executed.writes)


def line_of(text: str) -> str:
    (line,) = [number for number, one in enumerate(NOTES.splitlines(), 1) if one.strip() == text]
    return f"notes:{line}"


def test_the_first_entry_is_named_with_transaction_line_and_both_values(chain: NotesChain) -> None:
    tip = chain.replica.tip()
    first, second = chain.transaction("notes", "erase", id="first"), chain.note("second")
    theirs = built(damaged(tip, count=41), chain, first, second)

    found = first_difference(tip, chain.replica.machine, theirs.block, outcome(theirs))

    assert found is not None
    assert (found.transaction, found.identity, found.call) == (1, second.id.hex(), 0)
    assert (found.what, found.ours, found.theirs) == ("notes/count", "2", "42")
    assert found.place == line_of("count.set(number)")
    assert "notes/count is 2 here and 42 there" in str(found)


def test_a_call_that_fails_on_one_side_only_is_named_with_the_line_of_the_failure(
    chain: NotesChain,
) -> None:
    tip = chain.replica.tip()
    erase = chain.transaction("notes", "erase", id="unknown")
    theirs = built(damaged(tip, **{"notes/unknown": {"text": "x"}}), chain, erase)

    found = first_difference(tip, chain.replica.machine, theirs.block, outcome(theirs))

    assert found is not None
    assert (found.transaction, found.call, found.what) == (0, 0, "the result's ok")
    assert (found.ours, found.theirs) == ("False", "True")
    assert found.place == line_of('require(id in notes, "no_note", "there is no such note")')


def test_an_entry_that_only_the_other_node_writes_is_named(chain: NotesChain) -> None:
    tip = chain.replica.tip()
    executed = built(tip, chain, chain.note("second"))
    writes = {**executed.writes, b"notes/notes/ghost": encode("boo")}
    root = tip.tree.update(writes, 2).root
    block = replace_root(executed, root)

    found = first_difference(
        tip, chain.replica.machine, block, Outcome(executed.encoded_results, writes)
    )

    assert found is not None
    assert found.transaction == -1
    assert (found.what, found.ours, found.theirs) == ("notes/notes/ghost", "nothing", "'boo'")


def replace_root(executed: Executed, root: bytes) -> Block:
    header = msgspec.structs.replace(executed.block.header, state_root=root)
    return Block(header, executed.block.transactions)


def test_the_same_outcome_has_no_difference(chain: NotesChain) -> None:
    tip = chain.replica.tip()
    executed = built(tip, chain, chain.note("second"))

    machine = chain.replica.machine
    assert first_difference(tip, machine, executed.block, outcome(executed)) is None


def test_a_liar_cannot_blame_the_block_for_what_it_made_up(chain: NotesChain) -> None:
    tip = chain.replica.tip()
    executed = built(tip, chain, chain.note("second"))
    honest = outcome(executed)
    for lie in (
        Outcome((*honest.results, b"\x00"), honest.writes),
        Outcome(honest.results, {**honest.writes, COUNT: encode(7)}),
    ):
        with pytest.raises(Unproven):
            first_difference(tip, chain.replica.machine, executed.block, lie)


def test_the_block_of_a_damaged_node_is_refused_by_its_state_root(chain: NotesChain) -> None:
    tip = chain.replica.tip()
    theirs = built(damaged(tip, count=41), chain, chain.note("second"))
    with pytest.raises(BlockFault, match="root"):
        blocks.check(tip, chain.replica.machine, theirs.block)
