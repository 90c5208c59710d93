"""A clinic's desk and its records officer, through the client."""

from pathlib import Path

import httpx
import pytest

from ledger.api.app import create_app
from ledger.api.principal import Kind
from ledger.chain.codec import Malformed
from ledger.client import desk, erasures, patients
from ledger.client.http import AsyncClient, Client, NodeRefused, NodeUnreachable
from ledger.node.destruction import Destroyed
from tests.support.fhir import SignedIn, principal

NEWCOMER = "p-" + "a" * 32
SEEN, FORM = b"\x5e" * 32, b"\xf0" * 32
CASE = "ab" * 32 + "-0"


@pytest.fixture
def asking(service, consortium):
    """The node's interface, as somebody who is signed in there."""
    for label in ("east-governor", "east-physician"):
        service.custody[consortium.people[label].id] = consortium.account(label).key
    served = SignedIn(create_app(service))

    def make(kind, who, *roles):
        name = consortium.people[who].id if kind is Kind.STAFF else who
        served.who = principal(kind, name, service.institution, *roles)
        transport = httpx.ASGITransport(app=served)
        return AsyncClient("http://localhost", transport=transport)

    return make


@pytest.fixture
def registrar(asking):
    return lambda: asking(Kind.STAFF, "east-governor", "registrar")


@pytest.fixture
def physician(asking):
    return lambda: asking(Kind.STAFF, "east-physician", "physician")


async def test_a_registrar_enrols_and_two_declare_what_is_on_paper(registrar, physician, service):
    async with registrar() as client:
        done = await client.send(desk.enrol(NEWCOMER, "passport", SEEN))
        assert (done.height, len(done.transaction)) == (1, 64)
        check = await client.query("enrolment", "check", subject=NEWCOMER)
        assert check["evidence"] == SEEN
        act = patients.Permit(["TREAT"], ["south"])
        entry = await client.send(desk.declare(NEWCOMER, act, FORM))
        assert entry.form == FORM.hex()
        assert "south" in entry.summary.en
        with pytest.raises(NodeRefused, match="witness of herself"):
            await client.send(desk.witness(entry.id))
        lost = await client.send(desk.recover(NEWCOMER, "passport", SEEN, FORM))
    async with physician() as client:
        assert await client.send(desk.waiting()) == [entry, lost]
        await client.send(desk.drop(lost.id))
        done = await client.send(desk.witness(entry.id))
        assert done.code == ""
        receipt = await client.receipt(bytes.fromhex(done.transaction))
        assert receipt.certificate.height == done.height
        (consent,) = await client.query("consent", "active", subject=NEWCOMER)
        found = await client.query("consent", "get", id=consent["consent"])
        assert found["form"] == FORM
        assert await client.send(desk.waiting()) == []


async def test_an_officer_destroys_and_the_contract_has_the_last_word(asking, service):
    async def destroy(erasure):
        assert erasure == CASE
        return Destroyed(erasure, ("ab" * 32,), bytes(32), Path("report"))

    service.destruction = destroy
    async with asking(Kind.OPERATOR, "archive", "records") as client:
        gone = await client.send(erasures.destroy(CASE))
        assert (gone.id, gone.names, gone.statement) == (CASE, ["ab" * 32], "00" * 32)
        with pytest.raises(NodeRefused, match="unknown"):
            await client.send(erasures.answer_erasure(CASE, "order", 1, SEEN))
        with pytest.raises(NodeRefused, match="unknown"):
            await client.send(erasures.answer_dispute(CASE, True, SEEN))


def answering(*answers):
    given = iter(answers)

    def answer(request):
        return next(given)

    return Client("http://localhost", transport=httpx.MockTransport(answer))


def test_the_code_for_a_patient_is_not_in_what_gets_into_logs():
    answer = {"transaction": "ab" * 32, "height": 7, "code": "ABC-DEF-GHI", "until": 9}
    done = answering(httpx.Response(200, json=answer)).send(desk.witness("cd" * 16))
    assert (done.code, done.until) == ("ABC-DEF-GHI", 9)
    assert "ABC" not in f"{done} {done!r} {[done]}"


def test_an_answer_says_until_when_a_record_is_kept():
    answer = {"id": CASE, "until": 1_800_000_000_000}
    client = answering(httpx.Response(200, json=answer), httpx.Response(200, json=answer))
    assert client.send(erasures.answer_erasure(CASE, "inpatient", 5)) == 1_800_000_000_000
    assert client.send(erasures.answer_dispute(CASE, False, SEEN)) == 1_800_000_000_000


REQUESTS = [
    desk.enrol(NEWCOMER, "passport", SEEN), desk.recover(NEWCOMER, "passport", SEEN, FORM),
    desk.declare(NEWCOMER, patients.Withdraw("c-1"), FORM), desk.waiting(),
    desk.witness("cd" * 16), erasures.answer_erasure(CASE, "none"), erasures.destroy(CASE),
    patients.overview(),
]  # fmt: skip


@pytest.mark.parametrize("body", [b"", b"[]", b'{"id":1}', b"\xff", b"[" * 100_000])
def test_what_is_no_answer_is_malformed(body):
    for request in REQUESTS:
        with pytest.raises(Malformed):
            answering(httpx.Response(200, content=body)).send(request)


def test_what_would_be_done_twice_is_sent_once():
    asked = []

    def answer(request):
        asked.append(request)
        raise httpx.ConnectError("no")

    client = Client("http://localhost", transport=httpx.MockTransport(answer))
    for request in (REQUESTS[0], REQUESTS[1], REQUESTS[2], REQUESTS[4]):
        with pytest.raises(NodeUnreachable):
            client.send(request)
    assert len(asked) == 4
