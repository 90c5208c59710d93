"""Blocks: a node that leaves out, adds or changes a transaction or its result is noticed."""

import json

import httpx
import pytest

from ledger.api.app import create_app
from ledger.chain.codec import Malformed
from ledger.chain.genesis import read_genesis
from ledger.chain.handover import InvalidProof
from ledger.client import blocks
from ledger.client.http import NodeRefused
from ledger.client.ledger import AsyncLedger, Ledger


class Altered(httpx.AsyncBaseTransport):
    """The node, with something changed in what it says of blocks and transactions."""

    def __init__(self, app, change) -> None:
        self._served = httpx.ASGITransport(app=app)
        self._change = change

    async def handle_async_request(self, request):
        answer = await self._served.handle_async_request(request)
        body = json.loads(await answer.aread())
        if request.url.path.startswith(("/v1/blocks", "/v1/transactions")):
            self._change(body)
        return httpx.Response(answer.status_code, json=body)


@pytest.fixture
def genesis(consortium):
    return read_genesis(consortium.home / "genesis.json")


@pytest.fixture
async def five(service, consent):
    """A block of five transactions, of which one fails, and another block behind it."""
    made = [consent() for _ in range(4)]
    again = consent(made[0].body.calls[0].arguments["id"])
    await service.submit([one.raw for one in (*made, again)])
    await service.commit()
    await service.submit([consent().raw])
    await service.commit()
    return [*made, again]


@pytest.fixture
def asking(service, genesis):
    app = create_app(service)

    def make(change=lambda body: None):
        return AsyncLedger("http://localhost", genesis, transport=Altered(app, change))

    return make


@pytest.mark.parametrize("limit", [2, 200])
async def test_a_whole_block_is_proven_page_by_page(asking, five, service, monkeypatch, limit):
    plain = blocks.page
    monkeypatch.setattr(blocks, "page", lambda height, offset: plain(height, offset, limit))
    async with asking() as ledger:
        header, found = await ledger.block(1)
        assert header == service.header(1)
        assert {one.id for one in found} == {one.id for one in five}
        bodies = {one.id: one.body for one in five}
        assert all(one.body(service.chain) == bodies[one.id] for one in found)
        assert [one.result for one in found] == [service.outcome(one.id)[2] for one in found]
        assert sorted(one.result.ok for one in found) == [False, True, True, True, True]
        newest = await ledger.block()
        assert newest.header.height == 2
        assert len(newest.transactions) == 1


def leave_out(body):
    del body["transactions"][-1]
    body["size"] -= 1


def swap(body):
    one, two = body["transactions"][:2]
    one["outcome"]["index"], two["outcome"]["index"] = 1, 0
    body["transactions"][:2] = two, one


def twice(body):
    body["transactions"][1] = {**body["transactions"][0]}
    body["transactions"][1]["outcome"] = {**body["transactions"][0]["outcome"], "index": 1}


def another_purpose(body):
    body["transactions"][0]["calls"][0]["arguments"]["scope"]["purposes"] = ["HRESCH"]


def another_id(body):
    body["transactions"][0]["id"] = "00" * 32


def another_result(body):
    call = body["transactions"][0]["outcome"]["calls"][0]
    call["ok"] = not call["ok"]


def another_event(body):
    for one in body["transactions"]:
        for event in one["outcome"]["calls"][0]["events"]:
            event["fields"]["subject"] = "p-" + "0" * 32


def another_place(body):
    body["transactions"][0]["outcome"]["height"] = 2


LIES = [
    leave_out, swap, twice, another_purpose, another_id, another_result, another_event,
    another_place,
]  # fmt: skip


async def test_a_block_in_which_something_is_changed_is_noticed(asking, five):
    for lie in LIES:
        async with asking(lie) as ledger:
            with pytest.raises(InvalidProof):
                await ledger.block(1)


def endless(body):
    body["transactions"] = []


def not_hex(body):
    body["transactions"][0]["nonce"] = "zz"


def no_map(body):
    body["transactions"][0]["calls"][0]["arguments"] = {"$bytes": ""}


def too_wide(body):
    body["transactions"][0]["outcome"]["calls"][0]["gas"] = 2**63


def too_many(body):
    body["size"] = 10_001


async def test_what_is_no_block_is_malformed(asking, five):
    for change in (endless, not_hex, no_map, too_wide, too_many):
        async with asking(change) as ledger:
            with pytest.raises(Malformed):
                await ledger.block(1)


async def test_a_transaction_is_told_with_its_outcome(asking, five, service):
    async with asking() as ledger:
        found = await ledger.unverified.transaction(five[0].id)
        assert found.body(service.chain) == five[0].body
        assert (found.height, found.size) == (1, len(five[0].raw))
        assert found.result == (await ledger.receipt(five[0].id)).result
        with pytest.raises(NodeRefused, match="unknown-transaction"):
            await ledger.unverified.transaction(bytes(32))
    async with asking(lambda body: body.update(id="00" * 32)) as ledger:
        with pytest.raises(Malformed, match="another transaction"):
            await ledger.unverified.transaction(five[0].id)


def test_both_clients_read_blocks(node_url, genesis, patient, consent):
    with Ledger(node_url, genesis) as ledger:
        sent = consent()
        (done,) = ledger.submit(sent.raw)
        header, (found,) = ledger.block(done.header.height)
        assert header == done.header
        assert (found.id, found.result) == (sent.id, done.result)
        assert ledger.unverified.transaction(sent.id) == found
