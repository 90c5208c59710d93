"""Random trees of provisions: the imported rules, run by the contract, decide as the tree does.

The reference walks the FHIR resource itself (`tests.support.consent_reference`). A permit must be a
permit in both; a denial of the tree must be one of the contract. Where the tree is silent the
contract may deny, since a denial also reaches what a permit around it does not.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.chain.tokens import LabelKey
from ledger.fhir.consent import Computable, Directory, Refused, import_consent
from ledger.fhir.labels import sensitivity_lineage
from tests.support.consent_reference import Asked, decide
from tests.support.contracts import PATIENT, START, World

KEY = LabelKey(b"k" * 32)
DIRECTORY = Directory(
    institutions={"Organization/city": "city", "Organization/county": "county"},
    persons={"Patient/1": PATIENT, "Practitioner/he": "he", "Practitioner/gao": "gao"},
    roles={"PractitionerRole/nurses": ("city", "nurse")},
    groups={"Group/team": ("he", "gao")},
    label_keys={PATIENT: KEY},
)
STAFF = {"he": ("city", "physician"), "nurse": ("city", "nurse"), "gao": ("county", "physician")}
RECEIVERS = ["Organization/city", "Organization/county", "Practitioner/he", "Practitioner/gao",
             "PractitionerRole/nurses"]  # fmt: skip
V3 = "http://terminology.hl7.org/CodeSystem/"
TYPES = {
    "MedicationRequest": "prescription",
    "MedicationDispense": "prescription",
    "Composition": "note",
}
DAYS = ["2026-05-20", "2026-05-24", "2026-05-28", "2026-06-02"]


def coding(system: str, code: str) -> dict[str, str]:
    return {"system": f"{V3}{system}", "code": code}


def actor(reference: str, role: str = "IRCP") -> dict[str, Any]:
    return {
        "role": {"coding": [coding("v3-ParticipationType", role)]},
        "reference": {"reference": reference},
    }


periods = st.tuples(st.sampled_from(DAYS), st.sampled_from(DAYS)).map(
    lambda pair: {"start": min(pair), "end": max(pair)}
)
parts: dict[str, st.SearchStrategy[Any]] = {
    "purpose": st.lists(
        st.sampled_from(["TREAT", "COC", "HRESCH", "ETREAT"]), min_size=1, max_size=2, unique=True
    ).map(lambda codes: [coding("v3-ActReason", code) for code in codes]),
    "actor": st.one_of(
        st.lists(st.sampled_from(RECEIVERS), min_size=1, max_size=2, unique=True).map(
            lambda references: [actor(reference) for reference in references]
        ),
        st.just([actor("Organization/city", "CST")]),
    ),
    "class": st.sampled_from(["MedicationRequest", "MedicationDispense"]).map(
        lambda code: [{"system": "http://hl7.org/fhir/resource-types", "code": code}]
    ),
    "code": st.just([{"coding": [{"system": "http://loinc.org", "code": "A"}]}]),
    "label": st.sampled_from(["SPI", "PSY", "HIV"]).map(lambda code: [coding("v3-ActCode", code)]),
    "level": st.sampled_from("NRV").map(lambda code: [coding("v3-Confidentiality", code)]),
    "period": periods,
    "dataPeriod": periods,
}


@st.composite
def provisions(draw: st.DrawFn, depth: int = 0) -> dict[str, Any]:
    effect = draw(st.sampled_from(["permit", "deny"]))
    names = draw(st.lists(st.sampled_from(sorted(parts)), unique=True, max_size=3))
    chosen = {name: draw(parts[name]) for name in names}
    labels = chosen.pop("label", [])
    if effect == "permit":
        labels = labels + chosen.pop("level", [])
    chosen.pop("level", None)
    if "code" in chosen:
        chosen.pop("class", None)
    if labels:
        chosen["securityLabel"] = labels
    if depth < 3 and draw(st.integers(0, 2 + depth)) < 2:
        inner = draw(st.lists(provisions(depth + 1), min_size=1, max_size=2))
        chosen["provision"] = inner
    return {"type": effect, **chosen}


def consent(provision: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [coding("consentscope", "patient-privacy")]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": "Patient/1"},
        "policyRule": {"coding": [coding("v3-ActCode", "OPTOUT")]},
        "provision": provision,
    }


@st.composite
def requests(draw: st.DrawFn) -> tuple[Asked, dict[str, Any]]:
    """The same request for the reference, and as the facts of the contract."""
    who = draw(st.sampled_from(sorted(STAFF)))
    institution, role = STAFF[who]
    receivers = {f"Practitioner/{who}", f"Organization/{institution}"}
    if (institution, role) == ("city", "nurse"):
        receivers.add("PractitionerRole/nurses")
    labels = draw(st.sampled_from([(), ("PSY",), ("HIV",), ("SUD",)]))
    asked = Asked(
        receivers=frozenset(receivers),
        purpose=draw(st.sampled_from(["TREAT", "COC", "HRESCH", "ETREAT", "ERTREAT"])),
        holder=draw(st.sampled_from(["Organization/city", "Organization/county"])),
        resource_type=draw(st.sampled_from(sorted(TYPES))),
        code=draw(st.sampled_from(["A", "B"])),
        level=draw(st.sampled_from("NR" if not labels else "R")),
        labels=frozenset(labels),
        shown=draw(st.booleans()),
        start=START - draw(st.sampled_from([9, 5, 2])) * 86_400_000,
        end=START - draw(st.sampled_from([1, 0])) * 86_400_000,
        now=START + draw(st.sampled_from([0, 3, 9])) * 86_400_000,
    )
    wider = {above for label in labels for above in sensitivity_lineage(label)}
    own = [
        ("http://loinc.org", asked.code),
        ("http://hl7.org/fhir/resource-types", asked.resource_type),
    ]
    return asked, {
        "subject": PATIENT, "requester": who, "roles": [role], "institution": institution,
        "purpose": asked.purpose, "holder": asked.holder.removeprefix("Organization/"),
        "record": "ab" * 32, "kind": TYPES[asked.resource_type], "confidentiality": asked.level,
        "labels": list(KEY.opening(wider, own, b"s" * 16)) if asked.shown else [],
        "data_start": asked.start, "data_end": asked.end,
    }  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(provision=provisions(), asked=st.lists(requests(), min_size=8, max_size=8))
def test_the_flat_rules_decide_as_the_tree(
    provision: dict[str, Any], asked: list[tuple[Asked, dict[str, Any]]]
) -> None:
    resource = consent(provision)
    outcome = import_consent(resource, DIRECTORY)
    if isinstance(outcome, Refused):
        assert outcome.problems
        return
    assert isinstance(outcome, Computable)
    world = World()
    world.does(
        PATIENT, "consent", "adopt", id="c", subject=PATIENT, source=bytes(32),
        rules=[dict(rule) for rule in outcome.rules],
    )  # fmt: skip
    for one, facts in asked:
        world.time = one.now
        answer = world.asks("consent", "decide", request=facts)["effect"]
        expected = decide(resource, one)
        assert (answer == "permit") == (expected == "permit"), (outcome.rules, one)
        assert expected != "deny" or answer == "deny", (outcome.rules, one)
