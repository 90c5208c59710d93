"""Two lanes of messages to patients, emergencies in one of their own.

Each lane is a cursor on the chain, like a webhook: nothing is lost while the node or the gateway is
down, and an emergency never waits behind a thousand ordinary messages.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from ledger.node.answers import LedgerEvent
from ledger.node.events import EventFeed, end_of
from ledger.node.listening.parties import Read
from ledger.node.notifications.channels import TEXT, URGENT_TEXT, Channel, Message
from ledger.node.notifications.notices import heard, home_of, notice_of
from ledger.node.webhooks.book import Book, Filters, Subscription
from ledger.node.webhooks.courier import Outcome
from ledger.node.webhooks.dispatch import Dispatcher
from ledger.node.webhooks.standing import Standing

URGENT: Final = "urgent"
ORDINARY: Final = "ordinary"
#: A gateway that is away is tried for ever, at least once an hour: patients have to be told.
NEVER_S: Final = 10.0**9


class Notifier:
    """Has the patients of an institution told.

    Args:
        chain: its id.
        institution: that of this node; each patient is told by the one that entered her.
        read: reads the newest state.
        clock: milliseconds since 1970 UTC.
    """

    def __init__(
        self,
        chain: bytes,
        institution: str,
        feed: EventFeed,
        path: Path | str,
        channel: Channel,
        read: Read,
        *,
        clock: Callable[[], int],
    ) -> None:
        self._chain = chain
        self._institution = institution
        self._read = read
        self._channel = channel
        self._book = Book(path)
        for lane in (URGENT, ORDINARY):
            if self._book.get(lane) is None:
                names = tuple(sorted(heard(urgent=lane == URGENT).names))
                self._book.save(
                    Subscription(
                        id=lane, url="", filters=Filters(name=names), created=clock(),
                        cursor=str(end_of(feed.height)),
                    )
                )  # fmt: skip
        self._dispatcher = Dispatcher(feed, self._book, self._send, clock=clock, give_up_s=NEVER_S)

    async def _send(self, lane: Subscription, event: LedgerEvent) -> Outcome | None:
        notice = notice_of(event, self._read)
        if notice is None or notice.topic.urgent is not (lane.id == URGENT):
            return None
        if home_of(notice.subject, self._read) != self._institution:
            return None
        message = Message(
            id=f"{self._chain[:8].hex()}.{event.cursor}",
            subject=notice.subject,
            urgent=notice.topic.urgent,
            text=URGENT_TEXT if notice.topic.urgent else TEXT,
        )
        return await self._channel.send(message)

    def lanes(self) -> list[Subscription]:
        """How each lane goes."""
        return self._book.all()

    def standing(self) -> list[Standing]:
        """How far patients have been told."""
        return self._dispatcher.standing()

    async def run(self) -> None:
        """Tell until cancelled. A lane that was suspended, because the gateway said that it is gone
        or because of a mistake, is tried again at every start."""
        for lane in self._book.all():
            self._dispatcher.resume(lane.id)
        await self._dispatcher.run()

    async def close(self) -> None:
        await self._channel.close()
        self._book.close()
