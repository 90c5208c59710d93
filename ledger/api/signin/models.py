"""The shapes of what sign-in answers, for OpenAPI."""

from __future__ import annotations

from typing import Any, Literal

from ledger.api.models import Milliseconds, Model


class WhoModel(Model):
    """Who has signed in. ``csrf``: what a page sends as ``X-CSRF-Token`` with requests that change
    something; null for callers without a cookie."""

    kind: Literal["patient", "staff", "system", "operator"]
    id: str
    institution: str
    roles: list[str]
    scopes: list[str]
    session: str
    method: str
    csrf: str | None


class SessionModel(Model):
    """A session; ``current``: the one that asks."""

    session: str
    kind: Literal["patient", "staff", "system"]
    person: str
    institution: str
    method: str
    created: Milliseconds
    seen: Milliseconds
    ends: Milliseconds
    current: bool


class SessionList(Model):
    """Sessions that have not ended, newest first."""

    sessions: list[SessionModel]


class Ended(Model):
    """How many sessions were ended."""

    ended: int


class SignInList(Model):
    """Entries of the log of sign-ins, oldest first. ``entries`` and ``hash`` are where the log
    stands; ``next``: what to give as ``after`` for more, null when there is no more."""

    signins: list[dict[str, Any]]
    entries: int
    hash: str
    next: int | None


class AccessToken(Model):
    """RFC 6749 §5.1. ``expires_in``: seconds."""

    access_token: str
    token_type: Literal["bearer"]
    expires_in: int
    scope: str


class OAuthError(Model):
    """RFC 6749 §5.2."""

    error: Literal["invalid_request", "invalid_client", "invalid_scope", "unsupported_grant_type"]


class SmartConfiguration(Model):
    """SMART App Launch 2.2.0, "Conformance"."""

    token_endpoint: str
    token_endpoint_auth_methods_supported: list[str]
    token_endpoint_auth_signing_alg_values_supported: list[str]
    grant_types_supported: list[str]
    scopes_supported: list[str]
    code_challenge_methods_supported: list[str]
    capabilities: list[str]
