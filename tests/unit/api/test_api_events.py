"""The event stream, over a real connection: it has no end that a buffer could wait for."""

import asyncio
import json
from contextlib import AsyncExitStack

import httpx
import pytest

from ledger.api import events
from ledger.api.server import serving


@pytest.fixture
async def served(app):
    async with (
        serving(app, "127.0.0.1", 0) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=10) as client,
    ):
        yield client


@pytest.fixture
def commit(service, consent):
    async def run(*names: str) -> None:
        await service.submit([consent(name).raw for name in names])
        await service.commit()

    return run


async def read(response: httpx.Response, count: int) -> list[tuple[str, dict]]:
    """The ids and data of the next events."""
    found: list[tuple[str, dict]] = []
    data = ""
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            data = line[6:]
        elif line.startswith("id: "):
            found.append((line[4:], json.loads(data)))
            if len(found) == count:
                return found
    raise AssertionError("the stream ended")


async def test_events_come_in_order_of_the_chain_and_go_on(served, commit):
    await commit("e-1", "e-2")
    async with served.stream("GET", "/v1/events?after=0.0.0") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        first = await read(stream, 2)
        assert [item["fields"]["consent"] for _, item in first] == ["e-1", "e-2"]
        assert [cursor for cursor, _ in first] == ["1.0.0", "1.1.0"]


async def test_a_cursor_resumes_without_loss_or_repetition(served, commit):
    await commit("e-1", "e-2")
    await commit("e-3")
    async with served.stream("GET", "/v1/events?after=1.0.0") as stream:
        assert [item["fields"]["consent"] for _, item in await read(stream, 2)] == ["e-2", "e-3"]
    headers = {"Last-Event-ID": "1.1.0"}
    async with served.stream("GET", "/v1/events?after=0.0.0", headers=headers) as stream:
        assert [item["fields"]["consent"] for _, item in await read(stream, 1)] == ["e-3"]


async def test_without_a_cursor_only_new_events_come(served, commit):
    await commit("e-old")
    async with served.stream("GET", "/v1/events") as stream:
        await commit("e-new")
        assert [item["fields"]["consent"] for _, item in await read(stream, 1)] == ["e-new"]


async def test_a_contract_can_be_followed_alone(served, commit):
    async with served.stream("GET", "/v1/events?contract=registry") as stream:
        await commit("e-1")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read(stream, 1), 0.3)


@pytest.mark.parametrize("cursor", ["1", "1.2", "a.b.c", "-1.0.0", "01.0.0", "1.0.0.0", "1" * 41])
async def test_a_cursor_is_a_place_in_the_chain(served, cursor):
    answer = await served.get("/v1/events", params={"after": cursor})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_streams_are_limited_and_a_place_is_free_again_afterwards(
    served, monkeypatch, commit
):
    monkeypatch.setattr(events, "MAX_STREAMS", 2)
    async with AsyncExitStack() as streams:
        for _ in range(2):
            await streams.enter_async_context(served.stream("GET", "/v1/events"))
        answer = await served.get("/v1/events")
        assert answer.status_code == 503
        assert answer.json()["code"] == "busy"
    for _ in range(50):
        async with served.stream("GET", "/v1/events?after=0.0.0") as stream:
            if stream.status_code == 200:
                return
        await asyncio.sleep(0.05)
    raise AssertionError("the places of closed streams were not given back")


async def test_a_server_with_open_streams_stops_in_time(app):
    async with serving(app, "127.0.0.1", 0) as url:
        client = httpx.AsyncClient(base_url=url, trust_env=False)
        stream = await client.send(client.build_request("GET", "/v1/events"), stream=True)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 5
    await stream.aclose()
    await client.aclose()


async def test_a_taken_address_is_an_os_error(app):
    async with serving(app, "127.0.0.1", 0) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            async with serving(app, "127.0.0.1", port):
                pass
