"""From a record in one hospital to its bytes in another, over HTTP, and who does not get it."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
import pytest
from consortium import Consortium

from ledger.chain.codec import encode
from ledger.chain.exchange import ask_release
from ledger.chain.pointer import Pointer
from ledger.chain.receipt import Receipt
from ledger.client import records
from ledger.client.builder import Account, call
from ledger.client.http import NodeRefused
from ledger.client.verify import check_entry, check_receipt
from ledger.crypto.sealing import SealingKey

HOLDER, REQUESTER = "east-1", "west-1"
HOUR = 3_600_000


@dataclass(frozen=True)
class Decision:
    """An access decision with what fetching the record takes."""

    value: dict[str, Any]
    receipt: Receipt
    reply: SealingKey
    pointer: Pointer

    @property
    def id(self) -> str:
        return str(self.value["id"])


@pytest.fixture
def patient(consortium: Consortium) -> Account:
    return consortium.account("patient-pieter")


@pytest.fixture
def physician(consortium: Consortium) -> Account:
    return consortium.account("west-physician")


@pytest.fixture
def held(consortium: Consortium, patient: Account) -> dict[str, tuple[Pointer, dict[str, Any]]]:
    """The patient's records at East by the name of their files, as the patient learns of them."""
    subject = consortium.people["patient-pieter"].id
    question = records.pointers(patient, consortium.chain, "east", subject)
    pointers, total = consortium.client(HOLDER).send(question)
    assert total == len(pointers) == 5
    # A pointer does not say what is in the record, so the size tells the files apart here.
    folder = consortium.node_home(HOLDER) / "vault" / "records"
    sizes = {path.stat().st_size: path.stem for path in folder.iterdir()}
    return {sizes[pointer.size]: (pointer, proof) for pointer, proof, _labels in pointers}


@pytest.fixture
def consent(consortium: Consortium, patient: Account) -> Iterator[str]:
    """The patient permits the West Hospital to treat with the records, for one test."""
    identity = secrets.token_hex(8)
    scope = {
        "institutions": ["west"],
        "purposes": ["TREAT"],
        "end": time.time_ns() // 1_000_000 + HOUR,
    }
    subject = consortium.people["patient-pieter"].id
    told = call("consent", "grant", id=identity, subject=subject, scope=scope)
    submitted = consortium.send(REQUESTER, [told], patient)
    assert submitted.outcome is not None
    assert submitted.outcome.ok, submitted.outcome
    yield identity
    consortium.send(REQUESTER, [call("consent", "withdraw", id=identity)], patient)


def ask(
    consortium: Consortium,
    who: Account,
    record: tuple[Pointer, dict[str, Any]],
    institution: str = "west",
) -> Decision:
    pointer, proof = record
    reply = SealingKey.generate()
    told = call(
        "access", "request", pointer=pointer.value(), proof=proof, purpose="TREAT",
        institution=institution, reply_key=reply.public,
    )  # fmt: skip
    submitted = consortium.send(REQUESTER, [told], who)
    assert submitted.outcome is not None
    assert submitted.outcome.ok, submitted.outcome
    receipt = consortium.client(REQUESTER).receipt(bytes.fromhex(submitted.id or ""))
    check_receipt(receipt, consortium.trust)
    return Decision(submitted.outcome.calls[0].value, receipt, reply, pointer)


def fetch(consortium: Consortium, who: Account, decision: Decision) -> bytes:
    return consortium.client(HOLDER).send(
        records.release(
            who, consortium.chain, decision.id, decision.receipt, decision.reply, decision.pointer
        )
    )


def refusal(consortium: Consortium, body: bytes) -> tuple[int, str, bytes]:
    """Status, media type and body of what a holder answers to a release request."""
    url = f"{consortium.founding.urls[HOLDER]}/v1/records/release"
    headers = {"Content-Type": "application/msgpack"}
    answer = httpx.post(url, content=body, headers=headers, trust_env=False, timeout=30)
    return answer.status_code, answer.headers["content-type"], answer.content


Held = dict[str, tuple[Pointer, dict[str, Any]]]


@pytest.mark.usefixtures("consent")
def test_a_permitted_requester_gets_the_exact_bytes_and_both_sides_log_it(
    consortium: Consortium, physician: Account, held: Held
) -> None:
    decision = ask(consortium, physician, held["glucose"])
    assert decision.value["outcome"] == "permit", decision.value
    assert decision.value["rule"].startswith("consent:")

    content = fetch(consortium, physician, decision)
    folder = consortium.node_home(HOLDER) / "vault" / "records"
    assert content == (folder / "glucose.json").read_bytes()

    told = call(
        "access", "receipt", request=decision.id, digest=decision.pointer.digest, matches=True
    )
    submitted = consortium.send(REQUESTER, [told], physician)
    assert submitted.outcome is not None
    assert submitted.outcome.ok, submitted.outcome
    consortium.agreement()

    key = f"access/decisions/{decision.id}"
    for node in consortium.nodes:
        entry = consortium.client(node).state("access", f"decisions/{decision.id}", proof=True)
        stored = check_entry(entry, consortium.trust, key).value
        assert stored["released"]["matches"] is True
        assert stored["received"]["matches"] is True
        assert stored["released"]["time"] <= stored["received"]["time"]


@pytest.mark.usefixtures("consent")
def test_fetching_again_is_answered_again_and_recorded_once(
    consortium: Consortium, physician: Account, held: Held
) -> None:
    decision = ask(consortium, physician, held["potassium"])
    first = fetch(consortium, physician, decision)
    state = consortium.agreement().state_root
    assert fetch(consortium, physician, decision) == first
    assert consortium.agreement().state_root == state


def test_without_a_permit_every_refusal_is_the_same(
    consortium: Consortium, patient: Account, physician: Account, held: Held, consent: str
) -> None:
    permitted = ask(consortium, physician, held["sodium"])
    withdrawn = consortium.send(REQUESTER, [call("consent", "withdraw", id=consent)], patient)
    assert withdrawn.outcome is not None
    assert withdrawn.outcome.ok, withdrawn.outcome
    denied = ask(consortium, physician, held["sodium"])
    assert denied.value["outcome"] == "deny"
    pointer, proof = held["sodium"]
    unheard_of = ask(
        consortium, physician, (msgspec.structs.replace(pointer, digest=bytes(32)), proof)
    )
    assert unheard_of.value["outcome"] == "deny"
    other = consortium.account("south-physician")
    before = consortium.metric(HOLDER, "ledger_records_withheld_total")

    def question(
        who: Account, decision: str, receipt: bytes, holder: str = "east", chain: bytes = b""
    ) -> bytes:
        return encode(ask_release(who.key, chain or consortium.chain, holder, decision, receipt))

    receipt = encode(permitted.receipt)
    forged = encode(ask_release(physician.key, consortium.chain, "east", permitted.id, receipt))
    damaged = bytearray(receipt)
    damaged[len(damaged) // 2] ^= 1
    answers = [
        refusal(consortium, body)
        for body in (
            question(physician, denied.id, encode(denied.receipt)),
            question(physician, unheard_of.id, encode(unheard_of.receipt)),
            question(other, permitted.id, receipt),
            question(physician, permitted.id, encode(denied.receipt)),
            question(physician, permitted.id, bytes(damaged)),
            question(physician, permitted.id, b""),
            question(physician, permitted.id, receipt, holder="west"),
            question(physician, permitted.id, receipt, chain=bytes(32)),
            forged[:-1] + bytes([forged[-1] ^ 1]),
        )
    ]
    assert {status for status, _media, _body in answers} == {403}
    assert len(set(answers)) == 1, answers
    assert json.loads(answers[0][2])["code"] == "not-permitted"
    withheld = consortium.metric(HOLDER, "ledger_records_withheld_total") - before
    assert withheld == len(answers)
    # The permit itself outlives the withdrawal, for the short time that it was given for.
    assert fetch(consortium, physician, permitted)


@pytest.mark.usefixtures("consent")
def test_an_altered_record_is_withheld_and_counted(
    consortium: Consortium, physician: Account, held: Held
) -> None:
    decision = ask(consortium, physician, held["calcium"])
    path = consortium.node_home(HOLDER) / "vault" / "records" / "calcium.json"
    original = path.read_bytes()
    before = consortium.metric(HOLDER, "ledger_records_altered_total")
    try:
        path.write_bytes(original.replace(b"6.3", b"9.3"))
        with pytest.raises(NodeRefused) as refused:
            fetch(consortium, physician, decision)
    finally:
        path.write_bytes(original)
    assert (refused.value.status, refused.value.code) == (403, "not-permitted")
    assert consortium.metric(HOLDER, "ledger_records_altered_total") == before + 1
    state = consortium.client(HOLDER).state("access", f"decisions/{decision.id}")
    assert state.value["released"] is None
    assert fetch(consortium, physician, decision) == original


@pytest.mark.usefixtures("consent")
def test_a_record_that_is_gone_is_refused_in_the_same_words(
    consortium: Consortium, physician: Account, held: Held
) -> None:
    decision = ask(consortium, physician, held["chloride"])
    path = consortium.node_home(HOLDER) / "vault" / "records" / "chloride.json"
    body = encode(
        ask_release(physician.key, consortium.chain, "east", decision.id, encode(decision.receipt))
    )
    moved = path.with_name(".chloride")
    path.rename(moved)
    try:
        gone = refusal(consortium, body)
    finally:
        moved.rename(path)
    nothing = encode(ask_release(physician.key, consortium.chain, "east", "none", b""))
    assert gone == refusal(consortium, nothing)


def test_strangers_do_not_learn_which_records_there_are(
    consortium: Consortium, physician: Account
) -> None:
    subject = consortium.people["patient-pieter"].id
    for who, about in ((physician, subject), (physician, "p-" + "0" * 32)):
        with pytest.raises(NodeRefused) as refused:
            consortium.client(HOLDER).send(records.pointers(who, consortium.chain, "east", about))
        assert refused.value.status == 403
