"""Consents over FHIR: declared, read, found, withdrawn, and followed through their history."""

import base64
import hashlib
import json

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from ledger.api import blocks, documentation, problems
from ledger.api.fhir import errors, facade, openapi
from ledger.api.fhir.consentoffer import consent_offer
from ledger.chain.codec import decode, encode
from ledger.chain.tokens import LabelKey
from ledger.chain.transaction import Body, Envelope
from ledger.client.builder import build, call
from ledger.crypto import hashing
from ledger.fhir import consentview
from ledger.fhir.labels import ACT_CODE_SYSTEM
from ledger.node.answers import Archived
from tests.support.fhir import SignedIn
from tests.support.fhir_consents import People, consent, permit
from tests.support.fhir_models import R5, validate
from tests.support.openapi import CheckedTransport

JSON = "application/fhir+json"
FORM = hashlib.sha256(b"a scanned form").hexdigest()


@pytest.fixture
def people(consortium, service):
    return People(consortium, service)


@pytest.fixture
def app(service):
    """The routes of consents alone: making the whole application takes a while."""
    app = FastAPI(title="Consents", version="0", redirect_slashes=False)
    offers = [consent_offer(service)]
    app.include_router(facade.router(offers, service))
    app.include_router(blocks.router(service))  # a document without models is none
    problems.install(app, service.damaged)
    errors.install(app)
    app.add_middleware(errors.OutcomeFace)
    documentation.install(app, protected=False, schemas=openapi.schemas(offers))
    return app


@pytest.fixture
def signed_in(app, people):
    return SignedIn(app, people.patient)


@pytest.fixture
async def fhir(app, signed_in):
    """Every answer is held against the OpenAPI document, every resource against its model."""

    class Validating(CheckedTransport):
        def check(self, request, response):
            super().check(request, response)
            if response.content:
                release = R5 if "fhirVersion=5.0" in response.headers["content-type"] else "4.0"
                validate(response.json(), release)

    transport = Validating(app)
    transport._served = httpx.ASGITransport(app=signed_in, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost/fhir/") as client:
        yield client


@pytest.fixture
def act(service, people):
    """Makes somebody's transaction final, around FHIR."""

    async def done(who, contract, method, **arguments):
        told = call(contract, method, **arguments)
        names = who if isinstance(who, tuple) else (who,)
        accounts = [people.accounts[name] for name in names]
        made = build(service.chain, service.head().height, 100, [told], accounts)
        (submission,) = await service.submit([made.raw])
        assert submission.accepted, submission
        await service.commit()
        (result,) = service.outcome(made.id)[2].calls
        assert result.ok, result.error

    return done


async def post(fhir, resource, **headers):
    headers = {"Content-Type": JSON, **headers}
    return await fhir.post("Consent", content=json.dumps(resource), headers=headers)


def unsigned(resource):
    """What the resource asks to be signed: the body, the id."""
    (found,) = [each for each in resource["extension"]
                if each["url"] == consentview.UNSIGNED_EXTENSION]  # fmt: skip
    parts = {each["url"]: each for each in found["extension"]}
    return base64.b64decode(parts["body"]["valueBase64Binary"]), parts["id"]["valueString"]


def signature(people, who, body):
    return people.accounts[who].key.sign(hashing.TRANSACTION(body))


def parameters(name, value):
    text = base64.b64encode(value).decode()
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": name, "valueBase64Binary": text}],
    }


async def sign(fhir, people, proposed, who=None):
    body, _ = unsigned(proposed)
    signed = signature(people, who or people.pieter, body)
    url = f"Consent/{proposed['id']}/$sign"
    return await fhir.post(url, json=parameters("signature", signed))


async def declared(fhir, people, *provisions, **more):
    proposed = (await post(fhir, consent(people.pieter, *provisions, **more))).json()
    answer = await sign(fhir, people, proposed)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(response, status, code, *paths):
    assert response.status_code == status, response.text
    issues = response.json()["issue"]
    assert issues[0]["code"] == code
    named = {path for issue in issues for path in issue.get("expression", ())}
    assert set(paths) <= named
    return issues[0].get("diagnostics", "")


async def found(fhir, **query):
    bundle = (await fhir.get("Consent", params=query)).json()
    return [entry["resource"]["id"] for entry in bundle.get("entry", ())]


# --- declaring --------------------------------------------------------------------------------


async def test_a_patient_declares_by_her_own_signature(fhir, people, service):
    answer = await post(fhir, consent(people.pieter))
    assert answer.status_code == 202
    proposed = answer.json()
    assert proposed["status"] == "proposed"
    assert answer.headers["location"].endswith(f"/fhir/Consent/{proposed['id']}/_history/0")
    assert (await fhir.get(f"Consent/{proposed['id']}")).json() == proposed
    assert service.state(f"consent/consents/{proposed['id']}".encode()) is None

    body, identity = unsigned(proposed)
    (asked,) = decode(body, Body, limit=1 << 20).calls
    assert (asked.contract, asked.method) == ("consent", "adopt")
    assert asked.arguments["subject"] == people.pieter

    active = (await sign(fhir, people, proposed)).json()
    assert active["status"] == "active"
    assert active["id"] == proposed["id"]
    assert active["provision"] == proposed["provision"]
    assert "extension" not in active or unsigned not in active["extension"]
    assert service.outcome(bytes.fromhex(identity))[2].ok


async def test_what_was_prepared_can_be_sent_as_any_transaction(fhir, people, service):
    proposed = (await post(fhir, consent(people.pieter))).json()
    body, _ = unsigned(proposed)
    raw = encode(Envelope(body, (signature(people, people.pieter, body),)))
    (submission,) = await service.submit([raw])
    assert submission.accepted
    await service.commit()
    active = (await fhir.get(f"Consent/{proposed['id']}")).json()
    assert active["status"] == "active"


async def test_the_hash_of_what_was_sent_is_on_the_chain(fhir, people):
    resource = consent(people.pieter)
    raw = json.dumps(resource, indent=1).encode()
    answer = await fhir.post("Consent", content=raw, headers={"Content-Type": JSON})
    active = (await sign(fhir, people, answer.json())).json()
    sources = [each["valueString"] for each in active["extension"]
               if each["url"] == consentview.SOURCE_EXTENSION]  # fmt: skip
    assert sources == [hashlib.sha256(raw).hexdigest()]


@pytest.mark.parametrize("part", ["signature", "transaction"])
async def test_a_wrong_signature_declares_nothing(fhir, people, part):
    proposed = (await post(fhir, consent(people.pieter))).json()
    body, _ = unsigned(proposed)
    wrong = signature(people, people.roel, body)
    value = wrong if part == "signature" else encode(Envelope(body, (wrong,)))
    answer = await fhir.post(f"Consent/{proposed['id']}/$sign", json=parameters(part, value))
    assert "bad_signature" in refused(answer, 422, "processing")
    assert (await fhir.get(f"Consent/{proposed['id']}")).json() == proposed


async def test_another_transaction_is_not_what_was_prepared(fhir, people, service):
    proposed = (await post(fhir, consent(people.pieter))).json()
    told = call("consent", "grant", id="c-x", subject=people.pieter, scope={"purposes": ["TREAT"]})
    other = build(service.chain, 0, 100, [told], [people.accounts[people.pieter]])
    url = f"Consent/{proposed['id']}/$sign"
    refused(await fhir.post(url, json=parameters("transaction", other.raw)), 422, "invalid")


SIGNING_NOTHING = (
    None, {}, {"parameter": 5}, {"parameter": ["x"]}, {"parameter": [{"name": "signature"}]},
    {"parameter": [{"name": "signature", "valueBase64Binary": "%"}]},
    {"parameter": [{"name": ["signature"], "valueBase64Binary": "AA=="}]},
    {"parameter": [{"name": "signature", "valueBase64Binary": "AA=="}] * 2},
    {"parameter": [{"name": "word", "valueBase64Binary": "AA=="}]},
)  # fmt: skip


async def test_parameters_that_sign_nothing(fhir, people):
    proposed = (await post(fhir, consent(people.pieter))).json()
    for sent in SIGNING_NOTHING:
        kwargs = {} if sent is None else {"json": {"resourceType": "Parameters", **sent}}
        answer = await fhir.post(f"Consent/{proposed['id']}/$sign", **kwargs)
        assert answer.status_code == 400, sent


async def test_a_consent_that_asks_back_names_the_element(fhir, people):
    untyped = consent(people.pieter)
    untyped["provision"] = {"actor": permit()["actor"]}
    refused(await post(fhir, untyped), 422, "business-rule", "Consent.provision.type")
    nobody = consent(people.pieter, permit("nowhere"))
    refused(
        await post(fhir, nobody), 422, "business-rule",
        "Consent.provision.provision[0].actor[0].reference",
    )  # fmt: skip
    refused(await post(fhir, {"resourceType": "Consent"}), 403, "forbidden", "Consent.patient")
    broken = {**consent(people.pieter), "dateTime": "yesterday", "colour": "red"}
    refused(await post(fhir, broken), 400, "structure", "Consent.dateTime", "Consent.colour")


async def test_what_was_read_narrowly_is_said_on_request(fhir, people):
    sent = consent(people.pieter, permit())
    answer = await post(fhir, sent, Prefer="return=OperationOutcome")
    assert answer.status_code == 202
    paths = [path for issue in answer.json()["issue"] for path in issue["expression"]]
    assert "Consent.provision.securityLabel" in paths


async def test_nobody_declares_for_another(fhir, people, signed_in):
    refused(await post(fhir, consent(people.roel)), 403, "forbidden", "Consent.patient")
    nobody = await post(fhir, consent("p-" + "0" * 32))
    somebody = await post(fhir, consent(people.roel))
    assert nobody.json() == somebody.json()
    for who in (people.system, people.physician):
        signed_in.who = who
        refused(await post(fhir, consent(people.pieter)), 403, "forbidden")


async def test_a_patient_may_have_several_keys_and_names_one(fhir, people, service, act):
    key = {"url": "urn:health-ledger:extension:signing-key", "valueString": "01" + "0" * 64}
    answer = await post(fhir, {**consent(people.pieter), "extension": [key]})
    refused(answer, 422, "required", "Consent.extension")
    key["valueString"] = people.accounts[people.pieter].id
    assert (await post(fhir, {**consent(people.pieter), "extension": [key]})).status_code == 202


async def test_the_performer_is_who_signs(fhir, people):
    performer = [{"reference": f"Patient/{people.roel}"}]
    answer = await post(fhir, consent(people.pieter, performer=performer))
    refused(answer, 422, "business-rule", "Consent.performer")


async def test_open_proposals_are_bounded(fhir, people, monkeypatch):
    monkeypatch.setattr("ledger.api.fhir.proposals.MAX_OF_ONE", 2)
    for _ in range(2):
        assert (await post(fhir, consent(people.pieter))).status_code == 202
    refused(await post(fhir, consent(people.pieter)), 429, "throttled")


async def test_a_conditional_create_finds_what_is_there(fhir, people):
    first = await declared(fhir, people)
    condition = {"If-None-Exist": f"patient={people.pieter}&actor=Organization/east"}
    again = await post(fhir, consent(people.pieter), **condition)
    assert (again.status_code, again.json()["id"]) == (200, first["id"])


# --- by a paper form --------------------------------------------------------------------------


def with_form(resource):
    extension = {"url": consentview.FORM_EXTENSION, "valueString": FORM}
    return {**resource, "extension": [extension]}


async def test_a_paper_form_takes_a_registrar_and_a_witness(fhir, people, signed_in):
    signed_in.who = people.registrar
    refused(await post(fhir, consent(people.pieter)), 422, "required", "Consent.sourceAttachment")
    answer = await post(fhir, with_form(consent("f001")))
    assert answer.status_code == 202
    name = answer.json()["id"]
    assert await found(fhir, status="proposed") == [name]
    refused(await fhir.post(f"Consent/{name}/$witness"), 403, "forbidden")
    refused(await fhir.post(f"Consent/{name}/$sign"), 422, "business-rule")

    signed_in.who = people.elsewhere
    refused(await fhir.post(f"Consent/{name}/$witness"), 404, "not-found")

    signed_in.who = people.physician
    active = (await fhir.post(f"Consent/{name}/$witness")).json()
    assert active["status"] == "active"
    assert active["patient"]["identifier"]["value"] == people.pieter
    by = [each["extension"][0]["valueReference"] for each in active["verification"]]
    seen_by = [each["identifier"]["value"] for each in by]
    assert seen_by == [people.registrar.id, people.physician.id]
    assert {"url": consentview.FORM_EXTENSION, "valueString": FORM} in active["extension"]
    refused(await fhir.post(f"Consent/{name}/$witness"), 404, "not-found")
    signed_in.who = people.patient
    assert (await fhir.get(f"Consent/{name}")).json()["status"] == "active"


async def test_a_scanned_form_is_hashed_and_nothing_is_believed_or_fetched(fhir, people, signed_in):
    signed_in.who = people.registrar
    data = base64.b64encode(b"a scanned form").decode()
    right = base64.b64encode(hashlib.sha1(b"a scanned form").digest()).decode()
    attachment = {"contentType": "application/pdf", "data": data, "url": "http://10.0.0.1/form"}
    answer = await post(
        fhir, consent(people.pieter, sourceAttachment={**attachment, "hash": right})
    )
    assert answer.status_code == 202
    assert {"url": consentview.FORM_EXTENSION, "valueString": FORM} in answer.json()["extension"]
    wrong = {**attachment, "hash": base64.b64encode(b"x" * 20).decode()}
    answer = await post(fhir, consent(people.pieter, sourceAttachment=wrong))
    refused(answer, 422, "invariant", "Consent.sourceAttachment.hash")
    answer = await post(fhir, consent(people.pieter, sourceAttachment={**attachment, "data": "?"}))
    refused(answer, 422, "value", "Consent.sourceAttachment.data")
    both = with_form(consent(people.pieter, sourceAttachment={"data": "AAAA"}))
    refused(await post(fhir, both), 422, "conflict")


async def test_a_registrar_of_another_hospital_sees_what_it_recorded(fhir, people, signed_in):
    signed_in.who = people.south
    name = (await post(fhir, with_form(consent(people.pieter)))).json()["id"]
    signed_in.who = people.elsewhere
    refused(await fhir.post(f"Consent/{name}/$witness"), 422, "business-rule")  # holds no key
    assert await found(fhir) == [name]
    signed_in.who = people.physician  # of the East Hospital, where nothing is final yet
    assert await found(fhir) == []


async def test_staff_cannot_propose_for_nobody(fhir, people, signed_in):
    signed_in.who = people.registrar
    for reference in ("p-" + "0" * 32, "f999"):
        answer = await post(fhir, with_form(consent(reference)))
        refused(answer, 422, "not-found", "Consent.patient")


# --- reading ----------------------------------------------------------------------------------


async def test_who_sees_a_consent_and_who_does_not(fhir, people, signed_in):
    name = (await declared(fhir, people))["id"]
    for who in (people.patient, people.physician, people.registrar, people.system):
        signed_in.who = who
        assert (await fhir.get(f"Consent/{name}")).status_code == 200
        assert await found(fhir) == [name]
        assert await found(fhir, patient=people.pieter) == [name]
    for who in (people.other, people.elsewhere, people.south):
        signed_in.who = who
        theirs, nothing = await fhir.get(f"Consent/{name}"), await fhir.get("Consent/c-0")
        refused(theirs, 404, "not-found")
        assert theirs.json() == nothing.json()
        for path in ("_history", "_history/1"):
            refused(await fhir.get(f"Consent/{name}/{path}"), 404, "not-found")
        counted = await fhir.get("Consent", params={"_summary": "count", "patient": people.pieter})
        assert counted.json()["total"] == 0
        assert await found(fhir) == []
        assert "entry" not in (await fhir.get("Consent/_history")).json()


async def test_a_guardian_sees_and_declares_for_the_child(fhir, people, signed_in, act, service):
    query = service.query

    async def voiced(contract, method, arguments, height=None, version=None):
        answer = await query(contract, method, arguments, height, version)
        if (contract, method) == ("guardianship", "voice"):
            speaks = arguments == {"subject": people.roel, "person": people.pieter}
            value = {"standing": "speaks" if speaks else "none", "until": 0}
            return msgspec.structs.replace(answer, ok=True, value=value)
        return answer

    service.query = voiced
    performer = [{"reference": f"Patient/{people.pieter}"}]
    answer = await post(fhir, consent(people.roel, performer=performer))
    assert answer.status_code == 202, answer.text
    assert await found(fhir, patient=people.roel) == [answer.json()["id"]]
    assert answer.json()["performer"][0]["identifier"]["value"] == people.pieter


async def test_a_patient_with_merged_names_sees_what_she_declared_under_each(
    fhir, people, signed_in, act, service
):
    scope = {"purposes": ["TREAT"]}
    await act(people.roel, "consent", "grant", id="c-roel", subject=people.roel, scope=scope)
    state, names = service.state, encode([people.pieter, people.roel])
    related = {f"access/related/{name}".encode() for name in (people.pieter, people.roel)}
    service.state = lambda key, height=None: names if key in related else state(key, height)
    own = (await declared(fhir, people))["id"]
    assert set(await found(fhir)) == {"c-roel", own}
    assert await found(fhir, patient=people.roel) == ["c-roel"]
    assert (await fhir.get("Consent/c-roel")).status_code == 200
    signed_in.who = people.other
    assert await found(fhir) == ["c-roel"]


async def test_labels_are_shown_to_the_patient_and_her_carers_alone(
    fhir, people, signed_in, service
):
    service.label_keys[people.pieter] = LabelKey(b"k" * 32)
    label = [{"system": ACT_CODE_SYSTEM, "code": "PSY"}]
    denial = {**permit(), "type": "deny", "securityLabel": label}
    name = (await declared(fhir, people, denial, permit()))["id"]
    seen = {}
    for part in ("patient", "physician", "registrar", "system"):
        signed_in.who = getattr(people, part)
        seen[part] = "PSY" in (await fhir.get(f"Consent/{name}")).text
    assert seen == {"patient": True, "physician": True, "registrar": False, "system": False}


async def test_ids_that_fhir_cannot_write_lead_to_their_consent(fhir, people, act):
    scope = {"purposes": ["TREAT"]}
    await act(people.pieter, "consent", "grant", id="同意 1", subject=people.pieter, scope=scope)
    (name,) = await found(fhir)
    read = (await fhir.get(f"Consent/{name}")).json()
    assert read["identifier"][0]["value"] == "同意 1"
    assert await found(fhir, identifier="urn:health-ledger:consent|同意 1") == [name]


# --- searching --------------------------------------------------------------------------------


async def test_every_parameter_finds_and_leaves_out(fhir, people):
    name = (await declared(
        fhir, people, permit(purpose="HRESCH", period={"start": "2026-05-01", "end": "2027"})
    ))["id"]  # fmt: skip
    for query in (
        {"patient": people.pieter}, {"patient": f"Patient/{people.pieter}"},
        {"patient:identifier": f"urn:health-ledger:pseudonym|{people.pieter}"},
        {"status": "active"}, {"status": "inactive,active"}, {"date": "ge2026-01-01"},
        {"period": "2026-06-01,gt2026"}, {"scope": "patient-privacy"}, {"category": "59284-0"},
        {"actor": "Organization/east"}, {"purpose": "HRESCH"}, {"_id": name},
        {"actor:identifier": "urn:health-ledger:institution|east"},
        {"_lastUpdated": "ge2026-01-01"}, {"identifier": name},
    ):  # fmt: skip
        assert await found(fhir, **query) == [name], query
    for query in (
        {"patient": people.roel}, {"status": "inactive"}, {"date": "lt2026"}, {"period": "lt2026"},
        {"scope": "research"}, {"category": "57016-8"}, {"actor": "Organization/south"},
        {"actor": "Practitioner/east"}, {"purpose": "TREAT"}, {"_id": "c-0"},
        {"_lastUpdated": "gt2030"}, {"_lastUpdated": "lt2020"}, {"identifier": "c-0"},
    ):  # fmt: skip
        assert await found(fhir, **query) == [], query


async def test_pages_go_through_all_in_the_order_of_change(fhir, people, act):
    for number in range(7):
        scope = {"purposes": ["TREAT" if number % 2 else "HRESCH"]}
        await act(
            people.pieter, "consent", "grant", id=f"c-{number}", subject=people.pieter, scope=scope
        )
    await act(people.pieter, "consent", "withdraw", id="c-0")
    proposed = (await post(fhir, consent(people.pieter))).json()["id"]
    expected = [*(f"c-{number}" for number in range(1, 7)), "c-0", proposed]

    async def pages(**query):
        page, ids = (await fhir.get("Consent", params=query)).json(), []
        while True:
            assert len(page["entry"]) <= 2
            ids += [entry["resource"]["id"] for entry in page["entry"]]
            links = {each["relation"]: each["url"] for each in page["link"]}
            if "next" not in links:
                return ids
            page = (await fhir.get(links["next"])).json()

    assert await pages(_count="2") == expected
    assert await pages(_count="2", _sort="-_lastUpdated") == [*reversed(expected[:-1]), proposed]
    counted = (await fhir.get("Consent?_count=2&_total=accurate&purpose=TREAT")).json()
    assert counted["total"] == 4
    assert (await fhir.get("Consent?_summary=count")).json()["total"] == 8


async def test_a_count_that_costs_too_much_is_refused(fhir, people, monkeypatch):
    await declared(fhir, people)
    monkeypatch.setattr("ledger.api.fhir.consents.MAX_COUNTED", 0)
    refused(await fhir.get("Consent?_summary=count&_count=0"), 422, "too-costly")


async def test_a_page_that_looked_at_enough_goes_on_with_the_next(fhir, people, act, monkeypatch):
    for number in range(4):
        scope = {"purposes": ["TREAT" if number == 3 else "HRESCH"]}
        await act(
            people.pieter, "consent", "grant", id=f"c-{number}", subject=people.pieter, scope=scope
        )
    monkeypatch.setattr("ledger.api.fhir.consents.MAX_LOOKED_AT", 2)
    first = (await fhir.get("Consent?purpose=TREAT")).json()
    assert "entry" not in first
    onwards = next(each["url"] for each in first["link"] if each["relation"] == "next")
    second = (await fhir.get(onwards)).json()
    assert [entry["resource"]["id"] for entry in second["entry"]] == ["c-3"]


async def test_one_patient_at_a_time(fhir, people):
    answer = await fhir.get("Consent", params={"patient": f"{people.pieter},{people.roel}"})
    refused(answer, 400, "not-supported")


# --- withdrawing ------------------------------------------------------------------------------


async def put(fhir, resource, **headers):
    return await fhir.put(
        f"Consent/{resource['id']}",
        content=json.dumps(resource),
        headers={"Content-Type": JSON, **headers},
    )


async def test_a_patient_withdraws_by_her_own_signature(fhir, people):
    active = await declared(fhir, people)
    answer = await put(fhir, {**active, "status": "inactive"})
    assert answer.status_code == 202
    assert answer.json()["status"] == "active"
    body, _ = unsigned(answer.json())
    (asked,) = decode(body, Body, limit=1 << 20).calls
    assert (asked.contract, asked.method) == ("consent", "withdraw")
    assert asked.arguments == {"id": active["id"]}
    inactive = (await sign(fhir, people, answer.json())).json()
    assert inactive["status"] == "inactive"
    assert inactive["provision"] == active["provision"]
    assert int(inactive["meta"]["versionId"]) > int(active["meta"]["versionId"])
    assert await found(fhir, status="inactive") == [active["id"]]
    refused(await put(fhir, {**inactive, "status": "active"}), 422, "business-rule")


async def test_a_patch_of_the_status_withdraws_too(fhir, people):
    active = await declared(fhir, people)
    url, kind = f"Consent/{active['id']}", {"Content-Type": "application/json-patch+json"}

    async def patch(*operations):
        return await fhir.patch(url, content=json.dumps(operations), headers=kind)

    withdraw = {"op": "replace", "path": "/status", "value": "inactive"}
    refused(
        await patch({"op": "test", "path": "/status", "value": "draft"}, withdraw), 409, "conflict"
    )
    refused(await patch({"op": "remove", "path": "/provision"}), 422, "not-supported")
    refused(await patch({"op": ["replace"], "path": {}}), 422, "not-supported")
    bad = await fhir.patch(url, content='{"op":"replace"}', headers=kind)
    refused(bad, 400, "structure")
    answer = await patch({"op": "test", "path": "/status", "value": "active"}, withdraw)
    assert answer.status_code == 202
    assert (await sign(fhir, people, answer.json())).json()["status"] == "inactive"


async def test_staff_withdraw_with_a_form_and_a_witness(fhir, people, signed_in):
    active = await declared(fhir, people)
    signed_in.who = people.physician
    refused(await put(fhir, {**active, "status": "inactive"}), 403, "forbidden")
    signed_in.who = people.registrar
    refused(await put(fhir, {**active, "status": "inactive"}), 422, "required")
    answer = await put(fhir, with_form({**active, "status": "inactive"}))
    assert answer.status_code == 202
    signed_in.who = people.physician
    inactive = (await fhir.post(f"Consent/{active['id']}/$witness")).json()
    assert inactive["status"] == "inactive"


async def test_nothing_else_of_a_consent_changes(fhir, people):
    active = await declared(fhir, people)
    wider = {**active, "provision": {"provision": [{"type": "permit"}]}}
    refused(await put(fhir, wider), 422, "business-rule", "Consent.provision")
    refused(
        await put(fhir, {**active, "status": "entered-in-error"}), 422, "business-rule",
        "Consent.status",
    )  # fmt: skip
    same = await put(fhir, active)
    assert (same.status_code, same.json()) == (200, active)
    refused(await fhir.delete(f"Consent/{active['id']}"), 405, "not-supported")


async def test_a_version_that_is_not_the_newest_is_not_changed(fhir, people):
    active = await declared(fhir, people)
    change = {**active, "status": "inactive"}
    refused(await put(fhir, change, **{"If-Match": 'W/"99"'}), 412, "conflict")
    tag = f'W/"{active["meta"]["versionId"]}"'
    assert (await put(fhir, change, **{"If-Match": tag})).status_code == 202


async def test_a_proposal_can_be_dropped(fhir, people):
    proposed = (await post(fhir, consent(people.pieter))).json()
    answer = await put(fhir, {**proposed, "status": "rejected"})
    assert answer.json()["status"] == "rejected"
    refused(await fhir.get(f"Consent/{proposed['id']}"), 404, "not-found")


async def test_what_is_not_there_is_not_changed(fhir, people):
    resource = {**consent(people.pieter), "id": "c-0", "status": "inactive"}
    refused(await put(fhir, resource), 404, "not-found")


# --- histories --------------------------------------------------------------------------------


async def test_the_history_is_that_of_the_chain(fhir, people, service):
    active = await declared(fhir, people)
    proposed = (await put(fhir, {**active, "status": "inactive"})).json()
    inactive = (await sign(fhir, people, proposed)).json()
    url = f"Consent/{active['id']}/_history"
    bundle = (await fhir.get(url)).json()
    assert [entry["resource"]["status"] for entry in bundle["entry"]] == ["inactive", "active"]
    assert [entry["request"]["method"] for entry in bundle["entry"]] == ["PUT", "POST"]
    assert bundle["total"] == 2
    version = active["meta"]["versionId"]
    old = await fhir.get(f"{url}/{version}")
    assert old.json() == active
    assert old.headers["etag"] == f'W/"{version}"'
    assert (await fhir.get(f"{url}/{int(version) + 100}")).status_code == 404
    since = inactive["meta"]["lastUpdated"]
    newer = (await fhir.get(url, params={"_since": since})).json()
    assert [entry["resource"]["status"] for entry in newer["entry"]] == ["inactive"]


async def test_a_pruned_node_has_what_was_in_force_and_not_what_was_replaced(
    fhir, people, act, service
):
    scope = {"purposes": ["TREAT"]}
    for name in ("c-kept", "c-gone"):
        await act(people.pieter, "consent", "grant", id=name, subject=people.pieter, scope=scope)
    await act(people.pieter, "consent", "withdraw", id="c-gone")
    await act(people.pieter, "consent", "grant", id="c-new", subject=people.pieter, scope=scope)
    base, state = service.head().height, service.state

    def pruned(key, height=None):
        assert height is None or height >= base - 1, "the state of that height is gone"
        return state(key, height)

    service.state = pruned
    service.archived_block = lambda height: (
        Archived(base=base, height=height) if height < base else None
    )
    assert await found(fhir) == ["c-kept", "c-gone", "c-new"]
    history = (await fhir.get("Consent/c-gone/_history")).json()
    assert [entry["resource"]["status"] for entry in history["entry"]] == ["inactive"]
    assert (await fhir.get("Consent/c-kept")).json()["status"] == "active"


async def test_changes_are_followed_by_polling(fhir, people, signed_in, act):
    scope = {"purposes": ["TREAT"]}
    for number in range(3):
        await act(
            people.pieter, "consent", "grant", id=f"c-{number}", subject=people.pieter, scope=scope
        )
    await act(people.roel, "consent", "grant", id="c-roel", subject=people.roel, scope=scope)
    signed_in.who = people.system
    first = (await fhir.get("Consent/_history?_count=2")).json()
    assert [entry["resource"]["id"] for entry in first["entry"]] == ["c-2", "c-1"]
    onwards = next(each["url"] for each in first["link"] if each["relation"] == "next")
    assert [entry["resource"]["id"] for entry in (await fhir.get(onwards)).json()["entry"]] == [
        "c-0"
    ]
    last = first["entry"][0]["resource"]["meta"]["lastUpdated"]
    assert await found(fhir, _lastUpdated=f"gt{last}") == []
    await act(people.pieter, "consent", "withdraw", id="c-1")
    assert await found(fhir, _lastUpdated=f"gt{last}") == ["c-1"]
    changed = (await fhir.get("Consent/_history", params={"_since": last})).json()
    assert [entry["resource"]["id"] for entry in changed["entry"]] == ["c-1", "c-2"]


async def test_a_death_is_a_change_of_what_it_ends(fhir, people, act, consortium):
    await declared(fhir, people)
    (before,) = (await fhir.get("Consent")).json()["entry"]
    registrar, witness = people.registrar.id, people.physician.id
    await act(
        (registrar, witness), "registry", "died", id=people.pieter, institution="east",
        form=b"d" * 32,
    )  # fmt: skip
    (after,) = (await fhir.get("Consent")).json()["entry"]
    assert after["resource"]["meta"]["versionId"] > before["resource"]["meta"]["versionId"]
    assert "end" in after["resource"]["provision"]["period"]


# --- FHIR R5 ----------------------------------------------------------------------------------


async def test_a_caller_of_r5_reads_searches_and_declares_in_r5(fhir, people):
    active = await declared(fhir, people)
    accept = {"Accept": f"{JSON}; fhirVersion=5.0"}
    read = await fhir.get(f"Consent/{active['id']}", headers=accept)
    assert "fhirVersion=5.0" in read.headers["content-type"]
    five = read.json()
    assert five["subject"] == active["patient"]
    assert five["decision"] == "deny"
    bundle = (await fhir.get("Consent", headers=accept)).json()
    assert bundle["entry"][0]["resource"] == five
    again = {name: five[name] for name in five if name not in ("id", "meta", "verification")}
    answer = await fhir.post(
        "Consent", content=json.dumps(again),
        headers={"Content-Type": f"{JSON}; fhirVersion=5.0", **accept},
    )  # fmt: skip
    assert answer.status_code == 202
    assert answer.json()["status"] == "draft"
    assert answer.json()["provision"] == five["provision"]
