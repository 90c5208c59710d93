"""Enrolment: how a patient gets her first key, and another one when hers is lost.

Both begin at a clinic, where a registrar sees the patient and a document. What was seen is written
down as a kind and a hash, never as a name or a number. The clinic hands out a code that is good for
some hours. With it she gives the key that her own device has made, and the clinic's node, which has
compared the code, signs together with that key.

Whoever could get a key for a patient at a counter would have her voice. So a first key is for a patient
who has none, and a lost key is replaced only with a witness and a signed form, and after a waiting time
of which she is told and in which any key of hers stops it. Who has another key left needs no clinic: the
registry takes another one at once.
"""

from ledger.contracts.prelude import Map, Value, call, caller, emit, export, hours, init, now, query, require, signers

# What the registrar saw. `known-in-person` is for who has no document; a form must then say who vouches.
DOCUMENTS = [
    "resident-card", "household-register", "passport", "travel-permit", "residence-permit", "birth-certificate",
    "known-in-person",
]
FORM_BYTES = 32
HASH_BYTES = 32
# Longest time that a code is good for, and how long the patient has to object, in hours.
BOUNDS = {"code_hours": [1, 168], "wait_hours": [24, 720]}

settings = Value("settings")
# By patient, what is under way.
openings = Map("openings")
# By patient, what the last identity check was.
checks = Map("checks")


@init
def found(code_hours: int = 24, wait_hours: int = 72) -> None:
    """Fix how long a code is good for and how long a patient can object."""
    set_terms({"code_hours": code_hours, "wait_hours": wait_hours})


@export
def amend(county: str, values: dict) -> None:
    """Change these times. They are the same in all counties, as a patient's key is."""
    require(caller() == "charter", "charter_only", "this follows a vote of the members")
    require(county == "", "same_everywhere", "a patient's key counts in all counties")
    current = settings.get()
    for name in values:
        current[name] = values[name]
    set_terms(current)


def set_terms(values: dict) -> None:
    require(len(values) == len(BOUNDS), "unknown_parameter")
    for name in values:
        require(name in BOUNDS, "unknown_parameter")
        require(BOUNDS[name][0] <= values[name] and values[name] <= BOUNDS[name][1], "out_of_bounds")
    settings.set(values)


# --- At the clinic -----------------------------------------------------------------------------


@export
def begin(subject: str, institution: str, document: str, evidence: bytes) -> int:
    """A registrar has seen a patient without keys and a document; a code may be handed out.

    `evidence` is the hash of what the institution keeps about it. Returns until when the code is good.
    """
    registrar = call("registry", "acting", key=signers()[0], institution=institution, roles=["registrar"])
    person = patient(subject)
    require(len(person["keys"]) == 0, "has_a_key", "who has lost her key gets another one by recover")
    return opened(subject, institution, [registrar["id"]], document, evidence, "first", b"")


@export
def recover(subject: str, institution: str, document: str, evidence: bytes, form: bytes) -> int:
    """A registrar with a witness has seen a patient who has lost her key, and has her signed form.

    Returns until when the code is good. The patient is told.
    """
    by = call("registry", "witnessed", institution=institution)
    require(len(form) == FORM_BYTES, "form_missing", "a lost key is replaced with a signed form")
    person = patient(subject)
    require(len(person["keys"]) > 0, "has_no_key", "a first key is given by begin")
    until = opened(subject, institution, by, document, evidence, "recovery", form)
    emit("recovery_begun", subject=subject, institution=institution)
    return until


def opened(
    subject: str, institution: str, by: list, document: str, evidence: bytes, kind: str, form: bytes,
) -> int:
    require(document in DOCUMENTS, "unknown_document", "not a code of the list of documents")
    require(len(evidence) == HASH_BYTES, "evidence_missing", "the hash of what was seen has 32 bytes")
    earlier = openings.get(subject)
    require(earlier is None or "due" not in earlier, "recovery_waits", "a key waits already; cancel it first")
    until = now() + hours(settings.get()["code_hours"])
    check = {"institution": institution, "by": by, "document": document, "evidence": evidence, "time": now()}
    checks[subject] = check
    openings[subject] = {"kind": kind, "institution": institution, "by": by, "form": form, "until": until}
    emit("identity_checked", subject=subject, institution=institution, document=document, kind=kind)
    return until


# --- By the patient ----------------------------------------------------------------------------


@export
def complete(subject: str, key: str) -> int:
    """The patient gives the key of her device. Signed by the clinic's node, or a registrar there, who has
    compared the code, and by the key itself.

    Returns when the key counts: now for a first one, after the waiting time for a replacement.
    """
    require(subject in openings, "not_opened", "the patient was not seen at a clinic")
    opening = openings[subject]
    require("due" not in opening, "recovery_waits", "a key waits already")
    require(now() < opening["until"], "code_ended", "the code was good for some hours only")
    call("registry", "acting", key=signers()[0], institution=opening["institution"], roles=["node", "registrar"])
    require(key in signers()[1:], "not_the_holder", "the key itself must sign")
    if opening["kind"] == "first":
        # She may have got a key elsewhere since.
        require(len(patient(subject)["keys"]) == 0, "has_a_key", "she has a key by now")
        call("registry", "give_key", id=subject, key=key, alone=False)
        del openings[subject]
        emit("enrolled", subject=subject, institution=opening["institution"])
        return now()
    require(call("registry", "whois", key=key) is None, "key_exists", "the key belongs to somebody")
    opening["key"] = key
    opening["due"] = now() + hours(settings.get()["wait_hours"])
    openings[subject] = opening
    emit("recovery_waits", subject=subject, institution=opening["institution"], due=opening["due"])
    return opening["due"]


@export
def cancel(subject: str, institution: str = "") -> None:
    """Stop what is under way: the patient by any key of hers, or a registrar of the clinic that began it."""
    require(subject in openings, "not_opened", "nothing is under way")
    signer = call("registry", "whois", key=signers()[0])
    if signer is None or signer["id"] != subject or signer["status"] != "active":
        require(institution == openings[subject]["institution"], "not_yours", "another institution began it")
        call("registry", "acting", key=signers()[0], institution=institution, roles=["registrar"])
    del openings[subject]
    emit("recovery_cancelled", subject=subject)


@export
def take_effect(subject: str) -> None:
    """After the waiting time the new key counts, and none of the old ones does. Anybody may call it."""
    require(subject in openings and "due" in openings[subject], "nothing_waits", "no key waits for that patient")
    opening = openings[subject]
    require(opening["due"] <= now(), "too_early", "she can still object")
    del openings[subject]
    call("registry", "give_key", id=subject, key=opening["key"], alone=True)
    emit("recovered", subject=subject, institution=opening["institution"])


def patient(subject: str) -> dict:
    person = call("registry", "person", id=subject)
    require(person is not None and person["status"] == "active", "unknown_person", "nobody of that pseudonym")
    require(subject.startswith("p-"), "not_a_patient", "staff get their keys from a registrar")
    return person


# --- Questions ---------------------------------------------------------------------------------


@query
def pending(subject: str) -> dict | None:
    """What is under way for a patient, or nothing. With `due`, a key waits to count from then on."""
    return openings.get(subject)


@query
def check(subject: str) -> dict | None:
    """The last time that a clinic checked who she is, or nothing."""
    return checks.get(subject)


@query
def terms() -> dict:
    """How long a code is good for and how long a patient can object, in hours."""
    return settings.get()
