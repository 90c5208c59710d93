"""Errors as RFC 9457 problem details.

A problem's ``type`` is a URN that never changes, ``code`` its last part for programs that dislike
URNs, ``instance`` the path that was asked for (for an internal error a UUID that is in the node's
log too). Nothing of the request is quoted back except names of parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from uuid import uuid4

import msgspec
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger.chain.codec import Malformed
from ledger.chain.database import StoreAway, StoreBusy, StoreUnusable
from ledger.node.answers import Archived, NotPermitted, TooOften

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:health-ledger:problem:"

_log = structlog.get_logger(__name__)


class Kind(NamedTuple):
    """A sort of problem: stable code, HTTP status, title for people."""

    code: str
    status: int
    title: str


MALFORMED: Final = Kind("malformed-request", 400, "The request cannot be read")
UNAUTHORISED: Final = Kind("unauthorised", 401, "Nobody has signed in")
NOT_PERMITTED: Final = Kind("not-permitted", 403, "Not permitted, or no such record")
FORGED_REQUEST: Final = Kind("forged-request", 403, "Not sent by a page of this node")
NOT_FOR_YOU: Final = Kind("not-for-you", 403, "This part of the interface is for others")
NO_SUCH_PATH: Final = Kind("no-such-path", 404, "There is nothing at this path")
UNKNOWN_TRANSACTION: Final = Kind("unknown-transaction", 404, "The transaction is not final here")
UNKNOWN_BLOCK: Final = Kind("unknown-block", 404, "The block is not here")
UNKNOWN_WEBHOOK: Final = Kind("unknown-webhook", 404, "There is no such webhook")
UNKNOWN_METHOD: Final = Kind("unknown-method", 404, "No such contract or query method")
METHOD_NOT_ALLOWED: Final = Kind("method-not-allowed", 405, "The path has no such method")
ARCHIVED: Final = Kind("archived", 410, "Older than what this node keeps")
TOO_LARGE: Final = Kind("body-too-large", 413, "The body is larger than is allowed here")
UNSUPPORTED_MEDIA: Final = Kind("unsupported-media-type", 415, "The body has another media type")
MISDIRECTED: Final = Kind("misdirected", 421, "The Host header names another server")
INVALID_PARAMETERS: Final = Kind("invalid-parameters", 422, "A parameter is out of its bounds")
NO_KEY: Final = Kind("no-key", 404, "There is no key for that domain")
NOT_NOW: Final = Kind("not-now", 409, "It may not be done, or not yet")
CEREMONY_REFUSED: Final = Kind("ceremony-refused", 409, "No ceremony can begin for that domain")
TOO_FEW_ANSWERS: Final = Kind("too-few-answers", 424, "Too few holders have answered")
REFUSED: Final = Kind("transactions-refused", 422, "No transaction was accepted")
QUERY_FAILED: Final = Kind("query-failed", 422, "The contract refused the query")
TOO_OFTEN: Final = Kind("too-many-requests", 429, "Asked too often")
INTERNAL: Final = Kind("internal-error", 500, "The node made a mistake")
DAMAGED: Final = Kind("store-damaged", 500, "The node's store is damaged")
BUSY: Final = Kind("busy", 503, "The node has too much to do")
NOT_READY: Final = Kind("not-ready", 503, "The node is not ready")

KINDS: Final = (
    MALFORMED, UNAUTHORISED, NOT_PERMITTED, FORGED_REQUEST, NOT_FOR_YOU, NO_SUCH_PATH,
    UNKNOWN_TRANSACTION, UNKNOWN_BLOCK, UNKNOWN_WEBHOOK, UNKNOWN_METHOD, METHOD_NOT_ALLOWED,
    ARCHIVED, TOO_LARGE, UNSUPPORTED_MEDIA, MISDIRECTED, INVALID_PARAMETERS, REFUSED,
    QUERY_FAILED, TOO_OFTEN, INTERNAL, DAMAGED, BUSY, NOT_READY,
    NOT_NOW, NO_KEY, CEREMONY_REFUSED, TOO_FEW_ANSWERS,
)  # fmt: skip


class Problem(Exception):
    """Raised by a route, answered as problem details. ``extensions`` become members."""

    def __init__(self, kind: Kind, detail: str = "", **extensions: Any) -> None:
        super().__init__(detail or kind.title)
        self.kind = kind
        self.detail = detail
        self.extensions = extensions


def archived(place: Archived) -> Problem:
    """The problem that says where something went which the node holds no more."""
    detail = f"Final at height {place.height}. This node keeps the blocks from {place.base} on."
    if place.file is not None and place.archived is not None:
        day = datetime.fromtimestamp(place.archived / 1000, UTC)
        detail += f" The block is archived in {place.file} since {day:%Y-%m-%d %H:%M} UTC."
    return Problem(
        ARCHIVED,
        detail,
        height=place.height,
        base=place.base,
        file=place.file,
        archived=place.archived,
    )


def problem_response(
    kind: Kind,
    instance: str,
    detail: str = "",
    extensions: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    status: int | None = None,
) -> Response:
    """The response that says what went wrong. ``status``: another one than the kind's."""
    body = {
        "type": TYPE_PREFIX + kind.code,
        "title": kind.title,
        "status": status or kind.status,
        "detail": detail or kind.title,
        "instance": instance,
        "code": kind.code,
        **(extensions or {}),
    }
    extra = dict(headers or {})
    if kind.status == HTTPStatus.SERVICE_UNAVAILABLE:
        extra.setdefault("Retry-After", "1")
    return Response(msgspec.json.encode(body), body["status"], extra, MEDIA_TYPE)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error.kind, request.url.path, error.detail, error.extensions)


async def _on_invalid_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"in": str(place), "name": ".".join(map(str, name)), "message": item["msg"]}
        for item in error.errors()
        for place, *name in (item["loc"],)
    ]
    names = ", ".join(item["name"] for item in errors)
    return problem_response(
        INVALID_PARAMETERS, request.url.path, f"not acceptable: {names}", {"errors": errors}
    )


async def _on_malformed(request: Request, error: Exception) -> Response:
    return problem_response(MALFORMED, request.url.path, str(error))


async def _on_not_permitted(request: Request, error: Exception) -> Response:
    # One answer for all of them, whatever the error says: the difference would be a leak.
    return problem_response(NOT_PERMITTED, request.url.path)


async def _on_too_often(request: Request, error: Exception) -> Response:
    assert isinstance(error, TooOften)
    headers = {"Retry-After": str(error.wait)}
    return problem_response(TOO_OFTEN, request.url.path, headers=headers)


async def _on_store_away(request: Request, error: Exception) -> Response:
    # What the database said names its host and user; that is for the status and the log.
    detail = "the node's database is away or taken; its status says since when"
    return problem_response(NOT_READY, request.url.path, detail)


_BY_STATUS = {404: NO_SUCH_PATH, 405: METHOD_NOT_ALLOWED}


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = _BY_STATUS.get(error.status_code, MALFORMED if error.status_code < 500 else INTERNAL)
    return problem_response(kind, request.url.path, headers=error.headers, status=error.status_code)


class CrashReport:
    """ASGI middleware: a mistake of ours becomes a problem whose instance the log knows."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, send_watched)
        except Exception as error:
            if scope["type"] != "http":
                raise
            occurrence = uuid4().urn
            _log.error("request failed", path=scope["path"], occurrence=occurrence, exc_info=error)
            if started:
                return
            detail = "The node's log has more under the number of this instance."
            await problem_response(INTERNAL, occurrence, detail)(scope, receive, send)


def install(app: FastAPI, damaged: Callable[[StoreUnusable], None]) -> None:
    """Answer every error of the app as a problem.

    ``damaged``: told of what was read and is not what the chain certifies.
    """

    async def on_damage(request: Request, error: Exception) -> Response:
        assert isinstance(error, StoreUnusable)
        damaged(error)
        detail = "what was asked for is damaged in this node's store; ask another member's node"
        return problem_response(DAMAGED, request.url.path, detail)

    app.add_exception_handler(StoreUnusable, on_damage)
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid_parameters)
    app.add_exception_handler(Malformed, _on_malformed)
    app.add_exception_handler(NotPermitted, _on_not_permitted)
    app.add_exception_handler(TooOften, _on_too_often)
    app.add_exception_handler(StoreAway, _on_store_away)
    app.add_exception_handler(StoreBusy, _on_store_away)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_middleware(CrashReport)
