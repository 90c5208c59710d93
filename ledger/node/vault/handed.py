"""The holder's own log of what it handed out: written before the first byte goes and at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from ledger.node.vault.tables import handed

_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Handed:
    """One answer to a release request.

    ``number``: its place in the log. ``decision``: id. ``name``, ``digest``: of the record, 32
    bytes each. ``requester``, ``institution``, ``purpose``: as the decision has them. ``began``,
    ``ended``: milliseconds since 1970 UTC, ``ended`` None where it was cut short. ``first``: number
    of the chunk with which it began. ``sent``: sealed bytes. ``complete``: whether the last chunk
    went out.
    """

    number: int
    decision: str
    name: bytes
    digest: bytes
    requester: str
    institution: str
    purpose: str
    began: int
    ended: int | None
    first: int
    sent: int
    complete: bool


class HandedLog:
    """The table `handed` of a vault.

    Args:
        engine: of the vault.
        clock: milliseconds since 1970 UTC.
    """

    def __init__(self, engine: sa.Engine, clock: Callable[[], int]) -> None:
        self._engine = engine
        self._clock = clock

    def begin(
        self, decision: str, name: bytes, digest: bytes, who: tuple[str, str, str], first: int
    ) -> int:
        """Note that a record is about to go; its number here.

        ``who``: requester, institution, purpose.
        """
        requester, institution, purpose = who
        with self._engine.begin() as connection:
            made = connection.execute(
                sa.insert(handed).values(
                    decision=decision, name=name, digest=digest, requester=requester,
                    institution=institution, purpose=purpose, began=self._clock(), first=first,
                    sent=0, complete=False,
                )
            )  # fmt: skip
            (number,) = made.inserted_primary_key or (0,)
        return int(number)

    def end(self, number: int, sent: int, *, complete: bool) -> None:
        """Note how much of it went."""
        change = sa.update(handed).where(handed.c.id == number)
        with self._engine.begin() as connection:
            connection.execute(change.values(ended=self._clock(), sent=sent, complete=complete))

    def of(self, decision: str) -> list[Handed]:
        """What went out on a decision, oldest first."""
        query = sa.select(handed).where(handed.c.decision == decision).order_by(handed.c.id)
        with self._engine.connect() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def __iter__(self) -> Iterator[Handed]:
        after = 0
        while True:
            query = sa.select(handed).where(handed.c.id > after).order_by(handed.c.id).limit(_PAGE)
            with self._engine.connect() as connection:
                page = [_entry(row) for row in connection.execute(query)]
            if not page:
                return
            yield from page
            after = page[-1].number

    def since(self) -> int | None:
        """When the log begins; None while it is empty."""
        with self._engine.connect() as connection:
            return connection.execute(sa.select(sa.func.min(handed.c.began))).scalar()


def _entry(row: sa.Row[tuple[object, ...]]) -> Handed:
    return Handed(
        row.id, row.decision, row.name, row.digest, row.requester, row.institution, row.purpose,
        row.began, row.ended, row.first, row.sent, row.complete,
    )  # fmt: skip
