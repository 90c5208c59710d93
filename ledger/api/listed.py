"""The shapes of lists, for OpenAPI; see `ledger.api.lists`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from ledger.api.models import Base64, Hash, Height, Milliseconds, Model

_ID = "ab" * 32 + "-0"
_PATIENT = "p-" + "5c" * 16
Next = Annotated[
    str | None, Field(description="give it back as `cursor` for the next page; null after the last")
]
AsOf = Annotated[int, Field(ge=-1, description="up to which block everything is in the list")]


class DisclosedAccess(Model):
    """One request for a record, or one question which records there are."""

    what: Annotated[Literal["access", "enquiry"], Field(description="which contract decided")]
    id: str
    subject: str
    entry: Annotated[
        int | None, Field(description="number in the patient's log; null while she is not told")
    ]
    time: Milliseconds
    height: Height
    requester: str
    institution: str
    holder: str
    purpose: str
    outcome: Annotated[str, Field(description="permit, deny, or asked")]
    rule: str
    kind: str
    record: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$", description="its name as hex")]
    case: str
    released: int | None
    received: int | None


class StatementModel(Model):
    """Proof of the state entry that a log's size and hashes are in."""

    format: Literal["health-ledger-state-1"]
    key: str
    statement: Base64


class DisclosureProof(Model):
    """What proves that the page is that part of the log; see docs/protocol/disclosures.md."""

    format: Literal["health-ledger-disclosures-1"]
    subject: str
    statement: StatementModel
    first: Annotated[int, Field(ge=0)]
    entries: list[Base64]
    before: list[Hash]
    path: list[Hash]


class DisclosureList(Model):
    """A page of a list, newest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "height": 120,
                    "disclosures": [
                        {
                            "what": "access",
                            "id": _ID,
                            "subject": _PATIENT,
                            "entry": 0,
                            "time": 1767225600000,
                            "height": 42,
                            "requester": "s-" + "1f" * 16,
                            "institution": "yanan-city",
                            "holder": "yichuan-county",
                            "purpose": "TREAT",
                            "outcome": "permit",
                            "rule": "consent:patient-permits",
                            "kind": "laboratory",
                            "record": "5c" * 32,
                            "case": "",
                            "released": 1767225601000,
                            "received": 1767225602000,
                        }
                    ],
                    "cursor": "c0ffee00.1767225600000.7",
                }
            ]
        }
    )

    height: AsOf
    disclosures: list[DisclosedAccess]
    cursor: Next = None
    proof: DisclosureProof | None = None


class EmergencyLine(Model):
    """One broken glass."""

    id: str
    subject: str
    person: str
    institution: str
    time: Milliseconds
    reason: str
    due: Milliseconds
    status: Annotated[str, Field(description="open, upheld or abuse")]
    reviewed: int | None


class EmergencyList(Model):
    """A page of emergencies, newest first."""

    height: AsOf
    emergencies: list[EmergencyLine]
    cursor: Next = None


class FindingLine(Model):
    """Something that a regulator has to look at."""

    kind: str
    about: str
    time: Milliseconds
    institution: str
    subject: str
    closed: Annotated[int | None, Field(description="when what was missing came after all, in ms")]


class FindingList(Model):
    """A page of findings, newest first."""

    height: AsOf
    findings: list[FindingLine]
    cursor: Next = None


class ConsentLine(Model):
    """One declaration of a patient."""

    id: str
    subject: str
    time: Milliseconds
    height: Height
    status: str
    withdrawn: int | None


class ConsentList(Model):
    """A page of declarations, newest first."""

    height: AsOf
    consents: list[ConsentLine]
    cursor: Next = None


class CaseLine(Model):
    """A request to destroy a record, or a dispute about one."""

    what: Annotated[Literal["erasure", "dispute"], Field(description="which contract has it")]
    id: str
    subject: str
    holder: str
    record: Hash
    time: Milliseconds
    status: str
    reason: Annotated[str, Field(description="the ground for keeping it, or of the dispute")]
    due: Annotated[int, Field(description="up to when the holder has to act, in ms")]
    until: Annotated[int, Field(description="up to when the law keeps the record, or 0")]
    ended: int | None


class CaseList(Model):
    """A page of cases, newest first."""

    height: AsOf
    cases: list[CaseLine]
    cursor: Next = None


def line(value: Any) -> dict[str, Any]:
    """A line of a list as JSON has it."""
    found = {name: getattr(value, name) for name in value.__slots__}
    if isinstance(found.get("record"), bytes):
        found["record"] = found["record"].hex()
    return found
