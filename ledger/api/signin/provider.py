"""An OpenID provider whose word about the staff of one institution is believed.

Sources: OpenID Connect Discovery 1.0 §4, OpenID Connect Core 1.0 §3.1.3.7, RFC 9068 (access tokens
as JWT).
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

import msgspec

from ledger.api.principal import Kind, Principal
from ledger.api.signin import jose
from ledger.api.signin.jose import Token, strict_object
from ledger.api.signin.keysets import KeySet
from ledger.api.signin.outgoing import Fetch, Unreachable, same_host
from ledger.api.signin.refusal import Refused, Why
from ledger.api.signin.scopes import InvalidScope, Scope, narrow, resource_scopes
from ledger.api.signin.standing import Standing
from ledger.node.roll import RollUnusable, StaffRoll
from ledger.node.setup.signin import ProviderSection

WELL_KNOWN: Final = "/.well-known/openid-configuration"
#: Roles that nobody has who signs in as staff.
_NOT_STAFF: Final = frozenset({"patient", "node"})


class Metadata(msgspec.Struct, frozen=True):
    """What of a provider's discovery document is used."""

    issuer: str
    jwks_uri: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""


class Provider:
    """One ``[[signin.providers]]``.

    Args:
        settings: whom it may speak for, and how.
        fetch: gets documents.
        now: seconds since 1970-01-01 UTC.
        clock: seconds that only ever grow.
        standing: the registry.
        roll: whose login is whose.
    """

    def __init__(
        self,
        settings: ProviderSection,
        *,
        fetch: Fetch,
        now: Callable[[], float],
        clock: Callable[[], float],
        standing: Standing,
        roll: StaffRoll,
    ) -> None:
        self.settings = settings
        self._fetch = fetch
        self._now = now
        self._standing = standing
        self._roll = roll
        self._metadata: Metadata | None = None
        self._keys = KeySet(settings.issuer, self._load_keys, clock)
        self._ceiling = resource_scopes(settings.scopes)

    @property
    def issuer(self) -> str:
        return self.settings.issuer

    async def metadata(self) -> Metadata:
        """The provider's discovery document, fetched once; raises `Unreachable`."""
        if self._metadata is None:
            raw = await self._fetch(self.issuer.rstrip("/") + WELL_KNOWN, None, None)
            try:
                found = msgspec.convert(strict_object(raw), Metadata)
            except (ValueError, msgspec.ValidationError) as error:
                raise Unreachable(f"discovery: {error}") from None
            if found.issuer != self.issuer:
                raise Unreachable("discovery names another issuer")
            self._metadata = found
        return self._metadata

    async def _load_keys(self) -> bytes:
        where = self.settings.jwks
        if where is None:
            where = (await self.metadata()).jwks_uri
            if not same_host(where, self.issuer):
                raise Unreachable("the keys are on another host; name it as jwks in node.toml")
        return await self._fetch(where, None, None)

    async def bearer(self, token: Token) -> Principal:
        """Who presents a token that was made for this node; raises `Refused`."""
        await self.check(token, self.settings.audience)
        return self.principal(token, sha256(token.text.encode()).hexdigest()[:16])

    async def check(self, token: Token, audience: str) -> None:
        """Check that a token is this provider's, for an audience, and valid now.

        Raises:
            Refused: it is not.
        """
        if token.algorithm not in self.settings.algorithms:
            raise Refused(Why.ALGORITHM)
        jose.verify(token, await self._keys.key_for(token), self.settings.algorithms)
        claims = token.claims
        if claims.get("iss") != self.issuer:
            raise Refused(Why.ISSUER)
        longest = self.settings.longest_hours * 3600
        jose.check_times(claims, self._now(), longest, needs_iat=True)
        jose.check_audience(claims, audience)
        jose.text_claim(claims, "sub")

    def principal(self, token: Token, session: str) -> Principal:
        """Whose token this is, with the roles that the registry certifies; raises `Refused`."""
        claims = token.claims
        login = jose.text_claim(claims, self.settings.person)
        try:
            person = login if self.settings.names == "registry" else self._roll.person_of(login)
        except RollUnusable:
            raise Refused(Why.UNREACHABLE, login) from None
        if person is None:
            raise Refused(Why.UNKNOWN_PERSON, login)
        institution = self.settings.institution
        roles = self._standing.roles(person, institution)
        if _NOT_STAFF & set(roles):
            raise Refused(Why.NOT_CERTIFIED, person)
        scopes = self._granted(claims)
        return Principal(Kind.STAFF, person, institution, roles, scopes, session, "oidc")

    def _granted(self, claims: dict[str, Any]) -> tuple[str, ...]:
        """What may be done on ``/fhir``: all that the institution's staff may, or what of it the
        token asks for, if it speaks of such scopes at all."""
        given = claims.get("scope", "")
        try:
            asked: tuple[Scope, ...] = resource_scopes(given) if isinstance(given, str) else ()
        except InvalidScope:
            raise Refused(Why.SCOPE) from None
        ceiling = [scope for scope in self._ceiling if scope.level == "user"]
        return narrow(asked or ceiling, ceiling)
