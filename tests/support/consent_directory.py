"""Who the references of a Consent mean, when it speaks of the ledger's own ids."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.fhir.consent import Directory


def own(directory: Directory) -> Directory:
    """The same people, institutions and records, by the references that the ledger itself gives."""

    def named(kind: str, ids: Iterable[str]) -> dict[str, str]:
        return {f"{kind}/{name}": name for name in ids}

    patients = {name for name in directory.persons.values() if name.startswith("p-")}
    others = {name for name in directory.persons.values() if name not in patients}
    return Directory(
        institutions=named("Organization", directory.institutions.values()),
        persons={**named("Patient", patients), **named("Practitioner", others)},
        records=named("DocumentReference", directory.records.values()),
        representatives=named("Patient", directory.representatives.values()),
        label_keys=directory.label_keys,
    )
