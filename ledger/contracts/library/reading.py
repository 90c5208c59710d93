"""Reading: a clinic examines, a centre reports, and a critical value has to be heard (RR).

Two institutions agree, by a governor of each, that one reads the other's examinations of a modality,
by when a report is due and by when a critical value must be acknowledged. A clinic orders a reading
with the records it takes; a physician of the centre claims it and sees these records until the report
is in. The report goes back to the clinic. A critical value starts a clock: who does not acknowledge in
time is named by an event, by block time, and the patient can be referred by the green channel.
"""

from ledger.contracts.prelude import Map, Value, call, caller, days, emit, export, height, hours, init, minutes, now, permits, query, require, signers, silent

MODALITIES = ["ecg", "imaging", "pathology", "ultrasound", "eeg", "laboratory"]
ORDERING_ROLES = ["physician", "emergency-physician", "family-doctor", "village-doctor", "nurse"]
READING_ROLES = ["physician"]
REASONS = ["poor-quality", "wrong-patient", "incomplete", "not-needed", "transferred"]
COVERED = ["N", "R"]

# Lowest and highest value of each parameter.
BOUNDS = {"report_minutes": [5, 43200], "acknowledge_minutes": [1, 1440], "report_open_days": [1, 365], "claim_minutes": [5, 4320]}
MINUTE = 60000
MAX_ID = 64
MAX_RECORDS = 16
MAX_OPEN_ALERTS = 256
HEX_NAME = 64
HEX_DIGITS = "0123456789abcdef"
ID_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

settings = Value("settings")
local = Map("local")
# Clinic, centre and modality → the terms, and who has signed them.
agreements = Map("agreements")
orders = Map("orders")
# Order and record → the clinic that sent it to be read.
packets = Map("packets")
# Order → the physician who claimed it, and until when.
readers = Map("readers")
# Order and record → the clinic to which this report goes back.
reports = Map("reports")
# Clinic → critical values that nobody has acknowledged.
alerts = Map("alerts")


@init
def found(
    report_minutes: int = 1440, acknowledge_minutes: int = 30, report_open_days: int = 30, claim_minutes: int = 240
) -> None:
    """Fix the longest that an agreement may allow for a report and for an acknowledgement, for how
    long the clinic may fetch a report, and for how long a claim holds."""
    settings.set(checked({
        "report_minutes": report_minutes, "acknowledge_minutes": acknowledge_minutes,
        "report_open_days": report_open_days, "claim_minutes": claim_minutes,
    }))


# --- Agreements --------------------------------------------------------------------------------


@export
def agree(clinic: str, centre: str, modality: str, report: int, acknowledge: int) -> bool:
    """A governor of the clinic or of the centre signs: a report is due in `report` minutes, and a
    critical value is acknowledged in `acknowledge` minutes. It holds once both have signed the same;
    returns whether it does."""
    require(modality in MODALITIES, "unknown_modality", "not a code of the list of modalities")
    require(clinic != centre, "one_institution", "nobody needs an agreement with themselves")
    sides = call("registry", "holding", key=signers()[0], role="governor")["institutions"]
    terms = terms_at(clinic)
    require(1 <= report and report <= terms["report_minutes"], "bad_time", "longer than the rules allow")
    require(1 <= acknowledge and acknowledge <= terms["acknowledge_minutes"], "bad_time", "longer than the rules allow")
    agreement = agreements.get((clinic, centre, modality))
    if agreement is None or agreement["report"] != report or agreement["acknowledge"] != acknowledge:
        agreement = {"report": report, "acknowledge": acknowledge, "signed": []}
    for side in [clinic, centre]:
        if side in sides and side not in agreement["signed"]:
            agreement["signed"].append(side)
    require(len(agreement["signed"]) > 0 and (clinic in sides or centre in sides), "not_a_side", "the signer governs neither")
    agreement["since"] = now()
    agreements[clinic, centre, modality] = agreement
    emit("agreement_signed", clinic=clinic, centre=centre, modality=modality, holds=len(agreement["signed"]) == 2)
    return len(agreement["signed"]) == 2


@export
def end_agreement(clinic: str, centre: str, modality: str) -> None:
    """A governor of either side ends it; orders that were placed before are still read."""
    sides = call("registry", "holding", key=signers()[0], role="governor")["institutions"]
    require(clinic in sides or centre in sides, "not_a_side", "the signer governs neither")
    require((clinic, centre, modality) in agreements, "no_agreement", "there is none")
    del agreements[clinic, centre, modality]
    emit("agreement_ended", clinic=clinic, centre=centre, modality=modality)


# --- Orders ------------------------------------------------------------------------------------


@export
def order(
    id: str, subject: str, clinic: str, centre: str, modality: str, records: list, urgent: bool = False,
    form: bytes = b"",
) -> int:
    """A clinic sends records that it holds to be read; returns when the report is due.

    The patient signs too, or `form` is the hash of the form that she signed for the examination.
    """
    require(0 < len(id) and len(id) <= MAX_ID and all([letter in ID_LETTERS for letter in id]), "bad_id", "letters, digits, - _ . only")
    require(id not in orders, "order_exists", "the id is taken")
    agreement = agreements.get((clinic, centre, modality))
    require(agreement is not None and len(agreement["signed"]) == 2, "no_agreement", "the two have no agreement on that")
    person = call("registry", "acting", key=signers()[0], institution=clinic, roles=ORDERING_ROLES)
    require(call("registry", "agreed", subject=subject, form=form), "agreement_missing", "the patient's signature or signed form is missing")
    require(0 < len(records) and len(records) <= MAX_RECORDS, "records_missing", "1 to 16 records")
    tell_of_overdue(clinic)
    due = now() + minutes(agreement["report"])
    for name in records:
        check_name(name)
        packets[id, name] = clinic
    orders[id] = {
        "subject": subject, "clinic": clinic, "centre": centre, "modality": modality, "by": person["id"],
        "urgent": urgent, "form": form, "status": "open", "ordered": now(), "height": height(), "due": due,
        "acknowledge": agreement["acknowledge"],
    }
    emit("ordered", order=id, subject=subject, clinic=clinic, centre=centre, modality=modality, urgent=urgent, due=due)
    return due


@export
def cancel(id: str, reason: str) -> None:
    """The clinic takes an order back, or the centre sends it back unread, for a coded reason."""
    require(reason in REASONS, "unknown_reason", "not a code of the list of reasons")
    entry = known(id)
    require(entry["status"] in ["open", "claimed"], "not_open", "the order has ended")
    sides = working_at(signers()[0], [entry["clinic"], entry["centre"]])
    require(len(sides) > 0, "not_a_side", "the signer works at neither")
    call("registry", "acting", key=signers()[0], institution=sides[0], roles=ORDERING_ROLES)
    if id in readers:
        del readers[id]
    entry["status"] = "cancelled"
    entry["reason"] = reason
    orders[id] = entry
    emit("cancelled", order=id, subject=entry["subject"], clinic=entry["clinic"], centre=entry["centre"], by=sides[0], reason=reason)


@export
def claim(id: str) -> int:
    """A physician of the centre takes the order; the records open to her. Returns until when.

    A claim that has run out without a report leaves the order to the next.
    """
    entry = known(id)
    require(entry["status"] in ["open", "claimed"], "not_open", "the order has ended")
    reader = call("registry", "acting", key=signers()[0], institution=entry["centre"], roles=READING_ROLES)
    earlier = readers.get(id)
    require(earlier is None or earlier["until"] <= now() or earlier["reader"] == reader["id"], "claimed", "another physician reads it")
    until = now() + minutes(terms_at(entry["centre"])["claim_minutes"])
    readers[id] = {
        "reader": reader["id"], "centre": entry["centre"], "clinic": entry["clinic"], "subject": entry["subject"],
        "until": until,
    }
    entry["status"] = "claimed"
    orders[id] = entry
    emit("claimed", order=id, centre=entry["centre"], reader=reader["id"], until=until)
    return until


@export
def report(id: str, record: str, critical: bool) -> int:
    """The physician who claimed the order names the report, which the centre holds and has anchored.

    A critical value starts the clock of the clinic; returns when it runs out, or 0.
    """
    entry = known(id)
    check_name(record)
    seat = readers.get(id)
    require(entry["status"] == "claimed" and seat is not None, "not_claimed", "claim the order first")
    reader = call("registry", "acting", key=signers()[0], institution=entry["centre"], roles=READING_ROLES)
    require(reader["id"] == seat["reader"], "not_the_reader", "another physician reads it")
    del readers[id]
    reports[id, record] = {
        "centre": entry["centre"], "clinic": entry["clinic"], "subject": entry["subject"],
        "until": now() + days(terms_at(entry["clinic"])["report_open_days"]),
    }
    entry["status"] = "reported"
    entry["reader"] = reader["id"]
    entry["record"] = record
    entry["reported"] = now()
    entry["critical"] = critical
    emit(
        "reported", order=id, subject=entry["subject"], clinic=entry["clinic"], centre=entry["centre"],
        reader=reader["id"], modality=entry["modality"], minutes=(now() - entry["ordered"]) // MINUTE,
        late=entry["due"] < now(), critical=critical,
    )
    tell_of_overdue(entry["clinic"])
    due = 0
    if critical:
        due = now() + minutes(entry["acknowledge"])
        entry["alert"] = {"due": due, "acknowledged": 0, "by": "", "escalated": False}
        waiting = alerts.get(entry["clinic"], [])
        if len(waiting) < MAX_OPEN_ALERTS:
            alerts[entry["clinic"]] = waiting + [{"order": id, "due": due}]
        emit("critical_value", order=id, subject=entry["subject"], clinic=entry["clinic"], centre=entry["centre"], due=due)
    orders[id] = entry
    return due


# --- Critical values ---------------------------------------------------------------------------


@export
def acknowledge(id: str) -> bool:
    """Somebody who treats patients at the clinic has heard the critical value; returns whether in time."""
    entry = known(id)
    alert = entry.get("alert")
    require(alert is not None, "not_critical", "the report has no critical value")
    require(alert["acknowledged"] == 0, "already_acknowledged", "somebody has heard it before")
    person = call("registry", "acting", key=signers()[0], institution=entry["clinic"], roles=ORDERING_ROLES)
    tell_of_overdue(entry["clinic"])
    entry = known(id)
    late = entry["alert"]["due"] < now()
    entry["alert"]["acknowledged"] = now()
    entry["alert"]["by"] = person["id"]
    orders[id] = entry
    alerts[entry["clinic"]] = [other for other in alerts.get(entry["clinic"], []) if other["order"] != id]
    emit(
        "acknowledged", order=id, clinic=entry["clinic"], centre=entry["centre"], by=person["id"],
        minutes=(now() - entry["reported"]) // MINUTE, late=late,
    )
    return not late


@export
def escalate(id: str) -> None:
    """Anybody in the registry points out that a critical value was not acknowledged in time; block
    time says whether that is so."""
    require(call("registry", "whois", key=signers()[0]) is not None, "unknown_key", "the signer is not in the registry")
    entry = known(id)
    alert = entry.get("alert")
    require(alert is not None, "not_critical", "the report has no critical value")
    require(alert["acknowledged"] == 0 and alert["due"] < now(), "not_overdue", "it was heard, or there is time yet")
    require(not alert["escalated"], "already_noted", "that was pointed out before")
    note_overdue(id)


def tell_of_overdue(clinic: str) -> None:
    """Whatever next happens between this clinic and a centre announces the values nobody has heard."""
    waiting = alerts.get(clinic, [])
    for alert in waiting:
        if alert["due"] < now():
            note_overdue(alert["order"])


def note_overdue(id: str) -> None:
    entry = orders[id]
    if not entry["alert"]["escalated"]:
        entry["alert"]["escalated"] = True
        orders[id] = entry
        alerts[entry["clinic"]] = [other for other in alerts.get(entry["clinic"], []) if other["order"] != id]
        emit("value_not_heard", order=id, subject=entry["subject"], clinic=entry["clinic"], centre=entry["centre"], due=entry["alert"]["due"])


# --- Deciding ----------------------------------------------------------------------------------


@query
def decide(request: dict) -> dict:
    """Permit the records of an order to its reader, and its report to the clinic, in this case only."""
    case = request["case"]
    if case != "" and request["purpose"] == "TREAT" and request["confidentiality"] in COVERED:
        seat = readers.get(case)
        if seat is not None and seat["reader"] == request["requester"] and seat["centre"] == request["institution"]:
            if seat["subject"] == request["subject"] and now() < seat["until"]:
                if packets.get((case, request["record"]), "") == request["holder"]:
                    return permits("claimed-reading", until=seat["until"], duties=["NORDSCLCD"], order=case)
        back = reports.get((case, request["record"]))
        if back is not None and back["clinic"] == request["institution"] and back["centre"] == request["holder"]:
            if back["subject"] == request["subject"] and now() < back["until"]:
                return permits("report-comes-back", until=back["until"], order=case)
    return silent("no-reading")


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
    require(id in orders, "unknown_order", "there is no order of that id")
    return orders[id]


def check_name(name: str) -> None:
    require(len(name) == HEX_NAME, "bad_record_name", "a record's name is 64 hex digits")
    require(all([digit in HEX_DIGITS for digit in name]), "bad_record_name")


def working_at(key: str, institutions: list) -> list:
    person = call("registry", "whois", key=key)
    require(person is not None, "unknown_key", "the signer is not in the registry")
    homes = [affiliation["institution"] for affiliation in person["affiliations"]]
    return [institution for institution in institutions if institution in homes]


# --- Questions ---------------------------------------------------------------------------------


@query
def get(id: str) -> dict | None:
    """An order with its report and its alert, or nothing."""
    return orders.get(id)


@query
def agreement(clinic: str, centre: str, modality: str) -> dict | None:
    """What two institutions agreed on, or nothing."""
    return agreements.get((clinic, centre, modality))


@query
def waiting(clinic: str) -> list:
    """The critical values that a clinic has to acknowledge and that are not overdue yet."""
    return alerts.get(clinic, [])
