"""Subscribing to events by webhook."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Path, Request
from pydantic import Field
from starlette.responses import Response

from ledger.api import problems
from ledger.api.documentation import failures
from ledger.api.exchange import (
    EVENT_NAME,
    ID,
    JSON,
    NAME,
    media_type,
    parse_json,
    read_body,
    reply,
)
from ledger.api.listeners import bounded, caller
from ledger.api.models import Milliseconds, Model
from ledger.api.principal import Kind, Principal
from ledger.api.problems import Problem
from ledger.api.service import NodeService
from ledger.chain.codec import Malformed
from ledger.node.answers import parse_cursor
from ledger.node.listening.selection import MAX_VALUES
from ledger.node.webhooks.address import MAX_URL, Forbidden
from ledger.node.webhooks.book import Filters, Subscription, TooMany
from ledger.node.webhooks.office import WebhookOffice

MAX_BODY: Final = 64 * 1024
MAX_EACH: Final = 8
WEBHOOK_ID: Final = r"^[0-9a-f]{16}$"
CURSOR: Final = r"^(0|[1-9][0-9]{0,17})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})$"

_Names = Annotated[
    list[Annotated[str, msgspec.Meta(pattern=NAME)]], msgspec.Meta(max_length=MAX_VALUES)
]
_Events = Annotated[
    list[Annotated[str, msgspec.Meta(pattern=EVENT_NAME)]], msgspec.Meta(max_length=MAX_VALUES)
]
_Ids = Annotated[
    list[Annotated[str, msgspec.Meta(pattern=ID)]], msgspec.Meta(max_length=MAX_VALUES)
]
_Cursor = Annotated[str, msgspec.Meta(pattern=CURSOR)]


class _Filters(msgspec.Struct, forbid_unknown_fields=True):
    contract: _Names = []
    name: _Events = []
    subject: _Ids = []
    institution: _Ids = []
    holder: _Ids = []


class _Wish(msgspec.Struct, forbid_unknown_fields=True):
    url: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_URL)]
    filters: _Filters = msgspec.field(default_factory=_Filters)
    after: _Cursor | None = None


class _Resumption(msgspec.Struct, forbid_unknown_fields=True):
    after: _Cursor | None = None


_wishes = msgspec.json.Decoder(_Wish)
_resumptions = msgspec.json.Decoder(_Resumption)


class WebhookFilters(Model):
    """As those of `GET /v1/events`; an empty list leaves nothing out."""

    contract: list[str] = Field(max_length=MAX_VALUES, default_factory=list)
    name: list[str] = Field(max_length=MAX_VALUES, default_factory=list)
    subject: list[str] = Field(max_length=MAX_VALUES, default_factory=list)
    institution: list[str] = Field(max_length=MAX_VALUES, default_factory=list)
    holder: list[str] = Field(max_length=MAX_VALUES, default_factory=list)


class WebhookRequest(Model):
    """``after``: begin behind this cursor, without it with the next block."""

    url: Annotated[str, Field(min_length=1, max_length=MAX_URL)]
    filters: WebhookFilters = Field(default_factory=WebhookFilters)
    after: Annotated[str | None, Field(pattern=CURSOR)] = None


class ResumeRequest(Model):
    """``after``: go on behind this cursor instead of where it stands."""

    after: Annotated[str | None, Field(pattern=CURSOR)] = None


class WebhookModel(Model):
    """A subscription and how it goes. ``reason``: of the last failure, empty after a success."""

    id: Annotated[str, Field(pattern=WEBHOOK_ID)]
    url: str
    filters: WebhookFilters
    owner: str
    institution: str
    bound: str
    created: Milliseconds
    cursor: str
    status: Annotated[str, Field(pattern="^(active|suspended)$")]
    reason: str
    failing_since: Milliseconds
    attempts: int
    next_attempt: Milliseconds
    delivered: int
    last_delivery: Milliseconds


class WebhookList(Model):
    """The caller's subscriptions."""

    webhooks: list[WebhookModel]


class DeadLetter(Model):
    """An event that the receiver refused for good."""

    cursor: str
    transaction: str
    reason: str
    attempts: int
    time: Milliseconds


class DeadLetterList(Model):
    """Newest first."""

    dead_letters: list[DeadLetter]


_Id = Annotated[str, Path(pattern=WEBHOOK_ID, description="id of the subscription")]


def _json(subscription: Subscription) -> dict[str, Any]:
    found = msgspec.to_builtins(subscription)
    assert isinstance(found, dict)
    return found


def _subscriber(request: Request) -> Principal:
    principal = caller(request)
    if principal.kind not in (Kind.OPERATOR, Kind.SYSTEM):
        raise Problem(problems.NOT_PERMITTED)
    return principal


def _body(kind: type[Model]) -> dict[str, Any]:
    return {
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": kind.model_json_schema(ref_template="#/components/schemas/{model}")
                }
            },
        }
    }


def router(service: NodeService) -> APIRouter:
    routes = APIRouter(prefix="/v1/webhooks", tags=["events"])

    def office() -> WebhookOffice:
        found = service.webhooks
        if found is None:
            raise Problem(problems.NOT_PERMITTED, "this node has no webhooks")
        return found

    def mine(principal: Principal) -> list[Subscription]:
        found = office().all()
        if principal.kind is Kind.OPERATOR:
            return found
        return [item for item in found if item.institution == principal.institution]

    def one(request: Request, id_: str) -> Subscription:
        for item in mine(_subscriber(request)):
            if item.id == id_:
                return item
        raise Problem(problems.UNKNOWN_WEBHOOK)

    @routes.get(
        "",
        response_model=WebhookList,
        summary="List webhooks",
        responses=failures(problems.UNAUTHORISED, problems.NOT_PERMITTED),
    )
    async def webhooks(request: Request) -> Response:
        """The subscriptions of the caller's institution; of everybody, for an operator."""
        return reply({"webhooks": [_json(item) for item in mine(_subscriber(request))]})

    @routes.post(
        "",
        status_code=201,
        response_model=WebhookModel,
        summary="Subscribe to events by webhook",
        responses=failures(
            problems.MALFORMED,
            problems.UNAUTHORISED,
            problems.NOT_PERMITTED,
            problems.TOO_LARGE,
            problems.UNSUPPORTED_MEDIA,
            problems.INVALID_PARAMETERS,
            problems.BUSY,
        ),
        openapi_extra=_body(WebhookRequest),
    )
    async def subscribe(request: Request) -> Response:
        """The node POSTs each event, signed with its key (RFC 9421), in order, until it is
        answered with 2xx. The address has to be on the list of the node's operator."""
        principal = _subscriber(request)
        media_type(request, JSON)
        wish = parse_json(await read_body(request, MAX_BODY), _wishes)
        filters = msgspec.convert(msgspec.to_builtins(wish.filters), Filters)
        bound = bounded(principal, Subscription(
            id="", url="", filters=filters, created=0, cursor=""
        ).selection()).institution  # fmt: skip
        if principal.kind is Kind.SYSTEM and len(mine(principal)) >= MAX_EACH:
            raise Problem(problems.BUSY, f"at most {MAX_EACH} webhooks of one institution")
        try:
            made = office().subscribe(
                wish.url,
                filters,
                None if wish.after is None else parse_cursor(wish.after),
                owner=principal.id,
                institution=principal.institution,
                bound=bound or "",
            )
        except (Forbidden, Malformed) as error:
            raise Problem(problems.INVALID_PARAMETERS, f"url: {error}") from None
        except TooMany:
            raise Problem(problems.BUSY, "the node has as many webhooks as it can have") from None
        return reply(_json(made), 201)

    @routes.get(
        "/{webhook}",
        response_model=WebhookModel,
        summary="How a webhook goes",
        responses=failures(
            problems.UNAUTHORISED, problems.NOT_PERMITTED, problems.UNKNOWN_WEBHOOK,
            problems.INVALID_PARAMETERS,
        ),
    )  # fmt: skip
    async def webhook(request: Request, webhook: _Id) -> Response:
        """Where it stands, whether it works, and why not."""
        return reply(_json(one(request, webhook)))

    @routes.delete(
        "/{webhook}",
        status_code=204,
        summary="End a webhook",
        responses=failures(
            problems.UNAUTHORISED, problems.NOT_PERMITTED, problems.UNKNOWN_WEBHOOK,
            problems.INVALID_PARAMETERS,
        ),
    )  # fmt: skip
    async def unsubscribe(request: Request, webhook: _Id) -> Response:
        """Nothing is delivered any more, and nothing is left of it."""
        office().remove(one(request, webhook).id)
        return Response(status_code=204)

    @routes.post(
        "/{webhook}/resume",
        response_model=WebhookModel,
        summary="Go on with a suspended webhook",
        responses=failures(
            problems.MALFORMED,
            problems.UNAUTHORISED,
            problems.NOT_PERMITTED,
            problems.UNKNOWN_WEBHOOK,
            problems.TOO_LARGE,
            problems.UNSUPPORTED_MEDIA,
            problems.INVALID_PARAMETERS,
        ),
        openapi_extra=_body(ResumeRequest),
    )
    async def resume(request: Request, webhook: _Id) -> Response:
        """From where it stands, or from behind another cursor."""
        id_ = one(request, webhook).id
        media_type(request, JSON)
        asked = parse_json(await read_body(request, MAX_BODY), _resumptions)
        found = office().resume(id_, asked.after)
        if found is None:
            raise Problem(problems.UNKNOWN_WEBHOOK)
        return reply(_json(found))

    @routes.get(
        "/{webhook}/dead-letters",
        response_model=DeadLetterList,
        summary="Events that a receiver refused",
        responses=failures(
            problems.UNAUTHORISED, problems.NOT_PERMITTED, problems.UNKNOWN_WEBHOOK,
            problems.INVALID_PARAMETERS,
        ),
    )  # fmt: skip
    async def dead_letters(request: Request, webhook: _Id) -> Response:
        """Newest first, up to 1,000. Each can be read again from the chain by its cursor."""
        dead = office().dead(one(request, webhook).id)
        return reply({"dead_letters": [msgspec.to_builtins(item) for item in dead]})

    return routes
