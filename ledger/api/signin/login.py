"""Signing in with a browser: OpenID Connect's authorization code flow with PKCE.

Sources: OpenID Connect Core 1.0 §3.1, RFC 7636 (PKCE, S256), RFC 9207 (``iss`` in the answer), RFC
9700 (current best practice). What belongs to a sign-in under way is in a sealed cookie of the
browser that began it, so another browser cannot end it, and strangers who begin sign-ins by the
thousand fill nothing up.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from ledger.api.signin import jose
from ledger.api.signin.jose import Token, strict_object
from ledger.api.signin.outgoing import Fetch, Unreachable, same_host
from ledger.api.signin.provider import Provider
from ledger.api.signin.refusal import Refused, Why

#: How long a person may take at the provider, in seconds.
PATIENCE_S: Final = 600
CALLBACK: Final = "/auth/callback"
MAX_SECRET_FILE: Final = 4096
MAX_CODE: Final = 4096


class _Pending(msgspec.Struct, frozen=True, array_like=True):
    issuer: str
    state: str
    nonce: str
    verifier: str
    return_to: str
    ends: int


class Begun:
    """A sign-in that has begun: where the browser goes, and what it keeps meanwhile."""

    __slots__ = ("cookie", "location")

    def __init__(self, location: str, cookie: str) -> None:
        self.location = location
        self.cookie = cookie


def may_return_to(place: str, allowed: list[str]) -> bool:
    """Whether a browser may be sent there: a path of the node itself, or an address that was
    configured, exactly. Browsers read backslashes as slashes and drop control characters."""
    if not place.isascii() or not place.isprintable() or "\\" in place or len(place) > 512:
        return False
    if place.startswith("/"):
        parts = urlsplit(place)
        return not place.startswith("//") and not parts.scheme and not parts.netloc
    return place in allowed


class Logins:
    """Begins and ends sign-ins at the providers of a node.

    Args:
        url: the node's base URL.
        home: where the files of client secrets are.
        return_to: addresses beside the node's own to which a browser may be sent.
        fetch: posts the code.
        now: seconds since 1970-01-01 UTC.
    """

    def __init__(
        self, url: str, home: Path, return_to: list[str], fetch: Fetch, now: Callable[[], float]
    ) -> None:
        self._url = url
        self._home = home
        self._return_to = return_to
        self._fetch = fetch
        self._now = now
        self._box = SecretBox(secrets.token_bytes(SecretBox.KEY_SIZE))

    @property
    def redirect_uri(self) -> str:
        """What the provider has to have registered for the node."""
        return self._url + CALLBACK

    async def begin(self, provider: Provider, return_to: str) -> Begun:
        """Send a browser to a provider.

        Raises:
            Refused: it would be sent on to somewhere that is not allowed, or the provider is away
                or not one for browsers.
        """
        client = provider.settings.client
        if client is None or not may_return_to(return_to, self._return_to):
            raise Refused(Why.STATE)
        try:
            endpoint = (await provider.metadata()).authorization_endpoint
        except Unreachable:
            raise Refused(Why.UNREACHABLE) from None
        if not same_host(endpoint, provider.issuer):
            raise Refused(Why.UNREACHABLE)
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        ends = int(self._now()) + PATIENCE_S
        pending = _Pending(provider.issuer, state, nonce, verifier, return_to, ends)
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": client,
            "redirect_uri": self.redirect_uri,
            "scope": "openid",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        joint = "&" if urlsplit(endpoint).query else "?"
        sealed = self._box.encrypt(msgspec.json.encode(pending))
        cookie = urlsafe_b64encode(bytes(sealed)).decode()
        return Begun(f"{endpoint}{joint}{urlencode(asked)}", cookie)

    def pending(self, cookie: str | None, state: str) -> _Pending:
        """The sign-in that a browser began; raises `Refused` if it began none with this state."""
        try:
            raw = self._box.decrypt(urlsafe_b64decode(cookie or ""))
            found = msgspec.json.decode(raw, type=_Pending)
        except (CryptoError, ValueError, TypeError):
            raise Refused(Why.STATE) from None
        if not hmac.compare_digest(found.state.encode(), state.encode()):
            raise Refused(Why.STATE)
        if found.ends <= self._now():
            raise Refused(Why.EXPIRED)
        return found

    async def end(self, provider: Provider, pending: _Pending, code: str) -> Token:
        """Exchange a code for the verified ID token; raises `Refused`."""
        if not 0 < len(code) <= MAX_CODE:
            raise Refused(Why.STATE)
        client = provider.settings.client
        assert client is not None
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": pending.verifier,
            "client_id": client,
        }
        try:
            endpoint = (await provider.metadata()).token_endpoint
            if not same_host(endpoint, provider.issuer):
                raise Unreachable("the token endpoint is on another host")
            answer = strict_object(await self._fetch(endpoint, form, self._credential(provider)))
        except (Unreachable, ValueError):
            raise Refused(Why.UNREACHABLE) from None
        text = answer.get("id_token")
        if not isinstance(text, str):
            raise Refused(Why.MALFORMED)
        token = jose.read(text)
        await provider.check(token, client)
        claims = token.claims
        nonce = claims.get("nonce")
        if not isinstance(nonce, str) or not hmac.compare_digest(
            nonce.encode(), pending.nonce.encode()
        ):
            raise Refused(Why.STATE)
        if claims.get("azp", client) != client:
            raise Refused(Why.AUDIENCE)
        return token

    def _credential(self, provider: Provider) -> tuple[str, str] | None:
        """Id and secret of the node as a client, coded as RFC 6749 §2.3.1 asks."""
        name, client = provider.settings.client_secret, provider.settings.client
        if name is None or client is None:
            return None
        try:
            with (self._home / name).open("rb") as stream:
                secret = stream.read(MAX_SECRET_FILE).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Unreachable(f"client_secret: {error}") from None
        return quote(client, safe=""), quote(secret, safe="")
