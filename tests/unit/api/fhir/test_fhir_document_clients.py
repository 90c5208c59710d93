"""Two FHIR clients of others find, fetch and verify documents over a socket."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import threading

import pytest
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import ResourceNotFound

from ledger.api.server import serving
from ledger.chain import document as proofs
from tests.support.fhir_sources import record
from tests.support.javascript import program

TREAT = {"Ledger-Purpose": "TREAT"}


@pytest.fixture
async def held(service, hospitals, consent, pseudonym, tmp_path):
    """Three records at the South Hospital, which the patient's consent opens for treatment."""
    service.keep_lists(tmp_path / "lists.db")
    contents = [record("718-7", text) for text in ("a", "ab", "abc")]
    await hospitals.anchor("south", pseudonym, contents)
    await service.submit([consent().raw])
    await service.commit()
    return contents


@pytest.fixture
def url(signed_in, held):
    """Of /fhir, where the physician of the East Hospital is signed in."""
    started: list[str] = []
    ready, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve():
        async with serving(signed_in, "127.0.0.1", 0) as where:
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


def test_a_python_client_finds_fetches_and_looks_back(url, held, pseudonym):
    client = SyncFHIRClient(url, extra_headers=TREAT)
    documents = client.resources("DocumentReference").search(patient=pseudonym)
    found = documents.limit(2).fetch_all()
    assert len(found) == 3
    assert {each["custodian"]["identifier"]["value"] for each in found} == {"south"}

    binary = client.reference("Binary", found[0]["id"]).to_resource()
    assert base64.b64decode(binary["data"]) in held
    again = client.reference("DocumentReference", found[0]["id"]).to_resource()
    assert again["type"]["coding"][0]["code"] == "718-7"

    (provenance,) = (
        client.resources("Provenance").search(target=f"DocumentReference/{found[0]['id']}").fetch()
    )
    assert provenance["signature"][0]["sigFormat"] == proofs.MEDIA_TYPE
    events = client.resources("AuditEvent").search(type="110113").fetch_all()
    assert [each["outcome"] for each in events] == ["0"]
    with pytest.raises(ResourceNotFound):
        client.reference("Binary", "0" * 64).to_resource()


def test_a_javascript_client_finds_fetches_and_verifies(url, held, pseudonym):
    command = [*program("fhirkit-documents.mjs", "fhir-kit-client"), url, pseudonym]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["pages"] == 3
    assert len(set(told["ids"])) == 3
    assert base64.b64decode(told["data"]) in held
    assert told["steps"] == [
        ["content", "unchecked"], ["inclusion", "good"], ["certificate", "good"],
        ["anchoring", "good"], ["status", "good"],
    ]  # fmt: skip
    assert told["signed"] == [proofs.MEDIA_TYPE]
    assert told["missing"] == 404
