"""Everything that leaves as FHIR R4, held against HL7's own definitions."""

import inspect

import pytest

from ledger.fhir import bundle, capability, consentview, provenance
from ledger.fhir.bundle import Change, Links
from ledger.fhir.consent import Computable, import_consent
from ledger.fhir.documents import Document
from ledger.fhir.labelnames import LabelNames
from ledger.fhir.outcome import Issue, outcome
from ledger.fhir.search import ID, LAST_UPDATED
from tests.support import consent_matrix, fhir_models
from tests.support.official import judge
from tests.unit.fhir import test_auditevents, test_consentview, test_documents
from tests.unit.fhir.test_consentview import KEY, PERMIT, declared


def made_by(module, monkeypatch):
    """The R4 resources that the tests of a module make, as far as they need no arguments."""
    found = []
    real = fhir_models.validate

    def noted(resource, release=fhir_models.R4):
        if release == fhir_models.R4:
            found.append(resource)
        real(resource, release)

    monkeypatch.setattr(module, "validate", noted)
    for name, test in inspect.getmembers(module, inspect.isfunction):
        if name.startswith("test_") and not inspect.signature(test).parameters:
            test()
    return found


def consents():
    """The consents of HL7 as the ledger gives them out, and rules with all of their parts."""
    for name in consent_matrix.NAMES:
        for resource, directory in (
            (consent_matrix.sent(name), consent_matrix.SENT),
            (consent_matrix.asked_back(name), consent_matrix.ASKED_BACK)
            if name in consent_matrix.clarified()
            else (None, None),
        ):
            taken = import_consent(resource, directory) if resource else None
            if isinstance(taken, Computable):
                names = LabelNames(directory.label_keys.get(taken.subject))
                given = declared(*taken.rules, subject=taken.subject)
                yield consentview.consent(given, names)
    rules = (
        {**PERMIT, "institutions": ["artis"], "persons": ["gao"], "roles": ["nurse"], "start": 5,
         "end": 9, "data_end": 7, "records": ["ab" * 32], "kinds": ["ecg"], "holders": ["burgers"],
         "labels": [KEY.label("HIV")], "codes": [KEY.code("http://loinc.org", "11524-6")],
         "label_key": KEY.for_codes},
        {"effect": "deny", "confidentiality": "R", "unless": [{**PERMIT, "persons": ["gao"]}]},
    )  # fmt: skip
    for names in (LabelNames(KEY), LabelNames(None)):
        yield consentview.consent(declared(*rules, form=b"f" * 32, source=b"s" * 32), names)
    yield consentview.consent(
        declared(PERMIT, status="withdrawn", withdrawn=5, withdrawn_by=("li", "wang")),
        LabelNames(None),
    )
    unsigned = consentview.Unsigned(b"body", b"i" * 32, 120)
    yield consentview.consent(
        declared(PERMIT, status="proposed", given=0, unsigned=unsigned), LabelNames(None)
    )


def around(consent):
    """What is around resources: bundles, outcomes, what the server says of itself."""
    base, links = "http://localhost/fhir", Links("http://localhost/fhir/Consent", "http://x/next")
    warning = Issue("not-supported", "a parameter", severity="warning")
    yield bundle.searchset(base, [consent], links, total=1, warnings=[warning])
    yield bundle.searchset(base, [], links, total=0)
    yield bundle.history(base, [Change(consent, "POST"), Change(consent, "PUT")], links, total=2)
    yield outcome([Issue("invalid", "not so", "Consent.status"), warning])
    offered = capability.Offered(
        "Consent", "words", capability.INTERACTIONS, (ID, LAST_UPDATED), True,
        (("sign", "urn:health-ledger:operation:sign"),),
    )  # fmt: skip
    yield capability.statement(
        [offered], base=base, software="1", name="a node", date="2026-01-01T00:00:00+00:00",
        version="4.0.1", token="http://localhost/auth/token",
    )  # fmt: skip


def test_every_resource_is_valid_by_the_definitions_of_hl7(monkeypatch):
    resources = list(consents())
    resources += around(resources[0])
    document = Document(test_documents.pointer(), "anchored", 0, 0)
    resources.append(provenance.provenance(document, b"r" * 32, b"{}", 0))
    for module in (test_consentview, test_documents, test_auditevents):
        resources += made_by(module, monkeypatch)
    types = {resource["resourceType"] for resource in resources}
    assert types >= {"Consent", "DocumentReference", "AuditEvent", "Provenance", "Bundle",
                     "OperationOutcome", "CapabilityStatement"}  # fmt: skip
    mistakes = list(broken())
    verdict = judge([*resources, *(resource for _, resource in mistakes)])
    wrong = {
        (resource["resourceType"], problem)
        for resource, problems in zip(resources, verdict.problems, strict=False)
        for problem in problems
    }
    assert wrong == set()
    assert verdict.compared > 100
    # It is a judge that finds mistakes.
    for (expected, _), problems in zip(mistakes, verdict.problems[len(resources) :], strict=True):
        assert any(expected in problem for problem in problems), (expected, problems)


def broken():
    """A consent with one mistake each, by what the judge should say of it."""
    right = consentview.consent(declared(PERMIT), LabelNames(None))
    inner = right["provision"]["provision"][0]
    for expected, change in (
        ("Constraint ppc-1", {"policyRule": None}),
        ("Missing required property", {"scope": None}),
        ("aktiv is not of", {"status": "aktiv"}),
        ("Invalid additional property", {"colour": "red"}),
        ("maybe is not of", {"provision": {"provision": [{**inner, "type": "maybe"}]}}),
    ):
        changed = {**right, **change}
        yield expected, {name: value for name, value in changed.items() if value is not None}


@pytest.mark.parametrize("interaction", capability.INTERACTIONS)
def test_interactions_have_the_codes_of_r4(interaction):
    assert interaction in {
        "read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create",
        "search-type",
    }  # fmt: skip
