"""Deliveries: in order, at least once, signed, and never for ever."""

import asyncio
import base64
import hashlib
import time
from contextlib import asynccontextmanager, suppress

import pytest

from ledger.chain.result import Event
from ledger.client import webhooks as receiving
from ledger.client.webhooks import InvalidDelivery, verify_delivery
from ledger.crypto.keys import SigningKey
from ledger.node.answers import Cursor
from ledger.node.events import EventFeed
from ledger.node.listening.selection import ALL
from ledger.node.listening.wire import event_json
from ledger.node.webhooks import dispatch, signing
from ledger.node.webhooks.book import MAX_SUBSCRIPTIONS, Book, Filters, TooMany
from ledger.node.webhooks.courier import TAKEN, Fate, Outcome, outcome_of
from ledger.node.webhooks.dispatch import Dispatcher, pause
from ledger.node.webhooks.signing import signed_headers
from ledger.node.webhooks.standing import Standing
from tests.support.toldchain import ToldChain

NOW = 1_767_225_600_000
URL = "https://hooks.example.org/ledger?x=1"
LATER = Outcome(Fate.LATER, "answered 503")
REFUSED = Outcome(Fate.REFUSED, "answered 400")
GONE = Outcome(Fate.GONE, "answered 410")


class Receiver:
    """Answers as it is told, and remembers what it was given. Time passes only by waiting."""

    def __init__(self, *answers: Outcome) -> None:
        self.answers = list(answers)
        self.given: list[Cursor] = []
        self.now = NOW
        self.waits: list[float] = []
        self.quiet = asyncio.Event()

    async def send(self, subscription, event):
        self.given.append(event.cursor)
        await asyncio.sleep(0)
        return self.answers.pop(0) if self.answers else TAKEN

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += int(seconds * 1000) + 1
        await asyncio.sleep(0)


@pytest.fixture
def chain():
    chain = ToldChain()
    for number in range(1, 5):
        chain.append([Event("access", "decided", {"subject": f"p-{number}"})])
    return chain


EVENTS = [Cursor(height, 0, 0) for height in range(1, 5)]


@asynccontextmanager
async def dispatching(chain, book, receiver, give_up_s=3600.0):
    feed = EventFeed(chain)
    made = Dispatcher(
        feed, book, receiver.send, clock=lambda: receiver.now, give_up_s=give_up_s,
        chance=lambda: 1.0, sleep=receiver.sleep,
    )  # fmt: skip
    task = asyncio.create_task(made.run())
    await asyncio.sleep(0)
    try:
        yield made, feed
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def subscribed(book, **filters):
    return book.add(URL, Filters(**filters), now=NOW, cursor="0.0.0").id


async def test_events_are_delivered_in_order_and_the_cursor_follows(chain):
    book, receiver = Book(":memory:"), Receiver()
    id_ = subscribed(book)
    async with dispatching(chain, book, receiver) as (_, feed):
        await until(lambda: book.get(id_).delivered == 4)
        chain.append([Event("access", "decided", {"subject": "p-5"})])
        await feed.grew(5)
        await until(lambda: book.get(id_).delivered == 5)
    assert receiver.given == [*EVENTS, Cursor(5, 0, 0)]
    assert (book.get(id_).cursor, book.get(id_).last_delivery) == ("5.0.0", NOW)


async def test_what_is_not_taken_is_tried_again_before_anything_later(chain):
    book, receiver = Book(":memory:"), Receiver(TAKEN, LATER, LATER, LATER)
    id_ = subscribed(book)
    async with dispatching(chain, book, receiver):
        await until(lambda: book.get(id_).delivered == 4)
    assert receiver.given == [EVENTS[0], *[EVENTS[1]] * 4, EVENTS[2], EVENTS[3]]
    assert receiver.waits == [1.0, 2.0, 4.0]
    assert (book.get(id_).reason, book.get(id_).attempts) == ("", 0)


async def test_after_a_restart_it_goes_on_where_it_stood_and_repeats_what_was_not_noted(
    chain, tmp_path
):
    path = tmp_path / "webhooks.db"
    book = Book(path)
    id_ = subscribed(book)
    first = Receiver()
    crashed = asyncio.Event()

    async def dies(subscription, event):
        if event.cursor == EVENTS[2]:
            crashed.set()
            await asyncio.Event().wait()
        return await Receiver.send(first, subscription, event)

    first.send = dies
    async with dispatching(chain, book, first):
        await asyncio.wait_for(crashed.wait(), 10)
    book.close()
    book, again = Book(path), Receiver()
    async with dispatching(chain, book, again):
        await until(lambda: book.get(id_).delivered == 4)
    assert first.given == EVENTS[:2]
    assert again.given == EVENTS[2:]
    assert (path.stat().st_mode & 0o777) == 0o600


async def test_a_receiver_that_stays_away_is_suspended_and_can_be_resumed_without_loss(chain):
    book, receiver = Book(":memory:"), Receiver(TAKEN, *[LATER] * 100)
    id_ = subscribed(book)
    async with dispatching(chain, book, receiver, give_up_s=60) as (dispatcher, _):
        await until(lambda: book.get(id_).status == "suspended")
        assert (book.get(id_).reason, book.get(id_).cursor) == ("answered 503", "1.0.0")
        assert set(receiver.given[1:]) == {EVENTS[1]}
        receiver.answers.clear()
        dispatcher.resume(id_)
        await until(lambda: book.get(id_).delivered == 4)
    assert receiver.given[-3:] == EVENTS[1:]
    assert book.dead(id_) == []


async def test_how_deliveries_stand_is_told_from_the_block_of_what_waits(chain):
    book, receiver = Book(":memory:"), Receiver(TAKEN, *[LATER] * 100)
    id_ = subscribed(book)
    since = chain.header(2).time
    async with dispatching(chain, book, receiver, give_up_s=60) as (dispatcher, _):
        await until(lambda: book.get(id_).status == "suspended")
        (standing,) = dispatcher.standing()
        assert standing[:5] == (id_, 1, 0, book.get(id_).attempts, True)
        assert standing.failures > 3
        assert standing.age_s == (receiver.now - since) / 1000
        receiver.now += 5_000
        assert dispatcher.standing()[0].age_s == standing.age_s + 5
        # Where nothing else is known, it is from when it began to fail.
        (restarted,) = Dispatcher(
            EventFeed(chain), book, receiver.send, clock=lambda: receiver.now, give_up_s=60
        ).standing()
        assert restarted.age_s == (receiver.now - book.get(id_).failing_since) / 1000 > 5
        receiver.answers = [REFUSED] * dispatch.REFUSALS
        dispatcher.resume(id_)
        await until(lambda: book.get(id_).delivered == 3)
        assert dispatcher.standing() == [Standing(id_, 3, 1, 0, False, 0.0)]
        dispatcher.stop(id_)
        book.remove(id_)
        assert dispatcher.standing() == []


async def test_an_event_that_is_refused_again_and_again_is_kept_aside_and_holds_nobody_up(chain):
    book, receiver = Book(":memory:"), Receiver(*[REFUSED] * dispatch.REFUSALS)
    id_ = subscribed(book)
    async with dispatching(chain, book, receiver):
        await until(lambda: book.get(id_).delivered == 3)
    (dead,) = book.dead(id_)
    assert (dead.cursor, dead.reason, dead.attempts) == ("1.0.0", "answered 400", 5)
    assert receiver.given == [EVENTS[0]] * 5 + EVENTS[1:]


async def test_a_receiver_that_is_gone_gets_nothing_more(chain):
    book, receiver = Book(":memory:"), Receiver(GONE)
    id_ = subscribed(book)
    async with dispatching(chain, book, receiver):
        await until(lambda: book.get(id_).status == "suspended")
        await asyncio.sleep(0.02)
    assert receiver.given == EVENTS[:1]


async def test_one_slow_receiver_holds_up_nobody_else(chain):
    book, receiver = Book(":memory:"), Receiver()
    slow, quick = subscribed(book), subscribed(book)

    async def send(subscription, event):
        if subscription.id == slow:
            await asyncio.Event().wait()
        return TAKEN

    receiver.send = send
    async with dispatching(chain, book, receiver):
        await until(lambda: book.get(quick).delivered == 4)
    assert book.get(slow).delivered == 0


async def test_what_a_subscription_did_not_ask_for_is_not_sent(chain):
    book, receiver = Book(":memory:"), Receiver()
    id_ = subscribed(book, subject=("p-3",))
    async with dispatching(chain, book, receiver):
        await until(lambda: book.get(id_).delivered == 1)
    assert receiver.given == [EVENTS[2]]


async def test_events_that_are_not_kept_any_more_suspend_a_subscription_instead_of_being_skipped(
    chain,
):
    chain.oldest = 3
    book, receiver = Book(":memory:"), Receiver()
    id_ = subscribed(book)
    async with dispatching(chain, book, receiver):
        await until(lambda: book.get(id_).status == "suspended")
    assert "not kept" in book.get(id_).reason
    assert receiver.given == []


async def test_a_subscription_that_is_removed_while_it_is_served_stays_removed(chain):
    book, receiver = Book(":memory:"), Receiver(LATER, LATER)
    id_ = subscribed(book)

    async def send(subscription, event):
        book.remove(id_)
        return LATER

    receiver.send = send
    async with dispatching(chain, book, receiver):
        await asyncio.sleep(0.05)
    assert book.all() == []


def test_there_is_an_end_to_subscriptions():
    book = Book(":memory:")
    for _ in range(MAX_SUBSCRIPTIONS):
        subscribed(book)
    with pytest.raises(TooMany):
        subscribed(book)


@pytest.mark.parametrize(
    ("status", "fate"),
    [
        (200, Fate.TAKEN), (202, Fate.TAKEN), (204, Fate.TAKEN), (301, Fate.LATER),
        (307, Fate.LATER), (304, Fate.LATER), (400, Fate.REFUSED), (401, Fate.REFUSED),
        (408, Fate.LATER), (410, Fate.GONE), (422, Fate.REFUSED), (425, Fate.LATER),
        (429, Fate.LATER), (500, Fate.LATER), (503, Fate.LATER), (100, Fate.LATER),
    ],
)  # fmt: skip
def test_what_a_status_means(status, fate):
    assert outcome_of(status).fate is fate


@pytest.mark.parametrize(
    ("given", "seconds"), [("5", 5), ("999999", 3600), ("-1", 0), ("soon", 0), ("", 0), ("٣", 0)]
)
def test_a_receiver_can_ask_for_time_but_not_for_ever(given, seconds):
    assert outcome_of(503, given).pause_s == seconds


def test_pauses_double_to_an_hour_with_chance_in_them():
    assert [pause(n, 0, lambda: 1.0) for n in (1, 2, 3, 12, 13, 99)] == [1, 2, 4, 2048, 3600, 3600]
    assert pause(3, 0, lambda: 0.0) == 2
    assert pause(1, 30, lambda: 0.0) == 30


# --- signatures --------------------------------------------------------------------------------

KEY = SigningKey(bytes(range(32)))
BODY = b'{"cursor":"1.0.0"}'


def now_ms() -> int:
    return int(time.time() * 1000)


@pytest.fixture
def signed():
    return signed_headers(KEY, URL, BODY, "00.1.0.0", "sub-1", now_ms())


def test_a_delivery_is_believed_as_it_was_sent(signed):
    found = verify_delivery(URL, signed, BODY, KEY.public, subscription="sub-1")
    assert found == ("00.1.0.0", "sub-1", {"cursor": "1.0.0"})
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    assert {name.lower(): text for name, text in signed.items()}["content-digest"] == (
        f"sha-256=:{digest}:"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"body": BODY + b" "},
        {"body": b""},
        {"url": "https://hooks.example.org/other"},
        {"url": "https://other.example.org/ledger?x=1"},
        {"keys": (SigningKey(bytes(32)).public,)},
        {"keys": ()},
        {"subscription": "sub-2"},
        {"headers": {"webhook-id": "00.2.0.0"}},
        {"headers": {"webhook-subscription": "sub-2"}},
        {"headers": {"content-type": "text/html"}},
        {"headers": {"content-digest": ""}},
        {"headers": {"signature": "node=:AAAA:"}},
        {"headers": {"signature": ""}},
        {"headers": {"signature-input": "node=()"}},
    ],
)
def test_anything_that_was_changed_is_noticed(signed, change):
    headers = {name.lower(): text for name, text in signed.items()} | change.get("headers", {})
    with pytest.raises(InvalidDelivery):
        verify_delivery(
            change.get("url", URL), headers, change.get("body", BODY),
            *change.get("keys", (KEY.public,)), subscription=change.get("subscription"),
        )  # fmt: skip


def test_an_old_delivery_is_not_believed_when_it_is_sent_again():
    old = signed_headers(KEY, URL, BODY, "00.1.0.0", "sub-1", NOW)
    with pytest.raises(InvalidDelivery):
        verify_delivery(URL, old, BODY, KEY.public)


def test_a_signature_for_another_purpose_is_no_delivery(monkeypatch):
    monkeypatch.setattr(signing, "TAG", "something-else")
    other = signing.signed_headers(KEY, URL, BODY, "00.1.0.0", "s", now_ms())
    with pytest.raises(InvalidDelivery):
        verify_delivery(URL, other, BODY, KEY.public)
    assert receiving.TAG == "health-ledger-webhook"


def test_the_body_is_what_the_stream_sends(chain):
    (event,) = EventFeed(chain).page(Cursor(0, 0, 0), 1, ALL).events
    assert event_json(event).startswith(b'{"cursor":"1.0.0","height":1,')
