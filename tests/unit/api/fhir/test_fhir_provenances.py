"""Who anchored a document, and whether these are its bytes, with a proof that needs no node."""

from __future__ import annotations

import base64

import pytest

from ledger.api.principal import Kind
from ledger.chain.document import examine, load_document
from tests.support.fhir import principal
from tests.support.fhir_models import validate
from tests.support.fhir_sources import SALT, record

TREAT = {"Ledger-Purpose": "TREAT"}


@pytest.fixture
async def shown(fhir, service, hospitals, consent, pseudonym):
    """Ids of a record here and of one at South, both of which the physician may know."""
    (own,) = await hospitals.anchor("east", pseudonym, [record("1-1")])
    (other,) = await hospitals.anchor("south", pseudonym, [record("718-7")])
    await service.submit([consent().raw])
    await service.commit()
    await fhir.get(f"DocumentReference?patient={pseudonym}", headers=TREAT)
    return own.pointer.name().hex(), other.pointer.name().hex()


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def parameters(**values):
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": name, **value} for name, value in values.items()],
    }


async def verify(fhir, path, body=None, status=200):
    answer = await fhir.post(
        f"DocumentReference/{path}$verify", json=body,
        headers={"Content-Type": "application/fhir+json"} if body else {},
    ) if body else await fhir.get(f"DocumentReference/{path}$verify")  # fmt: skip
    assert answer.status_code == status, answer.text
    resource = answer.json()
    validate(resource)
    return resource


def steps(resource):
    return {
        item["part"][0]["valueCode"]: item["part"][1]["valueCode"]
        for item in resource["parameter"]
        if item["name"] == "step"
    }


def value(resource, name):
    (found,) = [item for item in resource["parameter"] if item["name"] == name]
    return next(item for key, item in found.items() if key != "name")


async def test_a_provenance_proves_by_itself_who_anchored_the_document(fhir, shown, trust):
    for name, holder in zip(shown, ("east", "south"), strict=True):
        resource = (await fhir.get(f"Provenance/{name}")).json()
        validate(resource)
        assert resource["agent"][0]["who"]["identifier"]["value"] == holder
        proof = load_document(base64.b64decode(resource["signature"][0]["data"]))
        found = examine(proof, trust)
        assert found.good
        assert found.pointer.name().hex() == name
        assert found.pointer.holder == holder


async def test_provenances_are_found_by_their_target(fhir, shown):
    for query in (f"target=DocumentReference/{shown[0]}", f"target={shown[0]}", f"_id={shown[0]}"):
        bundle = (await fhir.get(f"Provenance?{query}")).json()
        validate(bundle)
        assert [entry["resource"]["id"] for entry in bundle["entry"]] == [shown[0]]
        assert bundle["total"] == 1
    both = (await fhir.get(f"Provenance?target={shown[0]},{shown[1]}&_count=1")).json()
    assert (both["total"], len(both["entry"])) == (2, 1)
    assert (await fhir.get("Provenance")).status_code == 400


async def test_what_one_may_not_know_has_no_provenance_and_cannot_be_verified(
    fhir, signed_in, shown
):
    signed_in.who = principal(Kind.STAFF, "somebody", "south", "physician")
    for name in shown:
        assert (await fhir.get(f"Provenance/{name}")).status_code == 404
        assert (await fhir.get(f"Provenance?target={name}")).json()["total"] == 0
        assert (await fhir.get(f"DocumentReference/{name}/$verify")).status_code == 404


async def test_an_own_document_is_verified_down_to_its_bytes(fhir, shown, trust):
    resource = await verify(fhir, f"{shown[0]}/")
    assert set(steps(resource).values()) == {"good"}
    assert value(resource, "result") is True
    proof = load_document(base64.b64decode(value(resource, "proof")["data"]))
    assert examine(proof, trust, record("1-1"), SALT).good


async def test_an_own_document_that_was_altered_at_its_source_is_not_taken_for_good(
    fhir, hospitals, shown
):
    hospitals.contents[bytes.fromhex(shown[0])] = b"altered"
    resource = await verify(fhir, f"{shown[0]}/")
    assert value(resource, "result") is False
    assert steps(resource)["content"] == "bad"


async def test_the_bytes_of_another_s_document_are_checked_with_the_salt_that_came_along(
    fhir, shown
):
    given = parameters(
        content={"valueBase64Binary": encoded(record("718-7"))},
        salt={"valueBase64Binary": encoded(SALT)},
    )
    good = await verify(fhir, f"{shown[1]}/", given)
    assert set(steps(good).values()) == {"good"}
    spoilt = parameters(
        content={"valueBase64Binary": encoded(record("718-7").swapcase())},
        salt={"valueBase64Binary": encoded(SALT)},
    )
    bad = await verify(fhir, f"{shown[1]}/", spoilt)
    assert (value(bad, "result"), steps(bad)["content"]) == (False, "bad")


async def test_without_a_salt_the_bytes_stay_unchecked_and_nobody_is_told_otherwise(fhir, shown):
    given = parameters(content={"valueBase64Binary": encoded(record("718-7"))})
    resource = await verify(fhir, f"{shown[1]}/", given)
    assert steps(resource)["content"] == "unchecked"
    assert value(resource, "result") is True


async def test_the_document_may_be_named_in_the_body_or_by_the_binary_itself(fhir, shown):
    by_reference = parameters(
        document={"valueReference": {"reference": f"DocumentReference/{shown[0]}"}}
    )
    binary = {
        "resourceType": "Binary", "contentType": "application/fhir+json",
        "data": encoded(record("1-1")),
        "securityContext": {"reference": f"DocumentReference/{shown[0]}"},
    }  # fmt: skip
    inner = parameters(
        document={"valueId": shown[0]}, content={"resource": {**binary, "id": shown[0]}}
    )
    for body in (by_reference, binary, inner):
        resource = await verify(fhir, "", body)
        assert set(steps(resource).values()) == {"good"}


async def test_a_superseded_document_is_verified_to_be_one(fhir, hospitals, pseudonym, shown):
    (new,) = await hospitals.anchor("east", pseudonym, [record("2-2")])
    old = bytes.fromhex(shown[0])
    await hospitals.perform("east", "supersede", holder="east", old=old, new=new.pointer.name())
    resource = await verify(fhir, f"{shown[0]}/")
    assert value(resource, "status") == "superseded"
    assert value(resource, "result") is True


@pytest.mark.parametrize(
    "body",
    [
        {"resourceType": "Patient"},
        parameters(content={"valueBase64Binary": "not base64!"}),
        parameters(content={"valueString": "x"}),
        parameters(salt={"valueBase64Binary": 5}),
        parameters(surprise={"valueString": "x"}),
        {"resourceType": "Parameters", "parameter": {"name": "content"}},
        {"resourceType": "Parameters", "parameter": ["content"]},
    ],
)
async def test_a_body_that_cannot_be_meant_is_refused(fhir, shown, body):
    answer = await fhir.post(
        f"DocumentReference/{shown[0]}/$verify", json=body,
        headers={"Content-Type": "application/fhir+json"},
    )  # fmt: skip
    assert answer.status_code == 400, answer.text
    validate(answer.json())


async def test_a_document_must_be_named(fhir, shown):
    await verify(fhir, "", parameters(salt={"valueBase64Binary": encoded(SALT)}), status=400)
