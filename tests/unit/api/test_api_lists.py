"""Lists over HTTP: whole, in pages, proven, and only for those whom they concern."""

from __future__ import annotations

from contextlib import asynccontextmanager

import httpx
import msgspec
import pytest

from ledger.api import lists
from ledger.api.principal import Kind
from ledger.chain.codec import encode
from ledger.chain.disclosures import DisclosureFile, verify_disclosures
from ledger.chain.genesis import read_genesis
from ledger.chain.handover import InvalidProof
from ledger.chain.result import CallResult
from ledger.client.builder import build, call
from ledger.client.verify import trust_in
from tests.support.contracts import REPLY_KEY, pointer
from tests.support.fhir import SignedIn, principal
from tests.support.openapi import CheckedTransport


@pytest.fixture
def trust(consortium):
    return trust_in(read_genesis(consortium.home / "genesis.json"))


@pytest.fixture
def physician(consortium) -> str:
    return consortium.people["east-physician"].id


@pytest.fixture
def ask(service, consortium, pseudonym, tmp_path):
    """Asks for a record so many times, each in a block of its own; gives the decisions' ids."""
    service.keep_lists(tmp_path / "reading.db")
    account = consortium.account("east-physician")
    record = pointer(subject=pseudonym, holder="south")

    async def run(times: int) -> list[str]:
        ids = []
        for _ in range(times):
            asking = {
                "pointer": record, "proof": {}, "purpose": "TREAT", "institution": "east",
                "reply_key": REPLY_KEY,
            }  # fmt: skip
            calls = [call("access", "request", **asking)]
            made = build(service.chain, service.head().height, 100, calls, [account])
            await service.submit([made.raw])
            await service.commit()
            ids.append(f"{made.id.hex()}-0")
        return ids

    return run


@pytest.fixture
def calling(app):
    transport = CheckedTransport(app)
    app_of = transport._served.app

    @asynccontextmanager
    async def run(who):
        transport._served.app = SignedIn(app_of, who)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client

    return run


def staff(person: str, institution: str, *roles: str):
    return principal(Kind.STAFF, person, institution, *roles)


async def test_a_patient_sees_all_that_she_was_told_of_in_pages(calling, ask, pseudonym):
    ids = await ask(5)
    async with calling(principal(Kind.PATIENT, pseudonym)) as client:
        found, query = [], {"subject": pseudonym, "limit": 2}
        while True:
            page = (await client.get("/v1/disclosures", params=query)).json()
            found += page["disclosures"]
            if page["cursor"] is None:
                break
            query["cursor"] = page["cursor"]
    assert [one["id"] for one in found] == ids[::-1]
    assert [one["entry"] for one in found] == [4, 3, 2, 1, 0]
    assert {(one["outcome"], one["rule"]) for one in found} == {("deny", "access:record-unknown")}


async def test_her_list_is_proven_to_be_whole(calling, ask, pseudonym, trust, service):
    await ask(5)
    async with calling(principal(Kind.PATIENT, pseudonym)) as client:
        query = {"subject": pseudonym, "proof": True}
        page = (await client.get("/v1/disclosures", params=query)).json()
        file = msgspec.convert(page["proof"], DisclosureFile)
        proven = verify_disclosures(file, trust, pseudonym, at_least=service.head().height)
        assert proven.complete
        assert proven.total == 5
        assert [entry.said["id"] for entry in proven.entries] == [
            one["id"] for one in page["disclosures"][::-1]
        ]
        query |= {"limit": 2, "cursor": "4"}
        part = (await client.get("/v1/disclosures", params=query)).json()
        middle = msgspec.convert(part["proof"], DisclosureFile)
        proven = verify_disclosures(middle, trust, pseudonym)
        assert (proven.first, len(proven.entries), proven.total) == (2, 2, 5)
        assert not proven.complete
    for broken in (
        msgspec.structs.replace(file, entries=file.entries[:-1]),
        msgspec.structs.replace(file, entries=file.entries[::-1]),
        msgspec.structs.replace(middle, entries=file.entries[:2]),
        msgspec.structs.replace(file, statement=middle.statement, first=1),
        msgspec.structs.replace(file, format="x"),
        msgspec.structs.replace(file, entries=("AA",)),
    ):
        with pytest.raises(InvalidProof):
            verify_disclosures(broken, trust, pseudonym)
    with pytest.raises(InvalidProof, match="older"):
        verify_disclosures(file, trust, pseudonym, at_least=service.head().height + 1)
    with pytest.raises(InvalidProof, match="another patient"):
        verify_disclosures(file, trust, "p-" + "0" * 32)


async def test_that_nothing_was_asked_is_proven_too(calling, ask, trust, service):
    await ask(1)
    nobody = "p-" + "0" * 32
    async with calling(principal(Kind.PATIENT, nobody)) as client:
        query = {"subject": nobody, "proof": True}
        page = (await client.get("/v1/disclosures", params=query)).json()
    assert page["disclosures"] == []
    proven = verify_disclosures(msgspec.convert(page["proof"], DisclosureFile), trust, nobody)
    assert proven.complete
    assert proven.total == 0


async def test_staff_see_what_they_did_and_officers_what_concerns_their_institution(
    calling, ask, physician
):
    ids = await ask(3)
    for who, query in (
        (staff(physician, "east", "physician"), {"person": physician}),
        (staff("s-1", "east", "records-officer"), {"institution": "east"}),
        (staff("s-2", "south", "supervisor"), {"holder": "south"}),
        (staff("s-3", "board", "auditor"), {"person": physician}),
        (staff("s-3", "board", "auditor"), {"institution": "east"}),
    ):
        async with calling(who) as client:
            first = (await client.get("/v1/disclosures", params=query | {"limit": 2})).json()
            rest = {"cursor": first["cursor"], "limit": 2}
            second = (await client.get("/v1/disclosures", params=query | rest)).json()
        found = first["disclosures"] + second["disclosures"]
        assert [one["id"] for one in found] == ids[::-1]
        assert second["cursor"] is None


@pytest.mark.parametrize(
    ("kind", "roles", "query"),
    [
        (Kind.PATIENT, (), {"subject": "p-other"}),
        (Kind.PATIENT, (), {"person": "p-self"}),
        (Kind.PATIENT, (), {"institution": "east"}),
        (Kind.STAFF, ("physician",), {"subject": "p-self"}),
        (Kind.STAFF, ("physician",), {"person": "s-other"}),
        (Kind.STAFF, ("physician",), {"institution": "east"}),
        (Kind.STAFF, ("records-officer",), {"institution": "south"}),
        (Kind.STAFF, ("records-officer",), {"holder": "south"}),
        (Kind.STAFF, ("records-officer",), {"subject": "p-self"}),
        (Kind.STAFF, ("records-officer",), {"person": "s-other"}),
        (Kind.SYSTEM, ("records-officer",), {"institution": "east"}),
        (Kind.OPERATOR, ("auditor",), {"institution": "east"}),
    ],
)
async def test_the_lists_of_others_are_for_others(calling, ask, kind, roles, query):
    await ask(1)
    place = "" if kind is Kind.PATIENT else "east"
    async with calling(principal(kind, "p-self", place, *roles)) as client:
        for path in ("disclosures", "emergencies"):
            if "holder" not in query or path == "disclosures":
                answer = await client.get(f"/v1/{path}", params=query)
                assert answer.status_code == 403, (path, answer.text)
        answer = await client.get("/v1/findings")
        assert answer.status_code == 403
        answer = await client.get("/v1/consents", params={"subject": "p-other"})
        assert answer.status_code == 403


async def test_nobody_sees_a_list_without_signing_in(api, ask, pseudonym):
    await ask(1)
    for path in ("disclosures", "emergencies", "consents"):
        answer = await api.get(f"/v1/{path}", params={"subject": pseudonym})
        assert answer.status_code == 401
    assert (await api.get("/v1/findings")).status_code == 401


async def test_looking_at_what_others_did_is_written_down(
    calling, ask, pseudonym, physician, monkeypatch
):
    await ask(1)
    noted = []
    monkeypatch.setattr(
        lists, "note_reading", lambda _request, who, what: noted.append((who.id, what))
    )
    async with calling(staff("s-a", "board", "auditor")) as client:
        await client.get("/v1/disclosures", params={"subject": pseudonym})
        await client.get("/v1/disclosures", params={"institution": "east"})
        await client.get("/v1/findings")
    own = principal(Kind.PATIENT, pseudonym), staff(physician, "east", "physician")
    for who, query in zip(own, ({"subject": pseudonym}, {"person": physician}), strict=True):
        async with calling(who) as client:
            assert (await client.get("/v1/disclosures", params=query)).status_code == 200
    assert noted == [
        ("s-a", f"disclosures subject={pseudonym}"),
        ("s-a", "disclosures institution=east"),
        ("s-a", "findings"),
    ]


async def test_consents_findings_and_emergencies_answer(calling, ask, service, consent, pseudonym):
    await ask(1)
    given = consent("c-listed")
    await service.submit([given.raw])
    await service.commit()
    async with calling(principal(Kind.PATIENT, pseudonym)) as client:
        page = (await client.get("/v1/consents", params={"subject": pseudonym})).json()
        assert [one["id"] for one in page["consents"]] == ["c-listed"]
        assert page["height"] == service.head().height
        page = (await client.get("/v1/emergencies", params={"subject": pseudonym})).json()
        assert page["emergencies"] == []
    async with calling(staff("s-a", "board", "auditor")) as client:
        page = (await client.get("/v1/findings", params={"kind": "review-overdue"})).json()
        assert page == {"height": service.head().height, "findings": [], "cursor": None}


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("disclosures", {}),
        ("disclosures", {"subject": "p-x", "person": "s-x"}),
        ("disclosures", {"subject": "p-x", "cursor": "x"}),
        ("disclosures", {"subject": "p-x", "cursor": "-1"}),
        ("disclosures", {"subject": "p-x", "cursor": "9" * 60}),
        ("disclosures", {"person": "s-x", "proof": True}),
        ("disclosures", {"institution": "east", "cursor": "c0ffee00.1.1"}),
        ("disclosures", {"institution": "east", "limit": 0}),
        ("disclosures", {"institution": "east", "limit": 1_001}),
        ("disclosures", {"institution": "east", "since": -1}),
        ("emergencies", {"subject": "p-x", "institution": "east"}),
        ("findings", {"kind": "other"}),
        ("findings", {"kind": "consensus", "institution": "east"}),
        ("findings", {"cursor": "9.9.9"}),
        ("consents", {}),
    ],
)
async def test_what_cannot_be_asked_is_refused(calling, ask, path, query):
    await ask(1)
    async with calling(staff("s-a", "board", "auditor")) as client:
        answer = await client.get(f"/v1/{path}", params=query)
    assert answer.status_code == 422, answer.text


async def test_a_node_without_an_index_says_so(calling, pseudonym):
    async with calling(principal(Kind.PATIENT, pseudonym)) as client:
        answer = await client.get("/v1/disclosures", params={"subject": pseudonym})
    assert answer.status_code == 503
    assert answer.json()["code"] == "not-ready"


async def test_a_list_that_is_behind_is_not_given(calling, ask, pseudonym, service, monkeypatch):
    await ask(1)
    monkeypatch.setattr(lists, "PATIENCE_S", 0.01)
    reading, service.reading = service.reading, None
    await service.commit()
    service.reading = reading
    async with calling(principal(Kind.PATIENT, pseudonym)) as client:
        answer = await client.get("/v1/disclosures", params={"subject": pseudonym})
        assert answer.status_code == 503
        await reading.follower.catch_up()
        answer = await client.get("/v1/disclosures", params={"subject": pseudonym})
        assert answer.status_code == 200


async def test_she_sees_the_log_of_her_other_pseudonym_and_of_her_child(
    calling, ask, service, pseudonym, monkeypatch
):
    await ask(1)
    mother = principal(Kind.PATIENT, "p-" + "e" * 32)
    query = {"subject": pseudonym}
    read, question = service.state, service.query
    async with calling(mother) as client:
        assert (await client.get("/v1/disclosures", params=query)).status_code == 403
        related = {f"access/related/{pseudonym}".encode(): encode([mother.id, pseudonym])}
        monkeypatch.setattr(service, "state", lambda key, *more: related.get(key) or read(key))
        assert (await client.get("/v1/disclosures", params=query)).status_code == 200
        related.clear()
        assert (await client.get("/v1/disclosures", params=query)).status_code == 403

        async def speaks(contract, method, arguments, *more):
            if (contract, method) != ("guardianship", "voice"):
                return await question(contract, method, arguments, *more)
            assert arguments == {"subject": pseudonym, "person": mother.id}
            return CallResult(True, "", {"standing": "speaks"}, 1, ())

        monkeypatch.setattr(service, "query", speaks)
        assert (await client.get("/v1/disclosures", params=query)).status_code == 200
        assert (await client.get("/v1/findings")).status_code == 403
