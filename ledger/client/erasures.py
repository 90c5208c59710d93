"""Requests of a holder's records officer: answering requests and disputes, destroying records.

All can be sent again: an answer that stands is not given twice, and what is destroyed stays so.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from ledger.chain.codec import Malformed
from ledger.client.requests import Request

JSON: Final = "application/json"
#: A node waits so many seconds, at most, for what it signed to become final.
PATIENCE_S: Final = 60.0


class Destroyed(msgspec.Struct, frozen=True):
    """A record is gone. ``names``: of all its versions, in hex. ``statement``: hash of the report
    that the node keeps, in hex. ``time``: ms since 1970 UTC."""

    id: str
    names: list[str]
    statement: str
    time: int


class _Answered(msgspec.Struct):
    id: str
    until: int


def _decoded(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Malformed(f"an answer that is not what was asked for: {error}") from None


def _until(body: bytes) -> int:
    found: _Answered = _decoded(body, _Answered)
    return found.until


def _destroyed(body: bytes) -> Destroyed:
    found: Destroyed = _decoded(body, Destroyed)
    return found


def answer_erasure(
    erasure: str,
    ground: Literal["outpatient", "inpatient", "order", "none"],
    since: int = 0,
    evidence: bytes | None = None,
) -> Request[int]:
    """Say why a record is kept, and since when.

    Args:
        erasure: id of the request.
        since: ms since 1970 UTC of the last visit or the discharge; of an order the date up to
            which it holds.
        evidence: SHA-256 of the order.

    The answer: until when it is kept, in ms since 1970 UTC, or 0.
    """
    given: dict[str, Any] = {"ground": ground, "since": since}
    given |= {} if evidence is None else {"evidence": evidence.hex()}
    return Request(
        "POST", f"/v1/erasures/{erasure}/answer", _until, body=msgspec.json.encode(given),
        media=JSON, patience=PATIENCE_S,
    )  # fmt: skip


def destroy(erasure: str) -> Request[Destroyed]:
    """Destroy a record that no law keeps any longer; `NodeRefused` says until when one does."""
    return Request("POST", f"/v1/erasures/{erasure}/destroy", _destroyed, patience=PATIENCE_S)


def answer_dispute(dispute: str, accepted: bool, statement: bytes) -> Request[int]:
    """Answer a patient who says that a record is wrong; ``statement``: SHA-256 of the reasons."""
    given = {"accepted": accepted, "statement": statement.hex()}
    return Request(
        "POST", f"/v1/disputes/{dispute}/answer", _until, body=msgspec.json.encode(given),
        media=JSON, patience=PATIENCE_S,
    )  # fmt: skip
