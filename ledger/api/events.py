"""The resumable stream of contract events (server-sent events, WHATWG HTML §9.2)."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from ledger.api import problems
from ledger.api.documentation import failures
from ledger.api.exchange import NAME
from ledger.api.problems import Problem
from ledger.api.service import Cursor, LedgerEvent, NodeService
from ledger.chain.codec import Malformed
from ledger.chain.values import to_json
from ledger.node.answers import parse_cursor

MAX_STREAMS = 64
MAX_CURSOR_LENGTH = 40
MAX_PLACE = 999_999


def _event_json(event: LedgerEvent) -> str:
    return msgspec.json.encode(
        {
            "cursor": str(event.cursor),
            "height": event.cursor.height,
            "time": event.time,
            "transaction": event.transaction,
            "call": event.call,
            "contract": event.contract,
            "name": event.name,
            "fields": to_json(event.fields),
        }
    ).decode()


def router(service: NodeService) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["events"])
    open_streams = 0

    def start(
        after: Annotated[
            str | None,
            Query(
                max_length=MAX_CURSOR_LENGTH,
                description="cursor of the last event you have; "
                "`0.0.0` for all from the beginning, nothing for only new ones",
            ),
        ] = None,
        last_event_id: Annotated[
            str | None,
            Header(
                max_length=MAX_CURSOR_LENGTH,
                description="sent by browsers when they reconnect; goes before `after`",
            ),
        ] = None,
    ) -> Cursor:
        given = last_event_id or after
        if given is None:
            return Cursor(service.head().height, MAX_PLACE, MAX_PLACE)
        try:
            cursor = parse_cursor(given)
        except Malformed as error:
            raise Problem(problems.INVALID_PARAMETERS, str(error)) from None
        gone = service.archived_block(max(cursor.height, 1))
        if gone is not None:
            raise problems.archived(gone)
        return cursor

    async def place() -> AsyncIterator[None]:
        nonlocal open_streams
        if open_streams >= MAX_STREAMS:
            raise Problem(problems.BUSY, f"at most {MAX_STREAMS} streams are open at once")
        open_streams += 1
        try:
            yield
        finally:
            open_streams -= 1

    @routes.get(
        "/events",
        response_class=EventSourceResponse,
        summary="Follow the events of final blocks",
        dependencies=[Depends(place)],
        responses={
            200: {
                "description": "Each message has a cursor as its id, and a StreamedEvent as data"
            },
            **failures(problems.ARCHIVED, problems.INVALID_PARAMETERS, problems.BUSY),
        },
    )
    async def events(
        after: Annotated[Cursor, Depends(start)],
        contract: Annotated[
            str | None, Query(pattern=NAME, description="only the events of this contract")
        ] = None,
    ) -> AsyncIterator[ServerSentEvent]:
        """Events in the order of the chain, without end. Keep the last id and give it as `after`:
        no event is missed or seen twice."""
        async with aclosing(service.events(after)) as source:
            async for event in source:
                if contract is None or event.contract == contract:
                    yield ServerSentEvent(raw_data=_event_json(event), id=str(event.cursor))

    return routes
