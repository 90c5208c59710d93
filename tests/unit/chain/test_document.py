"""A document proof is believed for what it shows, and every way to falsify it is noticed."""

from __future__ import annotations

import base64

import msgspec
import pytest

from ledger.chain import merkle
from ledger.chain.codec import Malformed, decode, encode
from ledger.chain.document import (
    FORMAT,
    MAX_BYTES,
    DocumentProof,
    Verdict,
    anchor_key,
    dump_document,
    examine,
    load_document,
    mark_key,
    status_of,
)
from tests.support.anchored import CONTENT, SALT, Anchored, pointer_of
from tests.support.chain_fixtures import consent, consortium, patient, pseudonym, service

__all__ = ["consent", "consortium", "patient", "pseudonym", "service"]


@pytest.fixture
async def anchored(service, consortium, pseudonym):
    return await Anchored(service, consortium, pseudonym).begin()


def verdicts(examination) -> dict[str, str]:
    return {step.name: step.verdict.value for step in examination.steps}


ALL_GOOD = dict.fromkeys(
    ["content", "inclusion", "certificate", "anchoring", "status"], "good"
)  # fmt: skip


async def test_bytes_place_certificate_anchoring_and_status_are_proven_offline(anchored):
    proof = load_document(dump_document(anchored.proof()))
    found = examine(proof, anchored.trust, CONTENT, SALT)
    assert verdicts(found) == ALL_GOOD
    assert found.good
    assert found.status == "anchored"
    assert found.pointer == anchored.pointers[2]
    assert found.anchored == found.time == anchored.service.head().time


async def test_without_bytes_or_salt_the_rest_is_still_proven(anchored):
    assert verdicts(examine(anchored.proof(), anchored.trust))["content"] == "unchecked"
    without_salt = examine(anchored.proof(), anchored.trust, CONTENT)
    assert verdicts(without_salt)["content"] == "unchecked"
    assert without_salt.good


async def test_other_bytes_of_any_length_are_noticed(anchored):
    altered = CONTENT.replace(b"O", b"0")
    for content in (altered, CONTENT + b" ", b""):
        found = examine(anchored.proof(), anchored.trust, content, SALT)
        assert verdicts(found) == ALL_GOOD | {"content": "bad"}
        assert not found.good


async def test_a_record_that_was_superseded_is_proven_to_be(anchored):
    old, new = anchored.leaves[2], anchored.leaves[3]
    await anchored.perform("supersede", holder="east", old=old, new=new)
    found = examine(anchored.proof(), anchored.trust)
    assert (found.status, found.good) == ("superseded", True)
    assert examine(anchored.proof(3), anchored.trust).status == "anchored"


async def test_a_record_anchored_alone_needs_no_path(anchored, pseudonym):
    alone = pointer_of(pseudonym, 99)
    await anchored.perform("anchor", pointer=alone.value())
    proof = DocumentProof(
        alone.leaf(), 0, 0, (),
        anchored.statement(anchor_key(alone, b"")), anchored.statement(mark_key(alone)),
    )  # fmt: skip
    found = examine(proof, anchored.trust, CONTENT, SALT)
    assert verdicts(found) == ALL_GOOD
    padded = msgspec.structs.replace(proof, path=(b"\0" * 32,))
    assert verdicts(examine(padded, anchored.trust))["inclusion"] == "bad"


async def test_a_place_a_size_or_a_path_that_is_not_the_record_s_own_is_noticed(anchored):
    good = anchored.proof()
    for change in (
        {"index": 3}, {"index": -1}, {"size": 6}, {"size": 0}, {"path": good.path[:-1]},
        {"path": (*good.path, b"\0" * 32)}, {"path": (b"\0" * 32,) * 40},
        {"leaf": anchored.pointers[1].leaf()},
    ):  # fmt: skip
        found = examine(msgspec.structs.replace(good, **change), anchored.trust)
        assert not found.good, change
        assert found.anchored == 0


async def test_a_statement_about_another_entry_block_or_chain_is_noticed(anchored, pseudonym):
    good = anchored.proof()
    other_key = msgspec.structs.replace(good, mark=anchored.proof(1).mark)
    assert verdicts(examine(other_key, anchored.trust))["status"] == "bad"
    swapped = msgspec.structs.replace(good, anchor=good.mark)
    assert verdicts(examine(swapped, anchored.trust))["anchoring"] == "bad"

    await anchored.perform("anchor", pointer=pointer_of(pseudonym, 50).value())
    mixed = msgspec.structs.replace(good, mark=anchored.statement(good.mark.key))
    assert verdicts(examine(mixed, anchored.trust))["certificate"] == "bad"

    elsewhere = type(anchored.trust)(b"\0" * 32, anchored.trust.validators)
    found = examine(good, elsewhere)
    assert verdicts(found)["certificate"] == "bad"
    assert verdicts(found)["anchoring"] == "unchecked"
    assert not found.good


async def test_no_record_is_proven_to_be_anchored_that_is_not(anchored, pseudonym):
    never = pointer_of(pseudonym, 77)
    proof = DocumentProof(
        never.leaf(), 0, 0, (),
        anchored.statement(anchor_key(never, b"")), anchored.statement(mark_key(never)),
    )  # fmt: skip
    found = examine(proof, anchored.trust)
    assert verdicts(found)["anchoring"] == "bad"
    assert not found.good


async def test_one_changed_byte_anywhere_in_a_proof_never_proves_anything_else(anchored):
    raw = encode(anchored.proof())
    for place in range(0, len(raw), max(1, len(raw) // 150)):
        spoilt = bytearray(raw)
        spoilt[place] ^= 1
        try:
            proof = load_document(_file(bytes(spoilt)))
        except Malformed:
            continue
        assert not examine(proof, anchored.trust).good, place


def _file(raw: bytes) -> bytes:
    proof = decode(raw, DocumentProof, limit=MAX_BYTES)
    name = merkle.leaf_hash(proof.leaf).hex()
    encoded = base64.b64encode(raw).decode()
    return msgspec.json.encode({"format": FORMAT, "record": name, "proof": encoded})


async def test_a_leaf_that_is_no_pointer_proves_nothing(anchored):
    for leaf in (b"", b"\xff", encode({"holder": "east"}), encode(["list"])):
        found = examine(msgspec.structs.replace(anchored.proof(), leaf=leaf), anchored.trust)
        assert [step.name for step in found.steps] == ["pointer"]
        assert found.steps[0].verdict is Verdict.BAD


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"[]", b"{}", b'{"format":"health-ledger-receipt-1","record":"","proof":""}',
        b'{"format":"health-ledger-document-1","record":"","proof":"!"}',
        b'{"format":"health-ledger-document-1","record":"","proof":"","more":1}', b"\xff" * 10,
        b"[" * 100_000,
    ],
)  # fmt: skip
def test_a_file_that_is_none_is_refused(raw):
    with pytest.raises(Malformed):
        load_document(raw)


async def test_a_file_that_names_another_record_is_refused(anchored):
    raw = dump_document(anchored.proof()).replace(
        anchored.leaves[2].hex().encode(), anchored.leaves[1].hex().encode()
    )
    with pytest.raises(Malformed, match="another record"):
        load_document(raw)


@pytest.mark.parametrize(
    ("status", "how", "said"),
    [
        ("anchored", None, "anchored"),
        ("anchored", "restricted", "restricted"),
        ("superseded", "restricted", "superseded"),
        ("superseded", "destroyed", "destroyed"),
        ("entered-in-error", None, "entered-in-error"),
        ("anchored", "opened", ""),
        ("praised", None, ""),
    ],
)
def test_a_mark_says_what_the_contract_would(status, how, said):
    mark = {"status": status, "by": b"", **({"closed": {"how": how}} if how else {})}
    assert status_of(mark) == said
    assert status_of([mark]) == ""
