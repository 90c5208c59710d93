"""What a caller says she needs records for: purpose of use, case, emergency.

Neither FHIR nor HTTP has a place for it, so it is said in headers of our own; a search may say the
purpose in a parameter as well, because links to further pages carry parameters and no headers. What
is said is put on the chain in the caller's name, so nothing is assumed for staff.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from fastapi import Request

from ledger.api.fhir.errors import FhirProblem
from ledger.api.principal import Kind, Principal
from ledger.fhir.codes import PURPOSE_PARENT
from ledger.fhir.outcome import Issue

PURPOSE_HEADER: Final = "Ledger-Purpose"
CASE_HEADER: Final = "Ledger-Case"
EMERGENCY_HEADER: Final = "Ledger-Emergency"
NOTE_HEADER: Final = "Ledger-Note"

BREAK_GLASS: Final = "BTG"
OWN_REQUEST: Final = "PATRQT"

#: For the OpenAPI document.
HEADERS: Final = (
    (PURPOSE_HEADER, "Purpose of use, a code of v3-PurposeOfUse"),
    (CASE_HEADER, "What it belongs to, such as a consultation"),
    (EMERGENCY_HEADER, "For BTG: the coded emergency"),
    (NOTE_HEADER, "For BTG: the commitment to the reason in words, 64 hex digits"),
)

_CASE: Final = re.compile(r"[A-Za-z0-9_.:-]{1,80}")
_REASON: Final = re.compile(r"[a-z]{1,40}(?:-[a-z]{1,40}){0,5}")
_NOTE: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Purpose:
    """Why somebody asks.

    ``code``: of v3-PurposeOfUse. ``case``: what the request belongs to, or empty. ``reason`` and
    ``note``: for BTG, the coded emergency, and the commitment to the words behind it that the
    caller's institution keeps.
    """

    code: str
    case: str = ""
    reason: str = ""
    note: bytes = b""

    @property
    def breaks_glass(self) -> bool:
        return self.code == BREAK_GLASS


def purpose_of(request: Request, principal: Principal, parameter: str = "") -> Purpose | None:
    """What the headers of a request say, or ``parameter``; None where they say nothing.

    A `FhirProblem` 400 for what cannot be meant: an unknown code, a break-glass without reason and
    note, or a reason without break-glass.
    """
    headers = request.headers
    code = headers.get(PURPOSE_HEADER, "").strip() or parameter
    case = headers.get(CASE_HEADER, "").strip()
    reason = headers.get(EMERGENCY_HEADER, "").strip()
    note = headers.get(NOTE_HEADER, "").strip()
    if not code and principal.kind is Kind.PATIENT:
        code = OWN_REQUEST
    if not code:
        if reason:
            raise _unclear(f"{EMERGENCY_HEADER} goes with {PURPOSE_HEADER}: {BREAK_GLASS}")
        return None
    if code not in PURPOSE_PARENT:
        raise _unclear(f"{PURPOSE_HEADER}: a code of v3-PurposeOfUse")
    if case and not _CASE.fullmatch(case):
        raise _unclear(f"{CASE_HEADER}: at most 80 letters, digits and -_.:")
    if code != BREAK_GLASS:
        if reason or note:
            raise _unclear(f"{EMERGENCY_HEADER} and {NOTE_HEADER} are for {BREAK_GLASS} alone")
        return Purpose(code, case)
    if not _REASON.fullmatch(reason):
        raise _unclear(f"{BREAK_GLASS} needs {EMERGENCY_HEADER}: the coded reason")
    if not _NOTE.fullmatch(note):
        text = f"{BREAK_GLASS} needs {NOTE_HEADER}: 64 hex digits, the commitment to the reason"
        raise _unclear(text + " in words, which your institution keeps for the review")
    return Purpose(code, case, reason, bytes.fromhex(note))


def needed(purpose: Purpose | None) -> Purpose:
    """The purpose; a `FhirProblem` 400 where none was said."""
    if purpose is None:
        text = f"Say what for: {PURPOSE_HEADER}, a code of v3-PurposeOfUse such as TREAT"
        raise FhirProblem(400, Issue("required", text))
    return purpose


def _unclear(text: str) -> FhirProblem:
    return FhirProblem(400, Issue("invalid", text))
