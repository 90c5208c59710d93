"""Everything that leaves /fhir, held against the official StructureDefinitions of R4."""

from __future__ import annotations

from collections import Counter

from ledger.api.principal import Kind
from ledger.chain.pointer import CONFIDENTIALITY, RECORD_CLASSES
from tests.support.fhir import principal
from tests.support.fhir_consents import consent as fhir_consent
from tests.support.fhir_sources import record
from tests.support.fhir_validator import faults

TREAT = {"Ledger-Purpose": "TREAT"}
BREAK = {
    "Ledger-Purpose": "BTG", "Ledger-Emergency": "unconscious", "Ledger-Note": "ab" * 32,
}  # fmt: skip


async def test_every_resource_of_a_day_is_valid_by_somebody_else_s_validator(
    fhir, signed_in, service, hospitals, consent, pseudonym, physician, herself, tmp_path
):
    service.keep_lists(tmp_path / "lists.db")
    for place, kind in enumerate(RECORD_CLASSES):
        large = {"size": 2**31 + 5} if kind == "other" else {}
        await hospitals.anchor(
            "south", pseudonym, [record(str(place))], kind=kind,
            confidentiality=CONFIDENTIALITY[place % 3], start=place, end=place + 1,
            replaces=b"\1" * 32 if place % 2 else b"", **large,
        )  # fmt: skip
    await hospitals.anchor("east", pseudonym, [record("own")], media="application/pdf")
    await service.submit([consent("c-1", scope={"purposes": ["TREAT"], "kinds": ["note"]}).raw])
    await service.commit()

    told = []

    async def get(path, **headers):
        answer = await fhir.get(path, headers={"Accept": "application/fhir+json", **headers})
        told.append(answer.json())
        return told[-1]

    found = await get(f"DocumentReference?patient={pseudonym}&_count=200", **TREAT)
    every = await get(f"DocumentReference?patient={pseudonym}&_count=200", **BREAK)
    documents = [entry["resource"] for entry in every["entry"]]
    assert len(documents) == len(RECORD_CLASSES) + 1 > len(found["entry"])
    (note, *_) = [d for d in documents if d["category"][0]["coding"][0]["code"] == "note"]
    (ecg, *_) = [d for d in documents if d["category"][0]["coding"][0]["code"] == "ecg"]
    await get(f"Binary/{note['id']}", **TREAT)
    await get(f"Binary/{ecg['id']}", **TREAT)
    await get(f"Binary/{ecg['id']}", **BREAK)
    for document in documents[:3]:
        await get(f"DocumentReference/{document['id']}")
        await get(f"Provenance/{document['id']}")
        await get(f"DocumentReference/{document['id']}/$verify")
    await get("AuditEvent?_count=200")
    signed_in.who = herself
    events = await get("AuditEvent?_count=200")
    proposed = await fhir.post(
        "Consent", json=fhir_consent(pseudonym), headers={"Content-Type": "application/fhir+json"}
    )
    assert proposed.status_code == 202, proposed.text
    told.append(proposed.json())
    signed_in.who = principal(Kind.STAFF, "nobody", "east", "nurse")
    await get("AuditEvent/none")
    await get("metadata")

    inner = [entry["resource"] for each in told for entry in each.get("entry", ())]
    everything = [*told, *inner]
    kinds = Counter(resource["resourceType"] for resource in everything)
    assert set(kinds) == {
        "AuditEvent", "Binary", "Bundle", "CapabilityStatement", "Consent", "DocumentReference",
        "OperationOutcome", "Parameters", "Provenance",
    }  # fmt: skip
    assert len(events["entry"]) > 5
    # So that nobody takes a validator that says nothing for one that finds nothing.
    spoilt = [
        {"resourceType": "Provenance", "target": [{"reference": "Patient/1"}]},
        {"resourceType": "Binary", "contentType": "text/plain", "colour": "red"},
    ]
    *found, missing, odd = faults([*everything, *spoilt])
    assert any("recorded" in fault for fault in missing)
    assert any("colour" in fault for fault in odd)
    wrong = {
        f"{resource['resourceType']}: {fault}"
        for resource, several in zip(everything, found, strict=True)
        for fault in several
    }
    assert wrong == set()
