"""The official R4 examples, posted at a node: taken, asked back about, or refused as outcomes."""

import gzip
import json
import socket
from pathlib import Path

import httpx
import pytest
from fhir.resources.R4B.operationoutcome import OperationOutcome

from ledger.api.app import create_app
from ledger.fhir.consentview import FORM_EXTENSION
from tests.support.budget import EXAMPLES
from tests.support.fhir import SignedIn
from tests.support.fhir_consents import People, consent, permit

VENDORED = Path(__file__).parents[4] / "ledger" / "data" / "hl7-r4-examples"
GOLDEN = json.loads(
    (Path(__file__).parents[3] / "data" / "hl7_consents_golden.json").read_text("utf-8")
)
JSON = "application/fhir+json"
FORM = {"url": FORM_EXTENSION, "valueString": "f" * 64}

#: What the demo's hospital calls its patients; the practitioner and the relative are in the set.
SUBJECTS = ("Patient/f001", "Patient/example", "Patient/xcda")


def examples():
    """File and resource of each example."""
    root = Path(EXAMPLES) if EXAMPLES else VENDORED
    for path in sorted(root.rglob("*.json")):
        try:
            resource = json.loads(path.read_bytes())
        except ValueError:
            continue
        if isinstance(resource, dict) and "resourceType" in resource:
            yield path, resource


@pytest.fixture
def people(consortium, service):
    found = People(consortium, service)
    service.subjects = dict.fromkeys(SUBJECTS, found.pieter)
    return found


@pytest.fixture
async def fhir(service, people):
    app = SignedIn(create_app(service), people.registrar)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost/fhir/") as client:
        yield client


@pytest.fixture
def no_network(monkeypatch):
    """Whoever looks up a name or opens a connection fails the test."""
    tried = []

    def refuse(*arguments, **_):
        tried.append(arguments)
        raise OSError("no network here")

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    yield
    assert tried == []


async def test_every_example_of_a_type_that_is_not_taken_is_refused(fhir, service, no_network):
    seen = set()
    for path, resource in examples():
        kind = resource["resourceType"]
        if kind == "Consent":
            continue
        answer = await fhir.post(kind, content=path.read_bytes(), headers={"Content-Type": JSON})
        assert answer.status_code in (404, 405), (path, answer.text)
        outcome = OperationOutcome.model_validate(answer.json())
        assert outcome.issue[0].code in ("not-found", "not-supported")
        seen.add(kind)
    assert len(seen) >= 90
    assert service.head().height == 0


async def test_every_consent_is_proposed_or_asked_back_about(fhir, service, people, no_network):
    seen = {}
    for _, resource in examples():
        if resource["resourceType"] != "Consent":
            continue
        body = {**resource, "extension": [*resource.get("extension", ()), FORM]}
        answer = await fhir.post(
            "Consent", content=json.dumps(body), headers={"Content-Type": JSON}
        )
        issues = answer.json().get("issue", [])
        paths = {name for issue in issues for name in issue.get("expression", ())}
        seen[resource["id"]] = (answer.status_code, paths)
    assert set(seen) >= set(GOLDEN["consents"])
    for name, decision in GOLDEN["consents"].items():
        status, paths = seen[name]
        if decision["decision"] == "refused":
            assert status == 422, name
            # Where the patient is nobody here, nothing else is looked at.
            unknown = paths == {"Consent.patient"} and "Consent.patient" in decision["elements"]
            assert unknown or paths >= set(decision["elements"]), name
        else:
            # The hospitals of the examples are not on this network, so it asks who they are.
            assert status in (202, 422), (name, paths)
    assert service.head().height == 0


async def test_a_consent_with_an_address_in_it_fetches_nothing(
    fhir, people, no_network, consortium
):
    for url in ("http://169.254.169.254/latest/meta-data", "file:///etc/passwd", "ftp://[::1]/x"):
        resource = consent(
            people.pieter, sourceAttachment={"url": url, "contentType": "text/plain"}
        )
        resource["extension"] = [FORM]
        answer = await fhir.post(
            "Consent", content=json.dumps(resource), headers={"Content-Type": JSON}
        )
        assert answer.status_code == 202, answer.text
        assert url not in answer.text


async def test_bundles_of_any_kind_are_refused_whole(fhir, service, people):
    for kind in ("batch", "transaction", "message", "history", "", 7, None):
        await refuses_bundle(fhir, people, kind)
    assert service.head().height == 0


async def refuses_bundle(fhir, people, kind):
    entry = {"resource": consent(people.pieter), "request": {"method": "POST", "url": "Consent"}}
    bundle = {"resourceType": "Bundle", "type": kind, "entry": [entry, entry, {}, None, 5]}
    for path in ("", "Bundle", "Consent"):
        answer = await fhir.post(path, content=json.dumps(bundle), headers={"Content-Type": JSON})
        assert answer.status_code in (400, 404, 405)
        OperationOutcome.model_validate(answer.json())


async def test_a_body_that_would_unfold_is_not_unfolded(fhir):
    bomb = gzip.compress(b'{"resourceType":"Consent","x":"' + b"a" * (20 << 20) + b'"}', 1)
    for coding in ("gzip", "deflate", "br", "zstd", "gzip, gzip", "GZIP"):
        answer = await fhir.post(
            "Consent", content=bomb, headers={"Content-Type": JSON, "Content-Encoding": coding}
        )
        assert answer.status_code == 415
        OperationOutcome.model_validate(answer.json())


def deep(depth):
    return b'{"resourceType":"Consent","provision":' * depth + b"{}" + b"}" * depth


BOMBS = {
    "deep objects": deep(100_000),
    "deep arrays": b'{"resourceType":"Consent","category":' + b"[" * 500_000,
    "deep in a string": b'{"resourceType":"Consent","status":"' + b"[{" * 100_000 + b'"}',
    "wide": b'{"resourceType":"Consent","category":[' + b"{}," * 150_000 + b"{}]}",
    "names": b'{"resourceType":"Consent"' + b"".join(b',"n%d":0' % n for n in range(80_000)) + b"}",
    "twice": b'{"resourceType":"Consent","status":"active","status":"inactive"}',
    "digits": b'{"resourceType":"Consent","x":' + b"9" * 500_000 + b"}",
    "exponent": b'{"resourceType":"Consent","x":1e999999999}',
    "escapes": b'{"resourceType":"Consent","status":"' + b"\\u0000" * 100_000 + b'"}',
    "surrogates": b'{"resourceType":"Consent","status":"\\udc00\\ud800"}',
    "large": b'{"resourceType":"Consent","x":"' + b"a" * (1 << 20) + b'"}',
    "unclosed": b'{"resourceType":"Consent","status":"',
    "references": b'{"resourceType":"Consent","x":['
    + b",".join(b'{"reference":"Practitioner/%d"}' % n for n in range(20_000)) + b"]}",
    "quotes": b'"' * 500_000,
    "backslashes": b'{"a":"' + b"\\" * 500_001,
}  # fmt: skip


async def test_bombs_cost_little_and_are_refused(fhir, people):
    for name in BOMBS:
        await refuses(fhir, people, name)


async def refuses(fhir, people, name):
    body = BOMBS[name].replace(
        b'"resourceType":"Consent"',
        b'"resourceType":"Consent","patient":{"reference":"Patient/%s"}' % people.pieter.encode(),
        1,
    )
    answer = await fhir.post("Consent", content=body, headers={"Content-Type": JSON})
    assert answer.status_code in (400, 413, 422), (name, answer.text)
    OperationOutcome.model_validate(answer.json())
    assert len(answer.content) < 100_000


def strange(value):
    """Values of another type than expected, in every place of a resource."""
    if isinstance(value, dict):
        for name in value:
            for other in ([], {}, "x", 5, None, True, [[]], [{}], {"coding": 5}, ["x"]):
                yield {**value, name: other}
            for changed in strange(value[name]):
                yield {**value, name: changed}
    elif isinstance(value, list):
        for place, item in enumerate(value):
            for changed in strange(item):
                yield [*value[:place], changed, *value[place + 1 :]]


async def test_no_value_in_any_place_makes_the_node_fail(fhir, people):
    whole = consent(
        people.pieter, {**permit(), "provision": [{"type": "deny", "code": [{"coding": []}]}]},
        extension=[FORM], contained=[{"resourceType": "PractitionerRole", "id": "a"}],
        performer=[{"identifier": {"system": "urn:health-ledger:pseudonym", "value": "x"}}],
        sourceAttachment={"data": "AA=="}, verification=[{"verified": True}],
    )  # fmt: skip
    every = list(strange(whole))
    step = 1 if EXAMPLES else 8
    chosen = every[::step]
    assert len(chosen) > 50
    for resource in chosen:
        answer = await fhir.post(
            "Consent", content=json.dumps(resource), headers={"Content-Type": JSON}
        )
        assert answer.status_code < 500, (resource, answer.text)
        kind = f"{JSON}; fhirVersion=5.0"
        answer = await fhir.post(
            "Consent", content=json.dumps(resource), headers={"Content-Type": kind}
        )
        assert answer.status_code < 500, (resource, answer.text)
