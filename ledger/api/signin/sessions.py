"""Sessions on the server: who signed in, until when, and how to end it.

The caller holds 256 random bits, in a cookie or as an access token; the store has their hash only.
Roles are not kept: the registry is asked again with every request.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

import sqlalchemy as sa

from ledger.api.principal import Kind, Principal
from ledger.api.signin.refusal import Refused, Why
from ledger.api.signin.store import sessions, used
from ledger.node.setup.signin import SessionsSection

#: A session's last use is written down no more often than this, in seconds.
TOUCH_S: Final = 30
SWEEP_S: Final = 60
#: Access tokens that one system may have at a time.
MOST_TOKENS: Final = 100
SECRET_BYTES: Final = 32
#: Access tokens of systems begin with this; they are never cookies.
ACCESS_PREFIX: Final = "hla."


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that has just begun. ``secret``: for the caller alone; ``csrf``: what a page sends
    along with requests that change something."""

    secret: str
    csrf: str
    principal: Principal
    ends: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A session as its owner or an operator sees it; times in seconds since 1970-01-01 UTC."""

    handle: str
    kind: str
    person: str
    institution: str
    method: str
    created: int
    seen: int
    ends: int


def _digest(secret: str) -> bytes:
    return sha256(b"health-ledger session\0" + secret.encode()).digest()


def csrf_of(secret: str) -> str:
    """The token against forged requests that belongs to a session's secret."""
    return sha256(b"health-ledger csrf\0" + secret.encode()).hexdigest()


def same_csrf(secret: str, given: str) -> bool:
    """Whether a request that comes with a session's cookie was made by its page."""
    return hmac.compare_digest(csrf_of(secret).encode(), given.encode())


class Sessions:
    """The sessions of one node. Look-ups take well under a millisecond; none of it waits.

    Args:
        engine: of `open_store`.
        settings: when sessions end.
        now: seconds since 1970-01-01 UTC.
    """

    def __init__(
        self, engine: sa.Engine, settings: SessionsSection, now: Callable[[], float]
    ) -> None:
        self._engine = engine
        self._idle = settings.idle_minutes * 60
        self._longest = settings.longest_hours * 3600
        self._most = settings.per_person
        self._now = now
        self._swept = float("-inf")

    def open(self, principal: Principal, seconds: int | None = None) -> Opened:
        """Begin a session; the oldest ones of somebody who has too many end.

        Args:
            principal: who signed in; ``session`` is replaced by the new one's handle.
            seconds: how long an access token of a system is good; a person's session otherwise.
        """
        now = int(self._now())
        ends = now + (self._longest if seconds is None else min(seconds, self._longest))
        secret = secrets.token_urlsafe(SECRET_BYTES)
        if principal.kind is Kind.SYSTEM:
            secret = ACCESS_PREFIX + secret
        handle = secrets.token_hex(8)
        row = {
            "hash": _digest(secret), "handle": handle, "kind": principal.kind.value,
            "person": principal.id, "institution": principal.institution,
            "scopes": " ".join(principal.scopes), "method": principal.method,
            "created": now, "seen": now, "ends": ends,
        }  # fmt: skip
        with self._engine.begin() as connection:
            self._sweep(connection, now)
            connection.execute(sa.insert(sessions).values(row))
            newest = (
                sa.select(sessions.c.hash)
                .where(sessions.c.person == principal.id, sessions.c.kind == principal.kind.value)
                .order_by(sessions.c.created.desc(), sa.literal_column("rowid").desc())
                .offset(MOST_TOKENS if principal.kind is Kind.SYSTEM else self._most)
            )
            surplus = [found.hash for found in connection.execute(newest)]
            connection.execute(sa.delete(sessions).where(sessions.c.hash.in_(surplus)))
        return Opened(secret, csrf_of(secret), replace(principal, session=handle), ends)

    def _sweep(self, connection: sa.Connection, now: int) -> None:
        if now - self._swept >= SWEEP_S:
            self._swept = now
            connection.execute(sa.delete(sessions).where(sessions.c.ends <= now))
            connection.execute(sa.delete(used).where(used.c.ends <= now))

    def find(self, secret: str) -> Principal:
        """Who holds a session, without roles.

        Raises:
            Refused: there is no such session, or it has ended.
        """
        now = int(self._now())
        digest = _digest(secret)
        with self._engine.connect() as connection:
            row = connection.execute(
                sa.select(sessions).where(sessions.c.hash == digest)
            ).one_or_none()
        if row is None:
            raise Refused(Why.UNKNOWN_SESSION)
        idle = row.kind != Kind.SYSTEM and row.seen + self._idle <= now
        if row.ends <= now or idle:
            self.end(row.handle)
            raise Refused(Why.EXPIRED, row.person)
        if now - row.seen >= TOUCH_S:
            with self._engine.begin() as connection:
                connection.execute(
                    sa.update(sessions).where(sessions.c.hash == digest).values(seen=now)
                )
        scopes = tuple(row.scopes.split(" ")) if row.scopes else ()
        return Principal(
            Kind(row.kind), row.person, row.institution, (), scopes, row.handle, row.method
        )

    def listed(self, person: str | None = None, limit: int = 1000) -> list[Listed]:
        """The sessions of a person, or the newest ones of everybody."""
        query = sa.select(sessions).where(sessions.c.ends > int(self._now()))
        if person is not None:
            query = query.where(sessions.c.person == person)
        query = query.order_by(sessions.c.created.desc(), sessions.c.handle).limit(limit)
        with self._engine.connect() as connection:
            return [
                Listed(
                    row.handle, row.kind, row.person, row.institution, row.method, row.created,
                    row.seen, row.ends,
                )
                for row in connection.execute(query)
            ]  # fmt: skip

    def end(self, handle: str, person: str | None = None) -> bool:
        """End a session, only if it is ``person``'s where that is given; whether there was one."""
        query = sa.delete(sessions).where(sessions.c.handle == handle)
        if person is not None:
            query = query.where(sessions.c.person == person)
        with self._engine.begin() as connection:
            return bool(connection.execute(query).rowcount)

    def end_all(self, person: str) -> int:
        """End all sessions of a person; how many there were."""
        with self._engine.begin() as connection:
            gone = connection.execute(sa.delete(sessions).where(sessions.c.person == person))
        return gone.rowcount

    def use_once(self, issuer: str, name: str, ends: float) -> bool:
        """Note the name of an assertion; False where it was used before."""
        now = int(self._now())
        digest = sha256(f"{len(issuer)}:{issuer}{name}".encode()).digest()
        with self._engine.begin() as connection:
            self._sweep(connection, now)
            try:
                connection.execute(sa.insert(used).values(hash=digest, ends=int(ends) + 1))
            except sa.exc.IntegrityError:
                return False
        return True
