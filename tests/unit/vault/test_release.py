import msgspec
import pytest

from ledger.chain.codec import Malformed, encode
from ledger.chain.exchange import (
    EnquiryRequest,
    Mismatch,
    PointerRequest,
    ReleaseRequest,
    Shown,
    ask_enquiry,
    ask_pointers,
    ask_release,
    open_pointers,
    seal_pointers,
)
from ledger.chain.streaming import open_whole
from ledger.crypto.sealing import SealError, SealingKey
from ledger.node.answers import NotPermitted, TooOften
from ledger.node.clock import now_ms
from ledger.node.vault.connector import DirectoryConnector
from ledger.node.vault.opened import RecordAltered
from ledger.node.vault.release import Refused, Why, release
from ledger.node.vault.showing import enquired, pointers
from ledger.node.vault.turnstile import Turnstile
from ledger.node.vault.vault import Vault
from tests.support.release import CONTENT, SUBJECT, Scene, key

NOW = 1_500_000
OFFICER = key(200)
DOCTOR = {
    "id": "p-doctor", "status": "active",
    "affiliations": [{"institution": "east", "roles": ["physician"]}],
}  # fmt: skip


@pytest.fixture
def scene(tmp_path):
    source = tmp_path / "records"
    source.mkdir()
    (source / "a.json").write_bytes(CONTENT)
    vault = Vault.open(tmp_path / "vault.db", DirectoryConnector(source))
    vault.take_in({"Patient/1": SUBJECT}, "east", now=0)
    for batch in vault.batches():
        vault.anchored(batch.root, 1)
    ((pointer, proof, _labels),) = vault.pointers_of(SUBJECT)
    yield Scene(vault, source, pointer, proof)
    vault.close()


def ask(scene, decision, receipt, requester=None, holder="east", chain=None):
    return ask_release(
        requester or scene.requester, chain or scene.chain, holder, decision, receipt
    )


def answer(scene, request, now=NOW, holder="east", admit=lambda _: DOCTOR, first=0):
    ready = release(
        encode(request), chain=scene.chain, validators=scene.validators, holder=holder, now=now,
        vault=scene.vault, officer=OFFICER, admit=admit, first=first,
    )  # fmt: skip
    with ready.record:
        return ready.grant, b"".join(ready.answer)


def refusal(scene, request, **more):
    with pytest.raises(Refused) as caught:
        answer(scene, request, **more)
    # The API answers NotPermitted without looking further; the text must tell nothing either.
    assert isinstance(caught.value, NotPermitted)
    assert str(caught.value) == "not permitted"
    assert caught.value.args == ("not permitted",)
    return caught.value.why


# --- the way it should go ---


@pytest.mark.parametrize("method", ["request", "break_glass"])
def test_a_permitted_requester_gets_the_exact_bytes(scene, method):
    decision, receipt = scene.permit(method=method)
    grant, sealed = answer(scene, ask(scene, decision, receipt))
    assert (grant.decision, grant.requester, grant.institution) == (decision, "p-doctor", "west")
    assert grant.pointer == scene.pointer
    assert open_whole(sealed, scene.reply, scene.chain, decision, scene.pointer) == CONTENT


def test_neither_the_record_nor_its_salt_can_be_read_on_the_way(scene):
    decision, receipt = scene.permit()
    _, sealed = answer(scene, ask(scene, decision, receipt))
    assert CONTENT not in sealed
    assert scene.vault.lookup(scene.pointer.name()).salts.digest not in sealed
    with pytest.raises(SealError):
        open_whole(sealed, SealingKey.generate(), scene.chain, decision, scene.pointer)


def test_a_sealed_record_opens_for_its_own_decision_and_chain_only(scene):
    decision, receipt = scene.permit()
    _, sealed = answer(scene, ask(scene, decision, receipt))
    with pytest.raises(Mismatch):
        open_whole(sealed, scene.reply, scene.chain, "other-0", scene.pointer)
    with pytest.raises(Mismatch):
        open_whole(sealed, scene.reply, bytes(32), decision, scene.pointer)


# --- every refusal is the same ---


def test_a_denial_releases_nothing(scene):
    assert refusal(scene, ask(scene, *scene.permit(outcome="deny"))) == Why.DENIED


def test_an_expired_permit_releases_nothing(scene):
    request = ask(scene, *scene.permit())
    assert refusal(scene, request, now=scene.expires) == Why.EXPIRED
    answer(scene, request, now=scene.expires - 1)


def test_a_permit_of_somebody_else_releases_nothing(scene):
    request = ask(scene, *scene.permit(), requester=key(2))
    assert refusal(scene, request) == Why.ANOTHER_REQUESTER


def test_a_permit_for_another_holder_releases_nothing(scene):
    assert refusal(scene, ask(scene, *scene.permit(holder="west"))) == Why.ANOTHER_HOLDER
    request = ask(scene, *scene.permit(), holder="west")
    assert refusal(scene, request) == Why.ANOTHER_HOLDER
    assert refusal(scene, request, holder="west") == Why.ANOTHER_HOLDER


def test_a_receipt_that_the_validators_did_not_certify_releases_nothing(scene):
    strangers = [key(number) for number in range(200, 204)]
    assert refusal(scene, ask(scene, *scene.permit(nodes=strangers))) == Why.BAD_RECEIPT


def test_a_receipt_with_any_changed_byte_releases_nothing(scene):
    decision, receipt = scene.permit()
    for place in range(0, len(receipt), 37):
        changed = receipt[:place] + bytes([receipt[place] ^ 1]) + receipt[place + 1 :]
        assert refusal(scene, ask(scene, decision, changed)) == Why.BAD_RECEIPT


@pytest.mark.parametrize("receipt", [b"", b"\x90", b"junk"])
def test_junk_in_place_of_a_receipt_releases_nothing(scene, receipt):
    assert refusal(scene, ask(scene, "d-0", receipt)) == Why.BAD_RECEIPT


def test_a_request_changed_after_signing_releases_nothing(scene):
    request = ask(scene, *scene.permit())
    fields = [getattr(request, name) for name in request.__struct_fields__]
    for place, other in ((2, "other-0"), (3, b"other"), (4, key(3).public), (5, bytes(64))):
        changed = ReleaseRequest(*[*fields[:place], other, *fields[place + 1 :]])
        assert refusal(scene, changed) == Why.BAD_SIGNATURE


def test_a_request_of_another_chain_releases_nothing(scene):
    request = ask(scene, *scene.permit(), chain=b"\x09" * 32)
    assert refusal(scene, request) == Why.ANOTHER_CHAIN


@pytest.mark.parametrize(
    "changes",
    [{"ok": False}, {"contract": "consent"}, {"method": "review"}, {"record": bytes(32)},
     {"expires": "later"}, {"outcome": None}],
)  # fmt: skip
def test_a_transaction_without_a_decision_on_this_record_releases_nothing(scene, changes):
    assert refusal(scene, ask(scene, *scene.permit(**changes))) == Why.NO_DECISION


def test_another_decision_id_than_the_receipts_releases_nothing(scene):
    decision, receipt = scene.permit()
    assert refusal(scene, ask(scene, decision[:-1] + "1", receipt)) == Why.NO_DECISION


def test_a_record_that_does_not_exist_is_refused_like_all_else(scene):
    scene.pointer = msgspec.structs.replace(scene.pointer, size=1)
    assert refusal(scene, ask(scene, *scene.permit())) == Why.UNKNOWN_RECORD


def test_an_altered_or_missing_record_is_refused_like_all_else(scene):
    request = ask(scene, *scene.permit())
    (scene.source / "a.json").write_bytes(CONTENT + b" ")
    assert refusal(scene, request) == Why.ALTERED
    (scene.source / "a.json").unlink()
    assert refusal(scene, request) == Why.UNAVAILABLE


def test_an_unusable_reply_key_is_refused_like_all_else(scene):
    for reply_key in (bytes(32), b"short"):
        assert refusal(scene, ask(scene, *scene.permit(reply_key=reply_key))) == Why.BAD_REPLY_KEY


@pytest.mark.parametrize("raw", [b"", b"\x91\x01", b"\xff" * 50, encode({"a": 1})])
def test_bytes_that_are_no_request_are_malformed(scene, raw):
    with pytest.raises(Malformed):
        release(
            raw, chain=scene.chain, validators=scene.validators, holder="east", now=NOW,
            vault=scene.vault, officer=OFFICER, admit=lambda _: DOCTOR,
        )  # fmt: skip
    with pytest.raises(Malformed):
        pointers(raw, chain=scene.chain, holder="east", admit=lambda _: DOCTOR, vault=scene.vault)
    with pytest.raises(Malformed):
        on_enquiry(scene, raw)


# --- pointers of a subject ---


def question(scene, **changes):
    settings = {"subject": SUBJECT, "holder": "east", "reply_key": scene.reply.public, **changes}
    return ask_pointers(scene.requester, scene.chain, **settings)


def listed(scene, request, person):
    raw = pointers(
        encode(request), chain=scene.chain, holder="east",
        admit=Turnstile(
            lambda text: person if text == scene.requester.public.hex() else None, lambda: NOW
        ).admit,
        vault=scene.vault,
    )  # fmt: skip
    return open_pointers(raw, scene.reply, request)


@pytest.mark.parametrize(
    "person",
    [{"id": SUBJECT, "status": "active", "affiliations": []}, DOCTOR],
    ids=["the subject herself", "a physician of the holder"],
)
def test_the_subject_and_staff_of_the_holder_learn_her_pointers(scene, person):
    assert listed(scene, question(scene), person) == ([Shown(scene.pointer, scene.proof)], 1)


def test_a_subject_of_whom_nothing_is_held_gets_an_empty_list(scene):
    nobody = "p-" + "9" * 32
    assert listed(scene, question(scene, subject=nobody), DOCTOR) == ([], 0)


def test_pointers_come_in_pages(scene):
    assert listed(scene, question(scene, skip=1), DOCTOR) == ([], 1)


@pytest.mark.parametrize(
    "person",
    [
        None,
        {**DOCTOR, "status": "revoked"},
        {**DOCTOR, "affiliations": [{"institution": "west", "roles": ["physician"]}]},
        {**DOCTOR, "affiliations": [{"institution": "east", "roles": ["patient", "governor"]}]},
    ],
    ids=["unknown", "revoked", "staff elsewhere", "another patient here"],
)
def test_others_learn_nothing(scene, person):
    with pytest.raises(Refused) as caught:
        listed(scene, question(scene), person)
    assert caught.value.why == Why.NO_STANDING
    assert str(caught.value) == "not permitted"


def test_a_question_changed_after_signing_is_refused(scene):
    request = question(scene)
    fields = {name: getattr(request, name) for name in request.__struct_fields__}
    for change in ({"subject": "p-" + "2" * 32}, {"reply_key": bytes(32)}, {"skip": 1}):
        with pytest.raises(Refused):
            listed(scene, PointerRequest(**{**fields, **change}), DOCTOR)


def test_the_asker_notices_pointers_that_were_not_asked_for(scene):
    request = question(scene)
    wrong_proof = {**scene.proof, "root": bytes(32)}
    other = question(scene, subject="p-" + "2" * 32)
    for asked, pair in (
        (request, Shown(scene.pointer, wrong_proof)),
        (other, Shown(scene.pointer, scene.proof)),
    ):
        raw = encode(seal_pointers(asked, scene.reply.public, 1, [pair]))
        with pytest.raises(Mismatch):
            open_pointers(raw, scene.reply, asked)
    raw = encode(
        seal_pointers(request, scene.reply.public, 1, [Shown(scene.pointer, {"index": 0})])
    )
    with pytest.raises(Malformed):
        open_pointers(raw, scene.reply, request)


# --- who may ask at all ---


def test_nothing_is_proved_for_somebody_who_may_not_ask(scene):
    request = ask(scene, *scene.permit())

    def nobody(_key):
        raise Refused(Why.NO_STANDING)

    assert refusal(scene, request, admit=nobody) == Why.NO_STANDING
    forged = msgspec.structs.replace(request, receipt=b"junk")
    asked = []
    assert refusal(scene, forged, admit=asked.append) == Why.BAD_SIGNATURE
    assert asked == []


def test_a_person_asks_so_often_a_minute_and_not_more():
    people = {"k1": {**DOCTOR, "id": "a"}, "k2": {**DOCTOR, "id": "a"}, "k3": {**DOCTOR, "id": "b"}}
    turnstile = Turnstile(people.get, now_ms, per_minute=2)
    assert turnstile.admit("k1")["id"] == "a"
    turnstile.admit("k2")
    with pytest.raises(TooOften) as refused:
        turnstile.admit("k1")
    assert 1 <= refused.value.wait <= 61
    turnstile.admit("k3")
    for _ in range(5):
        with pytest.raises(Refused):
            turnstile.admit("unknown")


def test_a_record_comes_from_the_chunk_on_that_was_asked_for(scene):
    request = ask(scene, *scene.permit())
    assert refusal(scene, request, first=1) == Why.NO_CHUNK
    for first in (-1, 2**60):
        with pytest.raises(Malformed):
            answer(scene, request, first=first)


def test_a_file_that_changes_while_it_is_read_does_not_come_to_an_end(scene):
    decision, receipt = scene.permit()
    ready = release(
        encode(ask(scene, decision, receipt)), chain=scene.chain, validators=scene.validators,
        holder="east", now=NOW, vault=scene.vault, officer=OFFICER, admit=lambda _: DOCTOR,
    )  # fmt: skip
    (scene.source / "a.json").write_bytes(CONTENT.replace(b"5.4", b"4.5"))
    sent = []
    with ready.record, pytest.raises(RecordAltered):
        sent.extend(ready.answer)
    assert len(sent) <= 1
    with pytest.raises(Malformed):
        open_whole(b"".join(sent), scene.reply, scene.chain, decision, scene.pointer)


# --- pointers on an enquiry ---


def on_enquiry(scene, request, preview=lambda *_: True, **changes):
    given = {
        "chain": scene.chain, "validators": scene.validators, "holder": "east", "now": NOW,
        "vault": scene.vault, "admit": lambda _: DOCTOR, "preview": preview, **changes,
    }  # fmt: skip
    return enquired(request if isinstance(request, bytes) else encode(request), **given)


def enquiry(scene, requester=None, **changes):
    identity, receipt = scene.enquiry()
    given = {"holder": "east", "subject": SUBJECT, "enquiry": identity, **changes}
    return ask_enquiry(requester or scene.requester, scene.chain, receipt=receipt, **given)


def denied(scene, request, **changes):
    with pytest.raises(Refused) as caught:
        on_enquiry(scene, request, **changes)
    assert str(caught.value) == "not permitted"
    return caught.value.why


def test_an_enquiry_shows_what_would_be_permitted_and_nothing_else_not_even_in_number(scene):
    (scene.source / "b.json").write_bytes(CONTENT.replace(b"5.4", b"6.6"))
    scene.vault.take_in({"Patient/1": SUBJECT}, "east", now=0)
    for batch in scene.vault.batches():
        scene.vault.anchored(batch.root, 2)
    asked = []

    def preview(shown, what, asker):
        asked.append((shown.pointer, what.purpose, what.institution, what.case, asker))
        return shown.pointer == scene.pointer

    request = enquiry(scene)
    found, total = open_pointers(on_enquiry(scene, request, preview), scene.reply, request)
    assert (found, total) == ([Shown(scene.pointer, scene.proof)], 1)
    assert len(asked) == 2
    assert {entry[1:] for entry in asked} == {
        ("TREAT", "west", "case-1", scene.requester.public.hex())
    }
    nothing = on_enquiry(scene, request, lambda *_: False)
    assert open_pointers(nothing, scene.reply, request) == ([], 0)
    unknown = enquiry(scene, subject=SUBJECT, skip=1)
    assert open_pointers(on_enquiry(scene, unknown, preview), scene.reply, unknown) == ([], 1)


def test_of_a_subject_of_whom_nothing_is_held_the_answer_looks_the_same(scene):
    scene.subject = "p-" + "9" * 32
    request = enquiry(scene, subject=scene.subject)
    assert open_pointers(on_enquiry(scene, request), scene.reply, request) == ([], 0)


def test_an_enquiry_of_somebody_else_about_somebody_else_or_of_long_ago_shows_nothing(scene):
    assert denied(scene, enquiry(scene, requester=key(9))) == Why.ANOTHER_REQUESTER
    assert denied(scene, enquiry(scene, subject="p-" + "2" * 32)) == Why.NO_ENQUIRY
    assert denied(scene, enquiry(scene, enquiry="other-0")) == Why.NO_ENQUIRY
    assert denied(scene, enquiry(scene, holder="west")) == Why.ANOTHER_HOLDER
    assert denied(scene, enquiry(scene), now=scene.expires) == Why.EXPIRED
    assert denied(scene, enquiry(scene), chain=bytes(32)) == Why.ANOTHER_CHAIN


def test_a_decision_is_no_enquiry_and_junk_no_receipt(scene):
    decision, receipt = scene.permit()
    request = ask_enquiry(scene.requester, scene.chain, "east", SUBJECT, decision, receipt)
    assert denied(scene, request) == Why.NO_ENQUIRY
    request = ask_enquiry(scene.requester, scene.chain, "east", SUBJECT, decision, b"junk")
    assert denied(scene, request) == Why.BAD_RECEIPT


def test_a_question_on_an_enquiry_that_was_changed_after_signing_is_refused(scene):
    request = enquiry(scene)
    fields = {name: getattr(request, name) for name in request.__struct_fields__}
    for change in ({"subject": "p-" + "2" * 32}, {"enquiry": "x-0"}, {"skip": 1}):
        assert denied(scene, EnquiryRequest(**{**fields, **change})) == Why.BAD_SIGNATURE
    with pytest.raises(Malformed):
        on_enquiry(scene, EnquiryRequest(**{**fields, "skip": -1}))
