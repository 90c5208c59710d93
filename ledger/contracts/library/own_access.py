"""Own access: a patient reads her own records by app, and after her death her next of kin may.

A patient sees the list of all her records at any time, and reads each at once, with one exception: a
result of a class that the members have listed, such as pathology, is held back for some days, so that a
physician can tell her first. A physician of the holder releases it earlier by saying that he has told
her; after the days it opens by itself. The same holds for who reads in her place: guardians, delegates
and next of kin.

After a death the records stay under what the patient denied. Next of kin, entered with their proof, may
read what is not restricted for a limited time, unless the patient had objected; and the institutions
that handle the death read what they need for that (HDECD).
"""

from ledger.contracts.prelude import Map, Value, call, caller, days, denies, emit, export, height, init, now, permits, query, require, signers, silent

CLASSES = [
    "laboratory", "imaging", "ecg", "pathology", "note", "prescription", "referral",
    "immunization", "procedure", "condition", "encounter", "careplan", "claim", "other",
]
KINSHIP = ["spouse", "child", "parent", "sibling", "grandparent", "grandchild", "executor"]
TELLERS = ["physician", "emergency-physician", "family-doctor"]
HANDLERS = ["physician", "records-officer", "registrar", "auditor"]

MAX_KIN = 8
HASH_BYTES = 32
HEX_NAME = 64
BOUNDS = {"delay_days": [0, 30], "kin_days": [1, 1830], "handling_days": [1, 365]}

settings = Value("settings")
# Per county: the delay of what institutions there hold.
counties = Map("counties")
told = Map("told")
objections = Map("objections")
kin = Map("kin")


@init
def found(delayed: list = ["pathology"], delay_days: int = 7, kin_days: int = 365, handling_days: int = 90) -> None:
    """Fix which classes are held back and for how long, and how long others read after a death."""
    values = {"delayed": delayed, "delay_days": delay_days, "kin_days": kin_days, "handling_days": handling_days}
    check_values(values)
    settings.set(values)


@export
def amend(county: str, values: dict) -> None:
    """Change what was fixed for all, or for the holders of one county what is held back there."""
    require(caller() == "charter", "charter_only", "this follows a vote of the members")
    current = settings.get() if county == "" else counties.get(county, {})
    for name in values:
        require(county == "" or name in ["delayed", "delay_days"], "same_everywhere", "by county only what is held back")
        current[name] = values[name]
    whole = settings.get()
    for name in current:
        whole[name] = current[name]
    check_values(whole)
    if county == "":
        settings.set(current)
    else:
        counties[county] = current


def check_values(values: dict) -> None:
    require(len(values) == len(BOUNDS) + 1, "unknown_parameter")
    require(all([kind in CLASSES for kind in values["delayed"]]) and len(values["delayed"]) <= len(CLASSES), "unknown_class")
    for name in BOUNDS:
        require(BOUNDS[name][0] <= values[name] and values[name] <= BOUNDS[name][1], "out_of_bounds")


# --- Being told first --------------------------------------------------------------------------


@export
def tell(holder: str, subject: str, record: str) -> None:
    """A physician of the holder has told the patient of a result: she may read it from now on."""
    physician = call("registry", "acting", key=signers()[0], institution=holder, roles=TELLERS)
    require(len(record) == HEX_NAME, "bad_record_name", "a record's name is 64 hex digits")
    require((holder, record) not in told, "already_told", "it was released before")
    told[holder, record] = {"by": physician["id"], "time": now(), "height": height()}
    emit("result_told", subject=subject, holder=holder)


# --- After a death -----------------------------------------------------------------------------


@export
def object_to_kin(subject: str, objects: bool, form: bytes = b"") -> None:
    """The patient says that her next of kin shall not read her records after her death, or may again.

    Nobody says it in her name by a key of their own.
    """
    given = call("registry", "given_by", subject=subject, form=form)
    require(given == [subject] or len(given) > 1, "not_the_person", "it is the patient's own word")
    objections[subject] = {"objects": objects, "time": now(), "height": height(), "by": given}
    emit("objection", subject=subject, objects=objects)


@export
def enter_kin(subject: str, person: str, kinship: str, institution: str, evidence: bytes) -> None:
    """A registrar with a witness enters a next of kin of a patient who has died, with the proof's hash."""
    call("registry", "witnessed", institution=institution)
    require(len(evidence) == HASH_BYTES, "form_missing", "kinship is proved by a document")
    require(kinship in KINSHIP, "unknown_kinship", "not a code of the list")
    require(deceased(subject) is not None, "not_deceased", "the patient has not died")
    other = call("registry", "person", id=person)
    require(other is not None and other["status"] == "active" and person.startswith("p-"), "unknown_person", "kin are known by pseudonyms")
    entries = [entry for entry in kin.get(subject, []) if entry["person"] != person and now() < entry["until"]]
    require(len(entries) < MAX_KIN, "too_many_kin", "eight at most")
    until = now() + days(settings.get()["kin_days"])
    entries.append({"person": person, "kinship": kinship, "evidence": evidence, "institution": institution, "until": until, "given": height()})
    kin[subject] = entries
    emit("kin_entered", subject=subject, institution=institution, until=until)


@export
def strike_kin(subject: str, person: str, institution: str, form: bytes) -> None:
    """A registrar with a witness of the institution that entered a next of kin takes that back."""
    call("registry", "witnessed", institution=institution)
    require(len(form) == HASH_BYTES, "form_missing", "a document is needed")
    entries = kin.get(subject, [])
    left = [entry for entry in entries if entry["person"] != person or entry["institution"] != institution]
    require(len(left) < len(entries), "unknown_kin", "that institution entered no such next of kin")
    kin[subject] = left
    emit("kin_struck", subject=subject, institution=institution)


def deceased(subject: str) -> dict | None:
    """What the registry knows of a patient's death, or nothing while she lives."""
    person = call("registry", "person", id=subject)
    return person["death"] if person is not None and person["status"] == "deceased" else None


# --- Deciding ----------------------------------------------------------------------------------


@query
def decide(request: dict) -> dict:
    """What a patient, who reads in her place, and who handles her death may read."""
    if request["purpose"] == "HDECD":
        return for_the_dead(request)
    if request["branch"] != "PATRQT" or request["institution"] != "":
        return silent("not-own-access")
    opens = held_back_until(request)
    if now() < opens:
        return denies("told-first", opens=opens)
    if request["requester"] == request["subject"]:
        return permits("own-record")
    if request["purpose"] != "FAMRQT":
        return silent("not-own-access")
    for entry in kin.get(request["subject"], []):
        if entry["person"] == request["requester"]:
            return for_kin(request, entry)
    return silent("not-own-access")


def held_back_until(request: dict) -> int:
    """When a result opens to the patient, 0 for at once. One without a date is never held back."""
    terms = settings.get()
    details = call("governance", "institution", id=request["holder"])
    if details is not None:
        local = counties.get(details["county"], {}) if details["county"] != "" else {}
        for name in local:
            terms[name] = local[name]
    if request["kind"] not in terms["delayed"] or (request["holder"], request["record"]) in told:
        return 0
    # A period that still runs counts from its beginning, and a date to come is none.
    dated = request["data_end"] if request["data_end"] <= now() else request["data_start"]
    return dated + days(terms["delay_days"]) if 0 < dated and dated <= now() else 0


def for_kin(request: dict, entry: dict) -> dict:
    objection = objections.get(request["subject"])
    if objection is not None and objection["objects"]:
        return denies("patient-objected", given=objection["height"])
    if entry["until"] <= now() or deceased(request["subject"]) is None:
        return silent("kin-not-in-force")
    if request["confidentiality"] != "N":
        return silent("kin-read-normal-records")
    return permits("next-of-kin", until=entry["until"], given=entry["given"], kinship=entry["kinship"])


def for_the_dead(request: dict) -> dict:
    """Who entered the death handles it, for a limited time."""
    death = deceased(request["subject"])
    if death is None:
        return silent("not-deceased")
    until = death["time"] + days(settings.get()["handling_days"])
    if death["institution"] != request["institution"] or until <= now():
        return silent("not-handling")
    if not handles(request["roles"]):
        return silent("not-handling")
    return permits("handling-of-death", until=until, given=death["height"], duties=["MINEC"])


def handles(roles: list) -> bool:
    for role in roles:
        if role in HANDLERS:
            return True
    return False


@query
def next_of_kin(subject: str) -> list:
    """The next of kin that were entered."""
    return kin.get(subject, [])
