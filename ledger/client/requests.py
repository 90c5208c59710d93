"""The requests of the HTTP API as values: what to send, and how to read the answer.

Nothing here does I/O. The synchronous and the asynchronous client send the same requests, and both
distrust the answer: it is bounded, decoded into a type, and nothing more is believed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar
from urllib.parse import quote

import msgspec

from ledger.chain import limits
from ledger.chain.block import Header, check_header
from ledger.chain.codec import Malformed, Value, encode
from ledger.chain.receipt import Receipt, load_receipt
from ledger.chain.statement import Statement, load_statement
from ledger.chain.values import from_json, to_json

T = TypeVar("T")

#: No answer that we ask for is larger, in bytes.
MAX_ANSWER_BYTES: Final = limits.MAX_FRAME_BYTES

SUBMISSIONS: Final = "/v1/transactions"


class Request(NamedTuple, Generic[T]):
    """One request. ``read`` turns the body of a good answer into what the caller wants.

    ``statuses`` are the good ones. ``patience``: seconds that the node was asked to wait. ``once``:
    sending it twice would do something twice.
    """

    method: str
    path: str
    read: Callable[[bytes], T]
    params: Mapping[str, str] = {}
    body: bytes = b""
    media: str = ""
    statuses: tuple[int, ...] = (200,)
    patience: float = 0.0
    once: bool = False


class CallOutcome(msgspec.Struct, frozen=True):
    """One call: ``error`` is empty or ``code: explanation``; ``value`` is a chain value."""

    ok: bool
    error: str
    value: Any
    gas: int
    events: list[dict[str, Any]]


class Outcome(msgspec.Struct, frozen=True):
    """What a node says came out of a transaction; the receipt proves it."""

    height: int
    index: int
    ok: bool
    calls: list[CallOutcome]


class Submitted(msgspec.Struct, frozen=True):
    """The node's answer to one submitted transaction; ``outcome`` where it was waited for."""

    id: str | None
    accepted: bool
    code: str
    detail: str
    outcome: Outcome | None


class Entry(msgspec.Struct, frozen=True):
    """One state entry as a node gives it; ``statement`` proves it where it was asked for."""

    key: str
    height: int
    present: bool
    value: Any
    statement: Statement | None = None


class _Submissions(msgspec.Struct):
    transactions: list[Submitted]


class _EntryBody(msgspec.Struct):
    key: str
    height: int
    present: bool
    value: Any
    proof: msgspec.Raw


class _QueryBody(msgspec.Struct):
    value: Any
    gas: int
    height: int


def _json(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Malformed(f"an answer that is not what was asked for: {error}") from None


def outcome_with_values(outcome: Outcome) -> Outcome:
    """The same with contract values in place of their JSON."""
    calls = [
        msgspec.structs.replace(
            call,
            value=from_json(call.value),
            events=[{**event, "fields": from_json(event.get("fields"))} for event in call.events],
        )
        for call in outcome.calls
    ]
    return msgspec.structs.replace(outcome, calls=calls)


def read_submissions(body: bytes) -> list[Submitted]:
    return [
        item
        if item.outcome is None
        else msgspec.structs.replace(item, outcome=outcome_with_values(item.outcome))
        for item in _json(body, _Submissions).transactions
    ]


def _read_entry(body: bytes) -> Entry:
    entry = _json(body, _EntryBody)
    proof = bytes(entry.proof)
    statement = None if proof == b"null" else load_statement(proof)
    return Entry(entry.key, entry.height, entry.present, from_json(entry.value), statement)


def _read_query(body: bytes) -> Value:
    return from_json(_json(body, _QueryBody).value)


def _read_map(body: bytes) -> dict[str, Any]:
    return _json(body, dict[str, Any])


def waiting(wait: float) -> dict[str, str]:
    """The parameter by which a node waits so many seconds."""
    return {"wait": f"{wait:g}"} if wait else {}


def submit(raws: Sequence[bytes], wait: float) -> Request[list[Submitted]]:
    """Submit raw envelopes, 1 to 1,000 of them."""
    return Request(
        "POST", SUBMISSIONS, read_submissions, waiting(wait), encode(list(raws)),
        "application/msgpack", (200, 202), wait,
    )  # fmt: skip


def receipt(tx_id: bytes, wait: float) -> Request[Receipt]:
    return Request("GET", f"/v1/receipts/{tx_id.hex()}", load_receipt, waiting(wait), patience=wait)


def state(contract: str, key: str, height: int | None, proof: bool) -> Request[Entry]:
    params = {} if height is None else {"height": str(height)}
    if proof:
        params["proof"] = "true"
    return Request("GET", f"/v1/state/{quote(contract)}/{quote(key)}", _read_entry, params)


def query(
    contract: str,
    method: str,
    arguments: Mapping[str, Any],
    height: int | None = None,
    version: int | None = None,
) -> Request[Value]:
    asked: dict[str, Any] = {"arguments": {k: to_json(v) for k, v in arguments.items()}}
    asked |= {} if height is None else {"height": height}
    asked |= {} if version is None else {"version": version}
    body = msgspec.json.encode(asked)
    path = f"/v1/query/{quote(contract)}/{quote(method)}"
    return Request("POST", path, _read_query, body=body, media="application/json")


def status() -> Request[dict[str, Any]]:
    return Request("GET", "/v1/status", _read_map)


def block(height: int | None, offset: int = 0, limit: int = 50) -> Request[dict[str, Any]]:
    params = {"offset": str(offset), "limit": str(limit)}
    return Request("GET", f"/v1/blocks/{'latest' if height is None else height}", _read_map, params)


def sealed(path: str, body: bytes, read: Callable[[bytes], T]) -> Request[T]:
    """A signed request to a holder; ``read`` opens the sealed answer."""
    return Request("POST", path, read, body=body, media="application/msgpack")


def blocks(first: int, limit: int) -> Request[dict[str, Any]]:
    """Headers in ascending order from a height on."""
    return Request("GET", "/v1/blocks", _read_map, {"from": str(first), "limit": str(limit)})


_HASHES: Final = (
    "chain", "parent", "transactions_root", "identities", "results_root", "state_root", "log_root",
    "validators",
)  # fmt: skip


def read_header(item: Any) -> Header:
    """A header out of its JSON; raises `Malformed`. Says nothing about whether it is good."""
    try:
        fields = {name: item[name] for name in Header.__struct_fields__}
        fields |= {name: bytes.fromhex(item[name]) for name in _HASHES}
        header = msgspec.convert(tuple(fields[name] for name in Header.__struct_fields__), Header)
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"not a header: {error}") from None
    check_header(header)
    return header
