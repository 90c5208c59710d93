"""The signature of a Provenance is a proof that stands without whoever serves it."""

from __future__ import annotations

import base64

import pytest

from ledger.chain import document as proofs
from ledger.chain.document import dump_document, examine, load_document
from ledger.fhir import provenance, r5records
from ledger.fhir.documents import Document
from tests.support.anchored import CONTENT, SALT, Anchored
from tests.support.chain_fixtures import consortium, pseudonym, service
from tests.support.fhir_models import R4, R5, validate

__all__ = ["consortium", "pseudonym", "service"]


@pytest.fixture
async def anchored(service, consortium, pseudonym):
    return await Anchored(service, consortium, pseudonym).begin()


async def test_its_signature_data_is_a_document_proof_that_verifies_offline(anchored):
    proof = dump_document(anchored.proof())
    at = anchored.service.head().time
    document = Document(anchored.pointers[2], "anchored", at, at)
    made = provenance.provenance(document, anchored.root, proof, at)
    for release in (R4, R5):
        validate(r5records.TO_R5["Provenance"](made) if release == R5 else made, release)
    (signature,) = made["signature"]
    assert signature["sigFormat"] == proofs.MEDIA_TYPE
    assert signature["type"][0]["code"] == "1.2.840.10065.1.12.1.5"
    assert signature["who"]["identifier"]["value"] == "east"
    found = examine(load_document(base64.b64decode(signature["data"])), anchored.trust)
    assert found.good
    assert found.pointer is not None
    assert made["target"][0]["reference"] == f"DocumentReference/{found.pointer.name().hex()}"
    assert made["entity"][0]["what"]["identifier"]["value"] == anchored.root.hex()


async def test_a_record_anchored_alone_has_no_batch_as_its_source(anchored):
    document = Document(anchored.pointers[0], "anchored", 0, 0)
    made = provenance.provenance(document, b"", b"{}", 0)
    validate(made)
    assert "entity" not in made


async def test_a_verification_lists_every_step_and_hands_the_proof_over(anchored):
    proof = anchored.proof()
    raw = dump_document(proof)
    made = provenance.verification(examine(proof, anchored.trust, CONTENT, SALT), raw)
    validate(made)
    parameters = {item["name"]: item for item in made["parameter"]}
    assert parameters["result"]["valueBoolean"] is True
    assert parameters["status"]["valueCode"] == "anchored"
    assert base64.b64decode(parameters["proof"]["resource"]["data"]) == raw
    steps = [item["part"] for item in made["parameter"] if item["name"] == "step"]
    assert [step[0]["valueCode"] for step in steps] == [
        "content", "inclusion", "certificate", "anchoring", "status",
    ]  # fmt: skip
    assert {step[1]["valueCode"] for step in steps} == {"good"}


async def test_a_verification_that_fails_says_at_which_step(anchored):
    found = examine(anchored.proof(), anchored.trust, CONTENT + b" ", SALT)
    made = provenance.verification(found, b"")
    validate(made)
    parameters = {item["name"]: item for item in made["parameter"]}
    assert parameters["result"]["valueBoolean"] is False
    assert "proof" not in parameters
    (bad,) = [
        item["part"] for item in made["parameter"]
        if item["name"] == "step" and item["part"][1]["valueCode"] == "bad"
    ]  # fmt: skip
    assert bad[0]["valueCode"] == "content"
