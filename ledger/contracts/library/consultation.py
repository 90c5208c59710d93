"""Consultation: invited experts see the dossier of one patient, for this case and while they are in the room (RC).

A physician convenes a consultation with the patient's agreement, names the records and invites
experts, each by name and for the institution for which the expert acts. Who works at two hospitals
is invited for one of them, and sees nothing as a member of the other. An invitation is no ticket: a
link or the number of the consultation opens nothing for anybody else.

The dossier is open to an expert from joining until leaving, at most for the hours of a session, so
the minutes that are counted are the minutes in which the expert could see the case. Nobody is in two
rooms at once. What an expert advised stands on the chain as a hash of the signed opinion.
"""

from ledger.contracts.prelude import Map, Value, call, caller, days, emit, export, height, hours, init, now, permits, query, require, signers, silent

KINDS = ["consultation", "mdt"]
CONVENER_ROLES = ["physician", "emergency-physician", "family-doctor", "village-doctor"]
EXPERT_ROLES = ["physician", "emergency-physician", "pharmacist"]
TREATMENT = ["TREAT", "COC"]
# A very restricted record needs the patient's own consent.
COVERED = ["N", "R"]
DUTIES = ["NORDSCLCD"]

# Lowest and highest value of each parameter.
BOUNDS = {"longest_days": [1, 90], "session_hours": [1, 24]}
MINUTE = 60000
MAX_ID = 64
MAX_RECORDS = 64
MAX_EXPERTS = 16
HASH_BYTES = 32
HEX_NAME = 64
HEX_DIGITS = "0123456789abcdef"
ID_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

settings = Value("settings")
local = Map("local")
consultations = Map("consultations")
# Consultation and person → for which institution, and until when the dossier is open to the person.
seats = Map("seats")
# Consultation and record → its holder, whose physician put it into the dossier.
dossiers = Map("dossiers")
# Consultation and expert → what the expert did in it.
attendance = Map("attendance")
# Person → the session that goes on.
rooms = Map("rooms")
# Person and institution → service that is proven: sessions, minutes, opinions.
service = Map("service")


@init
def found(longest_days: int = 14, session_hours: int = 4) -> None:
    """Fix how long a consultation may stay open, and after which time a session ends by itself."""
    settings.set(checked({"longest_days": longest_days, "session_hours": session_hours}))


# --- Convening ---------------------------------------------------------------------------------


@export
def convene(
    id: str, subject: str, institution: str, kind: str, records: list, experts: list, until: int, form: bytes = b""
) -> None:
    """A physician of `institution` opens a consultation on a patient with named records of that
    institution and named experts: {"person", "institution"}.

    The patient signs too, or `form` is the hash of the form that she signed. A case for one expert is
    a "consultation", one for several an "mdt".
    """
    require(0 < len(id) and len(id) <= MAX_ID and all([letter in ID_LETTERS for letter in id]), "bad_id", "letters, digits, - _ . only")
    require(id not in consultations, "consultation_exists", "the id is taken")
    require(kind in KINDS, "unknown_kind", "a consultation or an mdt")
    convener = call("registry", "acting", key=signers()[0], institution=institution, roles=CONVENER_ROLES)
    require(call("registry", "agreed", subject=subject, form=form), "agreement_missing", "the patient's signature or signed form is missing")
    terms = terms_at(institution)
    require(now() < until and until <= now() + days(terms["longest_days"]), "bad_time", "longer than the rules allow")
    require(len(experts) >= (2 if kind == "mdt" else 1), "experts_missing", "an mdt has two experts or more")
    consultations[id] = {
        "subject": subject, "institution": institution, "convener": convener["id"], "kind": kind, "until": until,
        "session": hours(terms["session_hours"]), "form": form, "status": "open", "time": now(), "height": height(),
        "experts": [], "records": 0,
    }
    seats[id, convener["id"]] = {"subject": subject, "institution": institution, "until": until}
    emit("convened", consultation=id, subject=subject, institution=institution, kind=kind, until=until)
    add_records(id, institution, records)
    for expert in experts:
        add_expert(id, expert["person"], expert["institution"])


@export
def invite(id: str, person: str, institution: str) -> None:
    """The convener invites one more expert, acting for the institution named."""
    led_by_signer(id)
    add_expert(id, person, institution)


@export
def dismiss(id: str, person: str) -> None:
    """The convener takes an invitation back."""
    consultation = led_by_signer(id)
    require(person in consultation["experts"], "not_invited", "nobody of that id was invited")
    end_session(id, person)
    del seats[id, person]
    consultation["experts"] = [other for other in consultation["experts"] if other != person]
    consultations[id] = consultation
    emit("dismissed", consultation=id, expert=person)


@export
def contribute(id: str, institution: str, records: list) -> None:
    """The convener, or an expert, adds records of the own institution to the dossier."""
    open_one(id)
    person = call("registry", "acting", key=signers()[0], institution=institution, roles=CONVENER_ROLES)
    seat = seats.get((id, person["id"]))
    require(seat is not None and seat["institution"] == institution, "not_invited", "the signer has no seat for that institution")
    add_records(id, institution, records)


@export
def close(id: str, form: bytes = b"") -> None:
    """The convener ends the consultation; so does the patient, at any time, with or without a form."""
    consultation = open_one(id)
    person = call("registry", "whois", key=signers()[0])
    if person is None or person["id"] != consultation["convener"]:
        call("registry", "given_by", subject=consultation["subject"], form=form)
    for expert in consultation["experts"]:
        end_session(id, expert)
    seats[id, consultation["convener"]] = {
        "subject": consultation["subject"], "institution": consultation["institution"], "until": now(),
    }
    consultation["status"] = "closed"
    consultations[id] = consultation
    emit("closed", consultation=id, subject=consultation["subject"])


# --- In the room -------------------------------------------------------------------------------


@export
def join(id: str) -> int:
    """An invited expert enters; the dossier opens. Returns when the session ends by itself."""
    consultation = open_one(id)
    person = call("registry", "whois", key=signers()[0])
    require(person is not None and person["id"] in consultation["experts"], "not_invited", "an invitation is for one person")
    expert = person["id"]
    seat = seats[id, expert]
    call("registry", "acting", key=signers()[0], institution=seat["institution"], roles=EXPERT_ROLES)
    current = rooms.get(expert)
    if current is not None:
        require(current["until"] <= now(), "in_a_session", "leave the other session first")
        end_session(current["consultation"], expert)
    until = min(consultation["until"], now() + consultation["session"])
    rooms[expert] = {"consultation": id, "joined": now(), "until": until}
    seat["until"] = until
    seats[id, expert] = seat
    emit("joined", consultation=id, expert=expert, institution=seat["institution"])
    return until


@export
def leave(id: str) -> int:
    """The expert leaves; the dossier closes. Returns the minutes of the session."""
    person = call("registry", "whois", key=signers()[0])
    require(person is not None, "unknown_key", "the signer is not in the registry")
    current = rooms.get(person["id"])
    require(current is not None and current["consultation"] == id, "not_in_session", "the signer has not joined")
    return end_session(id, person["id"])


@export
def opine(id: str, opinion: bytes) -> None:
    """An expert who was in the room gives an opinion: the hash of the signed document."""
    open_one(id)
    require(len(opinion) == HASH_BYTES, "bad_hash", "the document's hash has 32 bytes")
    person = call("registry", "whois", key=signers()[0])
    require(person is not None and (id, person["id"]) in seats, "not_invited", "an invitation is for one person")
    expert = person["id"]
    institution = seats[id, expert]["institution"]
    call("registry", "acting", key=signers()[0], institution=institution, roles=EXPERT_ROLES)
    present = expert in rooms and rooms[expert]["consultation"] == id
    require(present or (id, expert) in attendance, "not_in_session", "who was not in the room has no opinion")
    done = attendance.get((id, expert), {"sessions": 0, "minutes": 0, "opinion": b""})
    require(done["opinion"] == b"", "already_given", "the opinion was given before")
    done["opinion"] = opinion
    attendance[id, expert] = done
    add_service(expert, institution, 0, 0, 1)
    emit("opinion_given", consultation=id, expert=expert, institution=institution, opinion=opinion)


def end_session(id: str, expert: str) -> int:
    """End the expert's session in this consultation, if one goes on, and count its minutes."""
    current = rooms.get(expert)
    if current is None or current["consultation"] != id:
        return 0
    left = min(now(), current["until"])
    minutes = (left - current["joined"]) // MINUTE
    seat = seats[id, expert]
    done = attendance.get((id, expert), {"sessions": 0, "minutes": 0, "opinion": b""})
    done["sessions"] += 1
    done["minutes"] += minutes
    attendance[id, expert] = done
    add_service(expert, seat["institution"], 1, minutes, 0)
    seat["until"] = left
    seats[id, expert] = seat
    del rooms[expert]
    emit(
        "left", consultation=id, expert=expert, institution=seat["institution"], joined=current["joined"], left=left,
        minutes=minutes,
    )
    return minutes


def add_service(person: str, institution: str, sessions: int, minutes: int, opinions: int) -> None:
    total = service.get((person, institution), {"sessions": 0, "minutes": 0, "opinions": 0})
    total["sessions"] += sessions
    total["minutes"] += minutes
    total["opinions"] += opinions
    service[person, institution] = total


# --- Deciding ----------------------------------------------------------------------------------


@query
def decide(request: dict) -> dict:
    """Permit a record of the dossier to an expert in the room, and to the convener, in this case only."""
    case = request["case"]
    if case != "" and request["purpose"] in TREATMENT and request["confidentiality"] in COVERED:
        seat = seats.get((case, request["requester"]))
        if seat is not None and seat["institution"] == request["institution"] and seat["subject"] == request["subject"]:
            if now() < seat["until"] and dossiers.get((case, request["record"]), "") == request["holder"]:
                return permits("seat-in-consultation", until=seat["until"], duties=DUTIES, consultation=case)
    return silent("no-consultation")


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


def open_one(id: str) -> dict:
    require(id in consultations, "unknown_consultation", "there is no consultation of that id")
    consultation = consultations[id]
    require(consultation["status"] == "open" and now() < consultation["until"], "not_open", "the consultation has ended")
    return consultation


def led_by_signer(id: str) -> dict:
    consultation = open_one(id)
    person = call(
        "registry", "acting", key=signers()[0], institution=consultation["institution"], roles=CONVENER_ROLES
    )
    require(person["id"] == consultation["convener"], "not_the_convener", "another person convened it")
    return consultation


def add_expert(id: str, person: str, institution: str) -> None:
    consultation = consultations[id]
    require(len(consultation["experts"]) < MAX_EXPERTS, "too_many_experts")
    require((id, person) not in seats, "already_invited", "a person has one seat, for one institution")
    require(works_as(person, institution, EXPERT_ROLES), "not_an_expert", "that person has no such role there")
    seats[id, person] = {"subject": consultation["subject"], "institution": institution, "until": 0}
    consultation["experts"].append(person)
    consultations[id] = consultation
    emit("invited", consultation=id, subject=consultation["subject"], expert=person, institution=institution)


def add_records(id: str, holder: str, records: list) -> None:
    consultation = consultations[id]
    consultation["records"] += len(records)
    require(consultation["records"] <= MAX_RECORDS, "too_many_records", "at most 64 records")
    consultations[id] = consultation
    for name in records:
        require(len(name) == HEX_NAME, "bad_record_name", "a record's name is 64 hex digits")
        require(all([digit in HEX_DIGITS for digit in name]), "bad_record_name")
        dossiers[id, name] = holder


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
    """A consultation, or nothing."""
    return consultations.get(id)


@query
def attended(id: str, person: str) -> dict | None:
    """What an expert did in a consultation: sessions, minutes, opinion; or nothing yet."""
    return attendance.get((id, person))


@query
def served(person: str, institution: str) -> dict:
    """The proven service of an expert for an institution, over all consultations."""
    return service.get((person, institution), {"sessions": 0, "minutes": 0, "opinions": 0})
