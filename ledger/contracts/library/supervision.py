"""Supervision: what a regulator or a quality centre reads, and that it is seen to have read it.

An auditor of the commission registers an inspection of one institution before anything is read: on
what ground, in which phase of the work (before, during, after), which classes of records, how many
at most, until when. Then whoever inspects draws records one by one, under the own name, up to that
number, and each drawing stands on the chain whether or not the record is asked for. An inspection of
the commission itself is a legal duty; a lead hospital that was charged with quality control reads
what no patient has denied. Nobody treats a patient with it.
"""

from ledger.contracts.prelude import Map, Value, call, caller, days, emit, export, forbids, init, now, obliges, permits, query, require, signers, silent

# The ground of an inspection, and the confidentiality that it reaches.
GROUNDS = {
    "routine": "R", "quality": "R", "accreditation": "R", "performance": "N",
    "complaint": "V", "safety": "V", "fraud": "V",
}
PHASES = ["before", "during", "after"]
PURPOSES = ["HCOMPL", "HQUALIMP", "HACCRED", "PATSFTY", "FRAUD"]
CLASSES = [
    "laboratory", "imaging", "ecg", "pathology", "note", "prescription", "referral",
    "immunization", "procedure", "condition", "encounter", "careplan", "claim", "other",
]
RANK = {"N": 1, "R": 2, "V": 3}
# An authority is bound to read no more than needed and for this alone; a lead hospital does not
# learn whose records they are either.
DUTIES = ["MINEC", "NOREUSE", "NORDSCLCD", "DELAU"]
LEAD_DUTIES = ["MINEC", "NOREUSE", "NORDSCLCD", "DELAU", "DEID"]
RESULTS = ["good", "minor", "serious", "referred"]
BOUNDS = {"sample": [1, 10000], "days": [1, 365]}
USUAL = {"sample": 200, "days": 90}

MAX_ID = 64
ID_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
HASH_BYTES = 32
HEX_NAME = 64
HEX_DIGITS = "0123456789abcdef"

# sample: records that one inspection may draw at most; days: how long it lasts at most.
settings = Value("settings")
counties = Map("counties")
inspections = Map("inspections")
draws = Map("draws")


@init
def found(sample: int = 200, days: int = 90) -> None:
    """Take over how many records an inspection may draw, and for how many days."""
    check_bounds({"sample": sample, "days": days})
    settings.set({"sample": sample, "days": days})


@export
def amend(county: str, values: dict) -> None:
    """Set `sample` or `days`, for all or for the institutions of one county."""
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
        require(name in BOUNDS, "unknown_parameter", "sample or days")
        lowest, highest = BOUNDS[name]
        require(lowest <= values[name] and values[name] <= highest, "out_of_bounds", name)


# --- Inspections -------------------------------------------------------------------------------


@export
def begin(
    id: str, authority: str, institution: str, ground: str, phase: str, purpose: str, classes: list,
    sample: int, ends: int, lead: str = "",
) -> None:
    """An auditor registers an inspection, of the own authority or of a lead hospital.

    Before a service starts there are no patients: that phase draws no records.
    """
    require(0 < len(id) and len(id) <= MAX_ID, "bad_id", "an id has 1 to 64 characters")
    require(all([letter in ID_LETTERS for letter in id]), "bad_id", "letters, digits, - _ . only")
    require(id not in inspections, "inspection_exists", "the id is taken")
    auditor = call("registry", "acting", key=signers()[0], institution=authority, roles=["auditor"])
    details = call("governance", "institution", id=institution)
    require(details is not None and details["status"] == "member", "unknown_institution")
    require(lead == "" or call("governance", "is_member", id=lead), "unknown_institution")
    require(lead != institution and authority != institution, "own_case", "nobody inspects the own house")
    require(ground in GROUNDS, "unknown_ground", "not a code of the list of grounds")
    require(phase in PHASES, "unknown_phase", "before, during or after")
    require(purpose in PURPOSES, "wrong_purpose", "not a purpose of supervision")
    limits = settings.get()
    own = counties.get(details["county"], {})
    require(0 <= sample and sample <= own.get("sample", limits["sample"]), "sample_too_large", "the members agreed on less")
    require(phase != "before" or sample == 0, "sample_too_large", "before the start there are no patients")
    require(now() < ends and ends <= now() + days(own.get("days", limits["days"])), "bad_time", "longer than agreed")
    require(all([kind in CLASSES for kind in classes]), "unknown_class", "not a class of records")
    require(len(classes) <= len(CLASSES), "unknown_class", "each class once")
    inspections[id] = {
        "authority": authority, "reader": authority if lead == "" else lead, "institution": institution,
        "ground": ground, "phase": phase, "purpose": purpose, "classes": classes, "level": GROUNDS[ground],
        "sample": sample, "drawn": 0, "until": ends, "by": auditor["id"], "time": now(), "status": "open",
    }
    emit(
        "inspection_begun", inspection=id, authority=authority, reader=inspections[id]["reader"],
        institution=institution, ground=ground, phase=phase, sample=sample, until=ends,
    )


@export
def draw(id: str, records: list) -> int:
    """Who inspects draws records by name; returns how many are left. What is drawn, stays drawn."""
    inspection = running(id)
    person = reader_of(inspection)
    require(len(records) > 0, "records_missing", "name what is drawn")
    for name in records:
        require(len(name) == HEX_NAME, "bad_record_name", "a record's name is 64 hex digits")
        require(all([digit in HEX_DIGITS for digit in name]), "bad_record_name")
        require((id, name) not in draws, "already_drawn", "the record was drawn before")
        draws[id, name] = {"by": person, "time": now()}
    inspection["drawn"] += len(records)
    require(inspection["drawn"] <= inspection["sample"], "sample_used_up", "the inspection has drawn its number")
    inspections[id] = inspection
    emit("drawn", inspection=id, by=person, count=len(records), institution=inspection["institution"])
    return inspection["sample"] - inspection["drawn"]


@export
def report(id: str, result: str, findings: bytes) -> None:
    """Who inspects ends it with a coded result and the hash of the written findings."""
    inspection = running(id)
    reader_of(inspection)
    require(result in RESULTS, "unknown_result", "not a code of the list of results")
    require(len(findings) == HASH_BYTES, "findings_missing", "the hash of the findings has 32 bytes")
    inspection["status"] = "reported"
    inspection["result"] = result
    inspection["findings"] = findings
    inspection["reported"] = now()
    inspections[id] = inspection
    emit("inspection_reported", inspection=id, institution=inspection["institution"], result=result)


@export
def stop(id: str) -> None:
    """An auditor of the authority ends an inspection without a report."""
    inspection = running(id)
    call("registry", "acting", key=signers()[0], institution=inspection["authority"], roles=["auditor"])
    inspection["status"] = "stopped"
    inspections[id] = inspection
    emit("inspection_stopped", inspection=id, institution=inspection["institution"])


def running(id: str) -> dict:
    require(id in inspections, "unknown_inspection", "there is no inspection of that id")
    inspection = inspections[id]
    require(inspection["status"] == "open" and now() < inspection["until"], "not_open", "the inspection has ended")
    return inspection


def reader_of(inspection: dict) -> str:
    """The signer: an auditor of the authority, or a supervisor of the lead hospital."""
    role = "auditor" if inspection["reader"] == inspection["authority"] else "supervisor"
    return call("registry", "acting", key=signers()[0], institution=inspection["reader"], roles=[role])["id"]


# --- Deciding ----------------------------------------------------------------------------------


@query
def decide(request: dict) -> dict:
    """Let whoever drew a record in a running inspection read it; the regulator treats nobody."""
    if request["institution_kind"] == "commission" and request["branch"] in ["TREAT", "PATRQT"]:
        return forbids("regulator-treats-nobody")
    if request["branch"] != "HOPERAT" or request["case"] == "":
        return silent("no-inspection")
    inspection = inspections.get(request["case"])
    if inspection is None or inspection["purpose"] != request["purpose"]:
        return silent("no-inspection")
    if inspection["reader"] != request["institution"] or inspection["institution"] != request["holder"]:
        return silent("not-of-this-inspection")
    if inspection["status"] != "open" or inspection["until"] <= now():
        return silent("inspection-has-ended")
    if request["kind"] not in inspection["classes"] or RANK[request["confidentiality"]] > RANK[inspection["level"]]:
        return silent("not-inspected")
    drawn = draws.get((request["case"], request["record"]))
    if drawn is None or drawn["by"] != request["requester"]:
        return silent("not-drawn")
    if inspection["reader"] == inspection["authority"]:
        return obliges("inspection", until=inspection["until"], duties=DUTIES, inspection=request["case"], ground=inspection["ground"])
    return permits("quality-control", until=inspection["until"], duties=LEAD_DUTIES, inspection=request["case"], ground=inspection["ground"])


# --- Questions ---------------------------------------------------------------------------------


@query
def get(id: str) -> dict | None:
    """An inspection, or nothing."""
    return inspections.get(id)


@query
def drawing(id: str, record: str) -> dict | None:
    """Who drew a record in an inspection and when, or nothing."""
    return draws.get((id, record))
