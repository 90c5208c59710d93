"""Bad transactions: each gets a clear answer, and the chain is as it was or records the failure."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator

import httpx
import pytest
from consortium import WINDOW, Consortium

from ledger.chain import limits
from ledger.chain.codec import decode, encode
from ledger.chain.transaction import Body, Call, Envelope, sign_transaction
from ledger.client.builder import Account, build, call
from ledger.client.requests import CallOutcome, Submitted
from ledger.crypto.keys import SigningKey

NODE = "west-1"


@pytest.fixture(autouse=True)
def same_chain_everywhere(consortium: Consortium) -> Iterator[None]:
    """Whatever a test offers, the nodes go on and agree."""
    yield
    consortium.anchor("south-1")
    consortium.agreement()


@pytest.fixture
def unchanged(consortium: Consortium) -> Iterator[None]:
    """The test leaves neither a block with transactions nor another state behind."""
    before = consortium.agreement()
    transactions = consortium.metric(NODE, "ledger_transactions_total")
    yield
    assert consortium.agreement().state_root == before.state_root
    assert consortium.metric(NODE, "ledger_transactions_total") == transactions


@pytest.fixture
def past_height_2(consortium: Consortium) -> None:
    consortium.anchor(NODE)
    consortium.anchor(NODE)


def refused(consortium: Consortium, raw: bytes) -> Submitted:
    (submitted,) = consortium.client(NODE).submit(raw)
    assert not submitted.accepted, submitted
    assert submitted.detail, "a refusal is explained"
    return submitted


def failed(consortium: Consortium, told: Call, *signers: Account) -> CallOutcome:
    """The recorded failure of a call, which has changed no state."""
    before = consortium.agreement().state_root
    submitted = consortium.send(NODE, [told], *signers or (consortium.officer(NODE),))
    assert submitted.outcome is not None, submitted
    assert not submitted.outcome.ok
    (outcome,) = submitted.outcome.calls
    assert consortium.head(NODE, submitted.outcome.height).state_root == before
    return outcome


def harmless() -> Call:
    return call("records", "anchor_many", holder="west", root=secrets.token_bytes(32), size=1)


# --- not let in ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "raw",
    [b"", b"\x00", b"\xc1" * 100, secrets.token_bytes(1000), encode([b"", []])],
    ids=["empty", "zero", "never-used", "random", "hollow"],
)
def test_bytes_that_are_no_transaction_are_refused(consortium: Consortium, raw: bytes) -> None:
    assert refused(consortium, raw).code == "malformed"


@pytest.mark.usefixtures("unchanged")
def test_bytes_after_the_end_of_a_transaction_are_refused(consortium: Consortium) -> None:
    raw = consortium.signed(NODE, [harmless()], consortium.officer(NODE))
    assert refused(consortium, raw + b"\x00").code == "malformed"


@pytest.mark.usefixtures("unchanged")
def test_a_transaction_of_another_chain_is_refused(consortium: Consortium) -> None:
    officer = consortium.officer(NODE)
    height = consortium.height(NODE)
    raw = build(secrets.token_bytes(32), height, WINDOW, [harmless()], [officer]).raw
    assert refused(consortium, raw).code == "wrong_chain"


@pytest.mark.usefixtures("past_height_2", "unchanged")
def test_an_expired_transaction_is_refused(consortium: Consortium) -> None:
    raw = build(consortium.chain, 0, 1, [harmless()], [consortium.officer(NODE)]).raw
    assert refused(consortium, raw).code == "expired"


@pytest.mark.usefixtures("unchanged")
def test_a_validity_window_wider_than_the_chain_allows_is_refused(consortium: Consortium) -> None:
    height = consortium.height(NODE)
    raw = build(consortium.chain, height, 2_000_000, [harmless()], [consortium.officer(NODE)]).raw
    assert refused(consortium, raw).code == "window_too_wide"


@pytest.mark.usefixtures("unchanged")
def test_a_transaction_for_the_far_future_is_refused(consortium: Consortium) -> None:
    raw = build(consortium.chain, 10**9, WINDOW, [harmless()], [consortium.officer(NODE)]).raw
    assert refused(consortium, raw).code == "not_yet_valid"


@pytest.mark.usefixtures("unchanged")
def test_a_forged_signature_is_refused(consortium: Consortium) -> None:
    raw = consortium.signed(NODE, [harmless()], consortium.officer(NODE))
    envelope = decode(raw, Envelope, limit=limits.MAX_TRANSACTION_BYTES)
    forged = encode(Envelope(envelope.body, (secrets.token_bytes(64),)))
    assert refused(consortium, forged).code == "bad_signature"


@pytest.mark.usefixtures("unchanged")
def test_somebody_who_is_not_registered_is_refused(consortium: Consortium) -> None:
    raw = consortium.signed(NODE, [harmless()], Account(SigningKey.generate()))
    assert refused(consortium, raw).code == "unknown_signer"


# Points of small order (RFC 7748 §6.1, Chalkias et al. 2020): under a permissive verifier, the
# signature (R = the neutral element, S = 0) is good for many messages.
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_key_of_small_order_signs_nothing(consortium: Consortium, point: str) -> None:
    officer = consortium.officer(NODE)
    height = consortium.height(NODE)
    body = Body(
        consortium.chain, secrets.token_bytes(16), height, height + WINDOW, False,
        (harmless(),), (officer.public, b"\x01" + bytes.fromhex(point)),
    )  # fmt: skip
    encoded = encode(body)
    good = sign_transaction(
        Body(body.chain, body.nonce, height, height + WINDOW, False, body.calls, (officer.public,)),
        officer.key,
    )
    universal = bytes.fromhex(SMALL_ORDER[0]) + bytes(32)
    raw = encode(Envelope(encoded, (good.envelope.signatures[0], universal)))
    assert refused(consortium, raw).code == "bad_signature"


def test_a_repeated_transaction_enters_the_chain_once(consortium: Consortium) -> None:
    raw = consortium.signed(NODE, [harmless()], consortium.officer(NODE))
    (first,) = consortium.client(NODE).submit(raw, wait=60)
    before = consortium.agreement()
    answers = [consortium.client(node).submit(raw, wait=5)[0] for node in consortium.nodes]
    assert all((answer.accepted, answer.code) == (True, "final") for answer in answers)
    assert {answer.id for answer in answers} == {first.id}
    assert consortium.agreement().state_root == before.state_root


def test_of_a_mixed_batch_the_good_ones_become_final(consortium: Consortium) -> None:
    officer = consortium.officer(NODE)
    good = consortium.signed(NODE, [harmless()], officer)
    answers = consortium.client(NODE).submit(b"\xc1", good, wait=60)
    assert [answer.code for answer in answers] == ["malformed", "accepted"]
    assert answers[1].outcome is not None


# --- let in, and recorded as failed --------------------------------------------------------------


def test_a_call_of_an_unknown_contract_is_recorded_as_failed(consortium: Consortium) -> None:
    assert failed(consortium, call("nonsense", "run")).error.startswith("unknown_contract")


def test_a_call_of_an_unknown_method_is_recorded_as_failed(consortium: Consortium) -> None:
    assert failed(consortium, call("records", "erase")).error.startswith("unknown_method")


def test_a_query_is_no_method_of_transactions(consortium: Consortium) -> None:
    assert failed(consortium, call("registry", "whois", key="")).error.startswith("unknown_method")


def test_wrong_arguments_are_recorded_as_failed(consortium: Consortium) -> None:
    told = call("records", "anchor_many", holder="west", root="not bytes", size=1)
    assert failed(consortium, told).error.startswith("bad_arguments")
    assert failed(consortium, call("records", "anchor_many")).error.startswith("bad_arguments")


def test_an_over_long_argument_is_recorded_as_failed(consortium: Consortium) -> None:
    patient = consortium.people["patient-pieter"]
    scope = {"effect": "permit", "institutions": ["west"], "purposes": ["TREAT"]}
    told = call("consent", "grant", id="x" * 65, subject=patient.id, scope=scope)
    outcome = failed(consortium, told, consortium.account("patient-pieter"))
    assert outcome.error.startswith("bad_id")


@pytest.mark.usefixtures("unchanged")
def test_an_argument_larger_than_a_transaction_is_refused(consortium: Consortium) -> None:
    officer = consortium.officer(NODE)
    height = consortium.height(NODE)
    body = Body(
        consortium.chain, b"n", height, height + WINDOW, False,
        (call("records", "anchor", pointer={"holder": "x" * limits.MAX_TRANSACTION_BYTES}),),
        (officer.public,),
    )  # fmt: skip
    raw = encode(Envelope(encode(body), (bytes(64),)))
    assert refused(consortium, raw).code == "malformed"


def test_a_call_that_runs_out_of_gas_is_recorded_as_failed(consortium: Consortium) -> None:
    patient = consortium.people["patient-pieter"]
    rule = {
        "effect": "permit",
        "institutions": ["east", "south", "west", "north"] * 4,
        "purposes": ["TREAT"],
        "end": time.time_ns() // 1_000_000 + 3_600_000,
    }
    told = call(
        "consent", "adopt", id="costly", subject=patient.id, rules=[rule] * 64, source=bytes(32)
    )
    outcome = failed(consortium, told, consortium.account("patient-pieter"))
    assert outcome.error.startswith("out_of_gas")


def test_somebody_without_the_role_changes_nothing(consortium: Consortium) -> None:
    told = call("records", "anchor_many", holder="east", root=bytes(32), size=1)
    outcome = failed(consortium, told, consortium.account("west-physician"))
    assert outcome.error.startswith("not_affiliated")


def test_the_failing_call_of_an_atomic_transaction_undoes_the_others(
    consortium: Consortium,
) -> None:
    officer = consortium.officer(NODE)
    before = consortium.agreement().state_root
    height = consortium.height(NODE)
    calls = [harmless(), call("records", "erase")]
    raw = build(consortium.chain, height, WINDOW, calls, [officer], atomic=True).raw
    (submitted,) = consortium.client(NODE).submit(raw, wait=60)
    assert submitted.outcome is not None
    assert not submitted.outcome.ok
    assert consortium.agreement().state_root == before


# --- bodies that are not what the API takes -------------------------------------------------------


@pytest.mark.usefixtures("unchanged")
def test_bodies_that_cannot_be_read_are_answered_with_a_problem(consortium: Consortium) -> None:
    url = f"{consortium.founding.urls[NODE]}/v1/transactions"
    media = {"Content-Type": "application/msgpack"}
    with httpx.Client(trust_env=False) as client:
        for body in (b"", b"\xff" * 50, encode([]), encode({"a": 1}), b"\x91" * 100_000):
            answer = client.post(url, content=body, headers=media)
            assert answer.status_code in (400, 422), body[:20]
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] in ("malformed-request", "invalid-parameters")
        large = client.post(url, content=bytes(limits.MAX_BLOCK_BYTES + 1), headers=media)
        assert large.status_code == 413
