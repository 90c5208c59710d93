"""The connector against a FHIR server that others have written: that of Medplum."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.node.vault import fhirserver
from ledger.node.vault.fhirhttp import FhirHttp
from ledger.node.vault.fhirserver import FhirServerConnector
from ledger.node.vault.kept import Kept
from ledger.node.vault.vault import Vault
from tests.support.javascript import program

SUBJECTS = {"Patient/f001": "p-" + "1" * 32, "Patient/f201": "p-" + "2" * 32}


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    command = program("fhir-server.mjs", "@medplum/fhir-router")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


def observation(patient: str, value: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "status": "final", "valueInteger": value,
        "code": {"coding": [{"system": "http://loinc.org", "code": "15074-8"}]},
        "subject": {"reference": patient}, "effectiveDateTime": "2026-01-02T03:04:05Z",
    }  # fmt: skip


def test_its_records_are_found_page_by_page_and_again_when_they_change(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fhirserver, "PAGE", 10)
    client = httpx.Client(base_url=base, trust_env=False)
    made = [
        client.post("/Observation", json=observation(f"Patient/{who}", number)).json()
        for number, who in enumerate(["f001", "f201"] * 12)
    ]
    condition = {"resourceType": "Condition", "subject": {"reference": "Patient/f001"}}
    client.post("/Condition", json=condition).raise_for_status()

    connector = FhirServerConnector(
        FhirHttp(base), Kept(tmp_path / "fhir.db"), clock=lambda: 10**12,
        types=("Observation", "Condition"),
    )  # fmt: skip
    vault = Vault.open(tmp_path / "vault.db", connector)
    report = vault.take_in(SUBJECTS, "east", now=0)
    assert (report.new, report.problems) == (25, [])
    for entry in vault.entries():
        kind, identity = entry.source.removeprefix("fhir:").split("/")
        with vault.retrieve(entry) as record:
            kept = json.loads(b"".join(record.pieces()))
        assert kept == client.get(f"/{kind}/{identity}").json()

    changed = {**made[3], "valueInteger": 1_000}
    client.put(f"/Observation/{made[3]['id']}", json=changed).raise_for_status()
    client.post("/Observation", json=observation("Patient/f001", 99)).raise_for_status()
    report = vault.take_in(SUBJECTS, "east", now=1)
    assert (report.new, report.changed, report.missing) == (1, 1, 0)
    assert vault.count() == 26
    vault.close()


def test_its_search_by_patient_finds_the_records_of_one(base: str, tmp_path: Path) -> None:
    client = httpx.Client(base_url=base, trust_env=False)
    for number in range(3):
        client.post("/Observation", json=observation("Patient/alone", number)).raise_for_status()
    connector = FhirServerConnector(
        FhirHttp(base), Kept(tmp_path / "fhir.db"), clock=lambda: 10**12, types=("Observation",),
        patients=lambda: ["Patient/alone"],
    )  # fmt: skip
    vault = Vault.open(tmp_path / "vault.db", connector)
    report = vault.take_in({"Patient/alone": "p-" + "3" * 32}, "east", now=0)
    assert (report.new, report.no_subject) == (3, 0)
    vault.close()
