"""Emergency: who breaks the glass answers for it, and the chain itself counts the hours (BG).

In an emergency a physician sees a record at once, whatever the patient denied. The patient is told.
What one physician opens for one patient within a day is one emergency, with one reason and one
review. An auditor who does not belong to that institution judges it by a deadline: upheld, or abuse,
which bars the person, longer each time. Who has a review overdue cannot begin another emergency;
that stops the person and not the patient, because a colleague can act. Where too many reviews are
overdue at one institution, the commission is told and may order a measure.

The physician who broke the glass may call in a named expert of another institution, for hours. The
expert asks in the ordinary way, for ETREAT or ERTREAT, so a denial of the patient that names these
purposes, or none, still stops the expert. Nothing that permits TREAT permits any of this.
"""

from ledger.contracts.prelude import Map, Value, call, caller, denies, emit, export, init, now, permits, query, require, signers, silent

REASONS = ["unconscious", "life-threat", "severe-trauma", "childbirth", "disaster", "other"]
BREAK_GLASS_ROLES = ["emergency-physician", "physician", "village-doctor"]
EXPERT_ROLES = ["emergency-physician", "physician"]
# Institutions that have patients in front of them. The others have no emergencies of patients.
CARE_KINDS = [
    "provincial-hospital", "city-hospital", "county-hospital", "township-centre", "community-centre",
    "village-station", "internet-hospital", "maternal-child", "emergency-service", "care-home", "hospice", "custody",
]
# What a commission orders where reviews stay undone. The second leaves the glass to emergency physicians.
MEASURES = ["training", "emergency-physicians-only", "inspection"]
EXPERT_PURPOSES = ["ETREAT", "ERTREAT"]
EXPERT_LEVELS = ["N", "R"]
EXPERT_DUTIES = ["NOPERSISTP"]

# Lowest and highest value of each parameter.
BOUNDS = {
    "review_hours": [1, 720], "episode_hours": [1, 72], "bar_days": [1, 365], "overdue_limit": [1, 1000],
    "expert_hours": [1, 72],
}
HOUR = 3600000
DAY = 86400000
MAX_OPEN = 32
MAX_REQUESTS = 64
MAX_EXPERTS = 4
HASH_BYTES = 32

settings = Value("settings")
local = Map("local")
# Emergency → who, where, why, until when, and how it was judged. Its id is that of its first request.
emergencies = Map("emergencies")
# Person and patient → the person's newest emergency with that patient.
current = Map("current")
open_reviews = Map("open_reviews")
barred = Map("barred")
abuses = Map("abuses")
# Emergency and person → an expert who was called in.
experts = Map("experts")
# Institution → how many reviews are known to be overdue there; and what the commission ordered.
arrears = Map("arrears")
measures = Map("measures")


@init
def found(
    review_hours: int = 72, episode_hours: int = 24, bar_days: int = 30, overdue_limit: int = 5, expert_hours: int = 12
) -> None:
    """Fix the deadlines: of a review, of an emergency itself, of a bar after abuse, of an expert's
    invitation; and how many overdue reviews at one institution are too many."""
    settings.set(checked({
        "review_hours": review_hours, "episode_hours": episode_hours, "bar_days": bar_days,
        "overdue_limit": overdue_limit, "expert_hours": expert_hours,
    }))


# --- Breaking the glass ------------------------------------------------------------------------


@export
def declare(request: str, who: dict, institution: str, subject: str, reason: str, note: bytes) -> dict:
    """The answer to a break-glass request, which `access` passes on and writes down.

    `note` is a commitment to the physician's own words, which the institution keeps for the review.
    """
    require(caller() in ["access", "enquiry"], "access_only", "the glass is broken through access, or enquiry")
    require(reason in REASONS, "unknown_reason", "not a code of the list of emergencies")
    require(len(note) == HASH_BYTES, "note_missing", "a commitment to the reason in words is needed")
    person = who["id"]
    if not overlap(who["roles"], BREAK_GLASS_ROLES):
        return denies("role-not-suited", roles=who["roles"])
    place = call("governance", "institution", id=institution)
    if place["kind"] not in CARE_KINDS:
        return denies("institution-gives-no-care", kind=place["kind"])
    if now() < barred.get(person, 0):
        return denies("barred-after-abuse", until=barred[person])
    same = current.get((person, subject), "")
    if same != "":
        case = emergencies[same]
        if case["institution"] == institution and case["status"] == "open" and now() < case["until"]:
            return continued(same, case, request)
    mine = open_reviews.get(person, [])
    for review in mine:
        if review["due"] <= now():
            note_overdue(review["emergency"])
            return denies("review-overdue", overdue=review["emergency"])
    if len(mine) >= MAX_OPEN:
        return denies("too-many-open-reviews")
    if institution in measures and measures[institution] == "emergency-physicians-only":
        if "emergency-physician" not in who["roles"]:
            return denies("measure-of-the-commission", measure="emergency-physicians-only")
    return begun(request, person, place, subject, reason, note, mine)


def begun(request: str, person: str, place: dict, subject: str, reason: str, note: bytes, mine: list) -> dict:
    """A new emergency, with its own review."""
    terms = terms_of(place["county"])
    due = now() + terms["review_hours"] * HOUR
    emergencies[request] = {
        "person": person, "institution": place["id"], "county": place["county"], "subject": subject,
        "reason": reason, "note": note, "declared": now(), "until": now() + terms["episode_hours"] * HOUR,
        "due": due, "status": "open", "overdue": False, "disputed": False, "requests": [request], "experts": [],
    }
    current[person, subject] = request
    open_reviews[person] = mine + [{"emergency": request, "due": due}]
    emit("glass_broken", request=request, emergency=request, subject=subject, institution=place["id"], reason=reason, due=due)
    return permits("break-glass", tell=["auditor"], review_by=due, emergency=request, reason=reason)


def continued(id: str, case: dict, request: str) -> dict:
    """One more record in the same emergency."""
    if len(case["requests"]) >= MAX_REQUESTS:
        return denies("too-many-records", records=MAX_REQUESTS)
    case["requests"].append(request)
    emergencies[id] = case
    emit("glass_broken", request=request, emergency=id, subject=case["subject"], institution=case["institution"], reason=case["reason"], due=case["due"])
    return permits("break-glass", tell=["auditor"], review_by=case["due"], emergency=id, reason=case["reason"])


# --- Calling in an expert ----------------------------------------------------------------------


@export
def invite(emergency: str, expert: str, institution: str, hours: int) -> int:
    """The physician who broke the glass calls in one expert, who acts for the institution named.

    Returns when the invitation ends. It is bound to the person: whoever else knows the emergency
    sees nothing by it.
    """
    case = led_by_signer(emergency)
    require(now() < case["until"], "expired", "the emergency is over")
    require(1 <= hours and hours <= terms_of(case["county"])["expert_hours"], "bad_hours", "longer than the rules allow")
    require(expert in case["experts"] or len(case["experts"]) < MAX_EXPERTS, "too_many_experts")
    require(works_as(expert, institution, EXPERT_ROLES), "not_an_expert", "that person is no physician there")
    until = now() + hours * HOUR
    experts[emergency, expert] = {"subject": case["subject"], "institution": institution, "until": until}
    if expert not in case["experts"]:
        case["experts"].append(expert)
        emergencies[emergency] = case
    emit("expert_called_in", emergency=emergency, subject=case["subject"], expert=expert, institution=institution, until=until)
    return until


@export
def dismiss(emergency: str, expert: str) -> None:
    """The physician who called in an expert ends it before its hours are over."""
    case = led_by_signer(emergency)
    require((emergency, expert) in experts, "not_an_expert", "nobody of that id was called in")
    del experts[emergency, expert]
    emit("expert_dismissed", emergency=emergency, subject=case["subject"], expert=expert)


@query
def decide(request: dict) -> dict:
    """Permit an expert who was called in to see records of the patient while the hours run."""
    if request["purpose"] in EXPERT_PURPOSES and request["case"] != "" and request["confidentiality"] in EXPERT_LEVELS:
        seat = experts.get((request["case"], request["requester"]))
        if seat is not None and seat["subject"] == request["subject"] and seat["institution"] == request["institution"]:
            if now() < seat["until"]:
                return permits("expert-called-in", until=seat["until"], duties=EXPERT_DUTIES, emergency=request["case"])
    return silent("no-emergency")


@query
def running(person: str, institution: str, subject: str) -> dict:
    """Whether a person, acting for an institution, has an emergency with a patient that goes on."""
    id = current.get((person, subject), "")
    if id != "":
        case = emergencies[id]
        if case["institution"] == institution and case["status"] == "open" and now() < case["until"]:
            return permits("emergency-running", until=case["until"], emergency=id)
    return denies("no-emergency-running")


# --- Review ------------------------------------------------------------------------------------


@export
def dispute(emergency: str, form: bytes = b"") -> None:
    """The patient says that this was no emergency. The review goes on, and the auditor knows."""
    case = known(emergency)
    call("registry", "given_by", subject=case["subject"], form=form)
    require(case["status"] == "open", "already_reviewed", "the emergency was judged before")
    require(not case["disputed"], "already_disputed", "the patient has said so before")
    case["disputed"] = True
    emergencies[emergency] = case
    emit("disputed", emergency=emergency, subject=case["subject"])


@export
def review(emergency: str, institution: str, upheld: bool, note: bytes) -> None:
    """An auditor, acting for a commission, judges an emergency: upheld, or abuse.

    `note` is a commitment to the auditor's reasons in words, which the commission keeps.
    """
    require(len(note) == HASH_BYTES, "note_missing", "a commitment to the reasons in words is needed")
    case = known(emergency)
    require(case["status"] == "open", "already_reviewed", "the emergency was judged before")
    auditor = call("registry", "acting", key=signers()[0], institution=institution, roles=["auditor"])
    person = case["person"]
    require(auditor["id"] != person and auditor["id"] not in case["experts"], "own_case", "nobody judges an own case")
    require(not works_at(signers()[0], case["institution"]), "own_institution", "the auditor belongs to that institution")
    late = case["due"] <= now()
    case["status"] = "upheld" if upheld else "abuse"
    case["review"] = {"by": auditor["id"], "institution": institution, "time": now(), "late": late, "finding": note}
    emergencies[emergency] = case
    open_reviews[person] = [other for other in open_reviews.get(person, []) if other["emergency"] != emergency]
    if case["overdue"]:
        one_less_overdue(case)
    emit("reviewed", emergency=emergency, subject=case["subject"], institution=case["institution"], upheld=upheld, late=late)
    if not upheld:
        abuses[person] = abuses.get(person, 0) + 1
        barred[person] = now() + abuses[person] * terms_of(case["county"])["bar_days"] * DAY
        emit("barred", person=person, institution=case["institution"], until=barred[person])
        for expert in case["experts"]:
            if (emergency, expert) in experts:
                del experts[emergency, expert]


@export
def escalate(emergency: str) -> None:
    """Anybody in the registry points out that a review is overdue; block time says whether it is."""
    require(call("registry", "whois", key=signers()[0]) is not None, "unknown_key", "the signer is not in the registry")
    case = known(emergency)
    require(case["status"] == "open" and case["due"] <= now(), "not_overdue", "the review is done or not due yet")
    require(not case["overdue"], "already_noted", "that was pointed out before")
    note_overdue(emergency)


@export
def order(institution: str, commission: str, measure: str) -> None:
    """A commission orders a measure at an institution with too many overdue reviews; empty ends it."""
    call("registry", "acting", key=signers()[0], institution=commission, roles=["auditor", "supervisor"])
    require(call("governance", "institution", id=commission)["kind"] == "commission", "not_a_commission")
    require(call("governance", "is_member", id=institution), "unknown_institution")
    if measure == "":
        require(institution in measures, "no_measure", "nothing was ordered there")
        del measures[institution]
    else:
        require(measure in MEASURES, "unknown_measure", "not a code of the list of measures")
        require(in_arrears(institution), "not_in_arrears", "the reviews there are not overdue")
        measures[institution] = measure
    emit("ordered", institution=institution, by=commission, measure=measure)


def note_overdue(emergency: str) -> None:
    """Count a review that is overdue, once, and tell the commission when they become too many."""
    case = emergencies[emergency]
    if case["overdue"]:
        return
    case["overdue"] = True
    emergencies[emergency] = case
    institution = case["institution"]
    count = arrears.get(institution, 0) + 1
    arrears[institution] = count
    emit("review_overdue", emergency=emergency, subject=case["subject"], institution=institution, due=case["due"])
    if count == terms_of(case["county"])["overdue_limit"]:
        emit("too_many_overdue", institution=institution, county=case["county"], count=count)


def one_less_overdue(case: dict) -> None:
    institution = case["institution"]
    arrears[institution] = arrears[institution] - 1
    if arrears[institution] == terms_of(case["county"])["overdue_limit"] - 1:
        emit("overdue_no_more", institution=institution, county=case["county"], count=arrears[institution])


def in_arrears(institution: str) -> bool:
    county = call("governance", "institution", id=institution)["county"]
    return arrears.get(institution, 0) >= terms_of(county)["overdue_limit"]


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


# --- Helpers -----------------------------------------------------------------------------------


def known(emergency: str) -> dict:
    require(emergency in emergencies, "unknown_emergency", "there is no emergency of that id")
    return emergencies[emergency]


def led_by_signer(emergency: str) -> dict:
    case = known(emergency)
    person = call("registry", "acting", key=signers()[0], institution=case["institution"], roles=BREAK_GLASS_ROLES)
    require(person["id"] == case["person"], "not_the_physician", "another person broke the glass")
    require(case["status"] == "open", "already_reviewed", "the emergency was judged before")
    return case


def works_at(key: str, institution: str) -> bool:
    affiliations = call("registry", "whois", key=key)["affiliations"]
    return institution in [affiliation["institution"] for affiliation in affiliations]


def works_as(id: str, institution: str, roles: list) -> bool:
    person = call("registry", "person", id=id)
    if person is None or person["status"] != "active":
        return False
    for affiliation in person["affiliations"]:
        if affiliation["institution"] == institution:
            return overlap(affiliation["roles"], roles)
    return False


def overlap(some: list, others: list) -> bool:
    for item in some:
        if item in others:
            return True
    return False


# --- Questions ---------------------------------------------------------------------------------


@query
def get(emergency: str) -> dict | None:
    """An emergency with its requests, its experts and its review, or nothing."""
    return emergencies.get(emergency)


@query
def reviews_due(person: str) -> list:
    """The open reviews of a person with their deadlines."""
    return open_reviews.get(person, [])


@query
def barred_until(person: str) -> int:
    """When the person may break the glass again; 0 for one who was never barred."""
    return barred.get(person, 0)


@query
def standing(institution: str) -> dict:
    """How many reviews are noted as overdue at an institution, and what the commission ordered."""
    return {"overdue": arrears.get(institution, 0), "measure": measures.get(institution, "")}
