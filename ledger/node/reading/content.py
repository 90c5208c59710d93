"""What an entry of the state says to somebody who makes lists: pure functions.

Contracts change by vote, and an index must not stop the node that keeps it: an entry that has not
what is looked for is `Unreadable`, is counted and left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

import msgspec

from ledger.chain import limits, merkle
from ledger.chain.codec import Malformed, decode_value
from ledger.chain.disclosures import entry_of

DAY: Final = 86_400_000
#: How long a receipt may take after the release, in milliseconds of block time.
RECEIPT_GRACE: Final = DAY


#: What PostgreSQL can hold in one of the index's columns: no U+0000, and not too long.
Text = Annotated[str, msgspec.Meta(max_length=200, pattern=r"\A[^\x00]*\Z")]
Word = Annotated[str, msgspec.Meta(max_length=64, pattern=r"\A[^\x00]*\Z")]
CaseName = Annotated[str, msgspec.Meta(max_length=80, pattern=r"\A[^\x00]*\Z")]
Id = Annotated[str, msgspec.Meta(max_length=79, pattern=r"\A[^\x00]*\Z")]
Hash = Annotated[bytes, msgspec.Meta(max_length=32)]

Line = TypeVar("Line")


class Unreadable(Exception):
    """An entry of the state that is not what its map usually holds."""


@dataclass(frozen=True, slots=True)
class Access:
    """A decision about a record (``what`` is ``access``) or a question which records there are
    (``enquiry``), as one line of a list.

    ``id``: of the decision or enquiry; its state entry is ``access/decisions/ID`` or
    ``enquiry/enquiries/ID``. ``entry``: its number in the patient's log of disclosures, None while
    she is not told of it. ``time``, ``released``, ``received``: block times in ms since 1970 UTC.
    ``outcome``: ``permit`` or ``deny``, of an enquiry ``asked``. ``record``: its name, of an
    enquiry empty, as are ``holder``, ``rule`` and ``kind``.
    """

    what: Text
    id: Id
    subject: Text
    entry: int | None
    time: int
    height: int
    requester: Text
    institution: Text
    holder: Text
    purpose: Text
    outcome: Text
    rule: Text
    kind: Text
    record: Hash
    case: CaseName
    released: int | None = None
    received: int | None = None


@dataclass(frozen=True, slots=True)
class Emergency:
    """A broken glass. ``due``: of its review; ``status``: open, upheld or abuse."""

    id: Id
    subject: Text
    person: Text
    institution: Text
    time: int
    reason: Text
    due: int
    status: Text
    reviewed: int | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """A declaration of a patient. ``withdrawn``: when, in ms; None while it is not."""

    id: Word
    subject: Text
    time: int
    height: int
    status: Text
    withdrawn: int | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A patient's request to have a record destroyed (``what`` is ``erasure``), or her dispute
    about one (``dispute``).

    ``reason``: the ground on which the holder keeps the record, or why she disputes it. ``due``: up
    to when the holder has to answer or to destroy; ``until``: up to when the law keeps the record,
    0 where that is not said; ``ended``: when it was done, None before. Times in ms.
    """

    what: Text
    id: Id
    subject: Text
    holder: Text
    record: Hash
    time: int
    status: Text
    reason: Text
    due: int
    until: int = 0
    ended: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a regulator has to look at.

    ``kind``: one of `KINDS`. ``about``: the id of the decision, emergency or finding of
    ``evidence`` (its number) that it is about. ``institution``: that has to answer for it.
    ``subject``: the patient, or empty. ``closed``: when what was missing came after all.
    """

    kind: Text
    about: Id
    time: int
    institution: Text
    subject: Text = ""
    closed: int | None = None


#: Kinds of findings.
KINDS: Final = (
    "consensus",  # a validator broke the rules of the consensus
    "review-overdue",  # an emergency that nobody judged in time
    "emergency-abuse",  # an emergency that was none
    "release-without-receipt",  # a record was handed over and its receipt never came
    "receipt-without-release",  # a record arrived that the holder never wrote down
    "release-differs",  # the holder handed over other bytes than the pointer promised
    "receipt-differs",  # other bytes arrived than the pointer promised
    "erasure-unanswered",  # a holder did not say in time why it keeps a record
    "erasure-overdue",  # a record that no law keeps any longer was not destroyed in time
    "dispute-unanswered",  # a holder did not answer a dispute in time
)


@dataclass(frozen=True, slots=True)
class Deadline:
    """What becomes a `Finding` of that kind at ``due`` unless it is taken back."""

    kind: str
    about: str
    due: int
    institution: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """What one entry adds to the index. ``row``: the line of a list, with ``leaf``, the hash of its
    entry in the log of disclosures. ``met``: deadlines (kind) that have nothing to wait for any
    more, and since when."""

    row: Access | Emergency | Consent | Case | None
    leaf: bytes | None = None
    findings: tuple[Finding, ...] = ()
    deadlines: tuple[Deadline, ...] = ()
    met: tuple[tuple[str, str, int], ...] = ()


def _line(form: type[Line], /, **values: Any) -> Line:
    """A line with members of the types that it should have; raises `msgspec.ValidationError`."""
    return msgspec.convert(values, form)


def _decision(found: Mapping[str, Any]) -> Content:
    released, received = found["released"], found["received"]
    row = _line(
        Access,
        what="access",
        id=found["id"],
        subject=found["subject"],
        entry=found.get("entry"),
        time=found["time"],
        height=found["height"],
        requester=found["requester"],
        institution=found["institution"],
        holder=found["holder"],
        purpose=found["purpose"],
        outcome=found["outcome"],
        rule=found["rule"],
        kind=found["kind"],
        record=found["record"],
        case=found["case"],
        released=None if released is None else released["time"],
        received=None if received is None else received["time"],
    )
    findings: list[Finding] = []
    deadlines: list[Deadline] = []
    met: list[tuple[str, str, int]] = []

    def note(kind: str, time: int) -> None:
        findings.append(Finding(kind, row.id, time, row.holder, row.subject))

    missing = "release-without-receipt"
    if released is not None and not released["matches"]:
        note("release-differs", released["time"])
    if received is not None and not received["matches"]:
        note("receipt-differs", received["time"])
    if received is not None:
        met.append((missing, row.id, received["time"]))
        if released is None:
            note("receipt-without-release", received["time"])
        else:
            met.append(("receipt-without-release", row.id, released["time"]))
    elif released is not None:
        due = released["time"] + RECEIPT_GRACE
        deadlines.append(Deadline(missing, row.id, due, row.institution, row.subject))
    return Content(row, _leaf("access", found), tuple(findings), tuple(deadlines), tuple(met))


def _enquiry(found: Mapping[str, Any]) -> Content:
    row = _line(
        Access,
        what="enquiry",
        id=found["id"],
        subject=found["subject"],
        entry=found.get("entry"),
        time=found["time"],
        height=found["height"],
        requester=found["asker"],
        institution=found["institution"],
        holder="",
        purpose=found["purpose"],
        outcome="asked",
        rule="",
        kind="",
        record=b"",
        case=found["case"],
    )
    return Content(row, _leaf("enquiry", found))


def _leaf(contract: str, found: Mapping[str, Any]) -> bytes | None:
    if found.get("entry") is None:
        return None
    return merkle.leaf_hash(entry_of(contract, found).leaf())


def _emergency(identity: str, found: Mapping[str, Any]) -> Content:
    review = found.get("review")
    reviewed = None if review is None else review["time"]
    row = _line(
        Emergency,
        id=identity,
        subject=found["subject"],
        person=found["person"],
        institution=found["institution"],
        time=found["declared"],
        reason=found["reason"],
        due=found["due"],
        status=found["status"],
        reviewed=reviewed,
    )
    overdue = "review-overdue"
    place = (identity, row.institution, row.subject)
    if reviewed is None:
        waits = Deadline(overdue, identity, row.due, row.institution, row.subject)
        return Content(row, deadlines=(waits,))
    findings = []
    if reviewed >= row.due:
        findings.append(Finding(overdue, place[0], row.due, place[1], place[2]))
    if row.status == "abuse":
        findings.append(Finding("emergency-abuse", place[0], reviewed, place[1], place[2]))
    return Content(row, findings=tuple(findings), met=((overdue, identity, reviewed),))


def _consent(identity: str, found: Mapping[str, Any]) -> Content:
    withdrawn = found.get("withdrawn")
    return Content(
        _line(
            Consent,
            id=identity,
            subject=found["subject"],
            time=found["time"],
            height=found["height"],
            status=found["status"],
            withdrawn=None if withdrawn is None else withdrawn["time"],
        )
    )


def _evidence(found: Mapping[str, Any]) -> Content:
    finding = _line(
        Finding,
        kind="consensus",
        about=str(found["number"]),
        time=found["time"],
        institution=found["institution"],
    )
    return Content(None, findings=(finding,))


#: In which states of a case which deadline runs.
_WAITING: Final = {
    "erasure": {
        "requested": "erasure-unanswered", "kept": "erasure-overdue", "due": "erasure-overdue",
    },
    "dispute": {"open": "dispute-unanswered"},
}  # fmt: skip


def _case(what: str, identity: str, found: Mapping[str, Any]) -> Content:
    answer = found.get("answered") or found.get("answer") or {}
    since = found.get("ended", answer.get("time"))
    row = _line(
        Case,
        what=what,
        id=identity,
        subject=found["subject"],
        holder=found["holder"],
        record=found["record"],
        time=found["time"],
        status=found["status"],
        reason=found["ground"] if what == "erasure" else found["reason"],
        due=found["due"],
        until=found.get("until", 0),
        ended=found.get("ended"),
    )
    waiting = _WAITING[what].get(row.status)
    met = tuple(
        (kind, identity, since)
        for kind in dict.fromkeys(_WAITING[what].values())
        if kind != waiting and since is not None
    )
    if waiting is None:
        return Content(row, met=met)
    runs = Deadline(waiting, identity, row.due, row.holder, row.subject)
    return Content(row, deadlines=(runs,), met=met)


_READERS: Final[Mapping[str, Callable[[str, Any], Content]]] = {
    "access/decisions": lambda _, found: _decision(found),
    "enquiry/enquiries": lambda _, found: _enquiry(found),
    "emergency/emergencies": _emergency,
    "consent/consents": _consent,
    "erasure/requests": lambda identity, found: _case("erasure", identity, found),
    "corrections/disputes": lambda identity, found: _case("dispute", identity, found),
    "evidence/findings": lambda _, found: _evidence(found),
}

#: The maps of the state that lists are made of.
MAPS: Final = tuple(_READERS)


def read_entry(key: bytes, value: bytes) -> Content | None:
    """What an entry of the state adds to the index; None for an entry of another map.

    Raises:
        Unreadable: it is of one of `MAPS`, and not what is usually there.
    """
    try:
        contract, name, identity = key.decode().split("/", 2)
    except ValueError:
        return None
    reader = _READERS.get(f"{contract}/{name}")
    if reader is None:
        return None
    try:
        return reader(identity, decode_value(value, limit=limits.MAX_STATE_VALUE_BYTES))
    except (Malformed, msgspec.ValidationError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"{contract}/{name}: {type(error).__name__}") from None
