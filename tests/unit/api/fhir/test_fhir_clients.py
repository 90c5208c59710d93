"""Two FHIR clients of others drive a node over a socket: fhirpy and fhir-kit-client."""

import asyncio
import base64
import json
import subprocess
import threading

import pytest
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

from ledger.api.app import create_app
from ledger.api.server import serving
from ledger.fhir.consentview import UNSIGNED_EXTENSION
from tests.support.fhir import SignedIn
from tests.support.fhir_consents import People, consent, permit
from tests.support.javascript import program


@pytest.fixture
def people(consortium, service):
    return People(consortium, service)


@pytest.fixture
def url(service, people):
    """Of /fhir, where Pieter is signed in."""
    started: list[str] = []
    ready, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve():
        app = SignedIn(create_app(service), people.patient)
        async with serving(app, "127.0.0.1", 0) as where:
            started.append(where)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(20)
    yield f"{started[0]}/fhir"
    loop.call_soon_threadsafe(stop.set)
    thread.join(timeout=20)
    loop.close()


def signed(resource, people):
    """Answer a proposed consent with its patient's signature."""
    (asked,) = [each for each in resource["extension"] if each["url"] == UNSIGNED_EXTENSION]
    parts = {each["url"]: each for each in asked["extension"]}
    signature = people.accounts[people.pieter].key.sign(bytes.fromhex(parts["id"]["valueString"]))
    value = base64.b64encode(signature).decode()
    parameter = {"name": "signature", "valueBase64Binary": value}
    return resource.execute("$sign", data={"resourceType": "Parameters", "parameter": [parameter]})


def given(client, people, provision):
    elements = consent(people.pieter, provision)
    return client.resource(elements.pop("resourceType"), **elements)


def test_a_python_client_declares_finds_and_withdraws(url, people):
    client = SyncFHIRClient(url)
    made = []
    for purpose in ("TREAT", "HRESCH", "PUBHLTH"):
        proposed = given(client, people, permit(purpose=purpose))
        proposed.save()
        assert proposed["status"] == "proposed"
        assert signed(proposed, people)["status"] == "active"
        made.append(proposed["id"])

    consents = client.resources("Consent")
    assert consents.search(patient=people.pieter).count() == 3
    paged = consents.search(patient=people.pieter).limit(1).fetch_all()
    assert [each["id"] for each in paged] == made
    assert consents.search(purpose="HRESCH").get()["id"] == made[1]
    assert consents.search(status="inactive").first() is None
    conditional = SyncFHIRClient(url, extra_headers={"If-None-Exist": "purpose=HRESCH"})
    again = given(conditional, people, permit(purpose="HRESCH"))
    again.save()
    assert again["id"] == made[1]

    active = client.reference("Consent", made[0]).to_resource()
    active["status"] = "inactive"
    active.save()
    assert active["status"] == "active"  # until it is signed
    assert signed(active, people)["status"] == "inactive"
    assert consents.search(status="inactive").get()["id"] == made[0]
    history = client.execute(f"Consent/{made[0]}/_history", method="get")
    assert [each["resource"]["status"] for each in history["entry"]] == ["inactive", "active"]

    with pytest.raises(ResourceNotFound):
        client.reference("Consent", "c-0").to_resource()
    with pytest.raises(OperationOutcome) as refused:
        given(client, people, permit("nowhere")).save()
    assert refused.value.resource["issue"][0]["code"] == "business-rule"


def test_a_javascript_client_declares_finds_and_withdraws(url, people):
    key = people.accounts[people.pieter].key
    command = [*program("fhirkit.mjs", "fhir-kit-client"), url, people.pieter, key.seed.hex()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    story = json.loads(done.stdout)
    assert story["version"] == "4.0.1"
    assert "Consent" in story["types"]
    assert story["proposed"] == {"status": "proposed", "http": 202}
    assert (story["active"], story["read"]) == ("active", "active")
    assert story["found"] == ["TREAT", "HRESCH", "PUBHLTH"]
    assert story["posted"] == 1
    assert story["withdrawn"] == "inactive"
    assert story["history"] == ["inactive", "active"]
    assert (story["first"], story["ordered"]) == ("active", True)
    codes = {name: (story[name]["status"], story[name]["code"])
             for name in ("absent", "deleted", "batch", "unclear")}  # fmt: skip
    assert codes == {
        "absent": (404, "not-found"),
        "deleted": (405, "not-supported"),
        "batch": (405, "not-supported"),
        "unclear": (422, "business-rule"),
    }
