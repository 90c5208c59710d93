"""Requests for blocks and their transactions, and how a whole block is held against its header.

A node lists transactions without their signatures. The block's certificate stands for those: no
validator that keeps the rules commits a block in which one is not good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from ledger.chain import limits, merkle
from ledger.chain.block import Header, identities_hash
from ledger.chain.codec import MAX_INT, MIN_INT, Malformed, encode
from ledger.chain.handover import InvalidProof
from ledger.chain.result import CallResult, Event, Result
from ledger.chain.transaction import Body, Call
from ledger.chain.values import from_json
from ledger.client.requests import Request, read_header, waiting
from ledger.crypto import hashing

#: As many transactions as a page of a block can have.
LARGEST_PAGE: Final = 200

Natural = Annotated[int, msgspec.Meta(ge=0, le=MAX_INT)]
Whole = Annotated[int, msgspec.Meta(ge=MIN_INT, le=MAX_INT)]


@dataclass(frozen=True, slots=True)
class FinalTransaction:
    """A final transaction without its signatures, and what came out of it.

    ``size``: bytes of its envelope, which nothing proves. ``index``: its place in the block. The
    others are as in `Body`.
    """

    id: bytes
    size: int
    height: int
    index: int
    nonce: bytes
    valid_from: int
    valid_until: int
    atomic: bool
    calls: tuple[Call, ...]
    signers: tuple[bytes, ...]
    result: Result

    def body(self, chain: bytes) -> Body:
        """What was signed, on the chain of that id."""
        return Body(
            chain, self.nonce, self.valid_from, self.valid_until, self.atomic, self.calls,
            self.signers,
        )  # fmt: skip


class BlockPage(NamedTuple):
    """A header and some of the transactions of its block; ``size``: how many there are in all."""

    header: Header
    size: int
    offset: int
    transactions: list[FinalTransaction]


class ProvenBlock(NamedTuple):
    """A final block: all its transactions, in order, with what came out of each."""

    header: Header
    transactions: list[FinalTransaction]


class _Call(msgspec.Struct):
    contract: str
    method: str
    arguments: Any


class _Event(msgspec.Struct):
    contract: str
    name: str
    fields: Any


class _CallResult(msgspec.Struct):
    ok: bool
    error: str
    value: Any
    gas: Whole
    events: list[_Event]


class _Outcome(msgspec.Struct):
    height: Natural
    index: Natural
    calls: list[_CallResult]


class _Transaction(msgspec.Struct):
    id: str
    size: Natural
    nonce: str
    valid_from: Natural
    valid_until: Natural
    atomic: bool
    signers: list[str]
    calls: list[_Call]
    outcome: _Outcome


class _Block(msgspec.Struct):
    header: Any
    size: Annotated[int, msgspec.Meta(ge=0, le=limits.MAX_BLOCK_TRANSACTIONS)]
    offset: Natural
    transactions: list[_Transaction]


def _map(value: Any) -> dict[str, Any]:
    found = from_json(value)
    if not isinstance(found, dict):
        raise Malformed("arguments or fields that are no map")
    return found


def _result(identity: bytes, outcome: _Outcome) -> Result:
    return Result(
        identity,
        tuple(
            CallResult(
                one.ok,
                one.error,
                from_json(one.value),
                one.gas,
                tuple(Event(each.contract, each.name, _map(each.fields)) for each in one.events),
            )
            for one in outcome.calls
        ),
    )


def _transaction(told: _Transaction) -> FinalTransaction:
    try:
        identity = bytes.fromhex(told.id)
        nonce = bytes.fromhex(told.nonce)
        signers = tuple(bytes.fromhex(signer) for signer in told.signers)
    except ValueError:
        raise Malformed("an id, a nonce or a key that is not hex") from None
    calls = tuple(Call(call.contract, call.method, _map(call.arguments)) for call in told.calls)
    return FinalTransaction(
        identity, told.size, told.outcome.height, told.outcome.index, nonce, told.valid_from,
        told.valid_until, told.atomic, calls, signers, _result(identity, told.outcome),
    )  # fmt: skip


def _decoded(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Malformed(f"an answer that is not what was asked for: {error}") from None


def _read_page(body: bytes) -> BlockPage:
    found: _Block = _decoded(body, _Block)
    transactions = [_transaction(told) for told in found.transactions]
    return BlockPage(read_header(found.header), found.size, found.offset, transactions)


def page(height: int | None, offset: int = 0, limit: int = LARGEST_PAGE) -> Request[BlockPage]:
    """A block, the newest by default, with the transactions from ``offset`` on."""
    params = {"offset": str(offset), "limit": str(limit)}
    path = f"/v1/blocks/{'latest' if height is None else height}"
    return Request("GET", path, _read_page, params)


def transaction(tx_id: bytes, wait: float = 0) -> Request[FinalTransaction]:
    """A final transaction, and what came out of it, as the node says.

    Sending it raises `Malformed` also for another transaction than the one asked for; a receipt
    proves the rest (`Ledger.receipt`).
    """

    def read(body: bytes) -> FinalTransaction:
        found = _transaction(_decoded(body, _Transaction))
        if found.id != tx_id:
            raise Malformed("an answer about another transaction")
        return found

    path = f"/v1/transactions/{tx_id.hex()}"
    return Request("GET", path, read, waiting(wait), patience=wait)


def check_block(header: Header, transactions: Sequence[FinalTransaction]) -> None:
    """Hold all transactions of a block against its header, which the caller has proven.

    Raises:
        InvalidProof: one is missing, added, changed, in another place, or had another result.
    """
    for place, one in enumerate(transactions):
        if (one.height, one.index) != (header.height, place):
            raise InvalidProof("a transaction in another place than the node says")
        if hashing.TRANSACTION(encode(one.body(header.chain))) != one.id:
            raise InvalidProof("a transaction of another content than its id")
    if identities_hash(one.id for one in transactions) != header.identities:
        raise InvalidProof("other transactions than those of the block")
    if merkle.root(encode(one.result) for one in transactions) != header.results_root:
        raise InvalidProof("other results than those of the block")
