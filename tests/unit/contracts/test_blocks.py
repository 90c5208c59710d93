"""What makes a block valid, rule by rule."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger.chain import merkle
from ledger.chain.block import Block, identities_hash
from ledger.chain.codec import Malformed
from ledger.chain.transaction import decode_transaction
from ledger.contracts import blocks
from ledger.contracts.blocks import BlockFault, Executed, Tip
from tests.support.chain_fixtures import consortium
from tests.support.founded import Chain
from tests.support.local_service import Consortium

__all__ = ["consortium"]


@pytest.fixture
def chain(consortium: Consortium, tmp_path: Path) -> Iterator[Chain]:
    chain = Chain(consortium, tmp_path)
    yield chain
    chain.replica.store.close()


def checked(chain: Chain, block: Block, tip: Tip | None = None, **options: Any) -> Executed:
    return blocks.check(tip or chain.replica.tip(), chain.replica.machine, block, **options)


def outcome(executed: Executed) -> tuple[object, ...]:
    """All that storing a block takes; transactions are decoded anew and only equal in bytes."""
    return executed.block, executed.encoded_results, executed.writes, executed.update


def fault_of(chain: Chain, block: Block, **options: Any) -> BlockFault:
    with pytest.raises(BlockFault) as found:
        checked(chain, block, **options)
    return found.value


def with_header(block: Block, **changes: Any) -> Block:
    return Block(msgspec.structs.replace(block.header, **changes), block.transactions)


def with_transactions(block: Block, *raws: bytes) -> Block:
    """Other transactions, with their root and the hash over the ids of those that have one: only
    executing shows that something is wrong."""
    ids = []
    for raw in raws:
        with contextlib.suppress(Malformed):
            ids.append(decode_transaction(raw).id)
    changes = {"transactions_root": merkle.root(raws), "identities": identities_hash(ids)}
    return Block(msgspec.structs.replace(block.header, **changes), raws)


def test_what_a_proposer_builds_everybody_accepts_with_the_same_outcome(chain: Chain) -> None:
    built = chain.executed(chain.grant("a"), chain.grant("b"))
    found = checked(chain, built.block)
    assert outcome(found) == outcome(built)
    assert [result.calls[0].ok for result in built.results] == [True, True]


def test_an_empty_block_changes_no_state(chain: Chain) -> None:
    built = chain.executed()
    assert built.block.header.state_root == chain.replica.head.state_root
    assert checked(chain, built.block).writes == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("chain", bytes(32)),
        ("height", 2),
        ("parent", bytes(32)),
        ("proposer", "nobody"),
        ("time", 0),
        ("log_root", bytes(32)),
        ("transactions_root", bytes(32)),
        ("identities", bytes(32)),
        ("results_root", bytes(32)),
        ("state_root", bytes(32)),
        ("validators", bytes(32)),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_every_claim_of_a_header_is_checked(chain: Chain, field: str, value: Any) -> None:
    built = chain.executed(chain.grant("a"))
    fault = fault_of(chain, with_header(built.block, **{field: value}))
    assert str(fault)
    assert outcome(checked(chain, built.block)) == outcome(built)


def test_the_clock_of_whoever_checks_is_not_asked(chain: Chain) -> None:
    header = chain.executed().block.header
    for time in (header.time, header.time + 10 * chain.replica.parameters.clock_ahead):
        block = with_header(chain.executed().block, time=time)
        assert checked(chain, block).block.header.time == time


def test_a_time_that_stands_still_is_moved_past_the_parents(chain: Chain) -> None:
    built = chain.executed(time=0)
    assert built.block.header.time == chain.replica.head.time + 1


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda chain: [b"\xc1"], "malformed"),
        (lambda chain: [chain.forged("a")], "signature"),
        (lambda chain: [chain.grant("a", chain=bytes(32)).raw], "wrong_chain"),
        (lambda chain: [chain.grant("a", height=5).raw], "not_yet_valid"),
        (lambda chain: [chain.grant("a", window=2_000_000).raw], "window_too_wide"),
        (lambda chain: [chain.grant("a").raw] * 2, "twice"),
    ],
    ids=["malformed", "forged", "other-chain", "early", "wide", "twice"],
)
def test_a_transaction_that_may_not_stand_in_a_block_is_named_by_its_place(
    chain: Chain, change: Callable[[Chain], list[bytes]], what: str
) -> None:
    good = chain.grant("first")
    built = chain.executed(good)
    raws = change(chain)
    fault = fault_of(chain, with_transactions(built.block, good.raw, *raws))
    assert what in fault.what
    assert fault.transaction == len(raws)
    assert f"transaction {len(raws)}: " in str(fault)


def test_a_transaction_that_the_chain_holds_is_refused_and_left_out(chain: Chain) -> None:
    old = chain.grant("a")
    chain.append(old)
    assert chain.executed(old).block.transactions == ()
    fault = fault_of(chain, with_transactions(chain.executed().block, old.raw))
    assert fault.what == "already on the chain"


def test_an_expired_transaction_is_refused_and_left_out(chain: Chain) -> None:
    late = chain.grant("a", height=0, window=1)
    for _ in range(2):
        chain.append()
    assert chain.executed(late).block.transactions == ()
    fault = fault_of(chain, with_transactions(chain.executed().block, late.raw))
    assert fault.what == "expired"


def test_signatures_that_are_known_to_be_good_are_not_checked_again(chain: Chain) -> None:
    transaction = chain.grant("a")
    built = chain.executed(transaction)
    asked: list[bytes] = []

    def verified(raw: bytes) -> Any:
        asked.append(raw)
        return transaction

    assert checked(chain, built.block, verified=verified) == built
    assert asked == [transaction.raw]


def test_other_results_than_the_execution_gives_are_refused(chain: Chain) -> None:
    built = chain.executed(chain.grant("a"))
    other = chain.executed(chain.grant("b"))
    fault = fault_of(chain, with_transactions(built.block, *other.block.transactions))
    assert fault.what in ("results root", "state root")
    assert (len(fault.expected), len(fault.found)) == (64, 64)


def test_a_block_is_cut_where_its_gas_runs_out(chain: Chain) -> None:
    transactions = [chain.grant(str(number)) for number in range(6)]
    everything = chain.executed(*transactions)
    gas = [sum(call.gas for call in result.calls) for result in everything.results]
    tip = chain.tip(block_gas=gas[0] + gas[1] + 1)
    # The one that crosses the limit is the last.
    built = chain.executed(*transactions, tip=tip)
    assert len(built.block.transactions) == 3
    assert outcome(checked(chain, built.block, tip)) == outcome(built)
    fault = fault_of(chain, everything.block, tip=tip)
    assert (fault.transaction, "gas" in fault.what) == (3, True)


@pytest.mark.parametrize(
    ("parameters", "what"),
    [
        ({"block_transactions": 2}, "too many transactions"),
        ({"block_bytes": 500}, "too many bytes"),
    ],
)
def test_a_block_is_bounded_in_transactions_and_bytes(
    chain: Chain, parameters: dict[str, int], what: str
) -> None:
    built = chain.executed(*[chain.grant(str(number)) for number in range(3)])
    fault = fault_of(chain, built.block, tip=chain.tip(**parameters))
    assert fault.what == what


def test_ids_of_a_block_can_be_checked_by_its_header_alone(chain: Chain) -> None:
    built = chain.executed(chain.grant("a"), chain.grant("b"))
    ids = [transaction.id for transaction in built.transactions]
    assert built.block.header.identities == identities_hash(ids)
    assert built.block.header.identities != identities_hash(reversed(ids))
    swapped = with_header(built.block, identities=identities_hash(reversed(ids)))
    assert fault_of(chain, swapped).what == "identities"
