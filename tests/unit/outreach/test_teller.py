"""A sealed access is told on its date, by a node whose institution has a part in it."""

import asyncio
from contextlib import suppress

import pytest

from ledger.chain.codec import encode
from ledger.chain.result import CallResult, Event
from ledger.node.events import EventFeed
from ledger.node.notifications.teller import Teller
from tests.support.toldchain import ToldChain

DAY = 86_400_000


class Clock:
    def __init__(self) -> None:
        self.now = 0
        self.waiting = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.waiting.set()
        await asyncio.sleep(0)


class Chain(ToldChain):
    """Unseals what it is asked to, as the contract does."""

    def __init__(self) -> None:
        parties = {"institution": "police", "holder": "city"}
        super().__init__({"t-1": parties, "t-2": parties, "t-3": {"holder": "county"}})
        self.asked: list[str] = []
        self.refuse: list[Exception | str] = []
        self.append([sealed("t-1", 2 * DAY), sealed("t-2", DAY), sealed("t-3", DAY)])

    async def perform(self, call):
        assert (call.contract, call.method) == ("access", "unseal")
        request = call.arguments["request"]
        self.asked.append(request)
        if self.refuse:
            trouble = self.refuse.pop(0)
            if isinstance(trouble, Exception):
                raise trouble
            return 1, CallResult(False, trouble, None, 1, ())
        self.entries[f"access/decisions/{request}".encode()] = encode({"unsealed": 1})
        return 1, CallResult(True, "", None, 1, ())


def sealed(request: str, told: int) -> Event:
    return Event("access", "sealed", {"request": request, "told": told})


@pytest.fixture
def chain():
    return Chain()


async def telling(chain, clock, until, institution="city"):
    feed = EventFeed(chain)
    teller = Teller(
        institution, feed, chain.value, lambda: clock.now, chain.perform, sleep=clock.sleep
    )
    task = asyncio.create_task(teller.run())
    async with asyncio.timeout(10):
        while not until(teller):
            await asyncio.sleep(0.005)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_nothing_is_told_before_its_date_and_everything_after(chain):
    clock = Clock()
    await telling(chain, clock, lambda teller: len(teller._due) == 2)
    assert chain.asked == []
    clock.now = DAY
    await telling(chain, clock, lambda teller: chain.asked == ["t-2"])
    clock.now = 2 * DAY
    await telling(chain, clock, lambda teller: len(chain.asked) == 2)
    assert chain.asked == ["t-2", "t-1"]


async def test_what_others_look_after_is_left_to_them(chain):
    clock = Clock()
    clock.now = 9 * DAY
    await telling(chain, clock, lambda teller: chain.asked, "county")
    assert chain.asked == ["t-3"]


async def test_what_was_told_already_is_not_asked_for_again(chain):
    clock = Clock()
    clock.now = 9 * DAY
    chain.entries[b"access/decisions/t-2"] = encode({"holder": "city", "unsealed": 1})
    await telling(chain, clock, lambda teller: "t-1" in chain.asked)
    assert chain.asked == ["t-1"]


@pytest.mark.parametrize("trouble", [TimeoutError("slow"), PermissionError("full"), "too_early: x"])
async def test_what_did_not_work_is_tried_again(chain, trouble):
    clock = Clock()
    clock.now = DAY
    chain.refuse = [trouble]
    await telling(chain, clock, lambda teller: len(chain.asked) == 2)
    assert chain.asked == ["t-2", "t-2"]


async def test_that_another_node_was_faster_is_no_trouble(chain):
    clock = Clock()
    clock.now = DAY
    chain.refuse = ["not_sealed: she was told before"]
    await telling(chain, clock, lambda teller: chain.asked and len(teller._due) == 1)
    assert chain.asked == ["t-2"]


async def test_odd_events_are_no_dates(chain):
    chain.append([Event("access", "sealed", {"request": 7, "told": 1, "holder": "city"})])
    chain.append([Event("access", "sealed", {"request": "t-1", "told": "x", "holder": "city"})])
    clock = Clock()
    await telling(chain, clock, lambda teller: clock.waiting.is_set() and len(teller._due) == 2)
