"""What a scenario is played on: anything that takes signed calls and says what came out of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ledger.chain.result import Event
from ledger.chain.transaction import Call
from ledger.client.builder import Account


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one call. ``error``: empty, or ``code: explanation``."""

    ok: bool
    value: Any
    error: str
    events: tuple[Event, ...]

    @property
    def code(self) -> str:
        return self.error.split(":")[0]


class Backend(Protocol):
    """A consortium that runs, in whatever way."""

    @property
    def now(self) -> int:
        """The block time that the next call will about have, in milliseconds since 1970 UTC."""

    @property
    def height(self) -> int:
        """The height of the newest block."""

    def act(self, institution: str, signers: Sequence[Account], call: Call) -> Outcome:
        """Send a call, signed by the caller and the co-signers, and wait until it is final.

        ``institution``: at whose node the caller works, if it has one.
        """

    def ask(self, contract: str, method: str, arguments: dict[str, Any]) -> Any:
        """What a contract answers to a question; raises `ValueError` when it fails."""

    def later(self, milliseconds: int) -> bool:
        """Let block time pass; False where time cannot be made to pass."""
