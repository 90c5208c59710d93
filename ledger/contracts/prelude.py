"""The names that a contract may import, with their types, for editors and type checkers.

A contract file is Python that ordinary tools can read; this module tells them what the names in it
mean. On the ledger the names are bound by the interpreter and nothing in here runs: outside it the
decorators leave functions as they are, state can be declared, records, codes, decimals, durations
and dates behave as they do there, and everything that needs a chain raises `OutsideLedger`.

Keys of a `Map` are a str, an int or a tuple of those. Values are None, bool, int of 64 bits, str,
bytes, and lists and str-keyed dicts of values. A record is stored as a dict, a decimal as its text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from ledger.contracts import dates as _dates
from ledger.contracts.forms import Codes, Record, changed, decimal

__all__ = [
    "Codes",
    "Map",
    "Record",
    "Value",
    "add_months",
    "age",
    "begin",
    "call",
    "call_index",
    "caller",
    "chain",
    "changed",
    "commitment",
    "date",
    "day_of",
    "days",
    "decimal",
    "denies",
    "digest",
    "emit",
    "encode",
    "examine",
    "export",
    "fail",
    "forbids",
    "from_hex",
    "height",
    "hours",
    "init",
    "limits",
    "merkle_root",
    "minutes",
    "month_of",
    "now",
    "obliges",
    "offers",
    "paused",
    "permits",
    "query",
    "require",
    "signers",
    "silent",
    "transaction",
    "verify_signature",
    "year_of",
]

Key = str | int | tuple[str | int, ...]
F = TypeVar("F", bound=Callable[..., Any])


class OutsideLedger(RuntimeError):
    """A contract function was called by plain Python instead of the ledger's interpreter."""


def _outside(name: str) -> NoReturn:
    raise OutsideLedger(
        f"{name} works only on the ledger; run the contract with ledger.contracts.machine.Machine"
    )


def init(function: F) -> F:
    """Run once, when the contract comes into being."""
    return function


def export(function: F) -> F:
    """May be called by transactions and by other contracts."""
    return function


def query(function: F) -> F:
    """Reads only: may be called by other contracts and over the API, and changes nothing."""
    return function


class Map:
    """State entries of this contract under one name, found by key."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getitem__(self, key: Key) -> Any:
        """A fresh copy of the entry; fails with ``missing_key`` where there is none."""
        _outside("Map")

    def __setitem__(self, key: Key, value: Any) -> None:
        _outside("Map")

    def __delitem__(self, key: Key) -> None:
        """Remove the entry; fails with ``missing_key`` where there is none."""
        _outside("Map")

    def __contains__(self, key: Key) -> bool:
        _outside("Map")

    def get(self, key: Key, default: Any = None) -> Any:
        """A fresh copy of the entry, or ``default`` where there is none."""
        _outside("Map")


class Value:
    """One state entry of this contract."""

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self, default: Any = None) -> Any:
        """A fresh copy of what was set, or ``default`` before anything was."""
        _outside("Value")

    def set(self, value: Any) -> None:
        _outside("Value")


def signers() -> list[str]:
    """Hex wire public keys of those who signed the transaction, the caller first."""
    _outside("signers")


def caller() -> str:
    """Name of the contract that called this one, or "" for a transaction or the API."""
    _outside("caller")


def height() -> int:
    """Height of the block that is being executed."""
    _outside("height")


def now() -> int:
    """Time of that block in milliseconds since 1970 UTC."""
    _outside("now")


def transaction() -> str:
    """Hex id of the transaction, or "" in a query over the API and in the genesis."""
    _outside("transaction")


def call_index() -> int:
    """Place of the running call in its transaction, from 0."""
    _outside("call_index")


def chain() -> bytes:
    """Id of the chain (32 bytes); empty in the genesis, whose hash it is."""
    _outside("chain")


def minutes(count: int) -> int:
    """So many minutes, in milliseconds as block time is."""
    return count * _dates.MINUTE


def hours(count: int) -> int:
    """So many hours, in milliseconds."""
    return count * _dates.HOUR


def days(count: int) -> int:
    """So many days of 24 hours, in milliseconds."""
    return count * _dates.DAY


def date(year: int, month: int, day: int, offset: int = _dates.CHINA) -> int:
    """When a day begins: midnight in China (UTC+8), or where clocks are ``offset`` ahead of UTC.

    Fails with ``value_error`` for a day that is not in the calendar of the years 1 to 9999.
    """
    return _dates.date(year, month, day, offset)


def year_of(time: int, offset: int = _dates.CHINA) -> int:
    """The year that it is in China at a time, or where clocks are ``offset`` ahead of UTC."""
    return _dates.civil(time, offset)[0]


def month_of(time: int, offset: int = _dates.CHINA) -> int:
    """The month, from 1 to 12."""
    return _dates.civil(time, offset)[1]


def day_of(time: int, offset: int = _dates.CHINA) -> int:
    """The day of the month, from 1 to 31."""
    return _dates.civil(time, offset)[2]


def age(birth: int, at: int, offset: int = _dates.CHINA) -> int:
    """Full years from a birth to a time, by birthdays; negative before the birth.

    A year is full at the beginning of the birthday; for who was born on 29 February, in years
    without that day, at the beginning of 1 March.
    """
    return _dates.age(birth, at, offset)


def add_months(time: int, months: int, offset: int = _dates.CHINA) -> int:
    """The same day and time of day some months later; in a shorter month, on its last day."""
    return _dates.add_months(time, months, offset)


def require(condition: object, code: str, message: str = "") -> None:
    """Fail with ``code: message`` unless the condition is true."""
    _outside("require")


def fail(code: str, message: str = "") -> NoReturn:
    """End the call with the error ``code: message``; everything it wrote is undone."""
    _outside("fail")


def emit(name: str, /, **fields: Any) -> None:
    """Announce an event; it is part of the call's result."""
    _outside("emit")


def call(contract: str, method: str, /, **arguments: Any) -> Any:
    """Call an export or query of another contract; its failure is the failure of this call."""
    _outside("call")


def permits(
    rule: str, /, *, until: int = 0, duties: list[str] | None = None, **facts: Any
) -> dict[str, Any]:
    """The rule permits, unless another one denies.

    ``until``: block time at which a permit that rests on it ends, in ms; 0 for no end of its own.
    ``duties``: what it binds the recipient to, as codes of HL7 v3-ActCode. The other fields are
    what the rule relied on; they stand in the decision. So with the five below.
    """
    _outside("permits")


def obliges(
    rule: str, /, *, until: int = 0, duties: list[str] | None = None, **facts: Any
) -> dict[str, Any]:
    """The law obliges the holder to share: no patient's denial stops it, only what forbids does."""
    _outside("obliges")


def limits(
    rule: str, /, *, until: int = 0, duties: list[str] | None = None, **facts: Any
) -> dict[str, Any]:
    """The rule permits nothing; whatever others permit is bound to these duties and this end."""
    _outside("limits")


def denies(rule: str, /, **facts: Any) -> dict[str, Any]:
    """The rule denies: it prevails over all that permit, not over what the law obliges to."""
    _outside("denies")


def forbids(rule: str, /, **facts: Any) -> dict[str, Any]:
    """The rule forbids, and nothing prevails over it."""
    _outside("forbids")


def silent(rule: str, /, **facts: Any) -> dict[str, Any]:
    """The rule has nothing to say to the request, and why."""
    _outside("silent")


def digest(data: bytes) -> bytes:
    """SHA-256 of the bytes as they are, without a domain tag (32 bytes)."""
    _outside("digest")


def encode(value: Any) -> bytes:
    """The canonical msgpack bytes of a value."""
    _outside("encode")


def from_hex(text: str) -> bytes:
    """The bytes that lower-case or upper-case hex digits stand for; ``value_error`` otherwise."""
    _outside("from_hex")


def merkle_root(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes | None:
    """RFC 9162 root that an inclusion path leads to from leaf data; None for a malformed path."""
    _outside("merkle_root")


def verify_signature(key: str, message: bytes, signature: bytes) -> bool:
    """Whether a signature is good under a hex wire public key; false for odd keys."""
    _outside("verify_signature")


def commitment(salt: bytes, text: str) -> bytes:
    """The commitment of a record pointer to a short text (32 bytes)."""
    _outside("commitment")


def paused(contract: str) -> str:
    """Empty where a contract answers; otherwise what others are to do in its place until it is
    resumed: ``deny`` or ``skip``."""
    _outside("paused")


def offers(contract: str, method: str) -> str:
    """``export``, ``query`` or ``init`` where the contract in force has the method, or ""."""
    _outside("offers")


def examine(source: str) -> dict[str, Any]:
    """What a node can say about the source of a contract: ``problems`` (each with code and line;
    none: it is a contract), ``bytes``, ``init``, ``methods`` (name to kind) and ``verdicts``."""
    _outside("examine")


def begin(contract: str, arguments: dict[str, Any]) -> None:
    """Run the ``init`` of a contract that came by vote. For the contract ``charter`` alone."""
    _outside("begin")
