"""What each official HL7 Consent says to a matrix of requests: who, for what, what, when.

`python -m tests.support.consent_matrix` writes `tests/data/hl7_consents_matrix.json` and the tables
of `docs/fhir-consents.md` anew; the tests compare both with what contract and importer say.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.chain.tokens import LabelKey
from ledger.fhir.consent import Computable, Directory, Refused, import_consent
from ledger.fhir.labels import sensitivity_lineage
from tests.support.consent_reference import Asked
from tests.support.contracts import DAY, ELDER, MOTHER, NEIGHBOUR, PATIENT, SON, World

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "ledger" / "data" / "hl7-r4-examples"
CLARIFIED = ROOT / "tests" / "data" / "hl7_consents_clarified.json"
MATRIX = ROOT / "tests" / "data" / "hl7_consents_matrix.json"
PAGE = ROOT / "docs" / "fhir-consents.md"
BEGIN, END = "<!-- matrix: written by tests.support.consent_matrix -->", "<!-- end of matrix -->"

NAMES = ("Emergency", "Out", "basic", "grantor", "notAuthor", "notOrg", "notThem", "notThis",
         "notTime", "pkb", "signature", "smartonfhir")  # fmt: skip
LETTER = {"permit": "P", "deny": "D", "none": "."}

_KEYS = {who: LabelKey(who.encode()[-32:]) for who in (PATIENT, NEIGHBOUR, ELDER, MOTHER)}
SENT = Directory(
    institutions={"Organization/f001": "city"},
    persons={"Patient/f001": PATIENT, "Patient/example": NEIGHBOUR, "Patient/xcda": ELDER,
             "Practitioner/f204": "nurse"},
    representatives={"RelatedPerson/peter": SON},
    records={"Observation/f001": "ab" * 32},
    label_keys=_KEYS,
)  # fmt: skip
ASKED_BACK = Directory(
    SENT.institutions, {**SENT.persons, "Patient/72": MOTHER, "Practitioner/13": "gao"},
    SENT.records, representatives=SENT.representatives, label_keys=_KEYS,
)  # fmt: skip

#: Who asks: requester, acting for, role, and the references that stand for her.
WHO = {
    "physician there": ("he", "city", "physician", {"Organization/f001"}),
    "nurse f204 there": ("nurse", "city", "nurse", {"Organization/f001", "Practitioner/f204"}),
    "physician 13 elsewhere": ("gao", "county", "physician", {"Practitioner/13"}),
    "Patient/example": (NEIGHBOUR, "", "patient", {"Patient/example"}),
}
PURPOSES = ("TREAT", "COC", "ETREAT", "HRESCH", "FAMRQT", "BTG")
#: When: milliseconds since 1970 UTC.
TIMES = {
    "December 2015": 1_449_000_000_000,
    "23 June 2016, 07:10 UTC": 1_466_665_800_000,
    "June 2026": 1_780_300_000_000,
}
_JANUARY, _JUNE = 1_420_900_000_000, 1_433_900_000_000


@dataclass(frozen=True)
class Held:
    """A record: the class on the chain, its resource type, code, level, labels, and whether the
    requester shows its tokens."""

    kind: str
    type: str
    code: str
    level: str = "N"
    labels: tuple[str, ...] = ()
    shown: bool = True
    holder: str = "Organization/f001"
    time: int = _JUNE
    reference: str = "Observation/other"


RECORDS = {
    "result of January 2015": Held("laboratory", "Observation", "2339-0", time=_JANUARY),
    "result f001": Held("laboratory", "Observation", "2339-0", reference="Observation/f001"),
    "PSY note": Held("note", "Composition", "11488-4", "R", ("PSY",)),
    "PSY note with closed labels": Held(
        "note", "Composition", "11488-4", "R", ("PSY",), shown=False
    ),
    "SEX note": Held("note", "Composition", "11488-4", "R", ("SEX",)),
    "MedicationRequest": Held("prescription", "MedicationRequest", "1"),
    "MedicationDispense": Held("prescription", "MedicationDispense", "1"),
    "discharge summary 18842-5": Held("note", "Composition", "18842-5"),
    "result kept elsewhere": Held(
        "laboratory", "Observation", "2339-0", holder="Organization/f201"
    ),
}


def sent(name: str) -> dict[str, Any]:
    """An official example as HL7 published it."""
    (path,) = EXAMPLES.glob(f"*/Consent-consent-example-{name}.json")
    resource: dict[str, Any] = json.loads(path.read_bytes())
    return resource


def clarified() -> dict[str, dict[str, Any]]:
    """By name: what replaces the unclear elements, and what was asked."""
    changes: dict[str, dict[str, Any]] = json.loads(CLARIFIED.read_text("utf-8"))["consents"]
    return changes


def asked_back(name: str) -> dict[str, Any]:
    """An example as it comes back after the patient was asked."""
    return {**sent(name), "provision": clarified()[name]["provision"]}


def cells() -> list[tuple[str, str, str, str]]:
    """(who, purpose, record, time) of every cell."""
    return [(who, purpose, record, time) for who in WHO for purpose in PURPOSES
            for record in RECORDS for time in TIMES]  # fmt: skip


def facts(subject: str, cell: tuple[str, str, str, str]) -> tuple[dict[str, Any], int]:
    """What the contract is asked, and the block time."""
    requester, institution, role, _ = WHO[cell[0]]
    record, time = RECORDS[cell[2]], TIMES[cell[3]]
    wider = {above for label in record.labels for above in sensitivity_lineage(label)}
    codes = [("http://loinc.org", record.code), ("http://hl7.org/fhir/resource-types", record.type)]
    return {
        "subject": subject, "requester": requester, "roles": [role], "institution": institution,
        "purpose": cell[1], "holder": "city" if record.holder == "Organization/f001" else "county",
        "record": ("ab" if record.reference == "Observation/f001" else "cd") * 32,
        "kind": record.kind, "confidentiality": record.level,
        "labels": list(_KEYS[subject].opening(wider, codes, b"s" * 16)) if record.shown else [],
        "data_start": record.time, "data_end": record.time,
    }, time  # fmt: skip


def reference_request(cell: tuple[str, str, str, str]) -> Asked:
    """The same request for the reference."""
    record, time = RECORDS[cell[2]], TIMES[cell[3]]
    return Asked(
        receivers=frozenset(WHO[cell[0]][3]), purpose=cell[1], holder=record.holder,
        resource_type=record.type, code=record.code, level=record.level,
        labels=frozenset(record.labels), shown=record.shown, start=record.time, end=record.time,
        now=time, record=record.reference,
    )  # fmt: skip


def adopted(outcome: Computable) -> World:
    """A world in which the consent was declared by who the resource says declared it."""
    world = World()
    if outcome.speaker != outcome.subject:
        world.does(
            outcome.subject, "delegation", "empower", subject=outcome.subject,
            delegate=outcome.speaker, kinds=[], level="V", until=world.time + DAY, speaks=True,
        )  # fmt: skip
    world.does(
        outcome.speaker, "consent", "adopt", id="c", subject=outcome.subject, source=bytes(32),
        rules=[dict(rule) for rule in outcome.rules],
    )  # fmt: skip
    return world


def decisions(outcome: Computable) -> dict[tuple[str, str, str, str], str]:
    """The effect of every cell, by the contract."""
    world = adopted(outcome)
    found = {}
    for cell in cells():
        request, world.time = facts(outcome.subject, cell)
        found[cell] = str(world.asks("consent", "decide", request=request)["effect"])
    return found


def table(outcome: Computable | Refused) -> dict[str, Any]:
    """A consent's decisions in short: by who and purpose, a letter for each record and time."""
    if isinstance(outcome, Refused):
        return {"refused": [problem.path for problem in outcome.problems]}
    found = decisions(outcome)
    return {
        "cells": {
            f"{who}, {purpose}": " ".join(
                "".join(LETTER[found[who, purpose, record, time]] for time in TIMES)
                for record in RECORDS
            )
            for who in WHO
            for purpose in PURPOSES
        }
    }


def matrix() -> dict[str, Any]:
    """Every example as sent, and those that were asked about as they came back."""
    tables = {}
    for name in NAMES:
        tables[name] = {"sent": table(import_consent(sent(name), SENT))}
        if name in clarified():
            tables[name]["clarified"] = table(import_consent(asked_back(name), ASKED_BACK))
    return {
        "about": "Decisions of the consent contract: P permits, D denies, . says nothing (then the "
        "ledger denies unless another rule permits). In each row a group for every record, in it a "
        "letter for every time.",
        "records": list(RECORDS),
        "times": list(TIMES),
        "tables": tables,
    }


# --- The page -----------------------------------------------------------------------------------


def page_section(found: dict[str, Any]) -> str:
    """The tables as Markdown: what is permitted and denied to whom, requests of a kind in a row."""
    lines = [
        f"{len(cells())} requests each: {len(WHO)} requesters, {len(PURPOSES)} purposes, "
        f"{len(RECORDS)} records, {len(TIMES)} times. *There* is the hospital, "
        "Organization/f001. A request in no row is neither permitted nor denied by the consent, so "
        "the ledger denies it unless another rule permits.",
        "",
    ]
    for name, forms in found["tables"].items():
        for form, content in forms.items():
            lines += [f"### `{name}`, {'as published' if form == 'sent' else 'clarified'}", ""]
            if form == "clarified":
                lines += [clarified()[name]["asked"], ""]
            if "refused" in content:
                elements = ", ".join(f"`{path}`" for path in content["refused"][:3])
                more = " and more" if len(content["refused"]) > 3 else ""
                lines += [f"Refused: {elements}{more}. Nothing comes onto the chain.", ""]
            else:
                lines += ["| says | to | for | records | when |", "|---|---|---|---|---|"]
                lines += [f"| {' | '.join(row)} |" for row in _rows(content["cells"])] + [""]
    return "\n".join(lines).rstrip() + "\n"


def _rows(rows: dict[str, str]) -> list[tuple[str, str, str, str, str]]:
    """Cells that say something, put together: first times, then records, purposes and people."""
    said: dict[tuple[str, str, str], dict[str, list[str]]] = {}
    for label, letters in rows.items():
        who, purpose = label.split(", ")
        for record, group in zip(RECORDS, letters.split(" "), strict=True):
            for word, letter in (("permits", "P"), ("denies", "D")):
                times = [time for time, found in zip(TIMES, group, strict=True) if found == letter]
                if times:
                    key = (word, who, _listed(times, TIMES))
                    said.setdefault(key, {}).setdefault(record, []).append(purpose)
    by_purposes: dict[tuple[str, str, str, str], list[str]] = {}
    for (word, who, times), records in said.items():
        for record, purposes in records.items():
            key4 = (word, who, _listed(purposes, PURPOSES), times)
            by_purposes.setdefault(key4, []).append(record)
    by_people: dict[tuple[str, str, str, str], list[str]] = {}
    for (word, who, purposes, times), kept in by_purposes.items():
        by_people.setdefault((word, purposes, _listed(kept, RECORDS), times), []).append(who)
    found = [
        (word, _listed(people, WHO), purposes, kept, times)
        for (word, purposes, kept, times), people in by_people.items()
    ]
    return sorted(found, key=lambda row: row[0], reverse=True)


def _listed(items: list[str], every: Any) -> str:
    """A list in words; everything, or everything but a few, where that is shorter."""
    missing = [item for item in every if item not in items]
    if not missing:
        return "all"
    if len(missing) < min(3, len(items)):
        return f"all but {', '.join(missing)}"
    return ", ".join(items)


def page_with(text: str, found: dict[str, Any]) -> str:
    """The page with its tables replaced."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{page_section(found)}{END}{after}"


def main() -> None:
    found = matrix()
    MATRIX.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    PAGE.write_text(page_with(PAGE.read_text("utf-8"), found), "utf-8")


if __name__ == "__main__":
    main()
