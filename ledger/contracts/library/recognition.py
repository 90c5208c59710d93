"""Mutual recognition: a result from another hospital is used instead of repeating the test.

While a patient is checked in at an institution, its physicians may see her laboratory, imaging and
ECG results of normal confidentiality, wherever they are held. The treating physician judges each
result: it is recognised, or refused for one of the coded reasons, and either is written down.
"""

from ledger.contracts.prelude import Map, call, emit, export, init, now, permits, query, require, signers, silent

RECOGNISED = ["laboratory", "imaging", "ecg"]
# Why a test is repeated, after the national measures on mutual recognition of 2022.
REFUSAL_CODES = [
    "condition-changed", "does-not-fit-illness", "changes-quickly", "before-major-procedure",
    "emergency", "legal-purpose", "quality", "patient-asks", "other",
]
PHYSICIANS = ["physician", "emergency-physician"]

DAY = 86400000
MAX_OPEN = 8

visits = Map("visits")
outcomes = Map("outcomes")


@init
def found() -> None:
    """Nothing to prepare."""


@export
def check_in(institution: str, subject: str, form: bytes = b"") -> int:
    """The patient checks in at an institution for 24 hours; returns when that ends.

    Without a key of hers or of who speaks for her she is checked in at the desk, by a registrar of
    that institution.
    """
    require(call("governance", "is_member", id=institution), "unknown_institution")
    if len(call("registry", "given_by", subject=subject, form=form)) > 1:
        call("registry", "acting", key=signers()[0], institution=institution, roles=["registrar"])
    current = [visit for visit in visits.get(subject, []) if now() < visit["until"] and visit["institution"] != institution]
    require(len(current) < MAX_OPEN, "too_many_visits", "check out somewhere first")
    until = now() + DAY
    current.append({"institution": institution, "until": until})
    visits[subject] = current
    emit("checked_in", subject=subject, institution=institution, until=until)
    return until


@export
def check_out(institution: str, subject: str, form: bytes = b"") -> None:
    """The patient ends the visit before its 24 hours are over."""
    call("registry", "given_by", subject=subject, form=form)
    visits[subject] = [visit for visit in visits.get(subject, []) if visit["institution"] != institution]
    emit("checked_out", subject=subject, institution=institution)


@export
def recognise(request: str) -> None:
    """The physician uses the result that the request brought."""
    judge(request, True, "")


@export
def refuse(request: str, code: str) -> None:
    """The physician has the test repeated, for a coded reason."""
    require(code in REFUSAL_CODES, "unknown_reason", "not a code of the list of reasons")
    judge(request, False, code)


def judge(request: str, recognised: bool, code: str) -> None:
    decision = call("access", "decision", id=request)
    require(decision is not None, "unknown_request", "there is no decision of that id")
    physician = call("registry", "acting", key=signers()[0], institution=decision["institution"], roles=PHYSICIANS)
    require(physician["id"] == decision["requester"], "not_the_requester", "another physician asked")
    require(decision["outcome"] == "permit", "not_permitted", "the request was denied")
    require(decision["kind"] in RECOGNISED, "not_recognisable", "only results of tests are recognised")
    require(request not in outcomes, "already_judged", "the result was judged before")
    outcomes[request] = {"recognised": recognised, "code": code, "by": physician["id"], "time": now()}
    emit("judged", request=request, recognised=recognised, code=code)


@query
def decide(request: dict) -> dict:
    """Permit a test result of normal confidentiality where the patient is checked in."""
    if request["kind"] in RECOGNISED and request["confidentiality"] == "N" and request["purpose"] == "TREAT":
        if "physician" in request["roles"] or "emergency-physician" in request["roles"]:
            for visit in visits.get(request["subject"], []):
                if visit["institution"] == request["institution"] and now() < visit["until"]:
                    return permits("patient-is-checked-in", visit_ends=visit["until"])
    return silent("no-recognition")


@query
def outcome(request: str) -> dict | None:
    """Whether the result of a request was recognised, or nothing if nobody has judged it."""
    return outcomes.get(request)
