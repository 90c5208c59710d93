"""Enquiry: who wants to know which records there are of a patient, written down before it is answered.

That a patient has records at a clinic says something about her. So nobody outside of it learns of them
by asking quietly: the question goes on the chain, the patient is told, and a holder then shows the
pointers of those records alone that the asker would be permitted to have. What else it holds shows up
nowhere, not even in a number.
"""

from ledger.contracts.prelude import Map, call, call_index, emit, export, height, init, now, query, require, signers, transaction

KEY_BYTES = 32
MAX_CASE = 80
CASE_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:"
# For how long holders answer: what is permitted may change, and the asker asks again.
OPEN = 3600000

# What the patient's log of disclosures says of an enquiry, in the words of the enquiry.
ENTRY = ["id", "time", "height", "asker", "institution", "purpose", "case"]

enquiries = Map("enquiries")


@init
def found() -> None:
    """Nothing to prepare."""


@export
def ask(subject: str, purpose: str, institution: str, reply_key: bytes, case: str = "") -> dict:
    """Ask which records of a patient there are, for one purpose, acting for one institution.

    Patients and those who speak for patients act for no institution and leave it empty. `reply_key`
    is the X25519 key to which holders seal their answers. `case` is as in `access.request`. Returns
    the enquiry, which its receipt shows to holders.
    """
    require(len(case) <= MAX_CASE and all([letter in CASE_LETTERS for letter in case]), "bad_case", "not an id")
    who = asker(institution)
    if who["id"] != subject:
        require(call("access", "suits", purpose=purpose, roles=who["roles"]), "role_not_suited", "not for this purpose")
    return written(subject, purpose, institution, reply_key, case, who)


@export
def ask_in_emergency(subject: str, institution: str, reply_key: bytes, reason: str, note: bytes) -> dict:
    """Break the glass before any record is known: the emergency, its review and its bars are those
    of `access.break_glass`, and so is what a physician then has to answer for."""
    who = asker(institution)
    answer = call(
        "emergency", "declare", request=f"{transaction()}-{call_index()}", who=who,
        institution=institution, subject=subject, reason=reason, note=note,
    )
    require(answer["effect"] == "permit", "not_permitted", answer["rule"])
    return written(subject, "BTG", institution, reply_key, answer["facts"]["emergency"], who)


def asker(institution: str) -> dict:
    """The signer and the roles in which the signer asks."""
    if institution == "":
        return call("registry", "patient", key=signers()[0])
    return call("registry", "acting", key=signers()[0], institution=institution, roles=[])


def written(subject: str, purpose: str, institution: str, reply_key: bytes, case: str, who: dict) -> dict:
    """Put an enquiry on the chain and tell the patient."""
    require(len(reply_key) == KEY_BYTES, "bad_reply_key", "an X25519 key has 32 bytes")
    require(call("registry", "is_known", id=subject), "unknown_person", "nobody of that id is in the registry")
    enquiry = {
        "id": f"{transaction()}-{call_index()}",
        "asker": who["id"],
        "institution": institution,
        "subject": subject,
        "purpose": purpose,
        "case": case,
        "reply_key": reply_key,
        "time": now(),
        "height": height(),
        "expires": now() + OPEN,
    }
    # Its number in the patient's log of disclosures.
    enquiry["entry"] = call("disclosures", "record", subject=subject, entry={name: enquiry[name] for name in ENTRY})
    enquiries[enquiry["id"]] = enquiry
    tell = [] if who["id"] == subject else ["patient"]
    emit("asked", enquiry=enquiry["id"], subject=subject, institution=institution, purpose=purpose, tell=tell)
    return enquiry


@query
def enquiry(id: str) -> dict | None:
    """An enquiry, or nothing."""
    return enquiries.get(id)
