"""Submitting, and what becomes of it."""

import base64
import json

import pytest

from ledger.api.exchange import MAX_SUBMISSION_BYTES
from ledger.chain.codec import encode
from ledger.chain.receipt import load_receipt, verify_receipt
from ledger.client.builder import Account, build, call
from ledger.crypto.keys import SigningKey

JSON = {"Content-Type": "application/json"}
MSGPACK = {"Content-Type": "application/msgpack"}


def as_json(*raws: bytes) -> str:
    return json.dumps({"transactions": [base64.b64encode(raw).decode() for raw in raws]})


async def test_a_good_transaction_is_accepted_and_waits(api, service, consent):
    transaction = consent()
    answer = await api.post("/v1/transactions", content=as_json(transaction.raw), headers=JSON)
    assert answer.status_code == 202
    assert answer.json()["transactions"] == [
        {
            "id": transaction.id.hex(),
            "accepted": True,
            "code": "accepted",
            "detail": "",
            "outcome": None,
        }
    ]
    assert service.pending(transaction.id)


async def test_who_waits_gets_the_outcome_with_200(api, consent):
    transaction = consent("c-waited")
    answer = await api.post(
        "/v1/transactions?wait=5", content=as_json(transaction.raw), headers=JSON
    )
    assert answer.status_code == 200
    outcome = answer.json()["transactions"][0]["outcome"]
    assert outcome["ok"]
    assert outcome["height"] == 1
    assert outcome["calls"][0]["events"][0]["name"] == "declared"


async def test_both_encodings_of_a_batch_are_read_the_same(api, consent):
    some, others = [consent().raw for _ in range(3)], [consent().raw for _ in range(3)]
    first = await api.post("/v1/transactions", content=as_json(*some), headers=JSON)
    second = await api.post("/v1/transactions", content=encode(others), headers=MSGPACK)
    for answer in (first, second):
        assert answer.status_code == 202
        assert [item["code"] for item in answer.json()["transactions"]] == ["accepted"] * 3


async def test_submitting_again_is_harmless(api, service, consent):
    transaction = consent()
    codes = []
    for _ in range(2):
        answer = await api.post("/v1/transactions", content=as_json(transaction.raw), headers=JSON)
        codes.append(answer.json()["transactions"][0]["code"])
    await service.commit()
    answer = await api.post(
        "/v1/transactions?wait=1", content=as_json(transaction.raw), headers=JSON
    )
    assert answer.status_code == 200
    assert [*codes, answer.json()["transactions"][0]["code"]] == ["accepted", "known", "final"]


async def test_each_transaction_of_a_batch_is_answered_for_itself(api, consent):
    answer = await api.post(
        "/v1/transactions", content=as_json(b"nonsense", consent().raw), headers=JSON
    )
    assert answer.status_code == 202
    assert [item["code"] for item in answer.json()["transactions"]] == ["malformed", "accepted"]


async def test_when_none_is_accepted_the_problem_lists_why(api, service, patient, consent):
    stranger = Account(SigningKey.generate())
    good = consent()
    elsewhere = build(bytes(32), 0, 10, [call("consent", "withdraw", id="x")], [stranger])
    forged = good.raw[:-1] + bytes([good.raw[-1] ^ 1])
    answer = await api.post(
        "/v1/transactions", content=as_json(elsewhere.raw, forged), headers=JSON
    )
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "transactions-refused"
    assert [item["code"] for item in problem["transactions"]] == ["wrong_chain", "bad_signature"]
    assert service.head().height == 0


async def test_a_full_node_says_so_and_when_to_come_back(api, service, consent):
    service.capacity = 0
    answer = await api.post("/v1/transactions", content=as_json(consent().raw), headers=JSON)
    assert answer.status_code == 503
    assert answer.json()["code"] == "busy"
    assert answer.headers["retry-after"] == "1"


async def test_a_call_that_fails_is_final_and_not_ok(api, consent):
    first, second = consent("c-same"), consent("c-same")
    await api.post("/v1/transactions?wait=5", content=as_json(first.raw), headers=JSON)
    answer = await api.post("/v1/transactions?wait=5", content=as_json(second.raw), headers=JSON)
    outcome = answer.json()["transactions"][0]["outcome"]
    assert answer.status_code == 200
    assert not outcome["ok"]
    assert ":" in outcome["calls"][0]["error"]


async def test_a_receipt_is_found_and_good(api, service, consent):
    transaction = consent()
    await api.post("/v1/transactions", content=as_json(transaction.raw), headers=JSON)
    answer = await api.get(f"/v1/receipts/{transaction.id.hex()}?wait=5")
    assert answer.status_code == 200
    verified = verify_receipt(
        load_receipt(answer.content), service.chain, service._replica.validators
    )
    assert verified.transaction.id == transaction.id


async def test_a_transaction_is_read_back_as_it_was_signed(api, consent, patient):
    transaction = consent("c-read")
    await api.post("/v1/transactions", content=as_json(transaction.raw), headers=JSON)
    answer = await api.get(f"/v1/transactions/{transaction.id.hex()}?wait=5")
    found = answer.json()
    assert found["signers"] == [patient.id]
    assert found["calls"][0]["arguments"]["id"] == "c-read"
    assert found["outcome"]["ok"]


@pytest.mark.parametrize("path", ["receipts", "transactions"])
async def test_what_is_not_final_is_pending_or_unknown(api, consent, path):
    transaction = consent()
    unknown = await api.get(f"/v1/{path}/{transaction.id.hex()}")
    await api.post("/v1/transactions", content=as_json(transaction.raw), headers=JSON)
    pending = await api.get(f"/v1/{path}/{transaction.id.hex()}")
    for answer, state in ((unknown, "unknown"), (pending, "pending")):
        assert answer.status_code == 404
        assert answer.json()["code"] == "unknown-transaction"
        assert answer.json()["state"] == state


@pytest.mark.parametrize("tx", ["00", "g" * 64, "A" * 64, "0" * 65, "0" * 63 + "%0A"])
async def test_an_id_is_64_lower_case_hex_digits(api, tx):
    answer = await api.get(f"/v1/receipts/{tx}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["name"] == "tx"


@pytest.mark.parametrize("wait", ["-1", "61", "nan", "inf", "soon", ""])
async def test_waiting_has_bounds(api, wait):
    answer = await api.get(f"/v1/receipts/{'0' * 64}?wait={wait}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["name"] == "wait"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("{", 400),
        ("\xff", 400),
        ("[" * 100_000, 422),
        ("null", 422),
        ("[]", 422),
        ("{}", 422),
        ('{"transactions": null}', 422),
        ('{"transactions": []}', 422),
        ('{"transactions": [null]}', 422),
        ('{"transactions": [""], "more": 1}', 422),
        ('{"transactions": ["not base64!"]}', 422),
        ('{"transactions": ["YQ"]}', 422),
        (json.dumps({"transactions": ["YQ=="] * 1001}), 422),
        ('{"transactions": ["YQ=="]}', 422),
    ],
)
async def test_a_json_body_of_another_shape_is_refused(api, body, status):
    raw = body.encode("latin-1")
    answer = await api.post("/v1/transactions", content=raw, headers=JSON)
    assert answer.status_code == status


@pytest.mark.parametrize(
    "body",
    [b"", b"\xc1", encode({"a": 1}), encode([1]), encode(["text"]), b"\x91" * 50_000, b"\x91\xc6"],
)
async def test_a_binary_body_that_is_not_canonical_is_malformed(api, body):
    answer = await api.post("/v1/transactions", content=body, headers=MSGPACK)
    assert answer.status_code == 400
    assert answer.json()["code"] == "malformed-request"


@pytest.mark.parametrize("count", [0, 1001])
async def test_a_binary_batch_has_bounds(api, count):
    answer = await api.post("/v1/transactions", content=encode([b""] * count), headers=MSGPACK)
    assert answer.status_code == 422


@pytest.mark.parametrize("media", ["", "text/plain", "application/x-www-form-urlencoded"])
async def test_other_media_types_are_not_read(api, media):
    answer = await api.post("/v1/transactions", content=b"{}", headers={"Content-Type": media})
    assert answer.status_code == 415


async def test_a_body_that_announces_too_much_is_refused_before_it_is_read(api):
    async def unread():
        raise AssertionError("the body was read")
        yield b""

    answer = await api.post(
        "/v1/transactions",
        content=unread(),
        headers={**MSGPACK, "Content-Length": str(MAX_SUBMISSION_BYTES + 1)},
    )
    assert answer.status_code == 413
    assert answer.json()["limit"] == MAX_SUBMISSION_BYTES


async def test_a_body_without_a_length_is_cut_off_at_the_limit(api):
    async def endless():
        for _ in range(2 * MAX_SUBMISSION_BYTES // 1_000_000 + 2):
            yield bytes(1_000_000)

    answer = await api.post("/v1/transactions", content=endless(), headers=MSGPACK)
    assert answer.status_code == 413
