"""Reading a record is an act: permitted and on the chain, or denied with the decision."""

from __future__ import annotations

import base64
import hashlib

import pytest

from ledger.api.principal import Kind
from ledger.chain.codec import decode_value
from ledger.chain.pointer import record_digest
from ledger.client.builder import build, call
from tests.support.fhir import principal
from tests.support.fhir_models import R5, validate
from tests.support.fhir_sources import SALT, record

TREAT = {"Ledger-Purpose": "TREAT"}
BREAK = {
    "Ledger-Purpose": "BTG", "Ledger-Emergency": "unconscious", "Ledger-Note": "ab" * 32,
}  # fmt: skip
PDF = b"%PDF-1.7 not really" * 40


@pytest.fixture
async def shown(fhir, service, hospitals, consent, pseudonym):
    """Ids of a laboratory result and of a PDF at South that the physician was shown."""
    (one,) = await hospitals.anchor("south", pseudonym, [record("718-7")])
    (pdf,) = await hospitals.anchor("south", pseudonym, [PDF], media="application/pdf")
    await service.submit([consent("c-open").raw])
    await service.commit()
    answer = await fhir.get(f"DocumentReference?patient={pseudonym}", headers=TREAT)
    assert answer.json()["total"] == 2
    return one.pointer.name().hex(), pdf.pointer.name().hex()


def decision(service, answer):
    raw = service.state(f"access/decisions/{answer.headers['Ledger-Decision']}".encode())
    return decode_value(raw, limit=1 << 20)


async def withdraw(service, patient):
    withdrawn = [call("consent", "withdraw", id="c-open")]
    height = service.head().height
    await service.submit([build(service.chain, height, 100, withdrawn, [patient]).raw])
    await service.commit()


def refused(answer, status, code):
    assert answer.status_code == status, answer.text
    outcome = answer.json()
    validate(outcome)
    assert outcome["issue"][0]["code"] == code
    return outcome["issue"][0]["diagnostics"]


async def test_a_permit_gives_the_exact_bytes_in_their_own_type(fhir, service, shown, physician):
    for name, content, media in (
        (shown[0], record("718-7"), "application/fhir+json"),
        (shown[1], PDF, "application/pdf"),
    ):
        answer = await fhir.get(f"Binary/{name}", headers=TREAT | {"Accept": "*/*"})
        assert answer.status_code == 200
        assert answer.content == content
        assert answer.headers["content-type"] == media
        assert int(answer.headers["content-length"]) == len(content)
        assert answer.headers["x-security-context"] == f"DocumentReference/{name}"
        made = decision(service, answer)
        assert (made["outcome"], made["requester"]) == ("permit", physician.id)
        assert made["record"].hex() == name
        # With the salt that comes along anybody can compare the bytes with the pointer.
        salt = bytes.fromhex(answer.headers["ledger-salt"])
        assert record_digest(salt, answer.content) == made["digest"]


async def test_no_browser_shows_a_record_as_a_page_of_this_server(fhir, shown):
    answer = await fhir.get(f"Binary/{shown[1]}", headers=TREAT)
    assert answer.headers["content-disposition"] == "attachment"


async def test_the_purpose_is_that_of_the_search_unless_another_is_said(fhir, service, shown):
    silent = await fhir.get(f"Binary/{shown[0]}")
    other = await fhir.get(f"Binary/{shown[0]}", headers={"Ledger-Purpose": "COC"})
    assert decision(service, silent)["purpose"] == "TREAT"
    assert decision(service, other)["purpose"] == "COC"


@pytest.mark.parametrize("accept", ["application/pdf", "image/*", "text/html, */*;q=0.1"])
async def test_no_accept_header_keeps_the_bytes_away(fhir, shown, accept):
    answer = await fhir.get(f"Binary/{shown[1]}", headers={"Accept": accept})
    assert answer.content == PDF


@pytest.mark.parametrize(
    ("query", "headers"),
    [("", {"Accept": "application/fhir+json"}), ("?_format=json", {}),
     ("", {"Accept": "application/fhir+json; fhirVersion=5.0"})],
)  # fmt: skip
async def test_who_asks_for_fhir_gets_a_binary_resource(fhir, service, shown, query, headers):
    answer = await fhir.get(f"Binary/{shown[1]}{query}", headers=TREAT | headers)
    resource = answer.json()
    validate(resource, R5 if "5.0" in headers.get("Accept", "") else "4.0")
    assert base64.b64decode(resource["data"]) == PDF
    assert resource["contentType"] == "application/pdf"
    assert answer.headers["ledger-salt"] == SALT.hex()
    assert decision(service, answer)["outcome"] == "permit"


async def test_what_is_too_large_to_be_wrapped_is_given_as_bytes_only(
    fhir, hospitals, pseudonym, monkeypatch, shown
):
    monkeypatch.setattr("ledger.api.fhir.binaries.MAX_WRAPPED", len(PDF) - 1)
    asked = hospitals.asked
    answer = await fhir.get(f"Binary/{shown[1]}", headers={"Accept": "application/fhir+json"})
    refused(answer, 406, "too-long")
    assert hospitals.asked == asked
    assert (await fhir.get(f"Binary/{shown[1]}")).content == PDF


async def test_a_denial_says_which_decision_and_rule_and_nothing_else(
    fhir, service, patient, shown
):
    await withdraw(service, patient)
    answer = await fhir.get(f"Binary/{shown[0]}", headers=TREAT)
    made = decision(service, answer)
    assert made["outcome"] == "deny"
    text = refused(answer, 403, "forbidden")
    assert text == f"Denied by {made['rule']}, decision {made['id']}"
    assert "ledger-salt" not in answer.headers


async def test_breaking_the_glass_is_a_purpose_with_a_reason_and_a_note(
    fhir, service, patient, shown
):
    await withdraw(service, patient)
    answer = await fhir.get(f"Binary/{shown[0]}", headers=BREAK)
    assert answer.content == record("718-7")
    made = decision(service, answer)
    assert (made["purpose"], made["rule"]) == ("BTG", "emergency:break-glass")
    assert made["review_by"] > made["time"]
    half = await fhir.get(f"Binary/{shown[0]}", headers={"Ledger-Purpose": "BTG"})
    refused(half, 400, "invalid")


async def test_what_was_not_shown_does_not_exist_and_nobody_is_asked(
    fhir, signed_in, service, hospitals, pseudonym, shown
):
    (unseen,) = await hospitals.anchor("south", pseudonym, [b"unseen"])
    height = service.head().height
    missing = [
        await fhir.get(f"Binary/{name}", headers=TREAT)
        for name in (unseen.pointer.name().hex(), "00" * 32, "nonsense")
    ]
    signed_in.who = principal(Kind.STAFF, "somebody", "east", "physician")
    missing.append(await fhir.get(f"Binary/{shown[0]}", headers=TREAT))
    assert {answer.status_code for answer in missing} == {404}
    assert len({answer.text for answer in missing}) == 1
    assert service.head().height == height


async def test_an_own_record_needs_a_permit_as_well(fhir, service, hospitals, pseudonym):
    (own,) = await hospitals.anchor("east", pseudonym, [record("1-1")])
    name = own.pointer.name().hex()
    unsaid = await fhir.get(f"Binary/{name}")
    refused(unsaid, 400, "required")
    answer = await fhir.get(f"Binary/{name}", headers=TREAT)
    refused(answer, 403, "forbidden")
    assert decision(service, answer)["outcome"] == "deny"


async def test_a_patient_is_told_to_ask_with_her_own_key(
    fhir, signed_in, hospitals, pseudonym, herself
):
    (own,) = await hospitals.anchor("east", pseudonym, [record("1-1")])
    signed_in.who = herself
    answer = await fhir.get(f"Binary/{own.pointer.name().hex()}")
    assert "her own key" in refused(answer, 403, "business-rule")


async def test_a_caller_without_a_held_key_cannot_ask(fhir, signed_in, hospitals, pseudonym):
    (own,) = await hospitals.anchor("east", pseudonym, [record("1-1")])
    signed_in.who = principal(Kind.SYSTEM, "client-1", "east")
    answer = await fhir.get(f"Binary/{own.pointer.name().hex()}", headers=TREAT)
    refused(answer, 403, "security")


async def test_a_holder_that_does_not_give_the_record_is_no_denial(fhir, hospitals, shown):
    hospitals.contents.clear()
    refused(await fhir.get(f"Binary/{shown[0]}", headers=TREAT), 503, "transient")


async def test_an_answer_that_breaks_off_does_not_pass_for_a_whole_one(fhir, hospitals, shown):
    hospitals.broken.add(bytes.fromhex(shown[1]))
    wrapped = await fhir.get(f"Binary/{shown[1]}", headers={"Accept": "application/fhir+json"})
    refused(wrapped, 503, "transient")
    # The transport of tests has no connection that could be cut; it notices that no end came.
    with pytest.raises(AssertionError):
        await fhir.get(f"Binary/{shown[1]}", headers=TREAT)


async def test_who_has_had_the_bytes_finds_their_hash_and_type_in_the_document(fhir, shown):
    before = (await fhir.get(f"DocumentReference/{shown[0]}")).json()
    await fhir.get(f"Binary/{shown[0]}", headers=TREAT)
    after = (await fhir.get(f"DocumentReference/{shown[0]}")).json()
    validate(after)
    attachment = after["content"][0]["attachment"]
    assert "hash" not in before["content"][0]["attachment"]
    assert base64.b64decode(attachment["hash"]) == hashlib.sha1(record("718-7")).digest()
    assert after["type"]["coding"][0]["code"] == "718-7"


async def test_a_text_gets_no_charset_that_nobody_said(
    fhir, service, hospitals, consent, pseudonym
):
    (text,) = await hospitals.anchor(
        "south", pseudonym, ["检查".encode("gb18030")], media="text/plain"
    )
    await service.submit([consent().raw])
    await service.commit()
    await fhir.get(f"DocumentReference?patient={pseudonym}", headers=TREAT)
    answer = await fhir.get(f"Binary/{text.pointer.name().hex()}", headers=TREAT)
    assert answer.headers["content-type"] == "text/plain"
    assert answer.content.decode("gb18030") == "检查"


async def test_a_transfer_that_broke_off_goes_on_where_it_was(fhir, shown):
    first = await fhir.get(f"Binary/{shown[1]}", headers=TREAT)
    assert first.headers["accept-ranges"] == "bytes"
    rest = await fhir.get(f"Binary/{shown[1]}", headers=TREAT | {"Range": "bytes=100-"})
    assert rest.status_code == 206
    assert rest.content == PDF[100:]
    assert rest.headers["content-range"] == f"bytes 100-{len(PDF) - 1}/{len(PDF)}"
    assert int(rest.headers["content-length"]) == len(PDF) - 100
    assert rest.headers["ledger-decision"] != first.headers["ledger-decision"]
    same = {"Range": "bytes=5-", "If-Range": first.headers["etag"]}
    assert (await fhir.get(f"Binary/{shown[1]}", headers=same)).content == PDF[5:]


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=0-9"}, {"Range": "bytes=-9"}, {"Range": "bytes=1-,5-"}, {"Range": "x"},
        {"Range": "bytes=5-", "If-Range": '"another"'}, {"Range": f"bytes={'9' * 30}-"},
    ],
)  # fmt: skip
async def test_a_range_that_resuming_does_not_need_is_answered_with_the_whole(fhir, shown, headers):
    answer = await fhir.get(f"Binary/{shown[1]}", headers=TREAT | headers)
    assert (answer.status_code, answer.content) == (200, PDF)


async def test_a_range_behind_the_end_asks_nobody(fhir, service, shown):
    height = service.head().height
    answer = await fhir.get(f"Binary/{shown[1]}", headers={"Range": f"bytes={len(PDF)}-"})
    refused(answer, 416, "invalid")
    assert answer.headers["content-range"] == f"bytes */{len(PDF)}"
    assert service.head().height == height


async def test_the_last_piece_waits_until_the_whole_is_known_to_be_good(fhir, hospitals, shown):
    """All bytes come, and then the holder's answer turns out to be another record."""
    hospitals.broken_at_end = True
    with pytest.raises(AssertionError):
        await fhir.get(f"Binary/{shown[1]}", headers=TREAT)
    wrapped = await fhir.get(f"Binary/{shown[1]}", headers={"Accept": "application/fhir+json"})
    refused(wrapped, 503, "transient")
    assert "hash" not in (await fhir.get(f"DocumentReference/{shown[1]}")).text
