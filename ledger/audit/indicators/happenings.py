"""What happened on a chain, in order: events of calls that succeeded, from verified blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ledger.chain.block import Header
from ledger.chain.codec import Malformed
from ledger.chain.constitution import validators_at
from ledger.chain.database import StoreUnusable
from ledger.chain.genesis import Genesis
from ledger.chain.result import decode_result
from ledger.chain.store import Store
from ledger.chain.transaction import Call, decode_transaction
from ledger.chain.verified import VerifiedReads
from ledger.contracts.machine import Machine


class NotThisChain(ValueError):
    """A store that does not hold the chain of the genesis, or that of an earlier run."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One event. ``time``: of its block, in ms since 1970 UTC. ``call``: the call of the
    transaction in which it was announced; ``value``: what that returned."""

    height: int
    time: int
    contract: str
    name: str
    fields: dict[str, Any]
    call: Call
    value: Any


def check_beginning(store: Store, genesis: Genesis) -> None:
    """Make sure that a store begins with the block that a genesis makes.

    From there every block is certified by the validators that the state before it names.

    Raises:
        NotThisChain: another genesis, or a store that does not reach back to it.
        StoreUnusable: the store is damaged.
    """
    if store.base() > 0:
        raise NotThisChain(
            "the store does not reach back to the genesis; check it with audit verify and archives"
        )
    reads = VerifiedReads(store)
    first = reads.header(0)
    writes = Machine().genesis(genesis).writes
    if (
        first is None
        or first.chain != genesis.chain_id()
        or validators_at(reads.state(0), 1) != validators_at(writes.get, 1)
    ):
        raise NotThisChain("the store holds the chain of another genesis")


def happenings(
    store: Store, first: int, parent: bytes | None, advance: Callable[[Header], None]
) -> Iterator[Happening]:
    """The events of the blocks from a height on.

    Args:
        store: opened read-only; a node may go on writing to it.
        first: the first height; 1 or more, and not below what the store still holds.
        parent: hash of the header before, where it is known.
        advance: called with the header of each block that is finished.

    Raises:
        NotThisChain: the block at ``first`` follows another one.
        StoreUnusable: a block is not what its certificate says, or is missing.
    """
    reads = VerifiedReads(store)
    for height in range(first, store.height() + 1):
        block, results = reads.block(height), reads.results(height)
        if block is None or results is None or reads.certificate(height) is None:
            raise StoreUnusable(f"the block at height {height} is not there")
        if parent is not None and block.header.parent != parent:
            raise NotThisChain(f"the block at height {height} follows another one")
        parent = block.header.hash()
        try:
            yield from _of_block(block.header, block.transactions, results)
        except Malformed as error:
            raise StoreUnusable(f"height {height}: {error}") from None
        advance(block.header)


def _of_block(
    header: Header, transactions: tuple[bytes, ...], results: tuple[bytes, ...]
) -> Iterator[Happening]:
    for raw, outcome in zip(transactions, results, strict=True):
        result = decode_result(outcome)
        if not any(call.events for call in result.calls):
            continue
        calls = decode_transaction(raw).body.calls
        for call, done in zip(calls, result.calls, strict=True):
            for event in done.events if done.ok else ():
                yield Happening(
                    header.height, header.time, event.contract, event.name, event.fields, call,
                    done.value,
                )  # fmt: skip
