"""Subscribing over HTTP: by whom, to what, and how it shows."""

import httpx
import pytest

from ledger.api import webhooks
from ledger.api.app import create_app
from ledger.api.principal import SCOPE_KEY, Kind, Principal
from ledger.crypto.keys import SigningKey
from ledger.node.webhooks.address import AllowList
from ledger.node.webhooks.book import Book, Dead
from ledger.node.webhooks.office import WebhookOffice
from tests.support.openapi import CheckedTransport

URL = "https://hooks.example.org/in"


class Nobody:
    async def post(self, url, headers, body):
        raise AssertionError("nothing is sent in these tests")

    async def close(self):
        pass


@pytest.fixture
def book():
    return Book(":memory:")


@pytest.fixture
def app(service, book):
    service.webhooks = WebhookOffice(
        service.chain, service.feed, book, AllowList([URL]), Nobody(),
        SigningKey.generate, clock=lambda: 1_000, give_up_s=60,
    )  # fmt: skip
    return create_app(service)


@pytest.fixture
def asking(app):
    def make(kind, institution="", id_="someone"):
        async def signed_in(scope, receive, send):
            scope[SCOPE_KEY] = Principal(kind, id_, institution, (), (), "s", "backend")
            await app(scope, receive, send)

        transport = CheckedTransport(app)
        transport._served = httpx.ASGITransport(app=signed_in)
        return httpx.AsyncClient(transport=transport, base_url="http://localhost")

    return make


async def test_a_subscription_is_made_shown_and_ended(asking):
    async with asking(Kind.OPERATOR) as api:
        made = await api.post(
            "/v1/webhooks", json={"url": URL, "filters": {"contract": ["access"]}}
        )
        assert made.status_code == 201
        found = made.json()
        assert (found["status"], found["cursor"]) == ("active", "0.999999.999999")
        assert found["filters"]["contract"] == ["access"]
        path = f"/v1/webhooks/{found['id']}"
        assert (await api.get(path)).json() == found
        assert (await api.get("/v1/webhooks")).json() == {"webhooks": [found]}
        assert (await api.delete(path)).status_code == 204
        for gone in (await api.get(path), await api.delete(path)):
            assert (gone.status_code, gone.json()["code"]) == (404, "unknown-webhook")


async def test_a_system_hears_of_its_institution_and_sees_no_other_subscription(asking):
    async with asking(Kind.SYSTEM, "city") as city, asking(Kind.SYSTEM, "county") as county:
        made = (await city.post("/v1/webhooks", json={"url": URL})).json()
        assert (made["bound"], made["institution"]) == ("city", "city")
        assert (await county.get("/v1/webhooks")).json() == {"webhooks": []}
        path = f"/v1/webhooks/{made['id']}"
        for answer in (
            await county.get(path),
            await county.delete(path),
            await county.post(f"{path}/resume", json={}),
            await county.get(f"{path}/dead-letters"),
        ):
            assert answer.status_code == 404
        async with asking(Kind.OPERATOR) as operator:
            assert len((await operator.get("/v1/webhooks")).json()["webhooks"]) == 1


@pytest.mark.parametrize("kind", [Kind.PATIENT, Kind.STAFF])
async def test_patients_and_staff_subscribe_nothing(asking, kind):
    async with asking(kind, "city") as api:
        assert (await api.post("/v1/webhooks", json={"url": URL})).status_code == 403
        assert (await api.get("/v1/webhooks")).status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"url": "https://elsewhere.example.org/"}, 422),
        ({"url": "http://hooks.example.org/in"}, 422),
        ({"url": "https://127.0.0.1/in"}, 422),
        ({"url": ""}, 422),
        ({"url": URL, "after": "latest"}, 422),
        ({"url": URL, "filters": {"subject": ["a\nb"]}}, 422),
        ({"url": URL, "filters": {"subject": ["a"] * 17}}, 422),
        ({"url": URL, "filters": {"colour": ["a"]}}, 422),
        ({"url": URL, "secret": "x"}, 422),
        ([], 422),
    ],
)
async def test_what_is_no_subscription_is_refused(asking, book, body, status):
    async with asking(Kind.OPERATOR) as api:
        assert (await api.post("/v1/webhooks", json=body)).status_code == status
    assert book.all() == []


async def test_an_institution_has_only_so_many(asking, monkeypatch):
    monkeypatch.setattr(webhooks, "MAX_EACH", 1)
    async with asking(Kind.SYSTEM, "city") as api:
        assert (await api.post("/v1/webhooks", json={"url": URL})).status_code == 201
        assert (await api.post("/v1/webhooks", json={"url": URL})).json()["code"] == "busy"


async def test_a_suspended_subscription_is_resumed_from_where_it_stood_or_from_elsewhere(
    asking, book
):
    async with asking(Kind.OPERATOR) as api:
        made = (await api.post("/v1/webhooks", json={"url": URL, "after": "3.0.0"})).json()
        book.change(made["id"], status="suspended", reason="answered 410")
        path = f"/v1/webhooks/{made['id']}"
        again = (await api.post(f"{path}/resume", json={})).json()
        assert (again["status"], again["cursor"]) == ("active", "3.0.0")
        moved = (await api.post(f"{path}/resume", json={"after": "2.0.1"})).json()
        assert moved["cursor"] == "2.0.1"


async def test_refused_events_can_be_seen(asking, book):
    async with asking(Kind.OPERATOR) as api:
        made = (await api.post("/v1/webhooks", json={"url": URL})).json()
        dead = Dead(
            cursor="1.0.0", transaction="5c" * 32, reason="answered 400", attempts=5, time=1
        )
        book.bury(made["id"], dead)
        answer = (await api.get(f"/v1/webhooks/{made['id']}/dead-letters")).json()
        assert [item["reason"] for item in answer["dead_letters"]] == ["answered 400"]


async def test_a_node_without_webhooks_says_so(service):
    async with httpx.AsyncClient(
        transport=CheckedTransport(create_app(service)), base_url="http://localhost"
    ) as api:
        assert (await api.get("/v1/webhooks")).status_code == 403
