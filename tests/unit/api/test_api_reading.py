"""Blocks, state, queries."""

import json

import pytest

from ledger.chain.database import StoreUnusable
from ledger.chain.handover import Trust
from ledger.chain.statement import load_statement, verify_statement

JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def granted(service, consent):
    """One consent in block 1, an empty block 2."""
    transaction = consent("c-granted")
    await service.submit([transaction.raw])
    await service.commit()
    await service.commit()
    return transaction


@pytest.fixture
def trust(service):
    return Trust(service.chain, service._replica.validators)


async def test_a_block_shows_its_certificate_and_what_came_out(api, service, granted):
    found = (await api.get("/v1/blocks/1")).json()
    assert found["header"]["hash"] == service.header(1).hash().hex()
    assert len(found["certificate"]["signatures"]) == 4
    assert found["size"] == 1
    assert found["transactions"][0]["id"] == granted.id.hex()
    assert found["transactions"][0]["outcome"]["ok"]


async def test_the_newest_block_is_called_latest(api, granted):
    assert (await api.get("/v1/blocks/latest")).json()["header"]["height"] == 2


async def test_nobody_certifies_the_genesis_block(api):
    found = (await api.get("/v1/blocks/0")).json()
    assert found["certificate"] is None
    assert found["size"] == 0


async def test_the_transactions_of_a_block_come_in_pages(api, service, consent):
    transactions = [consent() for _ in range(5)]
    await service.submit([transaction.raw for transaction in transactions])
    await service.commit()
    found = (await api.get("/v1/blocks/1?offset=3&limit=10")).json()
    assert found["size"] == 5
    assert [item["id"] for item in found["transactions"]] == [
        transaction.id.hex() for transaction in transactions[3:]
    ]
    assert (await api.get("/v1/blocks/1?offset=99")).json()["transactions"] == []


async def test_a_block_that_is_not_there_says_where_the_chain_ends(api, granted):
    answer = await api.get("/v1/blocks/3")
    assert answer.status_code == 404
    assert answer.json()["code"] == "unknown-block"
    assert answer.json()["head"] == 2


@pytest.mark.parametrize("height", ["-1", "01", "1.0", "newest", "9" * 16, "1%0A", "٣"])
async def test_a_height_is_a_plain_number(api, height):
    assert (await api.get(f"/v1/blocks/{height}")).status_code == 422


async def test_headers_are_listed_in_order_and_say_where_to_go_on(api, granted):
    found = (await api.get("/v1/blocks?from=0&limit=2")).json()
    assert [item["height"] for item in found["blocks"]] == [0, 1]
    assert [item["empty"] for item in found["blocks"]] == [True, False]
    assert found["next"] == 2
    rest = (await api.get("/v1/blocks?from=2")).json()
    assert [item["height"] for item in rest["blocks"]] == [2]
    assert rest["next"] is None


async def test_without_a_start_the_newest_headers_are_listed(api, granted):
    found = (await api.get("/v1/blocks?limit=1")).json()
    assert [item["height"] for item in found["blocks"]] == [2]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "from=-1", "from=1e3", "limit=null"])
async def test_lists_have_bounds(api, query):
    assert (await api.get(f"/v1/blocks?{query}")).status_code == 422


async def test_unknown_query_parameters_are_ignored(api):
    assert (await api.get("/v1/blocks?colour=green")).status_code == 200


async def test_a_state_entry_is_read_now_and_as_it_was(api, granted):
    now = (await api.get("/v1/state/consent/consents/c-granted")).json()
    before = (await api.get("/v1/state/consent/consents/c-granted?height=0")).json()
    assert now["present"]
    assert now["value"]["status"]
    assert now["height"] == 2
    assert (before["present"], before["value"], before["height"]) == (False, None, 0)


async def test_a_proof_convinces_a_holder_of_the_genesis(api, granted, trust):
    answer = await api.get("/v1/state/consent/consents/c-granted?height=1&proof=true")
    statement = load_statement(json.dumps(answer.json()["proof"]).encode())
    proven = verify_statement(statement, trust)
    assert proven.present
    assert proven.header.height == 1
    assert proven.key == b"consent/consents/c-granted"


async def test_absence_is_proven_too(api, granted, trust):
    answer = await api.get("/v1/state/consent/consents/c-never?proof=true")
    assert not answer.json()["present"]
    proven = verify_statement(load_statement(json.dumps(answer.json()["proof"]).encode()), trust)
    assert not proven.present


async def test_nothing_is_certified_at_height_0(api):
    answer = await api.get("/v1/state/governance/validators?proof=true")
    assert answer.status_code == 422
    assert "genesis" in answer.json()["detail"]


async def test_a_height_that_is_yet_to_come_has_no_state(api):
    answer = await api.get("/v1/state/governance/validators?height=7")
    assert answer.status_code == 404
    assert answer.json()["head"] == 0


@pytest.mark.parametrize(
    "key", ["a//b", "/a", "a/", "a%00b", "a%09b", "x" * 510, "%C2%85", "a/" * 300 + "b"]
)
async def test_a_key_that_no_entry_can_have_is_refused(api, key):
    assert (await api.get(f"/v1/state/consent/{key}")).status_code == 422


@pytest.mark.parametrize("contract", ["Consent", "con-sent", "1st", "x" * 65, "c%00"])
async def test_a_contract_has_a_plain_name(api, contract):
    assert (await api.get(f"/v1/state/{contract}/key")).status_code == 422


async def test_keys_may_hold_any_other_text(api):
    answer = await api.get("/v1/state/registry/people/%E5%BB%B6%E5%AE%89%3F%23")
    assert answer.status_code == 200
    assert answer.json()["key"] == "registry/people/延安?#"


async def test_a_contract_answers_a_query(api, patient, pseudonym):
    answer = await api.post("/v1/query/registry/whois", json={"arguments": {"key": patient.id}})
    assert answer.status_code == 200
    assert answer.json()["value"]["id"] == pseudonym
    assert answer.json()["gas"] > 0


async def test_a_query_without_arguments_needs_an_empty_object(api):
    answer = await api.post("/v1/query/governance/members", json={})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("nobody/asks", 404, "unknown-method"),
        ("registry/nothing", 404, "unknown-method"),
        ("registry/enrol", 404, "unknown-method"),
        ("registry/whois", 422, "query-failed"),
        ("Registry/whois", 422, "invalid-parameters"),
    ],
)
async def test_a_query_that_cannot_be_answered_is_a_problem(api, path, status, code):
    answer = await api.post(f"/v1/query/{path}", json={"arguments": {"wrong": 1}})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"arguments": ' + b"[" * 5000 + b"]" * 5000 + b"}", 422),
        (b'{"arguments": {"a": ' + b"[" * 5000 + b"]" * 5000 + b"}}", 400),
        (b'{"arguments": {"a": ' + b"[" * 20 + b"]" * 20 + b"}}", 400),
        (b'{"arguments": {"a": 1.5}}', 400),
        (b'{"arguments": {"a": 9223372036854775808}}', 400),
        (b'{"arguments": {"a": {"$bytes": "YR=="}}}', 400),
        (b'{"arguments": null}', 422),
        (b'{"arguments": {}, "as": "root"}', 422),
        (b"[]", 422),
    ],
)
async def test_arguments_are_contract_values(api, body, status):
    answer = await api.post("/v1/query/registry/whois", content=body, headers=JSON)
    assert answer.status_code == status


async def test_a_query_is_bounded_in_size(api):
    answer = await api.post("/v1/query/registry/whois", content=b" " * 300_000, headers=JSON)
    assert answer.status_code == 413


async def test_what_a_disk_has_changed_is_not_given_out_and_the_node_is_told(
    api, service, granted, monkeypatch
):
    def block(_height):
        raise StoreUnusable("block 1 is damaged in the store: the header is not the one in the log")

    monkeypatch.setattr(service, "block", block)
    answer = await api.get("/v1/blocks/1")
    assert (answer.status_code, answer.json()["code"]) == (500, "store-damaged")
    assert "another member's node" in answer.json()["detail"]
    assert [str(each) for each in service.damage] == [
        "block 1 is damaged in the store: the header is not the one in the log"
    ]


async def test_a_query_names_a_height_or_a_version(api):
    asked = {"arguments": {"name": "consent"}}
    for more in ({}, {"height": 0}, {"version": 1}, {"height": 0, "version": 1}):
        answer = await api.post("/v1/query/charter/in_force", json={**asked, **more})
        assert answer.status_code == 200
        assert (answer.json()["value"]["version"], answer.json()["height"]) == (1, 0)
    late = await api.post("/v1/query/charter/in_force", json={**asked, "height": 7})
    assert (late.status_code, late.json()["head"]) == (404, 0)
    other = await api.post("/v1/query/charter/in_force", json={**asked, "version": 2})
    assert (other.status_code, other.json()["code"]) == (404, "unknown-method")
    for wrong in ({"height": -1}, {"version": 0}, {"version": "1"}, {"when": 0}):
        answer = await api.post("/v1/query/charter/in_force", json={**asked, **wrong})
        assert answer.status_code == 422
