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
