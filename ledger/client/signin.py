"""Signing in as a system: SMART Backend Services (HL7 SMART App Launch 2.2.0, RFC 7523).

The system holds a private key whose public half the node's operator has registered. It signs a
short assertion with it and gets a token of a few minutes, for as long as it needs one.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any, Final

import httpx
import msgspec
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from ledger.chain.codec import Malformed
from ledger.client.http import NodeRefused, NodeUnreachable

TOKEN_PATH: Final = "/auth/token"  # noqa: S105  (a path)
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_S: Final = 120
#: A token is renewed so many seconds before it ends.
EARLY_S: Final = 30
TIMEOUT_S: Final = 10.0


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: int
    scope: str = ""


class BackendSignIn:
    """Gives the bearer token of now: pass it as the ``token`` of a client.

    Args:
        url: base URL of the node, as it is registered there.
        client: the id under which the system is registered.
        key: its private key, PEM or JWK: P-384 (ES384) or RSA (RS384).
        kid: the key's id in the registered key set.
        scope: SMART scopes to ask for.
        transport: another httpx transport, for tests.
        now: seconds since 1970 UTC.
    """

    def __init__(
        self,
        url: str,
        client: str,
        key: ECKey | RSAKey,
        kid: str,
        scope: str,
        *,
        transport: httpx.BaseTransport | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._url = url.rstrip("/") + TOKEN_PATH
        self._client = client
        self._key = key
        self._kid = kid
        self._scope = scope
        self._http = httpx.Client(transport=transport, timeout=TIMEOUT_S, follow_redirects=False)
        self._now = now
        self._token = ""
        self._ends = 0.0

    def __call__(self) -> str:
        """A token that is good for at least `EARLY_S` seconds.

        Raises:
            NodeRefused: the node does not grant one.
            NodeUnreachable: no answer.
            Malformed: an answer that is none.
        """
        if self._now() >= self._ends - EARLY_S:
            self._renew()
        return self._token

    def _assertion(self) -> str:
        now = int(self._now())
        claims: dict[str, Any] = {
            "iss": self._client, "sub": self._client, "aud": self._url,
            "jti": secrets.token_urlsafe(24), "iat": now, "exp": now + ASSERTION_S,
        }  # fmt: skip
        algorithm = "ES384" if isinstance(self._key, ECKey) else "RS384"
        header = {"alg": algorithm, "kid": self._kid, "typ": "JWT"}
        return jwt.encode(header, claims, self._key, algorithms=[algorithm])

    def _renew(self) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self._assertion(),
            "scope": self._scope,
        }
        try:
            answer = self._http.post(self._url, data=form)
        except httpx.TransportError as error:
            raise NodeUnreachable(f"{self._url}: {error}") from None
        try:
            if answer.status_code != httpx.codes.OK:
                problem = msgspec.json.decode(answer.content, type=dict[str, Any])
                code = str(problem.get("error", problem.get("code", answer.status_code)))
                raise NodeRefused(answer.status_code, code, "no token", problem)
            granted = msgspec.json.decode(answer.content, type=_Granted)
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            raise Malformed(f"an answer that is no token: {error}") from None
        self._token = granted.access_token
        self._ends = self._now() + granted.expires_in

    def close(self) -> None:
        self._http.close()
