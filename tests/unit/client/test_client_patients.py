"""A patient's own software: what a node prepares is what she asked for, or it is not signed."""

import json

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.api import preparing
from ledger.api.app import create_app
from ledger.api.principal import Kind
from ledger.chain.codec import Malformed, encode
from ledger.chain.exchange import Shown
from ledger.chain.genesis import read_genesis
from ledger.chain.pointer import Pointer
from ledger.chain.transaction import Body, Call
from ledger.chain.values import decode_base64, encode_base64
from ledger.client import patients
from ledger.client.ledger import AsyncLedger, Ledger, NodeRefused
from ledger.client.patients import (
    Dispute,
    Erase,
    Forbid,
    Keep,
    NotAsked,
    Permit,
    Settle,
    StopRecovery,
    Withdraw,
    check_prepared,
)
from ledger.crypto import hashing
from tests.support.fhir import SignedIn, principal

CHAIN = b"c" * 32
SUBJECT = "p-" + "a" * 32
OTHER = "p-" + "b" * 32
CASE = "ab" * 32 + "-0"
RECORD = Pointer(
    holder="city", subject=SUBJECT, kind="laboratory", digest=bytes(32), size=1,
    media="text/plain", start=0, end=0, confidentiality="N", type=bytes(32), labels=bytes(32),
    replaces=b"",
)  # fmt: skip
NAME = RECORD.name().hex()
PROOF = {"root": bytes(32), "index": 0, "size": 1, "path": []}

codes = st.lists(st.sampled_from(["TREAT", "HRESCH", "south", "imaging"]), unique=True)
until = st.integers(0, 10**13)
acts = st.one_of(
    st.builds(
        Permit, st.lists(st.sampled_from(["TREAT", "HRESCH"]), min_size=1, unique=True), codes,
        codes, st.sampled_from("NRV"), until,
    ),
    st.builds(Forbid, codes, codes, codes, until),
    st.builds(Withdraw, st.sampled_from(["c-1", "c-2"])),
    st.just(StopRecovery()),
    st.just(Erase(NAME)),
    st.just(Keep(CASE)),
    st.builds(Dispute, st.just(NAME), st.sampled_from(["outdated", "other"]), st.just("5e" * 32)),
    st.just(Settle(CASE)),
)  # fmt: skip


@pytest.fixture(scope="module")
def key(consortium):
    return consortium.anybody("patient").public


def node_makes(act) -> Call:
    """The call that a node makes of an act, as it gets it."""
    wish = json.loads(msgspec.json.encode(act))
    return preparing.call_of(msgspec.convert(wish, preparing.Act), SUBJECT, Shown(RECORD, PROOF))


def body_of(key, *calls, **changes) -> Body:
    made = Body(CHAIN, bytes(16), 5, 1_005, True, calls, (key,))
    return msgspec.structs.replace(made, **changes)


@given(acts)
def test_what_a_node_makes_of_an_act_is_accepted(key, act):
    check_prepared(body_of(key, node_makes(act)), CHAIN, 5, key, act, SUBJECT)


@given(acts, acts)
def test_a_call_for_another_act_is_refused(key, wanted, prepared):
    body = body_of(key, node_makes(prepared))
    if wanted == prepared:
        check_prepared(body, CHAIN, 5, key, wanted, SUBJECT)
    else:
        with pytest.raises(NotAsked):
            check_prepared(body, CHAIN, 5, key, wanted, SUBJECT)


@given(acts)
def test_an_act_for_another_patient_is_refused(key, act):
    call = node_makes(act)
    body = body_of(key, call)
    if "subject" in call.arguments or "pointer" in call.arguments:
        with pytest.raises(NotAsked):
            check_prepared(body, CHAIN, 5, key, act, OTHER)


@given(acts)
def test_a_call_beside_or_an_argument_more_is_refused(key, act):
    call = node_makes(act)
    more = Call(call.contract, call.method, {**call.arguments, "form": bytes(32)})
    extra = Call("delegation", "appoint", {"to": OTHER})
    for calls in ((call, extra), (extra, call), (more,), (call, call), (extra,)):
        with pytest.raises(NotAsked):
            check_prepared(body_of(key, *calls), CHAIN, 5, key, act, SUBJECT)


@given(acts)
def test_an_argument_less_is_refused(key, act):
    call = node_makes(act)
    for name in call.arguments:
        rest = {other: value for other, value in call.arguments.items() if other != name}
        body = body_of(key, Call(call.contract, call.method, rest))
        with pytest.raises(NotAsked):
            check_prepared(body, CHAIN, 5, key, act, SUBJECT)


def test_another_chain_signer_or_time_is_refused(key):
    act = Withdraw("c-1")
    for changes in (
        {"chain": bytes(32)}, {"signers": (key, b"k")}, {"signers": (b"k",)},
        {"valid_until": 5 + patients.LONGEST_WINDOW + 1},
    ):  # fmt: skip
        body = body_of(key, node_makes(act), **changes)
        with pytest.raises(NotAsked):
            check_prepared(body, CHAIN, 5, key, act, SUBJECT)


@pytest.mark.parametrize("name", ["c-1", "c-" + "A" * 32, "c-" + "a" * 33, "", 1])
def test_the_id_of_a_consent_can_carry_no_message(key, name):
    act = Permit(["TREAT"])
    call = node_makes(act)
    body = body_of(key, Call("consent", "grant", {**call.arguments, "id": name}))
    with pytest.raises(NotAsked):
        check_prepared(body, CHAIN, 5, key, act, SUBJECT)


def test_a_record_of_another_content_is_refused(key):
    other = msgspec.structs.replace(RECORD, digest=b"d" * 32).value()
    for pointer in (other, {**RECORD.value(), "more": 1}, None, {}):
        body = body_of(key, Call("erasure", "ask", {"pointer": pointer, "proof": PROOF}))
        with pytest.raises(NotAsked):
            check_prepared(body, CHAIN, 5, key, Erase(NAME), SUBJECT)


class Answering(httpx.AsyncBaseTransport):
    """The node, with what it says of prepared transactions changed."""

    def __init__(self, app, change) -> None:
        self._served = httpx.ASGITransport(app=app)
        self._change = change

    async def handle_async_request(self, request):
        answer = await self._served.handle_async_request(request)
        body = json.loads(await answer.aread())
        if request.url.path == "/v1/prepare":
            body = self._change(body)
        return httpx.Response(answer.status_code, json=body)


@pytest.fixture
def genesis(consortium):
    return read_genesis(consortium.home / "genesis.json")


@pytest.fixture
async def signed_in(service, genesis, pseudonym, consent):
    """A client of the patient who is signed in, at a chain of one block."""
    await service.submit([consent().raw])
    await service.commit()
    app = SignedIn(create_app(service), principal(Kind.PATIENT, pseudonym, "", "patient"))

    def make(change=lambda body: body):
        return AsyncLedger("http://localhost", genesis, transport=Answering(app, change))

    return make


async def test_a_patient_declares_and_sees_it(signed_in, patient, pseudonym, service):
    async with signed_in() as ledger:
        done = await ledger.declare(patient, Permit(["TREAT"], ["south"]), pseudonym)
        assert done.result.ok, done.result
        assert done.transaction.body.signers == (patient.public,)
        seen = await ledger.unverified.send(patients.overview())
        assert seen.subject == pseudonym
        assert len(seen.consents) == 2
        assert "south" in {institution.id for institution in seen.institutions}
        new = done.transaction.body.calls[0].arguments["id"]
        assert new in {one.consent for one in seen.consents}
        gone = await ledger.declare(patient, Withdraw(new), pseudonym)
        assert gone.result.ok, gone.result
        seen = await ledger.unverified.send(patients.overview(pseudonym))
        assert new not in {one.consent for one in seen.consents}


async def test_what_is_prepared_can_be_signed_elsewhere(
    signed_in, patient, pseudonym, consortium, service
):
    async with signed_in() as ledger:
        prepared = await ledger.prepare(patient.public, Forbid(kinds=["imaging"]), pseudonym)
        assert prepared.id == hashing.TRANSACTION(prepared.raw)
        assert all(words.whole for words in prepared.words)
        raw = prepared.envelope(patient.key.sign(prepared.id))
        (done,) = await ledger.submit(raw)
        assert done.result.ok, done.result
        # The ids of requests and disputes are longer than other codes.
        for act in (Keep(CASE), Settle(CASE)):
            assert (await ledger.prepare(patient.public, act, pseudonym)).body.signers
        with pytest.raises(Malformed, match="another key"):
            prepared.sign(consortium.anybody("physician"))


def with_body(change):
    """Answers with another body, and the id and signers that belong to it."""

    def answer(told):
        body = msgspec.msgpack.decode(decode_base64(told["body"]), type=Body)
        raw = encode(change(body))
        return {**told, "body": encode_base64(raw), "id": hashing.TRANSACTION(raw).hex()}

    return answer


def wider(body):
    (call,) = body.calls
    scope = {**call.arguments["scope"], "institutions": ["city", "south"]}
    return msgspec.structs.replace(
        body, calls=(Call(call.contract, call.method, {**call.arguments, "scope": scope}),)
    )


LIES = [
    (with_body(wider), NotAsked),
    (with_body(lambda body: msgspec.structs.replace(body, valid_until=10**6)), NotAsked),
    (with_body(lambda body: msgspec.structs.replace(body, calls=())), Malformed),
    (lambda told: {**told, "id": "00" * 32}, NotAsked),
    (lambda told: {**told, "body": told["body"] + "AAAA"}, Malformed),
    (lambda told: {**told, "body": "?"}, Malformed),
    (lambda told: {}, Malformed),
]


async def test_another_transaction_is_not_signed(signed_in, patient, pseudonym, service):
    before = service.head()
    for change, error in LIES:
        async with signed_in(change) as ledger:
            with pytest.raises(error):
                await ledger.declare(patient, Permit(["TREAT"], ["south"]), pseudonym)
    assert service.head() == before
    assert not service._waiting


def test_the_synchronous_client_prepares_as_well(node_url, genesis, patient, pseudonym, consent):
    """Over a node at which nobody is signed in: it is the node that refuses."""
    with Ledger(node_url, genesis) as ledger:
        ledger.submit(consent().raw)
        with pytest.raises(NodeRefused, match=r"unauthorised|not-permitted"):
            ledger.prepare(patient.public, Withdraw("c-1"), pseudonym)
        with pytest.raises(NodeRefused, match=r"unauthorised|not-permitted"):
            ledger.declare(patient, Withdraw("c-1"), pseudonym)
