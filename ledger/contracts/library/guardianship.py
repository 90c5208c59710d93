"""Guardianship: who speaks for a child, what she may read, and how both end with age.

Until a child is 14 her guardians speak for her and read her records. From 14 to 18 she speaks for
herself as well; her guardians still speak, and still read, but nothing restricted and nothing that she
has had veiled, such as sexual health or psychology, unless she permits it. From 18 on they do neither.
What they have permitted for her ends at 14 and again at 18; who needs it asks her. Very restricted
records, as those about suspected abuse are, no guardian reads at any age by this rule.

Nobody's birthday stands on the chain: the switches are on the first day of the month of the birthday,
by block time. That month can be read by every member, and so can who is whose guardian, by pseudonym.
"""

from ledger.contracts.prelude import Map, add_months, call, date, emit, export, fail, height, init, month_of, now, permits, query, require, signers, silent, year_of

# On what a guardianship rests: being the parent, adoption, a court's order, or an authority's.
GROUNDS = ["parent", "adoption", "court", "authority"]
ENDINGS = ["custody-lost", "guardian-died", "resigned", "entered-in-error", "other"]

MAX_GUARDIANS = 4
MAX_TOKENS = 16
TOKEN_BYTES = 16
HASH_BYTES = 32
MONTHS_OF_CHILDHOOD = 168
MONTHS_OF_YOUTH = 48

wards = Map("wards")


@init
def found() -> None:
    """Let the registry ask who speaks for a child."""
    call("registry", "enlist")


# --- Who is whose guardian ---------------------------------------------------------------------


@export
def enter(child: str, guardian: str, ground: str, turns_14: int, institution: str, evidence: bytes) -> None:
    """A registrar with a witness enters a guardian of a child.

    `turns_14` is the beginning of the month in which the child turns 14, in China's time; `evidence` is
    the hash of the document that proves the guardianship, which the institution keeps.
    """
    by = call("registry", "witnessed", institution=institution)
    require(ground in GROUNDS, "unknown_ground", "not a code of the list of grounds")
    require(len(evidence) == HASH_BYTES, "form_missing", "a guardianship is proved by a document")
    require(child != guardian, "own_guardian", "nobody is her own guardian")
    check_patient(child)
    check_patient(guardian)
    other = wards.get(guardian)
    require(other is None or other["turns_18"] <= now(), "guardian_is_a_child", "a guardian has full capacity")
    ward = wards.get(child)
    if ward is None:
        ward = {"guardians": [], "veiled": [], "label_key": b""}
        set_birth(ward, turns_14)
    require(ward["turns_14"] == turns_14, "another_month", "another month of birth was entered before")
    require(len(ward["guardians"]) < MAX_GUARDIANS, "too_many_guardians", "a child has at most four")
    require(all([entry["guardian"] != guardian for entry in ward["guardians"]]), "guardian_exists")
    ward["guardians"].append({
        "guardian": guardian, "ground": ground, "evidence": evidence, "institution": institution, "by": by,
        "given": height(), "time": now(),
    })
    wards[child] = ward
    emit("guardian_entered", subject=child, institution=institution, ground=ground)


@export
def end(child: str, guardian: str, reason: str, institution: str = "", evidence: bytes = b"") -> None:
    """A guardianship ends: by the guardian herself, or by a registrar with a witness and a document."""
    require(reason in ENDINGS, "unknown_reason", "not a code of the list of endings")
    ward = known(child)
    if not signed_by(guardian):
        call("registry", "witnessed", institution=institution)
        require(len(evidence) == HASH_BYTES, "form_missing", "that a guardianship ends is proved by a document")
    left = [entry for entry in ward["guardians"] if entry["guardian"] != guardian]
    require(len(left) < len(ward["guardians"]), "unknown_guardian", "she is not a guardian of that child")
    ward["guardians"] = left
    wards[child] = ward
    emit("guardian_ended", subject=child, reason=reason)


@export
def correct(child: str, turns_14: int, institution: str, evidence: bytes) -> None:
    """A registrar with a witness corrects the month of birth, by a document."""
    call("registry", "witnessed", institution=institution)
    require(len(evidence) == HASH_BYTES, "form_missing", "a month of birth is proved by a document")
    ward = known(child)
    set_birth(ward, turns_14)
    wards[child] = ward
    emit("birth_corrected", subject=child, institution=institution)


@export
def veil(child: str, label_key: bytes, labels: list, institution: str = "", form: bytes = b"") -> None:
    """Name the labels, by their tokens, that no guardian reads from 14 on: by the child herself, or by
    a registrar with a witness and a form. No guardian changes it."""
    ward = known(child)
    if not signed_by(child):
        call("registry", "witnessed", institution=institution)
        require(len(form) == HASH_BYTES, "form_missing", "a form of the child is needed")
    require(1 <= len(labels) and len(labels) <= MAX_TOKENS, "bad_labels", "1 to 16 tokens")
    for token in labels + [label_key]:
        require(len(token.hex()) == 2 * TOKEN_BYTES, "bad_token", "a token has 16 bytes")
    ward["label_key"] = label_key
    ward["veiled"] = labels
    wards[child] = ward
    emit("veiled", subject=child)


def set_birth(ward: dict, turns_14: int) -> None:
    """Fix the switches. A child is born, and is not of age yet."""
    require(turns_14 == date(year_of(turns_14), month_of(turns_14), 1), "bad_month", "the beginning of a month, midnight in China")
    require(turns_14 <= add_months(now(), MONTHS_OF_CHILDHOOD), "bad_month", "the child is not born yet")
    ward["turns_14"] = turns_14
    ward["turns_18"] = add_months(turns_14, MONTHS_OF_YOUTH)
    require(now() < ward["turns_18"], "of_age", "who is 18 has no guardian by this rule")


def check_patient(id: str) -> None:
    person = call("registry", "person", id=id)
    require(person is not None and person["status"] == "active", "unknown_person", "nobody of that pseudonym")
    require(id.startswith("p-"), "not_a_patient", "guardians and children are known by pseudonyms")


def signed_by(person: str) -> bool:
    signer = call("registry", "whois", key=signers()[0])
    return signer is not None and signer["id"] == person and signer["status"] == "active"


def known(child: str) -> dict:
    if child not in wards:
        fail("unknown_child", "nobody has a guardian entered for that pseudonym")
    return wards[child]


# --- What follows from it ----------------------------------------------------------------------


@query
def voice(subject: str, person: str) -> dict:
    """Whether a person speaks for a child, and when what is permitted in the child's name ends."""
    ward = wards.get(subject)
    if ward is None or ward["turns_18"] <= now():
        return {"standing": "none", "until": 0}
    young = now() < ward["turns_14"]
    until = ward["turns_14"] if young else ward["turns_18"]
    if person == subject:
        return {"standing": "silenced" if young else "none", "until": until}
    speaks = entry_of(ward, person) is not None
    return {"standing": "speaks" if speaks else "none", "until": until}


@query
def decide(request: dict) -> dict:
    """Permit a guardian what she may read of the child's records, as a family request."""
    if request["purpose"] != "FAMRQT":
        return silent("not-a-family-request")
    ward = wards.get(request["subject"])
    if ward is None:
        return silent("no-guardian")
    guardian = entry_of(ward, request["requester"])
    if guardian is None:
        return silent("no-guardian")
    if ward["turns_18"] <= now():
        return silent("of-age")
    if call("registry", "person", id=request["subject"])["status"] != "active":
        # Own access says what next of kin may read.
        return silent("deceased")
    if request["confidentiality"] not in ["N", "R"]:
        return silent("very-restricted")
    if now() < ward["turns_14"]:
        return permits("guardian-of-child", until=ward["turns_14"], ground=guardian["ground"], given=guardian["given"])
    if request["confidentiality"] != "N" or veiled(ward, request["labels"]):
        return silent("hers-from-14")
    return permits("guardian-of-adolescent", until=ward["turns_18"], ground=guardian["ground"], given=guardian["given"])


def entry_of(ward: dict, person: str) -> dict | None:
    for entry in ward["guardians"]:
        if entry["guardian"] == person:
            return entry
    return None


def veiled(ward: dict, shown: list) -> bool:
    """Whether a record bears a veiled label, or may bear one because its labels are not shown."""
    if len(ward["veiled"]) == 0:
        return False
    if ward["label_key"] not in shown:
        return True
    for token in ward["veiled"]:
        if token in shown:
            return True
    return False


@query
def get(child: str) -> dict | None:
    """The guardians of a child and when she turns 14 and 18, to the month, or nothing."""
    return wards.get(child)
