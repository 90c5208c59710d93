"""Errors under ``/fhir``: OperationOutcome, whoever refuses.

Routes raise `FhirProblem`. What stands before them (guard, sign-in, limits, the net under crashes)
knows problem details only, so `OutcomeFace` rewrites those on their way out: no answer under
``/fhir`` leaves in the wrong words, and nobody else needs to know which path it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger.api import problems
from ledger.fhir.outcome import Issue, outcome

MEDIA_TYPE: Final = "application/fhir+json"
PREFIX: Final = "/fhir"

_BY_CODE: Final = {
    problems.MALFORMED.code: "structure",
    problems.UNAUTHORISED.code: "login",
    problems.NOT_PERMITTED.code: "forbidden",
    problems.METHOD_NOT_ALLOWED.code: "not-supported",
    problems.TOO_LARGE.code: "too-long",
    problems.UNSUPPORTED_MEDIA.code: "not-supported",
    problems.INVALID_PARAMETERS.code: "invalid",
    problems.ARCHIVED.code: "incomplete",
    problems.BUSY.code: "throttled",
    problems.NOT_READY.code: "transient",
    problems.INTERNAL.code: "exception",
    problems.DAMAGED.code: "no-store",
    problems.MISDIRECTED.code: "processing",
}
_BY_STATUS: Final = {
    400: "invalid", 401: "login", 403: "forbidden", 404: "not-found", 405: "not-supported",
    406: "not-supported", 409: "conflict", 410: "deleted", 412: "conflict", 413: "too-long",
    415: "not-supported", 422: "processing", 428: "required", 429: "throttled", 503: "transient",
    504: "timeout",
}  # fmt: skip


class FhirProblem(Exception):
    """Raised by a route under ``/fhir``, answered as an OperationOutcome."""

    def __init__(self, status: int, *issues: Issue, headers: Mapping[str, str] | None = None):
        super().__init__("; ".join(issue.text for issue in issues))
        self.status = status
        self.issues = issues
        self.headers = dict(headers or {})


def not_found() -> FhirProblem:
    """There is nothing that the caller may see; never says which of the two."""
    return FhirProblem(404, Issue("not-found", "There is no such resource, or not for you"))


def outcome_response(
    status: int, issues: tuple[Issue, ...], headers: Mapping[str, str] | None = None
) -> Response:
    body = msgspec.json.encode(outcome(issues))
    return Response(body, status, dict(headers or {}), f"{MEDIA_TYPE}; charset=utf-8")


async def _on_fhir_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, FhirProblem)
    return outcome_response(error.status, error.issues, error.headers)


def _translated(status: int, body: bytes) -> bytes:
    """The OperationOutcome for problem details."""
    try:
        problem: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        problem = {}
    code = _BY_CODE.get(str(problem.get("code", ""))) or _BY_STATUS.get(
        status, "processing" if status < 500 else "exception"
    )
    text = str(problem.get("detail") or problem.get("title") or "")
    instance = str(problem.get("instance", ""))
    if instance.startswith("urn:uuid:"):
        text += f" ({instance})"
    severity = "fatal" if status >= 500 and code == "exception" else "error"
    return msgspec.json.encode(outcome([Issue(code, text, severity=severity)]))


class OutcomeFace:
    """ASGI middleware: problem details under ``/fhir`` leave as OperationOutcome."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not under_fhir(scope["path"]):
            await self._app(scope, receive, send)
            return
        held: Message | None = None
        body = b""

        async def send_translated(message: Message) -> None:
            nonlocal held, body
            if message["type"] == "http.response.start" and _is_problem(message):
                held = message
                return
            if held is None:
                await send(message)
                return
            body += message.get("body", b"")
            if message.get("more_body", False):
                return
            translated = _translated(held["status"], body)
            headers = [
                (name, value)
                for name, value in held["headers"]
                if name not in (b"content-type", b"content-length")
            ]
            headers += [
                (b"content-type", MEDIA_TYPE.encode() + b"; charset=utf-8"),
                (b"content-length", str(len(translated)).encode()),
            ]
            await send({**held, "headers": headers})
            await send({"type": "http.response.body", "body": translated})

        await self._app(scope, receive, send_translated)


def under_fhir(path: str) -> bool:
    return path == PREFIX or path.startswith(PREFIX + "/")


def _is_problem(start: Message) -> bool:
    kind = problems.MEDIA_TYPE.encode()
    return any(
        name == b"content-type" and value.split(b";")[0] == kind
        for name, value in start.get("headers", ())
    )


def install(app: FastAPI) -> None:
    """Answer `FhirProblem`; the middleware is added by `ledger.api.app`, outermost."""
    app.add_exception_handler(FhirProblem, _on_fhir_problem)
