"""Public health: what the law has reported is reported, with as little data as it takes.

Members agree by vote on the schedules of reporting: who receives a report, which classes of records
belong to it, how far back they reach, and by when it is due. A clinician files a report about a
patient to one receiver. For as long as the report is open, a public health officer of that receiver
gets the listed records of the institution that reported, whatever the patient denied to others, and
nothing else. Each reading is written down and the patient is told; a schedule can put that off by a
number of days, which is fixed when the report is filed.

A schedule is named for its urgency and never for a disease: everybody can read it beside the
patient's pseudonym. What the report is about is a commitment, which both sides can open.
"""

from ledger.contracts.prelude import Map, Value, call, caller, days, emit, export, hours, init, now, obliges, query, require, signers, silent

REPORTERS = ["physician", "emergency-physician", "nurse", "family-doctor", "village-doctor", "public-health-officer"]
RECEIVERS = ["public-health-officer"]
RECEIVING_KINDS = ["cdc", "maternal-child", "commission"]
WITHDRAWALS = ["not-confirmed", "wrong-person", "duplicate"]
CLASSES = [
    "laboratory", "imaging", "ecg", "pathology", "note", "prescription", "referral",
    "immunization", "procedure", "condition", "encounter", "careplan", "claim", "other",
]
RANK = {"N": 1, "R": 2, "V": 3}
# Used for the report alone, not passed on, and no more than it takes.
DUTIES = ["MINEC", "NOREUSE", "NORDSCLCD"]

# Lowest and highest value of each number of a schedule.
BOUNDS = {"due_hours": [1, 8760], "back_days": [1, 3650], "open_days": [1, 730], "tell_days": [0, 180]}
PARTS = ["receivers", "classes", "level", "due_hours", "back_days", "open_days", "tell_days"]

# What holds where the founders said nothing. The urgencies are those of the law on infectious
# diseases: two hours for class A, a day for classes B and C.
USUAL = {
    "within-2-hours": {
        "receivers": ["cdc"], "classes": ["laboratory", "condition", "encounter", "imaging", "note"],
        "level": "V", "due_hours": 2, "back_days": 30, "open_days": 60, "tell_days": 0,
    },
    "within-24-hours": {
        "receivers": ["cdc"], "classes": ["laboratory", "condition", "encounter", "imaging"],
        "level": "V", "due_hours": 24, "back_days": 90, "open_days": 60, "tell_days": 0,
    },
    "register": {
        "receivers": ["cdc", "maternal-child"], "classes": ["condition", "encounter", "laboratory"],
        "level": "R", "due_hours": 240, "back_days": 365, "open_days": 90, "tell_days": 0,
    },
    "immunisation": {
        "receivers": ["cdc", "maternal-child"], "classes": ["immunization"],
        "level": "N", "due_hours": 24, "back_days": 3650, "open_days": 30, "tell_days": 0,
    },
    "screening": {
        "receivers": ["cdc", "maternal-child", "commission"], "classes": ["laboratory", "imaging", "pathology"],
        "level": "N", "due_hours": 720, "back_days": 365, "open_days": 90, "tell_days": 0,
    },
}

MAX_ID = 64
ID_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
MAX_SCHEDULES = 32
HASH_BYTES = 32

settings = Value("settings")
# The schedules that a county has instead of those for all, or beside them.
counties = Map("counties")
reports = Map("reports")


@init
def found(schedules: dict = {}) -> None:
    """Take over the schedules that the founders agreed on, or the usual ones."""
    chosen = USUAL if len(schedules) == 0 else schedules
    check_schedules(chosen)
    settings.set(chosen)


@export
def amend(county: str, values: dict) -> None:
    """Set schedules by name, for all or for the reports of one county. An empty one ends it."""
    require(caller() == "charter", "charter_only", "this follows a vote of the members")
    current = settings.get() if county == "" else counties.get(county, {})
    for name in values:
        current[name] = values[name]
    check_schedules(current)
    if county == "":
        settings.set(current)
    else:
        counties[county] = current


# --- Reporting ---------------------------------------------------------------------------------


@export
def report(
    id: str, schedule: str, subject: str, source: str, receiver: str, matter: bytes, found: int,
) -> dict:
    """A clinician of `source` reports a patient to `receiver`; returns the report.

    `matter` is a commitment to what is reported, such as a disease; `found` is the block time, in
    ms, at which it was found, from which the deadline runs.
    """
    require(0 < len(id) and len(id) <= MAX_ID, "bad_id", "an id has 1 to 64 characters")
    require(all([letter in ID_LETTERS for letter in id]), "bad_id", "letters, digits, - _ . only")
    require(id not in reports, "report_exists", "the id is taken")
    require(len(matter) == HASH_BYTES, "matter_missing", "a commitment to what is reported is needed")
    reporter = call("registry", "acting", key=signers()[0], institution=source, roles=REPORTERS)
    require(call("registry", "is_known", id=subject) and subject.startswith("p-"), "unknown_person")
    terms = terms_of(schedule, source)
    office = call("governance", "institution", id=receiver)
    require(office is not None and office["status"] == "member", "unknown_institution")
    require(office["kind"] in terms["receivers"], "wrong_receiver", "the schedule has other receivers")
    require(found <= now(), "bad_time", "it was found before it is reported")
    entry = {
        "schedule": schedule, "subject": subject, "source": source, "receiver": receiver, "matter": matter,
        "by": reporter["id"], "time": now(), "found": found,
        "late": now() > found + hours(terms["due_hours"]),
        "classes": terms["classes"], "level": terms["level"],
        "since": now() - days(terms["back_days"]), "until": now() + days(terms["open_days"]),
        "told": 0 if terms["tell_days"] == 0 else now() + days(terms["tell_days"]),
        "status": "open", "received": 0,
    }
    reports[id] = entry
    emit(
        "reported", report=id, schedule=schedule, source=source, receiver=receiver, late=entry["late"],
        subject="" if entry["told"] > 0 else subject, told=max(entry["told"], now()),
    )
    return entry


@export
def receive(id: str) -> None:
    """An officer of the receiver confirms that the report has arrived."""
    entry = known(id)
    require(entry["status"] == "open" and entry["received"] == 0, "already_received", "it was confirmed or ended")
    call("registry", "acting", key=signers()[0], institution=entry["receiver"], roles=RECEIVERS)
    entry["received"] = now()
    reports[id] = entry
    emit("report_received", report=id, source=entry["source"], receiver=entry["receiver"], after=now() - entry["time"])


@export
def withdraw(id: str, reason: str) -> None:
    """The institution that reported takes a report back, for a coded reason; its access ends."""
    require(reason in WITHDRAWALS, "unknown_reason", "not a code of the list of reasons")
    end(id, "withdrawn", reason, "source", REPORTERS)


@export
def close(id: str) -> None:
    """The receiver has done its work and needs nothing more."""
    end(id, "closed", "", "receiver", RECEIVERS)


@export
def tell(id: str) -> None:
    """Anybody has the patient told of a report, once the date that was put off to has come."""
    entry = known(id)
    require(entry["told"] > 0, "already_told", "the patient was told")
    require(entry["told"] <= now(), "too_early", "the date has not come")
    entry["told"] = 0
    reports[id] = entry
    emit("report_told", report=id, subject=entry["subject"])


def end(id: str, status: str, reason: str, side: str, roles: list) -> None:
    entry = known(id)
    require(entry["status"] == "open", "not_open", "the report has ended")
    call("registry", "acting", key=signers()[0], institution=entry[side], roles=roles)
    entry["status"] = status
    entry["reason"] = reason
    reports[id] = entry
    emit("report_ended", report=id, status=status, reason=reason)


def known(id: str) -> dict:
    require(id in reports, "unknown_report", "there is no report of that id")
    return reports[id]


# --- Deciding ----------------------------------------------------------------------------------


@query
def decide(request: dict) -> dict:
    """Oblige the institution that reported to show what belongs to an open report."""
    if request["branch"] != "PUBHLTH" or request["case"] == "":
        return silent("no-report-named")
    entry = reports.get(request["case"])
    if entry is None:
        return silent("no-report")
    if entry["receiver"] != request["institution"] or "public-health-officer" not in request["roles"]:
        return silent("not-the-receiver")
    if entry["subject"] != request["subject"] or entry["source"] != request["holder"]:
        return silent("not-of-this-report")
    if entry["status"] != "open" or entry["until"] <= now():
        return silent("report-has-ended")
    if request["kind"] not in entry["classes"] or RANK[request["confidentiality"]] > RANK[entry["level"]]:
        return silent("not-listed")
    # A record without a period has data_end 0 and lies before every report.
    if request["data_end"] < entry["since"]:
        return silent("too-old")
    return obliges(
        "duty-to-report", until=entry["until"], duties=DUTIES, report=request["case"], schedule=entry["schedule"],
        told=entry["told"],
    )


# --- Schedules ---------------------------------------------------------------------------------


def terms_of(schedule: str, source: str) -> dict:
    """The schedule that holds for the reports of an institution."""
    county = call("governance", "institution", id=source)["county"]
    terms = counties.get(county, {}).get(schedule)
    if terms is None:
        terms = settings.get().get(schedule, {})
    require(len(terms) > 0, "unknown_schedule", "no schedule of that name is in force")
    return terms


def check_schedules(schedules: dict) -> None:
    require(len(schedules) <= MAX_SCHEDULES, "too_many_schedules", "at most 32")
    for name in schedules:
        require(0 < len(name) and len(name) <= MAX_ID, "bad_schedule", "a name has 1 to 64 characters")
        terms = schedules[name]
        if len(terms) > 0:
            require(sorted(list(terms)) == sorted(PARTS), "bad_schedule", "a schedule has seven parts")
            require(len(terms["receivers"]) > 0 and len(terms["classes"]) > 0, "bad_schedule", "somebody gets something")
            require(all([kind in RECEIVING_KINDS for kind in terms["receivers"]]), "wrong_receiver")
            require(all([kind in CLASSES for kind in terms["classes"]]), "unknown_class", "not a class of records")
            require(terms["level"] in RANK, "unknown_confidentiality", "N, R or V")
            for part in BOUNDS:
                lowest, highest = BOUNDS[part]
                require(lowest <= terms[part] and terms[part] <= highest, "out_of_bounds", part)


# --- Questions ---------------------------------------------------------------------------------


@query
def get(id: str) -> dict | None:
    """A report, or nothing."""
    return reports.get(id)


@query
def schedules(county: str) -> dict:
    """The schedules in force for a county."""
    found = settings.get()
    own = counties.get(county, {})
    for name in own:
        found[name] = own[name]
    return {name: found[name] for name in found if len(found[name]) > 0}
