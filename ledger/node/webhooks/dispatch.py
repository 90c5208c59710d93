"""Delivering the events of every subscription, in order, until they are taken.

At least once, in the order of the chain, one after the other for each subscription. A receiver that
is away holds up its own subscription and no other; one that refuses a certain event again and again
does not get that one, which is kept aside; one that is away for too long has its subscription
suspended, with its cursor, until somebody looks after it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Final

import structlog

from ledger.node.answers import Cursor, LedgerEvent, parse_cursor
from ledger.node.events import EventFeed, Passed
from ledger.node.webhooks.book import ACTIVE, MAX_DEAD, SUSPENDED, Book, Dead, Subscription
from ledger.node.webhooks.courier import Fate, Outcome
from ledger.node.webhooks.standing import Standing

_log = structlog.get_logger(__name__)

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 3600.0
#: How often one event is offered to a receiver that refuses it.
REFUSALS: Final = 5
#: A cursor that moved without a delivery is written down after so many blocks.
SAVED_EVERY: Final = 1_000

_chance: Final = random.SystemRandom().random

#: Sends one event of a subscription; None where it is none that the receiver hears of.
Send = Callable[[Subscription, LedgerEvent], Awaitable[Outcome | None]]


def pause(attempts: int, asked_s: float, chance: Callable[[], float]) -> float:
    """Seconds before the next attempt: doubling from one second to an hour, shortened by chance to
    no less than half, so that receivers that come back are not met by everybody at once."""
    longest = min(FIRST_PAUSE_S * float(1 << min(attempts - 1, 16)), LONGEST_PAUSE_S)
    return max(asked_s, longest * (0.5 + chance() / 2))


class Dispatcher:
    """Runs one task for each active subscription of a book.

    Args:
        clock: milliseconds since 1970 UTC.
        give_up_s: for how long one event is tried before the subscription is suspended.
    """

    def __init__(
        self,
        feed: EventFeed,
        book: Book,
        send: Send,
        *,
        clock: Callable[[], int],
        give_up_s: float,
        chance: Callable[[], float] = _chance,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._feed = feed
        self.book = book
        self._send = send
        self._clock = clock
        self._give_up_ms = int(give_up_s * 1000)
        self._chance = chance
        self._sleep = sleep
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._running = False
        #: Block time, in ms, of the event that each subscription waits with.
        self._waiting: dict[str, int] = {}

    async def run(self) -> None:
        """Deliver until cancelled."""
        self._running = True
        for subscription in self.book.all():
            self.start(subscription.id)
        try:
            await asyncio.Event().wait()
        finally:
            self._running = False
            tasks = list(self._tasks.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._tasks.clear()

    def start(self, id_: str) -> None:
        """Look after a subscription that was made, changed or resumed."""
        self.stop(id_)
        if self._running:
            self._tasks[id_] = asyncio.create_task(self._watch(id_))

    def stop(self, id_: str) -> None:
        """Leave a subscription alone."""
        self._waiting.pop(id_, None)
        task = self._tasks.pop(id_, None)
        if task is not None:
            task.cancel()

    async def _watch(self, id_: str) -> None:
        try:
            await self._serve(id_)
        except Exception as error:  # noqa: BLE001
            # A mistake of ours must not look like a quiet subscription.
            _log.error("webhook_failed", subscription=id_, exc_info=error)
            self._suspend(id_, f"the node made a mistake: {type(error).__name__}")

    async def _serve(self, id_: str) -> None:
        subscription = self.book.get(id_)
        if subscription is None or subscription.status != ACTIVE:
            return
        cursor = saved = parse_cursor(subscription.cursor)
        async with aclosing(self._feed.follow(cursor, subscription.selection())) as source:
            async for item in source:
                if isinstance(item, Passed):
                    cursor = item.cursor
                    if cursor.height >= saved.height + SAVED_EVERY:
                        self.book.change(id_, cursor=str(cursor))
                        saved = cursor
                    continue
                if not await self._deliver(id_, item):
                    return
                cursor = saved = item.cursor
        self._suspend(id_, "the events that come next are not kept by this node any more")

    async def _deliver(self, id_: str, event: LedgerEvent) -> bool:
        """Offer an event until it is taken or kept aside; False where the subscription ends."""
        self._waiting[id_] = event.time
        while True:
            subscription = self.book.get(id_)
            if subscription is None or subscription.status != ACTIVE:
                return False
            wait_ms = subscription.next_attempt - self._clock()
            if wait_ms > 0:
                await self._sleep(wait_ms / 1000)
            outcome = await self._send(subscription, event)
            if outcome is None:
                self._waiting.pop(id_, None)
                return True
            if outcome.fate is Fate.TAKEN:
                self._moved(subscription, event.cursor, delivered=1)
                return True
            if outcome.fate is Fate.GONE:
                self._suspend(id_, outcome.why)
                return False
            if not self._failed(subscription, event, outcome):
                return self._open(id_)

    def _open(self, id_: str) -> bool:
        found = self.book.get(id_)
        return found is not None and found.status == ACTIVE

    def _failed(self, subscription: Subscription, event: LedgerEvent, outcome: Outcome) -> bool:
        """Whether to try the same event once more."""
        now = self._clock()
        attempts = subscription.attempts + 1
        since = subscription.failing_since or now
        if outcome.fate is Fate.REFUSED and attempts >= REFUSALS:
            dead = Dead(
                cursor=str(event.cursor), transaction=event.transaction, reason=outcome.why,
                attempts=attempts, time=now,
            )  # fmt: skip
            buried = self.book.bury(subscription.id, dead)
            self._moved(subscription, event.cursor, delivered=0)
            _log.warning("webhook_refused", subscription=subscription.id, why=outcome.why)
            if buried >= MAX_DEAD:
                self._suspend(subscription.id, f"{buried} events were refused")
            return False
        if now - since >= self._give_up_ms:
            self._suspend(subscription.id, outcome.why)
            return False
        wait = pause(attempts, outcome.pause_s, self._chance)
        self.book.change(
            subscription.id,
            attempts=attempts,
            failing_since=since,
            next_attempt=now + int(wait * 1000),
            reason=outcome.why,
        )
        return True

    def _moved(self, subscription: Subscription, cursor: Cursor, *, delivered: int) -> None:
        self._waiting.pop(subscription.id, None)
        changes = {"cursor": str(cursor), "attempts": 0, "failing_since": 0, "next_attempt": 0}
        if delivered:
            changes |= {
                "reason": "",
                "delivered": subscription.delivered + 1,
                "last_delivery": self._clock(),
            }
        self.book.change(subscription.id, **changes)

    def standing(self) -> list[Standing]:
        """How each subscription of the book stands."""
        now = self._clock()
        return [
            Standing(
                one.id, one.delivered, self.book.count_dead(one.id), one.attempts,
                one.status == SUSPENDED, self._age_ms(one, now) / 1000,
            )
            for one in self.book.all()
        ]  # fmt: skip

    def _age_ms(self, subscription: Subscription, now: int) -> int:
        # A subscription that was suspended before the start has nothing but when it began to fail.
        since = self._waiting.get(subscription.id, subscription.failing_since)
        return max(0, now - since) if since else 0

    def _suspend(self, id_: str, why: str) -> None:
        if self.book.change(id_, status=SUSPENDED, reason=why) is not None:
            _log.warning("webhook_suspended", subscription=id_, why=why)

    def resume(self, id_: str, cursor: Cursor | None = None) -> Subscription | None:
        """Go on with a suspended subscription, from where it stands or from another place."""
        moved = {} if cursor is None else {"cursor": str(cursor)}
        found = self.book.change(
            id_, status=ACTIVE, attempts=0, failing_since=0, next_attempt=0, **moved
        )
        if found is not None:
            self.start(id_)
        return found
