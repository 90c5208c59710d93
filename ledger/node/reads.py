"""What anybody may read of a chain: blocks, state, receipts and what contracts answer.

Reads never touch the replica, which belongs to the execution thread; they see the last block that
was stored.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from ledger.chain.block import Block, Certificate, Header
from ledger.chain.receipt import Handover, Receipt, build_receipt, handovers
from ledger.chain.result import CallResult, Result, decode_result
from ledger.chain.statetree import StateProof, StateTree
from ledger.chain.store import Store
from ledger.contracts.machine import BlockContext, Machine
from ledger.node.answers import Archived
from ledger.node.archives import ArchiveShelf


class ChainReads:
    """Bounded look-ups in one store."""

    def __init__(self, store: Store, archives: Path | None = None) -> None:
        self.store = store
        self._shelf = ArchiveShelf(store, archives)
        self._queries = Machine()

    def receipt(self, tx_id: bytes) -> Receipt | None:
        return build_receipt(self.store, tx_id)

    def outcome(self, tx_id: bytes) -> tuple[int, int, Result] | None:
        place = self.store.locate(tx_id)
        if place is None:
            return None
        results = self.store.results(place[0])
        return None if results is None else (*place, decode_result(results[place[1]]))

    def head(self) -> Header:
        head = self.store.head()
        if head is None:
            raise LookupError("the store holds no chain")
        return head

    def archived_block(self, height: int) -> Archived | None:
        return self._shelf.block(height)

    async def archived_transaction(self, tx_id: bytes) -> Archived | None:
        return await asyncio.to_thread(self._shelf.transaction, tx_id)

    def header(self, height: int) -> Header | None:
        return self.store.header(height)

    def block(self, height: int) -> Block | None:
        return self.store.block(height)

    def certificate(self, height: int) -> Certificate | None:
        return self.store.certificate(height)

    def results(self, height: int) -> tuple[bytes, ...] | None:
        return self.store.results(height)

    def state(self, key: bytes, height: int | None = None) -> bytes | None:
        return self.store.value(key, height)

    def state_proof(
        self, key: bytes, height: int
    ) -> tuple[Header, Certificate | None, StateProof, bytes | None]:
        header = self.store.header(height)
        if header is None:
            raise LookupError(f"there is no block at height {height}")
        proof = StateTree(self.store).prove(key, height)
        value = self.store.value(key, height)
        return header, self.store.certificate(height), proof, value

    def handovers(self, height: int) -> tuple[Handover, ...]:
        return handovers(self.store, height)

    async def query(self, contract: str, method: str, arguments: dict[str, object]) -> CallResult:
        head = self.head()
        context = BlockContext(head.chain, head.height, head.time)
        return await asyncio.to_thread(
            self._queries.query, self.store.value, context, contract, method, arguments
        )

    def whois(self, key: str) -> dict[str, Any] | None:
        """The registry's entry for the hex text of a public key, or None."""
        head = self.head()
        context = BlockContext(head.chain, head.height, head.time)
        answer = self._queries.query(self.store.value, context, "registry", "whois", {"key": key})
        return answer.value if answer.ok else None
