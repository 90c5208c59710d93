"""Transactions that the node prepares for a patient, who signs them herself.

The node turns what she wants into calls and hands out the bytes to be signed, with their meaning in
words. It has no key of hers: what she signs goes to `POST /v1/transactions` like any other
transaction. Her page reads the bytes itself before she signs (`docs/patients/`).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from ledger.api import problems
from ledger.api.bodies import body_of
from ledger.api.documentation import failures
from ledger.api.erasures import CASE_ID
from ledger.api.exchange import JSON, media_type, parse_json, read_body, reply
from ledger.api.patient_models import PreparedModel
from ledger.api.principal import Kind, Principal, principal_of
from ledger.api.problems import Problem
from ledger.api.service import NodeService
from ledger.chain import limits
from ledger.chain.codec import decode, decode_value
from ledger.chain.exchange import Shown
from ledger.chain.transaction import Body, Call
from ledger.chain.values import encode_base64
from ledger.decisions import declaration

MAX_BODY: Final = 16 * limits.KIB

Code = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Codes = Annotated[list[Code], msgspec.Meta(max_length=64)]
#: Milliseconds since 1970-01-01 UTC, or 0 for no end.
Until = Annotated[int, msgspec.Meta(ge=0, le=10**13)]
HexKey = Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{66}|[0-9a-f]{132})$")]


class Permit(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="permit", tag_field="act"
):
    """She permits institutions to see records for purposes. Nothing named: all of them, but for
    purposes, of which there is one at least. ``until``: milliseconds, or 0."""

    purposes: Annotated[Codes, msgspec.Meta(min_length=1)]
    institutions: Codes = []
    kinds: Codes = []
    confidentiality: Literal["N", "R", "V"] = "N"
    until: Until = 0


class Forbid(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="forbid", tag_field="act"
):
    """She forbids it."""

    purposes: Codes = []
    institutions: Codes = []
    kinds: Codes = []
    until: Until = 0


class Withdraw(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="withdraw", tag_field="act"
):
    """She takes a consent back."""

    consent: Code


class StopRecovery(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="stop-recovery", tag_field="act"
):
    """She stops the replacement of her key."""


Name = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
#: Id of a request or a dispute.
Case = Annotated[str, msgspec.Meta(pattern=CASE_ID)]


class Erase(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="erase", tag_field="act"):
    """She asks that a record of this node's institution be destroyed. ``record``: its name."""

    record: Name


class Keep(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="keep", tag_field="act"):
    """She takes a request to destroy a record back. ``erasure``: its id."""

    erasure: Case


class Dispute(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="dispute", tag_field="act"
):
    """She says that a record of this node's institution is wrong. ``record``: its name;
    ``statement``: the SHA-256 of her words."""

    record: Name
    reason: Literal["wrong-patient", "wrong-content", "incomplete", "outdated", "other"]
    statement: Name


class Settle(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="settle", tag_field="act"
):
    """She withdraws a dispute."""

    dispute: Case


Act = Permit | Forbid | Withdraw | StopRecovery | Erase | Keep | Dispute | Settle


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``key``: the wire public key, in hex, that will sign. ``subject``: for whom; herself if
    empty, or one for whom she speaks."""

    key: HexKey
    act: Act
    subject: Annotated[str, msgspec.Meta(pattern="^(p-[0-9a-f]{32})?$")] = ""


_WISH: Final = msgspec.json.Decoder(Wish)


def call_of(act: Act, subject: str, record: Shown | None = None) -> Call:
    """The call by which an act is done for a patient. ``record``: that it is about, if any."""
    match act:
        case Erase() | Dispute():
            if record is None:
                raise LookupError("no such record of hers is held here")
            about = {"pointer": record.pointer.value(), "proof": record.proof}
            if isinstance(act, Erase):
                return Call("erasure", "ask", about)
            words = {"reason": act.reason, "statement": bytes.fromhex(act.statement)}
            return Call("corrections", "dispute", about | words)
        case Keep():
            return Call("erasure", "take_back", {"erasure": act.erasure})
        case Settle():
            return Call("corrections", "withdraw", {"dispute": act.dispute})
        case Permit():
            scope = _scope(act)
            scope["confidentiality"] = act.confidentiality
            return Call("consent", "grant", _declared(subject, scope))
        case Forbid():
            return Call("consent", "deny", _declared(subject, _scope(act)))
        case Withdraw():
            return Call("consent", "withdraw", {"id": act.consent})
        case StopRecovery():
            return Call("enrolment", "cancel", {"subject": subject})


def _declared(subject: str, scope: dict[str, Any]) -> dict[str, Any]:
    return {"id": f"c-{secrets.token_hex(16)}", "subject": subject, "scope": scope}


def _scope(act: Permit | Forbid) -> dict[str, Any]:
    scope: dict[str, Any] = {}
    for name in ("purposes", "institutions", "kinds"):
        items = getattr(act, name)
        if items:
            scope[name] = items
    if act.until:
        scope["end"] = act.until
    return scope


def registered(service: NodeService, person: str) -> Mapping[str, Any] | None:
    """The registry's entry of a person at the newest height."""
    if not person.replace("-", "").isalnum() or len(person) > limits.MAX_NAME_BYTES:
        return None
    raw = service.state(f"registry/people/{person}".encode())
    found = None if raw is None else decode_value(raw, limit=limits.MAX_STATE_VALUE_BYTES)
    return found if isinstance(found, dict) else None


def keys_of(service: NodeService, person: str) -> list[str]:
    """The keys of a person in good standing, in hex; none for anybody else."""
    entry = registered(service, person)
    if entry is None or entry["status"] != "active":
        return []
    return [str(key) for key in entry["keys"]]


def patient_of(request: Request) -> Principal:
    """The patient who calls; a `Problem` where it is somebody else."""
    principal = principal_of(request)
    if principal.kind is not Kind.PATIENT:
        raise Problem(problems.NOT_PERMITTED, "for patients and who speaks for them")
    return principal


def prepared_json(body: bytes, identity: bytes, valid_until: int) -> dict[str, Any]:
    """What there is to sign, and what it says."""
    decoded = decode(body, Body, limit=limits.MAX_TRANSACTION_BYTES)
    return {
        "id": identity.hex(),
        "body": encode_base64(body),
        "valid_until": valid_until,
        "signers": [signer.hex() for signer in decoded.signers],
        "summary": [item._asdict() for item in declaration.said(decoded)],
    }


def router(service: NodeService) -> APIRouter:
    """The route that serves ``service``."""
    routes = APIRouter(prefix="/v1", tags=["patients"])

    async def record_of(act: Act, subject: str) -> Shown | None:
        """The record that an act is about, if it is hers and held here."""
        own = service.own_records
        if not isinstance(act, Erase | Dispute) or own is None:
            return None
        found = await asyncio.to_thread(own.record, bytes.fromhex(act.record))
        return found if found is not None and found.pointer.subject == subject else None

    @routes.post(
        "/prepare",
        response_model=PreparedModel,
        summary="Prepare what a patient wants to sign",
        responses=failures(
            problems.MALFORMED, problems.UNAUTHORISED, problems.NOT_PERMITTED, problems.TOO_LARGE,
            problems.UNSUPPORTED_MEDIA, problems.INVALID_PARAMETERS,
        ),
        openapi_extra=body_of(Wish),
    )  # fmt: skip
    async def prepare(request: Request) -> Response:
        """The bytes of a transaction that does one thing for the patient who is signed in, or for
        one for whom she speaks. Whether she may is decided when it is executed.

        Sign `id`; the envelope is the canonical msgpack of `[body, [signature]]`. Read `body`
        before: `summary` is this node's word.
        """
        patient = patient_of(request)
        media_type(request, JSON)
        wish = parse_json(await read_body(request, MAX_BODY), _WISH)
        if wish.key not in keys_of(service, patient.id):
            raise Problem(problems.INVALID_PARAMETERS, "the key is not one of the caller's")
        subject = wish.subject or patient.id
        try:
            call = call_of(wish.act, subject, await record_of(wish.act, subject))
        except LookupError as error:
            raise Problem(problems.INVALID_PARAMETERS, str(error)) from None
        prepared = service.prepare([call], [bytes.fromhex(wish.key)])
        return reply(prepared_json(prepared.body, prepared.id, prepared.valid_until))

    return routes
