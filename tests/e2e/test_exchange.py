"""Between two hospitals that have what hospitals have: a FHIR server, an identity provider.

A physician at West signs in at her hospital's provider and reads, over FHIR, a document that East
holds, because the patient has permitted it with the passkey of her telephone; and the patient sees
it in her list, with a proof that nothing is missing from it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from consortium import DEV, MORE, Consortium, until

from ledger.chain.disclosures import DisclosureFile, verify_disclosures
from ledger.chain.document import examine, load_document
from ledger.crypto.keyfile import save_key
from ledger.node.fleet import free_ports
from ledger.node.roll import StaffRoll
from ledger.node.setup.config import NetworkConfig, parse_config
from ledger.node.setup.home import load_home
from ledger.node.vault.patients import SUBJECTS_FILE
from tests.support.fhir_consents import consent, permit
from tests.support.fhir_models import validate
from tests.support.identity_provider import (
    NODE_CLIENT,
    NODE_SECRET,
    PORTAL,
    Provider,
    real_provider,
)
from tests.support.javascript import program
from tests.support.passkey_browser import Telephone

PATIENT = "p-" + "c0" * 16
RECORD = {
    "resourceType": "Observation",
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
PHYSICIAN_LOGIN, REGISTRAR_LOGIN = "4711", "1001"
TREAT = {"Ledger-Purpose": "TREAT"}


def settings() -> NetworkConfig:
    """The four hospitals, with a physician at West; no fifth node."""
    physician = MORE[MORE.index("[[people]]") :]
    return parse_config(DEV.read_text() + physician)


@contextmanager
def fhir_server() -> Iterator[str]:
    """East's FHIR server, with one observation; the base URL. It is Medplum's, not ours."""
    command = program("fhir-server.mjs", "@medplum/fhir-router")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        base = process.stdout.readline().strip()
        made = httpx.post(f"{base}/Observation", json=RECORD, trust_env=False)
        assert made.status_code == 201, made.text
        try:
            yield base
        finally:
            process.terminate()


class Exchange:
    """The network, and what each hospital has beside its node."""

    def __init__(self, network: Consortium, provider: Provider, fhir: str) -> None:
        self.network = network
        self.provider = provider
        self.fhir = fhir
        self.east, self.west = (self.address(node) for node in ("east-1", "west-1"))

    def address(self, node: str) -> str:
        """Browsers know nodes by a name: passkeys want one."""
        return self.network.founding.urls[node].replace("127.0.0.1", "localhost")

    # --- before anything runs -----------------------------------------------------------------

    def set_up(self, node: str, label: str, login: str) -> None:
        """One hospital's IT: its provider, and one member of staff whose key the node holds."""
        path = self.network.node_home(node)
        home = load_home(path)
        (path / "client-secret").write_text(NODE_SECRET)
        with (path / "node.toml").open("a") as file:
            file.write(
                f"""
[exchange]
url = "{self.network.founding.urls[node]}"

[signin]
url = "{self.address(node)}"

[[signin.providers]]
institution = "{home.institution}"
issuer = "{self.provider.issuer}"
audience = "{PORTAL}"
person = "employee_number"
client = "{NODE_CLIENT}"
client_secret = "client-secret"
"""
            )
        person = self.network.people[label]
        home.staff.mkdir(exist_ok=True)
        key = self.network.people.signing_key(person, lambda: "")
        save_key(home.staff / f"{person.id}.key", key, passphrase=None, insecure=True)
        StaffRoll(home.roll).enter(login, person.id)

    def connect(self) -> None:
        """East's node reads from its FHIR server, and knows a patient's pseudonym."""
        path = self.network.node_home("east-1")
        with (path / "node.toml").open("a") as file:
            file.write(f'\n[vault.fhir]\nurl = "{self.fhir}"\ntypes = ["Observation"]\n')
        (path / "vault").mkdir(exist_ok=True)
        (path / "vault" / SUBJECTS_FILE).write_text(json.dumps({"Patient/f001": PATIENT}))

    def held(self) -> dict[str, Any]:
        """The record as East's FHIR server has it."""
        bundle = httpx.get(f"{self.fhir}/Observation", trust_env=False).json()
        (entry,) = bundle["entry"]
        found: dict[str, Any] = entry["resource"]
        return found

    # --- people -------------------------------------------------------------------------------

    def enrolled(self) -> Telephone:
        """The patient is at East's desk with her document, and goes home with a passkey."""
        token = self.provider.token(REGISTRAR_LOGIN)
        answer = httpx.post(
            f"{self.east}/v1/desk/enrolments",
            headers={"Authorization": f"Bearer {token}"},
            json={"subject": PATIENT, "document": "resident-card", "evidence": "5e" * 32},
            trust_env=False,
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        telephone = Telephone(self.east, PATIENT)
        telephone.register(answer.json()["code"])
        telephone.sign_in()
        return telephone

    def physician(self) -> httpx.Client:
        """The physician's browser, signed in at West by the code flow of her provider."""
        browser = httpx.Client(base_url=self.west, trust_env=False, timeout=60)
        begun = browser.get("/auth/login", params={"return_to": "/"})
        assert begun.status_code == 303, begun.text
        back = self.provider.sign_in(begun.headers["location"], PHYSICIAN_LOGIN)
        assert browser.get(back).status_code == 200
        session = browser.get("/auth/session").json()
        assert session["method"] == "oidc"
        assert session["id"] == self.network.people["west-physician"].id
        return browser


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    directory: Path = tmp_path_factory.mktemp("exchange")
    with Consortium(directory, settings()) as network:
        redirect = network.founding.urls["west-1"].replace("127.0.0.1", "localhost")
        with (
            fhir_server() as fhir,
            real_provider(free_ports(1), f"{redirect}/auth/callback") as provider,
        ):
            made = Exchange(network, provider, fhir)
            made.set_up("east-1", "east-governor", REGISTRAR_LOGIN)
            made.set_up("west-1", "west-physician", PHYSICIAN_LOGIN)
            made.connect()
            network.start()
            for node, event in (("east-1", "records_anchored"), ("east-1", "announced")):
                until(
                    lambda node=node, event=event: any(
                        line.get("event") == event for line in network.log(node)
                    ),
                    f"{node}: {event}",
                )
            yield made


def matches(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    validate(bundle)
    found = [e["resource"] for e in bundle.get("entry", ()) if e["search"]["mode"] == "match"]
    for resource in found:
        validate(resource)
    return found


def documents(browser: httpx.Client) -> list[dict[str, Any]]:
    answer = browser.get(f"/fhir/DocumentReference?patient={PATIENT}", headers=TREAT)
    assert answer.status_code == 200, answer.text
    return matches(answer.json())


def test_a_physician_reads_another_hospital_s_record_and_the_patient_sees_it_proven(
    exchange: Exchange,
) -> None:
    network = exchange.network
    patient, physician = exchange.enrolled(), exchange.physician()

    # Without a consent there is nothing to see, and the question is on the chain.
    assert documents(physician) == []

    active = patient.consent(consent(PATIENT, permit("west")))
    validate(active)
    assert active["status"] == "active"

    (document,) = documents(physician)
    assert document["custodian"]["identifier"]["value"] == "east"
    assert "type" not in document
    answer = physician.get(f"/fhir/Binary/{document['id']}")
    assert answer.status_code == 200, answer.text
    assert answer.json() == exchange.held()
    assert answer.headers["content-type"] == "application/fhir+json"
    decision = answer.headers["ledger-decision"]

    # She keeps the record with a proof that needs neither node.
    provenance = physician.get(f"/fhir/Provenance/{document['id']}").json()
    validate(provenance)
    proof = load_document(base64.b64decode(provenance["signature"][0]["data"]))
    salt = bytes.fromhex(answer.headers["ledger-salt"])
    found = examine(proof, network.trust, answer.content, salt)
    assert {step.verdict.value for step in found.steps} == {"good"}
    again = physician.get(f"/fhir/DocumentReference/{document['id']}").json()
    sha1 = base64.b64decode(again["content"][0]["attachment"]["hash"])
    assert sha1 == hashlib.sha1(answer.content).digest()
    assert again["type"]["coding"][0]["code"] == "15074-8"

    # The patient's own list, complete up to a height by a proof.
    listed = patient.get("/v1/disclosures", subject=PATIENT, proof="true")
    file = msgspec.convert(listed["proof"], DisclosureFile)
    told = verify_disclosures(file, network.trust, PATIENT, at_least=found.height)
    assert told.complete
    entries = [(entry.by, entry.said.get("outcome", "")) for entry in told.entries]
    assert entries == [("enquiry", ""), ("enquiry", ""), ("access", "permit")]
    assert told.entries[-1].said["id"] == decision
    assert told.entries[-1].said["institution"] == "west"

    # And as events: who decided, who handed over, who received.
    events = until(lambda: handed_over(patient), "the receipt in her list")
    about = {
        event["subtype"][0]["code"]: event["outcome"]
        for event in events
        if decision in json.dumps(event)
    }
    assert about == {"AuthZ-Consent": "0", "disclose": "0"}
    who = network.people["west-physician"].id
    assert all(who in json.dumps(event) for event in events if "disclose" in json.dumps(event))

    # What she takes back is not to be seen from the next block on.
    patient.withdraw(active)
    assert documents(physician) == []
    denied = physician.get(f"/fhir/Binary/{document['id']}")
    assert denied.status_code == 403, denied.text
    validate(denied.json())
    assert denied.headers["ledger-decision"] in denied.json()["issue"][0]["diagnostics"]


def handed_over(patient: Telephone) -> list[dict[str, Any]]:
    """Her events, as soon as both halves of the disclosure are among them."""
    events = matches(patient.get("/fhir/AuditEvent"))
    halves = {event["type"]["code"] for event in events}
    return events if {"110106", "110107"} <= halves else []
