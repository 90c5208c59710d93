"""Registry: who the people of the consortium are, for whom they act, and which keys are theirs.

Patients are known by a pseudonym only. A person can belong to several institutions, as experts do
who are sent to a county hospital, so every act names the institution for which it is done.
"""

from ledger.contracts.prelude import Map, Value, call, caller, emit, export, fail, height, init, now, query, require, signers

ROLES = [
    "patient", "physician", "nurse", "emergency-physician", "registrar", "governor", "auditor",
    "records-officer", "node", "insurer", "researcher",
    "family-doctor", "village-doctor", "pharmacist", "public-health-officer", "social-worker", "care-worker",
    "liaison", "vendor-engineer", "ethics-officer", "supervisor",
]
# Roles that only the people of one kind of institution can have.
ROLE_NEEDS_KIND = {"auditor": "commission", "insurer": "insurer", "vendor-engineer": "vendor"}
# Contracts that know who speaks for a patient, and those that must hear of a death.
VOICES = ["guardianship", "delegation"]
LISTENERS = ["guardianship", "delegation", "consent", "family_doctor", "chronic"]
REVOCATION_REASONS = ["left", "key-lost", "key-stolen", "deceased", "misconduct", "entered-in-error"]

MAX_KEYS = 8
MAX_AFFILIATIONS = 16
MAX_ID = 64
ID_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
HEX_DIGITS = "0123456789abcdef"
# "p-" and 32 random hex digits.
PSEUDONYM_LENGTH = 34
# A public key on the wire in hex digits: the number of its suite, 01 for Ed25519 and 02 for
# passkeys, then the suite's key.
KEY_LENGTHS = {"01": 66, "02": 132}
FORM_BYTES = 32

persons = Map("people")
owners = Map("keys")
# Institutions that left. They are noted here so that an act need not ask governance as well.
closed = Map("closed")
# The suites whose keys people of this chain may have.
suites = Value("suites")
# Those of LISTENERS that this chain has.
listeners = Value("listeners")


@init
def found(people: list, key_suites: list = ["01", "02"]) -> None:
    """Register the founders, and every founding node as a records officer of its institution.

    `key_suites` are the signature suites that the chain accepts. Nodes always have suite 01.
    """
    require("01" in key_suites and all([suite in KEY_LENGTHS for suite in key_suites]), "unknown_suite", "01 and perhaps 02")
    suites.set(key_suites)
    for person in people:
        add_person(person["id"], person["institution"], person["roles"], person["keys"])
    for node in call("governance", "members")["nodes"]:
        if node["id"] not in persons:
            keys = [entry["key"] for entry in node["keys"]]
            add_person(node["id"], node["institution"], ["node", "records-officer"], keys)


# --- Changing the register ---------------------------------------------------------------------


@export
def enrol(id: str, institution: str, roles: list, keys: list) -> None:
    """A registrar enters a new person of the registrar's own institution.

    A patient may be entered without keys; others then speak for the patient with a signed form. Her
    keys sign as well, or a witness does: no registrar alone gets a patient's voice.
    """
    acting(signers()[0], institution, ["registrar"])
    require("node" not in roles, "role_reserved", "nodes are admitted by a vote of the members")
    if roles == ["patient"] and is_pseudonym(id) and not all([key in signers() for key in keys]):
        witnessed(institution)
    require(len(keys) > 0 or roles == ["patient"], "key_missing", "only a patient may have no key")
    add_person(id, institution, roles, keys)
    emit("enrolled", person=id, institution=institution)


@export
def affiliate(id: str, institution: str, roles: list) -> None:
    """A registrar sets what a person may do for the registrar's institution; no roles ends it."""
    acting(signers()[0], institution, ["registrar"])
    require("node" not in roles, "role_reserved", "nodes are admitted by a vote of the members")
    person = known_person(id)
    others = [a for a in person["affiliations"] if a["institution"] != institution]
    if len(roles) > 0:
        kind = check_roles(id, institution, roles)
        others.append({"institution": institution, "roles": roles, "kind": kind})
    require(len(others) <= MAX_AFFILIATIONS, "too_many_affiliations")
    person["affiliations"] = others
    person["version"] = height()
    persons[id] = person
    emit("affiliated", person=id, institution=institution)


@export
def rotate_key(old: str, new: str, form: bytes = b"") -> None:
    """Replace a key: by its owner, or with a signed form when a member of staff has lost it.

    A patient who has lost hers is told and can object: see the contract enrolment.
    """
    id = owners.get(old, "")
    require(id != "", "unknown_key", "the old key belongs to nobody")
    # Not guardians or delegates: with the key they would have the patient's own voice as well.
    by = by_self_or_form(id, form)
    require(by == [id] or not is_pseudonym(id), "recovery_needed", "a patient's lost key is replaced by enrolment")
    person = known_person(id)
    refuse_node(person)
    claim_key(new, id)
    del owners[old]
    person["keys"] = [key for key in person["keys"] if key != old]
    person["keys"].append(new)
    person["version"] = height()
    persons[id] = person
    emit("key_rotated", person=id)


@export
def add_key(key: str) -> None:
    """A person takes one more key, of another device; both the old and the new one sign."""
    person = in_good_standing(signers()[0])
    require(key in signers(), "not_the_holder", "the key itself must sign")
    hold(person, key)


@export
def drop_key(key: str) -> None:
    """A person gives up a key, with any of hers, but for the last one."""
    person = in_good_standing(signers()[0])
    require(owners.get(key, "") == person["id"], "unknown_key", "the key is not hers")
    require(len(person["keys"]) > 1, "key_missing", "a person keeps one key")
    refuse_node(person)
    person["keys"] = [other for other in person["keys"] if other != key]
    person["version"] = height()
    del owners[key]
    persons[person["id"]] = person
    emit("key_dropped", person=person["id"])


@export
def give_key(id: str, key: str, alone: bool) -> None:
    """Give a patient a key that a clinic has checked; `alone` ends her other ones. For enrolment alone."""
    require(caller() == "enrolment", "enrolment_only", "this follows an identity check")
    person = known_person(id)
    require(is_pseudonym(id), "not_a_patient", "staff get their keys from a registrar")
    if alone:
        for old in person["keys"]:
            del owners[old]
        person["keys"] = []
    hold(person, key)


@export
def revoke(id: str, reason: str) -> None:
    """End everything a person may do: by the person, or by a registrar of the first institution."""
    require(reason in REVOCATION_REASONS, "unknown_reason", "not a code of the list of reasons")
    require(reason != "deceased" or not is_pseudonym(id), "certificate_missing", "a patient's death is entered by died")
    person = known_person(id)
    if owners.get(signers()[0], "") != id:
        acting(signers()[0], person["home"], ["registrar"])
    close(person, reason)


@export
def died(id: str, institution: str, form: bytes) -> None:
    """A registrar with a witness enters the death of a patient; `form` is the certificate's hash.

    Nobody signs for her any more, and what she permitted ends.
    """
    require(len(form) == FORM_BYTES, "form_missing", "a death is entered with its certificate")
    witnessed(institution)
    person = known_person(id)
    require(is_pseudonym(id), "not_a_patient", "staff are revoked")
    person["status"] = "deceased"
    person["death"] = {"institution": institution, "form": form, "time": now(), "height": height()}
    persons[id] = person
    for contract in listeners.get([]):
        if contract not in VOICES:
            call(contract, "end_with_death", subject=id)
    emit("died", person=id, institution=institution)


@export
def lives(id: str, institution: str, form: bytes) -> None:
    """The institution that entered a death takes it back as an error. Permissions that ended with
    it stay ended; the patient gives them again."""
    require(len(form) == FORM_BYTES, "form_missing", "the correction has a paper form")
    witnessed(institution)
    person = persons.get(id)
    require(person is not None and person["status"] == "deceased", "not_deceased")
    require(person["death"]["institution"] == institution, "not_yours", "another institution entered it")
    person["status"] = "active"
    person["corrected"] = {"form": form, "time": now(), "height": height()}
    persons[id] = person
    emit("lives", person=id, institution=institution)


@export
def enlist() -> None:
    """A contract that knows who speaks for patients, or must hear of deaths, makes itself known."""
    require(caller() in LISTENERS, "not_a_listener", "other contracts ask, and are not asked")
    known = listeners.get([])
    if caller() not in known:
        known.append(caller())
        listeners.set(known)


@export
def admit(people: list) -> None:
    """Enter the people of a new member or the officer of a new node. For governance alone."""
    require(caller() == "governance", "governance_only", "this follows a vote of the members")
    for person in people:
        add_person(person["id"], person["institution"], person["roles"], person["keys"])


@export
def replace_node_key(id: str, old: str, new: str, until: int) -> None:
    """Give a node another key; the old one signs before a height only. For governance alone."""
    require(caller() == "governance", "governance_only", "the key of a node is in the validators' schedule")
    person = known_person(id)
    endings = person.get("endings", {})
    for key in endings:
        if endings[key] <= height():
            del owners[key]
    person["endings"] = {key: end for key, end in endings.items() if end > height()}
    claim_key(new, id)
    person["keys"] = [old, new]
    person["endings"][old] = until
    person["version"] = height()
    persons[id] = person
    emit("key_rotated", person=id)


@export
def dismiss(id: str) -> None:
    """End the officer of a node that was removed. For governance alone."""
    require(caller() == "governance", "governance_only", "this follows a vote of the members")
    if id in persons:
        close(persons[id], "left")


@export
def close_institution(institution: str) -> None:
    """Nobody acts for an institution that has left. For governance alone."""
    require(caller() == "governance", "governance_only", "this follows a vote of the members")
    closed[institution] = height()


# --- Questions of other contracts --------------------------------------------------------------


@query
def whois(key: str) -> dict | None:
    """The person whose key this is, or nothing."""
    id = owners.get(key, "")
    if id == "":
        return None
    person = persons[id]
    return {"id": id, "affiliations": person["affiliations"], "status": person["status"]}


@query
def person(id: str) -> dict | None:
    """The entry of a person, or nothing."""
    return persons.get(id)


@query
def is_known(id: str) -> bool:
    """Whether a person of this id was ever entered."""
    return id in persons


@query
def acting(key: str, institution: str, roles: list) -> dict:
    """The person with this key, the person's roles when acting for this institution, the height of
    the last change of the person's entry, and the kind of the institution.

    Fails unless the person is in good standing and belongs to the institution, the institution has
    not left, and the person has one of the roles asked for, if any are.
    """
    person = in_good_standing(key)
    for affiliation in person["affiliations"]:
        if affiliation["institution"] == institution:
            require(institution not in closed, "not_a_member", "the institution has left")
            if len(roles) > 0:
                suited = [role for role in affiliation["roles"] if role in roles]
                require(len(suited) > 0, "role_missing", "the signer does not have the role for this")
            return {
                "id": person["id"], "roles": affiliation["roles"], "version": person["version"],
                "kind": affiliation["kind"],
            }
    fail("not_affiliated", "the signer does not act for that institution")


@query
def holding(key: str, role: str) -> dict:
    """The person with this key, and the member institutions for which the person has the role."""
    person = in_good_standing(key)
    institutions = []
    for affiliation in person["affiliations"]:
        if role in affiliation["roles"] and affiliation["institution"] not in closed:
            institutions.append(affiliation["institution"])
    return {"id": person["id"], "institutions": institutions}


@query
def patient(key: str) -> dict:
    """The patient with this key, who acts for no institution."""
    person = in_good_standing(key)
    for affiliation in person["affiliations"]:
        if affiliation["roles"] == ["patient"]:
            return {"id": person["id"], "roles": ["patient"], "version": person["version"], "kind": ""}
    fail("institution_missing", "the signer must say for which institution")


@query
def given_by(subject: str, form: bytes) -> list:
    """Who gives a declaration in the name of a person: the person alone; a guardian or delegate
    alone, while the contracts about them say so; or a registrar with a witness of the same
    institution who hold a signed paper form, named here by its hash.

    Fails when the signers of the transaction are none of these.
    """
    signer = in_good_standing(signers()[0])["id"]
    for contract in listeners.get([]):
        if contract in VOICES:
            voice = call(contract, "voice", subject=subject, person=signer)
            require(voice["standing"] != "silenced", "too_young", "a guardian speaks for a child under 14")
            if voice["standing"] == "speaks":
                known_person(subject)
                return [signer]
    return by_self_or_form(subject, form)


@query
def agreed(subject: str, form: bytes) -> bool:
    """Whether a patient agrees to what somebody else does: she, or who speaks for her, is among the
    signers, or `form` is the hash of a form that she signed and that the acting institution keeps."""
    person = persons.get(subject)
    if person is None or person["status"] != "active":
        return False
    if len(form) == FORM_BYTES:
        return True
    for key in signers():
        if key in owners and speaks_for(in_good_standing(key)["id"], subject):
            return True
    return False


@query
def say_ends(subject: str, speakers: list) -> int:
    """When what these people permit in a patient's name ends at the latest; 0 for never.

    `speakers` are those that given_by named. What is permitted for a child ends when she turns 14
    and when she turns 18, unless she permits it herself.
    """
    last = 0
    for contract in listeners.get([]):
        if contract in VOICES:
            voice = call(contract, "voice", subject=subject, person=speakers[0])
            if voice["until"] != 0 and (last == 0 or voice["until"] < last):
                last = voice["until"]
    return last


@query
def witnessed(institution: str) -> list:
    """The registrar and the witness of one institution who sign the transaction."""
    registrar = acting(signers()[0], institution, ["registrar"])
    require(len(signers()) > 1, "witness_missing", "a registrar and a witness of the same institution must sign")
    witness = acting(signers()[1], institution, [])
    require(witness["id"] != registrar["id"] and can_witness(witness["roles"]), "witness_missing", "the witness is another member of staff")
    return [registrar["id"], witness["id"]]


# --- Helpers -----------------------------------------------------------------------------------


def speaks_for(id: str, subject: str) -> bool:
    for contract in listeners.get([]):
        if contract in VOICES:
            standing = call(contract, "voice", subject=subject, person=id)["standing"]
            if standing != "none":
                return standing == "speaks"
    return id == subject


def by_self_or_form(subject: str, form: bytes) -> list:
    """The person alone, or the registrar and the witness who hold a form of hers."""
    first = in_good_standing(signers()[0])
    if first["id"] == subject:
        return [subject]
    require(len(signers()) > 1, "not_the_person", "signed by somebody else and no witness")
    require(len(form) == FORM_BYTES, "form_missing", "a declaration by others needs a signed form")
    known_person(subject)
    second = in_good_standing(signers()[1])
    require(first["id"] != second["id"], "witness_missing", "the witness is another person")
    for mine in first["affiliations"]:
        if "registrar" in mine["roles"] and mine["institution"] not in closed:
            for theirs in second["affiliations"]:
                if theirs["institution"] == mine["institution"] and can_witness(theirs["roles"]):
                    return [first["id"], second["id"]]
    fail("witness_missing", "a registrar and a witness of the same institution must sign")


def can_witness(roles: list) -> bool:
    """A witness saw the patient sign. Nodes co-sign what they do for their staff, and saw nothing."""
    return roles != ["patient"] and "node" not in roles


def in_good_standing(key: str) -> dict:
    id = owners.get(key, "")
    require(id != "", "unknown_key", "the signer is not in the registry")
    person = persons[id]
    require(person["status"] == "active", "revoked", "the signer's registration has ended")
    # Only nodes have keys that end at a height; others end when they are replaced.
    endings = person.get("endings")
    if endings is not None and endings.get(key, height() + 1) <= height():
        fail("key_ended", "another key has taken over")
    return person


def known_person(id: str) -> dict:
    require(id in persons, "unknown_person", "nobody of that id is in the registry")
    person = persons[id]
    require(person["status"] == "active", "revoked", "the person's registration has ended")
    return person


def add_person(id: str, institution: str, roles: list, keys: list) -> None:
    require(0 < len(id) and len(id) <= MAX_ID, "bad_id", "an id has 1 to 64 characters")
    require(all([letter in ID_LETTERS for letter in id]), "bad_id", "letters, digits, - _ . only")
    require(id not in persons, "person_exists", "the id is taken")
    require(len(roles) > 0, "role_missing", "a person has at least one role")
    kind = check_roles(id, institution, roles)
    require(len(keys) <= MAX_KEYS, "too_many_keys")
    for key in keys:
        claim_key(key, id)
    persons[id] = {
        "id": id,
        "home": institution,
        "affiliations": [{"institution": institution, "roles": roles, "kind": kind}],
        "keys": keys,
        "status": "active",
        "since": height(),
        "version": height(),
    }


def check_roles(id: str, institution: str, roles: list) -> str:
    """Refuse roles that the institution cannot give; returns the institution's kind."""
    details = call("governance", "institution", id=institution)
    require(details is not None and details["status"] == "member", "not_a_member")
    require(len(roles) <= len(ROLES), "unknown_role")
    for role in roles:
        require(role in ROLES, "unknown_role", "not a code of the list of roles")
        kind = ROLE_NEEDS_KIND.get(role, details["kind"])
        if kind != details["kind"]:
            lent = role == "vendor-engineer" and is_engineer(id)
            require(lent, "role_not_for_kind", "that kind of institution has no such role")
    if "patient" in roles:
        require(roles == ["patient"], "patient_apart", "staff who are patients have a pseudonym for that")
        require(is_pseudonym(id), "bad_pseudonym", "a patient is p- and 32 hex digits, never a name")
    else:
        require(not is_pseudonym(id), "patient_apart", "a pseudonym is for a patient")
    return details["kind"]


def is_engineer(id: str) -> bool:
    """Whether a person is an engineer of a vendor, who may work for a hospital as such."""
    if id in persons:
        for affiliation in persons[id]["affiliations"]:
            if affiliation["kind"] == "vendor" and "vendor-engineer" in affiliation["roles"]:
                return True
    return False


def is_pseudonym(id: str) -> bool:
    if len(id) != PSEUDONYM_LENGTH or not id.startswith("p-"):
        return False
    return all([digit in HEX_DIGITS for digit in id[2:]])


def claim_key(key: str, id: str) -> None:
    suite = key[:2]
    require(suite in KEY_LENGTHS and len(key) == KEY_LENGTHS[suite], "bad_key", "not a public key in hex")
    require(all([digit in HEX_DIGITS for digit in key]), "bad_key", "not a public key in hex")
    require(suite in suites.get(), "suite_not_accepted", "this chain takes no keys of that suite")
    require(key not in owners, "key_exists", "the key belongs to somebody")
    owners[key] = id


def hold(person: dict, key: str) -> None:
    """Enter one more key of a person."""
    refuse_node(person)
    require(len(person["keys"]) < MAX_KEYS, "too_many_keys")
    claim_key(key, person["id"])
    person["keys"].append(key)
    person["version"] = height()
    persons[person["id"]] = person
    emit("key_added", person=person["id"])


def refuse_node(person: dict) -> None:
    for affiliation in person["affiliations"]:
        require("node" not in affiliation["roles"], "role_reserved", "governance gives a node a new key")


def close(person: dict, reason: str) -> None:
    person["status"] = "revoked"
    person["reason"] = reason
    person["until"] = height()
    person["version"] = height()
    persons[person["id"]] = person
    emit("revoked", person=person["id"], reason=reason)
