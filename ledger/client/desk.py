"""Requests of a clinic's desk: enrolling patients, lost keys, and consents on paper.

What the node says is done has a transaction id; `Ledger.receipt` proves what it was.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ledger.chain.codec import Malformed
from ledger.client.patients import JSON, Forbid, Permit, Said, Withdraw
from ledger.client.requests import Request

#: A node waits so many seconds, at most, for what it signed to become final.
PATIENCE_S: Final = 60.0


class Waiting(msgspec.Struct, frozen=True):
    """What a registrar has entered and a colleague has to witness; ``form``: hash, in hex."""

    id: str
    registrar: str
    subject: str
    form: str
    summary: Said


class Done(msgspec.Struct, frozen=True):
    """What is on the chain now. ``code``: for the patient alone, where she may register a passkey,
    else empty; ``until``: how long it is good, in ms since 1970 UTC."""

    transaction: str
    height: int
    code: str = ""
    until: int = 0

    def __repr__(self) -> str:
        """Without the code, which must not get into a log."""
        return f"Done(transaction={self.transaction!r}, height={self.height})"


class _List(msgspec.Struct):
    waiting: list[Waiting]


def _decoded(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Malformed(f"an answer that is not what was asked for: {error}") from None


def _done(body: bytes) -> Done:
    found: Done = _decoded(body, Done)
    return found


def _entry(body: bytes) -> Waiting:
    found: Waiting = _decoded(body, Waiting)
    return found


def _entries(body: bytes) -> list[Waiting]:
    found: _List = _decoded(body, _List)
    return found.waiting


def _nothing(body: bytes) -> None:
    return None


def enrol(subject: str, document: str, evidence: bytes) -> Request[Done]:
    """Enrol a patient whom the registrar who is signed in has seen.

    Args:
        subject: her pseudonym.
        document: code of the kind of document that she showed.
        evidence: SHA-256 of what the clinic keeps about it.

    The answer has the code for her. Sent once: another time would give another code.
    """
    given = {"subject": subject, "document": document, "evidence": evidence.hex()}
    return Request(
        "POST", "/v1/desk/enrolments", _done, body=msgspec.json.encode(given), media=JSON,
        patience=PATIENCE_S, once=True,
    )  # fmt: skip


def recover(subject: str, document: str, evidence: bytes, form: bytes) -> Request[Waiting]:
    """Enter that a patient has lost her key; waits for a witness. ``form``: SHA-256 of the form
    that she signed; the others as of `enrol`. Sent once."""
    given = {
        "subject": subject, "document": document, "evidence": evidence.hex(), "form": form.hex(),
    }  # fmt: skip
    body = msgspec.json.encode(given)
    return Request("POST", "/v1/desk/recoveries", _entry, body=body, media=JSON, once=True)


def declare(subject: str, act: Permit | Forbid | Withdraw, form: bytes) -> Request[Waiting]:
    """Enter what a patient has declared on paper; waits for a witness. ``form``: SHA-256 of the
    form that she signed. Sent once."""
    body = msgspec.json.encode({"subject": subject, "act": act, "form": form.hex()})
    return Request("POST", "/v1/desk/declarations", _entry, body=body, media=JSON, once=True)


def waiting() -> Request[list[Waiting]]:
    """What waits for a witness, oldest first."""
    return Request("GET", "/v1/desk/declarations", _entries)


def witness(entry: str) -> Request[Done]:
    """Bear witness as the member of staff who is signed in. Sent once; who is unsure looks at what
    still waits."""
    path = f"/v1/desk/declarations/{entry}/witness"
    return Request("POST", path, _done, patience=PATIENCE_S, once=True)


def drop(entry: str) -> Request[None]:
    """Drop an entry that was a mistake."""
    return Request("DELETE", f"/v1/desk/declarations/{entry}", _nothing, statuses=(204,))
