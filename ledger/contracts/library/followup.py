"""Follow-up: one registration, three days (TB, 一号管三天).

The first doctor lets the patient come back within three days without registering again. On the same
campus and in the same department, any of its doctors may then see what belongs to that visit: records
of the institution that were made since it began. It is for the visit that the doctor names, for the
patient of that visit, for a few returns, and it ends by block time.

Campus and department are codes of the institution's own; use numbers, because the name of a department
can say what somebody suffers from.
"""

from ledger.contracts.prelude import Map, Value, call, caller, days, emit, export, height, init, now, permits, query, require, signers, silent

DOCTOR_ROLES = ["physician", "emergency-physician", "family-doctor"]
DEPARTMENT_ROLES = ["physician", "emergency-physician", "family-doctor", "nurse"]
COVERED = ["N", "R"]

# Lowest and highest value of each parameter.
BOUNDS = {"valid_days": [1, 14], "returns": [1, 10]}
MAX_ID = 64
MAX_CODE = 32
MAX_DOCTORS = 200
# How long before the authorisation the visit may have begun.
VISIT_DAYS = 1
ID_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

settings = Value("settings")
local = Map("local")
# Institution, campus and department → its staff.
departments = Map("departments")
# Department and person → that the person belongs to it.
staff = Map("staff")
visits = Map("visits")


@init
def found(valid_days: int = 3, returns: int = 3) -> None:
    """Fix for how many days a visit can be followed up, and how often."""
    settings.set(checked({"valid_days": valid_days, "returns": returns}))


# --- Departments -------------------------------------------------------------------------------


@export
def assign(institution: str, campus: str, department: str, people: list) -> None:
    """A registrar of the institution says who belongs to a department of a campus."""
    call("registry", "acting", key=signers()[0], institution=institution, roles=["registrar"])
    check_code(campus)
    check_code(department)
    require(len(people) <= MAX_DOCTORS, "too_many_people", "at most 200")
    for person in departments.get((institution, campus, department), []):
        if (institution, campus, department, person) in staff:
            del staff[institution, campus, department, person]
    for person in people:
        require(works_as(person, institution, DEPARTMENT_ROLES), "not_suited", "that person has no such role there")
        staff[institution, campus, department, person] = now()
    departments[institution, campus, department] = people
    emit("assigned", institution=institution, campus=campus, department=department, people=len(people))


# --- Visits ------------------------------------------------------------------------------------


@export
def authorise(id: str, subject: str, institution: str, campus: str, department: str, began: int) -> int:
    """The first doctor lets the patient of a visit come back; returns until when."""
    require(0 < len(id) and len(id) <= MAX_ID and all([letter in ID_LETTERS for letter in id]), "bad_id", "letters, digits, - _ . only")
    require(id not in visits, "visit_exists", "the id is taken")
    doctor = call("registry", "acting", key=signers()[0], institution=institution, roles=DOCTOR_ROLES)
    require(call("registry", "is_known", id=subject), "unknown_person", "nobody of that id is in the registry")
    belongs = (institution, campus, department, doctor["id"]) in staff
    require(belongs, "not_of_department", "the signer does not belong to that department")
    require(now() - days(VISIT_DAYS) <= began and began <= now(), "bad_time", "the visit began within the last day")
    terms = terms_at(institution)
    until = began + days(terms["valid_days"])
    visits[id] = {
        "subject": subject, "institution": institution, "campus": campus, "department": department, "began": began,
        "until": until, "left": terms["returns"], "by": doctor["id"], "status": "open", "height": height(),
    }
    emit("authorised", visit=id, subject=subject, institution=institution, until=until)
    return until


@export
def come_back(id: str) -> int:
    """A doctor of the department sees the patient again; returns how often she may still come."""
    visit = known(id)
    require(visit["status"] == "open" and now() < visit["until"], "not_open", "the three days are over")
    require(visit["left"] > 0, "no_returns_left", "she registers again")
    doctor = call("registry", "acting", key=signers()[0], institution=visit["institution"], roles=DOCTOR_ROLES)
    belongs = (visit["institution"], visit["campus"], visit["department"], doctor["id"]) in staff
    require(belongs, "not_of_department", "the signer does not belong to that department")
    visit["left"] -= 1
    visits[id] = visit
    emit("came_back", visit=id, subject=visit["subject"], institution=visit["institution"], by=doctor["id"], same=doctor["id"] == visit["by"])
    return visit["left"]


@export
def end(id: str, form: bytes = b"") -> None:
    """The first doctor, or the patient, ends it before its time."""
    visit = known(id)
    require(visit["status"] == "open", "not_open", "it has ended")
    person = call("registry", "whois", key=signers()[0])
    if person is None or person["id"] != visit["by"]:
        call("registry", "given_by", subject=visit["subject"], form=form)
    visit["status"] = "ended"
    visits[id] = visit
    emit("ended", visit=id, subject=visit["subject"], institution=visit["institution"])


# --- Deciding ----------------------------------------------------------------------------------


@query
def decide(request: dict) -> dict:
    """Permit the records of the named visit to the doctors and nurses of its department."""
    case = request["case"]
    if case != "" and request["purpose"] == "TREAT" and request["confidentiality"] in COVERED:
        visit = visits.get(case)
        if visit is not None and visit["status"] == "open" and now() < visit["until"] and visit["subject"] == request["subject"]:
            place = visit["institution"]
            if place == request["institution"] and place == request["holder"] and visit["began"] <= request["data_start"]:
                if (place, visit["campus"], visit["department"], request["requester"]) in staff:
                    return permits("visit-goes-on", until=visit["until"], visit=case)
    return silent("no-visit")


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


def known(id: str) -> dict:
    require(id in visits, "unknown_visit", "there is no visit of that id")
    return visits[id]


def check_code(code: str) -> None:
    require(0 < len(code) and len(code) <= MAX_CODE and all([letter in ID_LETTERS for letter in code]), "bad_code", "a code of the institution's own")


def works_as(id: str, institution: str, roles: list) -> bool:
    person = call("registry", "person", id=id)
    if person is None or person["status"] != "active":
        return False
    for affiliation in person["affiliations"]:
        if affiliation["institution"] == institution:
            return any([role in roles for role in affiliation["roles"]])
    return False


@query
def get(id: str) -> dict | None:
    """A visit that may be followed up, or nothing."""
    return visits.get(id)


@query
def department(institution: str, campus: str, department: str) -> list:
    """Who belongs to a department."""
    return departments.get((institution, campus, department), [])
