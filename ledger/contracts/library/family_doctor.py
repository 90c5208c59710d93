"""Family doctor: while a patient's contract with a team is in force, the team sees her records (FD).

A patient signs for a year with a named team of an institution. The grant is for those who are on the
team when she signs. Who joins later is announced first: for some days every patient of the team can
object, and only then does the newcomer see the records of those who have not. Leaving the team takes
effect at once. The contract ends by either side, by moving, by a contract with another team, by death,
or when it is not renewed.
"""

from ledger.contracts.prelude import Map, Value, call, caller, days, emit, export, height, init, now, permits, query, require, signers, silent

TEAM_ROLES = ["family-doctor", "village-doctor", "physician", "nurse", "public-health-officer", "pharmacist"]
LEAD_ROLES = ["family-doctor", "physician", "village-doctor"]
PURPOSES = ["TREAT", "COC", "CAREMGT"]
RANK = {"N": 1, "R": 2}
ENDINGS = ["patient-wish", "institution-ends", "moved", "deceased", "entered-in-error"]

# Lowest and highest value of each parameter.
BOUNDS = {"longest_days": [30, 1100], "objection_days": [1, 60], "renewal_days": [1, 120]}
MAX_ID = 64
MAX_TEAM = 24
MAX_OBJECTIONS = 24
ID_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

settings = Value("settings")
local = Map("local")
# Institution and team → who belongs to it, and since when each may see records.
teams = Map("teams")
# Patient → the contract in force.
contracts = Map("subjects")
# Contract → how it began and ended.
signed = Map("contracts")


@init
def found(longest_days: int = 366, objection_days: int = 7, renewal_days: int = 30) -> None:
    """Fix for how long a contract is signed, how long patients may object to a newcomer, and how long
    before its end a contract may be renewed."""
    settings.set(checked({
        "longest_days": longest_days, "objection_days": objection_days, "renewal_days": renewal_days,
    }))
    call("registry", "enlist")


# --- Teams -------------------------------------------------------------------------------------


@export
def form_team(institution: str, team: str, lead: str, members: list) -> None:
    """A registrar of the institution forms a team, which has no patients yet."""
    call("registry", "acting", key=signers()[0], institution=institution, roles=["registrar"])
    check_id(team)
    require((institution, team) not in teams, "team_exists", "the name is taken")
    require(lead in members, "lead_missing", "the lead belongs to the team")
    require(len(members) <= MAX_TEAM, "team_too_large", "at most 24 members")
    require(works_as(lead, institution, LEAD_ROLES), "not_suited", "a doctor leads the team")
    since = {}
    for person in members:
        require(works_as(person, institution, TEAM_ROLES), "not_suited", "that person has no such role there")
        since[person] = now()
    teams[institution, team] = {"lead": lead, "members": since, "formed": now()}
    emit("team_formed", institution=institution, team=team)


@export
def announce(institution: str, team: str, person: str) -> int:
    """The lead announces a new member; returns from when the newcomer may see records.

    The patients of the team follow this event. Who objects until then stays out of the newcomer's sight.
    """
    entry = led_by_signer(institution, team)
    require(person not in entry["members"], "already_a_member", "that person belongs to the team")
    require(len(entry["members"]) < MAX_TEAM, "team_too_large", "at most 24 members")
    require(works_as(person, institution, TEAM_ROLES), "not_suited", "that person has no such role there")
    since = now() + days(terms_at(institution)["objection_days"])
    entry["members"][person] = since
    teams[institution, team] = entry
    emit("member_announced", institution=institution, team=team, person=person, since=since)
    return since


@export
def remove(institution: str, team: str, person: str) -> None:
    """The lead ends somebody's membership, at once."""
    entry = led_by_signer(institution, team)
    require(person in entry["members"], "not_a_member_of_team", "that person does not belong to the team")
    require(person != entry["lead"], "lead_missing", "the lead belongs to the team")
    del entry["members"][person]
    teams[institution, team] = entry
    emit("member_removed", institution=institution, team=team, person=person)


# --- Contracts ---------------------------------------------------------------------------------


@export
def sign(id: str, subject: str, institution: str, team: str, until: int, confidentiality: str = "N", form: bytes = b"") -> None:
    """The patient signs with a team until a date, for records up to level N or R.

    A contract that she has with another team ends with it. Without her own key, a registrar and a
    witness of the institution hold her signed form.
    """
    check_id(id)
    require(id not in signed, "contract_exists", "the id is taken")
    require(confidentiality in RANK, "unknown_confidentiality", "N or R")
    require((institution, team) in teams, "unknown_team", "there is no such team")
    given_by = call("registry", "given_by", subject=subject, form=form)
    if len(given_by) > 1:
        call("registry", "acting", key=signers()[0], institution=institution, roles=["registrar"])
    check_end(institution, until)
    until = while_said(subject, given_by, until)
    if subject in contracts:
        finish(subject, "replaced")
    contracts[subject] = {
        "contract": id, "institution": institution, "team": team, "level": confidentiality, "signed": now(),
        "until": until, "objections": [],
    }
    signed[id] = {
        "subject": subject, "institution": institution, "team": team, "given_by": given_by, "form": form,
        "time": now(), "height": height(), "status": "in-force", "renewals": 0, "until": until,
    }
    emit("signed", contract=id, subject=subject, institution=institution, team=team, until=until)


def while_said(subject: str, given: list, until: int) -> int:
    """An end no later than the say of who agrees in a patient's name: a guardian's ends at 14 and 18."""
    last = 0 if given == [subject] else call("registry", "say_ends", subject=subject, speakers=given)
    return until if last == 0 else min(until, last)


@export
def renew(id: str, until: int, form: bytes = b"") -> None:
    """The patient renews the contract, during the last days of it."""
    contract, entry = in_force(id)
    subject = entry["subject"]
    given_by = call("registry", "given_by", subject=subject, form=form)
    notice = days(terms_at(contract["institution"])["renewal_days"])
    require(contract["until"] - notice <= now(), "too_early", "renewed shortly before its end")
    check_end(contract["institution"], until)
    until = while_said(subject, given_by, until)
    contract["until"] = until
    contracts[subject] = contract
    entry["renewals"] += 1
    entry["until"] = until
    signed[id] = entry
    emit("renewed", contract=id, subject=subject, institution=contract["institution"], until=until)


@export
def object_to(id: str, person: str, form: bytes = b"") -> None:
    """The patient does not want a member of the team, newcomer or not, to see her records."""
    contract, entry = in_force(id)
    call("registry", "given_by", subject=entry["subject"], form=form)
    require(person in teams[contract["institution"], contract["team"]]["members"], "not_a_member_of_team", "not on the team")
    require(person not in contract["objections"], "already_objected", "the patient has said so before")
    require(len(contract["objections"]) < MAX_OBJECTIONS, "too_many_objections", "end the contract instead")
    contract["objections"].append(person)
    contracts[entry["subject"]] = contract
    emit("objected", contract=id, subject=entry["subject"], institution=contract["institution"], person=person)


@export
def end(id: str, reason: str, form: bytes = b"") -> None:
    """The patient or the institution ends the contract, for a coded reason, at once."""
    require(reason in ENDINGS, "unknown_reason", "not a code of the list of reasons")
    contract, entry = in_force(id)
    if reason == "patient-wish":
        call("registry", "given_by", subject=entry["subject"], form=form)
    elif not is_signer(entry["subject"]):
        call("registry", "acting", key=signers()[0], institution=contract["institution"], roles=["registrar", "family-doctor"])
    finish(entry["subject"], reason)


@export
def end_with_death(subject: str) -> None:
    """The registry tells that a patient has died."""
    require(caller() == "registry", "registry_only", "the registry tells of deaths")
    if subject in contracts:
        finish(subject, "deceased")


@export
def lapse(subject: str) -> None:
    """Anybody in the registry has a contract ended that ended by itself: it has run out, or the
    patient's registration was revoked."""
    require(call("registry", "whois", key=signers()[0]) is not None, "unknown_key", "the signer is not in the registry")
    require(subject in contracts, "not_in_force", "the patient has no contract")
    patient = call("registry", "person", id=subject)
    gone = patient["status"] != "active"
    require(gone or contracts[subject]["until"] <= now(), "in_force", "the contract goes on")
    finish(subject, patient["status"] if gone else "not-renewed")


# --- Deciding ----------------------------------------------------------------------------------


@query
def decide(request: dict) -> dict:
    """Permit what the patient signed for, to members of her team whose entry she has not objected to."""
    if request["purpose"] in PURPOSES and request["confidentiality"] in RANK:
        contract = contracts.get(request["subject"])
        if contract is not None and contract["institution"] == request["institution"] and now() < contract["until"]:
            if RANK[request["confidentiality"]] <= RANK[contract["level"]] and request["requester"] not in contract["objections"]:
                members = teams[contract["institution"], contract["team"]]["members"]
                since = members.get(request["requester"])
                if since is not None and since <= now():
                    return permits("family-doctor-contract", until=contract["until"], agreement=contract["contract"])
    return silent("no-family-doctor")


# --- Parameters --------------------------------------------------------------------------------


@export
def amend(county: str, values: dict) -> None:
    """Change parameters, for one county or, where none is named, for all that have none of their own."""
    require(caller() == "charter", "charter_only", "parameters change by a vote of the members")
    if county == "":
        settings.set(checked(merged(settings.get(), values)))
    else:
        local[county] = checked(merged(local.get(county, {}), values))


def checked(values: dict) -> dict:
    for name in values:
        require(name in BOUNDS, "unknown_parameter", "the contract has no such parameter")
        lowest, highest = BOUNDS[name]
        require(lowest <= values[name] and values[name] <= highest, "out_of_bounds", "the parameter has bounds")
    return values


def merged(old: dict, new: dict) -> dict:
    for name in new:
        old[name] = new[name]
    return old


def terms_at(institution: str) -> dict:
    """The parameters that hold for an institution, by its county."""
    return merged(settings.get(), local.get(call("governance", "institution", id=institution)["county"], {}))


# --- Helpers -----------------------------------------------------------------------------------


def in_force(id: str) -> tuple:
    """The contract of an id with how it began; fails when it has ended or run out."""
    require(id in signed, "unknown_contract_id", "there is no contract of that id")
    entry = signed[id]
    contract = contracts.get(entry["subject"])
    current = contract is not None and contract["contract"] == id and now() < contract["until"]
    require(current, "not_in_force", "the contract has ended")
    return contract, entry


def finish(subject: str, reason: str) -> None:
    contract = contracts[subject]
    entry = signed[contract["contract"]]
    entry["status"] = "ended"
    entry["reason"] = reason
    entry["ended"] = min(now(), contract["until"])
    signed[contract["contract"]] = entry
    del contracts[subject]
    emit("ended", contract=contract["contract"], subject=subject, institution=contract["institution"], reason=reason)


def check_end(institution: str, until: int) -> None:
    longest = days(terms_at(institution)["longest_days"])
    require(now() < until and until <= now() + longest, "bad_time", "longer than the rules allow")


def check_id(id: str) -> None:
    require(0 < len(id) and len(id) <= MAX_ID and all([letter in ID_LETTERS for letter in id]), "bad_id", "letters, digits, - _ . only")


def led_by_signer(institution: str, team: str) -> dict:
    require((institution, team) in teams, "unknown_team", "there is no such team")
    entry = teams[institution, team]
    person = call("registry", "acting", key=signers()[0], institution=institution, roles=[])
    require(person["id"] == entry["lead"] or "registrar" in person["roles"], "not_the_lead", "the lead or a registrar")
    return entry


def is_signer(id: str) -> bool:
    person = call("registry", "whois", key=signers()[0])
    return person is not None and person["id"] == id


def works_as(id: str, institution: str, roles: list) -> bool:
    person = call("registry", "person", id=id)
    if person is None or person["status"] != "active":
        return False
    for affiliation in person["affiliations"]:
        if affiliation["institution"] == institution:
            return any([role in roles for role in affiliation["roles"]])
    return False


# --- Questions ---------------------------------------------------------------------------------


@query
def get(id: str) -> dict | None:
    """How a contract began and whether it has ended, or nothing."""
    return signed.get(id)


@query
def of(subject: str) -> dict | None:
    """The newest contract of a patient that was not ended, or nothing. It may have run out."""
    return contracts.get(subject)


@query
def team(institution: str, name: str) -> dict | None:
    """A team with its members and since when each may see records, or nothing."""
    return teams.get((institution, name))
