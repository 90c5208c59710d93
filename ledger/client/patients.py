"""What a patient's own software asks of a node: her overview, and what she wants prepared to sign.

A node turns what she wants into a transaction and hands out its bytes. Reading the answer decodes
those bytes and compares them with what was asked for, so that nothing else is signed by mistake.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal, NamedTuple

import msgspec

from ledger.chain import limits
from ledger.chain.codec import Malformed, decode, encode
from ledger.chain.pointer import pointer_from_value
from ledger.chain.transaction import Body, Call, Envelope, check_body, decode_transaction
from ledger.chain.values import decode_base64, from_json
from ledger.client.builder import Account
from ledger.client.requests import Request
from ledger.crypto import hashing

JSON: Final = "application/json"
#: How far beyond the newest height that the caller knows a prepared transaction may stay valid.
#: Nodes prepare for 1,000 heights at most; what could enter much later would be a trap.
LONGEST_WINDOW: Final = 2_000
_CONSENT_ID: Final = re.compile(r"c-[0-9a-f]{32}")


class NotAsked(Exception):
    """The node prepared something else than it was asked for: do not sign it."""


class Permit(msgspec.Struct, frozen=True, tag="permit", tag_field="act"):
    """Permit institutions to see records for purposes. What is empty means all of them, but at
    least one purpose is named. ``until``: ms since 1970 UTC, 0 for no end."""

    purposes: list[str]
    institutions: list[str] = []
    kinds: list[str] = []
    confidentiality: Literal["N", "R", "V"] = "N"
    until: int = 0


class Forbid(msgspec.Struct, frozen=True, tag="forbid", tag_field="act"):
    """Forbid it; otherwise as `Permit`."""

    purposes: list[str] = []
    institutions: list[str] = []
    kinds: list[str] = []
    until: int = 0


class Withdraw(msgspec.Struct, frozen=True, tag="withdraw", tag_field="act"):
    """Take a consent back."""

    consent: str


class StopRecovery(msgspec.Struct, frozen=True, tag="stop-recovery", tag_field="act"):
    """Stop the replacement of her key."""


class Erase(msgspec.Struct, frozen=True, tag="erase", tag_field="act"):
    """Ask that a record be destroyed; ``record``: its name on the chain in hex."""

    record: str


class Keep(msgspec.Struct, frozen=True, tag="keep", tag_field="act"):
    """Take such a request back."""

    erasure: str


class Dispute(msgspec.Struct, frozen=True, tag="dispute", tag_field="act"):
    """Say that a record is wrong; ``statement``: SHA-256, in hex, of her words."""

    record: str
    reason: Literal["wrong-patient", "wrong-content", "incomplete", "outdated", "other"]
    statement: str


class Settle(msgspec.Struct, frozen=True, tag="settle", tag_field="act"):
    """Withdraw a dispute."""

    dispute: str


Act = Permit | Forbid | Withdraw | StopRecovery | Erase | Keep | Dispute | Settle


class Said(msgspec.Struct, frozen=True):
    """A call in the node's words; ``whole``: whether it says that they leave nothing out."""

    en: str
    zh: str
    subject: str
    whole: bool


class Prepared(NamedTuple):
    """A transaction that does what was asked for, and lacks its signature.

    ``id``: what is signed. ``raw``: the encoded body. ``words``: how the node puts it, unverified.
    """

    id: bytes
    raw: bytes
    body: Body
    words: list[Said]

    def envelope(self, signature: bytes) -> bytes:
        """The transaction for `Ledger.submit`, with a signature over ``id``; raises `Malformed`."""
        return decode_transaction(encode(Envelope(self.raw, (signature,)))).raw

    def sign(self, account: Account) -> bytes:
        """The transaction for `Ledger.submit`; raises `Malformed` for another key than its
        signer's."""
        if (account.public,) != self.body.signers:
            raise Malformed("prepared for another key")
        return self.envelope(account.key.sign(self.id))


class _Prepared(msgspec.Struct):
    id: str
    body: str
    valid_until: int
    signers: list[str]
    summary: list[Said]


class Declared(msgspec.Struct, frozen=True):
    """A consent in force."""

    consent: str
    version: int
    rules: list[Any]


class Recovery(msgspec.Struct, frozen=True):
    """A replacement of her key that is under way; ``due``: ms since 1970 UTC, 0: no key yet."""

    institution: str
    due: int


class Institution(msgspec.Struct, frozen=True):
    """A member of the consortium."""

    id: str
    name: str
    name_zh: str
    kind: str


class Overview(msgspec.Struct, frozen=True):
    """What a node says that a patient has declared, and what is under way about her key."""

    network: str
    subject: str
    consents: list[Declared]
    recovery: Recovery | None
    institutions: list[Institution]


def _decoded(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Malformed(f"an answer that is not what was asked for: {error}") from None


def _read_overview(body: bytes) -> Overview:
    found: Overview = _decoded(body, Overview)
    valued = [
        msgspec.structs.replace(one, rules=[from_json(rule) for rule in one.rules])
        for one in found.consents
    ]
    return msgspec.structs.replace(found, consents=valued)


def overview(subject: str = "") -> Request[Overview]:
    """What the patient who is signed in has declared, or one for whom she speaks."""
    return Request("GET", "/v1/patient", _read_overview, {"subject": subject} if subject else {})


def prepare(chain: bytes, height: int, key: bytes, act: Act, subject: str) -> Request[Prepared]:
    """Have a transaction prepared that does one thing for a patient.

    Args:
        chain: id of the chain.
        height: the newest height that the caller knows.
        key: the wire public key that will sign, one of those of the patient who is signed in.
        subject: for whom: her pseudonym, or of one for whom she speaks.

    Sending it raises, beside what sending any request raises, `NotAsked`.
    """

    def read(body: bytes) -> Prepared:
        told: _Prepared = _decoded(body, _Prepared)
        raw = decode_base64(told.body)
        found = decode(raw, Body, limit=limits.MAX_TRANSACTION_BYTES)
        check_body(found)
        check_prepared(found, chain, height, key, act, subject)
        identity = hashing.TRANSACTION(raw)
        if told.id != identity.hex():
            raise NotAsked("an id of another transaction")
        return Prepared(identity, raw, found, told.summary)

    wish = msgspec.json.encode({"key": key.hex(), "act": act, "subject": subject})
    return Request("POST", "/v1/prepare", read, body=wish, media=JSON)


def check_prepared(
    body: Body, chain: bytes, height: int, key: bytes, act: Act, subject: str
) -> None:
    """Compare what a node has prepared with what it was asked for; arguments as of `prepare`.

    Raises:
        NotAsked: it is something else.
    """
    if body.chain != chain:
        raise NotAsked("a transaction of another chain")
    if body.signers != (key,):
        raise NotAsked("a transaction of other signers")
    if body.valid_until > height + LONGEST_WINDOW:
        raise NotAsked(f"valid up to height {body.valid_until}, at height {height}")
    if len(body.calls) != 1:
        raise NotAsked(f"{len(body.calls)} calls where one was asked for")
    (given,) = body.calls
    try:
        wanted = _wanted(act, subject, given)
    except (KeyError, Malformed):
        raise NotAsked(f"{given.contract}.{given.method} with other arguments") from None
    if encode(given) != encode(wanted):
        raise NotAsked(f"{given.contract}.{given.method}, or other arguments of it")


def _wanted(act: Act, subject: str, given: Call) -> Call:
    """The call that an act is, where only the node can know a part with that part of ``given``."""
    match act:
        case Permit():
            scope = {**_scope(act), "confidentiality": act.confidentiality}
            return Call("consent", "grant", _declaration(subject, scope, given))
        case Forbid():
            return Call("consent", "deny", _declaration(subject, _scope(act), given))
        case Withdraw():
            return Call("consent", "withdraw", {"id": act.consent})
        case StopRecovery():
            return Call("enrolment", "cancel", {"subject": subject})
        case Erase():
            return Call("erasure", "ask", _record(act.record, subject, given))
        case Keep():
            return Call("erasure", "take_back", {"erasure": act.erasure})
        case Dispute():
            words = {"reason": act.reason, "statement": bytes.fromhex(act.statement)}
            about = _record(act.record, subject, given)
            return Call("corrections", "dispute", about | words)
        case Settle():
            return Call("corrections", "withdraw", {"dispute": act.dispute})


def _scope(act: Permit | Forbid) -> dict[str, Any]:
    named = {"purposes": act.purposes, "institutions": act.institutions, "kinds": act.kinds}
    scope: dict[str, Any] = {name: codes for name, codes in named.items() if codes}
    return {**scope, "end": act.until} if act.until else scope


def _declaration(subject: str, scope: dict[str, Any], given: Call) -> dict[str, Any]:
    """The node chooses the id, at random: it says nothing."""
    identity = given.arguments["id"]
    if not isinstance(identity, str) or not _CONSENT_ID.fullmatch(identity):
        raise NotAsked("a consent of an odd id")
    return {"id": identity, "subject": subject, "scope": scope}


def _record(name: str, subject: str, given: Call) -> dict[str, Any]:
    """The holder has the pointer, of which the name is the hash, and its proof of anchoring, which
    the contract checks and which does nothing else."""
    pointer = pointer_from_value(given.arguments["pointer"])
    if pointer.name().hex() != name or pointer.subject != subject:
        raise NotAsked("another record than the one asked about")
    return {"pointer": pointer.value(), "proof": given.arguments["proof"]}
