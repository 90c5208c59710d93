"""Sign-in of one node: every way in, and what is written down about it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import structlog
from fastapi import Request
from starlette.responses import Response

from ledger.api.principal import Kind, Principal
from ledger.api.signin import jose, outgoing
from ledger.api.signin.clients import Clients
from ledger.api.signin.cookies import set_session
from ledger.api.signin.login import Logins
from ledger.api.signin.operators import Operators
from ledger.api.signin.outgoing import Fetch
from ledger.api.signin.provider import Provider
from ledger.api.signin.refusal import Refused, Why
from ledger.api.signin.sessions import ACCESS_PREFIX, Opened, Sessions
from ledger.api.signin.standing import ChainState, Standing
from ledger.api.signin.store import open_store
from ledger.api.signin.systems import Systems
from ledger.api.signin.throttle import Lockout, Throttle
from ledger.node.answers import TooOften
from ledger.node.journal import Journal
from ledger.node.roll import StaffRoll
from ledger.node.setup.signin import SignInSection

_log = structlog.get_logger(__name__)

#: Where in a request's scope the gate leaves the address that it comes from.
ADDRESS_KEY: Final = "ledger.address"
#: Requests a minute: of one address that has not signed in, of a person, of a system or operator.
STRANGER_RATE: Final = 600
#: Requests a minute for access tokens: of one address, and of one system.
TOKEN_RATE: Final = 120
PERSON_RATE: Final = 600
MACHINE_RATE: Final = 12_000
#: Refusals a minute that are written down one by one. Strangers cause them: more of them are only
#: counted, or a flood would push everything else out of the log.
REFUSAL_RATE: Final = 60
#: Sign-ins by token that are remembered, so that each is logged once and not with every request.
MAX_SEEN: Final = 20_000


class SignIn:
    """Turns credentials into principals.

    Args:
        settings: ``[signin]`` of the node.
        directory: ``signin`` of the node's home; sessions, operators and the log are in it.
        chain: the node, for what the registry says.
        roll: whose login is whose.
        url: the base URL of the node, without a slash at its end.
        token: the one token of ``node run --token``, if there is one.
        development: nobody signs in; a header says who calls.
        fetch: gets documents of providers.
        now: seconds since 1970-01-01 UTC.
        clock: seconds that only ever grow.

    Raises:
        StoreUnusable, JournalBroken, OSError: what is in the directory cannot be used.
    """

    def __init__(
        self,
        settings: SignInSection,
        directory: Path,
        chain: ChainState,
        roll: StaffRoll,
        *,
        url: str,
        token: str | None = None,
        development: bool = False,
        fetch: Fetch = outgoing.fetch,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.url = settings.url or url
        self.development = development
        self.now = now
        self.standing = Standing(chain)
        self.operators = Operators(directory / "operators.json", token)
        self._engine = open_store(directory / "sessions.db")
        self.sessions = Sessions(self._engine, settings.sessions, now)
        self.journal = Journal(directory / "log", lambda: int(now() * 1000))
        self.lockout = Lockout(clock)
        self.strangers = Throttle(STRANGER_RATE, clock)
        self._people = Throttle(PERSON_RATE, clock)
        self._machines = Throttle(MACHINE_RATE, clock)
        self.providers = {
            provider.issuer: Provider(
                provider, fetch=fetch, now=now, clock=clock, standing=self.standing, roll=roll
            )
            for provider in settings.providers
        }
        self.systems = Systems(
            Clients(directory / "clients.json"), self.sessions, self.standing,
            url=self.url, fetch=fetch, now=now, clock=clock,
        )  # fmt: skip
        self.tokens = Throttle(TOKEN_RATE, clock)
        self.logins = Logins(self.url, directory.parent, settings.return_to, fetch, now)
        self._refusals = Throttle(REFUSAL_RATE, clock)
        self._uncounted = 0
        self._seen: dict[bytes, None] = {}

    @property
    def protected(self) -> bool:
        """Whether callers have to sign in at all; raises as `is_protected` does."""
        return not self.development and is_protected(
            self.settings, self.operators, self.systems.clients
        )

    def close(self) -> None:
        """Let go of the files."""
        self._engine.dispose()

    # --- who it is -----------------------------------------------------------------------------

    def known(self, credential: str) -> bool:
        """Whether a credential has proven good a while ago; it need not be good any more."""
        return sha256(credential.encode()).digest() in self._seen

    async def bearer(self, credential: str) -> Principal:
        """Who presents a bearer token; raises `Refused`."""
        operator = self.operators.principal(credential)
        if operator is not None:
            return operator
        if credential.startswith(ACCESS_PREFIX):
            return self.recertified(self.sessions.find(credential))
        token = jose.read(credential)
        issuer = token.claims.get("iss")
        provider = self.providers.get(issuer) if isinstance(issuer, str) else None
        if provider is None:
            raise Refused(Why.ISSUER)
        return await provider.bearer(token)

    def cookie(self, secret: str) -> Principal:
        """Who holds a session by cookie; raises `Refused`."""
        if secret.startswith(ACCESS_PREFIX):
            raise Refused(Why.UNKNOWN_SESSION)
        return self.recertified(self.sessions.find(secret))

    def recertified(self, principal: Principal) -> Principal:
        """The principal of a session with the roles of today.

        Raises:
            Refused: the registry no longer knows the person so; the session ends.
        """
        try:
            if principal.kind is Kind.STAFF:
                roles = self.standing.roles(principal.id, principal.institution)
                return replace(principal, roles=roles)
            if principal.kind is Kind.PATIENT:
                if not self.standing.is_patient(principal.id):
                    raise Refused(Why.NOT_CERTIFIED, principal.id)
                return replace(principal, roles=("patient",))
            if principal.kind is Kind.SYSTEM:
                return replace(principal, scopes=self.systems.still(principal))
        except Refused:
            self.sessions.end(principal.session)
            raise
        return principal

    def establish(
        self, principal: Principal, response: Response | None = None, *, address: str = ""
    ) -> Opened:
        """Begin a session for somebody whose identity was just proven, and write it down.

        Args:
            principal: who it is; roles and ``session`` are filled in here.
            response: gets the session's cookie.
            address: where the request came from (`ADDRESS_KEY` of its scope).

        Raises:
            Refused: the registry does not know the person so.
        """
        opened = self.sessions.open(self.recertified(principal))
        self._remember(opened.secret)
        self.note("signed-in", opened.principal, address=address)
        if response is not None:
            set_session(response, opened, self.url, self.now())
        return opened

    def issued(self, opened: Opened, address: str) -> None:
        """Write down that a system got an access token."""
        self._remember(opened.secret)
        self.note("signed-in", opened.principal, address=address)

    def stranger(self, request: Request) -> str:
        """Count a request of somebody who has not signed in; the address that it comes from.

        Raises:
            TooOften: one too many, or one that has to wait after failures.
        """
        address = str(request.scope.get(ADDRESS_KEY, "unknown"))
        wait = self.strangers.take(address) or self.lockout.pause(address)
        if wait:
            raise TooOften(math.ceil(wait))
        return address

    def allowance(self, principal: Principal) -> float:
        """Count one request of a principal; seconds to wait if it is one too many, else 0."""
        people = principal.kind in (Kind.PATIENT, Kind.STAFF)
        throttle = self._people if people else self._machines
        return throttle.take(f"{principal.kind}:{principal.id}")

    # --- what is written down ------------------------------------------------------------------

    def accepted(self, credential: str, principal: Principal, address: str) -> None:
        """A credential was good. Written down the first time that this one is seen."""
        if self._remember(credential):
            self.note("signed-in", principal, address=address)

    def _remember(self, credential: str) -> bool:
        """Remember a good credential by its hash; whether it is a new one."""
        mark = sha256(credential.encode()).digest()
        new = mark not in self._seen
        self._seen[mark] = None
        if len(self._seen) > MAX_SEEN:
            del self._seen[next(iter(self._seen))]
        return new

    def rejected(self, refused: Refused, address: str, path: str) -> None:
        """A credential was not good."""
        if self._refusals.take(""):
            self._uncounted += 1
            return
        fields = {"why": refused.why.value, "who": refused.who, "address": address, "path": path}
        more, self._uncounted = self._uncounted, 0
        self._write("refused", **fields, **({"more": more} if more else {}))

    def note(self, event: str, principal: Principal, **more: Any) -> None:
        """Write down what a principal did that belongs into this log."""
        self._write(
            event,
            kind=principal.kind.value,
            who=principal.id,
            institution=principal.institution,
            method=principal.method,
            session=principal.session,
            **more,
        )

    def _write(self, event: str, **fields: Any) -> None:
        try:
            self.journal.add(event, **fields)
        except OSError as error:
            _log.error("signin_log_not_written", error=str(error))


def is_protected(settings: SignInSection, operators: Operators, clients: Clients) -> bool:
    """Whether there is anybody who could sign in: then everybody has to.

    Raises:
        OperatorsUnusable, ClientsUnusable: a file cannot be read.
    """
    return operators.any or bool(settings.providers) or bool(clients.listed())


def signin_of(request: Request) -> SignIn | None:
    """The sign-in of the node that serves a request; None where it has none."""
    found = getattr(request.app.state, "signin", None)
    return found if isinstance(found, SignIn) else None


def note_reading(request: Request, principal: Principal, what: str) -> None:
    """Write down that somebody read an audit log; to be called by every route that shows one."""
    signin = signin_of(request)
    if signin is not None:
        signin.note("audit-read", principal, path=request.url.path, what=what)
