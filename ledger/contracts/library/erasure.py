"""Erasure: a patient has a record destroyed, as soon as no law keeps it any longer.

She asks for one record. From then on nobody gets it but herself and whom the law obliges the holder to
serve. The holder's records officer answers with the ground on which the record has to be kept and since
when the time for that runs; the contract says until which date that is, and nobody can destroy it before.
On that date, or at once where nothing keeps it, a term begins within which the holder destroys what is
needed to read the record and to recognise it: its salts, its keys, its copies. The officer signs what was
destroyed. The pointer stays on the chain, a commitment that says nothing to anybody any more.

She can take the request back until the record is gone.
"""

from ledger.contracts.prelude import Map, Value, add_months, call, call_index, caller, days, emit, export, init, now, query, require, signers, transaction

# Why a record has to be kept: after the last visit, after the discharge, or until an authority's date.
GROUNDS = ["outpatient", "inpatient", "order", "none"]
# What makes a record unreadable and unrecognisable once it is gone.
PARTS = ["salts", "keys", "copies", "source"]

BOUNDS = {"outpatient_years": [15, 100], "inpatient_years": [30, 100], "answer_days": [1, 90], "destroy_days": [1, 90]}
HASH_BYTES = 32
MAX_NAMES = 64
LONGEST_ORDER = 36500

settings = Value("settings")
local = Map("local")
# Request → which record, whose, since when, what the holder has said, until when it is kept.
requests = Map("requests")
# Holder and record → the request that is open about it, or by which it was destroyed.
current = Map("current")


@init
def found(outpatient_years: int = 15, inpatient_years: int = 30, answer_days: int = 30, destroy_days: int = 30) -> None:
    """Fix how long records are kept, and how long a holder has for an answer and for the destruction."""
    settings.set(checked({
        "outpatient_years": outpatient_years, "inpatient_years": inpatient_years,
        "answer_days": answer_days, "destroy_days": destroy_days,
    }))


# --- What patients ask -------------------------------------------------------------------------


@export
def ask(pointer: dict, proof: dict, form: bytes = b"") -> str:
    """The patient asks that a record be destroyed; returns the id of the request.

    From this block on the record is closed to everybody but herself and legal duties.
    """
    subject = pointer["subject"]
    given = call("registry", "given_by", subject=subject, form=form)
    record = call("records", "find", pointer=pointer, proof=proof)
    require(record["status"] != "unknown", "unknown_record", "the holder never entered such a record")
    place = (pointer["holder"], record["name"].hex())
    require(place not in current, "already_asked", "there is a request about that record")
    id = f"{transaction()}-{call_index()}"
    terms = terms_of(call("governance", "institution", id=pointer["holder"])["county"])
    requests[id] = {
        "subject": subject, "given_by": given, "form": form, "holder": pointer["holder"], "record": record["name"],
        "kind": pointer["kind"], "data_end": pointer["end"], "time": now(), "status": "requested",
        "due": now() + days(terms["answer_days"]), "ground": "", "since": 0, "until": 0,
    }
    current[place] = id
    call("records", "restrict", holder=pointer["holder"], name=record["name"], how="restricted")
    emit("asked", erasure=id, subject=subject, holder=pointer["holder"])
    return id


@export
def take_back(erasure: str, form: bytes = b"") -> None:
    """The patient takes a request back: the record can be asked for as before."""
    request = known(erasure)
    call("registry", "given_by", subject=request["subject"], form=form)
    require(request["status"] != "destroyed", "already_destroyed", "the record is gone")
    require(request["status"] != "taken-back", "already_taken_back")
    request["status"] = "taken-back"
    request["ended"] = now()
    requests[erasure] = request
    del current[request["holder"], request["record"].hex()]
    call("records", "restrict", holder=request["holder"], name=request["record"], how="")
    emit("taken_back", erasure=erasure, subject=request["subject"], holder=request["holder"])


# --- What holders answer -----------------------------------------------------------------------


@export
def answer(erasure: str, ground: str, since: int, evidence: bytes = b"") -> int:
    """A records officer of the holder says on which ground the record is kept; returns until when.

    `since` is the time of the last visit or of the discharge, from which the years are counted; for an
    order of an authority it is the date until which it holds, and `evidence` the order's hash. A later
    answer takes the place of an earlier one as long as the record is there.
    """
    request = known(erasure)
    officer = officer_of(request)
    require(request["status"] in ["requested", "kept", "due"], "closed", "the request has ended")
    require(ground in GROUNDS, "unknown_ground", "not a code of the list of grounds")
    terms = terms_of(call("governance", "institution", id=request["holder"])["county"])
    if ground == "order":
        require(len(evidence) == HASH_BYTES, "evidence_missing", "an order is named by its hash")
        require(since <= now() + days(LONGEST_ORDER), "bad_time", "an order holds for 100 years at most")
        until = since
    elif ground == "none":
        until = now()
    else:
        require(request["data_end"] <= since and since <= now(), "bad_time", "the years count from the last visit or the discharge")
        until = add_months(since, 12 * terms[f"{ground}_years"])
    request["answered"] = {"by": officer, "time": now(), "evidence": evidence}
    request["ground"] = ground
    request["since"] = since
    request["until"] = until
    request["status"] = "kept" if now() < until else "due"
    request["due"] = max(now(), until) + days(terms["destroy_days"])
    requests[erasure] = request
    if now() < until:
        emit("kept", erasure=erasure, subject=request["subject"], holder=request["holder"], ground=ground, until=until)
    else:
        emit("due", erasure=erasure, subject=request["subject"], holder=request["holder"], destroy_by=request["due"])
    return until


@export
def destroyed(erasure: str, parts: list, names: list, statement: bytes) -> None:
    """A records officer of the holder signs that a record cannot be read any more, by anybody.

    `parts` are the codes of what was destroyed, `names` those of all its versions, as 64 hex digits, and
    `statement` the hash of the holder's report about it.
    """
    request = known(erasure)
    officer = officer_of(request)
    require(request["status"] in ["kept", "due"], "not_due", "answer first on which ground the record is kept")
    require(request["until"] <= now(), "too_early", "the law keeps the record")
    require(len(parts) > 0 and all([part in PARTS for part in parts]), "unknown_part", "not a code of the list of parts")
    require("salts" in parts and "keys" in parts, "not_destroyed", "as long as salts or keys are there, so is the record")
    require(len(statement) == HASH_BYTES, "statement_missing", "the report is named by its hash")
    require(len(names) <= MAX_NAMES and all([len(name) == 2 * HASH_BYTES for name in names]), "bad_record_name")
    require(request["record"].hex() in names, "another_record", "the record asked for is not among them")
    request["status"] = "destroyed"
    request["ended"] = now()
    request["receipt"] = {"by": officer, "time": now(), "parts": parts, "names": names, "statement": statement}
    requests[erasure] = request
    call("records", "restrict", holder=request["holder"], name=request["record"], how="destroyed")
    emit("destroyed", erasure=erasure, subject=request["subject"], holder=request["holder"], late=request["due"] < now())


def officer_of(request: dict) -> str:
    return call("registry", "acting", key=signers()[0], institution=request["holder"], roles=["records-officer"])["id"]


def known(erasure: str) -> dict:
    require(erasure in requests, "unknown_erasure", "there is no request of that id")
    return requests[erasure]


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


def terms_of(county: str) -> dict:
    return merged(settings.get(), local.get(county, {}))


# --- Questions ---------------------------------------------------------------------------------


@query
def erasure(id: str) -> dict | None:
    """A request with all that came of it, or nothing."""
    return requests.get(id)


@query
def about(holder: str, record: str) -> dict | None:
    """The request that is open about a record, or by which it was destroyed, or nothing."""
    id = current.get((holder, record), "")
    return requests[id] if id != "" else None
