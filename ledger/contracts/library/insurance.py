"""Insurance: what an insurer sees to settle a claim, and that a remote service was really given.

A hospital opens a claim about one patient for one service that the county's scheme covers, and names
the records that prove it. Until the claim is settled, officers of that insurer see these records and
nothing else, and use them for nothing else. A remote service is proven by the chain itself: the
consultation at which an expert was, or the reading that was reported; each is claimed once.

Where a hospital is paid by the head (capitation), there are no claims to look into. Insurer and
hospital agree on a package for a period; the insurer draws a small number of patients, and the
hospital shows the records of these.
"""

from ledger.contracts.prelude import Map, Value, call, caller, days, emit, export, forbids, init, limits, now, permits, query, require, signers, silent

# Services without a proof on the chain, and remote ones, with the contract that proves them.
SERVICES = {
    "inpatient": "", "outpatient": "", "medicines": "", "home-care": "",
    "consultation-inpatient": "consultation", "consultation-outpatient": "consultation",
    "reading-inpatient": "reading", "reading-outpatient": "reading",
}
STAFF = ["registrar", "records-officer", "physician"]
RESULTS = ["paid", "paid-in-part", "refused"]
REFUSALS = ["", "not-necessary", "not-documented", "not-covered", "wrong-patient", "duplicate", "other"]
# Normal and restricted records of a claim; a very restricted one needs the patient's own consent.
COVERED = ["N", "R"]
DUTIES = ["MINEC", "NOREUSE", "NORDSCLCD", "DELAU"]

BOUNDS = {"claim_days": [1, 365], "sample": [1, 1000], "package_days": [1, 1096]}
MAX_ID = 64
ID_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
MAX_RECORDS = 64
HASH_BYTES = 32
HEX_NAME = 64
HEX_DIGITS = "0123456789abcdef"

# covers: services that the scheme pays for; claim_days: how long a claim stays open at most;
# sample: patients whom the insurer may draw from a package; package_days: its longest period.
settings = Value("settings")
counties = Map("counties")
claims = Map("claims")
proven = Map("proven")
packages = Map("packages")


@init
def found(covers: list = [], claim_days: int = 90, sample: int = 100, package_days: int = 366) -> None:
    """Take over what the founders agreed on. An empty list of services stands for all."""
    values = {
        "covers": list(SERVICES) if len(covers) == 0 else covers, "claim_days": claim_days, "sample": sample,
        "package_days": package_days,
    }
    check_terms(values)
    settings.set(values)


@export
def amend(county: str, values: dict) -> None:
    """Set the terms, for all or for the hospitals of one county; new claims follow them."""
    require(caller() == "charter", "charter_only", "this follows a vote of the members")
    check_terms(values)
    current = settings.get() if county == "" else counties.get(county, {})
    for name in values:
        current[name] = values[name]
    if county == "":
        settings.set(current)
    else:
        counties[county] = current


def check_terms(values: dict) -> None:
    for name in values:
        if name == "covers":
            require(len(values["covers"]) <= len(SERVICES), "unknown_service", "each service once")
            require(all([service in SERVICES for service in values["covers"]]), "unknown_service")
        else:
            require(name in BOUNDS, "unknown_parameter", "not a parameter of this contract")
            lowest, highest = BOUNDS[name]
            require(lowest <= values[name] and values[name] <= highest, "out_of_bounds", name)


def terms_of(hospital: str) -> dict:
    """What holds in the county of a hospital."""
    details = call("governance", "institution", id=hospital)
    require(details is not None and details["status"] == "member", "unknown_institution")
    terms = settings.get()
    own = counties.get(details["county"], {})
    for name in own:
        terms[name] = own[name]
    return terms


# --- Claims ------------------------------------------------------------------------------------


@export
def claim(
    id: str, subject: str, hospital: str, insurer: str, service: str, records: list, proof: str = "",
    expert: str = "",
) -> int:
    """Staff of a hospital opens a claim for one service; returns until when it is open.

    `records` are records of the hospital, by name. For a remote service `proof` is the id of the
    consultation or reading, and `expert` who took part in the consultation.
    """
    check_id(id)
    call("registry", "acting", key=signers()[0], institution=hospital, roles=STAFF)
    check_subject(subject)
    payer = call("governance", "institution", id=insurer)
    require(payer is not None and payer["status"] == "member" and payer["kind"] == "insurer", "not_an_insurer")
    terms = terms_of(hospital)
    require(service in SERVICES, "unknown_service", "not a code of the list of services")
    require(service in terms["covers"], "not_covered", "the county's scheme does not pay for it")
    if SERVICES[service] == "":
        require(proof == "" and expert == "", "proof_not_needed", "only a remote service is proven by the chain")
    else:
        check_proof(SERVICES[service], proof, expert, subject, hospital)
    check_names(records)
    until = now() + days(terms["claim_days"])
    claims[id] = {
        "subject": subject, "hospital": hospital, "insurer": insurer, "service": service, "proof": proof,
        "records": records, "package": "", "time": now(), "until": until, "status": "open",
    }
    emit("claimed", claim=id, subject=subject, hospital=hospital, insurer=insurer, service=service, until=until)
    return until


@export
def settle(id: str, result: str, reason: str = "") -> None:
    """An officer of the insurer settles a claim; with it ends what the insurer could see."""
    entry = open_claim(id)
    call("registry", "acting", key=signers()[0], institution=entry["insurer"], roles=["insurer"])
    require(result in RESULTS, "unknown_result", "paid, paid-in-part or refused")
    require(reason in REFUSALS and (result == "paid") == (reason == ""), "unknown_reason", "less than paid has a coded reason")
    end(id, entry, result, reason)


@export
def take_back(id: str) -> None:
    """The hospital takes a claim back; the service can be claimed again."""
    entry = open_claim(id)
    require(entry["package"] == "", "drawn", "what the insurer has drawn is not taken back")
    call("registry", "acting", key=signers()[0], institution=entry["hospital"], roles=STAFF)
    if entry["proof"] != "":
        del proven[SERVICES[entry["service"]], entry["proof"], entry["hospital"]]
    end(id, entry, "taken-back", "")


def end(id: str, entry: dict, status: str, reason: str) -> None:
    entry["status"] = status
    entry["reason"] = reason
    entry["settled"] = now()
    claims[id] = entry
    emit(
        "settled", claim=id, subject=entry["subject"], hospital=entry["hospital"], insurer=entry["insurer"],
        service=entry["service"], result=status, reason=reason, after=now() - entry["time"],
    )


def check_proof(contract: str, proof: str, expert: str, subject: str, hospital: str) -> None:
    """The remote service was given, to this patient, with this hospital, and is claimed for the first time."""
    require(proof != "", "proof_missing", "name the consultation or the reading")
    given = call(contract, "get", id=proof)
    require(given is not None and given["subject"] == subject, "not_proven", "there was no such service for the patient")
    if contract == "consultation":
        require(given["institution"] == hospital, "not_proven", "another hospital convened it")
        took_part = call("consultation", "attended", id=proof, person=expert)
        require(took_part is not None and took_part["minutes"] > 0, "not_proven", "no expert was there")
    else:
        require(given["status"] == "reported", "not_proven", "the reading is not reported")
        require(hospital in [given["clinic"], given["centre"]], "not_proven", "other institutions took part")
    require((contract, proof, hospital) not in proven, "already_claimed", "the service was claimed before")
    proven[contract, proof, hospital] = now()


# --- Packages ----------------------------------------------------------------------------------


@export
def agree(id: str, insurer: str, hospital: str, heads: int, ends: int, document: bytes) -> None:
    """A package paid by the head: an officer of the insurer signs first, a governor of the hospital second."""
    require(0 < len(id) and len(id) <= MAX_ID, "bad_id", "an id has 1 to 64 characters")
    require(all([letter in ID_LETTERS for letter in id]), "bad_id", "letters, digits, - _ . only")
    require(id not in packages, "package_exists", "the id is taken")
    require(len(signers()) > 1, "signature_missing", "both sides sign")
    call("registry", "acting", key=signers()[0], institution=insurer, roles=["insurer"])
    call("registry", "acting", key=signers()[1], institution=hospital, roles=["governor"])
    terms = terms_of(hospital)
    require(0 < heads, "bad_heads", "for how many people")
    require(len(document) == HASH_BYTES, "document_missing", "the hash of the agreement has 32 bytes")
    require(now() < ends and ends <= now() + days(terms["package_days"]), "bad_time", "longer than the members agreed")
    packages[id] = {
        "insurer": insurer, "hospital": hospital, "heads": heads, "until": ends, "document": document,
        "sample": terms["sample"], "drawn": 0, "claim_days": terms["claim_days"],
    }
    emit("package_agreed", package=id, insurer=insurer, hospital=hospital, heads=heads, until=ends)


@export
def draw(id: str, package: str, subject: str) -> int:
    """An officer of the insurer draws a patient of a package; returns how many more may be drawn."""
    check_id(id)
    require(package in packages, "unknown_package", "there is no package of that id")
    terms = packages[package]
    require(now() < terms["until"], "package_over", "the period is over")
    call("registry", "acting", key=signers()[0], institution=terms["insurer"], roles=["insurer"])
    check_subject(subject)
    require(terms["drawn"] < terms["sample"], "sample_used_up", "the insurer has drawn its number")
    terms["drawn"] += 1
    packages[package] = terms
    until = now() + days(terms["claim_days"])
    claims[id] = {
        "subject": subject, "hospital": terms["hospital"], "insurer": terms["insurer"], "service": "capitation",
        "proof": "", "records": [], "package": package, "time": now(), "until": until, "status": "open",
    }
    emit("drawn", claim=id, package=package, subject=subject, hospital=terms["hospital"], insurer=terms["insurer"])
    return terms["sample"] - terms["drawn"]


@export
def supply(id: str, records: list) -> None:
    """The hospital names the records that show what was done for a patient who was drawn."""
    entry = open_claim(id)
    require(entry["package"] != "" and len(entry["records"]) == 0, "already_supplied", "nothing was drawn, or it was supplied")
    call("registry", "acting", key=signers()[0], institution=entry["hospital"], roles=STAFF)
    check_names(records)
    entry["records"] = records
    claims[id] = entry
    emit("supplied", claim=id, hospital=entry["hospital"], count=len(records))


# --- Checks ------------------------------------------------------------------------------------


def check_id(id: str) -> None:
    require(0 < len(id) and len(id) <= MAX_ID, "bad_id", "an id has 1 to 64 characters")
    require(all([letter in ID_LETTERS for letter in id]), "bad_id", "letters, digits, - _ . only")
    require(id not in claims, "claim_exists", "the id is taken")


def check_subject(subject: str) -> None:
    require(subject.startswith("p-") and call("registry", "is_known", id=subject), "unknown_person")


def check_names(records: list) -> None:
    require(0 < len(records) and len(records) <= MAX_RECORDS, "records_missing", "1 to 64 records")
    for name in records:
        require(len(name) == HEX_NAME, "bad_record_name", "a record's name is 64 hex digits")
        require(all([digit in HEX_DIGITS for digit in name]), "bad_record_name")


def open_claim(id: str) -> dict:
    require(id in claims, "unknown_claim", "there is no claim of that id")
    entry = claims[id]
    require(entry["status"] == "open" and now() < entry["until"], "not_open", "the claim has ended")
    return entry


# --- Deciding ----------------------------------------------------------------------------------


@query
def decide(request: dict) -> dict:
    """Permit an insurer the records of an open claim; keep it to paying, whatever else was permitted."""
    if request["institution_kind"] != "insurer":
        return silent("not-an-insurer")
    if request["branch"] != "HPAYMT":
        return forbids("insurer-pays-only")
    entry = claims.get(request["case"]) if request["case"] != "" else None
    if entry is None or entry["insurer"] != request["institution"] or entry["subject"] != request["subject"]:
        # Nothing of ours; a patient may have permitted it, for a private contract for example.
        return limits("no-claim", duties=DUTIES)
    if entry["status"] != "open" or entry["until"] <= now():
        return limits("claim-has-ended", duties=DUTIES)
    if entry["hospital"] != request["holder"] or request["record"] not in entry["records"]:
        return limits("not-of-the-claim", duties=DUTIES)
    if request["confidentiality"] not in COVERED:
        return limits("too-confidential", duties=DUTIES)
    return permits("claim-evidence", until=entry["until"], duties=DUTIES, claim=request["case"], service=entry["service"])


# --- Questions ---------------------------------------------------------------------------------


@query
def get(id: str) -> dict | None:
    """A claim, or nothing."""
    return claims.get(id)


@query
def package(id: str) -> dict | None:
    """A package, or nothing."""
    return packages.get(id)


@query
def covered(county: str) -> list:
    """The services that the scheme of a county pays for."""
    return counties.get(county, {}).get("covers", settings.get()["covers"])
