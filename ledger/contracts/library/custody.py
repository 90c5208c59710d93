"""Custody: what a place that holds people against their will learns about them, and what it does not.

Who is held, in compulsory detoxification for example, cannot consent freely to anything but being
treated. The place of custody therefore enters her under a pseudonym of its own, made for the stay:
everybody can see that this pseudonym belongs to a place of custody, and nobody can see whose other
pseudonym it goes with. For it holds:

- the place of custody gets records for treatment alone, by its clinicians, while she is in its care;
  everything else is forbidden to it, whatever was signed;
- whatever she signs counts for treatment alone: research, other departments and relatives get nothing
  by it, also after the stay;
- who treats her outside, such as a reading centre, may not use it for anything else or pass it on.
"""

from ledger.contracts.prelude import Map, call, days, denies, emit, export, forbids, init, limits, now, query, require, signers, silent

CLINICIANS = ["physician", "nurse", "emergency-physician"]
STAFF = ["registrar", "physician", "nurse", "emergency-physician"]
# What a permit can serve although its basis is not a free consent: treatment, payment for it, public
# health, and running the institutions that treat.
SERVED = ["TREAT", "HPAYMT", "PUBHLTH"]
RUNNING = ["CAREMGT", "HQUALIMP", "HCOMPL", "PATSFTY", "PATADMIN", "RECORDMGT"]
DUTIES = ["NOREUSE", "NORDSCLCD"]
ENDINGS = ["released", "moved", "died", "entered-in-error"]
LONGEST_DAYS = 1095

stays = Map("stays")
custodians = Map("custodians")


@init
def found() -> None:
    """Nothing to prepare."""


@export
def admit(subject: str, institution: str, until: int) -> None:
    """Staff of a place of custody takes a person into its care, under a pseudonym of its own."""
    person = call("registry", "acting", key=signers()[0], institution=institution, roles=STAFF)
    require(person["kind"] == "custody", "not_custody", "the institution holds nobody")
    entry = call("registry", "person", id=subject)
    require(entry is not None and subject.startswith("p-"), "unknown_person", "nobody of that pseudonym")
    require(entry["home"] == institution, "ordinary_pseudonym", "make a pseudonym for the stay: this one tells who she is")
    require(now() < until and until <= now() + days(LONGEST_DAYS), "bad_time", "a stay ends within three years")
    stays[subject] = {"institution": institution, "until": until, "since": now(), "status": "in-care"}
    custodians[institution] = True
    emit("taken_into_care", subject=subject, institution=institution, until=until)


@export
def discharge(subject: str, ending: str) -> None:
    """The place of custody ends its care, and with it all that it could see."""
    require(ending in ENDINGS, "unknown_reason", "not a code of the list of endings")
    require(subject in stays, "not_in_care", "nobody of that pseudonym is in care")
    stay = stays[subject]
    require(stay["status"] == "in-care", "not_in_care", "the stay has ended")
    call("registry", "acting", key=signers()[0], institution=stay["institution"], roles=STAFF)
    stay["status"] = ending
    stay["ended"] = now()
    stays[subject] = stay
    emit("care_ended", subject=subject, institution=stay["institution"], ending=ending)


@query
def decide(request: dict) -> dict:
    """Bind or refuse what concerns people in custody and places of custody; permit nothing."""
    stay = stays.get(request["subject"])
    if request["institution_kind"] == "custody":
        if request["branch"] != "TREAT" or not clinical(request["roles"]):
            return forbids("custodian-treats-only")
        if stay is None or stay["institution"] != request["institution"]:
            return forbids("not-in-its-care")
        if stay["status"] != "in-care" or stay["until"] <= now():
            return forbids("not-in-its-care")
        return limits("custodian", until=stay["until"], duties=DUTIES)
    if stay is None and request["holder"] not in custodians:
        return silent("no-custody")
    if request["branch"] in SERVED or request["purpose"] in RUNNING:
        return limits("from-custody", duties=DUTIES)
    return denies("not-freely-consented")


def clinical(roles: list) -> bool:
    for role in roles:
        if role in CLINICIANS:
            return True
    return False


@query
def get(subject: str) -> dict | None:
    """The stay of a pseudonym, or nothing."""
    return stays.get(subject)
