"""Where a chain is read from: a node's store, or a node over HTTP; believed or verified.

With the genesis file at hand nothing else is believed: a transaction is what its receipt proves, an
entry of the state is what its statement proves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ledger.chain import limits
from ledger.chain.block import Header
from ledger.chain.codec import Value, decode_value
from ledger.chain.handover import Trust
from ledger.chain.receipt import Receipt, handovers
from ledger.chain.result import Result, decode_result
from ledger.chain.statement import Statement, verify_statement
from ledger.chain.store import Store
from ledger.chain.transaction import Transaction, decode_transaction
from ledger.chain.verified import VerifiedReads
from ledger.client.http import Client, NodeRefused
from ledger.client.verify import check_entry, check_receipt


@dataclass(frozen=True, slots=True)
class Settled:
    """A final transaction. ``verified``: whether it was proven to a holder of the genesis."""

    header: Header
    transaction: Transaction
    result: Result
    verified: bool


class Origin(Protocol):
    """A chain that can be read."""

    def settled(self, tx_id: bytes) -> Settled | None:
        """A final transaction, or None where the chain has none of that id."""

    def entry(self, key: str, height: int | None = None) -> Value:
        """The value of an entry after a block, of the newest where none is named; or None."""

    def time(self) -> int:
        """Time of the newest block, in milliseconds."""


class StoreOrigin:
    """The store of a node, opened by the caller.

    Raises from its methods `StoreUnusable` for a damaged store, and with a ``trust`` the errors of
    receipts and statements.
    """

    def __init__(self, store: Store, trust: Trust | None) -> None:
        self._store = store
        self._reads = VerifiedReads(store)
        self._trust = trust

    def settled(self, tx_id: bytes) -> Settled | None:
        receipt = self._reads.receipt(tx_id)
        return None if receipt is None else _settle(receipt, self._trust)

    def entry(self, key: str, height: int | None = None) -> Value:
        at = self._store.height() if height is None else height
        name = key.encode()
        proof, raw = self._reads.proven(name, at)
        certificate = self._reads.certificate(at)
        # Height 0 follows from the genesis, and nobody certifies it.
        if self._trust is not None and certificate is not None:
            header = self._reads.header(at)
            assert header is not None
            statement = Statement(name, raw, header, certificate, proof, handovers(self._store, at))
            return verify_statement(statement, self._trust).value
        return None if raw is None else decode_value(raw, limit=limits.MAX_STATE_VALUE_BYTES)

    def time(self) -> int:
        header = self._store.head()
        return 0 if header is None else header.time


class NodeOrigin:
    """A node over HTTP; its methods raise what the client raises, and with a ``trust`` the errors
    of receipts and statements."""

    def __init__(self, client: Client, trust: Trust | None) -> None:
        self._client = client
        self._trust = trust

    def settled(self, tx_id: bytes) -> Settled | None:
        try:
            receipt = self._client.receipt(tx_id)
        except NodeRefused as error:
            if error.status == 404:
                return None
            raise
        return _settle(receipt, self._trust)

    def entry(self, key: str, height: int | None = None) -> Value:
        contract, _, name = key.partition("/")
        found = self._client.state(contract, name, height, proof=self._trust is not None)
        if self._trust is not None:
            return check_entry(found, self._trust, key, height).value
        value: Value = found.value
        return value

    def time(self) -> int:
        return int(self._client.status()["block_time"])


def _settle(receipt: Receipt, trust: Trust | None) -> Settled:
    if trust is not None:
        proven = check_receipt(receipt, trust)
        return Settled(proven.header, proven.transaction, proven.result, True)
    return Settled(
        receipt.header,
        decode_transaction(receipt.envelope),
        decode_result(receipt.result),
        False,
    )
