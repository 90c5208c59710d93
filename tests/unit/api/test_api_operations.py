"""Status, health, metrics, the OpenAPI document, records."""

import asyncio

import jsonschema
import pytest
from openapi_spec_validator import validate

from ledger.api import pieces
from ledger.api.app import create_app
from ledger.node.answers import TooOften
from tests.support.signin import make_signin

MSGPACK = {"Content-Type": "application/msgpack"}


@pytest.mark.parametrize("token", [None, "a-token-of-enough-length"])
def test_the_openapi_document_is_valid(service, tmp_path, token):
    signin = make_signin(service, tmp_path, token=token)
    validate(create_app(service, signin=signin).openapi())
    signin.close()


def test_every_path_of_the_design_is_documented_with_its_errors(app):
    document = app.openapi()
    for path in (
        "/v1/transactions",
        "/v1/receipts/{tx}",
        "/v1/blocks/{height}",
        "/v1/state/{contract}/{key}",
        "/v1/query/{contract}/{method}",
        "/v1/events",
        "/v1/status",
        "/v1/records/release",
        "/v1/records/pointers",
        "/v1/records/enquired",
        "/healthz",
        "/readyz",
        "/metrics",
    ):
        for operation in document["paths"][path].values():
            assert operation["summary"]
            assert operation["description"]
            assert "500" in operation["responses"]
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert list(answer["content"]) == ["application/problem+json"]


def test_examples_match_their_schemas(app):
    document = app.openapi()
    schemas = document["components"]["schemas"]
    found = 0
    for schema in schemas.values():
        for example in schema.get("examples", []):
            found += 1
            whole = {**schema, "components": document["components"]}
            jsonschema.validate(example, whole, jsonschema.Draft202012Validator)
    assert found >= 4


async def test_status_says_how_it_goes(api, service):
    found = (await api.get("/v1/status")).json()
    assert found["node"] == service.node
    assert found["chain"] == service.chain.hex()
    assert found["reason"] == "All is well."


async def test_readiness_follows_the_node_and_health_does_not(api, service):
    assert (await api.get("/readyz")).json() == {"ready": True, "reason": "following the chain"}
    service.is_ready = False
    answer = await api.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["detail"] == "catching up"
    assert (await api.get("/healthz")).json() == {"status": "ok"}


async def test_requests_are_counted_by_route_and_never_by_id(api):
    await api.get(f"/v1/receipts/{'a' * 64}")
    await api.get("/nothing/of/ours")
    text = (await api.get("/metrics")).text
    assert (
        'ledger_http_requests_total{method="GET",route="/v1/receipts/{tx}",status="404"} 1.0'
        in text
    )
    assert 'route="other"' in text
    assert "a" * 64 not in text
    assert "nothing" not in text


async def test_a_permitted_record_comes_as_it_was_sealed(api, service):
    service.records[b"good"] = b"sealed"
    answer = await api.post("/v1/records/release", content=b"good", headers=MSGPACK)
    assert answer.status_code == 200
    assert answer.content == b"sealed"


async def test_a_transfer_goes_on_at_the_chunk_that_is_asked_for(api, service):
    service.records[b"good"] = b"sealed"
    answer = await api.post("/v1/records/release?first=2", content=b"good", headers=MSGPACK)
    assert answer.content == b"aled"
    for wrong in ("-1", "x", str(2**40)):
        answer = await api.post(f"/v1/records/release?first={wrong}", content=b"", headers=MSGPACK)
        assert answer.status_code == 422


async def test_an_answer_that_breaks_off_has_no_end(app, service):
    service.records[b"good"] = b"broken"
    sent = []

    async def send(message):
        sent.append(message)

    bodies = iter([{"type": "http.request", "body": b"good", "more_body": False}])

    async def receive():
        return next(bodies)

    scope = {
        "type": "http", "method": "POST", "path": "/v1/records/release", "query_string": b"",
        "headers": [(b"content-type", b"application/msgpack"), (b"host", b"localhost")],
    }  # fmt: skip
    await app(scope, receive, send)
    assert b"".join(message.get("body", b"") for message in sent) == b"broken"
    assert all(message.get("more_body", True) for message in sent)


async def test_whoever_asks_too_often_is_told_when_to_come_again(api, service, monkeypatch):
    async def too_often(*_):
        raise TooOften(7)

    monkeypatch.setattr(service, "release", too_often)
    answer = await api.post("/v1/records/release", content=b"good", headers=MSGPACK)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json()["code"] == "too-many-requests"


@pytest.mark.parametrize(
    "path", ["/v1/records/release", "/v1/records/pointers", "/v1/records/enquired"]
)
async def test_every_refusal_of_the_vault_is_the_same(api, path):
    answers = [
        await api.post(path, content=body, headers=MSGPACK) for body in (b"no permit", b"no record")
    ]
    assert {answer.status_code for answer in answers} == {403}
    assert answers[0].content == answers[1].content
    assert answers[0].headers == answers[1].headers


async def test_a_request_that_cannot_be_read_is_malformed(api):
    answer = await api.post("/v1/records/pointers", content=b"unreadable", headers=MSGPACK)
    assert answer.status_code == 400


async def test_record_requests_are_bounded(api):
    answer = await api.post("/v1/records/release", content=bytes(5_000_000), headers=MSGPACK)
    assert answer.status_code == 413
    answer = await api.post(
        "/v1/records/release", content=b"{}", headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 415


async def test_an_answer_that_nobody_takes_is_given_up_and_let_go(monkeypatch):
    monkeypatch.setattr(pieces, "PATIENCE_S", 0.01)
    let_go = []

    async def endless():
        try:
            while True:
                yield b"x"
        finally:
            let_go.append(True)

    async def send(message):
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    await pieces.PieceResponse(endless(), "application/msgpack")({}, None, send)
    assert let_go == [True]
