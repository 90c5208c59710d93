"""Processor: a vendor works for a hospital, under its instructions and for no purpose of its own.

The governors of hospital and vendor sign a processing agreement: purposes, classes, level, end, and
the hash of the contract (PIPL, article 21). The hospital names the engineers who work for it. They act
for the hospital and never for the vendor: what the hospital may see, they may see within the
agreement, and what the hospital itself holds. A vendor that asks in its own name is refused,
whatever anybody consented to. Copies are deleted within hours, and when the agreement ends the vendor
confirms that nothing is left.
"""

from ledger.contracts.prelude import Map, Value, call, caller, days, emit, export, forbids, hours, init, limits, now, permits, query, require, signers, silent

# What a hospital can have done for it. Developing, testing and training are the vendor's own ends.
PURPOSES = ["HOPERAT", "CAREMGT", "HSYSADMIN", "LABELING", "METAMGT", "RECORDMGT", "PATADMIN", "MEMADMIN"]
CLASSES = [
    "laboratory", "imaging", "ecg", "pathology", "note", "prescription", "referral",
    "immunization", "procedure", "condition", "encounter", "careplan", "claim", "other",
]
LEVELS = {"N": ["N"], "R": ["N", "R"]}
DUTIES = ["NOREUSE", "NORDSCLCD", "NOPERSISTP", "DELAU"]
BOUNDS = {"delete_hours": [1, 720], "agreement_days": [1, 1825], "certify_days": [1, 180]}

MAX_ID = 64
ID_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
HASH_BYTES = 32

# delete_hours: when a copy is gone; agreement_days: how long an agreement lasts at most;
# certify_days: how long after its end the vendor confirms that nothing is left.
settings = Value("settings")
counties = Map("counties")
agreements = Map("agreements")
mandates = Map("mandates")


@init
def found(delete_hours: int = 72, agreement_days: int = 1095, certify_days: int = 30) -> None:
    """Take over the times that the founders agreed on."""
    values = {"delete_hours": delete_hours, "agreement_days": agreement_days, "certify_days": certify_days}
    check_bounds(values)
    settings.set(values)


@export
def amend(county: str, values: dict) -> None:
    """Set the times, for all or for the hospitals of one county; new agreements follow them."""
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


# --- Agreements --------------------------------------------------------------------------------


@export
def agree(
    id: str, hospital: str, vendor: str, purposes: list, classes: list, level: str, ends: int, document: bytes
) -> None:
    """A governor of the hospital signs first, a governor of the vendor second."""
    require(0 < len(id) and len(id) <= MAX_ID, "bad_id", "an id has 1 to 64 characters")
    require(all([letter in ID_LETTERS for letter in id]), "bad_id", "letters, digits, - _ . only")
    require(id not in agreements, "agreement_exists", "the id is taken")
    require(len(signers()) > 1, "signature_missing", "both sides sign")
    mine = call("registry", "acting", key=signers()[0], institution=hospital, roles=["governor"])
    theirs = call("registry", "acting", key=signers()[1], institution=vendor, roles=["governor"])
    require(theirs["kind"] == "vendor" and mine["kind"] != "vendor", "not_a_vendor", "a vendor works for a hospital")
    require(len(purposes) > 0 and all([purpose in PURPOSES for purpose in purposes]), "wrong_purpose")
    require(len(classes) > 0 and all([kind in CLASSES for kind in classes]), "unknown_class", "not a class of records")
    require(level in LEVELS, "unknown_confidentiality", "N or R")
    require(len(document) == HASH_BYTES, "document_missing", "the hash of the agreement has 32 bytes")
    terms = settings.get()
    own = counties.get(call("governance", "institution", id=hospital)["county"], {})
    for name in own:
        terms[name] = own[name]
    require(now() < ends and ends <= now() + days(terms["agreement_days"]), "bad_time", "longer than agreed")
    agreements[id] = {
        "hospital": hospital, "vendor": vendor, "purposes": purposes, "classes": classes, "level": level,
        "until": ends, "document": document, "delete_hours": terms["delete_hours"],
        "certify_by": ends + days(terms["certify_days"]), "certify_days": terms["certify_days"],
        "time": now(), "status": "open",
    }
    emit("processing_agreed", agreement=id, hospital=hospital, vendor=vendor, until=ends)


@export
def name(id: str, person: str) -> None:
    """A registrar of the hospital names an engineer of the vendor, who works for it from now on.

    The registry must let the engineer act for the hospital as well.
    """
    agreement = running(id)
    call("registry", "acting", key=signers()[0], institution=agreement["hospital"], roles=["registrar"])
    entry = call("registry", "person", id=person)
    require(entry is not None and entry["status"] == "active", "unknown_person")
    good = False
    for affiliation in entry["affiliations"]:
        if affiliation["institution"] == agreement["vendor"] and "vendor-engineer" in affiliation["roles"]:
            good = True
    require(good, "not_an_engineer", "the person is no engineer of the vendor")
    mandates[agreement["hospital"], person] = id
    emit("engineer_named", agreement=id, person=person, hospital=agreement["hospital"])


@export
def dismiss(hospital: str, person: str) -> None:
    """A registrar of the hospital ends the work of an engineer for it."""
    call("registry", "acting", key=signers()[0], institution=hospital, roles=["registrar"])
    require((hospital, person) in mandates, "not_named", "the person does not work for the hospital")
    del mandates[hospital, person]
    emit("engineer_dismissed", person=person, hospital=hospital)


@export
def end(id: str, institution: str) -> None:
    """A governor of either side ends the agreement at once."""
    agreement = running(id)
    require(institution in [agreement["hospital"], agreement["vendor"]], "not_a_party", "a third institution")
    call("registry", "acting", key=signers()[0], institution=institution, roles=["governor"])
    agreement["status"] = "ended"
    agreement["until"] = now()
    agreement["certify_by"] = now() + days(agreement["certify_days"])
    agreements[id] = agreement
    emit("processing_ended", agreement=id, certify_by=agreement["certify_by"])


@export
def certify(id: str, certificate: bytes) -> None:
    """A governor of the vendor confirms, with the hash of a certificate, that no copy is left."""
    require(id in agreements, "unknown_agreement", "there is no agreement of that id")
    agreement = agreements[id]
    require(agreement["until"] <= now(), "not_ended", "the vendor still works for the hospital")
    require("certificate" not in agreement, "already_certified", "it was confirmed before")
    require(len(certificate) == HASH_BYTES, "certificate_missing", "the hash of a certificate has 32 bytes")
    call("registry", "acting", key=signers()[0], institution=agreement["vendor"], roles=["governor"])
    agreement["certificate"] = certificate
    agreement["certified"] = now()
    agreements[id] = agreement
    emit("deletion_certified", agreement=id, late=now() > agreement["certify_by"])


def running(id: str) -> dict:
    require(id in agreements, "unknown_agreement", "there is no agreement of that id")
    agreement = agreements[id]
    require(agreement["status"] == "open" and now() < agreement["until"], "not_open", "the agreement has ended")
    return agreement


# --- Deciding ----------------------------------------------------------------------------------


@query
def decide(request: dict) -> dict:
    """Keep vendors to what a hospital has agreed with them; silent about everybody else."""
    if request["institution_kind"] == "vendor":
        return forbids("vendor-has-no-own-purpose")
    if "vendor-engineer" not in request["roles"]:
        return silent("not-a-processor")
    id = mandates.get((request["institution"], request["requester"]))
    if id is None:
        return forbids("not-named-by-the-hospital")
    agreement = agreements[id]
    if agreement["status"] != "open" or agreement["until"] <= now():
        return forbids("agreement-has-ended", agreement=id)
    if request["purpose"] not in agreement["purposes"] or request["kind"] not in agreement["classes"]:
        return forbids("outside-the-agreement", agreement=id)
    if request["confidentiality"] not in LEVELS[agreement["level"]]:
        return forbids("outside-the-agreement", agreement=id)
    delete_by = now() + hours(agreement["delete_hours"])
    if request["holder"] == request["institution"]:
        return permits(
            "works-for-the-holder", until=agreement["until"], duties=DUTIES, agreement=id, vendor=agreement["vendor"],
            delete_by=delete_by,
        )
    return limits(
        "works-for-the-hospital", until=agreement["until"], duties=DUTIES, agreement=id, vendor=agreement["vendor"],
        delete_by=delete_by,
    )


# --- Questions ---------------------------------------------------------------------------------


@query
def get(id: str) -> dict | None:
    """A processing agreement, or nothing."""
    return agreements.get(id)


@query
def mandate(hospital: str, person: str) -> str:
    """The agreement under which a person works for a hospital, or ""."""
    return mandates.get((hospital, person), "")
