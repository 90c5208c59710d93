"""Systems that sign in by themselves: SMART Backend Services.

Sources: SMART App Launch 2.2.0, "Backend Services" and "Client Authentication: Asymmetric"; RFC
6749 §4.4, RFC 7523 §3. A system signs an assertion with its own key and gets an access token for a
few minutes, which is a session like others: random bits, of which the node keeps the hash.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from ledger.api.principal import Kind, Principal
from ledger.api.signin import jose
from ledger.api.signin.clients import Client, Clients, ClientsUnusable
from ledger.api.signin.jose import PublicKey, Token
from ledger.api.signin.keysets import KeySet
from ledger.api.signin.outgoing import Fetch
from ledger.api.signin.refusal import Refused, Why
from ledger.api.signin.scopes import InvalidScope, narrow, resource_scopes
from ledger.api.signin.sessions import Opened, Sessions
from ledger.api.signin.standing import Standing

TOKEN_PATH: Final = "/auth/token"  # noqa: S105  (a path)
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: What SMART asks servers to support; nothing else is accepted.
ALGORITHMS: Final = ("ES384", "RS384")
#: An assertion ends within five minutes (SMART); an access token lives as long.
LONGEST_ASSERTION_S: Final = 300.0
TOKEN_SECONDS: Final = 300


class NotGranted(Exception):
    """Why there is no token: an error code of RFC 6749 §5.2."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Systems:
    """Hands out access tokens to registered systems.

    Args:
        clients: the registered ones.
        url: the node's base URL.
    """

    def __init__(
        self,
        clients: Clients,
        sessions: Sessions,
        standing: Standing,
        *,
        url: str,
        fetch: Fetch,
        now: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self.clients = clients
        self._sessions = sessions
        self._standing = standing
        self._audience = url + TOKEN_PATH
        self._fetch = fetch
        self._now = now
        self._clock = clock
        self._published: dict[tuple[str, str], KeySet] = {}

    def known(self, name: str) -> Client:
        """A registered system of an institution in good standing; raises `Refused`."""
        try:
            client = self.clients.listed().get(name)
        except ClientsUnusable:
            raise Refused(Why.UNREACHABLE, name) from None
        if client is None:
            raise Refused(Why.UNKNOWN_CLIENT, name)
        if self._standing.has_left(client.institution):
            raise Refused(Why.NOT_CERTIFIED, name)
        return client

    async def authenticated(self, assertion: str) -> Client:
        """The system that signed an assertion for this node, once; raises `Refused`."""
        token = jose.read(assertion, tolerated=frozenset({"jku"}))
        name = jose.text_claim(token.claims, "iss")
        client = self.known(name)
        try:
            await self._check(token, client)
        except Refused as refused:
            raise Refused(refused.why, name) from None
        return client

    async def _check(self, token: Token, client: Client) -> None:
        if token.algorithm not in ALGORITHMS:
            raise Refused(Why.ALGORITHM)
        # The header may repeat the registered address; it never is one that we would go to.
        if token.header.get("jku") not in (None, client.jwks_url):
            raise Refused(Why.UNKNOWN_KEY)
        jose.verify(token, await self._key(token, client), ALGORITHMS)
        claims = token.claims
        if claims.get("sub") != client.id:
            raise Refused(Why.CLAIM)
        jose.check_audience(claims, self._audience)
        ends = jose.check_times(claims, self._now(), LONGEST_ASSERTION_S, needs_iat=False)
        if ends > self._now() + LONGEST_ASSERTION_S + jose.LEEWAY:
            raise Refused(Why.TOO_LONG)
        name = jose.text_claim(claims, "jti")
        # Only now: a stranger could otherwise use up the names of others.
        if not self._sessions.use_once(client.id, name, ends + jose.LEEWAY):
            raise Refused(Why.REPLAYED)

    async def _key(self, token: Token, client: Client) -> PublicKey:
        if client.jwks is not None:
            found = jose.chosen(token, jose.key_set(msgspec.json.encode(client.jwks)))
            if found is None:
                raise Refused(Why.UNKNOWN_KEY)
            return found
        url = str(client.jwks_url)
        place = (client.id, url)
        if place not in self._published:
            self._published = {
                known: keys for known, keys in self._published.items() if known[0] != client.id
            }

            async def load() -> bytes:
                return await self._fetch(url, None, None)

            self._published[place] = KeySet(client.id, load, self._clock)
        return await self._published[place].key_for(token)

    def grant(self, client: Client, scope: str) -> tuple[Opened, str]:
        """An access token for a system that has authenticated, and the scopes that it has.

        Raises:
            NotGranted: none of the scopes asked for can be given.
        """
        try:
            asked = resource_scopes(scope)
        except InvalidScope:
            raise NotGranted("invalid_scope") from None
        scopes = narrow(asked, resource_scopes(client.scopes))
        if not scopes:
            raise NotGranted("invalid_scope")
        principal = Principal(Kind.SYSTEM, client.id, client.institution, (), scopes, "", "backend")
        return self._sessions.open(principal, TOKEN_SECONDS), " ".join(scopes)

    def still(self, principal: Principal) -> tuple[str, ...]:
        """The scopes that a system's token has left; raises `Refused` if it has none at all."""
        client = self.known(principal.id)
        if client.institution != principal.institution:
            raise Refused(Why.UNKNOWN_CLIENT, principal.id)
        given = resource_scopes(" ".join(principal.scopes))
        return narrow(given, resource_scopes(client.scopes))


def single(form: Mapping[str, list[str]], name: str) -> str:
    """A parameter of a token request; it must not be repeated (RFC 6749 §3.2)."""
    values = form.get(name, [])
    if len(values) > 1:
        raise NotGranted("invalid_request")
    return values[0] if values else ""


def smart_configuration(url: str) -> dict[str, Any]:
    """``.well-known/smart-configuration`` (SMART App Launch 2.2.0, "Conformance")."""
    return {
        "token_endpoint": url + TOKEN_PATH,
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "grant_types_supported": ["client_credentials"],
        "scopes_supported": [
            "system/Consent.cruds", "system/DocumentReference.rs", "system/AuditEvent.crs",
            "system/Provenance.rs", "system/*.rs",
        ],
        "code_challenge_methods_supported": ["S256"],
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    }  # fmt: skip
