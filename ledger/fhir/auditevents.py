"""What happens on the chain as FHIR R4 AuditEvents, after the patterns of IHE BALP 1.1.

A decision is an authorization decision; its release and its receipt are the two halves of a privacy
disclosure, each as the side saw it that wrote it down; an enquiry is a query about a patient; the
life of an emergency begins and ends with DICOM's emergency override; a change of a consent is a
RESTful create or update. An event claims a BALP profile only where it has everything that the
profile wants: what no consent decided is an authorization by role, which BALP has a code for and no
profile.

All functions are pure and take what the chain says. Nothing in the result is a name or a diagnosis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ledger.fhir import auditparts as parts
from ledger.fhir import elements
from ledger.fhir.elements import Element, present


class Answer(msgspec.Struct, frozen=True):
    """What one contract that was asked has said."""

    contract: str
    rule: str
    effect: str
    facts: dict[str, Any]


class Outcome(msgspec.Struct, frozen=True):
    """A release or a receipt, as `access` writes it down."""

    time: int
    digest: bytes
    matches: bool


class Decision(msgspec.Struct, frozen=True):
    """An entry ``access/decisions/ID``; members that no AuditEvent needs are passed over."""

    id: str
    outcome: str
    rule: str
    path: tuple[Answer, ...]
    asked: tuple[str, ...]
    requester: str
    roles: tuple[str, ...]
    institution: str
    subject: str
    record: bytes
    holder: str
    kind: str
    confidentiality: str
    purpose: str
    case: str
    obligations: tuple[str, ...]
    time: int
    height: int
    expires: int
    released: Outcome | None = None
    received: Outcome | None = None

    @property
    def permitted(self) -> bool:
        return self.outcome == "permit"

    @property
    def consents(self) -> tuple[str, ...]:
        """The consents that had a say, in the order in which they had it."""
        found = (answer.facts.get("consent") for answer in self.path)
        return tuple(dict.fromkeys(item for item in found if isinstance(item, str) and item))


class Enquiry(msgspec.Struct, frozen=True):
    """An entry ``enquiry/enquiries/ID``."""

    id: str
    asker: str
    institution: str
    subject: str
    purpose: str
    case: str
    time: int


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One event of the chain: its place as a FHIR id, its block time in milliseconds, and the id of
    the chain in hex."""

    id: str
    time: int
    chain: str


def read_decision(value: object) -> Decision:
    """A decision out of the state; raises `msgspec.ValidationError`."""
    return msgspec.convert(value, Decision)


def read_enquiry(value: object) -> Enquiry:
    """An enquiry out of the state; raises `msgspec.ValidationError`."""
    return msgspec.convert(value, Enquiry)


def audit_event(
    occurrence: Occurrence,
    *,
    kind: Element,
    subtypes: list[Element],
    action: str,
    agents: list[Element],
    observer: Element,
    site: Element,
    entities: list[Element],
    outcome: str = parts.SUCCESS,
    because: str = "",
    purpose: str = "",
    profile: str = "",
) -> Element:
    """An AuditEvent out of its parts."""
    return present(
        {
            "resourceType": "AuditEvent",
            "id": occurrence.id,
            "meta": present(
                {
                    "lastUpdated": elements.instant(occurrence.time),
                    "profile": [parts.BALP + profile] if profile else [],
                }
            ),
            "type": kind,
            "subtype": subtypes,
            "action": action,
            "recorded": elements.instant(occurrence.time),
            "outcome": outcome,
            "outcomeDesc": because,
            "purposeOfEvent": parts.purpose(purpose),
            "agent": agents,
            "source": {"observer": observer, "type": [site]},
            "entity": entities,
        }
    )


# --- decisions ---------------------------------------------------------------------------------


def decided(occurrence: Occurrence, decision: Decision) -> Element:
    """A permit or a denial, with the path of rules that led to it."""
    said = parts.details(
        decision=decision.id,
        rule=decision.rule,
        said=[f"{answer.contract}:{answer.rule} {answer.effect}" for answer in decision.path],
        asked=decision.asked,
        case=decision.case,
        record=elements.record_urn(decision.record),
        record_class=decision.kind,
        obligation=decision.obligations,
        expires=elements.instant(decision.expires) if decision.expires else "",
        height=decision.height,
    )
    by_consent = bool(decision.consents and decision.institution)
    # BALP closes the entities of a decision by consent: patient, consents, token and nothing else.
    deciding = (
        [parts.consent_entity(consent, said) for consent in decision.consents]
        if by_consent
        else [
            parts.thing_entity(elements.RULE_SYSTEM, decision.rule, parts.SECURITY_RESOURCE, said),
            parts.record_entity(decision.record, decision.confidentiality),
        ]
    )
    organisation = [parts.organisation(decision.institution)] if decision.institution else []
    return audit_event(
        occurrence,
        kind=parts.SECURITY_ALERT,
        subtypes=[parts.BY_CONSENT if by_consent else parts.BY_ROLE],
        action="E",
        agents=[
            parts.application(decision.institution),
            parts.user(decision.requester, decision.roles, decision.purpose),
            *organisation,
            parts.authorizer(occurrence.chain),
        ],
        observer=parts.ledger(occurrence.chain),
        site=parts.SECURITY_SERVER,
        entities=[parts.subject_entity(decision.subject), *deciding],
        outcome=parts.SUCCESS if decision.permitted else parts.SERIOUS_FAILURE,
        because=f"{decision.outcome}: {decision.rule}",
        purpose=decision.purpose,
        profile="AuthZconsent" if by_consent else "",
    )


# --- disclosures -------------------------------------------------------------------------------


def released(occurrence: Occurrence, decision: Decision, outcome: Outcome) -> Element:
    """The disclosure as its source wrote it down, before the record left."""
    return _disclosed(
        occurrence, decision, outcome,
        kind=parts.EXPORT, action="R", observer=elements.institution(decision.holder),
        profile="PrivacyDisclosure.Source",
    )  # fmt: skip


def received(occurrence: Occurrence, decision: Decision, outcome: Outcome) -> Element:
    """The disclosure as its recipient wrote it down: whether what came is what was promised."""
    return _disclosed(
        occurrence, decision, outcome,
        kind=parts.IMPORT, action="C", observer=_recipient(decision),
        profile="PrivacyDisclosure.Recipient",
    )  # fmt: skip


def _recipient(decision: Decision) -> Element:
    if decision.institution:
        return elements.institution(decision.institution)
    return elements.person(decision.requester)


def _disclosed(
    occurrence: Occurrence,
    decision: Decision,
    outcome: Outcome,
    *,
    kind: Element,
    action: str,
    observer: Element,
    profile: str,
) -> Element:
    advocate = [parts.advocate(decision.subject)] if decision.consents else []
    said = parts.details(decision=decision.id, digest=outcome.digest.hex(), case=decision.case)
    record = parts.record_entity(decision.record, decision.confidentiality)
    return audit_event(
        occurrence,
        kind=kind,
        subtypes=[parts.DISCLOSE],
        action=action,
        agents=[
            parts.source(elements.institution(decision.holder), decision.holder),
            parts.destination(_recipient(decision), decision.institution),
            parts.user(decision.requester, decision.roles, decision.purpose),
            parts.custodian(decision.holder),
            *advocate,
        ],
        observer=observer,
        site=parts.APPLICATION_SERVER,
        entities=[parts.subject_entity(decision.subject), record | {"detail": said}],
        outcome=parts.SUCCESS if outcome.matches else parts.SERIOUS_FAILURE,
        because="" if outcome.matches else "not the bytes to which the pointer commits",
        purpose=decision.purpose,
        profile=profile,
    )


# --- enquiries ---------------------------------------------------------------------------------


def enquired(occurrence: Occurrence, enquiry: Enquiry) -> Element:
    """Somebody asked the consortium which records there are of a patient."""
    asking = (
        elements.institution(enquiry.institution)
        if enquiry.institution
        else elements.person(enquiry.asker)
    )
    question = f"DocumentReference?patient.identifier={elements.PSEUDONYM_SYSTEM}|{enquiry.subject}"
    return audit_event(
        occurrence,
        kind=parts.REST,
        subtypes=[parts.restful("search")],
        action="E",
        agents=[
            # BALP: the question flows from the client, so the client is the source.
            parts.source(asking, enquiry.institution),
            parts.destination(parts.ledger(occurrence.chain), "all"),
            parts.user(enquiry.asker, (), enquiry.purpose),
        ],
        observer=parts.ledger(occurrence.chain),
        site=parts.APPLICATION_SERVER,
        entities=[parts.query_entity(question), parts.subject_entity(enquiry.subject)],
        purpose=enquiry.purpose,
        profile="PatientQuery",
    )


# --- emergencies -------------------------------------------------------------------------------


#: Events of the contract `emergency` about one patient → subtype, and whether it is bad news.
EMERGENCY_EVENTS: Final = {
    "glass_broken": (parts.OVERRIDE_STARTED, False),
    "reviewed": (parts.OVERRIDE_STOPPED, False),
    "review_overdue": (parts.own_subtype("emergency-review-overdue"), True),
}


class Review(msgspec.Struct, frozen=True):
    """What an auditor found."""

    by: str
    institution: str
    time: int
    late: bool


class Emergency(msgspec.Struct, frozen=True):
    """An entry ``emergency/emergencies/ID``; members that no AuditEvent needs are passed over."""

    person: str
    institution: str
    subject: str
    reason: str
    declared: int
    due: int
    status: str
    disputed: bool
    experts: tuple[str, ...] = ()
    review: Review | None = None


def read_emergency(value: object) -> Emergency:
    """An emergency out of the state; raises `msgspec.ValidationError`."""
    return msgspec.convert(value, Emergency)


def emergency_event(
    occurrence: Occurrence,
    name: str,
    id: str,  # noqa: A002
    emergency: Emergency,
) -> Element:
    """A step in the life of an emergency.

    Args:
        name: the step, one of `EMERGENCY_EVENTS`.
        id: of the emergency.
    """
    subtype, bad = EMERGENCY_EVENTS[name]
    reviewed = emergency.review if name == "reviewed" else None
    abuse = reviewed is not None and emergency.status == "abuse"
    said = parts.details(
        reason=emergency.reason,
        review_due=elements.instant_or_none(emergency.due) or "",
        expert=emergency.experts,
        disputed="by the patient" if emergency.disputed else "",
        verdict=emergency.status if reviewed else "",
        late="yes" if reviewed and reviewed.late else "",
    )
    # The one who acts: an auditor reviews, and that a review is overdue nobody has done.
    reviewer = (
        [parts.user(reviewed.by, ("auditor",)), parts.organisation(reviewed.institution)]
        if reviewed
        else []
    )
    declared = name == "glass_broken"
    return audit_event(
        occurrence,
        kind=parts.SECURITY_ALERT,
        subtypes=[subtype],
        action="E",
        agents=[
            parts.user(emergency.person, (), "BTG") | {"requestor": declared},
            parts.organisation(emergency.institution),
            *reviewer,
            parts.authorizer(occurrence.chain),
        ],
        observer=parts.ledger(occurrence.chain),
        site=parts.SECURITY_SERVER,
        entities=[
            parts.subject_entity(emergency.subject),
            parts.thing_entity(elements.EMERGENCY_SYSTEM, id, parts.SECURITY_RESOURCE, said),
        ],
        outcome=parts.SERIOUS_FAILURE if bad or abuse else parts.SUCCESS,
        because="found to be abuse" if abuse else "",
        purpose="BTG",
    )


# --- consents ----------------------------------------------------------------------------------

#: Events of the contract `consent` → interaction, action.
CONSENT_EVENTS: Final = {"declared": ("create", "C"), "withdrawn": ("update", "U")}


def consent_changed(
    occurrence: Occurrence, name: str, consent: str, subject: str, speakers: tuple[str, ...]
) -> Element:
    """A consent was declared or withdrawn.

    Args:
        name: the event, one of `CONSENT_EVENTS`.
        consent: its id.
        subject: pseudonym of the patient.
        speakers: who declared it: the patient, or who speaks for her.
    """
    interaction, action = CONSENT_EVENTS[name]
    return audit_event(
        occurrence,
        kind=parts.REST,
        subtypes=[parts.restful(interaction)],
        action=action,
        agents=[
            parts.source(elements.person(speakers[0] if speakers else subject), ""),
            parts.destination(parts.ledger(occurrence.chain), "all"),
            *(parts.author(speaker) for speaker in speakers[:1]),
        ],
        observer=parts.ledger(occurrence.chain),
        site=parts.APPLICATION_SERVER,
        entities=[
            parts.thing_entity(elements.CONSENT_SYSTEM, consent, parts.DOMAIN_RESOURCE)
            | {"what": parts.consent_reference(consent)},
            parts.subject_entity(subject),
        ],
        profile="PatientCreate" if name == "declared" else "PatientUpdate",
    )
