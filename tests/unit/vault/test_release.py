import msgspec
import pytest

from ledger.chain.codec import Malformed, encode
from ledger.chain.exchange import (
    Mismatch,
    PointerRequest,
    ReleaseRequest,
    SealedRecord,
    Shown,
    ask_pointers,
    ask_release,
    open_pointers,
    open_record,
    seal_pointers,
    seal_record,
)
from ledger.crypto.sealing import SealError, SealingKey, seal
from ledger.node.answers import NotPermitted
from ledger.node.vault.connector import DirectoryConnector
from ledger.node.vault.release import Refused, Why, pointers, release
from ledger.node.vault.vault import Vault
from tests.support.release import CONTENT, SUBJECT, Scene, key

NOW = 1_500_000
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


def answer(scene, request, now=NOW, holder="east"):
    return release(
        encode(request), chain=scene.chain, validators=scene.validators, holder=holder, now=now,
        vault=scene.vault,
    )  # fmt: skip


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
    assert open_record(sealed, scene.reply, scene.chain, decision, scene.pointer) == CONTENT


def test_neither_the_record_nor_its_salt_can_be_read_on_the_way(scene):
    decision, receipt = scene.permit()
    _, sealed = answer(scene, ask(scene, decision, receipt))
    assert CONTENT not in sealed
    assert scene.vault.lookup(scene.pointer.name()).salts.digest not in sealed
    with pytest.raises(SealError):
        open_record(sealed, SealingKey.generate(), scene.chain, decision, scene.pointer)


def test_a_sealed_record_opens_for_its_own_decision_and_chain_only(scene):
    decision, receipt = scene.permit()
    _, sealed = answer(scene, ask(scene, decision, receipt))
    with pytest.raises(SealError):
        open_record(sealed, scene.reply, scene.chain, "other-0", scene.pointer)
    with pytest.raises(SealError):
        open_record(sealed, scene.reply, bytes(32), decision, scene.pointer)


def test_the_requester_notices_bytes_that_are_not_those_of_the_pointer(scene):
    entry = scene.vault.lookup(scene.pointer.name())
    forged = seal_record(
        scene.chain, "d-0", scene.reply.public, scene.pointer, entry.salts.digest, CONTENT + b" "
    )
    with pytest.raises(Mismatch) as caught:
        open_record(encode(forged), scene.reply, scene.chain, "d-0", scene.pointer)
    assert len(caught.value.digest) == 32
    assert caught.value.digest != scene.pointer.digest


def test_a_sealed_record_that_is_too_short_for_a_salt_is_a_mismatch(scene):
    info = encode(("release", scene.chain, "d-0", scene.pointer.name()))
    short = SealedRecord("d-0", scene.pointer.name(), "x", seal(scene.reply.public, b"short", info))
    with pytest.raises(Mismatch):
        open_record(encode(short), scene.reply, scene.chain, "d-0", scene.pointer)
    with pytest.raises(Malformed):
        open_record(b"junk", scene.reply, scene.chain, "d-0", scene.pointer)


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
            vault=scene.vault,
        )  # fmt: skip
    with pytest.raises(Malformed):
        pointers(raw, chain=scene.chain, holder="east", whois=lambda _: DOCTOR, vault=scene.vault)


# --- pointers of a subject ---


def question(scene, **changes):
    settings = {"subject": SUBJECT, "holder": "east", "reply_key": scene.reply.public, **changes}
    return ask_pointers(scene.requester, scene.chain, **settings)


def listed(scene, request, person):
    raw = pointers(
        encode(request), chain=scene.chain, holder="east",
        whois=lambda text: person if text == scene.requester.public.hex() else None,
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
        raw = encode(seal_pointers(asked, 1, [pair]))
        with pytest.raises(Mismatch):
            open_pointers(raw, scene.reply, asked)
    raw = encode(seal_pointers(request, 1, [Shown(scene.pointer, {"index": 0})]))
    with pytest.raises(Malformed):
        open_pointers(raw, scene.reply, request)
