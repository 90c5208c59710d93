"""From the directory of records onto the chain, however often it is interrupted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.chain.result import CallResult
from ledger.chain.transaction import Call
from ledger.node import anchoring
from ledger.node.anchoring import AnchoringFailed, anchor
from ledger.node.vault.connector import DirectoryConnector
from ledger.node.vault.vault import Vault

SUBJECTS = {"Patient/1": "p-" + "1" * 32}


def observation(value: float) -> bytes:
    content: dict[str, Any] = {
        "resourceType": "Observation",
        "subject": {"reference": "Patient/1"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "15074-8"}]},
        "effectiveDateTime": "2013-04-02",
        "valueQuantity": {"value": value},
    }
    return json.dumps(content).encode()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "records"
    root.mkdir()
    for number in range(5):
        (root / f"{number}.json").write_bytes(observation(number))
    return root


@pytest.fixture
def vault(tmp_path: Path, source: Path) -> Iterator[Vault]:
    vault = Vault.open(tmp_path / "vault.db", DirectoryConnector(source))
    yield vault
    vault.close()


class ChainOfCalls:
    """Stands for the chain: notes calls, and refuses some."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.errors: dict[str, str] = {}
        self.unreachable = False

    async def perform(self, call: Call) -> tuple[int, CallResult]:
        if self.unreachable:
            raise TimeoutError
        self.calls.append(call)
        error = self.errors.get(call.method, "")
        return 10 + len(self.calls), CallResult(not error, error, None, 1, ())

    def of(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method]


@pytest.fixture
def chain() -> ChainOfCalls:
    return ChainOfCalls()


async def run(vault: Vault, chain: ChainOfCalls) -> Any:
    return await anchor(vault, "east", SUBJECTS, 1_700_000_000_000, chain.perform)


async def test_new_records_are_anchored_in_batches(
    vault: Vault, chain: ChainOfCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchoring, "BATCH", 2)
    assert (await run(vault, chain)).new == 5
    sizes = [call.arguments["size"] for call in chain.of("anchor_many")]
    assert sizes == [2, 2, 1]
    assert all(call.arguments["holder"] == "east" for call in chain.calls)
    assert len(vault.pointers_of(SUBJECTS["Patient/1"])) == 5


async def test_what_is_anchored_is_left_alone(vault: Vault, chain: ChainOfCalls) -> None:
    await run(vault, chain)
    report = await run(vault, chain)
    assert (report.new, report.changed, report.unchanged) == (0, 0, 5)
    assert len(chain.calls) == 1


async def test_an_interrupted_anchoring_goes_on_with_the_same_batch(
    vault: Vault, chain: ChainOfCalls
) -> None:
    chain.unreachable = True
    with pytest.raises(TimeoutError):
        await run(vault, chain)
    (batch,) = vault.batches()
    chain.unreachable = False
    await run(vault, chain)
    (call,) = chain.calls
    assert call.arguments["root"] == batch.root


async def test_a_batch_that_is_on_the_chain_already_counts_as_done(
    vault: Vault, chain: ChainOfCalls
) -> None:
    chain.errors["anchor_many"] = "already_anchored: the batch is anchored (records:1)"
    await run(vault, chain)
    assert len(vault.pointers_of(SUBJECTS["Patient/1"])) == 5
    assert vault.batches() == []


async def test_a_refused_batch_is_an_error_and_stays_to_be_done(
    vault: Vault, chain: ChainOfCalls
) -> None:
    chain.errors["anchor_many"] = "role_missing: not a records officer"
    with pytest.raises(AnchoringFailed, match="role_missing"):
        await run(vault, chain)
    assert len(vault.batches()) == 1
    assert vault.pointers_of(SUBJECTS["Patient/1"]) == []


async def test_a_changed_record_supersedes_the_old_one_on_the_chain(
    vault: Vault, chain: ChainOfCalls, source: Path
) -> None:
    await run(vault, chain)
    old = next(entry.name for entry in vault.entries() if entry.source == "3.json")
    (source / "3.json").write_bytes(observation(33))
    chain.errors["supersede"] = "later"
    assert (await run(vault, chain)).changed == 1
    chain.errors.clear()
    await run(vault, chain)
    await run(vault, chain)
    new = next(entry.name for entry in vault.entries() if entry.source == "3.json")
    told = [(call.arguments["old"], call.arguments["new"]) for call in chain.of("supersede")]
    # Refused once, then carried out, then never said again.
    assert told == [(old, new), (old, new)]
