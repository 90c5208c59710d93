"""The desk of a clinic: enrolling patients, replacing lost keys, and consents on paper.

What needs a witness is entered by a registrar and waits here until a second member of staff, who
has signed in herself, has read it and agrees. Then the node signs with the keys that it holds for
both, and co-signs. Forms and documents stay with the clinic; the node gets their hashes.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from ledger.api import problems
from ledger.api.bodies import body_of
from ledger.api.documentation import failures
from ledger.api.exchange import JSON, media_type, parse_json, read_body, reply
from ledger.api.passkeys.codes import Codes
from ledger.api.patient_models import DeskDoneModel, DeskEntryModel, DeskListModel
from ledger.api.preparing import Act, Code, call_of, registered
from ledger.api.principal import Kind, Principal, principal_of
from ledger.api.problems import Problem
from ledger.api.service import Acted, NodeService
from ledger.chain import limits
from ledger.chain.codec import Malformed
from ledger.chain.transaction import Call
from ledger.decisions import declaration
from ledger.node.custody import NoHeldKey

MAX_BODY: Final = 16 * limits.KIB
#: How long an entry waits for its witness, in seconds, and how many do.
PATIENCE_S: Final = 3_600.0
MAX_WAITING: Final = 1_000

Subject = Annotated[str, msgspec.Meta(pattern="^p-[0-9a-f]{32}$")]
HexHash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
EntryId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


class Enrolment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A registrar has seen a patient. ``evidence``: SHA-256 of what the clinic keeps about it."""

    subject: Subject
    document: Code
    evidence: HexHash


class Recovery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A patient has lost her key. ``form``: SHA-256 of the form that she signed."""

    subject: Subject
    document: Code
    evidence: HexHash
    form: HexHash


class Declaration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a patient without a device wants, on a form that she signed."""

    subject: Subject
    act: Act
    form: HexHash


BODIES: Final = (Enrolment, Recovery, Declaration)
_ENROLMENT, _RECOVERY, _DECLARATION = (
    msgspec.json.Decoder(Enrolment),
    msgspec.json.Decoder(Recovery),
    msgspec.json.Decoder(Declaration),
)
_BAD_BODY: Final = (
    problems.MALFORMED, problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA, problems.INVALID_PARAMETERS,
)  # fmt: skip
_FAILING: Final = (problems.UNAUTHORISED, problems.NOT_PERMITTED, problems.QUERY_FAILED)


@dataclass(frozen=True, slots=True)
class Entry:
    """What waits for a witness. ``ends``: by the desk's clock, in seconds."""

    id: str
    registrar: str
    subject: str
    form: str
    call: Call
    summary: declaration.Said
    ends: float

    def json(self) -> dict[str, Any]:
        return {
            "id": self.id, "registrar": self.registrar, "subject": self.subject,
            "form": self.form, "summary": self.summary._asdict(),
        }  # fmt: skip


class Waiting:
    """The entries of a desk that wait for a witness.

    Args:
        clock: seconds that only ever grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: OrderedDict[str, Entry] = OrderedDict()

    def add(self, registrar: str, subject: str, form: str, call: Call, said: Call) -> Entry:
        """A new entry. ``said``: the call as it is put in words, without the form."""
        (summary,) = declaration.said_of([said])
        entry = Entry(
            secrets.token_hex(16), registrar, subject, form, call, summary,
            self._clock() + PATIENCE_S,
        )  # fmt: skip
        self._entries[entry.id] = entry
        while len(self._entries) > MAX_WAITING:
            self._entries.popitem(last=False)
        return entry

    def all(self) -> list[Entry]:
        """Those that still wait."""
        now = self._clock()
        for name in [entry.id for entry in self._entries.values() if entry.ends <= now]:
            del self._entries[name]
        return list(self._entries.values())

    def take(self, name: str) -> Entry:
        """Take one out; a `Problem` 404 where none of that name waits."""
        for entry in self.all():
            if entry.id == name:
                return self._entries.pop(name)
        raise Problem(problems.NO_SUCH_PATH, "nothing of that id waits for a witness")

    def put_back(self, entry: Entry) -> None:
        """It still waits."""
        self._entries[entry.id] = entry


def router(service: NodeService, codes: Codes | None, waiting: Waiting) -> APIRouter:
    """The routes of one node. ``codes``: for patients' passkeys; None where there are none."""
    routes = APIRouter(prefix="/v1/desk", tags=["desk"])

    def staff(request: Request, role: str = "") -> Principal:
        principal = principal_of(request)
        here = principal.kind is Kind.STAFF and principal.institution == service.institution
        if not here or (role and role not in principal.roles):
            raise Problem(problems.NOT_PERMITTED, f"for a {role or 'member of staff'} of this node")
        return principal

    async def act(person: str, calls: list[Call], *witness: str) -> Acted:
        try:
            acted = await service.act(person, calls, *witness, atomic=True)
        except NoHeldKey:
            raise Problem(
                problems.NOT_PERMITTED, "the node holds no key for one of those who act"
            ) from None
        except Malformed as error:
            raise Problem(problems.INVALID_PARAMETERS, str(error)) from None
        except (PermissionError, TimeoutError) as error:
            raise Problem(problems.BUSY, str(error)) from None
        for done in acted.result.calls:
            if not done.ok and not done.error.startswith(("not_run", "undone")):
                raise Problem(problems.QUERY_FAILED, done.error, error=done.error)
        return acted

    async def done(acted: Acted, subject: str, *, opens: bool) -> Response:
        said: dict[str, Any] = {"transaction": acted.tx_id.hex(), "height": acted.height}
        if opens and codes is not None:
            until = acted.result.calls[-1].value
            said["code"] = await asyncio.to_thread(codes.give, subject, until)
            said["until"] = until
        return reply(said)

    @routes.post(
        "/enrolments",
        response_model=DeskDoneModel,
        response_model_exclude_unset=True,
        summary="Enrol a patient whom a registrar has seen",
        responses=failures(*_FAILING, *_BAD_BODY),
        openapi_extra=body_of(Enrolment),
    )
    async def enrol(request: Request) -> Response:
        """Enters the patient if she is new, writes down the identity check, and answers with the
        code for her. Nobody sees the code again."""
        registrar = staff(request, "registrar")
        media_type(request, JSON)
        given = parse_json(await read_body(request, MAX_BODY), _ENROLMENT)
        calls = []
        if registered(service, given.subject) is None:
            new = {"id": given.subject, "institution": service.institution, "roles": ["patient"]}
            calls.append(Call("registry", "enrol", {**new, "keys": []}))
        calls.append(Call("enrolment", "begin", _checked(given, service.institution)))
        return await done(await act(registrar.id, calls), given.subject, opens=True)

    @routes.post(
        "/recoveries",
        response_model=DeskEntryModel,
        summary="Enter that a patient has lost her key",
        responses=failures(problems.UNAUTHORISED, problems.NOT_PERMITTED, *_BAD_BODY),
        openapi_extra=body_of(Recovery),
    )
    async def recover(request: Request) -> Response:
        """Waits for a witness. The patient is told, and the key that she then registers counts
        after the waiting time."""
        registrar = staff(request, "registrar")
        media_type(request, JSON)
        given = parse_json(await read_body(request, MAX_BODY), _RECOVERY)
        arguments = {**_checked(given, service.institution), "form": bytes.fromhex(given.form)}
        call = Call("enrolment", "recover", arguments)
        told = Call("enrolment", "recover", {"subject": given.subject})
        entry = waiting.add(registrar.id, given.subject, given.form, call, told)
        return reply(entry.json())

    @routes.post(
        "/declarations",
        response_model=DeskEntryModel,
        summary="Enter what a patient has declared on paper",
        responses=failures(problems.UNAUTHORISED, problems.NOT_PERMITTED, *_BAD_BODY),
        openapi_extra=body_of(Declaration),
    )
    async def declare(request: Request) -> Response:
        """Waits for a witness, who has seen the patient sign the form."""
        registrar = staff(request, "registrar")
        media_type(request, JSON)
        given = parse_json(await read_body(request, MAX_BODY), _DECLARATION)
        told = call_of(given.act, given.subject)
        if told.contract != "consent":
            raise Problem(problems.INVALID_PARAMETERS, "only consents are declared on paper")
        call = Call(
            told.contract, told.method, {**told.arguments, "form": bytes.fromhex(given.form)}
        )
        entry = waiting.add(registrar.id, given.subject, given.form, call, told)
        return reply(entry.json())

    @routes.get(
        "/declarations",
        response_model=DeskListModel,
        summary="What waits for a witness",
        responses=failures(problems.UNAUTHORISED, problems.NOT_PERMITTED),
    )
    async def listed(request: Request) -> Response:
        """The entries of this clinic's registrars, oldest first."""
        staff(request)
        return reply({"waiting": [entry.json() for entry in waiting.all()]})

    @routes.post(
        "/declarations/{entry}/witness",
        response_model=DeskDoneModel,
        response_model_exclude_unset=True,
        summary="Bear witness",
        responses=failures(*_FAILING, problems.NO_SUCH_PATH, problems.INVALID_PARAMETERS),
    )
    async def witness(request: Request, entry: EntryId) -> Response:
        """A second member of staff has seen the patient sign. Signs for both and waits until it is
        final; for a lost key the answer has the code for the patient."""
        colleague = staff(request)
        taken = waiting.take(entry)
        if colleague.id == taken.registrar:
            waiting.put_back(taken)
            raise Problem(problems.NOT_PERMITTED, "nobody is the witness of herself")
        try:
            acted = await act(taken.registrar, [taken.call], colleague.id)
        except Problem:
            waiting.put_back(taken)
            raise
        return await done(acted, taken.subject, opens=taken.call.contract == "enrolment")

    @routes.delete(
        "/declarations/{entry}",
        status_code=204,
        summary="Drop an entry that was a mistake",
        responses=failures(
            problems.UNAUTHORISED, problems.NOT_PERMITTED, problems.NO_SUCH_PATH,
            problems.INVALID_PARAMETERS,
        ),
    )  # fmt: skip
    async def drop(request: Request, entry: EntryId) -> Response:
        """By any member of the clinic's staff; nothing of it was on the chain."""
        staff(request)
        waiting.take(entry)
        return Response(status_code=204)

    return routes


def _checked(given: Enrolment | Recovery, institution: str) -> dict[str, Any]:
    return {
        "subject": given.subject, "institution": institution, "document": given.document,
        "evidence": bytes.fromhex(given.evidence),
    }  # fmt: skip
