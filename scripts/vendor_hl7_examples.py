"""Make ledger/data/hl7-r4-examples from the npm package hl7.fhir.r4.examples 4.0.1.

    npm pack hl7.fhir.r4.examples@4.0.1
    python scripts/vendor_hl7_examples.py hl7.fhir.r4.examples-4.0.1.tgz [--out DIR] [--check]

Definitions are dropped, narratives are dropped, the rest is minified and laid into one directory
for each institution that made it. The output depends on the tarball alone; ``--check`` compares it
with what is there and changes nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tarfile
from collections import Counter
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from ledger.fhir.records import makers_of, parts_of, subject_of

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "ledger" / "data" / "hl7-r4-examples"
SHA1 = "537ea7db3f3c7b3575fe2eaa7808bad21261cca3"

#: Conformance, terminology, knowledge and test artefacts; software talk; catalogues of products.
_DROPPED = """
    ActivityDefinition CapabilityStatement ChargeItemDefinition CodeSystem CompartmentDefinition
    ConceptMap DeviceDefinition EffectEvidenceSynthesis EventDefinition Evidence EvidenceVariable
    ExampleScenario GraphDefinition ImplementationGuide Library Measure MessageDefinition
    NamingSystem ObservationDefinition OperationDefinition OperationOutcome Parameters
    PlanDefinition Questionnaire ResearchDefinition ResearchElementDefinition RiskEvidenceSynthesis
    SearchParameter SpecimenDefinition StructureDefinition StructureMap Subscription
    TerminologyCapabilities TestReport TestScript ValueSet CatalogEntry MedicationKnowledge
    MedicinalProduct MedicinalProductAuthorization MedicinalProductContraindication
    MedicinalProductIndication MedicinalProductIngredient MedicinalProductInteraction
    MedicinalProductManufactured MedicinalProductPackaged MedicinalProductPharmaceutical
    MedicinalProductUndesirableEffect SubstanceSpecification
"""
DROPPED_TYPES = frozenset(_DROPPED.split())

#: The organisations of the example set that are hospitals, clinics or payers, and their datasets.
ORGANISATIONS = {
    "f001": "burgers",
    "f002": "burgers",
    "f003": "burgers",
    "f201": "artis",
    "f203": "blijdorp",
    "1": "acme",
    "2.16.840.1.113883.19.5": "good-health",
    "2": "xyz-insurance",
    "hl7pay": "xyz-insurance",
}

#: Where practitioners work, by their own resources and the spec's story. Practitioner/example is
#: left out: his role at Burgers ended in March 2012 and he makes records everywhere, so those
#: records count as made in the patient's hospital.
PRACTITIONERS = {
    **{f"f00{number}": "burgers" for number in range(1, 8)},
    **{f"f20{number}": "artis" for number in range(1, 5)},
    "xcda-author": "good-health",
    "xcda1": "good-health",
}

#: Institutions without a namesake in the set; they share what nobody in it has made.
SPREAD = ("county-a", "township-a", "township-b")


def read_package(tarball: Path) -> dict[str, dict[str, Any]]:
    """All resources of the package by file name, decimals kept as they were written."""
    decoder = msgspec.json.Decoder(float_hook=Decimal)
    resources = {}
    with tarfile.open(tarball, "r:gz") as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            source = archive.extractfile(member) if member.isfile() else None
            if source is None or path.parent.name != "package" or path.suffix != ".json":
                continue
            if path.name.partition("-")[0] in DROPPED_TYPES:
                continue  # most of the package, and not worth the parsing
            resource = decoder.decode(source.read())
            if isinstance(resource, dict) and "resourceType" in resource:
                resources[path.name] = resource
    return dict(sorted(resources.items()))


def is_kept(resource: dict[str, Any]) -> bool:
    """Whether a resource is an instance: not a definition, nor a Bundle of definitions only."""
    if resource["resourceType"] in DROPPED_TYPES:
        return False
    if resource["resourceType"] != "Bundle":
        return True
    inner = [part["resourceType"] for part in parts_of(resource) if "resourceType" in part][1:]
    return any(name not in DROPPED_TYPES for name in inner)


def without_narrative(value: Any) -> Any:
    """The same JSON without the narrative of any resource; sections of a document keep theirs."""
    if isinstance(value, list):
        return [without_narrative(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: without_narrative(item)
        for name, item in value.items()
        if not (name == "text" and "resourceType" in value)
    }


def dataset_of(name: str, resource: dict[str, Any], hospitals: dict[str, str]) -> str:
    """Who made it: organisation, practitioner's organisation, patient's hospital, or the spread."""
    own = f"{resource['resourceType']}/{resource.get('id', '')}"
    for reference in [own, *makers_of(resource)]:
        kind, _, identity = reference.partition("/")
        known = {"Organization": ORGANISATIONS, "Practitioner": PRACTITIONERS}.get(kind, {})
        if identity in known:
            return known[identity]
    subject = own if own in hospitals else subject_of(resource)
    if subject in hospitals:
        return hospitals[subject]
    # One patient's records stay together.
    place = hashlib.sha256((subject or name).encode()).digest()[0] % len(SPREAD)
    return SPREAD[place]


def hospitals_of(resources: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Patient reference to dataset, for patients whose managing organisation is one of ours."""
    found = {}
    for resource in resources.values():
        if resource["resourceType"] == "Patient":
            manager = resource.get("managingOrganization", {}).get("reference", "")
            dataset = ORGANISATIONS.get(manager.removeprefix("Organization/"))
            if dataset is not None and dataset != "xyz-insurance":
                found[f"Patient/{resource['id']}"] = dataset
    return found


def build(tarball: Path) -> dict[str, bytes]:
    """Every generated file of the tree: relative path to content."""
    content = tarball.read_bytes()
    digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    if digest != SHA1:
        raise SystemExit(f"{tarball} has SHA-1 {digest}, expected {SHA1}")
    resources = {name: item for name, item in read_package(tarball).items() if is_kept(item)}
    hospitals = hospitals_of(resources)
    encoder = msgspec.json.Encoder(decimal_format="number")
    files = {}
    for name, resource in resources.items():
        dataset = dataset_of(name, resource, hospitals)
        files[f"{dataset}/{name}"] = encoder.encode(without_narrative(resource))
    files = dict(sorted(files.items()))
    counts = Counter(path.partition("/")[0] for path in files)
    manifest = {
        "package": "hl7.fhir.r4.examples",
        "version": "4.0.1",
        "license": "CC0-1.0",
        "sha1": SHA1,
        "sha256": hashlib.sha256(content).hexdigest(),
        "resources": len(files),
        "bytes": sum(map(len, files.values())),
        "datasets": dict(sorted(counts.items())),
        "files": {path: hashlib.sha256(data).hexdigest() for path, data in files.items()},
    }
    files["manifest.json"] = json.dumps(manifest, indent=1).encode() + b"\n"
    return files


def present(out: Path) -> dict[str, bytes]:
    """The generated files that are there now."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*.json")
        if path.is_file()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tarball", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    options = parser.parse_args()
    files = build(options.tarball)
    if options.check:
        there = present(options.out)
        wrong = sorted(name for name in files.keys() | there if files.get(name) != there.get(name))
        for name in wrong:
            sys.stderr.write(f"differs: {name}\n")
        return 1 if wrong else 0
    for dataset in {path.partition("/")[0] for path in files if "/" in path}:
        shutil.rmtree(options.out / dataset, ignore_errors=True)
    for name, data in files.items():
        path = options.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    manifest = json.loads(files["manifest.json"])
    sys.stdout.write(
        f"{manifest['resources']} resources, {manifest['bytes']} bytes: {manifest['datasets']}\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
