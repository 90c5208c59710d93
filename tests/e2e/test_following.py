"""Reading and writing through nodes that do not vote, and believing none of them."""

from __future__ import annotations

import secrets
import time

import httpx
import pytest
from consortium import Consortium, until

from ledger.chain.handover import InvalidProof, Trust
from ledger.chain.receipt import InvalidReceipt
from ledger.client.builder import call
from ledger.client.verify import check_entry, check_receipt

OBSERVER = "centre-1"


def test_an_observer_follows_and_has_the_same_chain(consortium: Consortium) -> None:
    consortium.anchor("east-1", 3)
    head = consortium.agreement()
    assert head == consortium.head(OBSERVER, head.height)
    status = consortium.status(OBSERVER)
    assert (status["role"], status["phase"]) == ("observer", "following")
    assert status["committing"], status["reason"]


def test_what_is_submitted_at_an_observer_becomes_final_everywhere(consortium: Consortium) -> None:
    patient = consortium.people["patient-pieter"]
    grant = call("consent", "grant", id="at-observer", subject=patient.id, scope={
        "effect": "permit", "institutions": ["south"], "purposes": ["TREAT"],
        "end": time.time_ns() // 1_000_000 + 3_600_000,
    })  # fmt: skip
    submitted = consortium.send(OBSERVER, [grant], consortium.account("patient-pieter"))
    assert submitted.outcome is not None
    assert submitted.outcome.ok, submitted.outcome
    identity = bytes.fromhex(submitted.id or "")
    consortium.agreement()
    receipts = {
        consortium.client(node).receipt(identity).header.hash() for node in consortium.nodes
    }
    assert len(receipts) == 1


def test_a_receipt_served_by_an_observer_verifies_from_the_genesis_alone(
    consortium: Consortium,
) -> None:
    (identity,) = consortium.anchor(OBSERVER)
    receipt = consortium.client(OBSERVER).receipt(identity)
    verified = check_receipt(receipt, consortium.trust)
    assert verified.transaction.id == identity
    assert verified.result.calls[0].ok
    assert verified.transaction.body.signers == (consortium.officer(OBSERVER).public,)


def test_a_receipt_of_another_chain_does_not_verify(consortium: Consortium) -> None:
    (identity,) = consortium.anchor("east-1")
    receipt = consortium.client("east-1").receipt(identity)
    stranger = Trust(secrets.token_bytes(32), consortium.trust.validators)
    with pytest.raises(InvalidReceipt):
        check_receipt(receipt, stranger)


def test_state_entries_and_their_absence_are_proved_at_any_height(consortium: Consortium) -> None:
    consortium.anchor("south-1")
    present = consortium.client(OBSERVER).state("registry", "people/centre-1", proof=True)
    proven = check_entry(present, consortium.trust, "registry/people/centre-1")
    assert proven.present
    assert proven.value["id"] == "centre-1"

    absent = consortium.client(OBSERVER).state("registry", "people/nobody", proof=True)
    assert not check_entry(absent, consortium.trust, "registry/people/nobody").present
    with pytest.raises(InvalidProof):
        check_entry(absent, consortium.trust, "registry/people/centre-1")

    early = consortium.client(OBSERVER).state("registry", "people/centre-1", 1, proof=True)
    assert check_entry(early, consortium.trust, "registry/people/centre-1", 1).present


def test_an_observer_that_was_down_catches_up_on_what_it_missed(consortium: Consortium) -> None:
    consortium.fleet.kill(OBSERVER)
    missed = [*consortium.anchor("west-1", 2), *consortium.anchor("north-1", 2)]
    # Final where they were handed in says nothing yet of another node.
    height = max(consortium.height(node) for node in ("west-1", "north-1"))
    consortium.start(OBSERVER)
    until(lambda: consortium.height(OBSERVER) >= height, "the observer catching up")
    for identity in missed:
        check_receipt(consortium.client(OBSERVER).receipt(identity), consortium.trust)
    consortium.agreement()


def test_events_are_told_in_the_order_of_the_chain_at_every_node(consortium: Consortium) -> None:
    consortium.anchor("west-1", 3)
    consortium.agreement()

    def told(node: str) -> list[str]:
        lines: list[str] = []
        url = f"{consortium.founding.urls[node]}/v1/events?after=0.0.0"
        with httpx.stream("GET", url, trust_env=False) as stream:
            for line in stream.iter_lines():
                lines.append(line)
                if sum(text.startswith("data:") for text in lines) == 3:
                    break
        return lines

    assert told("east-1") == told(OBSERVER)
