"""What came out of a transaction; its encoding is a leaf under the header's results root."""

from __future__ import annotations

from typing import Any

from ledger.chain import limits
from ledger.chain.codec import Record, decode


class Event(Record, frozen=True, array_like=True):
    """Something that a contract announced."""

    contract: str
    name: str
    fields: dict[str, Any]


class CallResult(Record, frozen=True, array_like=True):
    """One call of the transaction.

    ``ok``: whether its writes took effect. ``error``: empty, or ``code: explanation`` with one of
    the stable codes of `docs/protocol.md`. ``value``: what the method returned. ``gas``: what it
    cost, charged whether it succeeded or not.
    """

    ok: bool
    error: str
    value: Any
    gas: int
    events: tuple[Event, ...]


class Result(Record, frozen=True, array_like=True):
    """The outcome of a whole transaction, calls in order."""

    transaction: bytes
    calls: tuple[CallResult, ...]

    @property
    def ok(self) -> bool:
        """Whether every call took effect."""
        return all(call.ok for call in self.calls)


def decode_result(raw: bytes) -> Result:
    """Read one stored or received result; raises `Malformed`."""
    return decode(raw, Result, limit=limits.MAX_RESULT_BYTES)
