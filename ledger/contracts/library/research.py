"""Research: data for a study that was approved, about patients who agreed, under their conditions.

An ethics officer registers a study with the hash of its approval, until when it holds, what kind of
study it is, and the researchers by name and institution. A patient agrees to one study, or broadly
to studies of a kind, under conditions. These are codes of the GA4GH Data Use Ontology, as a list of
alternatives: one of them must be met in full, and a condition that is not understood is refused.

Data that go abroad need both: the patient's separate consent to that, and the approval of the
export by the commission. Whose institutions are abroad is decided by the members, not by a study.

Research without an approved study is denied, also where a patient permits research in general.
Withdrawing stops every new access; what was lawfully received before stays with the study, which
may not relink it to a person.
"""

from ledger.contracts.prelude import Map, Value, call, caller, days, denies, emit, export, init, limits, now, permits, query, require, signers, silent

CATEGORIES = ["GRU", "HMB", "DS"]
CLASSES = [
    "laboratory", "imaging", "ecg", "pathology", "note", "prescription", "referral",
    "immunization", "procedure", "condition", "encounter", "careplan", "claim", "other",
]
LEVELS = {"N": ["N"], "R": ["N", "R"]}
# Conditions that stand alone, and those that name something: "DS:…", "US:…", "COL:…", "TS:…", "RS:…".
PLAIN = ["NRES", "GRU", "HMB", "IRB", "NCU", "NPOA", "PUB"]
NAMING = ["DS", "US", "COL", "TS", "RS"]
PROMISES = ["non-commercial", "no-ancestry", "publishes"]
DUTIES = ["DEID", "NORELINK", "NOREUSE", "NORDSCLCD", "DELAU"]
REASONS = ["approval-withdrawn", "misconduct", "incident", "finished"]
BROAD = "broad"

MAX_ID = 64
ID_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
MAX_TEAM = 32
MAX_ITEMS = 64
MAX_ALTERNATIVES = 8
MAX_CONDITIONS = 8
HASH_BYTES = 32
HEX_HASH = 64
HEX_DIGITS = "0123456789abcdef"
LOWEST_DAYS = 1
HIGHEST_DAYS = 3650

# approval_days: how long an approval can hold; abroad: institutions outside the country.
settings = Value("settings")
studies = Map("studies")
cohorts = Map("subjects")


@init
def found(approval_days: int = 1095, abroad: list = []) -> None:
    """Take over how long an approval can hold, and which institutions are abroad."""
    check_settings({"approval_days": approval_days, "abroad": abroad})
    settings.set({"approval_days": approval_days, "abroad": abroad})


@export
def amend(county: str, values: dict) -> None:
    """Set `approval_days` or `abroad`, for all: a study crosses the borders of counties."""
    require(caller() == "charter", "charter_only", "this follows a vote of the members")
    require(county == "", "not_by_county", "a study crosses the borders of counties")
    current = settings.get()
    for name in values:
        current[name] = values[name]
    check_settings(current)
    settings.set(current)


def check_settings(values: dict) -> None:
    require(sorted(list(values)) == ["abroad", "approval_days"], "unknown_parameter")
    require(LOWEST_DAYS <= values["approval_days"] and values["approval_days"] <= HIGHEST_DAYS, "out_of_bounds")
    require(len(values["abroad"]) <= MAX_ITEMS, "out_of_bounds", "at most 64 institutions")


# --- Studies -----------------------------------------------------------------------------------


@export
def register(id: str, board: str, approval: bytes, ends: int, terms: dict, team: list) -> None:
    """An ethics officer of `board` registers an approved study.

    `approval` is the hash of the board's decision. `terms` says what the study is: `category` (GRU
    any research, HMB health research, DS one disease), `disease` (hex of a commitment to its code,
    or ""), `promises`, `kinds` and `level` of the records, `partners` that work with it. `team` is
    a list of {"person", "institution"}.
    """
    require(0 < len(id) and len(id) <= MAX_ID and id != BROAD, "bad_id", "an id has 1 to 64 characters")
    require(all([letter in ID_LETTERS for letter in id]), "bad_id", "letters, digits, - _ . only")
    require(id not in studies, "study_exists", "the id is taken")
    officer = officer_of(board)
    check_approval(approval, ends)
    check_terms(terms)
    check_team(team, officer)
    studies[id] = {
        "board": board, "approval": approval, "ends": ends, "terms": terms, "team": team, "by": officer,
        "time": now(), "status": "approved", "exports": {},
    }
    emit("study_registered", study=id, board=board, ends=ends)


@export
def renew(id: str, approval: bytes, ends: int, team: list) -> None:
    """The board approves a study further, with the team that it has from now on."""
    study = known(id)
    officer = officer_of(study["board"])
    require(study["status"] in ["approved", "suspended"], "study_over", "a study that has ended stays so")
    check_approval(approval, ends)
    check_team(team, officer)
    study["approval"] = approval
    study["ends"] = ends
    study["team"] = team
    study["status"] = "approved"
    studies[id] = study
    emit("study_renewed", study=id, ends=ends, team=len(team))


@export
def suspend(id: str, reason: str) -> None:
    """The board stops all access until it renews the study."""
    stop(id, "suspended", reason)


@export
def finish(id: str, reason: str) -> None:
    """The board ends a study for good."""
    stop(id, "ended", reason)


@export
def approve_export(id: str, institution: str, authority: str, approval: bytes, ends: int) -> None:
    """An auditor of the commission approves that data of a study go to one institution abroad."""
    study = known(id)
    call("registry", "acting", key=signers()[0], institution=authority, roles=["auditor"])
    require(institution in settings.get()["abroad"], "not_abroad", "an export goes to an institution abroad")
    check_approval(approval, ends)
    study["exports"][institution] = {"approval": approval, "ends": ends, "authority": authority}
    require(len(study["exports"]) <= MAX_ITEMS, "too_many_exports")
    studies[id] = study
    emit("export_approved", study=id, institution=institution, ends=ends)


def stop(id: str, status: str, reason: str) -> None:
    study = known(id)
    officer_of(study["board"])
    require(reason in REASONS, "unknown_reason", "not a code of the list of reasons")
    require(study["status"] != "ended", "study_over", "a study that has ended stays so")
    study["status"] = status
    study["reason"] = reason
    studies[id] = study
    emit("study_stopped", study=id, status=status, reason=reason)


def officer_of(board: str) -> str:
    return call("registry", "acting", key=signers()[0], institution=board, roles=["ethics-officer"])["id"]


def known(id: str) -> dict:
    require(id in studies, "unknown_study", "there is no study of that id")
    return studies[id]


def check_approval(approval: bytes, ends: int) -> None:
    require(len(approval) == HASH_BYTES, "approval_missing", "the hash of the approval has 32 bytes")
    longest = now() + days(settings.get()["approval_days"])
    require(now() < ends and ends <= longest, "bad_time", "an approval ends, and not too far away")


def check_terms(terms: dict) -> None:
    parts = ["category", "disease", "kinds", "level", "partners", "promises"]
    require(sorted(list(terms)) == parts, "bad_terms", "a study has six terms")
    require(terms["category"] in CATEGORIES, "unknown_category", "GRU, HMB or DS")
    require((terms["category"] == "DS") == (terms["disease"] != ""), "disease_missing", "DS names a disease, others none")
    require(terms["disease"] == "" or is_hash(terms["disease"]), "disease_missing", "a commitment in hex")
    require(len(terms["kinds"]) > 0 and all([kind in CLASSES for kind in terms["kinds"]]), "unknown_class")
    require(terms["level"] in LEVELS, "unknown_confidentiality", "N or R")
    require(len(terms["partners"]) <= MAX_ITEMS, "bad_terms", "at most 64 partners")
    require(all([promise in PROMISES for promise in terms["promises"]]), "unknown_promise")


def check_team(team: list, officer: str) -> None:
    require(0 < len(team) and len(team) <= MAX_TEAM, "bad_team", "1 to 32 researchers")
    for member in team:
        require(sorted(list(member)) == ["institution", "person"], "bad_team", "a person at an institution")
        require(call("registry", "is_known", id=member["person"]), "unknown_person")
        require(member["person"] != officer, "own_case", "nobody approves an own study")


# --- Patients ----------------------------------------------------------------------------------


@export
def join(subject: str, study: str, uses: list, level: str, ends: int, form: bytes = b"") -> None:
    """The patient agrees to one study, or to studies in general (`broad`), until `ends`.

    `uses` is a list of alternatives, each a list of conditions that must all be met. Records up to
    `level` are meant. This takes the place of what she agreed to before. Data stay in the country
    unless `allow_abroad` is signed as well.
    """
    given = call("registry", "given_by", subject=subject, form=form)
    require(study == BROAD or study in studies, "unknown_study", "there is no study of that id")
    require(level in LEVELS, "unknown_confidentiality", "N or R")
    require(now() < ends and ends <= now() + days(HIGHEST_DAYS), "bad_time", "a consent ends within ten years")
    check_uses(uses)
    ends = while_said(subject, given, ends)
    cohorts[subject, study] = {"uses": uses, "level": level, "ends": ends, "given": now(), "abroad": []}
    emit("joined", subject=subject, study=study, ends=ends)


def while_said(subject: str, given: list, until: int) -> int:
    """An end no later than the say of who agrees in a patient's name: a guardian's ends at 14 and 18."""
    last = 0 if given == [subject] else call("registry", "say_ends", subject=subject, speakers=given)
    return until if last == 0 else min(until, last)


@export
def allow_abroad(subject: str, study: str, institution: str, form: bytes = b"") -> None:
    """The patient's separate consent that data of a study, or broadly, go to one institution abroad."""
    call("registry", "given_by", subject=subject, form=form)
    entry = cohorts.get((subject, study))
    require(entry is not None and "left" not in entry, "not_joined", "agree to the study first")
    require(institution in settings.get()["abroad"], "not_abroad", "the institution is not abroad")
    entry["abroad"] = [other for other in entry["abroad"] if other != institution] + [institution]
    require(len(entry["abroad"]) <= MAX_ITEMS, "too_many_exports")
    cohorts[subject, study] = entry
    emit("abroad_allowed", subject=subject, study=study, institution=institution)


@export
def leave(subject: str, study: str, form: bytes = b"") -> None:
    """The patient takes back what she agreed to, or keeps out of a study that a broad consent or
    another permit would cover. No reason is asked."""
    call("registry", "given_by", subject=subject, form=form)
    require((subject, study) in cohorts or study in studies, "unknown_study", "there is no study of that id")
    if study == BROAD:
        del cohorts[subject, study]
    else:
        cohorts[subject, study] = {"left": now()}
    emit("left", subject=subject, study=study)


def check_uses(uses: list) -> None:
    require(0 < len(uses) and len(uses) <= MAX_ALTERNATIVES, "bad_uses", "1 to 8 alternatives")
    for conditions in uses:
        require(0 < len(conditions) and len(conditions) <= MAX_CONDITIONS, "bad_uses", "1 to 8 conditions")
        for condition in conditions:
            code, value = parts_of(condition)
            good = code in NAMING and value != "" or code in PLAIN and value == ""
            require(good, "unknown_condition", "not a condition that is understood here")
            require(code != "DS" or is_hash(value), "unknown_condition", "a disease is a commitment in hex")
            require(code != "TS" or int(value) > now(), "unknown_condition", "a time in ms that is to come")


def parts_of(condition: str) -> tuple:
    """The code of a condition, and what it names."""
    place = condition.find(":")
    return (condition, "") if place < 0 else (condition[:place], condition[place + 1:])


def is_hash(text: str) -> bool:
    return len(text) == HEX_HASH and all([digit in HEX_DIGITS for digit in text])


# --- Deciding ----------------------------------------------------------------------------------


@query
def decide(request: dict) -> dict:
    """Permit a named researcher of an approved study what the patient agreed to; deny research
    without one."""
    if request["branch"] != "HRESCH":
        return silent("not-research")
    study = studies.get(request["case"]) if request["case"] != "" else None
    if study is None:
        return denies("no-approved-study")
    terms = study["terms"]
    if study["status"] != "approved" or study["ends"] <= now():
        return denies("approval-not-in-force", study=request["case"])
    if {"person": request["requester"], "institution": request["institution"]} not in study["team"]:
        return denies("not-of-the-team", study=request["case"])
    if request["kind"] not in terms["kinds"] or request["confidentiality"] not in LEVELS[terms["level"]]:
        return denies("not-in-the-study", study=request["case"])
    abroad = request["institution"] in settings.get()["abroad"]
    if abroad and study["exports"].get(request["institution"], {"ends": 0})["ends"] <= now():
        return denies("export-not-approved", study=request["case"])
    until = study["ends"]
    for scope in [request["case"], BROAD]:
        entry = cohorts.get((request["subject"], scope))
        if entry is not None and "left" in entry:
            return denies("patient-has-left", study=request["case"])
        if entry is not None and now() < entry["ends"] and request["confidentiality"] in LEVELS[entry["level"]]:
            for conditions in entry["uses"]:
                if all([is_met(condition, request, study) for condition in conditions]):
                    if not abroad or request["institution"] in entry["abroad"]:
                        end = min([until, entry["ends"]] + [int(c[3:]) for c in conditions if c.startswith("TS:")])
                        return permits("cohort-consent", until=end, duties=DUTIES, study=request["case"], consent=scope)
    if abroad:
        return denies("no-consent-to-go-abroad", study=request["case"])
    return limits("approved-study", until=until, duties=DUTIES, study=request["case"])


def is_met(condition: str, request: dict, study: dict) -> bool:
    """Whether a study meets one condition; one that is not understood is not met."""
    terms = study["terms"]
    code, value = parts_of(condition)
    if code in ["NRES", "GRU", "IRB"]:
        # Every study here is research, and has the approval of a board.
        return True
    if code == "HMB":
        return terms["category"] in ["HMB", "DS"]
    if code == "DS":
        return terms["disease"] == value
    if code == "NCU":
        return "non-commercial" in terms["promises"]
    if code == "NPOA":
        return "no-ancestry" in terms["promises"] and request["purpose"] != "POARCH"
    if code == "PUB":
        return "publishes" in terms["promises"]
    if code == "COL":
        return value in terms["partners"]
    if code == "US":
        return request["institution"] == value
    if code == "RS":
        return request["case"] == value
    return code == "TS" and now() < int(value)


# --- Questions ---------------------------------------------------------------------------------


@query
def get(id: str) -> dict | None:
    """A study, or nothing."""
    return studies.get(id)


@query
def agreed(subject: str, study: str) -> dict | None:
    """What a patient agreed to for a study, or broadly, or nothing."""
    return cohorts.get((subject, study))
