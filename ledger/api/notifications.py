"""What a patient is told, in her app."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from ledger.api import problems
from ledger.api.documentation import failures
from ledger.api.exchange import JSON, media_type, parse_json, read_body, reply
from ledger.api.listeners import caller
from ledger.api.models import ChainValue, Hash, Milliseconds, Model
from ledger.api.principal import Kind
from ledger.api.problems import Problem
from ledger.api.service import NodeService
from ledger.api.webhooks import CURSOR
from ledger.chain.values import to_json
from ledger.node.answers import Cursor, parse_cursor
from ledger.node.notifications.inbox import NoticeList
from ledger.node.notifications.marks import TooManyMarks
from ledger.node.notifications.notices import Notice

MAX_PAGE: Final = 100
MAX_IDS: Final = 100
MAX_BODY: Final = 16 * 1024

_Cursor = Annotated[str, msgspec.Meta(pattern=CURSOR)]


class _Reading(msgspec.Struct, forbid_unknown_fields=True):
    ids: Annotated[list[_Cursor], msgspec.Meta(max_length=MAX_IDS)] = []
    up_to: _Cursor | None = None


_readings = msgspec.json.Decoder(_Reading)


class NotificationText(Model):
    """The same in two languages."""

    en: str
    zh: str


class NotificationModel(Model):
    """One thing that happened. ``id`` is the cursor of the event, ``transaction`` what the receipt
    is asked for with; ``fields`` are the event's own."""

    id: str
    time: Milliseconds
    topic: str
    urgent: bool
    read: bool
    text: NotificationText
    transaction: Hash
    contract: str
    name: str
    fields: ChainValue


class NotificationList(Model):
    """``urgent``: those of the newest emergencies that are not read yet, on the first page.
    ``notifications``: newest first. ``next``: to be given as ``before``; null after the last. A
    page can be short, even empty, before the last."""

    urgent: list[NotificationModel]
    notifications: list[NotificationModel]
    next: str | None


class ReadRequest(Model):
    """Which have been read: these, or all up to one."""

    ids: list[str] = Field(max_length=MAX_IDS, default_factory=list)
    up_to: Annotated[str | None, Field(pattern=CURSOR)] = None


def _json(notice: Notice, read: bool) -> dict[str, Any]:
    event = notice.event
    return {
        "id": str(event.cursor),
        "time": event.time,
        "topic": notice.topic.name,
        "urgent": notice.topic.urgent,
        "read": read,
        "text": {"en": notice.topic.english, "zh": notice.topic.chinese},
        "transaction": event.transaction,
        "contract": event.contract,
        "name": event.name,
        "fields": to_json(event.fields),
    }


def _patient(request: Request) -> str:
    principal = caller(request)
    if principal.kind is not Kind.PATIENT:
        raise Problem(problems.NOT_PERMITTED)
    return principal.id


def router(service: NodeService) -> APIRouter:
    routes = APIRouter(prefix="/v1/notifications", tags=["events"])

    def notices() -> NoticeList:
        found = service.notices
        if found is None:
            raise Problem(problems.NOT_PERMITTED, "this node has nothing to tell")
        return found

    @routes.get(
        "",
        response_model=NotificationList,
        summary="What I am told",
        responses=failures(
            problems.UNAUTHORISED, problems.NOT_PERMITTED, problems.INVALID_PARAMETERS
        ),
    )
    async def notifications(
        request: Request,
        before: Annotated[
            str | None, Query(pattern=CURSOR, description="go on from an earlier page")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
    ) -> Response:
        """Every access to the patient's records and what else concerns her, newest first;
        emergencies that she has not read come first of all. A sealed access appears at its date.
        `GET /v1/receipts/{transaction}` proves each."""
        subject = _patient(request)
        start = None if before is None else parse_cursor(before)
        page = await notices().page(subject, start, limit)
        urgent = await notices().unread_emergencies(subject) if before is None else []
        return reply(
            {
                "urgent": [_json(notice, read) for notice, read in urgent],
                "notifications": [_json(notice, read) for notice, read in page.notices],
                "next": None if page.following is None else str(page.following),
            }
        )

    @routes.post(
        "/read",
        status_code=204,
        summary="I have read this",
        responses=failures(
            problems.MALFORMED,
            problems.UNAUTHORISED,
            problems.NOT_PERMITTED,
            problems.TOO_LARGE,
            problems.UNSUPPORTED_MEDIA,
            problems.INVALID_PARAMETERS,
            problems.BUSY,
        ),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {JSON: {"schema": ReadRequest.model_json_schema()}},
            }
        },
    )
    async def mark_read(request: Request) -> Response:
        """Marks are kept by this node and by no other, and never taken back."""
        subject = _patient(request)
        media_type(request, JSON)
        given = parse_json(await read_body(request, MAX_BODY), _readings)
        cursors: list[Cursor] = [parse_cursor(text) for text in given.ids]
        try:
            up_to = None if given.up_to is None else parse_cursor(given.up_to)
            notices().mark(subject, cursors, up_to)
        except TooManyMarks:
            raise Problem(problems.BUSY, "too many single marks: give up_to") from None
        return Response(status_code=204)

    return routes
