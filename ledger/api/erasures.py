"""What a holder's privacy officer does: answer requests and disputes, destroy records.

A member of staff acts with the key that the node holds of him, so the chain shows who it was; an
operator acts by the node, which is a records officer of its institution too. What is destroyed is
signed for by the node, because it is the node that has seen it done.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Path, Request
from pydantic import Field
from starlette.responses import Response

from ledger.api import problems
from ledger.api.bodies import body_of
from ledger.api.documentation import failures
from ledger.api.exchange import JSON, MAX_HEIGHT, media_type, parse_json, read_body, reply
from ledger.api.models import Hash, Milliseconds, Model
from ledger.api.principal import Kind, Principal, principal_of
from ledger.api.problems import Problem
from ledger.api.service import NodeService
from ledger.chain.codec import Malformed
from ledger.chain.transaction import Call
from ledger.node.custody import NoHeldKey
from ledger.node.destruction import DestructionRefused

MAX_BODY: Final = 4_096
CASE_ID: Final = r"^[0-9a-f]{64}-(0|[1-9][0-9]{0,3})$"
HexHash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Case = Annotated[str, Path(pattern=CASE_ID, description="id of the request or dispute")]


class ErasureAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why the record is kept. ``since``: of the last visit or the discharge, in ms; of an order the
    date up to which it holds. ``evidence``: hash of the order."""

    ground: Literal["outpatient", "inpatient", "order", "none"]
    since: Annotated[int, msgspec.Meta(ge=0, le=MAX_HEIGHT)] = 0
    evidence: HexHash | None = None


class DisputeAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``statement``: hash of the reasons in words."""

    accepted: bool
    statement: HexHash


class Answered(Model):
    """The holder's answer is on the chain."""

    id: str
    until: Annotated[int, Field(description="up to when the record is kept, in ms; or 0")]


class DestroyedModel(Model):
    """The record is gone, and the chain says so."""

    id: str
    names: Annotated[list[Hash], Field(description="of all versions that were destroyed")]
    statement: Annotated[Hash, Field(description="hash of the report that the node has kept")]
    time: Milliseconds


#: What the document describes of bodies.
BODIES: Final = (ErasureAnswer, DisputeAnswer)
_ERASURE: Final = msgspec.json.Decoder(ErasureAnswer)
_DISPUTE: Final = msgspec.json.Decoder(DisputeAnswer)


def router(service: NodeService) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["records"])
    answers = failures(
        problems.MALFORMED, problems.UNAUTHORISED, problems.NOT_FOR_YOU, problems.NOT_NOW,
        problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA, problems.INVALID_PARAMETERS,
        problems.QUERY_FAILED, problems.BUSY,
    )  # fmt: skip

    def officer(request: Request) -> Principal:
        """A privacy officer of this institution, or an operator of the node for records."""
        principal = principal_of(request)
        staff = (
            principal.kind is Kind.STAFF
            and principal.institution == service.institution
            and "records-officer" in principal.roles
        )
        if not staff and not (principal.kind is Kind.OPERATOR and "records" in principal.roles):
            raise Problem(problems.NOT_FOR_YOU, "for the records officers of this institution")
        return principal

    async def done(principal: Principal, call: Call) -> Any:
        try:
            if principal.kind is Kind.STAFF:
                result = (await service.act(principal.id, [call])).result.calls[0]
            else:
                result = await service.officiate(call)
        except NoHeldKey:
            raise Problem(problems.NOT_FOR_YOU, "the node holds no key of yours") from None
        except Malformed as error:
            raise Problem(problems.INVALID_PARAMETERS, str(error)) from None
        except (PermissionError, TimeoutError) as error:
            raise Problem(problems.BUSY, str(error)) from None
        if not result.ok:
            code = result.error.partition(":")[0]
            raise Problem(problems.QUERY_FAILED, result.error, error=code)
        return result.value

    @routes.post(
        "/erasures/{id}/answer",
        response_model=Answered,
        summary="Say why a record is kept, and since when",
        responses=answers,
        openapi_extra=body_of(ErasureAnswer),
    )
    async def answer_erasure(request: Request, id: Case) -> Response:  # noqa: A002
        """The contract says until when the law keeps the record; the patient is told."""
        principal = officer(request)
        media_type(request, JSON)
        given = parse_json(await read_body(request, MAX_BODY), _ERASURE)
        evidence = b"" if given.evidence is None else bytes.fromhex(given.evidence)
        arguments = {
            "erasure": id, "ground": given.ground, "since": given.since, "evidence": evidence,
        }  # fmt: skip
        until = await done(principal, Call("erasure", "answer", arguments))
        return reply({"id": id, "until": until})

    @routes.post(
        "/erasures/{id}/destroy",
        response_model=DestroyedModel,
        summary="Destroy a record that no law keeps any longer",
        responses=answers,
    )
    async def destroy(request: Request, id: Case) -> Response:  # noqa: A002
        """The node destroys keys, salts and copies of all versions, and signs for it. Refused (409)
        with the date as long as the record is kept. Done again, it answers the same."""
        officer(request)
        try:
            gone = await service.destroy_record(id)
        except DestructionRefused as error:
            more = {"until": error.until} if error.until else {}
            raise Problem(problems.NOT_NOW, str(error), why=error.code, **more) from None
        except (PermissionError, TimeoutError) as error:
            raise Problem(
                problems.BUSY, f"destroyed, and not yet signed for; do it again: {error}"
            ) from None
        return reply(
            {
                "id": id,
                "names": list(gone.names),
                "statement": gone.statement.hex(),
                "time": service.head().time,
            }
        )

    @routes.post(
        "/disputes/{id}/answer",
        response_model=Answered,
        summary="Answer a patient who says that a record is wrong",
        responses=answers,
        openapi_extra=body_of(DisputeAnswer),
    )
    async def answer_dispute(request: Request, id: Case) -> Response:  # noqa: A002
        """To accept, supersede the record or mark it as entered in error first. What is refused
        stays beside the record."""
        principal = officer(request)
        media_type(request, JSON)
        given = parse_json(await read_body(request, MAX_BODY), _DISPUTE)
        arguments = {
            "dispute": id, "accepted": given.accepted, "statement": bytes.fromhex(given.statement),
        }  # fmt: skip
        await done(principal, Call("corrections", "answer", arguments))
        return reply({"id": id, "until": 0})

    return routes
