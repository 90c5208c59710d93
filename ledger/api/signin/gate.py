"""ASGI middleware: who calls, whether they may come in, and how often."""

from __future__ import annotations

import math
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ledger.api import problems
from ledger.api.principal import SCOPE_KEY, Kind, Principal
from ledger.api.problems import problem_response
from ledger.api.signin import development
from ledger.api.signin.areas import area_of
from ledger.api.signin.cookies import cookie_name, cookie_of
from ledger.api.signin.refusal import Refused, Why
from ledger.api.signin.sessions import same_csrf
from ledger.api.signin.signin import ADDRESS_KEY, SignIn
from ledger.api.signin.throttle import client_address

CSRF_HEADER: Final = "x-csrf-token"
#: The secret of the session by cookie, for the routes that end it.
SECRET_KEY: Final = "ledger.session"  # noqa: S105  (a name, not a secret)
_NOT_OURS: Final = (Why.MALFORMED, Why.UNKNOWN_TOKEN, Why.UNKNOWN_SESSION)
#: A cookie that was good once, or comes without its page.
_ENDED: Final = (Why.UNKNOWN_SESSION, Why.EXPIRED, Why.NOT_CERTIFIED, Why.FORGED_REQUEST)
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Gate:
    """Lets a request through with its principal in the scope, or answers it.

    A request with no credential comes into open areas only. One with a credential that is not good
    comes into none, also not into those: the caller believes to be signed in. Except for cookies,
    which browsers send by themselves: who comes with the cookie of a session that has ended, or
    without its page, is nobody there, and can sign in again.
    """

    def __init__(self, app: ASGIApp, signin: SignIn) -> None:
        self._app = app
        self._signin = signin
        self._cookie = cookie_name(signin.url)
        parts = urlsplit(signin.url)
        self._origin = f"{parts.scheme}://{parts.netloc}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._app
        try:
            principal = await self._identify(scope)
            self._admit(scope, principal)
        except _Turned as turned:
            answer = turned.response(scope["path"])
        await answer(scope, receive, send)

    async def _identify(self, scope: Scope) -> Principal | None:
        headers = Headers(scope=scope)
        address = scope[ADDRESS_KEY] = client_address(scope, self._signin.settings.proxies)
        given = headers.getlist("authorization")
        secret = cookie_of(scope, self._cookie)
        if self._signin.development and (found := self._believed(scope, headers)) is not None:
            return found
        if not given and secret is None:
            return None
        credential = secret or ""
        if given:
            scheme, _, credential = given[0].partition(" ")
            credential = credential.strip()
            if scheme.lower() != "bearer" or not credential or len(given) > 1:
                raise self._failed(Refused(Why.MALFORMED), address, scope)
        pause = self._signin.lockout.pause(address)
        if pause and not self._signin.known(credential):
            raise _Turned(problems.TOO_OFTEN, wait=pause)
        try:
            if given:
                principal = await self._signin.bearer(credential)
            else:
                principal = self._signin.cookie(credential)
                self._unforged(scope, headers, credential)
                scope[SECRET_KEY] = credential
        except Refused as refused:
            if not self._signin.protected and refused.why in _NOT_OURS:
                return None  # nobody has to sign in here, and it was made for another node
            if not given and refused.why in _ENDED and area_of(scope["path"]).open:
                return None  # browsers send what they have, also to the page for signing in again
            raise self._failed(refused, address, scope) from None
        self._signin.accepted(credential, principal, address)
        scope[SCOPE_KEY] = principal
        return principal

    def _believed(self, scope: Scope, headers: Headers) -> Principal | None:
        try:
            principal = development.believed(headers, self._signin.standing)
        except Refused:
            raise _Turned(problems.UNAUTHORISED, error="invalid_token") from None
        if principal is not None:
            scope[SCOPE_KEY] = principal
        return principal

    def _failed(self, refused: Refused, address: str, scope: Scope) -> _Turned:
        self._signin.rejected(refused, address, scope["path"])
        if refused.why is Why.FORGED_REQUEST:
            return _Turned(problems.FORGED_REQUEST)
        if refused.why is not Why.UNREACHABLE:
            self._signin.lockout.failed(address)
        expired = refused.why is Why.EXPIRED
        return _Turned(problems.UNAUTHORISED, error="invalid_token", expired=expired)

    def _unforged(self, scope: Scope, headers: Headers, secret: str) -> None:
        """A cookie comes along whoever made the request. What changes something has to have been
        made by a page of ours: it knows the token, and its origin is ours."""
        if scope["method"] in _SAFE:
            return
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        elsewhere = (origin is not None and origin != self._origin) or (
            site is not None and site not in ("same-origin", "none")
        )
        if elsewhere or not same_csrf(secret, headers.get(CSRF_HEADER, "")):
            raise Refused(Why.FORGED_REQUEST)

    def _admit(self, scope: Scope, principal: Principal | None) -> None:
        area = area_of(scope["path"])
        if principal is None:
            if self._signin.protected and not area.open:
                raise _Turned(problems.UNAUTHORISED)
            return
        wait = self._signin.allowance(principal)
        if wait:
            raise _Turned(problems.TOO_OFTEN, wait=wait)
        if not area.admits(principal):
            kind = problems.NOT_FOR_YOU
            if principal.kind is not Kind.OPERATOR:
                self._signin.note("kept-out", principal, path=scope["path"])
            raise _Turned(kind)


class _Turned(Exception):
    """A request that goes no further."""

    def __init__(
        self, kind: problems.Kind, *, wait: float = 0.0, error: str = "", expired: bool = False
    ) -> None:
        super().__init__(kind.code)
        self.kind = kind
        self.wait = wait
        self.error = error
        self.expired = expired

    def response(self, path: str) -> ASGIApp:
        headers = {}
        detail = ""
        if self.kind is problems.UNAUTHORISED:
            # RFC 6750 §3: an error code only where a credential was given.
            headers["WWW-Authenticate"] = f'Bearer error="{self.error}"' if self.error else "Bearer"
            if self.error:
                ended = "the sign-in has ended" if self.expired else "it is not accepted here"
                detail = f"there was a credential, and {ended}"
        if self.wait:
            headers["Retry-After"] = str(math.ceil(self.wait))
        return problem_response(self.kind, path, detail, headers=headers)
