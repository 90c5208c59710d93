"""The webhooks of a node: who may subscribe what, and the signed deliveries."""

from __future__ import annotations

from collections.abc import Callable

from ledger.crypto.keys import SigningKey
from ledger.node.answers import Cursor, LedgerEvent, parse_cursor
from ledger.node.events import EventFeed, end_of
from ledger.node.listening.wire import event_json
from ledger.node.webhooks.address import AllowList
from ledger.node.webhooks.book import Book, Dead, Filters, Subscription
from ledger.node.webhooks.courier import Courier, Outcome
from ledger.node.webhooks.dispatch import Dispatcher
from ledger.node.webhooks.signing import signed_headers
from ledger.node.webhooks.standing import Standing


class WebhookOffice:
    """Keeps subscriptions and has them served.

    Args:
        chain: its id; the first eight bytes begin the id of every delivery.
        key: the node's signing key of now.
        clock: milliseconds since 1970 UTC.
        give_up_s: see `Dispatcher`.
    """

    def __init__(
        self,
        chain: bytes,
        feed: EventFeed,
        book: Book,
        allowed: AllowList,
        courier: Courier,
        key: Callable[[], SigningKey],
        *,
        clock: Callable[[], int],
        give_up_s: float,
    ) -> None:
        self._chain = chain
        self._feed = feed
        self._book = book
        self._allowed = allowed
        self._courier = courier
        self._key = key
        self._clock = clock
        self._dispatcher = Dispatcher(feed, book, self._send, clock=clock, give_up_s=give_up_s)

    def subscribe(
        self,
        url: str,
        filters: Filters,
        after: Cursor | None,
        *,
        owner: str,
        institution: str,
        bound: str,
    ) -> Subscription:
        """Make a subscription that begins behind a cursor, or with the next block.

        Raises:
            Forbidden: the address may not be called.
            TooMany: there are as many as there can be.
        """
        self._allowed.check(url)
        cursor = end_of(self._feed.height) if after is None else after
        made = self._book.add(
            url,
            filters,
            now=self._clock(),
            cursor=str(cursor),
            owner=owner,
            institution=institution,
            bound=bound,
        )
        self._dispatcher.start(made.id)
        return made

    def all(self) -> list[Subscription]:
        return self._book.all()

    def find(self, id_: str) -> Subscription | None:
        return self._book.get(id_)

    def remove(self, id_: str) -> None:
        """End a subscription; nothing is left of it."""
        self._dispatcher.stop(id_)
        self._book.remove(id_)

    def resume(self, id_: str, after: str | None) -> Subscription | None:
        """Go on from where it stands, or from behind a cursor; raises `Malformed` for one that is
        none."""
        return self._dispatcher.resume(id_, None if after is None else parse_cursor(after))

    def dead(self, id_: str) -> list[Dead]:
        return self._book.dead(id_)

    def standing(self) -> list[Standing]:
        """How deliveries stand."""
        return self._dispatcher.standing()

    async def _send(self, subscription: Subscription, event: LedgerEvent) -> Outcome:
        body = event_json(event)
        delivery = f"{self._chain[:8].hex()}.{event.cursor}"
        headers = signed_headers(
            self._key(), subscription.url, body, delivery, subscription.id, self._clock()
        )
        return await self._courier.post(subscription.url, headers, body)

    async def run(self) -> None:
        """Deliver until cancelled."""
        await self._dispatcher.run()

    def close(self) -> None:
        self._book.close()
