"""What anybody may read of a chain: blocks, state, receipts and what contracts answer.

Reads never touch the replica, which belongs to the execution thread; they see the last block that
was stored, and give nothing out that the chain does not certify.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from ledger.chain.block import Block, Certificate, Header
from ledger.chain.receipt import Handover, Receipt, handovers
from ledger.chain.result import CallResult, Result, decode_result
from ledger.chain.statetree import StateProof
from ledger.chain.store import Store
from ledger.chain.verified import VerifiedReads
from ledger.contracts.machine import BlockContext, Machine
from ledger.node.answers import Archived
from ledger.node.archives import ArchiveShelf


class ChainReads:
    """Bounded look-ups in one store."""

    def __init__(self, store: Store, archives: Path | None = None) -> None:
        self.store = store
        self._shelf = ArchiveShelf(store, archives)
        self.verified = VerifiedReads(store)
        self._queries = Machine()

    def receipt(self, tx_id: bytes) -> Receipt | None:
        return self.verified.receipt(tx_id)

    def outcome(self, tx_id: bytes) -> tuple[int, int, Result] | None:
        place = self.store.locate(tx_id)
        if place is None:
            return None
        results = self.verified.results(place[0])
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
        return self.verified.header(height)

    def block(self, height: int) -> Block | None:
        return self.verified.block(height)

    def certificate(self, height: int) -> Certificate | None:
        return self.verified.certificate(height)

    def results(self, height: int) -> tuple[bytes, ...] | None:
        return self.verified.results(height)

    def state(self, key: bytes, height: int | None = None) -> bytes | None:
        return self.verified.value(key, self.head().height if height is None else height)

    def state_proof(
        self, key: bytes, height: int
    ) -> tuple[Header, Certificate | None, StateProof, bytes | None]:
        header = self.verified.header(height)
        if header is None:
            raise LookupError(f"there is no block at height {height}")
        proof, value = self.verified.proven(key, height)
        return header, self.verified.certificate(height), proof, value

    def handovers(self, height: int) -> tuple[Handover, ...]:
        return handovers(self.store, height)

    async def query(
        self,
        contract: str,
        method: str,
        arguments: dict[str, object],
        height: int | None = None,
        version: int | None = None,
    ) -> CallResult:
        header = self.head() if height is None else self.verified.header(height)
        if header is None:
            raise LookupError(f"there is no block at height {height}")
        context = BlockContext(header.chain, header.height, header.time)

        def run() -> CallResult:
            read = self.verified.state(header.height)
            return self._queries.query(read, context, contract, method, arguments, version=version)

        return await asyncio.to_thread(run)

    def ask(self, contract: str, method: str, arguments: dict[str, Any]) -> CallResult:
        """A query of the newest state, on the thread that calls."""
        head = self.head()
        context = BlockContext(head.chain, head.height, head.time)
        read = self.verified.state(head.height)
        return self._queries.query(read, context, contract, method, arguments)

    def place(self, institution: str) -> dict[str, Any] | None:
        """Where an institution's node answers, as the contract `directory` has it, or None."""
        answer = self.ask("directory", "place", {"institution": institution})
        return answer.value if answer.ok else None

    def whois(self, key: str) -> dict[str, Any] | None:
        """The registry's entry for the hex text of a public key, or None."""
        answer = self.ask("registry", "whois", {"key": key})
        return answer.value if answer.ok else None
