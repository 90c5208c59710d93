"""Both clients against a real node interface, and against nodes that misbehave."""

import httpx
import pytest

from ledger.api.app import create_app
from ledger.chain.codec import Malformed
from ledger.chain.receipt import InvalidReceipt
from ledger.client import http
from ledger.client.http import AsyncClient, Client, NodeRefused, NodeUnreachable
from ledger.client.verify import check_receipt, trust_in
from tests.support.signin import make_signin


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(http, "FIRST_PAUSE_S", 0.001)


@pytest.fixture
def client(node_url):
    with Client(node_url) as found:
        yield found


def misbehaving(answer) -> Client:
    return Client("http://localhost", transport=httpx.MockTransport(answer))


def test_a_transaction_is_submitted_waited_for_and_proven(client, service, consent):
    transaction = consent("c-client")
    (answer,) = client.submit(transaction.raw, wait=5)
    assert answer.accepted
    assert answer.outcome.ok
    receipt = client.receipt(transaction.id)
    trust = trust_in(service._replica.genesis)
    assert check_receipt(receipt, trust).transaction.id == transaction.id


def test_refused_transactions_are_answers_not_errors(client, consent):
    (answer,) = client.submit(b"nonsense")
    assert not answer.accepted
    assert answer.code == "malformed"


def test_a_missing_receipt_is_a_refusal_with_its_code(client):
    with pytest.raises(NodeRefused, match="unknown-transaction") as caught:
        client.receipt(bytes(32))
    assert caught.value.problem["state"] == "unknown"


def test_queries_and_status_are_read(client, service, patient, pseudonym):
    assert client.query("registry", "whois", key=patient.id)["id"] == pseudonym
    assert client.status()["node"] == service.node
    assert client.block()["header"]["height"] == 0
    with pytest.raises(NodeRefused, match="unknown_method"):
        client.query("registry", "no_such")


async def test_the_asynchronous_client_does_the_same(service, consent):
    transport = httpx.ASGITransport(app=create_app(service))
    async with AsyncClient("http://localhost", transport=transport) as client:
        transaction = consent()
        (answer,) = await client.submit(transaction.raw, wait=5)
        assert answer.outcome.ok
        assert (await client.receipt(transaction.id)).envelope == transaction.raw
        assert (await client.status())["height"] == 1
        assert (await client.block(1))["size"] == 1
        assert await client.query("governance", "members")
        entry = await client.state("governance", "validators")
        assert entry.present
        (refused,) = await client.submit(b"nonsense")
        assert refused.code == "malformed"


async def test_a_token_is_sent(service, tmp_path):
    token = "a-token-of-enough-length"
    signin = make_signin(service, tmp_path, token=token)
    transport = httpx.ASGITransport(app=create_app(service, signin=signin))
    async with AsyncClient("http://node.example", token=token, transport=transport) as client:
        assert (await client.status())["node"] == service.node
    async with AsyncClient("http://node.example", transport=transport) as client:
        with pytest.raises(NodeRefused, match="unauthorised"):
            await client.status()
    signin.close()


def test_a_busy_node_is_asked_again_until_it_answers():
    answers = iter([503, 502, 200])

    def answer(_request):
        return httpx.Response(next(answers), json={"height": 1})

    assert misbehaving(answer).status() == {"height": 1}


def test_patience_with_a_busy_node_is_bounded():
    asked = []

    def answer(request):
        asked.append(request)
        return httpx.Response(503, json={"code": "busy", "detail": "full"})

    with pytest.raises(NodeRefused, match="busy"):
        misbehaving(answer).status()
    assert len(asked) == http.ATTEMPTS


def test_a_node_that_cannot_be_reached_is_tried_a_few_times():
    asked = []

    def answer(request):
        asked.append(request)
        raise httpx.ConnectError("connection refused")

    with pytest.raises(NodeUnreachable, match="connection refused"):
        misbehaving(answer).status()
    assert len(asked) == http.ATTEMPTS


@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b"[]", b'"\xff"', b"[" * 100_000, b'{"transactions": 1}']
)
def test_nonsense_from_a_node_is_malformed(body):
    client = misbehaving(lambda _request: httpx.Response(200, content=body))
    with pytest.raises(Malformed):
        client.submit(b"x")
    with pytest.raises(Malformed):
        client.state("a", "b")
    with pytest.raises((Malformed, InvalidReceipt)):
        client.receipt(bytes(32))


def test_an_endless_answer_is_cut_off():
    def chunks():
        while True:
            yield bytes(1_000_000)

    client = misbehaving(lambda _request: httpx.Response(200, content=chunks()))
    with pytest.raises(Malformed, match="more than"):
        client.status()


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"", b"[" * 100_000])
def test_an_error_that_is_no_problem_is_still_a_refusal(body):
    client = misbehaving(lambda _request: httpx.Response(418, content=body))
    with pytest.raises(NodeRefused, match="http-418"):
        client.status()


def test_keys_are_quoted_in_the_path():
    seen = []

    def answer(request):
        seen.append(request.url.raw_path)
        return httpx.Response(404)

    with pytest.raises(NodeRefused):
        misbehaving(answer).state("registry", "people/a b?c#d%")
    assert seen == [b"/v1/state/registry/people/a%20b%3Fc%23d%25"]
