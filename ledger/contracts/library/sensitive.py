"""Sensitive records: psychiatric, psychological, HIV, addiction and the like stay with the care team.

Whoever asks for a sensitive record is denied, unless she acts for the holder or is of the patient's care
team: named in the patient's own consent, or entered in the care team with the patient's word. A consent to
"any physician" names nobody. It permits nothing by itself: even the team needs a consent, a referral or
another rule that permits. What is permitted may not be passed on or used for anything else.

What is sensitive: records from a level of confidentiality on, which the members fix; records of patients
whose protection was entered, from level R on, unless their labels are shown and none is a protected one;
and at any level those whose labels are shown and protected. Which labels these are nobody can read; they
are tokens. A legal duty passes, and so does an emergency.
"""

from ledger.contracts.prelude import Map, Value, call, caller, days, denies, emit, export, height, init, limits, now, query, require, signers, silent

RANK = {"N": 1, "R": 2, "V": 3}
EMERGENCIES = ["ETREAT", "ERTREAT", "BTG"]
PROTECTORS = ["registrar", "physician", "nurse", "family-doctor", "records-officer"]
DUTIES = ["NORDSCLCD", "NOREUSE"]

MAX_TEAM = 16
MAX_KEYS = 4
MAX_TOKENS = 16
TOKEN_BYTES = 16
HASH_BYTES = 32
BOUNDS = {"team_days": [1, 1830]}

settings = Value("settings")
teams = Map("teams")
guarded = Map("guarded")


@init
def found(level: str = "V", team_days: int = 730) -> None:
    """Fix from which level on every record counts as sensitive, and how long a place in a team lasts."""
    values = {"level": level, "team_days": team_days}
    check_values(values)
    settings.set(values)


@export
def amend(county: str, values: dict) -> None:
    """Change what was fixed. It is the same in all counties, as the records travel."""
    require(caller() == "charter", "charter_only", "this follows a vote of the members")
    require(county == "", "same_everywhere", "sensitivity does not differ by county")
    current = settings.get()
    for name in values:
        current[name] = values[name]
    check_values(current)
    settings.set(current)


def check_values(values: dict) -> None:
    require(len(values) == 2, "unknown_parameter")
    require(values["level"] in ["R", "V"], "out_of_bounds", "R or V")
    require(BOUNDS["team_days"][0] <= values["team_days"] and values["team_days"] <= BOUNDS["team_days"][1], "out_of_bounds")


# --- Protection and the care team --------------------------------------------------------------


@export
def protect(subject: str, label_key: bytes, labels: list, institution: str = "", form: bytes = b"") -> None:
    """Enter the tokens of labels that are sensitive for a patient: by the patient or who speaks for her,
    or, since it only ever closes, by staff of any institution that treats her."""
    if institution == "":
        call("registry", "given_by", subject=subject, form=form)
    else:
        call("registry", "acting", key=signers()[0], institution=institution, roles=PROTECTORS)
    require(1 <= len(labels) and len(labels) <= MAX_TOKENS, "bad_labels", "1 to 16 tokens")
    for token in labels + [label_key]:
        require(len(token.hex()) == 2 * TOKEN_BYTES, "bad_token", "a token has 16 bytes")
    entries = guarded.get(subject, [])
    own = None
    for entry in entries:
        if entry["label_key"] == label_key:
            own = entry
    if own is None:
        require(len(entries) < MAX_KEYS, "too_many_keys", "four label keys at most")
        own = {"label_key": label_key, "labels": []}
        entries.append(own)
    for token in labels:
        if token not in own["labels"]:
            own["labels"].append(token)
    require(len(own["labels"]) <= MAX_TOKENS, "bad_labels", "at most 16 tokens")
    guarded[subject] = entries
    emit("protected", subject=subject)


@export
def unprotect(subject: str, form: bytes = b"") -> None:
    """The patient takes all of it back. Nobody does that in her name by a key of their own."""
    given = call("registry", "given_by", subject=subject, form=form)
    require(given == [subject] or len(given) > 1, "not_the_person", "only the patient opens this")
    require(subject in guarded, "not_protected", "nothing was entered")
    del guarded[subject]
    emit("unprotected", subject=subject)


@export
def join(subject: str, institution: str, person: str, until: int, form: bytes = b"") -> None:
    """The patient, or who speaks for her, takes an institution into the care team, or one person of it."""
    given = call("registry", "given_by", subject=subject, form=form)
    require(call("governance", "is_member", id=institution), "unknown_institution")
    require(person == "" or call("registry", "is_known", id=person), "unknown_person")
    require(now() < until and until <= now() + days(settings.get()["team_days"]), "bad_time", "it ends within the longest time")
    team = without(teams.get(subject, []), institution, person)
    require(len(team) < MAX_TEAM, "team_full", "let somebody leave first")
    team.append({"institution": institution, "person": person, "until": until, "given": height(), "by": given})
    teams[subject] = team
    emit("joined_team", subject=subject, institution=institution, until=until)


@export
def leave(subject: str, institution: str, person: str, form: bytes = b"") -> None:
    """The patient, or who speaks for her, or the person herself ends a place in the care team."""
    signer = call("registry", "whois", key=signers()[0])
    if signer is None or person == "" or signer["id"] != person:
        call("registry", "given_by", subject=subject, form=form)
    team = teams.get(subject, [])
    left = [entry for entry in team if entry["institution"] != institution or entry["person"] != person]
    require(len(left) < len(team), "not_in_team", "there is no such place in the care team")
    teams[subject] = left
    emit("left_team", subject=subject, institution=institution)


def without(team: list, institution: str, person: str) -> list:
    """A team without one place and without those that have ended."""
    return [
        entry for entry in team
        if now() < entry["until"] and (entry["institution"] != institution or entry["person"] != person)
    ]


# --- Deciding ----------------------------------------------------------------------------------


@query
def decide(request: dict) -> dict:
    """Deny sensitive records outside the care team; bind those who get them. Permits nothing."""
    if not is_sensitive(request):
        return silent("not-sensitive")
    if request["purpose"] in EMERGENCIES:
        return limits("emergency", duties=DUTIES)
    if request["institution"] == request["holder"]:
        return limits("holder", duties=DUTIES)
    if request["branch"] == "PATRQT" and request["institution"] == "":
        # Guardians, delegates and next of kin: the contracts about them say what they may read.
        return limits("family", duties=DUTIES)
    for entry in teams.get(request["subject"], []):
        if entry["institution"] == request["institution"] and entry["person"] in ["", request["requester"]]:
            if now() < entry["until"]:
                return limits("care-team", until=entry["until"], duties=DUTIES, given=entry["given"])
    answer = call("consent", "decide", request=request)
    if answer["effect"] == "permit" and answer["facts"]["named"]:
        return limits("named-by-patient", until=answer["until"], duties=DUTIES, consent=answer["facts"]["consent"])
    return denies("outside-care-team")


def is_sensitive(request: dict) -> bool:
    rank = RANK.get(request["confidentiality"], 4)
    if rank >= RANK[settings.get()["level"]]:
        return True
    for entry in guarded.get(request["subject"], []):
        if entry["label_key"] in request["labels"]:
            for token in entry["labels"]:
                if token in request["labels"]:
                    return True
        elif rank > 1:
            # Its labels are not shown, and every sensitive one makes a record R.
            return True
    return False


@query
def team(subject: str) -> list:
    """Who is in the care team of a patient, with those whose place has ended and was not cleared."""
    return teams.get(subject, [])
