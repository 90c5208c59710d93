"""What patients say of records, beside the records: that one is wrong, that one be destroyed."""

from __future__ import annotations

import base64

import pytest

from ledger.chain.document import examine, load_document
from ledger.client.builder import Account, build, call
from ledger.fhir import disputes, documents
from tests.support.fhir_models import R5, validate
from tests.support.fhir_sources import record

TREAT = {"Ledger-Purpose": "TREAT"}
WORDS, REASONS, REPORT = b"w" * 32, b"r" * 32, b"p" * 32


@pytest.fixture
def act(service):
    """Send one call; gives what it returns."""

    async def run(account, contract, method, **arguments):
        told = call(contract, method, **arguments)
        made = build(service.chain, service.head().height, 100, [told], [account])
        await service.submit([made.raw])
        await service.commit()
        outcome = service.outcome(made.id)
        assert outcome[2].ok, outcome
        return outcome[2].calls[0].value

    return run


@pytest.fixture
async def shown(fhir, service, hospitals, consent, pseudonym):
    """A record here and one at South, both of which the physician was shown."""
    (own,) = await hospitals.anchor("east", pseudonym, [record("1-1")])
    (other,) = await hospitals.anchor("south", pseudonym, [record("718-7")])
    await service.submit([consent().raw])
    await service.commit()
    await fhir.get(f"DocumentReference?patient={pseudonym}", headers=TREAT)
    return own, other


def about(shown):
    return {"pointer": shown.pointer.value(), "proof": shown.proof}


def name(shown):
    return shown.pointer.name().hex()


async def read(fhir, kind, shown, version=""):
    answer = await fhir.get(f"{kind}/{name(shown)}{version}")
    assert answer.status_code == 200, answer.text
    resource = answer.json()
    validate(resource, *([R5] if version else []))
    return resource


def parts(resource):
    """The disputes of a resource, each as its parts by name."""
    return [
        {part["url"]: next(v for k, v in part.items() if k != "url") for part in each["extension"]}
        for each in resource.get("extension", ())
        if each["url"] == disputes.DISPUTE_EXTENSION
    ]


def officer(consortium, hospital):
    return Account(consortium.nodes[f"{hospital}-1"])


async def test_a_dispute_travels_with_the_document_and_its_provenance_until_it_is_withdrawn(
    fhir, act, shown, patient, consortium, service, pseudonym
):
    for one in shown:
        before = await read(fhir, "DocumentReference", one)
        assert parts(before) == []
        case = await act(
            patient, "corrections", "dispute", **about(one), reason="wrong-content", statement=WORDS
        )
        for kind in ("DocumentReference", "Provenance"):
            resource = await read(fhir, kind, one)
            (found,) = parts(resource)
            assert (found["id"], found["status"]) == (case, "open")
            assert found["reason"] == "wrong-content"
            assert base64.b64decode(found["statement"]) == WORDS
            assert found["due"] > found["date"] > before["meta"]["lastUpdated"]
            assert resource["meta"]["lastUpdated"] == found["date"]

        holder = officer(consortium, one.pointer.holder)
        await act(holder, "corrections", "answer", dispute=case, accepted=False, statement=REASONS)
        for kind, version in (
            ("DocumentReference", ""), ("Provenance", ""),
            ("DocumentReference", "?_format=application/fhir%2Bjson;fhirVersion=5.0"),
        ):  # fmt: skip
            (found,) = parts(await read(fhir, kind, one, version))
            assert found["status"] == "refused"
            assert base64.b64decode(found["statement"]) == WORDS
            assert base64.b64decode(found["answer"]) == REASONS
            assert "due" not in found

        # What is read from the state is what the contract answers.
        said = await service.query(
            "corrections", "beside", {"holder": one.pointer.holder, "record": name(one)}
        )
        assert [each["id"] for each in said.value] == [case]
    found = (await fhir.get(f"DocumentReference?patient={pseudonym}", headers=TREAT)).json()
    assert [len(parts(entry["resource"])) for entry in found["entry"]] == [1, 1]

    await act(patient, "corrections", "withdraw", dispute=case)
    assert parts(await read(fhir, "DocumentReference", shown[1])) == []
    assert len(parts(await read(fhir, "DocumentReference", shown[0]))) == 1


async def test_a_record_that_is_to_be_destroyed_is_not_offered_and_not_given(
    fhir, act, shown, patient, trust
):
    own, _ = shown
    erasure = await act(patient, "erasure", "ask", **about(own))
    document = await read(fhir, "DocumentReference", own)
    (extension,) = document["extension"]
    assert extension["url"] == disputes.ERASURE_EXTENSION
    assert extension["extension"][0] == {"url": "status", "valueCode": "requested"}
    assert "url" not in document["content"][0]["attachment"]
    assert "profile" not in document["meta"]
    assert document["status"] == "current"
    refused = await fhir.get(f"Binary/{name(own)}", headers=TREAT)
    assert refused.status_code == 403
    assert "record-restricted" in refused.text

    # Neither the request nor that it was taken back spoils the proof of the record.
    assert await status_proved(fhir, own, trust) == "restricted"
    await act(patient, "erasure", "take_back", erasure=erasure)
    assert await status_proved(fhir, own, trust) == "anchored"
    document = await read(fhir, "DocumentReference", own)
    assert "extension" not in document
    assert document["meta"]["profile"] == [documents.MINIMAL_PROFILE]
    assert (await fhir.get(f"Binary/{name(own)}", headers=TREAT)).status_code == 200


async def status_proved(fhir, shown, trust):
    resource = await read(fhir, "Provenance", shown)
    found = examine(load_document(base64.b64decode(resource["signature"][0]["data"])), trust)
    assert found.good, found.steps
    return found.status


async def test_a_record_that_was_destroyed_is_gone_whatever_is_read_of_it(
    fhir, act, shown, patient, consortium, service, pseudonym, trust
):
    own, other = shown
    erasure = await act(patient, "erasure", "ask", **about(own))
    holder = officer(consortium, "east")
    await act(holder, "erasure", "answer", erasure=erasure, ground="none", since=0)
    await act(
        holder, "erasure", "destroyed", erasure=erasure, parts=["salts", "keys"],
        names=[name(own)], statement=REPORT,
    )  # fmt: skip
    height = service.head().height
    for kind in ("DocumentReference", "Binary", "Provenance"):
        gone = await fhir.get(f"{kind}/{name(own)}", headers=TREAT)
        assert gone.status_code == 410, gone.text
        validate(gone.json())
        assert gone.json()["issue"][0]["code"] == "deleted"
    assert service.head().height == height, "nobody was asked for it"
    found = (await fhir.get(f"Provenance?target={name(own)},{name(other)}")).json()
    assert [entry["resource"]["id"] for entry in found["entry"]] == [name(other)]
    found = (await fhir.get(f"DocumentReference?patient={pseudonym}", headers=TREAT)).json()
    assert [entry["resource"]["id"] for entry in found["entry"]] == [name(other)]
    assert found["total"] == 1

    verified = (await fhir.get(f"DocumentReference/{name(own)}/$verify")).json()
    said = {item["name"]: item for item in verified["parameter"]}
    assert said["status"]["valueCode"] == "destroyed"
