"""The resumable stream of contract events."""

from contextlib import ExitStack
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query, Request
from pydantic import StringConstraints
from starlette.responses import Response

from ledger.api import problems
from ledger.api.documentation import EVENT_STREAM, failures
from ledger.api.eventstream import MEDIA_TYPE, EventStream
from ledger.api.exchange import EVENT_NAME, ID, NAME
from ledger.api.listeners import Places, bounded, caller
from ledger.api.problems import Problem
from ledger.api.service import Cursor, NodeService, Selection
from ledger.chain.codec import Malformed
from ledger.node.answers import parse_cursor
from ledger.node.events import end_of
from ledger.node.listening.selection import MAX_VALUES

MAX_CURSOR_LENGTH: Final = 40

_Contract = Annotated[str, StringConstraints(pattern=NAME)]
_EventName = Annotated[str, StringConstraints(pattern=EVENT_NAME)]
_Id = Annotated[str, StringConstraints(pattern=ID)]


def _filter(description: str) -> Any:
    return Query(max_length=MAX_VALUES, description=f"{description}; repeat it for any of several")


def selection(
    contract: Annotated[list[_Contract], _filter("only events of this contract")] = [],  # noqa: B006
    name: Annotated[
        list[_EventName], _filter("only events of this name, `decided` or `access.decided`")
    ] = [],  # noqa: B006
    subject: Annotated[list[_Id], _filter("only events that name this person")] = [],  # noqa: B006
    institution: Annotated[
        list[_Id], _filter("only events in which this institution has a part")
    ] = [],  # noqa: B006
    holder: Annotated[
        list[_Id], _filter("only events about records that this institution holds")
    ] = [],  # noqa: B006
) -> Selection:
    """The filters of a request: an event has to meet each that is given."""
    return Selection(
        contracts=frozenset(contract),
        names=frozenset(name),
        people=frozenset(subject),
        institutions=frozenset(institution),
        holders=frozenset(holder),
    )


def router(service: NodeService) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["events"])
    places = Places()

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
            return end_of(service.head().height)
        try:
            cursor = parse_cursor(given)
        except Malformed as error:
            raise Problem(problems.INVALID_PARAMETERS, str(error)) from None
        needed = cursor.height + (cursor == end_of(cursor.height))
        gone = service.archived_block(max(needed, 1))
        if gone is not None:
            raise problems.archived(gone)
        return cursor

    @routes.get(
        "/events",
        response_class=Response,
        summary="Follow the events of final blocks",
        responses={
            200: {
                "description": "Each message has a cursor as its id, and a StreamedEvent as data; "
                "a message without data only moves the cursor",
                "content": {MEDIA_TYPE: EVENT_STREAM},
            },
            **failures(
                problems.UNAUTHORISED,
                problems.NOT_PERMITTED,
                problems.ARCHIVED,
                problems.INVALID_PARAMETERS,
                problems.BUSY,
            ),
        },
    )
    async def events(
        request: Request,
        after: Annotated[Cursor, Depends(start)],
        wanted: Annotated[Selection, Depends(selection)],
    ) -> Response:
        """Events in the order of the chain. Keep the last id and give it as `after`: no event is
        missed or seen twice.

        A patient hears what names her, staff and systems what their institution has a part in.
        The stream ends after a while, or when the listener does not keep up: come back with the
        last id."""
        principal = caller(request)
        heard = bounded(principal, wanted)
        place = ExitStack()
        place.enter_context(places.taken(principal))
        return EventStream(service.events(after, heard), place)

    return routes
