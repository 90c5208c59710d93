"""Authorities: the certificate authorities (CAs) that vouch for the nodes of each institution.

They count for connections between nodes only; votes and transactions are signed with other keys.
An institution can have several at once, so that one can take over from another. A governor replaces
those of her own institution without a vote, because they can speak for nobody else's nodes.
"""

from ledger.contracts.prelude import Map, call, caller, digest, emit, export, height, init, query, require, signers

MAX_AUTHORITIES = 4
MAX_CERTIFICATE = 8192
NOTICE = 2
LONGEST_NOTICE = 100000

# Institution → the CAs that count or will: PEM text, its hash as the name, and the heights from
# which on and before which it counts; 0 stands for no end.
certificates = Map("certificates")


@init
def found(certificates: dict) -> None:
    """Write down the founders' CAs: institution id → PEM text."""
    for institution in certificates:
        enter(institution, certificates[institution])


@export
def add(institution: str, certificate: str) -> str:
    """A governor adds a CA of her institution; it counts from the next block on.

    Returns its name, the SHA-256 of the PEM text in hex. Governance adds that of a new member.
    """
    check_right(institution)
    problem = problem_with_adding(institution, certificate)
    require(problem == "", problem, "the CA cannot be added")
    name = enter(institution, certificate)
    emit("authority_added", institution=institution, authority=name)
    return name


@export
def remove(institution: str, authority: str, at: int) -> None:
    """A governor ends a CA of her institution at a height: what it issued opens no connection then."""
    check_right(institution)
    problem = problem_with_removing(institution, authority, at)
    require(problem == "", problem, "the CA cannot be removed")
    entries = lasting(institution)
    for entry in entries:
        if entry["name"] == authority:
            entry["until"] = at
    certificates[institution] = entries
    emit("authority_ends", institution=institution, authority=authority, at=at)


# --- Questions ---------------------------------------------------------------------------------


@query
def of(institution: str) -> list:
    """The CAs of an institution that count now or will."""
    return lasting(institution)


@query
def problem_with_adding(institution: str, certificate: str) -> str:
    """Why a CA cannot be added as things stand now, or nothing."""
    if not call("governance", "is_member", id=institution):
        return "not_a_member"
    if len(certificate) > MAX_CERTIFICATE:
        return "bad_certificate"
    entries = lasting(institution)
    if name_of(certificate) in [entry["name"] for entry in entries]:
        return "authority_exists"
    return "too_many_authorities" if len(entries) >= MAX_AUTHORITIES else ""


@query
def problem_with_removing(institution: str, authority: str, at: int) -> str:
    """Why a CA cannot end at a height as things stand now, or nothing."""
    if at < height() + NOTICE:
        return "too_late"
    if at > height() + LONGEST_NOTICE:
        return "too_far"
    entries = lasting(institution)
    if authority not in [entry["name"] for entry in entries]:
        return "unknown_authority"
    others = [entry for entry in entries if entry["name"] != authority and entry["until"] == 0]
    return "last_authority" if len(others) == 0 else ""


# --- Helpers -----------------------------------------------------------------------------------


def check_right(institution: str) -> None:
    if caller() != "governance":
        call("registry", "acting", key=signers()[0], institution=institution, roles=["governor"])


def name_of(certificate: str) -> str:
    return digest(certificate.encode()).hex()


def lasting(institution: str) -> list:
    entries = certificates.get(institution, [])
    return [entry for entry in entries if entry["until"] == 0 or entry["until"] > height()]


def enter(institution: str, certificate: str) -> str:
    name = name_of(certificate)
    entry = {"name": name, "certificate": certificate, "from": height() + 1, "until": 0}
    certificates[institution] = lasting(institution) + [entry]
    return name
