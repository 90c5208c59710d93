"""What tells people and systems outside of the node: webhooks, and messages to patients."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Coroutine

from ledger.chain.store import Store
from ledger.crypto.keys import SigningKey
from ledger.node.events import EventFeed
from ledger.node.notifications.channels import Channel, WebhookChannel, find_channel
from ledger.node.notifications.inbox import NoticeList
from ledger.node.notifications.marks import ReadMarks
from ledger.node.notifications.notifier import Notifier
from ledger.node.notifications.teller import Perform, Teller
from ledger.node.setup.home import NodeHome
from ledger.node.webhooks.address import AllowList
from ledger.node.webhooks.book import Book
from ledger.node.webhooks.courier import Courier
from ledger.node.webhooks.office import WebhookOffice
from ledger.node.webhooks.signing import signed_headers
from ledger.node.webhooks.standing import Standing

HOUR_S = 3600


class Outreach:
    """As far as the home's settings have it.

    Args:
        key: the node's signing key of now.
        perform: sends a call that the node signs.
        clock: milliseconds since 1970 UTC.
        block_time: the same, of the newest block.

    Raises:
        UnknownChannel: no installed package offers the channel that the settings name.
        OSError: a file of the home cannot be used.
    """

    def __init__(
        self,
        home: NodeHome,
        chain: bytes,
        feed: EventFeed,
        store: Store,
        key: Callable[[], SigningKey],
        perform: Perform,
        *,
        clock: Callable[[], int],
        block_time: Callable[[], int],
    ) -> None:
        self._teller = Teller(home.institution, feed, store.value, block_time, perform)
        self.webhooks: WebhookOffice | None = None
        self.notifier: Notifier | None = None
        self._courier: Courier | None = None
        try:
            self.notices = NoticeList(feed, store, ReadMarks(home.path / "read-marks.db"))
            self._open(home, chain, feed, store, key, clock)
        except sqlite3.Error as error:
            raise OSError(f"a file of webhooks or messages: {error}") from error

    def _open(
        self,
        home: NodeHome,
        chain: bytes,
        feed: EventFeed,
        store: Store,
        key: Callable[[], SigningKey],
        clock: Callable[[], int],
    ) -> None:
        settings = home.settings.webhooks
        if settings is not None:
            allowed = AllowList(settings.allow, settings.private)
            authorities = settings.authorities
            self._courier = Courier(
                allowed, None if authorities is None else str(home.path / authorities)
            )
            self.webhooks = WebhookOffice(
                chain,
                feed,
                Book(home.path / "webhooks.db"),
                allowed,
                self._courier,
                key,
                clock=clock,
                give_up_s=settings.give_up_hours * HOUR_S,
            )
        wanted = home.settings.notifications
        if wanted is not None:
            channel: Channel
            if wanted.channel is not None:
                channel = find_channel(wanted.channel)(wanted.settings)
            else:
                assert wanted.url is not None
                assert self._courier is not None

                def sign(url: str, body: bytes, delivery: str, name: str) -> dict[str, str]:
                    return signed_headers(key(), url, body, delivery, name, clock())

                channel = WebhookChannel(wanted.url, self._courier, sign)
            path = home.path / "notifications.db"
            self.notifier = Notifier(
                chain, home.institution, feed, path, channel, store.value, clock=clock
            )

    def jobs(self) -> list[Coroutine[None, None, None]]:
        """What runs as long as the node does."""
        parts = (self._teller, self.webhooks, self.notifier)
        return [part.run() for part in parts if part is not None]

    def standing(self) -> list[tuple[str, Standing]]:
        """How deliveries stand, those to systems and those to patients."""
        parts = {"webhook": self.webhooks, "notification": self.notifier}
        return [
            (kind, one) for kind, part in parts.items() if part is not None
            for one in part.standing()
        ]  # fmt: skip

    async def close(self) -> None:
        """Let go of files and connections."""
        if self.webhooks is not None:
            self.webhooks.close()
        if self.notifier is not None:
            await self.notifier.close()
        if self._courier is not None:
            await self._courier.close()
        self.notices.close()
