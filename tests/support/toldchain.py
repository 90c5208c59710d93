"""A store that holds nothing but what contracts announced: for tests of those who listen."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from ledger.chain.codec import encode
from ledger.chain.result import CallResult, Event, Result

CHAIN = bytes(range(32))


class ToldChain:
    """Blocks of events; ``decisions`` are in the state from the beginning."""

    def __init__(self, decisions: dict[str, dict[str, Any]] | None = None) -> None:
        self.blocks: list[tuple[bytes, ...]] = [()]
        self.oldest = 0
        self.entries = {
            f"access/decisions/{name}".encode(): encode(value)
            for name, value in (decisions or {}).items()
        }

    def append(self, *transactions: Sequence[Event]) -> int:
        """One more block: a transaction with one call for each list of events."""
        height = len(self.blocks)
        self.blocks.append(
            tuple(
                encode(
                    Result(
                        height.to_bytes(16, "big") + place.to_bytes(16, "big"),
                        (CallResult(True, "", None, 1, tuple(events)),),
                    )
                )
                for place, events in enumerate(transactions)
            )
        )
        return height

    # What listeners ask of a store.

    def height(self) -> int:
        return len(self.blocks) - 1

    def base(self) -> int:
        return self.oldest

    def header(self, height: int) -> Any:
        return SimpleNamespace(time=1_000 * height, height=height)

    def results(self, height: int) -> tuple[bytes, ...] | None:
        return self.blocks[height] if self.oldest <= height < len(self.blocks) else None

    def value(self, key: bytes, height: int | None = None) -> bytes | None:
        return self.entries.get(key)

    def genesis(self) -> Any:
        return SimpleNamespace(chain_id=lambda: CHAIN)
