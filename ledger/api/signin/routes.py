"""Signing in and out with a browser, one's own sessions, and what the node's security sees."""

from __future__ import annotations

import asyncio
import math
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from ledger.api import problems
from ledger.api.documentation import failures
from ledger.api.exchange import media_type, read_body, reply
from ledger.api.principal import Kind, Principal, principal_of
from ledger.api.problems import Problem
from ledger.api.signin import models, pages
from ledger.api.signin.cookies import clear_cookie, cookie_name, cookie_of, set_cookie
from ledger.api.signin.gate import SECRET_KEY
from ledger.api.signin.login import PATIENCE_S
from ledger.api.signin.pages import Link, page
from ledger.api.signin.refusal import Refused, Why
from ledger.api.signin.sessions import Listed, csrf_of
from ledger.api.signin.signin import ADDRESS_KEY, SignIn
from ledger.api.signin.systems import (
    ASSERTION_TYPE,
    TOKEN_PATH,
    TOKEN_SECONDS,
    NotGranted,
    single,
    smart_configuration,
)
from ledger.node.answers import TooOften
from ledger.node.roll import MAX_LOGIN

FORM = "application/x-www-form-urlencoded"
MAX_TOKEN_REQUEST = 32 * 1024
TOKEN_REQUEST: dict[str, Any] = {
    "type": "object",
    "required": ["grant_type", "client_assertion_type", "client_assertion", "scope"],
    "properties": {
        "grant_type": {"const": "client_credentials"},
        "client_assertion_type": {"const": ASSERTION_TYPE},
        "client_assertion": {"type": "string", "description": "a signed JWT"},
        "scope": {"type": "string", "examples": ["system/DocumentReference.rs"]},
    },
}

Handle = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="as lists of sessions have it")]
_PERSON = "^[A-Za-z0-9_.-]{1,64}$"
_HTML: dict[int | str, dict[str, Any]] = {
    200: {"description": "A page", "content": {"text/html": {"schema": {"type": "string"}}}},
    **failures(problems.TOO_OFTEN, problems.INVALID_PARAMETERS),
}


def router(signin: SignIn) -> APIRouter:
    routes = APIRouter(tags=["signing in"])
    pending_cookie = cookie_name(signin.url, "login")

    def failed(refused: Refused, request: Request) -> Response:
        """A page that says that it did not work, and nothing about why."""
        address = str(request.scope.get(ADDRESS_KEY, ""))
        signin.rejected(refused, address, request.url.path)
        if refused.why is not Why.UNREACHABLE:
            signin.lockout.failed(address)
        status = 503 if refused.why is Why.UNREACHABLE else 400
        answer = page(pages.FAILED, status, development=signin.development)
        answer.headers.append("set-cookie", clear_cookie(pending_cookie, signin.url))
        return answer

    refused_pages: dict[int | str, dict[str, Any]] = {
        status: {"description": text, "content": {"text/html": {"schema": {"type": "string"}}}}
        for status, text in ((400, "It did not work"), (503, "The provider is away"))
    }

    @routes.get(
        "/auth/login",
        summary="Sign in with a browser",
        response_class=Response,
        responses={
            **_HTML, 303: {"description": "On to the identity provider"}, **refused_pages
        },
    )  # fmt: skip
    async def login(
        request: Request,
        institution: Annotated[str, Query(max_length=64)] = "",
        return_to: Annotated[str, Query(max_length=512)] = "/auth/session",
    ) -> Response:
        """Sends the browser to the identity provider of an institution; with several and none
        named, shows which there are."""
        signin.stranger(request)
        offered = [one for one in signin.providers.values() if one.settings.client is not None]
        if institution:
            offered = [one for one in offered if one.settings.institution == institution]
        if len(offered) > 1:
            links = [
                Link(
                    "/auth/login?" + urlencode({"institution": name, "return_to": return_to}), name
                )
                for name in sorted({one.settings.institution for one in offered})
            ]
            return page(pages.CHOOSE, links=links, development=signin.development)
        try:
            if not offered:
                raise Refused(Why.ISSUER)
            begun = await signin.logins.begin(offered[0], return_to)
        except Refused as refused:
            return failed(refused, request)
        answer = RedirectResponse(begun.location, 303)
        cookie = set_cookie(
            pending_cookie, begun.cookie, signin.url, seconds=PATIENCE_S, strict=False
        )
        answer.headers.append("set-cookie", cookie)
        return answer

    @routes.get(
        "/auth/callback",
        summary="Where the identity provider sends the browser back to",
        response_class=Response,
        responses={**_HTML, **refused_pages},
    )
    async def callback(
        request: Request,
        code: Annotated[str, Query(max_length=4096)] = "",
        state: Annotated[str, Query(max_length=256)] = "",
        iss: Annotated[str | None, Query(max_length=512)] = None,
    ) -> Response:
        """Ends in a session cookie and a page that goes on to where the browser wanted to be. The
        page is needed: a strict cookie is not sent with what another site's redirect began."""
        address = signin.stranger(request)
        try:
            began = signin.logins.pending(cookie_of(request.scope, pending_cookie), state)
            provider = signin.providers.get(began.issuer)
            if provider is None or iss not in (None, began.issuer):
                raise Refused(Why.ISSUER)
            token = await signin.logins.end(provider, began, code)
            principal = provider.principal(token, "")
            answer = page(pages.SIGNED_IN, onwards=began.return_to, development=signin.development)
            signin.establish(principal, answer, address=address)
        except Refused as refused:
            return failed(refused, request)
        answer.headers.append("set-cookie", clear_cookie(pending_cookie, signin.url))
        return answer

    # --- systems -------------------------------------------------------------------------------

    def denied(code: str, status: int = 400) -> Response:
        return reply({"error": code}, status)

    @routes.post(
        TOKEN_PATH,
        response_model=models.AccessToken,
        summary="An access token for a system",
        responses={
            400: {"model": models.OAuthError, "description": "Not a request that can be granted"},
            401: {"model": models.OAuthError, "description": "Not a registered system"},
            **failures(problems.TOO_OFTEN, problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA),
        },
        openapi_extra={
            "requestBody": {"required": True, "content": {FORM: {"schema": TOKEN_REQUEST}}}
        },
    )
    async def token(request: Request) -> Response:
        """SMART Backend Services: `grant_type=client_credentials` with an assertion that the system
        has signed (ES384 or RS384) for this address. The token is good for five minutes."""
        address = str(request.scope.get(ADDRESS_KEY, "unknown"))
        # No pause after failures: keys are not guessed, and systems share addresses.
        wait = signin.tokens.take(address)
        if wait:
            raise TooOften(math.ceil(wait))
        media_type(request, FORM)
        body = await read_body(request, MAX_TOKEN_REQUEST)
        try:
            form = parse_qs(
                body.decode("ascii"), keep_blank_values=True, strict_parsing=True,
                max_num_fields=16, errors="strict",
            )  # fmt: skip
            if single(form, "grant_type") != "client_credentials":
                return denied("unsupported_grant_type")
            if single(form, "client_assertion_type") != ASSERTION_TYPE:
                return denied("invalid_request")
            assertion, scope = single(form, "client_assertion"), single(form, "scope")
        except (ValueError, NotGranted):
            return denied("invalid_request")
        try:
            client = await signin.systems.authenticated(assertion)
        except Refused as refused:
            signin.rejected(refused, address, request.url.path)
            return denied("invalid_client", 401)
        busy = signin.tokens.take(f"system {client.id}")
        if busy:
            raise TooOften(math.ceil(busy))
        try:
            opened, granted = signin.systems.grant(client, scope)
        except NotGranted as error:
            return denied(error.code)
        signin.issued(opened, address)
        return reply(
            {
                "access_token": opened.secret, "token_type": "bearer",
                "expires_in": TOKEN_SECONDS, "scope": granted,
            }
        )  # fmt: skip

    @routes.get(
        "/.well-known/smart-configuration",
        response_model=models.SmartConfiguration,
        summary="How systems sign in",
    )
    @routes.get(
        "/fhir/.well-known/smart-configuration",
        response_model=models.SmartConfiguration,
        summary="How systems sign in",
        include_in_schema=False,
    )
    async def smart() -> Response:
        """The discovery document of SMART App Launch."""
        return reply(smart_configuration(signin.url))

    # --- one's own sessions --------------------------------------------------------------------

    @routes.get(
        "/auth/session",
        response_model=models.WhoModel,
        summary="Who has signed in",
        responses=failures(problems.UNAUTHORISED),
    )
    async def session(request: Request) -> Response:
        """The caller as the node knows it, with the roles that the registry certifies now."""
        principal = principal_of(request)
        secret = request.scope.get(SECRET_KEY)
        found = {
            "kind": principal.kind, "id": principal.id, "institution": principal.institution,
            "roles": principal.roles, "scopes": principal.scopes, "session": principal.session,
            "method": principal.method, "csrf": None if secret is None else csrf_of(secret),
        }  # fmt: skip
        return reply(found)

    @routes.post(
        "/auth/logout",
        status_code=204,
        summary="Sign out",
        responses=failures(problems.UNAUTHORISED, problems.FORGED_REQUEST),
    )
    async def logout(request: Request) -> Response:
        """Ends the session and takes its cookie away."""
        principal = principal_of(request)
        signin.sessions.end(principal.session, principal.id)
        signin.note("signed-out", principal)
        cleared = {"set-cookie": clear_cookie(cookie_name(signin.url), signin.url)}
        return Response(status_code=204, headers=cleared)

    @routes.get(
        "/auth/sessions",
        response_model=models.SessionList,
        summary="One's own sessions",
        responses=failures(problems.UNAUTHORISED),
    )
    async def own(request: Request) -> Response:
        """Where else the caller has signed in; telephones get lost."""
        principal = principal_of(request)
        found = signin.sessions.listed(principal.id)
        return reply({"sessions": [_session(one, principal) for one in found]})

    @routes.delete(
        "/auth/sessions/{handle}",
        response_model=models.Ended,
        summary="End one of one's own sessions",
        responses=failures(
            problems.UNAUTHORISED, problems.FORGED_REQUEST, problems.INVALID_PARAMETERS
        ),
    )
    async def end_own(request: Request, handle: Handle) -> Response:
        """Ends it at once; 0 if the caller has no such session."""
        principal = principal_of(request)
        ended = signin.sessions.end(handle, principal.id)
        if ended:
            signin.note("session-ended", principal, session_ended=handle)
        return reply({"ended": int(ended)})

    # --- the node's security -------------------------------------------------------------------

    def security(request: Request, *roles: str) -> Principal:
        principal = principal_of(request)
        if not set(roles) & set(principal.roles):
            raise Problem(problems.NOT_FOR_YOU)
        return principal

    @routes.get(
        "/v1/sessions",
        response_model=models.SessionList,
        summary="Everybody's sessions",
        responses=failures(problems.INVALID_PARAMETERS),
    )
    async def sessions(
        request: Request, person: Annotated[str | None, Query(pattern=_PERSON)] = None
    ) -> Response:
        """The thousand newest sessions, or those of one person. For operators of the role
        `security`."""
        principal = security(request, "security")
        found = signin.sessions.listed(person)
        return reply({"sessions": [_session(one, principal) for one in found]})

    @routes.delete(
        "/v1/sessions",
        response_model=models.Ended,
        summary="End all sessions of a person",
        responses=failures(problems.INVALID_PARAMETERS),
    )
    async def end_all(request: Request, person: Annotated[str, Query(pattern=_PERSON)]) -> Response:
        """For operators of the role `security`. Tokens of the identity provider are not sessions:
        end those there, or the person in the registry."""
        principal = security(request, "security")
        ended = signin.sessions.end_all(person)
        signin.note("sessions-ended", principal, person=person, ended=ended)
        return reply({"ended": ended})

    @routes.get(
        "/v1/signins",
        response_model=models.SignInList,
        summary="The log of sign-ins",
        responses=failures(problems.INVALID_PARAMETERS),
    )
    async def signins(
        request: Request,
        after: Annotated[int, Query(ge=0, le=10**12, description="number of an entry")] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        who: Annotated[str, Query(max_length=MAX_LOGIN)] = "",
        only: Annotated[str, Query(pattern="^[a-z-]{0,40}$", description="kind of entry")] = "",
    ) -> Response:
        """Who signed in, who was refused and why, who read this. For operators of the role
        `security`, and for auditors of a commission who sign in here. Reading it is an entry."""
        principal = security(request, "security", "auditor")
        signin.note("log-read", principal, after=after, filter_who=who, filter_event=only)
        head = signin.journal.head

        def search() -> tuple[list[dict[str, Any]], int | None]:
            found: list[dict[str, Any]] = []
            place = after
            while len(found) < limit:
                chunk = signin.journal.entries(place, 1000)
                for entry in chunk:
                    place = entry["n"]
                    if (not who or entry.get("who") == who) and (
                        not only or entry["event"] == only
                    ):
                        found.append(entry)
                        if len(found) == limit:
                            return found, place
                if len(chunk) < 1000:
                    return found, None
            return found, place

        found, following = await asyncio.to_thread(search)
        return reply(
            {
                "signins": found, "entries": head.entries, "hash": head.hash.hex(),
                "next": following,
            }
        )  # fmt: skip

    return routes


def _session(one: Listed, principal: Principal) -> dict[str, Any]:
    return {
        "session": one.handle, "kind": one.kind, "person": one.person,
        "institution": one.institution, "method": one.method, "created": one.created * 1000,
        "seen": one.seen * 1000, "ends": one.ends * 1000,
        "current": one.handle == principal.session and principal.kind is not Kind.OPERATOR,
    }  # fmt: skip
