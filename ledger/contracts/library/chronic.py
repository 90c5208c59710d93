"""Chronic: a registry of one disease, for those who have joined it and as long as they stay (CD).

An institution runs a programme: which institutions take part, which classes of records it needs, and
how often its patients are seen. A patient joins by a consent of her own for this programme, and names
with it who treats her. Her doctors see those classes of records (serve); the people who manage the
programme at the institution that looks after her see the same, to call her in and to plan (manage).
Nobody else of the programme does. Follow-ups have a date; one that is missed, and an alert that nobody
answers, is announced. Leaving ends all of it at once.
"""

from ledger.contracts.prelude import Map, Value, call, caller, days, emit, export, fail, height, hours, init, now, permits, query, require, signers, silent

CLASSES = [
    "laboratory", "imaging", "ecg", "pathology", "note", "prescription", "referral",
    "immunization", "procedure", "condition", "encounter", "careplan",
]
SERVING_ROLES = ["physician", "family-doctor", "village-doctor", "nurse", "pharmacist"]
MANAGING_ROLES = ["public-health-officer", "physician", "family-doctor", "village-doctor", "nurse"]
SERVING_PURPOSES = ["TREAT", "COC"]
MANAGING_PURPOSES = ["CAREMGT", "POPHLTH"]
LEVELS = ["yellow", "red"]
ENDINGS = ["patient-wish", "moved", "deceased", "recovered", "transferred", "entered-in-error"]
RANK = {"N": 1, "R": 2}

# Lowest and highest value of each parameter.
BOUNDS = {"longest_days": [30, 3660], "alert_hours": [1, 168]}
MAX_ID = 64
MAX_MEMBERS = 1000
MAX_DOCTORS = 8
MAX_PROGRAMMES = 16
LONGEST_INTERVAL_DAYS = 400
ID_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

settings = Value("settings")
local = Map("local")
programmes = Map("programmes")
# Programme and institution → since when it takes part.
members = Map("members")
# Patient → her enrolments.
enrolled = Map("subjects")
# Programme and patient → follow-up and alert.
care = Map("care")


@init
def found(longest_days: int = 1100, alert_hours: int = 24) -> None:
    """Fix for how long a patient enrols at most, and within which time a red alert is answered."""
    settings.set(checked({"longest_days": longest_days, "alert_hours": alert_hours}))
    call("registry", "enlist")


# --- Programmes --------------------------------------------------------------------------------


@export
def begin(programme: str, institution: str, kinds: list, level: str, followup_days: int, participants: list) -> None:
    """A governor of the institution that runs it begins a programme: the classes of records that it
    needs and no others, up to which level, how often a patient is seen, and who takes part.

    The name of a programme is a code; it names no disease.
    """
    call("registry", "acting", key=signers()[0], institution=institution, roles=["governor"])
    check_id(programme)
    require(programme not in programmes, "programme_exists", "the name is taken")
    require(0 < len(kinds) and len(kinds) <= len(CLASSES), "kinds_missing", "name the classes")
    for kind in kinds:
        require(kind in CLASSES, "unknown_class", "not a code of the list of classes")
    require(level in RANK, "unknown_confidentiality", "N or R")
    require(1 <= followup_days and followup_days <= LONGEST_INTERVAL_DAYS, "bad_time", "1 to 400 days")
    programmes[programme] = {
        "institution": institution, "kinds": kinds, "level": level, "followup": followup_days, "members": 0,
        "status": "open", "since": now(),
    }
    emit("programme_begun", programme=programme, institution=institution, kinds=kinds, level=level)
    for participant in [institution] + participants:
        add_member(programme, participant)


@export
def admit(programme: str, participant: str) -> None:
    """A governor of the running institution lets another institution take part."""
    led_by_signer(programme)
    add_member(programme, participant)


@export
def dismiss(programme: str, participant: str) -> None:
    """A governor of the running institution ends the part of another; its people see nothing more."""
    entry = led_by_signer(programme)
    require((programme, participant) in members, "takes_no_part", "that institution takes no part")
    require(participant != entry["institution"], "runs_it", "that institution runs the programme")
    del members[programme, participant]
    entry["members"] -= 1
    programmes[programme] = entry
    emit("member_left", programme=programme, institution=participant)


# --- Patients ----------------------------------------------------------------------------------


@export
def enrol(programme: str, subject: str, institution: str, doctors: list, until: int, form: bytes = b"") -> None:
    """The patient joins: `institution` looks after her, `doctors` treat her, as {"person",
    "institution"}. Who has joined before replaces what she said then.

    Without her own key, a registrar and a witness of that institution hold her signed form.
    """
    entry = running(programme)
    given_by = call("registry", "given_by", subject=subject, form=form)
    if len(given_by) > 1:
        call("registry", "acting", key=signers()[0], institution=institution, roles=["registrar"])
    require((programme, institution) in members, "takes_no_part", "that institution takes no part")
    longest = days(terms_at(institution)["longest_days"])
    require(now() < until and until <= now() + longest, "bad_time", "longer than the rules allow")
    last = call("registry", "say_ends", subject=subject, speakers=given_by)
    if last != 0:
        until = min(until, last)  # what others sign for a child ends when she turns 14 and 18
    require(len(doctors) <= MAX_DOCTORS, "too_many_doctors", "at most 8")
    named = {}
    for doctor in doctors:
        require((programme, doctor["institution"]) in members, "takes_no_part", "that institution takes no part")
        require(works_as(doctor["person"], doctor["institution"], SERVING_ROLES), "not_suited", "no such role there")
        named[doctor["person"]] = doctor["institution"]
    current = [
        other for other in enrolled.get(subject, []) if now() < other["until"] and other["programme"] != programme
    ]
    require(len(current) < MAX_PROGRAMMES, "too_many_programmes", "leave one first")
    current.append({
        "programme": programme, "institution": institution, "doctors": named, "until": until,
        "kinds": entry["kinds"], "level": RANK[entry["level"]],
    })
    enrolled[subject] = current
    care[programme, subject] = {
        "due": now() + days(entry["followup"]), "missed": False, "visits": 0, "alert": None,
        "institution": institution, "given_by": given_by, "form": form, "since": now(), "height": height(),
    }
    emit("enrolled", programme=programme, subject=subject, institution=institution, until=until)


@export
def leave(programme: str, subject: str, reason: str = "patient-wish", form: bytes = b"") -> None:
    """The patient leaves, or the institution that looks after her ends it for a coded reason."""
    require(reason in ENDINGS, "unknown_reason", "not a code of the list of reasons")
    enrolment = enrolment_of(programme, subject)
    if reason == "patient-wish":
        call("registry", "given_by", subject=subject, form=form)
    else:
        call("registry", "acting", key=signers()[0], institution=enrolment["institution"], roles=MANAGING_ROLES)
    take_out(programme, subject, reason)


@export
def end_with_death(subject: str) -> None:
    """The registry tells that a patient has died."""
    require(caller() == "registry", "registry_only", "the registry tells of deaths")
    for enrolment in enrolled.get(subject, []):
        take_out(enrolment["programme"], subject, "deceased")


# --- Follow-up and alerts ----------------------------------------------------------------------


@export
def follow_up(programme: str, subject: str) -> int:
    """One of her doctors, or who manages her, has seen the patient; returns when she is due again."""
    enrolment = enrolment_of(programme, subject)
    person = carer(enrolment)
    entry = care[programme, subject]
    late = entry["due"] < now()
    entry["due"] = now() + days(programmes[programme]["followup"])
    entry["missed"] = False
    entry["visits"] += 1
    care[programme, subject] = entry
    emit("followed_up", programme=programme, subject=subject, institution=enrolment["institution"], by=person, late=late)
    return entry["due"]


@export
def remind(programme: str, subject: str) -> None:
    """Anybody in the registry points out that a follow-up is overdue; block time says whether it is."""
    require(call("registry", "whois", key=signers()[0]) is not None, "unknown_key", "the signer is not in the registry")
    enrolment = enrolment_of(programme, subject)
    entry = care[programme, subject]
    require(entry["due"] < now(), "not_overdue", "there is time yet")
    require(not entry["missed"], "already_noted", "that was pointed out before")
    entry["missed"] = True
    care[programme, subject] = entry
    emit("followup_missed", programme=programme, subject=subject, institution=enrolment["institution"], due=entry["due"])


@export
def alert(programme: str, subject: str, level: str) -> int:
    """A doctor of the patient, or a nurse who watches her values, calls those who manage her; returns
    until when a red alert is answered, or 0. What it is about stands in the record, not here."""
    require(level in LEVELS, "unknown_level", "yellow or red")
    enrolment = enrolment_of(programme, subject)
    person = carer(enrolment)
    entry = care[programme, subject]
    due = now() + hours(terms_at(enrolment["institution"])["alert_hours"]) if level == "red" else 0
    entry["alert"] = {"level": level, "raised": now(), "due": due, "by": person, "noted": False}
    care[programme, subject] = entry
    emit("alert_raised", programme=programme, subject=subject, institution=enrolment["institution"], level=level, due=due)
    return due


@export
def answer(programme: str, subject: str) -> None:
    """Who manages the patient has taken care of the alert."""
    enrolment = enrolment_of(programme, subject)
    person = call("registry", "acting", key=signers()[0], institution=enrolment["institution"], roles=MANAGING_ROLES)
    entry = care[programme, subject]
    raised = entry["alert"]
    require(raised is not None, "no_alert", "nobody has raised one")
    entry["alert"] = None
    care[programme, subject] = entry
    emit(
        "alert_answered", programme=programme, subject=subject, institution=enrolment["institution"], by=person["id"],
        level=raised["level"], late=raised["due"] != 0 and raised["due"] < now(),
    )


@export
def escalate(programme: str, subject: str) -> None:
    """Anybody in the registry points out that a red alert was not answered in time."""
    require(call("registry", "whois", key=signers()[0]) is not None, "unknown_key", "the signer is not in the registry")
    enrolment = enrolment_of(programme, subject)
    entry = care[programme, subject]
    raised = entry["alert"]
    require(raised is not None and raised["due"] != 0 and raised["due"] < now(), "not_overdue", "answered, or there is time yet")
    require(not raised["noted"], "already_noted", "that was pointed out before")
    raised["noted"] = True
    entry["alert"] = raised
    care[programme, subject] = entry
    emit("alert_not_answered", programme=programme, subject=subject, institution=enrolment["institution"], due=raised["due"])


# --- Deciding ----------------------------------------------------------------------------------


@query
def decide(request: dict) -> dict:
    """Permit what a programme needs of a patient who has joined it, to who treats and who manages her."""
    purpose = request["purpose"]
    serves = purpose in SERVING_PURPOSES
    if (serves or purpose in MANAGING_PURPOSES) and request["confidentiality"] in RANK:
        for entry in enrolled.get(request["subject"], []):
            if now() < entry["until"] and request["kind"] in entry["kinds"] and RANK[request["confidentiality"]] <= entry["level"]:
                programme = entry["programme"]
                if (programme, request["institution"]) in members:
                    if serves and entry["doctors"].get(request["requester"], "") == request["institution"]:
                        return permits("serves-in-programme", until=entry["until"], duties=["MINEC"], programme=programme)
                    if not serves and entry["institution"] == request["institution"] and overlap(request["roles"], MANAGING_ROLES):
                        return permits("manages-in-programme", until=entry["until"], duties=["MINEC"], programme=programme)
    return silent("no-programme")


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


# --- Helpers -----------------------------------------------------------------------------------


def check_id(id: str) -> None:
    require(0 < len(id) and len(id) <= MAX_ID and all([letter in ID_LETTERS for letter in id]), "bad_id", "letters, digits, - _ . only")


def running(programme: str) -> dict:
    require(programme in programmes, "unknown_programme", "there is no such programme")
    return programmes[programme]


def led_by_signer(programme: str) -> dict:
    entry = running(programme)
    call("registry", "acting", key=signers()[0], institution=entry["institution"], roles=["governor"])
    return entry


def add_member(programme: str, participant: str) -> None:
    require(call("governance", "is_member", id=participant), "unknown_institution")
    require((programme, participant) not in members, "already_in", "that institution takes part")
    entry = programmes[programme]
    require(entry["members"] < MAX_MEMBERS, "too_many_members")
    entry["members"] += 1
    programmes[programme] = entry
    members[programme, participant] = now()
    emit("member_joined", programme=programme, institution=participant)


def enrolment_of(programme: str, subject: str) -> dict:
    """The enrolment in force of a patient in a programme."""
    for entry in enrolled.get(subject, []):
        if entry["programme"] == programme:
            require(now() < entry["until"], "not_enrolled", "the enrolment has run out")
            return entry
    fail("not_enrolled", "the patient has not joined")


def carer(enrolment: dict) -> str:
    """The signer, who treats the patient or manages her."""
    person = call("registry", "whois", key=signers()[0])
    require(person is not None, "unknown_key", "the signer is not in the registry")
    institution = enrolment["doctors"].get(person["id"], enrolment["institution"])
    require((enrolment["programme"], institution) in members, "takes_no_part", "that institution takes no part")
    return call("registry", "acting", key=signers()[0], institution=institution, roles=MANAGING_ROLES + SERVING_ROLES)["id"]


def take_out(programme: str, subject: str, reason: str) -> None:
    institution = care[programme, subject]["institution"]
    enrolled[subject] = [other for other in enrolled.get(subject, []) if other["programme"] != programme]
    del care[programme, subject]
    emit("left", programme=programme, subject=subject, institution=institution, reason=reason)


def works_as(id: str, institution: str, roles: list) -> bool:
    person = call("registry", "person", id=id)
    if person is None or person["status"] != "active":
        return False
    for affiliation in person["affiliations"]:
        if affiliation["institution"] == institution:
            return overlap(affiliation["roles"], roles)
    return False


def overlap(some: list, others: list) -> bool:
    return any([item in others for item in some])


# --- Questions ---------------------------------------------------------------------------------


@query
def programme(id: str) -> dict | None:
    """A programme with what it needs, or nothing."""
    return programmes.get(id)


@query
def of(subject: str) -> list:
    """The enrolments of a patient; those that have run out leave the list when she joins another."""
    return enrolled.get(subject, [])


@query
def state(programme: str, subject: str) -> dict | None:
    """When a patient is due, and the alert that is open, or nothing."""
    return care.get((programme, subject))
