"""Identity providers and tokens for tests of sign-in, good ones and hostile ones."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from ledger.api.signin.outgoing import Unreachable
from ledger.api.signin.signin import SignIn
from ledger.node.roll import StaffRoll
from ledger.node.setup.signin import ProviderSection, SessionsSection, SignInSection
from tests.support.local_service import LocalService

URL = "https://ledger.east.example"
ISSUER = "https://id.east.example"
AUDIENCE = "health-ledger"
NOW = 1_800_000_000


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


class Clock:
    """Time that tests move on; both kinds of it."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> float:
        return NOW + self.passed

    def monotonic(self) -> float:
        return self.passed

    def advance(self, seconds: float) -> None:
        self.passed += seconds


class Issuer:
    """An OpenID provider as far as it publishes keys and signs tokens."""

    def __init__(self, clock: Clock, issuer: str = ISSUER) -> None:
        self.issuer = issuer
        self.clock = clock
        self.keys: list[Key] = []
        self.away = False
        self.fetched: list[str] = []
        self.discovery: dict[str, Any] = {"issuer": issuer, "jwks_uri": f"{issuer}/jwks"}
        self.more: list[dict[str, Any]] = []
        self.answers: dict[str, bytes] = {}
        self.add(ECKey.generate_key("P-256", {"kid": "first", "alg": "ES256", "use": "sig"}))

    def add(self, key: Key) -> Key:
        self.keys.append(key)
        return key

    def rsa(self, bits: int = 2048, **parameters: str) -> Key:
        return self.add(RSAKey.generate_key(bits, {"kid": "rsa", **parameters}))  # type: ignore[arg-type]

    def ed25519(self) -> Key:
        return self.add(OKPKey.generate_key("Ed25519", {"kid": "ed"}))

    async def fetch(
        self, url: str, form: Mapping[str, str] | None, login: tuple[str, str] | None
    ) -> bytes:
        self.fetched.append(url)
        if self.away:
            raise Unreachable("away")
        if url in self.answers:
            return self.answers[url]
        if url == f"{self.issuer}/.well-known/openid-configuration":
            return json.dumps(self.discovery).encode()
        if url == self.discovery["jwks_uri"]:
            keys = [key.as_dict(private=False) for key in self.keys]
            return json.dumps({"keys": keys + self.more}).encode()
        raise Unreachable(f"nothing at {url}")

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Good claims; a change to None takes one away."""
        now = int(self.clock.now())
        claims = {
            "iss": self.issuer, "aud": AUDIENCE, "sub": "4711", "iat": now, "exp": now + 300,
            **changes,
        }  # fmt: skip
        return {name: value for name, value in claims.items() if value is not None}

    def token(
        self,
        key: Key | None = None,
        algorithm: str = "ES256",
        header: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """A token signed by ``key``, the first one by default."""
        return self.signed(json.dumps(self.claims(**changes)).encode(), key, algorithm, header)

    def signed(
        self,
        payload: bytes,
        key: Key | None = None,
        algorithm: str = "ES256",
        header: Mapping[str, Any] | None = None,
    ) -> str:
        signer = key or self.keys[0]
        named = {"alg": algorithm, "typ": "JWT", "kid": signer.kid, **(header or {})}
        named = {name: value for name, value in named.items() if value is not None}
        registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
        registry.max_header_length = registry.max_payload_length = 1_000_000
        return jws.serialize_compact(named, payload, signer, [algorithm], registry)


def forged(header: bytes | Mapping[str, Any], payload: bytes, signature: bytes) -> str:
    """A token of these three parts, whatever they are."""
    first = header if isinstance(header, bytes) else json.dumps(header).encode()
    return f"{b64(first)}.{b64(payload)}.{b64(signature)}"


def signin_settings(
    institution: str, *, url: str = URL, provider: Mapping[str, Any] | None = None, **more: Any
) -> SignInSection:
    """Settings with one provider."""
    section = {
        "institution": institution, "issuer": ISSUER, "audience": AUDIENCE, **(provider or {})
    }  # fmt: skip
    return SignInSection(
        url=url,
        providers=[ProviderSection(**section)],
        sessions=SessionsSection(idle_minutes=15, longest_hours=10, per_person=3),
        **more,
    )


def make_signin(
    service: LocalService,
    directory: Path,
    issuer: Issuer | None = None,
    *,
    settings: SignInSection | None = None,
    clock: Clock | None = None,
    **options: Any,
) -> SignIn:
    """The sign-in of a node in a directory of its own."""
    times = clock or Clock()
    return SignIn(
        settings or SignInSection(),
        directory / "signin",
        service,
        StaffRoll(directory / "staff" / "roll.json"),
        url=URL,
        fetch=(issuer or Issuer(times)).fetch,
        now=times.now,
        clock=times.monotonic,
        **options,
    )
