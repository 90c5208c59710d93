"""Queries of a store: of any height that is kept, and of any version of a contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.chain.store import Store
from ledger.contracts.machine import BlockContext, Machine


class QuestionFailed(ValueError):
    """The contract refused, or there is no such contract, version or method."""


class StoreQuestions:
    """Asks contracts in a store that is open for reading."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._machine = Machine()

    def ask(
        self,
        contract: str,
        method: str,
        arguments: Mapping[str, Any],
        height: int | None = None,
        version: int | None = None,
    ) -> Any:
        """The answer on the state after a block, the newest where none is named.

        Raises:
            QuestionFailed: with the contract's own words.
            LookupError: the block is not here.
            StoreError, Malformed: the store cannot be read, or not trusted.
        """
        at = self._store.height() if height is None else height
        header = self._store.header(at)
        if header is None or at < self._store.base() - 1:
            raise LookupError(f"there is no block at height {at} here")
        answer = self._machine.query(
            lambda key: self._store.value(key, at),
            BlockContext(header.chain, header.height, header.time),
            contract,
            method,
            dict(arguments),
            version=version,
        )
        if not answer.ok:
            raise QuestionFailed(answer.error)
        return answer.value
