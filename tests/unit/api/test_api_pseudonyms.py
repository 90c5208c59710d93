"""The routes about pseudonyms: what they take, whom they refuse, what they show."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from ledger.api.principal import SCOPE_KEY, Kind, Principal
from ledger.chain.ceremonies import Epoch
from ledger.crypto.oprf import group
from ledger.crypto.oprf.threshold import Holders
from ledger.crypto.oprf.voprf import Evaluation
from ledger.node.pseudonyms.asker import Gathered

POINT = group.base(group.of_int(5))
GOOD = {"domain": "patients.1", "elements": [POINT.hex()]}


def epoch() -> Epoch:
    holders = Holders(POINT, 1, {1: POINT, 2: POINT})
    return Epoch("patients.1", 1, 1, holders, {1: "a", 2: "b"}, {1: "A", 2: "B"}, 0, b"", ())


def gathered(answers: dict[int, Evaluation]) -> Gathered:
    return Gathered(epoch(), answers, {"b": "quota"}, ("a",), 7)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({**GOOD, "elements": []}, 422),
        ({**GOOD, "elements": [POINT.hex()] * 257}, 422),
        ({**GOOD, "elements": ["00" * 32]}, 422),
        ({**GOOD, "elements": ["ff" * 32]}, 422),
        ({**GOOD, "elements": [POINT.hex().upper()]}, 422),
        ({**GOOD, "elements": [POINT.hex() + "\n"]}, 422),
        ({**GOOD, "domain": "patients/1"}, 422),
        ({**GOOD, "domain": "x.1"}, 422),
        ({**GOOD, "more": 1}, 422),
        (GOOD, 404),
    ],
)
async def test_what_is_not_a_good_question_is_refused(api, body: Any, status: int) -> None:
    assert (await api.post("/v1/pseudonyms/evaluate", json=body)).status_code == status


async def test_answers_are_shown_with_their_proofs(api, service, monkeypatch) -> None:
    async def evaluate(domain: str, elements: Any) -> Gathered:
        assert (domain, list(elements)) == ("patients.1", [POINT])
        return gathered({1: Evaluation((POINT,), bytes(64))})

    monkeypatch.setattr(service, "evaluate", evaluate)
    answer = (await api.post("/v1/pseudonyms/evaluate", json=GOOD)).json()
    assert answer["answers"] == [
        {"index": 1, "node": "a", "elements": [POINT.hex()], "proof": "00" * 64}
    ]
    assert (answer["refusals"], answer["cheats"], answer["left"]) == ({"b": "quota"}, ["a"], 7)


async def test_too_few_answers_are_a_problem_that_names_who_gave_none(
    api, service, monkeypatch
) -> None:
    async def evaluate(domain: str, elements: Any) -> Gathered:
        return gathered({})

    monkeypatch.setattr(service, "evaluate", evaluate)
    response = await api.post("/v1/pseudonyms/evaluate", json=GOOD)
    assert response.status_code == 424
    assert response.json()["code"] == "too-few-answers"
    assert response.json()["refusals"] == {"b": "quota"}


async def test_a_ceremony_that_the_contract_refuses_is_a_problem(api) -> None:
    response = await api.post("/v1/pseudonyms/ceremonies", json={"domain": "patients.9"})
    assert (response.status_code, response.json()["code"]) == (409, "ceremony-refused")


async def test_the_keys_are_shown(api) -> None:
    assert (await api.get("/v1/pseudonyms")).json() == {
        "generation": 1, "keys": [], "ceremonies": []
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "roles", "institution", "status"),
    [
        (Kind.PATIENT, ("patient",), "", 403),
        (Kind.STAFF, ("physician",), "here", 403),
        (Kind.STAFF, ("physician", "registrar"), "here", 404),
        (Kind.STAFF, ("physician", "registrar"), "elsewhere", 403),
        (Kind.STAFF, ("records-officer",), "here", 404),
        (Kind.SYSTEM, (), "here", 404),
        (Kind.SYSTEM, (), "elsewhere", 403),
        (Kind.OPERATOR, ("records",), "", 404),
    ],
)
async def test_who_has_signed_in_asks_only_as_one_who_registers_patients(
    app, service, kind: Kind, roles: tuple[str, ...], institution: str, status: int
) -> None:
    place = service.institution if institution == "here" else institution
    principal = Principal(kind, "x", place, roles, (), "s", "oidc")

    async def signed_in(scope: Any, receive: Any, send: Any) -> None:
        scope[SCOPE_KEY] = principal
        await app(scope, receive, send)

    transport = httpx.ASGITransport(app=signed_in)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.post("/v1/pseudonyms/evaluate", json=GOOD)).status_code == status
