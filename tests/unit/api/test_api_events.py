"""The event stream, over a real connection: it has no end that a buffer could wait for."""

import asyncio
import json
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager

import httpx
import pytest
from prometheus_client import CollectorRegistry

from ledger.api import eventstream, listeners
from ledger.api.app import create_app
from ledger.api.principal import SCOPE_KEY, Kind, Principal
from ledger.api.server import serving
from ledger.client.builder import build, call
from ledger.crypto.keys import SigningKey
from ledger.node.answers import Cursor


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


@pytest.fixture
def register(service, consortium):
    """Enrols a person at the registrar's institution, and gives the institution's id."""

    async def run(person: str) -> str:
        registrar = consortium.people.with_role("registrar")[0]
        account = consortium.account(registrar.key)
        enrol = call(
            "registry", "enrol", id=person, keys=[SigningKey.generate().public.hex()],
            roles=["nurse"], institution=registrar.institution,
        )  # fmt: skip
        await service.submit([build(service.chain, 0, 100, [enrol], [account]).raw])
        await service.commit()
        return registrar.institution

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
    monkeypatch.setattr(listeners, "MAX_STREAMS", 2)
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


async def test_one_caller_holds_only_so_many_streams(service, monkeypatch):
    monkeypatch.setattr(listeners, "MAX_STREAMS_EACH", 1)
    async with (
        as_principal(service, staff("yanan-city", "n-1")) as one,
        as_principal(service, staff("yanan-city", "n-2")) as other,
        one.stream("GET", "/v1/events") as first,
    ):
        assert first.status_code == 200
        again = await one.get("/v1/events")
        assert (again.status_code, again.json()["code"]) == (503, "busy")
        async with other.stream("GET", "/v1/events") as second:
            # A server for each: the count is of one app, so this says only that it is per caller.
            assert second.status_code == 200


class SignedIn:
    """Stands where sign-in stands."""

    def __init__(self, app, principal: Principal) -> None:
        self.app = app
        self.principal = principal

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http":
            scope[SCOPE_KEY] = self.principal
        await self.app(scope, receive, send)


@asynccontextmanager
async def as_principal(service, principal: Principal):
    service.metrics = CollectorRegistry()
    app = SignedIn(create_app(service), principal)
    async with (
        serving(app, "127.0.0.1", 0) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=10) as client,
    ):
        yield client


def staff(institution: str, person: str = "n-1", *roles: str) -> Principal:
    return Principal(Kind.STAFF, person, institution, roles, (), "s", "oidc")


def patient_of(pseudonym: str) -> Principal:
    return Principal(Kind.PATIENT, pseudonym, "", ("patient",), (), "s", "passkey")


async def test_a_patient_hears_what_names_her(service, commit, pseudonym):
    await commit("e-1")
    async with (
        as_principal(service, patient_of(pseudonym)) as client,
        client.stream("GET", "/v1/events?after=0.0.0") as stream,
    ):
        assert [item["fields"]["consent"] for _, item in await read(stream, 1)] == ["e-1"]


async def test_a_patient_hears_nothing_of_others_and_may_not_ask(service, commit, pseudonym):
    await commit("e-1")
    async with as_principal(service, patient_of("p-somebody-else")) as client:
        async with client.stream("GET", "/v1/events?after=0.0.0") as stream:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(read(stream, 1), 0.3)
        answer = await client.get("/v1/events", params={"subject": pseudonym})
        assert (answer.status_code, answer.json()["code"]) == (403, "not-permitted")


async def test_staff_hear_what_their_institution_has_a_part_in(service, commit, register):
    await commit("e-1")
    other = await register("n-new")
    async with (
        as_principal(service, staff(other)) as client,
        client.stream("GET", "/v1/events?after=0.0.0") as stream,
    ):
        ((_, item),) = await read(stream, 1)
        assert (item["contract"], item["fields"]["institution"]) == ("registry", other)


async def test_who_acts_for_no_institution_is_no_listener(service):
    async with as_principal(service, staff("")) as client:
        assert (await client.get("/v1/events")).status_code == 403


async def test_an_auditor_hears_of_every_institution(service, commit):
    await commit("e-1")
    async with (
        as_principal(service, staff("commission", "a-1", "auditor")) as client,
        client.stream("GET", "/v1/events?after=0.0.0") as stream,
    ):
        assert [item["fields"]["consent"] for _, item in await read(stream, 1)] == ["e-1"]


async def test_filters_have_to_be_met_together_each_by_any_of_its_values(
    served, commit, register, pseudonym
):
    await commit("e-1")
    institution = await register("n-new")
    wanted = [
        (f"name=consent.declared&subject={pseudonym}", "declared"),
        ("contract=registry&contract=access", "enrolled"),
        (f"institution={institution}&name=enrolled&name=revoked", "enrolled"),
    ]
    for query, name in wanted:
        async with served.stream("GET", f"/v1/events?after=0.0.0&{query}") as stream:
            ((_, item),) = await read(stream, 1)
            assert item["name"] == name
    for query in (
        f"subject={pseudonym}&contract=registry",
        "holder=nobody",
        "name=access.declared",
    ):
        async with served.stream("GET", f"/v1/events?after=0.0.0&{query}") as stream:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(read(stream, 1), 0.2)


@pytest.mark.parametrize(
    "query",
    [
        "&".join(f"subject=p-{n}" for n in range(17)),
        "name=A.b",
        "subject=a%0Ab",
        "holder=",
        "contract=x-y",
    ],
)
async def test_filters_have_bounds(served, query):
    answer = await served.get(f"/v1/events?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-parameters")


async def test_silence_is_broken_by_comments_that_move_the_place_to_come_back_to(
    served, commit, monkeypatch
):
    monkeypatch.setattr(eventstream, "HEARTBEAT_S", 0.05)
    await commit("e-1")
    lines = []
    async with served.stream("GET", "/v1/events?after=0.0.0&contract=registry") as stream:
        async for line in stream.aiter_lines():
            lines.append(line)
            if line.startswith("id: "):
                break
    assert lines[-2:] == [": still here", "id: 1.999999.999999"]
    assert not any(line.startswith("data") for line in lines)
    await commit("e-2")
    headers = {"Last-Event-ID": lines[-1][4:]}
    async with served.stream("GET", "/v1/events", headers=headers) as stream:
        assert [item["fields"]["consent"] for _, item in await read(stream, 1)] == ["e-2"]


async def test_a_stream_ends_in_good_order_when_its_time_is_over(served, commit, monkeypatch):
    monkeypatch.setattr(eventstream, "LIFETIME_S", 0.2)
    await commit("e-1")
    async with served.stream("GET", "/v1/events?after=0.0.0") as stream:
        lines = [line async for line in stream.aiter_lines()]
    assert "id: 1.0.0" in lines


async def test_a_listener_that_does_not_take_its_messages_is_cut_off(service, commit, monkeypatch):
    monkeypatch.setattr(eventstream, "PATIENCE_S", 0.05)
    await commit("e-1")
    sent = []

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    place = ExitStack()
    released = []
    place.callback(released.append, True)
    stream = eventstream.EventStream(service.events(Cursor(0, 0, 0)), place)
    await asyncio.wait_for(stream({"type": "http"}, receive, send), 5)
    assert released == [True]
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]


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
