"""Why a sign-in failed: told to the log in full, and to the caller as little as helps."""

from __future__ import annotations

from enum import StrEnum


class Why(StrEnum):
    """What was wrong with a credential."""

    MALFORMED = "malformed"
    ALGORITHM = "algorithm"
    UNKNOWN_KEY = "unknown-key"
    SIGNATURE = "signature"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    EXPIRED = "expired"
    NOT_YET = "not-yet-valid"
    TOO_LONG = "too-long-lived"
    CLAIM = "claim"
    REPLAYED = "replayed"
    STATE = "state"
    UNREACHABLE = "provider-unreachable"
    UNKNOWN_PERSON = "unknown-person"
    NOT_CERTIFIED = "not-certified"
    UNKNOWN_CLIENT = "unknown-client"
    SCOPE = "scope"
    UNKNOWN_TOKEN = "unknown-token"  # noqa: S105  (a name, not a secret)
    UNKNOWN_SESSION = "unknown-session"
    FORGED_REQUEST = "forged-request"
    LOCKED = "locked"
    TOO_MANY = "too-many"


class Refused(Exception):
    """A credential that is not accepted. ``who``: whom it claims to be, as far as that is known;
    it is the caller's word and goes nowhere but the log."""

    def __init__(self, why: Why, who: str = "") -> None:
        super().__init__(why.value)
        self.why = why
        self.who = who
