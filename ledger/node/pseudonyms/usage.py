"""Who has asked this validator about how many ids, day by day, in a small database of its own.

A question is charged before it is answered, and one that comes again, because its answer was lost,
is not charged twice. Days are those of block time, counted from 1970 in UTC. The file survives the
end of the process; should the machine lose power, the last moments may be missing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

DAY_MS: Final = 86_400_000
#: How often one question is answered.
MAX_REPEATS: Final = 3
#: Accounts are kept for so many days.
KEPT_DAYS: Final = 400

_metadata = sa.MetaData()
_asked = sa.Table(
    "asked",
    _metadata,
    sa.Column("day", sa.Integer, primary_key=True),
    sa.Column("institution", sa.Text, primary_key=True),
    sa.Column("domain", sa.Text, primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
)
_questions = sa.Table(
    "questions",
    _metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("height", sa.BigInteger, nullable=False, index=True),
    sa.Column("times", sa.Integer, nullable=False),
)
_accounted = sa.Table("accounted", _metadata, sa.Column("day", sa.Integer, primary_key=True))


class UsageUnusable(Exception):
    """The file of accounts cannot be opened, read or written. Then nothing is answered."""


class OverQuota(Exception):
    """The institution has had its share of the day. ``left``: how many more it may ask about."""

    def __init__(self, left: int) -> None:
        super().__init__(f"{left} left today")
        self.left = left


class Repeated(Exception):
    """The same question once too often."""


class Usage:
    """The accounts in one file; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._engine = sa.create_engine(f"sqlite:///{path}")
            sa.event.listen(self._engine, "connect", _prepare)
            _metadata.create_all(self._engine)
        except (OSError, sa.exc.DBAPIError) as error:
            raise UsageUnusable(f"{path}: {error}") from None

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    def charge(
        self, digest: bytes, institution: str, domain: str, day: int, height: int, *,
        count: int, quota: int, window: int,
    ) -> int:  # fmt: skip
        """Charge a question; how many elements the institution has left today.

        Args:
            digest: names the question; one that was charged before costs nothing.
            day: days since 1970 UTC.
            height: of the asker's newest block, as the question has it.
            count: how many elements it asks about.
            quota: how many a day the institution may ask about in this domain.
            window: questions of so many heights before this one are still remembered.

        Raises:
            OverQuota: nothing was charged.
            Repeated: it was answered often enough.
            UsageUnusable: the file cannot be written.
        """
        with self._lock:
            try:
                return self._charge(digest, institution, domain, day, height, count, quota, window)
            except sa.exc.DBAPIError as error:
                raise UsageUnusable(str(error.orig)) from None

    def _charge(
        self, digest: bytes, institution: str, domain: str, day: int, height: int, count: int,
        quota: int, window: int,
    ) -> int:  # fmt: skip
        place = (
            _asked.c.day == day,
            _asked.c.institution == institution,
            _asked.c.domain == domain,
        )
        with self._engine.begin() as connection:
            used = connection.execute(sa.select(_asked.c.count).where(*place)).scalar() or 0
            times = connection.execute(
                sa.select(_questions.c.times).where(_questions.c.digest == digest)
            ).scalar()
            if times is not None:
                if times >= MAX_REPEATS:
                    raise Repeated
                connection.execute(
                    sa.update(_questions)
                    .where(_questions.c.digest == digest)
                    .values(times=times + 1)
                )
                return max(0, quota - used)
            if used + count > quota:
                raise OverQuota(max(0, quota - used))
            connection.execute(sa.insert(_questions).values(digest=digest, height=height, times=1))
            connection.execute(
                sa.delete(_questions).where(_questions.c.height < height - 2 * window)
            )
            changed = connection.execute(
                sa.update(_asked).where(*place).values(count=_asked.c.count + count)
            )
            if not changed.rowcount:
                connection.execute(
                    sa.insert(_asked).values(
                        day=day, institution=institution, domain=domain, count=count
                    )
                )
            return quota - used - count

    def of_day(self, day: int) -> dict[str, int]:
        """How many elements each institution has asked about on a day, in all domains together."""
        with self._lock, self._engine.begin() as connection:
            rows = connection.execute(
                sa.select(_asked.c.institution, sa.func.sum(_asked.c.count))
                .where(_asked.c.day == day)
                .group_by(_asked.c.institution)
            )
            return {institution: int(count) for institution, count in rows}

    def unaccounted(self, today: int, days: int) -> Mapping[int, dict[str, int]]:
        """The days before today, at most ``days`` back, that are yet to be accounted for."""
        with self._lock, self._engine.begin() as connection:
            connection.execute(sa.delete(_asked).where(_asked.c.day < today - KEPT_DAYS))
            done = set(connection.execute(sa.select(_accounted.c.day)).scalars())
            begun = connection.execute(
                sa.select(_asked.c.day)
                .where(_asked.c.day < today, _asked.c.day >= today - days)
                .distinct()
                .order_by(_asked.c.day)
            ).scalars()
            wanted = [day for day in begun if day not in done]
        return {day: self.of_day(day) for day in wanted}

    def accounted(self, day: int) -> None:
        """Note that a day was accounted for."""
        with self._lock, self._engine.begin() as connection:
            known = sa.select(_accounted.c.day).where(_accounted.c.day == day)
            if connection.execute(known).scalar() is None:
                connection.execute(sa.insert(_accounted).values(day=day))


def _prepare(connection: Any, _record: object) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {pragma}")
