"""Staff work: hours of service that can be proven, without a patient in them.

Experts who help at another institution have their hours counted for promotion. A member of the staff
begins and ends a session by block time, so nothing can be dated back; a supervisor of the
institution where the work was done confirms or disputes it; only confirmed minutes count. A session
is a person, an institution, a coded activity and two times. Nobody is in two sessions at once.

Who supervises work sees work: for that purpose no patient's record is ever shown.
"""

from ledger.contracts.prelude import Map, Value, call, caller, days, emit, export, forbids, hours, init, month_of, now, query, require, signers, silent, year_of

WORKERS = [
    "physician", "nurse", "emergency-physician", "family-doctor", "village-doctor", "pharmacist",
    "public-health-officer", "social-worker", "care-worker",
]
ACTIVITIES = [
    "outpatient", "ward-round", "operation", "consultation", "reading", "teaching", "home-visit",
    "screening", "management", "on-call", "travel",
]
DISPUTES = ["absent", "shorter", "other-activity", "entered-in-error"]
# Supervision of work: records of patients do not belong to it.
WORK_PURPOSES = ["PERFMSR", "MEMADMIN"]
BOUNDS = {"session_hours": [1, 24], "confirm_days": [1, 90]}
MINUTE = 60000
MAX_ID = 64
ID_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

# session_hours: a longer session does not count; confirm_days: within which it is confirmed.
settings = Value("settings")
counties = Map("counties")
sessions = Map("sessions")
running = Map("running")
counted = Map("counted")


@init
def found(session_hours: int = 14, confirm_days: int = 30) -> None:
    """Take over how long a session may be, and how long there is to confirm it."""
    values = {"session_hours": session_hours, "confirm_days": confirm_days}
    check_bounds(values)
    settings.set(values)


@export
def amend(county: str, values: dict) -> None:
    """Set the times, for all or for the institutions of one county."""
    require(caller() == "charter", "charter_only", "this follows a vote of the members")
    check_bounds(values)
    current = settings.get() if county == "" else counties.get(county, {})
    for name in values:
        current[name] = values[name]
    if county == "":
        settings.set(current)
    else:
        counties[county] = current


def check_bounds(values: dict) -> None:
    for name in values:
        require(name in BOUNDS, "unknown_parameter", "not a parameter of this contract")
        lowest, highest = BOUNDS[name]
        require(lowest <= values[name] and values[name] <= highest, "out_of_bounds", name)


# --- Sessions ----------------------------------------------------------------------------------


@export
def begin(id: str, home: str, place: str, activity: str) -> None:
    """A member of the staff of `home` begins to work at `place`, which can be the same."""
    require(0 < len(id) and len(id) <= MAX_ID, "bad_id", "an id has 1 to 64 characters")
    require(all([letter in ID_LETTERS for letter in id]), "bad_id", "letters, digits, - _ . only")
    require(id not in sessions, "session_exists", "the id is taken")
    require(activity in ACTIVITIES, "unknown_activity", "not a code of the list of activities")
    person = call("registry", "acting", key=signers()[0], institution=home, roles=WORKERS)["id"]
    details = call("governance", "institution", id=place)
    require(details is not None and details["status"] == "member", "unknown_institution")
    open = running.get(person, "")
    if open != "":
        # A forgotten end must not keep somebody from work, and is worth nothing.
        require(sessions[open]["lapses"] <= now(), "already_working", "end the other session first")
        lapse(open)
    terms = settings.get()
    own = counties.get(details["county"], {})
    sessions[id] = {
        "person": person, "home": home, "place": place, "activity": activity, "began": now(), "ended": 0,
        "lapses": now() + hours(own.get("session_hours", terms["session_hours"])),
        "confirm_days": own.get("confirm_days", terms["confirm_days"]), "status": "running",
    }
    running[person] = id
    emit("work_begun", session=id, person=person, place=place, activity=activity)


@export
def end(id: str) -> int:
    """The same person ends the session; returns its minutes, which count once confirmed."""
    session = known(id)
    person = call("registry", "whois", key=signers()[0])
    require(person is not None and person["id"] == session["person"], "not_the_person", "another one's session")
    require(session["status"] == "running", "not_running", "the session has ended")
    if session["lapses"] <= now():
        lapse(id)
        del running[session["person"]]
        return 0
    session["ended"] = now()
    session["minutes"] = (now() - session["began"]) // MINUTE
    session["status"] = "ended"
    sessions[id] = session
    del running[session["person"]]
    emit("work_ended", session=id, person=session["person"], place=session["place"], minutes=session["minutes"])
    return session["minutes"]


@export
def confirm(id: str) -> int:
    """A supervisor of the place confirms a session; returns the person's minutes in that month."""
    session = judged(id)
    month = f"{year_of(session['began'])}-{month_of(session['began'])}"
    session["status"] = "confirmed"
    sessions[id] = session
    total = counted.get((session["person"], month), 0) + session["minutes"]
    counted[session["person"], month] = total
    emit(
        "work_confirmed", session=id, person=session["person"], home=session["home"], place=session["place"],
        activity=session["activity"], minutes=session["minutes"], began=session["began"],
    )
    return total


@export
def dispute(id: str, reason: str) -> None:
    """A supervisor of the place disputes a session, for a coded reason; it does not count."""
    require(reason in DISPUTES, "unknown_reason", "not a code of the list of reasons")
    session = judged(id)
    session["status"] = "disputed"
    session["reason"] = reason
    sessions[id] = session
    emit("work_disputed", session=id, person=session["person"], place=session["place"], reason=reason)


def judged(id: str) -> dict:
    """A session that waits for a judgement, and now has one by somebody else."""
    session = known(id)
    require(session["status"] == "ended", "not_ended", "only an ended session is judged, and once")
    require(now() <= session["ended"] + days(session["confirm_days"]), "too_late", "the time to judge it is over")
    supervisor = call("registry", "acting", key=signers()[0], institution=session["place"], roles=["supervisor"])
    require(supervisor["id"] != session["person"], "own_case", "nobody confirms own hours")
    session["by"] = supervisor["id"]
    session["judged"] = now()
    return session


def lapse(id: str) -> None:
    session = sessions[id]
    session["status"] = "lapsed"
    sessions[id] = session
    emit("work_lapsed", session=id, person=session["person"], place=session["place"])


def known(id: str) -> dict:
    require(id in sessions, "unknown_session", "there is no session of that id")
    return sessions[id]


# --- Deciding ----------------------------------------------------------------------------------


@query
def decide(request: dict) -> dict:
    """Forbid records of patients for the supervision of work; silent about everything else."""
    if request["purpose"] in WORK_PURPOSES:
        return forbids("work-has-no-patients")
    if request["purpose"] == "HSYSADMIN" and "supervisor" in request["roles"]:
        if "records-officer" not in request["roles"]:
            return forbids("work-has-no-patients")
    return silent("not-about-work")


# --- Questions ---------------------------------------------------------------------------------


@query
def get(id: str) -> dict | None:
    """A session, or nothing."""
    return sessions.get(id)


@query
def minutes(person: str, year: int, month: int) -> int:
    """The confirmed minutes of a person that began in a month of Chinese time."""
    return counted.get((person, f"{year}-{month}"), 0)
