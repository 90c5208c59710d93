"""The production store, which tells the simulation what has become durable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ledger.chain.block import Block, Certificate
from ledger.chain.store import Store
from ledger.chain.vote import Vote


class Witness(Protocol):
    """Is told what each node has on its disk."""

    def committed(self, node: str, block: Block, certificate: Certificate) -> None:
        """A block with its certificate."""

    def voted(self, node: str, votes: Sequence[Vote]) -> None:
        """Promises."""


class WatchedStore(Store):
    """A store of which somebody hears. `watch` it right after it was opened."""

    _owner: str
    _witness: Witness

    def watch(self, node: str, witness: Witness) -> None:
        """Tell ``witness`` from now on what ``node`` stores."""
        self._owner = node
        self._witness = witness

    def commit(
        self,
        block: Block,
        certificate: Certificate,
        results: Sequence[bytes],
        writes: Mapping[bytes, bytes | None],
        tiles: Mapping[bytes, bytes],
        ids: Sequence[bytes],
    ) -> None:
        super().commit(block, certificate, results, writes, tiles, ids)
        self._witness.committed(self._owner, block, certificate)

    def save_votes(self, records: Sequence[Vote]) -> None:
        super().save_votes(records)
        self._witness.voted(self._owner, records)
