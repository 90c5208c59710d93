"""A privacy officer answers and destroys over HTTP; nobody else does, and not before the date."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from ledger.api.preparing import Dispute, Erase, Keep, Settle, call_of
from ledger.api.principal import Kind
from ledger.chain.exchange import Shown
from ledger.chain.pointer import Pointer
from ledger.client.builder import build, call
from ledger.node.destruction import Destroyed, DestructionRefused
from tests.support.contracts import pointer
from tests.support.fhir import SignedIn, principal
from tests.support.openapi import CheckedTransport

NAME = "5c" * 32


@pytest.fixture
def calling(app):
    transport = CheckedTransport(app)
    served = transport._served.app

    @asynccontextmanager
    async def run(who):
        transport._served.app = SignedIn(served, who)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client

    return run


@pytest.fixture
def operator():
    return principal(Kind.OPERATOR, "archive", "", "records")


@pytest.fixture
def ask(service, patient, pseudonym):
    """The patient asks that a record of this node's institution be destroyed, and disputes it."""

    async def run() -> tuple[str, str]:
        record = pointer(subject=pseudonym, holder=service.institution, start=0, end=0)
        await service.officiate(call("records", "anchor", pointer=record))
        about = {"pointer": record, "proof": {}}
        calls = [
            call("erasure", "ask", **about),
            call("corrections", "dispute", **about, reason="outdated", statement=bytes(32)),
        ]
        made = build(service.chain, service.head().height, 100, calls, [patient])
        await service.submit([made.raw])
        await service.commit()
        outcome = service.outcome(made.id)
        assert all(one.ok for one in outcome[2].calls), outcome[2].calls
        return f"{made.id.hex()}-0", f"{made.id.hex()}-1"

    return run


async def test_an_officer_answers_and_the_chain_says_until_when(calling, ask, operator, service):
    erasure, dispute = await ask()
    since = service.head().time
    async with calling(operator) as client:
        answer = await client.post(
            f"/v1/erasures/{erasure}/answer", json={"ground": "inpatient", "since": since}
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["until"] - since > 29 * 365 * 86_400_000
        answer = await client.post(
            f"/v1/disputes/{dispute}/answer", json={"accepted": False, "statement": "ab" * 32}
        )
        assert answer.status_code == 200, answer.text
        again = await client.post(
            f"/v1/disputes/{dispute}/answer", json={"accepted": False, "statement": "ab" * 32}
        )
        assert (again.status_code, again.json()["error"]) == (422, "closed")


async def test_cases_are_listed_for_herself_and_her_holder(
    calling, ask, service, pseudonym, operator, tmp_path
):
    service.keep_lists(tmp_path / "reading.db")
    erasure, dispute = await ask()
    herself = principal(Kind.PATIENT, pseudonym)
    officer = principal(Kind.STAFF, "s-1", service.institution, "records-officer")
    for who, query in (
        (herself, {"subject": pseudonym}),
        (officer, {"holder": service.institution}),
        (operator, {"holder": service.institution}),
    ):
        async with calling(who) as client:
            page = (await client.get("/v1/cases", params=query)).json()
        assert {one["id"]: one["what"] for one in page["cases"]} == {
            erasure: "erasure", dispute: "dispute",
        }  # fmt: skip
    async with calling(principal(Kind.PATIENT, "p-other")) as client:
        assert (await client.get("/v1/cases", params={"subject": pseudonym})).status_code == 403
        assert (await client.get("/v1/cases")).status_code == 422
    async with calling(operator) as client:
        assert (await client.get("/v1/cases", params={"holder": "west"})).status_code == 403
        assert (await client.get("/v1/cases", params={"subject": pseudonym})).status_code == 403


async def test_destroying_says_what_is_gone_or_until_when_it_is_kept(calling, operator, service):
    async def kept(_: str) -> Destroyed:
        raise DestructionRefused("kept", "the record is kept: outpatient", 1_800_000_000_000)

    async def late(_: str) -> Destroyed:
        raise TimeoutError("no block came")

    async def gone(erasure: str) -> Destroyed:
        return Destroyed(erasure, (NAME,), bytes.fromhex(NAME), Path("report.json"))

    path = f"/v1/erasures/{NAME}-0/destroy"
    async with calling(operator) as client:
        answer = await client.post(path)
        assert (answer.status_code, answer.json()["why"]) == (409, "unknown-erasure")
        service.destruction = kept
        answer = await client.post(path)
        assert (answer.status_code, answer.json()["until"]) == (409, 1_800_000_000_000)
        service.destruction = late
        assert (await client.post(path)).status_code == 503
        service.destruction = gone
        answer = await client.post(path)
        assert answer.status_code == 200
        assert answer.json()["names"] == [NAME]


@pytest.mark.parametrize(
    ("kind", "roles", "place"),
    [
        (Kind.PATIENT, (), ""),
        (Kind.STAFF, ("physician",), "own"),
        (Kind.STAFF, ("records-officer",), "west"),
        (Kind.SYSTEM, ("records-officer",), "own"),
        (Kind.OPERATOR, ("monitor",), ""),
    ],
)
async def test_others_neither_answer_nor_destroy(calling, service, kind, roles, place):
    institution = service.institution if place == "own" else place
    async with calling(principal(kind, "somebody", institution, *roles)) as client:
        for path, body in (
            (f"/v1/erasures/{NAME}-0/answer", {"ground": "none"}),
            (f"/v1/erasures/{NAME}-0/destroy", {}),
            (f"/v1/disputes/{NAME}-0/answer", {"accepted": True, "statement": NAME}),
        ):
            assert (await client.post(path, json=body)).status_code == 403


async def test_an_officer_without_a_key_here_cannot_sign(calling, service):
    officer = principal(Kind.STAFF, "s-nobody", service.institution, "records-officer")
    async with calling(officer) as client:
        answer = await client.post(f"/v1/erasures/{NAME}-0/answer", json={"ground": "none"})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"ground": "because"}',
        b'{"ground": "none", "since": -1}',
        b'{"ground": "none", "more": 1}',
        b'{"ground": "order", "evidence": "xx"}',
        b"[" * 5_000,
    ],
)
async def test_what_is_no_answer_is_refused(calling, operator, body):
    async with calling(operator) as client:
        answer = await client.post(
            f"/v1/erasures/{NAME}-0/answer",
            content=body,
            headers={"Content-Type": "application/json"},
        )
    assert answer.status_code in (400, 413, 422)


async def test_nobody_comes_near_it_without_signing_in(api):
    assert (await api.post(f"/v1/erasures/{NAME}-0/destroy")).status_code == 401


def test_what_a_patient_wants_of_a_record_becomes_one_call():
    found = Pointer(**pointer())
    shown = Shown(found, {"root": b"r"})
    call_ = call_of(Erase(NAME), found.subject, shown)
    assert (call_.contract, call_.method) == ("erasure", "ask")
    assert call_.arguments == {"pointer": found.value(), "proof": {"root": b"r"}}
    call_ = call_of(Dispute(NAME, "outdated", NAME), found.subject, shown)
    assert (call_.contract, call_.method) == ("corrections", "dispute")
    assert call_.arguments["statement"] == bytes.fromhex(NAME)
    assert call_of(Keep("e"), "p").arguments == {"erasure": "e"}
    assert call_of(Settle("d"), "p").arguments == {"dispute": "d"}
    for act in (Erase(NAME), Dispute(NAME, "other", NAME)):
        with pytest.raises(LookupError):
            call_of(act, "p")
