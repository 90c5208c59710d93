"""Referral: a record bundle follows the patient to another institution, and the answer comes back.

A physician of the referring institution names the records and the receiving institution, with the
patient. From acceptance on, the receiving institution may see these records for treatment. When it
closes the referral it names the records that go back, and the referring institution may see those
for fourteen more days.
"""

from ledger.contracts.prelude import Map, call, emit, export, height, init, now, permits, query, require, signers, silent

TREATMENT = ["TREAT", "COC"]
# A named record may be normal or restricted; a very restricted one needs the patient's own consent.
COVERED = ["N", "R"]

DAY = 86400000
LONGEST_DAYS = 180
RETURN_DAYS = 14
MAX_ID = 64
MAX_RECORDS = 64
MAX_OPEN = 16
HASH_BYTES = 32
HEX_NAME = 64
HEX_DIGITS = "0123456789abcdef"

referrals = Map("referrals")
paths = Map("subjects")


@init
def found() -> None:
    """Nothing to prepare."""


@export
def create(id: str, subject: str, source: str, target: str, records: list, until: int, form: bytes = b"") -> None:
    """A physician of `source` refers a patient to `target` with the named records of `source`.

    The patient signs too, or `form` is the hash of the referral form that she signed.
    """
    require(0 < len(id) and len(id) <= MAX_ID, "bad_id", "an id has 1 to 64 characters")
    require(id not in referrals, "referral_exists", "the id is taken")
    physician = call("registry", "acting", key=signers()[0], institution=source, roles=["physician"])
    require(source != target and call("governance", "is_member", id=target), "unknown_institution")
    require(agreed(subject, form), "agreement_missing", "the patient's signature or signed form is missing")
    require(now() < until and until <= now() + LONGEST_DAYS * DAY, "bad_time", "it ends within 180 days")
    check_names(records)
    require(len(records) > 0, "records_missing", "name the records that go with the patient")
    referrals[id] = {
        "subject": subject, "source": source, "target": target, "records": records, "until": until,
        "by": physician["id"], "form": form, "status": "open", "time": now(), "height": height(),
    }
    emit("referred", referral=id, subject=subject, source=source, target=target)


@export
def accept(id: str) -> None:
    """A physician of the receiving institution takes the patient over."""
    referral = known(id)
    require(referral["status"] == "open", "not_open", "only an open referral can be accepted")
    require(now() < referral["until"], "expired", "the referral has ended")
    physician = call("registry", "acting", key=signers()[0], institution=referral["target"], roles=["physician"])
    referral["status"] = "accepted"
    referral["accepted_by"] = physician["id"]
    referrals[id] = referral
    open_path(referral["subject"], {
        "referral": id, "rule": "accepted-referral", "from": referral["source"], "to": referral["target"],
        "records": referral["records"], "until": referral["until"],
    })
    emit("accepted", referral=id, subject=referral["subject"])


@export
def close(id: str, records: list = []) -> None:
    """A physician ends the referral: the receiving side by naming the records that go back, the
    referring side by taking back a referral that nobody has accepted."""
    referral = known(id)
    require(referral["status"] in ["open", "accepted"], "not_open", "the referral has ended")
    side = referral["target"] if referral["status"] == "accepted" else referral["source"]
    call("registry", "acting", key=signers()[0], institution=side, roles=["physician"])
    require(referral["status"] == "accepted" or len(records) == 0, "not_accepted", "nothing goes back yet")
    check_names(records)
    close_path(referral["subject"], id)
    if len(records) > 0:
        open_path(referral["subject"], {
            "referral": id, "rule": "return-leg", "from": referral["target"], "to": referral["source"],
            "records": records, "until": now() + RETURN_DAYS * DAY,
        })
    referral["status"] = "closed"
    referral["returned"] = records
    referrals[id] = referral
    emit("closed", referral=id, subject=referral["subject"])


@query
def decide(request: dict) -> dict:
    """Permit when an accepted referral, or its return leg, brings this record to this institution."""
    if request["purpose"] in TREATMENT and request["confidentiality"] in COVERED:
        for path in paths.get(request["subject"], []):
            if path["to"] == request["institution"] and path["from"] == request["holder"]:
                if now() < path["until"] and request["record"] in path["records"]:
                    return permits(path["rule"], until=path["until"], referral=path["referral"])
    return silent("no-referral")


@query
def get(id: str) -> dict | None:
    """A referral, or nothing."""
    return referrals.get(id)


def known(id: str) -> dict:
    require(id in referrals, "unknown_referral", "there is no referral of that id")
    return referrals[id]


def agreed(subject: str, form: bytes) -> bool:
    """Whether the patient signed the transaction, or a form that the referring institution keeps."""
    patient = call("registry", "person", id=subject)
    if patient is None or patient["status"] != "active":
        return False
    for key in signers():
        if key in patient["keys"]:
            return True
    return len(form) == HASH_BYTES


def check_names(records: list) -> None:
    require(len(records) <= MAX_RECORDS, "too_many_records", "at most 64 records")
    for name in records:
        require(len(name) == HEX_NAME, "bad_record_name", "a record's name is 64 hex digits")
        require(all([digit in HEX_DIGITS for digit in name]), "bad_record_name")


def open_path(subject: str, path: dict) -> None:
    current = [other for other in paths.get(subject, []) if now() < other["until"]]
    require(len(current) < MAX_OPEN, "too_many_referrals", "close one first")
    current.append(path)
    paths[subject] = current


def close_path(subject: str, id: str) -> None:
    paths[subject] = [other for other in paths.get(subject, []) if other["referral"] != id]
