"""Referral: a record bundle follows the patient to another institution, and the answer comes back (RF).

A physician names the records and the receiving institution, with the patient. From acceptance on, the
receiving institution may see these records for treatment. When it ends the referral it says whether
the patient comes back and names the records that go back; the referring institution may see those for
some days more. Whether a referral leads up or down follows from the two institutions.

By the green channel the records are open before anybody has accepted, for a short time. A critical
value that a reading centre reported, or an emergency in which the glass was broken, can be its basis.
Who refers a patient onward, who came by a referral, sends the records along that came with her.
"""

from ledger.contracts.prelude import Map, Value, call, caller, days, emit, export, height, hours, init, now, permits, query, require, signers, silent

TREATMENT = ["TREAT", "COC"]
# A named record may be normal or restricted; a very restricted one needs the patient's own consent.
COVERED = ["N", "R"]
REFERRING_ROLES = ["physician", "emergency-physician", "family-doctor", "village-doctor"]
RECEIVING_ROLES = ["physician", "emergency-physician", "family-doctor"]
CHANNELS = ["routine", "urgent", "green"]
# How a referral that was accepted ends, and why one is not accepted.
OUTCOMES = ["returned", "stays", "elsewhere", "died", "not-arrived"]
DECLINED = ["no-bed", "no-capability", "not-indicated", "incomplete", "other"]
# How much an institution can do; from lower to higher is up.
LEVEL = {
    "village-station": 1, "care-home": 1, "hospice": 1, "nursery": 1, "school": 1, "custody": 1, "township-centre": 2,
    "community-centre": 2, "county-hospital": 3, "maternal-child": 3, "city-hospital": 4, "internet-hospital": 4,
    "provincial-hospital": 5,
}

# Lowest and highest value of each parameter.
BOUNDS = {"longest_days": [1, 366], "return_days": [1, 180], "green_hours": [1, 168]}
HOUR = 3600000
MAX_ID = 64
MAX_RECORDS = 64
# Referrals that bring the same record to the same institution.
MAX_WAYS = 8
HEX_NAME = 64
HEX_DIGITS = "0123456789abcdef"

settings = Value("settings")
local = Map("local")
referrals = Map("referrals")
# Institution and record → the referrals that bring it there.
ways = Map("ways")


@init
def found(longest_days: int = 180, return_days: int = 14, green_hours: int = 24) -> None:
    """Fix how long a referral may last, for how long the answer can be seen after it has ended, and for
    how long the green channel is open without an acceptance."""
    settings.set(checked({"longest_days": longest_days, "return_days": return_days, "green_hours": green_hours}))


# --- The way there -----------------------------------------------------------------------------


@export
def create(
    id: str, subject: str, source: str, target: str, records: list, until: int, form: bytes = b"",
    channel: str = "routine", basis: str = "", via: str = "",
) -> None:
    """A physician of `source` refers a patient to `target` with the named records of `source`.

    The patient signs too, or `form` is the hash of the referral form that she signed. `basis` is
    "reading:ID" of a critical value or "emergency:ID" of one's own broken glass; the latter stands for
    the agreement of a patient who cannot give it. `via` is the referral by which she came to `source`.
    """
    require(0 < len(id) and len(id) <= MAX_ID and "/" not in id, "bad_id", "an id has 1 to 64 characters")
    require(id not in referrals, "referral_exists", "the id is taken")
    require(channel in CHANNELS, "unknown_channel", "routine, urgent or green")
    physician = call("registry", "acting", key=signers()[0], institution=source, roles=REFERRING_ROLES)
    require(source != target and call("governance", "is_member", id=target), "unknown_institution")
    terms = terms_at(source)
    bundle = {source: records}
    unable = False
    if basis != "":
        require(channel == "green", "basis_without_green", "a basis opens the green channel")
        unable = checked_basis(basis, subject, source, physician["id"], bundle)
    require(unable or call("registry", "agreed", subject=subject, form=form), "agreement_missing", "the patient's signature or signed form is missing")
    require(now() < until and until <= now() + days(terms["longest_days"]), "bad_time", "longer than the rules allow")
    if via != "":
        earlier = known(via)
        came = earlier["target"] == source and earlier["subject"] == subject and earlier["status"] in ["accepted", "arrived"]
        require(came, "not_via", "she did not come by that referral, or it has ended")
        for holder in earlier["bundle"]:
            bundle[holder] = bundle.get(holder, []) + earlier["bundle"][holder]
    require(len(records) > 0, "records_missing", "name the records that go with the patient")
    check_bundle(bundle)
    direction = direction_of(source, target)
    referrals[id] = {
        "subject": subject, "source": source, "target": target, "bundle": bundle, "until": until,
        "by": physician["id"], "form": form, "channel": channel, "basis": basis, "via": via, "direction": direction,
        "status": "open", "time": now(), "height": height(), "steps": {"open": now()}, "answer_days": terms["return_days"],
    }
    emit("referred", referral=id, subject=subject, source=source, target=target, direction=direction, channel=channel)
    if channel == "green":
        open_bundle(id, "green-channel", min(until, now() + hours(terms["green_hours"])))


@export
def add(id: str, records: list) -> None:
    """The referring side sends further records after the patient, such as a late result."""
    referral = known(id)
    require(referral["status"] in ["open", "accepted", "arrived"], "not_open", "the referral has ended")
    call("registry", "acting", key=signers()[0], institution=referral["source"], roles=REFERRING_ROLES)
    referral["bundle"][referral["source"]] = referral["bundle"][referral["source"]] + records
    check_bundle(referral["bundle"])
    referrals[id] = referral
    if referral["status"] != "open":
        open_records(referral["target"], referral["source"], records, way(id, referral, "accepted-referral", referral["until"]))
    emit("records_added", referral=id, subject=referral["subject"], records=len(records))


@export
def accept(id: str) -> None:
    """A physician of the receiving institution takes the patient over."""
    referral = known(id)
    require(referral["status"] == "open", "not_open", "only an open referral can be accepted")
    require(now() < referral["until"], "expired", "the referral has ended")
    physician = call("registry", "acting", key=signers()[0], institution=referral["target"], roles=RECEIVING_ROLES)
    referral["accepted_by"] = physician["id"]
    step(id, referral, "accepted")
    open_bundle(id, "accepted-referral", referral["until"])


@export
def decline(id: str, reason: str) -> None:
    """A physician of the receiving institution does not take the patient, for a coded reason."""
    require(reason in DECLINED, "unknown_reason", "not a code of the list of reasons")
    referral = known(id)
    require(referral["status"] == "open", "not_open", "only an open referral can be declined")
    call("registry", "acting", key=signers()[0], institution=referral["target"], roles=RECEIVING_ROLES)
    close_bundle(id, referral)
    referral["reason"] = reason
    step(id, referral, "declined")


@export
def arrive(id: str) -> None:
    """The patient has come; somebody who treats her at the receiving institution says so."""
    referral = known(id)
    require(referral["status"] == "accepted", "not_accepted", "the referral is not accepted, or over")
    call("registry", "acting", key=signers()[0], institution=referral["target"], roles=RECEIVING_ROLES + ["nurse"])
    step(id, referral, "arrived")


# --- The way back ------------------------------------------------------------------------------


@export
def close(id: str, records: list = [], outcome: str = "returned") -> None:
    """A physician ends the referral: the receiving side, at discharge, by saying what becomes of the
    patient and naming the records that go back; the referring side by taking back a referral that
    nobody has accepted."""
    referral = known(id)
    require(referral["status"] in ["open", "accepted", "arrived"], "not_open", "the referral has ended")
    require(outcome in OUTCOMES, "unknown_outcome", "not a code of the list of outcomes")
    taken = referral["status"] != "open"
    side = referral["target"] if taken else referral["source"]
    call("registry", "acting", key=signers()[0], institution=side, roles=RECEIVING_ROLES if taken else REFERRING_ROLES)
    require(taken or len(records) == 0, "not_accepted", "nothing goes back yet")
    check_bundle({referral["target"]: records})
    close_bundle(id, referral)
    if len(records) > 0:
        until = now() + days(referral["answer_days"])
        open_records(referral["source"], referral["target"], records, way(id, referral, "return-leg", until))
    referral["returned"] = records
    referral["outcome"] = outcome if taken else "taken-back"
    step(id, referral, "closed")


@query
def decide(request: dict) -> dict:
    """Permit when a referral, or its return leg, brings this record to this institution."""
    if request["purpose"] in TREATMENT and request["confidentiality"] in COVERED and request["institution"] != "":
        for path in ways.get((request["institution"], request["record"]), []):
            if path["from"] == request["holder"] and path["subject"] == request["subject"] and now() < path["until"]:
                if path["rule"] == "return-leg":
                    return permits("return-leg", until=path["until"], referral=path["referral"])
                if path["rule"] == "green-channel":
                    return permits("green-channel", until=path["until"], referral=path["referral"])
                return permits("accepted-referral", until=path["until"], referral=path["referral"])
    return silent("no-referral")


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


def known(id: str) -> dict:
    require(id in referrals, "unknown_referral", "there is no referral of that id")
    return referrals[id]


def step(id: str, referral: dict, status: str) -> None:
    """Write down that a referral has come one step further, when, and after how many hours."""
    referral["status"] = status
    referral["steps"][status] = now()
    referrals[id] = referral
    emit(
        status, referral=id, subject=referral["subject"], source=referral["source"], target=referral["target"],
        direction=referral["direction"], channel=referral["channel"], hours=(now() - referral["time"]) // HOUR,
        outcome=referral.get("outcome", ""),
    )


def checked_basis(basis: str, subject: str, source: str, physician: str, bundle: dict) -> bool:
    """Check what a green channel rests on; adds the report of a reading to the bundle, and returns
    whether it stands for the patient's agreement."""
    kind, id = parted(basis)
    if kind == "reading":
        order = call("reading", "get", id=id)
        good = order is not None and order["clinic"] == source and order["subject"] == subject and order.get("critical", False)
        require(good, "bad_basis", "no critical value of this patient was reported to this institution")
        bundle[order["centre"]] = bundle.get(order["centre"], []) + [order["record"]]
        return False
    require(kind == "emergency", "bad_basis", "reading: or emergency: and an id")
    case = call("emergency", "get", emergency=id)
    good = case is not None and case["person"] == physician and case["institution"] == source and case["subject"] == subject
    require(good and case["status"] == "open" and now() < case["until"], "bad_basis", "not the signer's emergency, or over")
    return True


def parted(basis: str) -> tuple:
    place = basis.find(":")
    require(0 < place, "bad_basis", "reading: or emergency: and an id")
    return basis[:place], basis[place + 1:]


def direction_of(source: str, target: str) -> str:
    one = LEVEL.get(call("governance", "institution", id=source)["kind"], 0)
    other = LEVEL.get(call("governance", "institution", id=target)["kind"], 0)
    if one == other:
        return "level"
    return "up" if one < other else "down"


def check_bundle(bundle: dict) -> None:
    require(sum([len(bundle[holder]) for holder in bundle]) <= MAX_RECORDS, "too_many_records", "at most 64 records")
    for holder in bundle:
        for name in bundle[holder]:
            require(len(name) == HEX_NAME, "bad_record_name", "a record's name is 64 hex digits")
            require(all([digit in HEX_DIGITS for digit in name]), "bad_record_name")


def way(id: str, referral: dict, rule: str, until: int) -> dict:
    return {"referral": id, "subject": referral["subject"], "rule": rule, "until": until}


def open_bundle(id: str, rule: str, until: int) -> None:
    referral = referrals[id]
    for holder in referral["bundle"]:
        if holder != referral["target"]:
            open_records(referral["target"], holder, referral["bundle"][holder], way(id, referral, rule, until))


def open_records(institution: str, holder: str, records: list, path: dict) -> None:
    path["from"] = holder
    for name in records:
        current = [
            other for other in ways.get((institution, name), [])
            if now() < other["until"] and other["referral"] != path["referral"]
        ]
        require(len(current) < MAX_WAYS, "too_many_referrals", "close one first")
        ways[institution, name] = current + [path]


def close_bundle(id: str, referral: dict) -> None:
    for holder in referral["bundle"]:
        for name in referral["bundle"][holder]:
            current = ways.get((referral["target"], name), [])
            left = [other for other in current if other["referral"] != id]
            if len(left) < len(current):
                ways[referral["target"], name] = left


# --- Questions ---------------------------------------------------------------------------------


@query
def get(id: str) -> dict | None:
    """A referral with its steps, or nothing."""
    return referrals.get(id)
