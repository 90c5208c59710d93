"""Corrections: a patient says that a record is wrong, and the holder has to answer.

She disputes one record, with a code and the hash of her statement, which she or her clinic keeps. The
holder answers within a term: it corrects the record, which shows because the old one is superseded or
marked as entered in error, or it refuses, with the hash of its reasons. What was refused stays beside the
record for good, unless she withdraws it: whoever is shown the record is shown that it is disputed. A term
that passes without an answer is a finding.
"""

from ledger.contracts.prelude import Map, Value, call, call_index, caller, days, emit, export, init, now, query, require, signers, transaction

REASONS = ["wrong-patient", "wrong-content", "incomplete", "outdated", "other"]
BOUNDS = {"answer_days": [1, 90]}
HASH_BYTES = 32
MAX_DISPUTES = 8

settings = Value("settings")
local = Map("local")
# Dispute → which record, whose, why, until when the holder answers, and what it said.
disputes = Map("disputes")
# Holder and record → the disputes that stand beside it: open ones, and those that were refused.
standing = Map("standing")


@init
def found(answer_days: int = 30) -> None:
    """Fix how long a holder has for an answer."""
    settings.set(checked({"answer_days": answer_days}))


# --- What patients say -------------------------------------------------------------------------


@export
def dispute(pointer: dict, proof: dict, reason: str, statement: bytes, form: bytes = b"") -> str:
    """The patient disputes a record; returns the id of the dispute. `statement` is the hash of her words."""
    subject = pointer["subject"]
    given = call("registry", "given_by", subject=subject, form=form)
    require(reason in REASONS, "unknown_reason", "not a code of the list of reasons")
    require(len(statement) == HASH_BYTES, "statement_missing", "the statement is named by its hash")
    record = call("records", "find", pointer=pointer, proof=proof)
    require(record["status"] in ["anchored", "restricted"], "record_does_not_count", "it is superseded, in error, gone or unknown")
    place = (pointer["holder"], record["name"].hex())
    beside = standing.get(place, [])
    require(len(beside) < MAX_DISPUTES, "too_many_disputes", "eight stand beside the record")
    id = f"{transaction()}-{call_index()}"
    terms = terms_of(call("governance", "institution", id=pointer["holder"])["county"])
    disputes[id] = {
        "subject": subject, "given_by": given, "form": form, "holder": pointer["holder"], "record": record["name"],
        "kind": pointer["kind"], "reason": reason, "statement": statement, "time": now(), "status": "open",
        "due": now() + days(terms["answer_days"]),
    }
    standing[place] = beside + [id]
    emit("disputed", dispute=id, subject=subject, holder=pointer["holder"], reason=reason)
    return id


@export
def withdraw(dispute: str, form: bytes = b"") -> None:
    """The patient withdraws a dispute; it stands beside the record no more."""
    case = known(dispute)
    call("registry", "given_by", subject=case["subject"], form=form)
    require(case["status"] in ["open", "refused"], "closed", "the dispute has ended")
    ended(dispute, case, "withdrawn")
    emit("withdrawn", dispute=dispute, subject=case["subject"], holder=case["holder"])


# --- What holders answer -----------------------------------------------------------------------


@export
def answer(dispute: str, accepted: bool, statement: bytes) -> None:
    """A records officer of the holder answers; `statement` is the hash of the reasons.

    To accept, the record must have been corrected: superseded by a newer one, or marked as entered in
    error.
    """
    case = known(dispute)
    officer = call("registry", "acting", key=signers()[0], institution=case["holder"], roles=["records-officer"])
    require(case["status"] == "open", "closed", "the dispute was answered before")
    require(len(statement) == HASH_BYTES, "statement_missing", "the reasons are named by their hash")
    late = case["due"] < now()
    case["answer"] = {"by": officer["id"], "time": now(), "statement": statement, "late": late}
    if accepted:
        mark = call("records", "mark_of", holder=case["holder"], name=case["record"])
        require(mark["status"] in ["superseded", "entered-in-error"], "not_corrected", "supersede the record, or mark it, first")
        case["answer"]["by_record"] = mark["by"]
        ended(dispute, case, "accepted")
    else:
        case["status"] = "refused"
        disputes[dispute] = case
    emit("answered", dispute=dispute, subject=case["subject"], holder=case["holder"], accepted=accepted, late=late)


def ended(dispute: str, case: dict, status: str) -> None:
    """Take a dispute away from beside its record."""
    case["status"] = status
    case["ended"] = now()
    disputes[dispute] = case
    place = (case["holder"], case["record"].hex())
    rest = [other for other in standing.get(place, []) if other != dispute]
    if len(rest) > 0:
        standing[place] = rest
    elif place in standing:
        del standing[place]


def known(dispute: str) -> dict:
    require(dispute in disputes, "unknown_dispute", "there is no dispute of that id")
    return disputes[dispute]


# --- Parameters --------------------------------------------------------------------------------


@export
def amend(county: str, values: dict) -> None:
    """Change parameters, for one county or, where none is named, for all that have none of their own."""
    require(caller() == "charter", "charter_only", "parameters change by a vote of the members")
    if county == "":
        settings.set(checked(merged(settings.get(), values)))
    else:
        local[county] = checked(merged(local.get(county, {}), values))


def checked(values: dict) -> dict:
    for name in values:
        require(name in BOUNDS, "unknown_parameter", "the contract has no such parameter")
        lowest, highest = BOUNDS[name]
        require(lowest <= values[name] and values[name] <= highest, "out_of_bounds", "the parameter has bounds")
    return values


def merged(old: dict, new: dict) -> dict:
    for name in new:
        old[name] = new[name]
    return old


def terms_of(county: str) -> dict:
    return merged(settings.get(), local.get(county, {}))


# --- Questions ---------------------------------------------------------------------------------


@query
def case(id: str) -> dict | None:
    """A dispute with the answer to it, or nothing."""
    return disputes.get(id)


@query
def beside(holder: str, record: str) -> list:
    """The disputes that stand beside a record, oldest first: each with its id, status and statements."""
    found = []
    for id in standing.get((holder, record), []):
        dispute = disputes[id]
        dispute["id"] = id
        found.append(dispute)
    return found
