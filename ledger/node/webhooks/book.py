"""The subscriptions of a node, in a file of its home.

The chain is the outbox: a subscription is an address, a filter and the cursor of what was last
taken there, so nothing has to be copied and nothing can be lost while the node is down.
"""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path
from typing import Any, Final

import msgspec

from ledger.node.listening.selection import Selection

MAX_SUBSCRIPTIONS: Final = 64
MAX_DEAD: Final = 1_000

ACTIVE: Final = "active"
SUSPENDED: Final = "suspended"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS subscriptions (id TEXT PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead (
    subscription TEXT NOT NULL, number INTEGER NOT NULL, content BLOB NOT NULL,
    PRIMARY KEY (subscription, number)
) WITHOUT ROWID;
"""


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """A `Selection` as it is kept and shown."""

    contract: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    subject: tuple[str, ...] = ()
    institution: tuple[str, ...] = ()
    holder: tuple[str, ...] = ()


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """One subscription. Times are milliseconds since 1970 UTC.

    ``owner``, ``institution``: who made it, acting for whom; ``bound``: the institution beyond
    whose events it hears nothing, or empty. ``cursor``: of the last event taken, or passed over.
    ``status``: ``active`` or ``suspended``; ``reason``: of the last failure. ``failing_since``,
    ``attempts``, ``next_attempt``: of the event that waits now, 0 where none does.
    """

    id: str
    url: str
    filters: Filters
    owner: str = ""
    institution: str = ""
    bound: str = ""
    created: int
    cursor: str
    status: str = ACTIVE
    reason: str = ""
    failing_since: int = 0
    attempts: int = 0
    next_attempt: int = 0
    delivered: int = 0
    last_delivery: int = 0

    def selection(self) -> Selection:
        """What it hears."""
        wanted = self.filters
        return Selection(
            contracts=frozenset(wanted.contract),
            names=frozenset(wanted.name),
            people=frozenset(wanted.subject),
            institutions=frozenset(wanted.institution),
            holders=frozenset(wanted.holder),
            institution=self.bound or None,
        )


class Dead(msgspec.Struct, frozen=True, kw_only=True):
    """An event that the receiver refused for good; it can be read again by its cursor."""

    cursor: str
    transaction: str
    reason: str
    attempts: int
    time: int


class TooMany(Exception):
    """No more subscriptions."""


class Book:
    """The file; one thread at a time."""

    def __init__(self, path: Path | str) -> None:
        self._database = sqlite3.connect(
            str(path), isolation_level=None, timeout=10, check_same_thread=False
        )
        self._database.execute("PRAGMA journal_mode=WAL")
        # A cursor that a power cut takes back means a repetition, which receivers know by its id.
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.executescript(_SCHEMA)
        if isinstance(path, Path):
            path.chmod(0o600)

    def add(
        self,
        url: str,
        filters: Filters,
        *,
        now: int,
        cursor: str,
        owner: str = "",
        institution: str = "",
        bound: str = "",
    ) -> Subscription:
        """A new subscription; raises `TooMany`."""
        if len(self.all()) >= MAX_SUBSCRIPTIONS:
            raise TooMany
        made = Subscription(
            id=secrets.token_hex(8),
            url=url,
            filters=filters,
            owner=owner,
            institution=institution,
            bound=bound,
            created=now,
            cursor=cursor,
        )
        self.save(made)
        return made

    def save(self, subscription: Subscription) -> None:
        self._database.execute(
            "INSERT OR REPLACE INTO subscriptions VALUES (?, ?)",
            (subscription.id, msgspec.json.encode(subscription)),
        )

    def change(self, id_: str, **changes: Any) -> Subscription | None:
        """Change some of its fields; None where it was removed meanwhile."""
        found = self.get(id_)
        if found is None:
            return None
        changed = msgspec.structs.replace(found, **changes)
        self.save(changed)
        return changed

    def get(self, id_: str) -> Subscription | None:
        row = self._database.execute(
            "SELECT content FROM subscriptions WHERE id = ?", (id_,)
        ).fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=Subscription)

    def all(self) -> list[Subscription]:
        rows = self._database.execute("SELECT content FROM subscriptions ORDER BY id")
        return [msgspec.json.decode(row[0], type=Subscription) for row in rows]

    def remove(self, id_: str) -> bool:
        self._database.execute("DELETE FROM dead WHERE subscription = ?", (id_,))
        return self._database.execute("DELETE FROM subscriptions WHERE id = ?", (id_,)).rowcount > 0

    def bury(self, id_: str, dead: Dead) -> int:
        """Keep a refused event; how many there are."""
        (last, count) = self._database.execute(
            "SELECT coalesce(max(number), 0), count(*) FROM dead WHERE subscription = ?", (id_,)
        ).fetchone()
        self._database.execute(
            "INSERT INTO dead VALUES (?, ?, ?)", (id_, last + 1, msgspec.json.encode(dead))
        )
        return int(count) + 1

    def dead(self, id_: str, limit: int = MAX_DEAD) -> list[Dead]:
        """The newest first."""
        rows = self._database.execute(
            "SELECT content FROM dead WHERE subscription = ? ORDER BY number DESC LIMIT ?",
            (id_, limit),
        )
        return [msgspec.json.decode(row[0], type=Dead) for row in rows]

    def count_dead(self, id_: str) -> int:
        """How many refused events are kept."""
        row = self._database.execute(
            "SELECT count(*) FROM dead WHERE subscription = ?", (id_,)
        ).fetchone()
        return int(row[0])

    def forget_dead(self, id_: str) -> None:
        self._database.execute("DELETE FROM dead WHERE subscription = ?", (id_,))

    def close(self) -> None:
        self._database.close()
