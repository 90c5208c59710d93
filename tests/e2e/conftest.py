"""One consortium in which nothing fails, shared by all modules that only ask and act."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from consortium import Consortium, config, until

from ledger.node.vault.patients import SUBJECTS_FILE

#: A laboratory result of the patient who stands for Patient/f001, as the East Hospital has it.
OBSERVATION = {
    "resourceType": "Observation",
    "id": "f001",
    "status": "final",
    "category": [
        {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                    "code": "laboratory",
                }
            ]
        }
    ],
    "code": {"coding": [{"system": "http://loinc.org", "code": "15074-8"}]},
    "subject": {"reference": "Patient/f001"},
    "effectiveDateTime": "2013-04-02T09:30:10+01:00",
    "valueQuantity": {"value": 6.3, "unit": "mmol/l"},
}
RECORDS = ("glucose", "potassium", "sodium", "calcium", "chloride")
#: Of another patient, from years of which the law still keeps one and the other no longer.
VISITS = {"visit-2018": "2018-05-07", "visit-2003": "2003-06-02"}


def fill_vault(consortium: Consortium, node: str) -> None:
    """Put records of two patients into a hospital's directory before its node starts."""
    vault = consortium.node_home(node) / "vault"
    folder = vault / "records"
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(RECORDS):
        # Every file has another size, by which the tests tell pointers apart.
        content = {**OBSERVATION, "id": name, "note": [{"text": "." * 20 * (number + 1)}]}
        (folder / f"{name}.json").write_text(json.dumps(content))
    for number, (name, day) in enumerate(VISITS.items(), len(RECORDS)):
        about = {"subject": {"reference": "Patient/f201"}, "effectiveDateTime": day}
        content = {**OBSERVATION, **about, "id": name, "note": [{"text": "." * 20 * (number + 1)}]}
        (folder / f"{name}.json").write_text(json.dumps(content))
    people = {"Patient/f001": "patient-pieter", "Patient/f201": "patient-roel"}
    subjects = {reference: consortium.people[key].id for reference, key in people.items()}
    (vault / SUBJECTS_FILE).write_text(json.dumps(subjects))


@pytest.fixture(scope="session")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    """Four validators and an observer, up and ready; East has records of two patients."""
    directory: Path = tmp_path_factory.mktemp("consortium")
    # Enough gas for what people do, and not for a consent of 64 long rules.
    with Consortium(directory, config(observer=True, call_gas=500_000)) as network:
        fill_vault(network, "east-1")
        network.start()
        anchored = {"event": "records_anchored", "new": len(RECORDS) + len(VISITS)}
        until(
            lambda: any(anchored.items() <= line.items() for line in network.log("east-1")),
            "East anchoring its records",
        )
        yield network
        # Whatever the tests did, an outsider finds nothing wrong.
        network.agreement()
        for node in ("east-1", "centre-1"):
            report = network.audit(node)
            assert report["verified"], report
