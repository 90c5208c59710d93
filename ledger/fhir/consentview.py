"""A consent of the ledger as a FHIR R4 Consent.

What the chain holds is a list of rules on which nothing else has to be read: what no rule permits
is denied, and a denial prevails. So the resource has a base policy of our own, a root provision
without limits of its own (R4 allows it no type), and one nested provision for each rule.
`import_consent` reads the result back to rules that decide alike, except where something is masked
or where R4 has no words: those are refused there.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.fhir import codes, contained, elements
from ledger.fhir.elements import EXTENSION, Element, coding, concept, instant, present
from ledger.fhir.kinds import possible_kinds
from ledger.fhir.labelnames import LabelNames
from ledger.fhir.labels import CONFIDENTIALITY_SYSTEM

Rule = Mapping[str, Any]

SOURCE_EXTENSION: Final = EXTENSION + "source-sha-256"
FORM_EXTENSION: Final = EXTENSION + "form-sha-256"
WITHDRAWN_EXTENSION: Final = EXTENSION + "withdrawn"
LEVEL_EXTENSION: Final = EXTENSION + "and-above"
EXCEPTION_EXTENSION: Final = EXTENSION + "exception-only"
UNSIGNED_EXTENSION: Final = EXTENSION + "unsigned-transaction"
VERIFIED_BY: Final = (
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-Consent.verification.verifiedBy"
)

#: FHIR status of what the chain says, and of what is not on the chain yet.
STATUS: Final = {"active": "active", "withdrawn": "inactive", "proposed": "proposed"}
MANDATORY: Final = ("status", "scope", "category", "patient", "policyRule")
SUMMARY: Final = (*MANDATORY, "identifier", "dateTime", "organization", "provision")

_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_HASHED: Final = re.compile(r"x-[0-9a-f]{40}")
_LEVELS: Final = ("N", "R", "V")
#: The first millisecond that FHIR writes, and the last.
_FIRST_MS: Final = -62_135_596_800_000
_LAST_MS: Final = 253_402_300_799_999


def fhir_id(name: str) -> str:
    """The logical id of a consent: its id on the chain where FHIR allows that, otherwise a hash."""
    if _ID.fullmatch(name) and not _HASHED.fullmatch(name):
        return name
    return f"x-{hashlib.sha256(name.encode()).hexdigest()[:40]}"


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A transaction that would declare a consent. ``body``: what is to be signed; ``id``: of the
    transaction; ``valid_until``: the last height at which it can enter the chain."""

    body: bytes
    id: bytes
    valid_until: int


@dataclass(frozen=True, slots=True)
class Declared:
    """One version of a consent.

    ``name``: its id on the chain. ``status``: active, withdrawn or proposed. ``given_by``: who
    declared it, as the registry says: the patient, one who speaks for her, or a registrar and a
    witness. ``form``, ``source``: hashes of the paper form and of the document, or empty.
    ``given``, ``changed``: ms, of the declaration and of this version. ``version``: height of the
    block that made it. ``institution``: of the registrar, or empty. ``withdrawn_by``,
    ``withdrawn``: who took it back, and when in ms.
    """

    name: str
    subject: str
    status: str
    given_by: tuple[str, ...]
    rules: tuple[Rule, ...]
    given: int
    changed: int
    version: int
    form: bytes = b""
    source: bytes = b""
    institution: str = ""
    withdrawn_by: tuple[str, ...] = ()
    withdrawn: int = 0
    unsigned: Unsigned | None = None


def consent(declared: Declared, names: LabelNames) -> Element:
    """The resource. ``names``: what the caller may know of the patient's labels."""
    shared = _shared_period(declared.rules)
    recipients = _Recipients()
    permits = [_bare(rule) for rule in declared.rules if rule["effect"] == "permit"]
    provisions = [_provision(rule, names, recipients, permits, shared) for rule in declared.rules]
    root = present({"period": shared, "provision": provisions})
    patient = elements.patient(declared.subject)
    return present(
        {
            "resourceType": "Consent",
            "id": fhir_id(declared.name),
            "meta": {"versionId": str(declared.version), "lastUpdated": instant(declared.changed)},
            "contained": recipients.resources,
            "extension": _extensions(declared),
            "identifier": [elements.identifier(elements.CONSENT_SYSTEM, declared.name)],
            "status": STATUS[declared.status],
            "scope": concept(coding(codes.SCOPE_SYSTEM, "patient-privacy", "Privacy Consent")),
            "category": [concept(coding(elements.LOINC, "59284-0", "Consent Document"))],
            "patient": patient,
            "dateTime": instant(declared.given) if declared.given else None,
            "performer": [_performer(declared)],
            "organization": [elements.institution(declared.institution)]
            if declared.institution
            else [],
            "policyRule": {
                **concept(coding(elements.BASE_POLICY_SYSTEM, elements.BASE_POLICY)),
                "text": "Nothing is permitted but by a rule; a rule that denies prevails.",
            },
            "verification": _verification(declared),
            "provision": root,
        }
    )


def _performer(declared: Declared) -> Element:
    """Who agreed: the patient, or one person who spoke for her."""
    if len(declared.given_by) == 1 and declared.given_by[0] != declared.subject:
        return elements.logical("RelatedPerson", elements.PSEUDONYM_SYSTEM, declared.given_by[0])
    return elements.patient(declared.subject)


def _verification(declared: Declared) -> list[Element]:
    """That it is hers: by her signature on the chain, or before a registrar and a witness."""
    if declared.status == "proposed":
        return []
    with_whom = {"verifiedWith": _performer(declared), "verificationDate": instant(declared.given)}
    if len(declared.given_by) < 2:
        return [{"verified": True, **with_whom}]
    return [
        {
            "extension": [{"url": VERIFIED_BY, "valueReference": elements.person(who)}],
            "verified": True,
            **with_whom,
        }
        for who in declared.given_by
    ]


def _extensions(declared: Declared) -> list[Element]:
    found: list[Element] = []
    if declared.source:
        found.append({"url": SOURCE_EXTENSION, "valueString": declared.source.hex()})
    if declared.form:
        found.append({"url": FORM_EXTENSION, "valueString": declared.form.hex()})
    if declared.withdrawn:
        by = [
            {"url": "by", "valueReference": elements.person(who)} for who in declared.withdrawn_by
        ]
        at = {"url": "at", "valueInstant": instant(declared.withdrawn)}
        found.append({"url": WITHDRAWN_EXTENSION, "extension": [at, *by]})
    if declared.unsigned is not None:
        found.append(_unsigned(declared.unsigned))
    return found


def _unsigned(unsigned: Unsigned) -> Element:
    return {
        "url": UNSIGNED_EXTENSION,
        "extension": [
            {"url": "id", "valueString": unsigned.id.hex()},
            {"url": "body", "valueBase64Binary": base64.b64encode(unsigned.body).decode()},
            {"url": "validUntilHeight", "valueUnsignedInt": unsigned.valid_until},
        ],
    }


# --- Rules --------------------------------------------------------------------------------------


class _Recipients:
    """The PractitionerRole resources that a consent contains, each once."""

    def __init__(self) -> None:
        self.resources: list[Element] = []
        self._names: dict[str, str] = {}

    def reference(self, institution: str, person: str, roles: list[str]) -> Element:
        key = repr((institution, person, roles))
        if key not in self._names:
            name = f"recipient-{len(self._names) + 1}"
            self._names[key] = name
            self.resources.append(contained.practitioner_role(name, institution, person, roles))
        return {"reference": f"#{self._names[key]}"}


def _bare(rule: Rule) -> dict[str, Any]:
    """The parts of a rule that limit it."""
    return {part: value for part, value in rule.items() if part != "effect"}


def _provision(
    rule: Rule,
    names: LabelNames,
    recipients: _Recipients,
    permits: Sequence[Rule],
    shared: Element | None,
) -> Element:
    effect = rule["effect"]
    exceptions = []
    for exception in rule.get("unless", ()):
        inner = _provision({**exception, "effect": "permit"}, names, recipients, permits, None)
        if _bare(exception) not in permits:
            # Without a rule of its own it takes something out of the denial and permits nothing.
            inner["modifierExtension"] = [{"url": EXCEPTION_EXTENSION, "valueBoolean": True}]
        exceptions.append(inner)
    classes, coded = _what(rule, names)
    return present(
        {
            "type": effect,
            "period": None if shared else _period(rule, "start", "end"),
            "actor": _actors(rule, recipients),
            "action": [concept(coding(codes.ACTION_SYSTEM, "access"))],
            "securityLabel": _labels(rule, names),
            "purpose": _purposes(rule),
            "class": classes,
            "code": coded,
            "dataPeriod": _period(rule, "data_start", "data_end"),
            "data": [
                {"meaning": "instance", "reference": {"reference": f"DocumentReference/{record}"}}
                for record in rule.get("records", ())
            ],
            "provision": exceptions,
        }
    )


def _what(rule: Rule, names: LabelNames) -> tuple[list[Element], list[Element]]:
    """Class and code of a provision. Resource types stand in ``class`` where they say all."""
    types, others = names.codings(rule.get("codes", ()))
    kinds = rule.get("kinds", ())
    if types and not others:
        touched: set[str] = set()
        for each in types:
            touched |= possible_kinds(each["code"])
        if touched == set(kinds):
            return types, []
    own = [coding(elements.RECORD_CLASS_SYSTEM, kind) for kind in kinds]
    return own, [concept(each) for each in types] + others


def _purposes(rule: Rule) -> list[Element]:
    purposes = rule.get("purposes")
    if purposes is None and any(
        set(exception["purposes"]) <= codes.EMERGENCY for exception in rule.get("unless", ())
    ):
        # Without a purpose it would be read as sparing every emergency, not just the exception.
        purposes = [*codes.PURPOSE_HEADS, *sorted(codes.EMERGENCY)]
    return [coding(codes.PURPOSE_SYSTEM, purpose) for purpose in purposes or ()]


def _labels(rule: Rule, names: LabelNames) -> list[Element]:
    found = [names.label(token) for token in rule.get("labels", ())]
    level = rule.get("confidentiality")
    if level and rule["effect"] == "permit":
        found.insert(0, coding(CONFIDENTIALITY_SYSTEM, level))
    elif level:
        # R4 reads a level as "this and lower"; a denial means it and higher.
        above = {"url": LEVEL_EXTENSION, "valueBoolean": True}
        found.insert(0, {"extension": [above], **coding(CONFIDENTIALITY_SYSTEM, level)})
    return found


def _actors(rule: Rule, recipients: _Recipients) -> list[Element]:
    """Who receives: alternatives, each of which is all that the rule asks of one recipient."""
    institutions, persons = rule.get("institutions", ()), rule.get("persons", ())
    roles = list(rule.get("roles", ()))
    found: list[Element] = []
    if roles or (institutions and persons):
        for institution in institutions or ("",):
            for person in persons or ("",):
                found.append(_actor("IRCP", recipients.reference(institution, person, roles)))
    else:
        found += [_actor("IRCP", elements.institution(each)) for each in institutions]
        found += [_actor("IRCP", elements.person(each)) for each in persons]
    holders = rule.get("holders", ())
    return found + [_actor("CST", elements.institution(each)) for each in holders]


def _actor(role: str, reference: Element) -> Element:
    return {"role": concept(coding(codes.PARTICIPATION_SYSTEM, role)), "reference": reference}


def _period(rule: Rule, start: str, end: str) -> Element | None:
    """The time of a rule as a Period, whose end is the last millisecond inside."""
    found = {}
    if start in rule and rule[start] >= _FIRST_MS:
        found["start"] = instant(min(rule[start], _LAST_MS))
    if end in rule and rule[end] - 1 <= _LAST_MS:
        found["end"] = instant(max(rule[end] - 1, _FIRST_MS))
    return found or None


def _shared_period(rules: Sequence[Rule]) -> Element | None:
    """The period that all rules and exceptions have, to be said once, at the root."""
    every = [part for rule in rules for part in (rule, *rule.get("unless", ()))]
    periods = [_period(rule, "start", "end") for rule in every]
    if not periods or any(period != periods[0] for period in periods):
        return None
    return periods[0]
