"""Consent: what a patient permits and denies.

A consent is a list of rules in the sense of FHIR R4 Consent. What is not permitted is denied; a
rule that denies prevails over every rule that permits, except where it names an exception itself;
what is unclear is refused when it is given. A withdrawal holds from the next block on and does not
reach back. What a guardian or delegate permitted ends when her say ends; what a patient permitted
ends with her death, and what she denied stays denied.

An absent or empty part of a rule means "any", with three exceptions that keep a patient from
giving more than she sees: a permit must name its purposes; emergency purposes (ETREAT, BTG,
ERTREAT) must be named one by one, nothing wider covers them; and a permit that names no
confidentiality covers normal records (N) only.

Sensitivity labels and codes are named by tokens, which nobody can read without the patient's label
key. A permit by label or code reaches a record only if its requester has shown the record's tokens
and one of them is named; a denial reaches it unless they were shown, made with the same key, and
none is named.
"""

from ledger.contracts.prelude import Map, call, caller, denies, emit, export, height, init, now, permits, query, require, silent

ROLES = [
    "patient", "physician", "nurse", "emergency-physician", "registrar", "governor", "auditor",
    "records-officer", "node", "insurer", "researcher",
    "family-doctor", "village-doctor", "pharmacist", "public-health-officer", "social-worker", "care-worker",
    "liaison", "vendor-engineer", "ethics-officer", "supervisor",
]
CLASSES = [
    "laboratory", "imaging", "ecg", "pathology", "note", "prescription", "referral",
    "immunization", "procedure", "condition", "encounter", "careplan", "claim", "other",
]
# HL7 v3-Confidentiality, as far as it stands on the chain, least to most confidential.
RANK = {"N": 1, "R": 2, "V": 3}

# HL7 v3-PurposeOfUse: each purpose with the wider ones whose rules cover it.
PURPOSES = {
    "TREAT": ["TREAT"], "CLINTRL": ["CLINTRL", "TREAT"], "COC": ["COC", "TREAT"], "POPHLTH": ["POPHLTH", "TREAT"],
    "ETREAT": ["ETREAT"], "BTG": ["BTG"], "ERTREAT": ["ERTREAT"],
    "HPAYMT": ["HPAYMT"], "CLMATTCH": ["CLMATTCH", "HPAYMT"], "COVAUTH": ["COVAUTH", "HPAYMT"],
    "COVERAGE": ["COVERAGE", "HPAYMT"], "REMITADV": ["REMITADV", "HPAYMT"],
    "ELIGDTRM": ["ELIGDTRM", "COVERAGE", "HPAYMT"], "ELIGVER": ["ELIGVER", "COVERAGE", "HPAYMT"],
    "ENROLLM": ["ENROLLM", "COVERAGE", "HPAYMT"], "MILDCRG": ["MILDCRG", "COVERAGE", "HPAYMT"],
    "HOPERAT": ["HOPERAT"], "CAREMGT": ["CAREMGT", "HOPERAT"], "DONAT": ["DONAT", "HOPERAT"],
    "FRAUD": ["FRAUD", "HOPERAT"], "GOV": ["GOV", "HOPERAT"], "HACCRED": ["HACCRED", "HOPERAT"],
    "HCOMPL": ["HCOMPL", "HOPERAT"], "HDECD": ["HDECD", "HOPERAT"], "HDIRECT": ["HDIRECT", "HOPERAT"],
    "HDM": ["HDM", "HOPERAT"], "HLEGAL": ["HLEGAL", "HOPERAT"], "HOUTCOMS": ["HOUTCOMS", "HOPERAT"],
    "HPRGRP": ["HPRGRP", "HOPERAT"], "HQUALIMP": ["HQUALIMP", "HOPERAT"],
    "HSYSADMIN": ["HSYSADMIN", "HOPERAT"], "LABELING": ["LABELING", "HSYSADMIN", "HOPERAT"],
    "METAMGT": ["METAMGT", "HSYSADMIN", "HOPERAT"], "MEMADMIN": ["MEMADMIN", "HOPERAT"],
    "MILCDM": ["MILCDM", "HOPERAT"], "PATADMIN": ["PATADMIN", "HOPERAT"], "PATSFTY": ["PATSFTY", "HOPERAT"],
    "PERFMSR": ["PERFMSR", "HOPERAT"], "RECORDMGT": ["RECORDMGT", "HOPERAT"],
    "SYSDEV": ["SYSDEV", "HOPERAT"], "HTEST": ["HTEST", "SYSDEV", "HOPERAT"], "TRAIN": ["TRAIN", "HOPERAT"],
    "HRESCH": ["HRESCH"], "BIORCH": ["BIORCH", "HRESCH"], "CLINTRCH": ["CLINTRCH", "HRESCH"],
    "CLINTRCHNPC": ["CLINTRCHNPC", "CLINTRCH", "HRESCH"], "CLINTRCHPC": ["CLINTRCHPC", "CLINTRCH", "HRESCH"],
    "PRECLINTRCH": ["PRECLINTRCH", "CLINTRCH", "HRESCH"], "DSRCH": ["DSRCH", "HRESCH"],
    "POARCH": ["POARCH", "HRESCH"], "TRANSRCH": ["TRANSRCH", "HRESCH"],
    "PATRQT": ["PATRQT"], "FAMRQT": ["FAMRQT", "PATRQT"], "PWATRNY": ["PWATRNY", "PATRQT"],
    "SUPNWK": ["SUPNWK", "PATRQT"],
    "PUBHLTH": ["PUBHLTH"], "DISASTER": ["DISASTER", "PUBHLTH"], "THREAT": ["THREAT", "PUBHLTH"],
    "HMARKT": ["HMARKT"],
}

LISTS = ["institutions", "roles", "persons", "kinds", "purposes", "holders", "records", "labels", "codes"]
TIMES = ["start", "end", "data_start", "data_end"]

MAX_ID = 64
MAX_ITEMS = 64
MAX_RULES = 64
MAX_CONSENTS = 64
MAX_RULES_IN_FORCE = 256
MAX_EXCEPTIONS = 8
TOKEN_BYTES = 16
HASH_BYTES = 32
HEX_NAME = 64
HEX_DIGITS = "0123456789abcdef"

consents = Map("consents")
in_force = Map("subjects")


@init
def found() -> None:
    """Let the registry tell of deaths."""
    call("registry", "enlist")


# --- What patients declare ---------------------------------------------------------------------


@export
def grant(id: str, subject: str, scope: dict, form: bytes = b"") -> None:
    """The patient permits what the scope says."""
    declare(id, subject, [rule_from(scope, "permit", True)], b"", form)


@export
def deny(id: str, subject: str, scope: dict, form: bytes = b"") -> None:
    """The patient denies what the scope says."""
    declare(id, subject, [rule_from(scope, "deny", True)], b"", form)


@export
def adopt(id: str, subject: str, rules: list, source: bytes, form: bytes = b"") -> None:
    """The patient declares several rules at once, from a document whose hash is `source`."""
    require(len(source) == HASH_BYTES, "bad_hash", "the document's hash has 32 bytes")
    require(1 <= len(rules) and len(rules) <= MAX_RULES, "bad_rules", "a consent has 1 to 64 rules")
    declare(id, subject, [rule_from(rule, rule["effect"], True) for rule in rules], source, form)


@export
def withdraw(id: str, form: bytes = b"") -> None:
    """The patient takes a consent back, from the next block on.

    What the patient declared herself, nobody takes back who speaks for her by a key of their own.
    """
    require(id in consents, "unknown_consent", "there is no consent of that id")
    consent = consents[id]
    require(consent["status"] == "active", "already_withdrawn", "the consent was withdrawn before")
    subject = consent["subject"]
    by = call("registry", "given_by", subject=subject, form=form)
    require(by == [subject] or len(by) > 1 or consent["given_by"] != [subject], "own_declaration", "the patient gave it herself")
    consent["withdrawn_by"] = by
    consent["withdrawn"] = {"height": height(), "time": now(), "form": form}
    consent["status"] = "withdrawn"
    entries = in_force.get(subject, [])
    for entry in entries:
        if entry["consent"] == id:
            consent["rules"] = entry["rules"]
    in_force[subject] = [entry for entry in entries if entry["consent"] != id]
    consents[id] = consent
    emit("withdrawn", consent=id, subject=subject)


@export
def end_with_death(subject: str) -> None:
    """What a patient permitted ends when she has died. For the registry alone."""
    require(caller() == "registry", "registry_only", "the registry tells of deaths")
    entries = in_force.get(subject, [])
    if len(entries) > 0:
        in_force[subject] = [
            {"consent": entry["consent"], "version": entry["version"], "rules": ending(entry["rules"], now())}
            for entry in entries
        ]
        emit("ended_with_death", subject=subject)


def declare(id: str, subject: str, rules: list, source: bytes, form: bytes) -> None:
    """Put rules in force. While they are, they are kept once, in the list of their subject."""
    require(0 < len(id) and len(id) <= MAX_ID, "bad_id", "an id has 1 to 64 characters")
    require(id not in consents, "consent_exists", "the id is taken")
    given_by = call("registry", "given_by", subject=subject, form=form)
    last = 0
    if given_by != [subject]:
        last = call("registry", "say_ends", subject=subject, speakers=given_by)
        if last != 0:
            rules = ending(rules, last)
    entries = in_force.get(subject, [])
    if len(entries) == MAX_CONSENTS:
        entries = without_ended(entries)
    require(len(entries) < MAX_CONSENTS, "too_many_consents", "withdraw one first")
    count = sum([len(entry["rules"]) for entry in entries]) + len(rules)
    require(count <= MAX_RULES_IN_FORCE, "too_many_rules", "withdraw a consent first")
    entries.append({"consent": id, "version": height(), "rules": rules})
    in_force[subject] = entries
    consents[id] = {
        "subject": subject, "status": "active", "given_by": given_by, "form": form, "source": source,
        "height": height(), "time": now(),
    }
    emit("declared", consent=id, subject=subject, until=last)


def ending(rules: list, last: int) -> list:
    """Rules of which nothing permits beyond a time; what they deny goes on."""
    for rule in rules:
        if rule["effect"] == "permit":
            rule["end"] = min(rule.get("end", last), last)
        for exception in rule.get("unless", []):
            exception["end"] = min(exception.get("end", last), last)
    return rules


def without_ended(entries: list) -> list:
    """The entries that can still count. The rules of the others go to where their consent is."""
    kept = []
    for entry in entries:
        if all(["end" in rule and rule["end"] <= now() for rule in entry["rules"]]):
            consent = consents[entry["consent"]]
            consent["rules"] = entry["rules"]
            consents[entry["consent"]] = consent
        else:
            kept.append(entry)
    return kept


# --- From a scope to a rule --------------------------------------------------------------------


def rule_from(scope: dict, effect: str, outermost: bool) -> dict:
    """A rule with only the parts that limit it. Refuses whatever it cannot understand."""
    require(effect in ["permit", "deny"], "unknown_effect", "a rule permits or denies")
    rule: dict = {"effect": effect}
    for part in scope:
        value = scope[part]
        if part in LISTS:
            if len(value) > 0:
                check_items(part, value)
                rule[part] = value
        elif part in TIMES:
            require(str(value) == str(int(value)), "bad_time", "times are milliseconds since 1970")
            if value != 0:
                rule[part] = value
        elif part == "confidentiality":
            require(value == "" or value in RANK, "unknown_confidentiality", "N, R or V")
            if value != "":
                rule[part] = value
        elif part == "label_key":
            check_token(value)
            rule[part] = value
        elif part == "unless":
            require(effect == "deny" and outermost, "bad_exception", "a denial has exceptions, a permit is narrowed by denials")
            require(list(value) == value and len(value) <= MAX_EXCEPTIONS, "bad_exception", "at most 8 exceptions")
            rule[part] = [rule_from(exception, "permit", False) for exception in value]
        else:
            require(part == "effect", "unknown_part", "the scope has a part that no rule has")
            require(value == effect, "contradiction", "the scope says the opposite")
    require(in_order(rule, "start", "end"), "bad_time", "the consent ends before it starts")
    require(in_order(rule, "data_start", "data_end"), "bad_time", "the data period ends before it starts")
    tokens = "labels" in rule or "codes" in rule
    require(tokens == ("label_key" in rule), "label_key_missing", "tokens come with the token of their key")
    if effect == "permit":
        require("purposes" in rule, "purpose_missing", "a permit names its purposes")
        if "confidentiality" not in rule:
            rule["confidentiality"] = "N"
    return rule


def in_order(rule: dict, first: str, second: str) -> bool:
    return first not in rule or second not in rule or rule[first] < rule[second]


def check_items(part: str, items: list) -> None:
    # A text would also have items, and `in` would then find parts of words.
    require(list(items) == items, "bad_scope", "a list is needed")
    require(len(items) <= MAX_ITEMS, "scope_too_long", "at most 64 items")
    if part == "purposes":
        require(all([item in PURPOSES for item in items]), "unknown_purpose", "not a code of v3-PurposeOfUse")
    elif part == "institutions" or part == "holders":
        # A misspelt institution would make a denial void without anybody noticing.
        for item in items:
            require(call("governance", "is_known", id=item), "unknown_institution")
    elif part == "persons":
        for item in items:
            require(call("registry", "is_known", id=item), "unknown_person")
    elif part == "roles":
        require(all([item in ROLES for item in items]), "unknown_role", "not a code of the list of roles")
    elif part == "kinds":
        require(all([item in CLASSES for item in items]), "unknown_class", "not a class of records")
    elif part == "labels" or part == "codes":
        for item in items:
            check_token(item)
    else:
        for item in items:
            require(len(item) == HEX_NAME, "bad_record_name", "a record's name is 64 hex digits")
            require(all([digit in HEX_DIGITS for digit in item]), "bad_record_name")


def check_token(token: bytes) -> None:
    # A text of this length would be no token, and a denial that names it would deny nothing.
    require(len(token.hex()) == 2 * TOKEN_BYTES, "bad_token", "a token has 16 bytes")


# --- Deciding ----------------------------------------------------------------------------------


@query
def decide(request: dict) -> dict:
    """What the patient's consents in force say to a request: permit, deny, or none.

    The request names subject, requester, roles, institution, purpose, holder, record (hex),
    kind, confidentiality, data_start, data_end, and labels: the record's tokens as far as the
    requester has shown them, which `access` has checked. One rule that denies decides. In what
    permits, `named` says whether the rule names the recipient rather than a role or everybody.
    """
    purposes = PURPOSES.get(request["purpose"])
    if purposes is None or request["confidentiality"] not in RANK:
        return denies("not-understood", purpose=request["purpose"])
    permit = None
    for entry in in_force.get(request["subject"], []):
        for rule in entry["rules"]:
            if rule["effect"] == "deny":
                if names(rule, request, purposes) and denial_reaches(rule, request):
                    if not excepted(rule, request, purposes):
                        return denies("patient-denies", consent=entry["consent"], given=entry["version"])
            elif permit is None or not permit["named"]:
                if names(rule, request, purposes) and permit_reaches(rule, request):
                    named = "institutions" in rule or "persons" in rule
                    if permit is None or named:
                        permit = {"consent": entry["consent"], "given": entry["version"], "end": rule.get("end", 0), "named": named}
    if permit is None:
        return silent("no-consent-applies")
    return permits(
        "patient-permits", until=permit["end"], consent=permit["consent"], given=permit["given"], named=permit["named"]
    )


def excepted(rule: dict, request: dict, purposes: list) -> bool:
    """Whether one of a denial's own exceptions takes the request out of it."""
    for exception in rule.get("unless", []):
        if names(exception, request, purposes) and permit_reaches(exception, request):
            return True
    return False


def names(rule: dict, request: dict, purposes: list) -> bool:
    """Whether a rule is in force and speaks of this recipient, purpose and record."""
    if "end" in rule and now() >= rule["end"]:
        return False
    if "start" in rule and now() < rule["start"]:
        return False
    if "purposes" in rule and not overlap(purposes, rule["purposes"]):
        return False
    if "institutions" in rule and request["institution"] not in rule["institutions"]:
        return False
    if "roles" in rule and not overlap(request["roles"], rule["roles"]):
        return False
    if "persons" in rule and request["requester"] not in rule["persons"]:
        return False
    if "kinds" in rule and request["kind"] not in rule["kinds"]:
        return False
    if "holders" in rule and request["holder"] not in rule["holders"]:
        return False
    return "records" not in rule or request["record"] in rule["records"]


def permit_reaches(rule: dict, request: dict) -> bool:
    """A permit covers records up to its confidentiality, inside its data period, and of its labels."""
    if RANK[request["confidentiality"]] > RANK[rule["confidentiality"]]:
        return False
    for part in ["labels", "codes"]:
        if part in rule and not overlap(rule[part], request["labels"]):
            return False
    if "data_start" not in rule and "data_end" not in rule:
        return True
    if undated(request):
        return False
    if "data_start" in rule and request["data_start"] < rule["data_start"]:
        return False
    return "data_end" not in rule or request["data_end"] < rule["data_end"]


def denial_reaches(rule: dict, request: dict) -> bool:
    """A denial covers records from its confidentiality upwards that touch its data period, and all
    that have its labels or may have them."""
    if "confidentiality" in rule and RANK[request["confidentiality"]] < RANK[rule["confidentiality"]]:
        return False
    if "label_key" in rule and rule["label_key"] in request["labels"]:
        for part in ["labels", "codes"]:
            if part in rule and not overlap(rule[part], request["labels"]):
                return False
    if undated(request):
        return True
    if "data_start" in rule and request["data_end"] < rule["data_start"]:
        return False
    return "data_end" not in rule or request["data_start"] < rule["data_end"]


def undated(request: dict) -> bool:
    """A record without a period lies inside none and touches every one."""
    return request["data_start"] == 0 and request["data_end"] == 0


def overlap(some: list, others: list) -> bool:
    for item in some:
        if item in others:
            return True
    return False


# --- Questions ---------------------------------------------------------------------------------


@query
def get(id: str) -> dict | None:
    """A consent with its rules, or nothing."""
    if id not in consents:
        return None
    consent = consents[id]
    for entry in in_force.get(consent["subject"], []):
        if entry["consent"] == id:
            consent["rules"] = entry["rules"]
    consent["id"] = id
    return consent


@query
def active(subject: str) -> list:
    """The consents of a subject that were given and not withdrawn, each with its rules.

    Those that have run out leave this list when it is full and a new one needs their place.
    """
    return in_force.get(subject, [])
