"""A pointer as a DocumentReference says what the pointer shows, and nothing that it hides."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from ledger.chain.pointer import CONFIDENTIALITY, RECORD_CLASSES, Pointer, commitment
from ledger.fhir import documents, elements, r5records
from ledger.fhir.documents import Document
from ledger.fhir.times import OPEN_END
from tests.support.fhir_models import R5, validate

BASE = "https://node.example/fhir"
AT = 1_764_000_000_123
SALT = b"s" * 16


def pointer(**changes: object) -> Pointer:
    fields: dict[str, object] = {
        "holder": "east", "subject": "p-" + "a" * 32, "kind": "laboratory", "digest": b"d" * 32,
        "size": 1200, "media": "application/fhir+json", "start": 1_700_000_000_000,
        "end": 1_700_000_060_000, "confidentiality": "R",
        "type": commitment(SALT, "http://loinc.org|2339-0"), "labels": b"l" * 32, "replaces": b"",
    }  # fmt: skip
    return Pointer(**{**fields, **changes})  # type: ignore[arg-type]


def resource(document: Document) -> dict[str, object]:
    made = documents.document_reference(document, BASE)
    validate(made)
    return made


def attachment(made: dict[str, object]) -> dict[str, object]:
    return made["content"][0]["attachment"]  # type: ignore[index]


def test_it_has_what_the_minimal_profile_of_mhd_wants():
    document = Document(pointer(), "anchored", AT, AT)
    made = resource(document)
    assert made["meta"]["profile"] == [documents.MINIMAL_PROFILE]
    assert made["masterIdentifier"] == {
        "use": "usual",
        "system": "urn:ietf:rfc:3986",
        "value": f"urn:health-ledger:record:{document.name.hex()}",
    }
    assert made["status"] == "current"
    assert attachment(made)["contentType"] == "application/fhir+json"
    assert attachment(made)["url"] == f"{BASE}/Binary/{made['id']}"
    assert "data" not in attachment(made)
    assert "docStatus" not in made


def test_the_id_is_the_name_of_the_record_and_fits_into_a_fhir_id():
    document = Document(pointer(), "anchored", AT, AT)
    assert bytes.fromhex(resource(document)["id"]) == document.name
    assert len(document.id) == 64


def test_the_exact_type_and_the_labels_are_there_only_where_they_were_opened():
    closed = resource(Document(pointer(), "anchored", AT, AT))
    assert "type" not in closed
    assert len(closed["securityLabel"]) == 1
    assert "2339-0" not in json.dumps(closed)

    opened = resource(
        Document(pointer(), "anchored", AT, AT, "http://loinc.org|2339-0", ("PSY", "SUD"))
    )
    assert opened["type"]["coding"] == [{"system": "http://loinc.org", "code": "2339-0"}]
    codes = [label["coding"][0]["code"] for label in opened["securityLabel"]]
    assert codes == ["R", "PSY", "SUD"]


def test_the_hash_is_the_sha_1_of_bytes_at_hand_and_the_ledger_s_digest_stands_beside_it():
    content = b"the bytes"
    without = attachment(resource(Document(pointer(), "anchored", AT, AT)))
    sha1 = hashlib.sha1(content).digest()
    with_bytes = attachment(resource(Document(pointer(), "anchored", AT, AT, sha1=sha1)))
    assert "hash" not in without
    assert base64.b64decode(with_bytes["hash"]) == sha1
    for found in (without, with_bytes):
        (extension,) = found["extension"]
        assert extension["url"] == documents.DIGEST_EXTENSION
        assert base64.b64decode(extension["valueBase64Binary"]) == b"d" * 32


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("anchored", "current"),
        ("superseded", "superseded"),
        ("entered-in-error", "entered-in-error"),
    ],
)
def test_the_status_is_that_of_the_chain(found, said):
    made = resource(Document(pointer(), found, AT, AT + 5_000))
    assert made["status"] == said
    assert made["date"] == elements.instant(AT)
    assert made["meta"]["lastUpdated"] == elements.instant(AT + 5_000)


def test_a_record_that_is_not_anchored_is_no_document():
    with pytest.raises(KeyError):
        documents.document_reference(Document(pointer(), "unknown", AT, AT), BASE)


def test_what_it_replaces_is_named_by_reference_and_urn():
    (relation,) = resource(Document(pointer(replaces=b"\x01" * 32), "anchored", AT, AT))[
        "relatesTo"
    ]
    assert relation["code"] == "replaces"
    assert relation["target"]["reference"] == "DocumentReference/" + "01" * 32
    assert "relatesTo" not in resource(Document(pointer(), "anchored", AT, AT))


def test_an_unknown_or_open_period_has_no_made_up_bounds():
    undated = resource(Document(pointer(start=0, end=0), "anchored", AT, AT))
    assert "context" not in undated
    going_on = resource(Document(pointer(end=OPEN_END), "anchored", AT, AT))
    assert list(going_on["context"]["period"]) == ["start"]


def test_a_study_beyond_two_gigabytes_keeps_its_exact_size():
    large = 2**31 + 5
    made = resource(Document(pointer(size=large), "anchored", AT, AT))
    assert "size" not in attachment(made)
    sizes = {item["url"]: item for item in attachment(made)["extension"]}
    assert sizes[documents.SIZE_EXTENSION]["valueString"] == str(large)
    in_r5 = r5records.document_reference(made)
    validate(in_r5, R5)
    assert attachment(in_r5)["size"] == str(large)
    assert documents.SIZE_EXTENSION not in json.dumps(in_r5)


@pytest.mark.parametrize(
    "media", ["", "no media type", " text/plain", "text/plain\n", "a/b/c", "x" * 128, "text/"]
)
def test_a_media_type_that_is_none_is_not_passed_on(media):
    made = resource(Document(pointer(media=media), "anchored", AT, AT))
    assert attachment(made)["contentType"] == documents.UNKNOWN_MEDIA


@pytest.mark.parametrize("kind", RECORD_CLASSES)
def test_every_class_is_a_category_with_our_code_first(kind):
    made = resource(Document(pointer(kind=kind), "anchored", AT, AT))
    (category,) = made["category"]
    assert category["coding"][0] == {"system": elements.RECORD_CLASS_SYSTEM, "code": kind}


@pytest.mark.parametrize("level", CONFIDENTIALITY)
def test_every_confidentiality_is_a_security_label(level):
    made = resource(Document(pointer(confidentiality=level), "anchored", AT, AT))
    assert made["securityLabel"][0]["coding"][0]["code"] == level


def test_nobody_is_referred_to_whom_this_server_does_not_have():
    made = resource(Document(pointer(), "anchored", AT, AT))
    assert "reference" not in made["subject"]
    assert "reference" not in made["custodian"]
    assert made["subject"]["identifier"]["value"] == "p-" + "a" * 32


def test_in_r5_the_name_is_an_identifier_and_the_period_is_its_own():
    made = resource(Document(pointer(replaces=b"\x01" * 32), "anchored", AT, AT))
    in_r5 = r5records.document_reference(made)
    validate(in_r5, R5)
    assert in_r5["identifier"] == [made["masterIdentifier"]]
    assert in_r5["period"] == made["context"]["period"]
    assert in_r5["relatesTo"][0]["code"]["coding"][0]["code"] == "replaces"
    assert "profile" not in in_r5["meta"]


def test_a_binary_has_the_exact_bytes_and_names_the_document_whose_rules_it_is_under():
    document = Document(pointer(), "anchored", AT, AT)
    made = documents.binary(document, b"\x00\xff bytes")
    validate(made)
    assert base64.b64decode(made["data"]) == b"\x00\xff bytes"
    assert made["securityContext"]["reference"] == f"DocumentReference/{document.id}"
    empty = documents.binary(document, b"")
    validate(empty)
    assert "data" not in empty


def test_an_instant_is_exact_to_the_millisecond_in_every_year_that_fhir_has():
    assert elements.instant(0) == "1970-01-01T00:00:00.000Z"
    assert elements.instant(-1) == "1969-12-31T23:59:59.999Z"
    assert elements.instant(OPEN_END) == "9999-12-31T23:59:59.999Z"
    with pytest.raises(ValueError, match="no year"):
        elements.instant(OPEN_END + 1)
    assert elements.instant_or_none(-(10**15)) is None
