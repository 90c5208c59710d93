"""What a clinic's desk does for patients, and what it cannot do alone."""

from __future__ import annotations

import pytest

from ledger.api.desk import PATIENCE_S, Waiting
from ledger.api.principal import Kind, Principal
from ledger.chain.transaction import Call
from tests.support.authenticator import Authenticator
from tests.unit.passkeys.conftest import FORM, NEWCOMER, SEEN, staff

CONSENT = {"act": "permit", "purposes": ["TREAT"], "institutions": ["south"]}


@pytest.fixture(autouse=True)
def _times(clock, service):
    clock.passed = service.head().time / 1000 - clock.now() + clock.passed


async def enrolled(counter, registrar) -> None:
    await counter.enrols(registrar)


async def test_an_enrolment_is_on_the_chain_without_the_code(counter, registrar, service) -> None:
    given = {"subject": NEWCOMER, "document": "passport", "evidence": SEEN}
    done = await counter.ask(registrar, "POST", "/v1/desk/enrolments", given)
    assert len(done["code"]) == 11
    check = await service.query("enrolment", "check", {"subject": NEWCOMER})
    assert check.value["by"] == [registrar.id]
    assert check.value["document"] == "passport"
    block = service.block(done["height"])
    assert all(done["code"].replace("-", "").encode() not in raw for raw in block.transactions)


async def test_who_comes_again_gets_another_code(counter, registrar) -> None:
    first = await counter.enrols(registrar)
    second = await counter.enrols(registrar)
    assert first != second


OTHERS = [
    None,
    Principal(Kind.PATIENT, NEWCOMER, "", ("patient",), (), "s", "passkey"),
    Principal(Kind.STAFF, "x", "east", ("physician",), (), "s", "oidc"),
    Principal(Kind.STAFF, "x", "south", ("registrar",), (), "s", "oidc"),
    Principal(Kind.OPERATOR, "x", "east", ("registrar",), (), "s", "token"),
]


async def test_only_registrars_of_this_clinic_enrol(counter, registrar) -> None:
    given = {"subject": NEWCOMER, "document": "passport", "evidence": SEEN}
    for who in OTHERS:
        status = 401 if who is None else 403
        await counter.ask(who, "POST", "/v1/desk/enrolments", given, status)


async def test_the_contract_has_the_last_word(counter, registrar) -> None:
    given = {"subject": NEWCOMER, "document": "library-card", "evidence": SEEN}
    problem = await counter.ask(registrar, "POST", "/v1/desk/enrolments", given, 422)
    assert problem["error"].startswith("unknown_document")


async def test_a_registrar_whose_key_is_not_held_does_nothing(counter, registrar, service) -> None:
    service.custody.clear()
    given = {"subject": NEWCOMER, "document": "passport", "evidence": SEEN}
    await counter.ask(registrar, "POST", "/v1/desk/enrolments", given, 403)


async def test_a_consent_on_paper_takes_two_people(counter, registrar, physician, service) -> None:
    await enrolled(counter, registrar)
    given = {"subject": NEWCOMER, "act": CONSENT, "form": FORM}
    entry = await counter.ask(registrar, "POST", "/v1/desk/declarations", given)
    assert entry["summary"]["whole"]
    assert "south" in entry["summary"]["en"]
    listed = await counter.ask(physician, "GET", "/v1/desk/declarations")
    assert listed["waiting"] == [entry]
    assert (await service.query("consent", "active", {"subject": NEWCOMER})).value == []
    path = f"/v1/desk/declarations/{entry['id']}/witness"
    await counter.ask(registrar, "POST", path, status=403)
    await counter.ask(physician, "POST", path)
    (consent,) = (await service.query("consent", "active", {"subject": NEWCOMER})).value
    found = (await service.query("consent", "get", {"id": consent["consent"]})).value
    assert found["given_by"] == [registrar.id, physician.id]
    assert found["form"] == bytes.fromhex(FORM)
    await counter.ask(physician, "POST", path, status=404)


async def test_an_entry_can_be_dropped_and_is_gone(counter, registrar, physician) -> None:
    given = {"subject": NEWCOMER, "act": CONSENT, "form": FORM}
    entry = await counter.ask(registrar, "POST", "/v1/desk/declarations", given)
    await counter.ask(physician, "DELETE", f"/v1/desk/declarations/{entry['id']}", status=204)
    assert (await counter.ask(physician, "GET", "/v1/desk/declarations"))["waiting"] == []


async def test_an_entry_that_the_chain_refuses_still_waits(counter, registrar, physician) -> None:
    given = {"subject": "p-" + "9" * 32, "act": CONSENT, "form": FORM}
    entry = await counter.ask(registrar, "POST", "/v1/desk/declarations", given)
    path = f"/v1/desk/declarations/{entry['id']}/witness"
    await counter.ask(physician, "POST", path, status=422)
    assert (await counter.ask(physician, "GET", "/v1/desk/declarations"))["waiting"] == [entry]


async def test_only_consents_are_declared_on_paper(counter, registrar) -> None:
    given = {"subject": NEWCOMER, "act": {"act": "stop-recovery"}, "form": FORM}
    await counter.ask(registrar, "POST", "/v1/desk/declarations", given, 422)


async def test_a_lost_key_is_replaced_with_a_witness_and_later(
    counter, page, registrar, physician, hers, service
) -> None:
    await page.register(hers, NEWCOMER, await counter.enrols(registrar))
    given = {"subject": NEWCOMER, "document": "passport", "evidence": SEEN, "form": FORM}
    entry = await counter.ask(registrar, "POST", "/v1/desk/recoveries", given)
    path = f"/v1/desk/declarations/{entry['id']}/witness"
    done = await counter.ask(physician, "POST", path)
    new = Authenticator("new phone")
    registered = await page.register(new, NEWCOMER, done["code"])
    assert registered["counts"] >= service.head().time + 71 * 3_600_000
    await page.sign_in(new, NEWCOMER, 401)
    # She still has the old one after all, and sees it on her page.
    await page.sign_in(hers, NEWCOMER)
    overview = (await page.api.get("/v1/patient")).json()
    assert overview["recovery"] == {"institution": "east", "due": registered["counts"]}
    _, outcome = await page.declare(hers, {"act": "stop-recovery"})
    assert outcome["ok"], outcome
    assert (await page.api.get("/v1/patient")).json()["recovery"] is None


async def test_a_replacement_takes_effect_when_it_signs_in_after_three_days(
    counter, page, registrar, physician, hers, service, consent
) -> None:
    await page.register(hers, NEWCOMER, await counter.enrols(registrar))
    given = {"subject": NEWCOMER, "document": "passport", "evidence": SEEN, "form": FORM}
    entry = await counter.ask(registrar, "POST", "/v1/desk/recoveries", given)
    path = f"/v1/desk/declarations/{entry['id']}/witness"
    new = Authenticator("new phone")
    code = (await counter.ask(physician, "POST", path))["code"]
    await page.register(new, NEWCOMER, code)
    service.block_ms = 72 * 3_600_000
    await service.submit([consent().raw])
    await service.commit()
    # The old one can still stop it.
    await page.sign_in(hers, NEWCOMER)
    page.api.cookies.clear()
    await page.sign_in(new, NEWCOMER)
    page.api.cookies.clear()
    await page.sign_in(hers, NEWCOMER, 401)


async def test_a_witness_whose_key_is_not_held_is_none(counter, registrar, consortium) -> None:
    given = {"subject": NEWCOMER, "act": CONSENT, "form": FORM}
    entry = await counter.ask(registrar, "POST", "/v1/desk/declarations", given)
    other = Principal(Kind.STAFF, "nobody", "east", ("nurse",), (), "s", "oidc")
    path = f"/v1/desk/declarations/{entry['id']}/witness"
    await counter.ask(other, "POST", path, status=403)
    assert staff(consortium, "east-physician").id != other.id


def test_an_entry_waits_for_an_hour() -> None:
    now = 0.0
    waiting = Waiting(lambda: now)
    call = Call("consent", "withdraw", {"id": "c"})
    entry = waiting.add("registrar", NEWCOMER, FORM, call, call)
    now = PATIENCE_S - 1
    assert waiting.all() == [entry]
    now = PATIENCE_S
    assert waiting.all() == []
