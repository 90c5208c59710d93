"""Delegation: who reads and speaks for an adult who cannot, or does not want to, do it herself.

There are three ways. A patient empowers somebody, while she can, by her own key or a signed form. For
one who has lost her capacity, an institution enters the delegate with the certificate of incapacity,
and a physician of a second institution confirms it; before that it is worth nothing. A carer, at home
or in a care home, reads ordinary records of named classes, and speaks for nobody.

A delegation names what may be read, up to which confidentiality, and until when. It ends by time, by
the patient, whatever her capacity, by the delegate, or by an institution that entered or confirmed it.
The patient's own voice never ends by it: what she denies stays denied.
"""

from ledger.contracts.prelude import Map, Value, call, caller, days, emit, export, height, init, now, permits, query, require, signers, silent

CLASSES = [
    "laboratory", "imaging", "ecg", "pathology", "note", "prescription", "referral",
    "immunization", "procedure", "condition", "encounter", "careplan", "claim", "other",
]
RANK = {"N": 1, "R": 2, "V": 3}
# HL7 v3-PurposeOfUse: power of attorney, support network.
ATTORNEY = "PWATRNY"
CARER = "SUPNWK"
CARER_ROLES = ["care-worker", "social-worker", "nurse", "family-doctor", "village-doctor"]
ENDINGS = ["patient-asks", "capacity-regained", "resigned", "unsuitable", "delegate-died", "entered-in-error"]

HASH_BYTES = 32
MAX_DELEGATES = 8
BOUNDS = {"attorney_days": [1, 1830], "appointed_days": [1, 1095], "carer_days": [1, 730]}

settings = Value("settings")
delegates = Map("delegates")


@init
def found(attorney_days: int = 1095, appointed_days: int = 365, carer_days: int = 180) -> None:
    """Fix the longest time of each kind, and let the registry ask who speaks for an adult."""
    values = {"attorney_days": attorney_days, "appointed_days": appointed_days, "carer_days": carer_days}
    check_bounds(values)
    settings.set(values)
    call("registry", "enlist")


@export
def amend(county: str, values: dict) -> None:
    """Change the longest times. They are the same in all counties, as capacity is."""
    require(caller() == "charter", "charter_only", "this follows a vote of the members")
    require(county == "", "same_everywhere", "a person's capacity does not differ by county")
    current = settings.get()
    for name in values:
        current[name] = values[name]
    check_bounds(current)
    settings.set(current)


def check_bounds(values: dict) -> None:
    require(len(values) == len(BOUNDS), "unknown_parameter")
    for name in values:
        require(name in BOUNDS, "unknown_parameter")
        require(BOUNDS[name][0] <= values[name] and values[name] <= BOUNDS[name][1], "out_of_bounds")


# --- Three ways to a delegate ------------------------------------------------------------------


@export
def empower(
    subject: str, delegate: str, kinds: list, level: str, until: int, speaks: bool = False, form: bytes = b"",
) -> None:
    """The patient gives a power of attorney. With `speaks` the delegate also consents in her name.

    `kinds` are the classes of records that may be read, none for all.
    """
    given = call("registry", "given_by", subject=subject, form=form)
    require(given == [subject] or len(given) > 1, "not_the_person", "a power of attorney is the patient's own")
    longest = settings.get()["attorney_days"]
    entry = entry_for(subject, delegate, ATTORNEY, "", kinds, level, until, longest, speaks)
    entry["form"] = form
    add(subject, entry, "in-force")


@export
def appoint(
    subject: str, delegate: str, kinds: list, level: str, until: int, speaks: bool, institution: str, certificate: bytes,
) -> None:
    """A registrar with a witness enters a delegate of a patient who has lost her capacity.

    `certificate` is the hash of the certificate of incapacity. Nothing holds before it is confirmed.
    """
    call("registry", "witnessed", institution=institution)
    require(len(certificate) == HASH_BYTES, "certificate_missing", "incapacity is certified")
    longest = settings.get()["appointed_days"]
    entry = entry_for(subject, delegate, ATTORNEY, "", kinds, level, until, longest, speaks)
    entry["certificate"] = certificate
    entry["entered_by"] = institution
    add(subject, entry, "pending")


@export
def confirm(subject: str, delegate: str, certificate: bytes, institution: str) -> None:
    """A physician of a second institution, who has seen the patient, confirms the certificate."""
    physician = call("registry", "acting", key=signers()[0], institution=institution, roles=["physician"])
    entries = delegates.get(subject, [])
    entry = find(entries, delegate, ATTORNEY)
    require(entry is not None and entry["status"] == "pending", "not_pending", "nothing waits to be confirmed")
    require(entry["entered_by"] != institution, "same_institution", "a second institution confirms")
    require(entry["certificate"] == certificate, "another_certificate", "not the certificate that was entered")
    require(physician["id"] != delegate, "own_case", "nobody confirms an own appointment")
    entry["status"] = "in-force"
    entry["confirmed_by"] = institution
    entry["given"] = height()
    delegates[subject] = entries
    emit("delegate_confirmed", subject=subject, institution=institution, until=entry["until"])


@export
def engage(subject: str, carer: str, institution: str, kinds: list, until: int, form: bytes = b"") -> None:
    """The patient, or who speaks for her, lets a carer read ordinary records of the classes named.

    `institution` is the one for which the carer works, none for a relative.
    """
    call("registry", "given_by", subject=subject, form=form)
    require(len(kinds) > 0, "kinds_missing", "a carer reads the classes that are named")
    if institution != "":
        person = call("registry", "person", id=carer)
        require(person is not None, "unknown_person", "nobody of that id")
        suited = [
            role for place in person["affiliations"] for role in place["roles"]
            if place["institution"] == institution and role in CARER_ROLES
        ]
        require(len(suited) > 0, "role_missing", "she does not work as a carer there")
    longest = settings.get()["carer_days"]
    entry = entry_for(subject, carer, CARER, institution, kinds, "N", until, longest, False)
    entry["form"] = form
    add(subject, entry, "in-force")


def entry_for(
    subject: str, delegate: str, purpose: str, institution: str, kinds: list, level: str, until: int, longest: int, speaks: bool,
) -> dict:
    require(subject.startswith("p-") and subject != delegate, "own_delegate", "another person is needed")
    for id in [subject, delegate]:
        person = call("registry", "person", id=id)
        require(person is not None and person["status"] == "active", "unknown_person", "nobody of that id")
    # Relatives ask without an institution, and only a pseudonym can do that.
    require(institution != "" or delegate.startswith("p-"), "not_a_patient", "a relative is known by a pseudonym")
    # Only a child's say, or that of who speaks for her, has an end when nobody in particular speaks.
    require(call("registry", "say_ends", subject=subject, speakers=[""]) == 0, "a_child", "a child has guardians")
    require(call("registry", "say_ends", subject=delegate, speakers=[""]) == 0, "delegate_is_a_child", "a delegate has full capacity")
    require(all([kind in CLASSES for kind in kinds]) and len(kinds) <= len(CLASSES), "unknown_class")
    require(level in RANK, "unknown_confidentiality", "N, R or V")
    require(now() < until and until <= now() + days(longest), "bad_time", "it ends within the longest time")
    # Who consents for her can let anybody, and so herself, read anything.
    require(not speaks or (level == "V" and len(kinds) == 0), "voice_too_wide", "who speaks for her reads all of it")
    return {
        "delegate": delegate, "purpose": purpose, "institution": institution, "kinds": kinds, "level": level,
        "until": until, "speaks": speaks, "given": height(), "time": now(),
    }


def add(subject: str, entry: dict, status: str) -> None:
    """Put an entry in the place of an earlier one of the same delegate; those that ended make room."""
    entry["status"] = status
    kept = [
        other for other in delegates.get(subject, [])
        if now() < other["until"] and (other["delegate"] != entry["delegate"] or other["purpose"] != entry["purpose"])
    ]
    require(len(kept) < MAX_DELEGATES, "too_many_delegates", "end one first")
    kept.append(entry)
    delegates[subject] = kept
    emit("delegate_entered", subject=subject, purpose=entry["purpose"], status=status, until=entry["until"])


@export
def end(subject: str, delegate: str, purpose: str, reason: str, institution: str = "", form: bytes = b"") -> None:
    """A delegation ends: by the patient or her form, by the delegate, or by a registrar with a witness of
    the institution that entered or confirmed it, for a coded reason."""
    require(reason in ENDINGS, "unknown_reason", "not a code of the list of endings")
    entries = delegates.get(subject, [])
    entry = find(entries, delegate, purpose)
    require(entry is not None, "unknown_delegate", "she is not a delegate of that patient")
    signer = call("registry", "whois", key=signers()[0])
    if signer is None or signer["id"] != delegate:
        if institution == "":
            given = call("registry", "given_by", subject=subject, form=form)
            require(given == [subject] or len(given) > 1, "not_the_person", "one delegate does not end another")
        else:
            require(institution in [entry.get("entered_by", ""), entry.get("confirmed_by", "")], "not_yours", "another institution entered it")
            call("registry", "witnessed", institution=institution)
    delegates[subject] = [other for other in entries if other["delegate"] != delegate or other["purpose"] != purpose]
    emit("delegate_ended", subject=subject, purpose=purpose, reason=reason)


# --- What follows from it ----------------------------------------------------------------------


@query
def voice(subject: str, person: str) -> dict:
    """Whether a person speaks for an adult, and when what is permitted in her name ends."""
    entry = find(delegates.get(subject, []), person, ATTORNEY)
    if entry is None or not entry["speaks"] or not in_force(entry):
        return {"standing": "none", "until": 0}
    return {"standing": "speaks", "until": entry["until"]}


@query
def decide(request: dict) -> dict:
    """Permit a delegate or carer what the delegation names."""
    if request["purpose"] not in [ATTORNEY, CARER]:
        return silent("not-a-delegate")
    entry = find(delegates.get(request["subject"], []), request["requester"], request["purpose"])
    if entry is None or entry["institution"] != request["institution"]:
        return silent("not-a-delegate")
    if not in_force(entry):
        return silent("not-in-force")
    if call("registry", "person", id=request["subject"])["status"] != "active":
        # A mandate ends with who gave it; own access says what next of kin may read.
        return silent("deceased")
    if len(entry["kinds"]) > 0 and request["kind"] not in entry["kinds"]:
        return silent("not-in-scope")
    if RANK.get(request["confidentiality"], 4) > RANK[entry["level"]]:
        return silent("not-in-scope")
    if entry["purpose"] == CARER:
        return permits("carer", until=entry["until"], given=entry["given"], duties=["NORDSCLCD"])
    return permits("attorney", until=entry["until"], given=entry["given"])


def find(entries: list, delegate: str, purpose: str) -> dict | None:
    for entry in entries:
        if entry["delegate"] == delegate and entry["purpose"] == purpose:
            return entry
    return None


def in_force(entry: dict) -> bool:
    return entry["status"] == "in-force" and now() < entry["until"]


@query
def get(subject: str) -> list:
    """The delegations of a patient that were entered and not ended."""
    return delegates.get(subject, [])
