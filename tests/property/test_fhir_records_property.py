"""Whatever pointer the chain takes, there is a valid DocumentReference of it, in R4 and in R5."""

from __future__ import annotations

import base64

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.chain.pointer import CONFIDENTIALITY, RECORD_CLASSES, Pointer
from ledger.fhir import documents, elements, r5records, times
from ledger.fhir.documents import Document
from ledger.fhir.labels import SENSITIVITY
from tests.support.fhir_models import R5, validate

HASH = st.binary(min_size=32, max_size=32)
TIMES = st.integers(-(2**62), 2**62)
POINTERS = st.builds(
    Pointer,
    holder=st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True),
    subject=st.from_regex(r"p-[0-9a-f]{32}", fullmatch=True),
    kind=st.sampled_from(RECORD_CLASSES),
    digest=HASH,
    size=st.integers(0, 2**62),
    media=st.one_of(
        st.sampled_from(["application/pdf", "application/dicom", "text/plain; charset=utf-8"]),
        st.text(max_size=128),
    ),
    start=TIMES,
    end=TIMES,
    confidentiality=st.sampled_from(CONFIDENTIALITY),
    type=HASH,
    labels=HASH,
    replaces=st.one_of(st.just(b""), HASH),
)
DOCUMENTS = st.builds(
    Document,
    pointer=POINTERS,
    status=st.sampled_from(sorted(documents.STATUS)),
    anchored=st.integers(0, times.OPEN_END),
    changed=st.integers(0, times.OPEN_END),
    type=st.sampled_from(["", "http://loinc.org|2339-0", "|local", "urn:x|y"]),
    labels=st.lists(st.sampled_from(sorted(SENSITIVITY)), max_size=4).map(tuple),
    sha1=st.one_of(st.just(b""), st.binary(min_size=20, max_size=20)),
    created=st.one_of(st.none(), TIMES),
)


@given(document=DOCUMENTS)
@settings(max_examples=80)
def test_every_pointer_has_a_valid_document_reference(document):
    made = documents.document_reference(document, "https://node.example/fhir")
    validate(made)
    validate(r5records.document_reference(made), R5)
    assert bytes.fromhex(made["id"]) == document.name
    attachment = made["content"][0]["attachment"]
    size = attachment.get("size") or next(
        (i["valueString"] for i in attachment["extension"] if i["url"] == documents.SIZE_EXTENSION),
        0,
    )
    assert int(size) == document.pointer.size


@given(ms=st.integers(-62_135_596_800_000, times.OPEN_END))
def test_an_instant_reads_back_as_the_same_millisecond(ms):
    assert times.interval(elements.instant(ms)) == (ms, ms)


@given(document=DOCUMENTS, content=st.binary(max_size=300))
@settings(max_examples=30)
def test_a_binary_carries_any_bytes(document, content):
    made = documents.binary(document, content)
    validate(made)
    assert base64.b64decode(made.get("data", "")) == content
