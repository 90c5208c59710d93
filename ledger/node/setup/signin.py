"""``[signin]`` of ``node.toml``: which identity providers a node believes, and for how long."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from ledger.node.setup.tomlfile import Table

#: Signature algorithms that a provider may use; each fits one kind of key. No symmetric one: its
#: key would be a secret that provider and node share.
Algorithm = Literal[
    "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA",
]  # fmt: skip

_CLAIM = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,127}")


def is_loopback(host: str | None) -> bool:
    """Whether a host name or address can only be this machine."""
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"


def web_address(text: str) -> str:
    """An address that may be fetched: https, or http on loopback; raises `ValueError`."""
    try:
        parts = urlsplit(text)
        bad = parts.username is not None or parts.query or parts.fragment or parts.port == 0
    except ValueError:
        raise ValueError("must be a URL") from None
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
    if not secure or not parts.hostname or not text.isascii() or re.search(r"\s", text):
        raise ValueError("must begin with https:// (http:// for loopback only)")
    if bad:
        raise ValueError("must have no user, query or fragment")
    return text


def _base(text: str) -> str:
    if urlsplit(web_address(text)).path not in ("", "/"):
        raise ValueError("must have no path")
    return text.rstrip("/")


def _claim(text: str) -> str:
    if not _CLAIM.fullmatch(text):
        raise ValueError("must be the name of a claim")
    return text


def _algorithms() -> list[Algorithm]:
    return ["ES256", "ES384", "RS256", "PS256", "EdDSA"]


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("must be an IP address") from None


Address = Annotated[str, AfterValidator(_address)]
WebAddress = Annotated[str, AfterValidator(web_address), Field(max_length=512)]
BaseAddress = Annotated[str, AfterValidator(_base), Field(max_length=256)]
Claim = Annotated[str, AfterValidator(_claim)]
Text = Annotated[str, Field(min_length=1, max_length=256)]


class ProviderSection(Table):
    """``[[signin.providers]]``: an OpenID provider, for the staff of one institution.

    ``audience``: what tokens for this node carry as ``aud``. ``person``: the claim that says who it
    is; with ``names = "roll"`` the node's staff roll tells whose login that is, with ``names =
    "registry"`` the claim is the person's id in the registry. ``scopes``: the most that its staff
    may do on ``/fhir``. ``jwks``: where its keys are, if not at an address on its own host that
    discovery tells. ``client``, ``client_secret``: for signing in with a browser; the secret is a
    file relative to the home. ``longest_hours``: longest life of a token that is believed.
    """

    institution: Text
    issuer: WebAddress
    audience: Text
    person: Claim = "sub"
    names: Literal["roll", "registry"] = "roll"
    algorithms: Annotated[list[Algorithm], Field(min_length=1)] = Field(default_factory=_algorithms)
    scopes: Annotated[str, Field(max_length=4096)] = "user/*.rs"
    jwks: WebAddress | None = None
    client: Text | None = None
    client_secret: Text | None = None
    longest_hours: Annotated[int, Field(ge=1, le=24)] = 12

    @model_validator(mode="after")
    def _secret_needs_client(self) -> ProviderSection:
        if self.client_secret is not None and self.client is None:
            raise ValueError("client_secret without client")
        return self


class SessionsSection(Table):
    """``[signin.sessions]``: when a session ends by itself, and how many a person may have."""

    idle_minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 15
    longest_hours: Annotated[int, Field(ge=1, le=24)] = 10
    per_person: Annotated[int, Field(ge=1, le=100)] = 10


class SignInSection(Table):
    """``[signin]``. ``url``: the address under which browsers and systems know the node, the
    ``api`` address if absent. ``return_to``: addresses to which a browser may be sent after it has
    signed in, beside the node's own paths. ``proxies``: addresses of reverse proxies whose word is
    believed about where a request comes from."""

    url: BaseAddress | None = None
    return_to: list[WebAddress] = Field(default_factory=list)
    proxies: list[Address] = Field(default_factory=list)
    providers: Annotated[list[ProviderSection], Field(max_length=16)] = Field(default_factory=list)
    sessions: SessionsSection = SessionsSection()
