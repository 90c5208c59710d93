"""``/auth/passkey``: a patient registers the passkey of her device, and signs in with it."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections import OrderedDict
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from ledger.api import problems
from ledger.api.bodies import body_of
from ledger.api.documentation import failures
from ledger.api.exchange import JSON, media_type, parse_json, read_body, reply
from ledger.api.passkeys.challenges import Challenges
from ledger.api.passkeys.codes import Codes
from ledger.api.passkeys.party import (
    Assertion,
    Attestation,
    NotBelieved,
    RelyingParty,
    user_handle,
    wire_signature,
)
from ledger.api.patient_models import (
    ChallengeModel,
    PreparedModel,
    RegisteredModel,
    SignedInModel,
)
from ledger.api.preparing import HexKey, keys_of, patient_of, prepared_json
from ledger.api.principal import Kind, Principal
from ledger.api.problems import Problem
from ledger.api.service import NodeService, Prepared
from ledger.api.signin.cookies import set_session
from ledger.api.signin.refusal import Refused, Why
from ledger.api.signin.signin import ADDRESS_KEY, SignIn
from ledger.api.signin.throttle import Throttle, client_address
from ledger.chain import limits
from ledger.chain.codec import Malformed
from ledger.chain.transaction import Call

MAX_BODY: Final = 16 * limits.KIB
#: What a patient may do over `/fhir`; what she sees there is decided by the contracts.
SCOPES: Final = ("patient/*.rs", "patient/Consent.cruds")
#: Tries of enrolment codes a minute: of one address, and for one patient.
ADDRESS_RATE: Final = 20
SUBJECT_RATE: Final = 10
#: Registrations that wait for the new passkey's signature.
MAX_WAITING: Final = 1_000
SIGN_IN, REGISTER, ADD = "sign-in", "register", "add"

Nonce = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{43}$")]
Subject = Annotated[str, msgspec.Meta(pattern="^p-[0-9a-f]{32}$")]


class SignInAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the browser got for the nonce."""

    nonce: Nonce
    credential: Assertion


class Enrolling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A patient with the code that her clinic gave her."""

    subject: Subject
    code: Annotated[str, msgspec.Meta(max_length=32)]


class Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The passkey that her device has made."""

    subject: Subject
    code: Annotated[str, msgspec.Meta(max_length=32)]
    nonce: Nonce
    credential: Attestation


class Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The passkey of a further device. ``key``: the one she has, which signs as well."""

    key: HexKey
    nonce: Nonce
    credential: Attestation


class Confirmation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The new passkey's own signature over the transaction that enters it."""

    id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    credential: Assertion


BODIES: Final = (SignInAnswer, Enrolling, Registration, Confirmation, Device)
_DEVICE: Final = msgspec.json.Decoder(Device)
_ANSWER, _ENROLLING, _REGISTRATION, _CONFIRMATION = (
    msgspec.json.Decoder(SignInAnswer),
    msgspec.json.Decoder(Enrolling),
    msgspec.json.Decoder(Registration),
    msgspec.json.Decoder(Confirmation),
)
_BAD_BODY: Final = (
    problems.MALFORMED, problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA, problems.INVALID_PARAMETERS,
    problems.TOO_OFTEN,
)  # fmt: skip


def _nonce(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text + "=")
    except (NotBase64, ValueError):
        return b""


def _shown(nonce: bytes, options: dict[str, Any]) -> Response:
    text = urlsafe_b64encode(nonce).rstrip(b"=").decode()
    return reply({"nonce": text, "options": options})


class Desk:
    """What the routes share: open challenges, codes, and registrations under way."""

    def __init__(
        self, party: RelyingParty, signin: SignIn, codes: Codes, challenges: Challenges,
        by_address: Throttle, by_subject: Throttle,
    ) -> None:  # fmt: skip
        self.party = party
        self.signin = signin
        self.codes = codes
        self.challenges = challenges
        self._by_address = by_address
        self._by_subject = by_subject
        self.waiting: OrderedDict[bytes, tuple[Prepared, str]] = OrderedDict()

    def address(self, request: Request) -> str:
        found = request.scope.get(ADDRESS_KEY)
        return str(found or client_address(request.scope, self.signin.settings.proxies))

    def admit(self, request: Request) -> None:
        """Count one request of an address; answered with 429 where it is one too many."""
        self.signin.stranger(request)

    def refuse(self, request: Request, why: Why, who: str, detail: str) -> Problem:
        """Write a refusal down and slow the address; the `Problem` to raise."""
        address = self.address(request)
        self.signin.rejected(Refused(why, who), address, request.url.path)
        self.signin.lockout.failed(address)
        return Problem(problems.UNAUTHORISED, detail)

    async def enrolling(self, request: Request, subject: str, code: str) -> None:
        """Whether somebody has the patient's code; a `Problem` 401 or 429 where not."""
        self.admit(request)
        wait = max(self._by_address.take(self.address(request)), self._by_subject.take(subject))
        if wait:
            raise _too_many(wait)
        if not await asyncio.to_thread(self.codes.fits, subject, code):
            raise self.refuse(request, Why.UNKNOWN_TOKEN, subject, "the code is not good")

    def wait_for(self, prepared: Prepared, subject: str) -> None:
        self.waiting[prepared.id] = (prepared, subject)
        while len(self.waiting) > MAX_WAITING:
            self.waiting.popitem(last=False)


async def _key_of(
    service: NodeService, party: RelyingParty, credential: Assertion, nonce: bytes, who: str
) -> str:
    """Which key of a patient made an assertion; raises `NotBelieved`.

    One that replaces a lost one, and whose time has come, takes effect by being used.
    """
    keys = keys_of(service, who)
    try:
        return party.signed_in(credential, nonce, keys)
    except NotBelieved:
        due = await _due(service, who) if keys else ""
        if not due:
            raise
        key = party.signed_in(credential, nonce, [due])
        await _take_effect(service, who)
        return key


async def _due(service: NodeService, subject: str) -> str:
    """The key that replaces a patient's lost one and whose waiting time is over; empty if none."""
    found = await service.query("enrolment", "pending", {"subject": subject})
    opening = found.value if found.ok else None
    if opening is None or not 0 < opening.get("due", 0) <= service.head().time:
        return ""
    return str(opening["key"])


async def _take_effect(service: NodeService, subject: str) -> None:
    """Let that key count. Whether it may is decided by the contract."""
    call = Call("enrolment", "take_effect", {"subject": subject})
    try:
        await service.complete(service.prepare([call], [], by_node=True), [])
    except (PermissionError, TimeoutError, Malformed) as error:
        raise Problem(problems.BUSY, str(error)) from None


def _too_many(wait: float) -> Problem:
    return Problem(problems.TOO_OFTEN, f"wait {max(1, round(wait))} seconds")


def router(service: NodeService, desk: Desk) -> APIRouter:
    """The routes of one node."""
    routes = APIRouter(prefix="/auth/passkey", tags=["patients"])

    @routes.post(
        "/options",
        response_model=ChallengeModel,
        summary="Begin to sign in with a passkey",
        responses=failures(problems.TOO_OFTEN),
    )
    async def passkey_options(request: Request) -> Response:
        """A nonce and the options for `navigator.credentials.get`. The challenge is the hash of the
        nonce in the domain `sign-in` (docs/protocol/chain.md): compute it yourself, so that nobody
        gets a transaction signed as a sign-in."""
        desk.admit(request)
        nonce = desk.challenges.new(SIGN_IN)
        return _shown(nonce, desk.party.signing_in(nonce))

    @routes.post(
        "/verify",
        response_model=SignedInModel,
        summary="Sign in with a passkey",
        responses=failures(problems.UNAUTHORISED, problems.BUSY, *_BAD_BODY),
        openapi_extra=body_of(SignInAnswer),
    )
    async def passkey_verify(request: Request) -> Response:
        """Begins a session of the patient whose passkey it is; its secret comes as a cookie."""
        desk.admit(request)
        media_type(request, JSON)
        answer = parse_json(await read_body(request, MAX_BODY), _ANSWER)
        nonce = _nonce(answer.nonce)
        if not desk.challenges.take(SIGN_IN, nonce):
            raise desk.refuse(request, Why.REPLAYED, "", "the challenge is used or too old")
        who = ""
        try:
            who = user_handle(answer.credential)
            key = await _key_of(service, desk.party, answer.credential, nonce, who)
            principal = Principal(Kind.PATIENT, who, "", ("patient",), SCOPES, "", "passkey")
            opened = desk.signin.establish(principal, address=desk.address(request))
        except NotBelieved:
            raise desk.refuse(request, Why.SIGNATURE, who, "the passkey is not known") from None
        except Refused as refused:
            raise desk.refuse(request, refused.why, who, "the passkey is not known") from None
        said = {"person": who, "key": key, "csrf": opened.csrf, "ends": opened.ends}
        welcome = reply(said)
        set_session(welcome, opened, desk.signin.url, desk.signin.now())
        return welcome

    @routes.post(
        "/devices/options",
        response_model=ChallengeModel,
        summary="Begin to add another device",
        responses=failures(problems.UNAUTHORISED, problems.NOT_PERMITTED),
    )
    async def device_options(request: Request) -> Response:
        """As for registering, without a code: for a patient who is signed in."""
        patient = patient_of(request)
        nonce = desk.challenges.new(ADD + patient.id)
        return _shown(nonce, desk.party.registration(patient.id, nonce))

    @routes.post(
        "/devices/verify",
        response_model=PreparedModel,
        summary="Show the passkey of the other device",
        responses=failures(problems.UNAUTHORISED, problems.NOT_PERMITTED, *_BAD_BODY),
        openapi_extra=body_of(Device),
    )
    async def device_verify(request: Request) -> Response:
        """The transaction that enters it at once. It has two signers, the passkey that she has and
        the new one; with both signatures it goes to `POST /v1/transactions`."""
        patient = patient_of(request)
        media_type(request, JSON)
        given = parse_json(await read_body(request, MAX_BODY), _DEVICE)
        nonce = _nonce(given.nonce)
        if given.key not in keys_of(service, patient.id):
            raise Problem(problems.INVALID_PARAMETERS, "the key is not one of the caller's")
        if not desk.challenges.take(ADD + patient.id, nonce):
            raise Problem(problems.INVALID_PARAMETERS, "the challenge is used or too old")
        try:
            key = desk.party.registered(given.credential, nonce)
            call = Call("registry", "add_key", {"key": key.hex()})
            prepared = service.prepare([call], [bytes.fromhex(given.key), key])
        except (NotBelieved, Malformed):
            raise Problem(problems.INVALID_PARAMETERS, "the passkey cannot be used here") from None
        return reply(prepared_json(prepared.body, prepared.id, prepared.valid_until))

    @routes.post(
        "/registration/options",
        response_model=ChallengeModel,
        summary="Begin to register a passkey with a code of the clinic",
        responses=failures(problems.UNAUTHORISED, *_BAD_BODY),
        openapi_extra=body_of(Enrolling),
    )
    async def registration_options(request: Request) -> Response:
        """A nonce, which is the challenge, and the options for `navigator.credentials.create`."""
        media_type(request, JSON)
        given = parse_json(await read_body(request, MAX_BODY), _ENROLLING)
        await desk.enrolling(request, given.subject, given.code)
        nonce = desk.challenges.new(REGISTER + given.subject)
        return _shown(nonce, desk.party.registration(given.subject, nonce))

    @routes.post(
        "/registration/verify",
        response_model=PreparedModel,
        summary="Show the passkey that was made",
        responses=failures(problems.UNAUTHORISED, *_BAD_BODY),
        openapi_extra=body_of(Registration),
    )
    async def registration_verify(request: Request) -> Response:
        """The transaction that enters the passkey in the registry. The passkey itself signs its
        `id`, as it will sign consents."""
        media_type(request, JSON)
        given = parse_json(await read_body(request, MAX_BODY), _REGISTRATION)
        await desk.enrolling(request, given.subject, given.code)
        nonce = _nonce(given.nonce)
        if not desk.challenges.take(REGISTER + given.subject, nonce):
            raise desk.refuse(
                request, Why.REPLAYED, given.subject, "the challenge is used or too old"
            )
        try:
            key = desk.party.registered(given.credential, nonce)
        except NotBelieved:
            raise desk.refuse(
                request, Why.SIGNATURE, given.subject, "the passkey cannot be used here"
            ) from None
        call = Call("enrolment", "complete", {"subject": given.subject, "key": key.hex()})
        prepared = service.prepare([call], [key], by_node=True)
        desk.wait_for(prepared, given.subject)
        return reply(prepared_json(prepared.body, prepared.id, prepared.valid_until))

    @routes.post(
        "/registration/confirm",
        response_model=RegisteredModel,
        summary="Enter the passkey in the registry",
        responses=failures(problems.UNAUTHORISED, problems.QUERY_FAILED, problems.BUSY, *_BAD_BODY),
        openapi_extra=body_of(Confirmation),
    )
    async def registration_confirm(request: Request) -> Response:
        """Waits until it is final. A first passkey counts at once; one that replaces a lost one
        after the waiting time, unless the patient objects."""
        desk.admit(request)
        media_type(request, JSON)
        given = parse_json(await read_body(request, MAX_BODY), _CONFIRMATION)
        prepared, subject = desk.waiting.pop(bytes.fromhex(given.id), (None, ""))
        if prepared is None:
            raise desk.refuse(request, Why.REPLAYED, "", "no such registration waits")
        try:
            wire = wire_signature(given.credential.response)
            acted = await service.complete(prepared, [wire])
        except (NotBelieved, Malformed):
            desk.wait_for(prepared, subject)
            raise desk.refuse(
                request, Why.SIGNATURE, subject, "not signed by the passkey that was made"
            ) from None
        except (PermissionError, TimeoutError) as error:
            raise Problem(problems.BUSY, str(error)) from None
        done = acted.result.calls[0]
        if not done.ok:
            raise Problem(problems.QUERY_FAILED, done.error, error=done.error)
        await asyncio.to_thread(desk.codes.used, subject)
        said = {"transaction": acted.tx_id.hex(), "height": acted.height, "counts": done.value}
        return reply(said)

    return routes
