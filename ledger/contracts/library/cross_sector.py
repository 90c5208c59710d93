"""Cross-sector: what a school, the police, an employer or a charity learns, and nothing more.

Departments outside the health sector see records only along a list that the members agreed on by
vote: which kind of department, for which purpose, which classes, and which fields of them. Under an
entry of that list there are two ways, each for one patient, one department and one holder:

- the patient's separate consent (PIPL, article 29), which ends whatever general consents say;
- a legal order, whose hash the department files together with an auditor of the commission. It
  prevails over the patient's denial. The auditor fixes the date at which the patient is told, at
  most 180 days ahead; it can be made earlier and never later, and no access stays hidden for good.

An employer never sees a diagnosis, whoever consents or orders: what an employee signs for her
employer is not given freely. Everything that is handed over is cut down to the listed fields, is
not passed on, and is deleted after use; the commission is told as well as the patient.
"""

from ledger.contracts.prelude import Map, Value, call, caller, days, denies, emit, export, forbids, init, now, obliges, permits, query, require, signers, silent

DEPARTMENTS = ["school", "nursery", "police", "civil-affairs", "employer", "charity", "other-department"]
PURPOSES = ["GOV", "HLEGAL", "SUPNWK"]
CLASSES = [
    "laboratory", "imaging", "ecg", "pathology", "note", "prescription", "referral",
    "immunization", "procedure", "condition", "encounter", "careplan", "claim", "other",
]
# What tells no diagnosis: that somebody is fit for work, or vaccinated.
EMPLOYER_MAY = ["encounter", "immunization", "other"]
RANK = {"N": 1, "R": 2, "V": 3}
# No more than needed, only the listed fields, for this alone, not passed on, deleted after use.
DUTIES = ["MINEC", "REDACT", "NOREUSE", "NORDSCLCD", "DELAU"]
# Where children are concerned, and who gives money for them, a guardian is told as well.
TOLD = {
    "school": ["auditor", "guardian"], "nursery": ["auditor", "guardian"], "charity": ["auditor", "guardian"],
    "police": ["auditor"], "civil-affairs": ["auditor"], "employer": ["auditor"], "other-department": ["auditor"],
}
BASES = ["consent", "order"]
PARTS = ["basis", "classes", "days", "fields", "kinds", "level", "purposes"]

# What holds where the founders said nothing.
USUAL = {
    "school-health": {
        "kinds": ["school", "nursery"], "purposes": ["SUPNWK"], "classes": ["immunization", "encounter"], "level": "N",
        "fields": ["vaccine", "date", "complete", "screening-result"], "basis": "consent", "days": 365,
    },
    "recruit-medical": {
        "kinds": ["other-department"], "purposes": ["GOV"], "classes": ["encounter", "laboratory", "imaging"], "level": "N",
        "fields": ["fitness", "date"], "basis": "consent", "days": 90,
    },
    "work-fitness": {
        "kinds": ["employer"], "purposes": ["GOV"], "classes": ["encounter"], "level": "N",
        "fields": ["fit", "restrictions", "valid-until"], "basis": "consent", "days": 365,
    },
    "charity-aid": {
        "kinds": ["charity"], "purposes": ["SUPNWK"], "classes": ["encounter", "claim"], "level": "N",
        "fields": ["need", "cost", "hospital"], "basis": "consent", "days": 180,
    },
    "civil-aid": {
        "kinds": ["civil-affairs"], "purposes": ["GOV"], "classes": ["encounter", "claim"], "level": "N",
        "fields": ["disability-grade", "cost"], "basis": "consent", "days": 180,
    },
    "judicial-order": {
        "kinds": ["police", "other-department"], "purposes": ["HLEGAL"],
        "classes": ["encounter", "condition", "laboratory", "note"], "level": "V",
        "fields": ["as-ordered"], "basis": "order", "days": 30,
    },
}

MAX_ID = 64
ID_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
MAX_ENTRIES = 32
MAX_FIELDS = 32
MAX_FIELD = 40
LONGEST_DAYS = 730
LONGEST_SEAL_DAYS = 180
HASH_BYTES = 32

settings = Value("settings")
# The entries that a county has instead of those for all, or beside them.
counties = Map("counties")
shares = Map("shares")


@init
def found(entries: dict = {}) -> None:
    """Take over the list that the founders agreed on, or the usual one."""
    chosen = USUAL if len(entries) == 0 else entries
    check_entries(chosen)
    settings.set(chosen)


@export
def amend(county: str, values: dict) -> None:
    """Set entries by name, for all or for the departments of one county. An empty one ends it."""
    require(caller() == "charter", "charter_only", "this follows a vote of the members")
    current = settings.get() if county == "" else counties.get(county, {})
    for name in values:
        current[name] = values[name]
    check_entries(current)
    if county == "":
        settings.set(current)
    else:
        counties[county] = current


# --- The two ways ------------------------------------------------------------------------------


@export
def agree(id: str, entry: str, subject: str, department: str, holder: str, ends: int, form: bytes = b"") -> None:
    """The patient's separate consent: this department, this entry of the list, this holder, until."""
    given = call("registry", "given_by", subject=subject, form=form)
    terms = terms_of(entry, department, "consent")
    share(id, entry, terms, subject, department, holder, while_said(subject, given, ends), {
        "basis": "consent", "form": form, "classes": terms["classes"], "told": 0,
    })


def while_said(subject: str, given: list, until: int) -> int:
    """An end no later than the say of who agrees in a patient's name: a guardian's ends at 14 and 18."""
    last = 0 if given == [subject] else call("registry", "say_ends", subject=subject, speakers=given)
    return until if last == 0 else min(until, last)


@export
def order(
    id: str, entry: str, subject: str, department: str, holder: str, ends: int, classes: list, document: bytes,
    authority: str, told: int,
) -> None:
    """A legal order: the department's liaison signs first, an auditor of the commission second.

    `document` is the hash of the order, `classes` those that it names, and `told` the block time in
    ms at which the patient is told, 0 for at once.
    """
    liaison = call("registry", "acting", key=signers()[0], institution=department, roles=["liaison"])
    require(len(signers()) > 1, "authority_missing", "the commission signs as well")
    auditor = call("registry", "acting", key=signers()[1], institution=authority, roles=["auditor"])
    require(len(document) == HASH_BYTES, "order_missing", "the hash of the order has 32 bytes")
    require(told == 0 or now() <= told and told <= now() + days(LONGEST_SEAL_DAYS), "bad_time", "told within 180 days")
    terms = terms_of(entry, department, "order")
    require(len(classes) > 0 and all([kind in terms["classes"] for kind in classes]), "not_listed", "other classes")
    require(call("registry", "is_known", id=subject) and subject.startswith("p-"), "unknown_person")
    share(id, entry, terms, subject, department, holder, ends, {
        "basis": "order", "document": document, "classes": classes, "told": told, "authority": authority,
        "by": liaison["id"], "with": auditor["id"],
    })


def share(
    id: str, entry: str, terms: dict, subject: str, department: str, holder: str, ends: int, more: dict
) -> None:
    require(0 < len(id) and len(id) <= MAX_ID, "bad_id", "an id has 1 to 64 characters")
    require(all([letter in ID_LETTERS for letter in id]), "bad_id", "letters, digits, - _ . only")
    require(id not in shares, "share_exists", "the id is taken")
    require(call("governance", "is_member", id=holder), "unknown_institution")
    require(now() < ends and ends <= now() + days(terms["days"]), "bad_time", "longer than the list allows")
    more["entry"] = entry
    more["subject"] = subject
    more["department"] = department
    more["holder"] = holder
    more["until"] = ends
    more["purposes"] = terms["purposes"]
    more["level"] = terms["level"]
    more["fields"] = terms["fields"]
    more["time"] = now()
    more["status"] = "open"
    shares[id] = more
    emit(
        "shared_with_department", share=id, entry=entry, department=department, holder=holder, basis=more["basis"],
        told=max(more["told"], now()), subject="" if more["told"] > now() else subject,
    )


@export
def withdraw(id: str, form: bytes = b"") -> None:
    """The patient takes her separate consent back."""
    entry = open_share(id)
    require(entry["basis"] == "consent", "not_a_consent", "an order is ended by the commission")
    call("registry", "given_by", subject=entry["subject"], form=form)
    end(id, entry, "withdrawn")


@export
def lift(id: str) -> None:
    """An auditor of the commission that signed an order ends it."""
    entry = open_share(id)
    require(entry["basis"] == "order", "not_an_order", "a consent is ended by the patient")
    call("registry", "acting", key=signers()[0], institution=entry["authority"], roles=["auditor"])
    end(id, entry, "lifted")


@export
def finish(id: str) -> None:
    """The department has what it needs."""
    entry = open_share(id)
    call("registry", "acting", key=signers()[0], institution=entry["department"], roles=["liaison"])
    end(id, entry, "finished")


@export
def reveal(id: str, told: int) -> None:
    """An auditor of the commission that signed an order has the patient told earlier."""
    entry = known(id)
    require(entry["basis"] == "order" and entry["told"] > now(), "already_told", "the patient was told")
    call("registry", "acting", key=signers()[0], institution=entry["authority"], roles=["auditor"])
    require(now() <= told and told < entry["told"], "bad_time", "only earlier than before")
    entry["told"] = told
    shares[id] = entry
    if told == now():
        tell(id)


@export
def tell(id: str) -> None:
    """Anybody has the patient told of an order, once its date has come."""
    entry = known(id)
    require(entry["told"] > 0, "already_told", "the patient was told")
    require(entry["told"] <= now(), "too_early", "the date has not come")
    entry["told"] = 0
    shares[id] = entry
    emit("order_told", share=id, subject=entry["subject"])


def end(id: str, entry: dict, status: str) -> None:
    entry["status"] = status
    entry["ended"] = now()
    shares[id] = entry
    emit("share_ended", share=id, status=status)


def known(id: str) -> dict:
    require(id in shares, "unknown_share", "there is no consent or order of that id")
    return shares[id]


def open_share(id: str) -> dict:
    entry = known(id)
    require(entry["status"] == "open", "not_open", "it has ended")
    return entry


# --- Deciding ----------------------------------------------------------------------------------


@query
def decide(request: dict) -> dict:
    """What a department may see; silent about everybody else."""
    department = request["institution_kind"]
    if department not in DEPARTMENTS:
        return silent("not-a-department")
    if department == "employer" and (request["kind"] not in EMPLOYER_MAY or request["confidentiality"] != "N"):
        return forbids("employer-sees-no-diagnosis")
    entry = shares.get(request["case"]) if request["case"] != "" else None
    if entry is None or "liaison" not in request["roles"]:
        return denies("no-separate-consent-or-order")
    if entry["department"] != request["institution"] or entry["subject"] != request["subject"]:
        return denies("not-of-this-case")
    if entry["status"] != "open" or entry["until"] <= now():
        return denies("has-ended")
    if entry["holder"] != request["holder"] or request["purpose"] not in entry["purposes"]:
        return denies("not-on-the-list")
    if request["kind"] not in entry["classes"] or RANK[request["confidentiality"]] > RANK[entry["level"]]:
        return denies("not-on-the-list")
    if entry["basis"] == "order":
        return obliges(
            "legal-order", until=entry["until"], duties=DUTIES, share=request["case"], fields=entry["fields"],
            tell=TOLD[department], told=entry["told"],
        )
    return permits(
        "separate-consent", until=entry["until"], duties=DUTIES, share=request["case"], fields=entry["fields"],
        tell=TOLD[department],
    )


# --- The list ----------------------------------------------------------------------------------


def terms_of(entry: str, department: str, basis: str) -> dict:
    """The entry of the list that holds for a department."""
    details = call("governance", "institution", id=department)
    require(details is not None and details["status"] == "member", "unknown_institution")
    terms = counties.get(details["county"], {}).get(entry)
    if terms is None:
        terms = settings.get().get(entry, {})
    require(len(terms) > 0, "not_listed", "no entry of that name is in force")
    require(details["kind"] in terms["kinds"], "not_listed", "the entry is for other departments")
    require(terms["basis"] == basis, "wrong_basis", "the entry asks for the other way")
    return terms


def check_entries(entries: dict) -> None:
    require(len(entries) <= MAX_ENTRIES, "too_many_entries", "at most 32")
    for name in entries:
        require(0 < len(name) and len(name) <= MAX_ID, "bad_entry", "a name has 1 to 64 characters")
        terms = entries[name]
        if len(terms) > 0:
            check_terms(terms)


def check_terms(terms: dict) -> None:
    require(sorted(list(terms)) == PARTS, "bad_entry", "an entry has seven parts")
    for part in ["kinds", "purposes", "classes", "fields"]:
        require(len(terms[part]) > 0, "bad_entry", "an entry says for whom, for what, which classes and fields")
    require(all([kind in DEPARTMENTS for kind in terms["kinds"]]), "not_a_department")
    require(all([purpose in PURPOSES for purpose in terms["purposes"]]), "wrong_purpose", "GOV, HLEGAL or SUPNWK")
    require(all([kind in CLASSES for kind in terms["classes"]]), "unknown_class", "not a class of records")
    require(len(terms["fields"]) <= MAX_FIELDS, "bad_entry", "at most 32 fields")
    require(all([0 < len(field) and len(field) <= MAX_FIELD for field in terms["fields"]]), "bad_entry")
    require(terms["level"] in RANK, "unknown_confidentiality", "N, R or V")
    require(terms["basis"] in BASES, "bad_entry", "consent or order")
    require(terms["level"] != "V" or terms["basis"] == "order", "too_confidential", "V needs an order")
    require(1 <= terms["days"] and terms["days"] <= LONGEST_DAYS, "out_of_bounds", "1 to 730 days")
    if "employer" in terms["kinds"]:
        good = terms["level"] == "N" and all([kind in EMPLOYER_MAY for kind in terms["classes"]])
        require(good, "employer_sees_no_diagnosis", "no vote can list a diagnosis for employers")


# --- Questions ---------------------------------------------------------------------------------


@query
def get(id: str) -> dict | None:
    """A separate consent or an order, or nothing."""
    return shares.get(id)


@query
def entries(county: str) -> dict:
    """The list in force for the departments of a county."""
    found = settings.get()
    own = counties.get(county, {})
    for name in own:
        found[name] = own[name]
    return {name: found[name] for name in found if len(found[name]) > 0}
