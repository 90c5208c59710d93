"""A patient wants records destroyed on a running node: one that the law keeps, and an older one."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from consortium import Consortium, command

from ledger.api.signin.operators import Operators
from ledger.chain.pointer import Pointer
from ledger.client import records
from ledger.client.builder import Account, call
from ledger.client.http import NodeRefused
from ledger.client.verify import check_entry, check_receipt
from ledger.crypto.sealing import SealingKey
from ledger.node.setup.home import load_home

HOLDER, OTHER = "east-1", "west-1"
Record = tuple[Pointer, dict[str, Any]]


@pytest.fixture
def patient(consortium: Consortium) -> Account:
    return consortium.account("patient-roel")


def listed(consortium: Consortium, patient: Account) -> list[Record]:
    """What the holder says that it has of her, the oldest first."""
    subject = consortium.people["patient-roel"].id
    question = records.pointers(patient, consortium.chain, "east", subject)
    pointers, total = consortium.client(HOLDER).send(question)
    assert total == len(pointers)
    found = [(pointer, proof) for pointer, proof, _labels in pointers]
    return sorted(found, key=lambda each: each[0].start)


def act(consortium: Consortium, patient: Account, contract: str, method: str, **given: Any) -> Any:
    """What a call of hers gives back, and the transaction it was in."""
    submitted = consortium.send(OTHER, [call(contract, method, **given)], patient)
    assert submitted.outcome is not None
    assert submitted.outcome.ok, submitted.outcome
    return submitted.outcome.calls[0].value, bytes.fromhex(submitted.id or "")


def officer(consortium: Consortium, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of the holder's records officer, who has to sign in and for so long everybody."""
    operators = Operators(load_home(consortium.node_home(HOLDER)).signin / "operators.json")
    token, url = operators.renew("records", ("records",)), consortium.founding.urls[HOLDER]
    try:
        return command("erasure", *arguments, "--url", url, "--token", token, "--json")
    finally:
        operators.dismiss("records")


def decided(consortium: Consortium, patient: Account, record: Record) -> dict[str, Any]:
    """What she is answered who asks for a record of her own."""
    return permit(consortium, patient, record)[0]


def permit(
    consortium: Consortium, patient: Account, record: Record
) -> tuple[dict[str, Any], bytes, SealingKey]:
    reply = SealingKey.generate()
    decision, transaction = act(
        consortium, patient, "access", "request", pointer=record[0].value(), proof=record[1],
        purpose="PATRQT", institution="", reply_key=reply.public,
    )  # fmt: skip
    return decision, transaction, reply


def test_a_record_is_destroyed_as_soon_as_no_law_keeps_it_and_not_before(
    consortium: Consortium, patient: Account
) -> None:
    old, kept = listed(consortium, patient)
    requests = {
        name: act(consortium, patient, "erasure", "ask", pointer=record[0].value(), proof=record[1])
        for name, record in (("old", old), ("kept", kept))
    }
    erasures = {name: str(value) for name, (value, _transaction) in requests.items()}

    # Fifteen years after the last visit: until 2033 for one of them, until 2018 for the other.
    for name, day in (("kept", "2018-05-08"), ("old", "2003-06-03")):
        told = officer(
            consortium, "answer", erasures[name], "--ground", "outpatient", "--since", day
        )
        assert told.returncode == 0, told.stderr
    refused = officer(consortium, "destroy", erasures["kept"], "--yes")
    assert refused.returncode == 1
    assert "outpatient" in refused.stderr
    assert "2033-05-08" in refused.stderr

    # Up to then she reads it herself; a permit for the other one is all that is left of it soon.
    assert decided(consortium, patient, kept)["outcome"] == "permit"
    decision, transaction, reply = permit(consortium, patient, old)
    receipt = consortium.client(OTHER).receipt(transaction)
    check_receipt(receipt, consortium.trust)
    fetch = records.release(patient, consortium.chain, decision["id"], receipt, reply, old[0])
    folder = consortium.node_home(HOLDER) / "vault"
    assert consortium.client(HOLDER).send(fetch) == (
        folder / "records" / "visit-2003.json"
    ).read_bytes()  # fmt: skip

    destroyed = officer(consortium, "destroy", erasures["old"], "--yes")
    assert destroyed.returncode == 0, destroyed.stderr
    report = json.loads(destroyed.stdout)
    assert old[0].name().hex() in report["names"]

    # Every node has the holder's signed word for it, with the hash of a report that is there.
    consortium.agreement()
    for node in (HOLDER, OTHER, "centre-1"):
        entry = consortium.client(node).state("erasure", f"requests/{erasures['old']}", proof=True)
        said = check_entry(entry, consortium.trust, f"erasure/requests/{erasures['old']}").value
        assert said["status"] == "destroyed"
        assert said["receipt"]["statement"].hex() == report["statement"]
    assert (folder / "erasures" / f"{erasures['old']}.json").exists()

    # Nobody gets it: not with the permit of before, not with another one, not herself.
    with pytest.raises(NodeRefused) as gone:
        consortium.client(HOLDER).send(fetch)
    assert (gone.value.status, gone.value.code) == (403, "not-permitted")
    denied = decided(consortium, patient, old)
    assert (denied["outcome"], denied["rule"]) == ("deny", "access:record-destroyed")
    assert [pointer for pointer, _ in listed(consortium, patient)] == [kept[0]]

    audited = consortium.audit(HOLDER)
    assert audited["verified"], audited
