"""Mutual recognition: a result from another hospital is used instead of repeating the test (MR).

While a patient is checked in at an institution, its physicians may see her results of normal
confidentiality from elsewhere, as long as they are fresh enough for their class and come from a
laboratory or department that carries the mark of recognition (HR). The quality centre of a commission
gives that mark and takes it back; which classes count in a county, for how many days, and whether the
mark is needed there, are parameters. The treating physician judges each result: it is recognised, or
refused for one of the coded reasons, and either is written down.
"""

from ledger.contracts.prelude import Map, Value, call, caller, days, emit, export, hours, init, now, permits, query, require, signers, silent

RECOGNISED = ["laboratory", "imaging", "ecg", "pathology"]
# Why a test is repeated, after the national measures on mutual recognition of 2022.
REFUSAL_CODES = [
    "condition-changed", "does-not-fit-illness", "changes-quickly", "before-major-procedure",
    "emergency", "legal-purpose", "quality", "patient-asks", "other",
]
# Why a mark is taken back.
LOSS_CODES = ["failed-assessment", "not-assessed", "method-changed", "closed", "entered-in-error"]
PHYSICIANS = ["physician", "emergency-physician", "family-doctor", "village-doctor"]
QUALITY_ROLES = ["supervisor", "auditor"]

# Lowest and highest value of each parameter. A class whose results last 0 days is not recognised.
BOUNDS = {
    "laboratory_days": [0, 36500], "imaging_days": [0, 36500], "ecg_days": [0, 36500], "pathology_days": [0, 36500],
    "marks_needed": [0, 1], "visit_hours": [1, 168],
}
MAX_OPEN = 8
LONGEST_MARK_DAYS = 800

settings = Value("settings")
local = Map("local")
# Holder and class of record → until when, and for which county, its results carry the mark.
marks = Map("marks")
visits = Map("visits")
outcomes = Map("outcomes")


@init
def found(
    laboratory_days: int = 90, imaging_days: int = 180, ecg_days: int = 90, pathology_days: int = 730,
    marks_needed: int = 0, visit_hours: int = 24,
) -> None:
    """Fix for how many days a result of each class counts, whether the holder needs the mark (1) or all
    members recognise each other, as in a tight consortium (0), and how long a visit lasts."""
    settings.set(checked({
        "laboratory_days": laboratory_days, "imaging_days": imaging_days, "ecg_days": ecg_days,
        "pathology_days": pathology_days, "marks_needed": marks_needed, "visit_hours": visit_hours,
    }))


# --- The mark ----------------------------------------------------------------------------------


@export
def mark(commission: str, holder: str, kinds: list, until: int, county: str = "") -> None:
    """The quality centre of a commission gives an institution the mark for classes of results, until
    the next assessment; for one county, or where none is named for all members."""
    quality_centre(commission)
    require(call("governance", "is_member", id=holder), "unknown_institution")
    require(now() < until and until <= now() + days(LONGEST_MARK_DAYS), "bad_time", "a mark lasts 800 days at most")
    require(len(kinds) > 0 and len(kinds) <= len(RECOGNISED), "bad_kinds", "name the classes")
    for kind in kinds:
        require(kind in RECOGNISED, "not_recognisable", "only results of tests are recognised")
        marks[holder, kind] = {"until": until, "county": county, "by": commission, "since": now()}
        emit("marked", holder=holder, kind=kind, county=county, by=commission, until=until)


@export
def unmark(commission: str, holder: str, kind: str, reason: str) -> None:
    """The quality centre that gave a mark takes it back, for a coded reason; at once."""
    quality_centre(commission)
    require(reason in LOSS_CODES, "unknown_reason", "not a code of the list of reasons")
    require((holder, kind) in marks, "no_mark", "there is none")
    require(marks[holder, kind]["by"] == commission, "not_yours", "another commission gave it")
    del marks[holder, kind]
    emit("unmarked", holder=holder, kind=kind, by=commission, reason=reason)


# --- The visit ---------------------------------------------------------------------------------


@export
def check_in(institution: str, subject: str, form: bytes = b"") -> int:
    """The patient checks in at an institution, for 24 hours; returns when that ends.

    Without a key of hers, or of who speaks for her, she is checked in at the desk, by a registrar of
    that institution. What is recognised there is fixed with the visit.
    """
    place = call("governance", "institution", id=institution) if institution != "" else None
    require(place is not None and place["status"] == "member", "unknown_institution")
    if len(call("registry", "given_by", subject=subject, form=form)) > 1:
        call("registry", "acting", key=signers()[0], institution=institution, roles=["registrar"])
    current = [visit for visit in visits.get(subject, []) if now() < visit["until"] and visit["institution"] != institution]
    require(len(current) < MAX_OPEN, "too_many_visits", "check out somewhere first")
    terms = terms_at(institution)
    until = now() + hours(terms["visit_hours"])
    current.append({
        "institution": institution, "until": until, "county": place["county"], "marks": terms["marks_needed"],
        "days": {kind: terms[f"{kind}_days"] for kind in RECOGNISED},
    })
    visits[subject] = current
    emit("checked_in", subject=subject, institution=institution, until=until)
    return until


@export
def check_out(institution: str, subject: str, form: bytes = b"") -> None:
    """The patient ends the visit before its hours are over."""
    call("registry", "given_by", subject=subject, form=form)
    visits[subject] = [visit for visit in visits.get(subject, []) if visit["institution"] != institution]
    emit("checked_out", subject=subject, institution=institution)


# --- The judgement -----------------------------------------------------------------------------


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
    require(decision["holder"] != decision["institution"], "own_result", "nobody recognises an own result")
    require(request not in outcomes, "already_judged", "the result was judged before")
    outcomes[request] = {"recognised": recognised, "code": code, "by": physician["id"], "time": now()}
    emit(
        "judged", request=request, subject=decision["subject"], recognised=recognised, code=code, kind=decision["kind"],
        institution=decision["institution"], holder=decision["holder"],
    )


# --- Deciding ----------------------------------------------------------------------------------


@query
def decide(request: dict) -> dict:
    """Permit a fresh test result of normal confidentiality where the patient is checked in."""
    if request["kind"] in RECOGNISED and request["confidentiality"] == "N" and request["purpose"] == "TREAT":
        if any([role in PHYSICIANS for role in request["roles"]]):
            for visit in visits.get(request["subject"], []):
                if visit["institution"] == request["institution"] and now() < visit["until"]:
                    return judged_fresh(request, visit)
    return silent("no-recognition")


def judged_fresh(request: dict, visit: dict) -> dict:
    lasts = visit["days"][request["kind"]]
    if lasts == 0:
        return silent("class-not-recognised", kind=request["kind"])
    if request["data_end"] + days(lasts) <= now():
        return silent("result-too-old", days=lasts)
    if visit["marks"] == 1 and request["holder"] != visit["institution"]:
        given = marks.get((request["holder"], request["kind"]))
        if given is None or given["until"] <= now() or given["county"] not in ["", visit["county"]]:
            return silent("no-mark", holder=request["holder"])
    return permits("patient-is-checked-in", until=visit["until"], visit_ends=visit["until"])


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


def terms_at(institution: str) -> dict:
    """The parameters that hold for an institution, by its county."""
    return merged(settings.get(), local.get(call("governance", "institution", id=institution)["county"], {}))


# --- Helpers and questions ---------------------------------------------------------------------


def quality_centre(commission: str) -> None:
    call("registry", "acting", key=signers()[0], institution=commission, roles=QUALITY_ROLES)
    require(call("governance", "institution", id=commission)["kind"] == "commission", "not_a_commission")


@query
def outcome(request: str) -> dict | None:
    """Whether the result of a request was recognised, or nothing if nobody has judged it."""
    return outcomes.get(request)


@query
def marked(holder: str, kind: str) -> dict | None:
    """The mark of an institution for a class of results, or nothing. It may have run out."""
    return marks.get((holder, kind))
