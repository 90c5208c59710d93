"""The patterns of IHE BALP 1.1 as far as they can be broken by an AuditEvent of ours.

Written down from the profiles' FSH (IHE/ITI.BasicAudit, input/fsh): the fixed codes, and for each
slice of agents and entities how often it must be there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PREFIX = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
DCM = "http://dicom.nema.org/resources/ontology/DCM"
CLIENT, SOURCE, DESTINATION = f"{DCM}|110150", f"{DCM}|110153", f"{DCM}|110152"
USER = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType|IRCP"
AUTHOR = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType|AUT"
ORGANISATION = "http://terminology.hl7.org/CodeSystem/v3-RoleClass|PROV"
AUTHORIZER = "http://terminology.hl7.org/CodeSystem/extra-security-role-type|authserver"
PERSON = "http://terminology.hl7.org/CodeSystem/audit-entity-type|1"
OBJECT = "http://terminology.hl7.org/CodeSystem/audit-entity-type|2"
CONSENT = "http://hl7.org/fhir/resource-types|Consent"
REST = "http://terminology.hl7.org/CodeSystem/audit-event-type|rest"
RESTFUL = "http://hl7.org/fhir/restful-interaction|"
DISCLOSE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle|disclose"
AUTHZ = "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType|"


@dataclass(frozen=True)
class Pattern:
    type: str
    subtypes: frozenset[str]
    action: str
    outcomes: frozenset[str]
    agents: dict[str, tuple[int, int]]
    entities: dict[str, tuple[int, int]]
    observer: str = ""  # the agent that must also be the observer
    network: tuple[str, ...] = ()
    only: frozenset[str] = field(default=frozenset())  # no other entities than these


_ANY = frozenset({"0", "4", "8", "12"})
_GOOD = frozenset({"0"})
_REST_AGENTS = {SOURCE: (1, 1), DESTINATION: (1, 1)}

PATTERNS = {
    "AuthZconsent": Pattern(
        f"{DCM}|110113", frozenset({AUTHZ + "AuthZ-Consent", AUTHZ + "AuthZ-Role"}), "E", _ANY,
        {CLIENT: (1, 1), USER: (1, 1), ORGANISATION: (1, 1), AUTHORIZER: (1, 1)},
        {PERSON: (1, 1), CONSENT: (1, 99)}, AUTHORIZER, (CLIENT,), frozenset({PERSON, CONSENT}),
    ),
    "PrivacyDisclosure.Source": Pattern(
        f"{DCM}|110106", frozenset({DISCLOSE}), "R", _ANY, _REST_AGENTS,
        {PERSON: (1, 1), OBJECT: (1, 99)}, SOURCE, (SOURCE, DESTINATION),
    ),
    "PrivacyDisclosure.Recipient": Pattern(
        f"{DCM}|110107", frozenset({DISCLOSE}), "C", _ANY, _REST_AGENTS,
        {PERSON: (1, 1), OBJECT: (1, 99)}, DESTINATION, (SOURCE, DESTINATION),
    ),
    "PatientQuery": Pattern(
        REST, frozenset({RESTFUL + "search", RESTFUL + "search-type"}), "E", _GOOD,
        _REST_AGENTS | {USER: (0, 1)}, {PERSON: (1, 1), OBJECT: (1, 1)}, "", (SOURCE, DESTINATION),
    ),
    "PatientCreate": Pattern(
        REST, frozenset({RESTFUL + "create"}), "C", _GOOD, _REST_AGENTS | {AUTHOR: (0, 1)},
        {PERSON: (1, 1), OBJECT: (1, 1)}, "", (SOURCE, DESTINATION),
    ),
    "PatientUpdate": Pattern(
        REST, frozenset({RESTFUL + "update"}), "U", _GOOD, _REST_AGENTS | {AUTHOR: (0, 1)},
        {PERSON: (1, 1), OBJECT: (1, 1)}, "", (SOURCE, DESTINATION),
    ),
}  # fmt: skip


def token(coding: dict[str, Any]) -> str:
    return f"{coding['system']}|{coding['code']}"


def _agent_type(agent: dict[str, Any]) -> str:
    return token(agent["type"]["coding"][0])


def claimed(event: dict[str, Any]) -> str:
    """The BALP profile that an event claims, without its prefix; empty where it claims none."""
    profiles = event["meta"].get("profile", [])
    assert len(profiles) <= 1
    return profiles[0].removeprefix(PREFIX) if profiles else ""


def check(event: dict[str, Any]) -> str:
    """Hold an event against the profile that it claims, and return which that is."""
    name = claimed(event)
    if not name:
        return ""
    pattern = PATTERNS[name]
    assert token(event["type"]) == pattern.type
    assert {token(item) for item in event["subtype"]} & pattern.subtypes
    assert event["action"] == pattern.action
    assert event["outcome"] in pattern.outcomes
    agents = [_agent_type(agent) for agent in event["agent"]]
    for kind, (least, most) in pattern.agents.items():
        assert least <= agents.count(kind) <= most, f"{name}: agent {kind}"
    entities = [token(entity["type"]) for entity in event["entity"]]
    for kind, (least, most) in pattern.entities.items():
        assert least <= entities.count(kind) <= most, f"{name}: entity {kind}"
    if pattern.only:
        assert set(entities) <= pattern.only
    for agent in event["agent"]:
        assert "who" in agent
        if _agent_type(agent) == pattern.observer:
            assert agent["who"] == event["source"]["observer"]
        assert ("network" in agent) == (_agent_type(agent) in pattern.network)
        if _agent_type(agent) in (USER, AUTHOR):
            assert agent["requestor"] is True
    for entity in event["entity"]:
        if token(entity["type"]) == PERSON:
            assert token(entity["role"]).endswith("object-role|1")
            assert entity["what"]["type"] == "Patient"
    return name
