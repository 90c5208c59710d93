"""Consent between FHIR R4 and R5.

R5 has no type of a provision: ``decision`` says what holds, a provision is an exception to it, a
provision inside that an exception to the exception. A list in which denials prevail over permits
does not fit, so a provision that is not the opposite of what is around it carries R4's type, as the
cross-version extension that HL7 gives it, and as a modifier: who does not know it must not guess.

Both directions take any JSON object and never raise. What R4 has no place for stays where it was,
where the reader of R4 finds an element that it does not know, and names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ledger.fhir import codes, elements
from ledger.fhir.consentview import VERIFIED_BY

Resource = dict[str, Any]

_R4: Final = "http://hl7.org/fhir/4.0/StructureDefinition/extension-Consent."
TYPE_EXTENSION: Final = _R4 + "provision.type"
DATE_EXTENSION: Final = _R4 + "dateTime"

_STATUS_TO_5: Final = {"proposed": "draft", "rejected": "not-done"}
_STATUS_TO_4: Final = {"not-done": "rejected"}
_RENAMED: Final = {"patient": "subject", "performer": "grantor", "organization": "manager"}
_BASES: Final = {"OPTIN": "permit", "OPTOUT": "deny"}
_OPPOSITE: Final = {"permit": "deny", "deny": "permit"}


def to_r5(consent: Mapping[str, Any]) -> Resource:
    """An R4 Consent in R5."""
    found: Resource = {}
    for name, value in consent.items():
        if name == "status":
            found["status"] = _STATUS_TO_5.get(value, value)
        elif name == "scope":
            found["category"] = [*consent.get("category", ()), value]
        elif name == "category":
            found.setdefault("category", value)
        elif name in _RENAMED:
            found[_RENAMED[name]] = value
        elif name == "dateTime":
            found["date"] = value[:10]
            exact = {"url": DATE_EXTENSION, "valueDateTime": value}
            found["extension"] = [*found.get("extension", ()), exact]
        elif name in ("sourceAttachment", "sourceReference"):
            found[name] = [value]
        elif name == "policyRule":
            found["regulatoryBasis"] = [value]
            found["decision"] = _base(value) or "deny"
        elif name == "verification":
            found["verification"] = [_verification_5(each) for each in value]
        elif name == "extension":
            found["extension"] = [*value, *found.get("extension", ())]
        elif name != "provision":
            found[name] = value
    root = consent.get("provision", {})
    if "period" in root:
        found["period"] = root["period"]
    around = found.get("decision", "deny")
    limits = {name: value for name, value in root.items() if name not in ("period", "provision")}
    if limits:
        found["provision"] = [_provision_5(root, around)]
    elif root.get("provision"):
        found["provision"] = [_provision_5(each, around) for each in root["provision"]]
    return found


def from_r5(consent: Mapping[str, Any]) -> Resource:
    """An R5 Consent in R4, as far as R4 can say it."""
    names = {five: four for four, five in _RENAMED.items()}
    found: Resource = {
        "scope": elements.concept(elements.coding(codes.SCOPE_SYSTEM, "patient-privacy"))
    }
    base = ""
    for name, value in consent.items():
        if name == "status":
            found["status"] = _STATUS_TO_4.get(value, value) if isinstance(value, str) else value
        elif name == "category" and isinstance(value, list):
            scopes = [each for each in value if _is_scope(each)]
            found["category"] = [each for each in value if not _is_scope(each)]
            if len(scopes) == 1:
                found["scope"] = scopes[0]
        elif name == "date":
            found.setdefault("dateTime", value)
        elif name == "extension" and isinstance(value, list):
            exact = [each for each in value if _is_extension(each, DATE_EXTENSION)]
            found["extension"] = [each for each in value if each not in exact]
            if exact:
                found["dateTime"] = exact[0].get("valueDateTime")
        elif name in ("sourceAttachment", "sourceReference") and _single(value):
            found[name] = value[0]
        elif name == "regulatoryBasis" and _single(value):
            found["policyRule"] = value[0]
        elif name == "decision" and value in _OPPOSITE:
            base = value
        elif name == "verification" and isinstance(value, list):
            found["verification"] = [_verification_4(each) for each in value]
        elif name == "subject":
            found["patient"] = value
        elif name in names:
            found[names[name]] = value
        elif name not in ("provision", "period"):
            found[name] = value
    for name in ("category", "extension"):
        if not found.get(name, True):
            del found[name]
    _with_base(found, base)
    _with_provisions(found, consent, base)
    return found


def _with_base(found: Resource, base: str) -> None:
    """What R5 says by ``decision``, R4 says by the code of the policy."""
    if base and not _is_listed(found.get("policyRule")):
        code = "OPTIN" if base == "permit" else "OPTOUT"
        rule = elements.concept(elements.coding(codes.POLICY_SYSTEM, code))
        # Another basis beside it stays in sight, where the importer finds what it does not know.
        if "policyRule" in found and _base(found["policyRule"]) != base:
            found["regulatoryBasis"] = [found["policyRule"]]
        found["policyRule"] = rule


def _with_provisions(found: Resource, consent: Mapping[str, Any], base: str) -> None:
    around = "deny" if _is_listed(found.get("policyRule")) else base or "deny"
    root: Resource = {}
    if "period" in consent:
        root["period"] = consent["period"]
    provisions = consent.get("provision")
    if isinstance(provisions, list):
        root["provision"] = [_provision_4(each, around) for each in provisions]
    elif provisions is not None:
        root["provision"] = provisions
    if root:
        found["provision"] = root


def _provision_5(provision: Mapping[str, Any], around: str) -> Resource:
    effect = provision.get("type", around)
    found: Resource = {}
    for name, value in provision.items():
        if name == "class":
            types = [each for each in value if each.get("system") == codes.RESOURCE_TYPE_SYSTEM]
            others = [each for each in value if each not in types]
            found.update(elements.present({"resourceType": types, "documentType": others}))
        elif name == "provision":
            found["provision"] = [_provision_5(each, effect) for each in value]
        elif name != "type":
            found[name] = value
    if effect == around:
        typed = {"url": TYPE_EXTENSION, "valueCode": effect}
        found["modifierExtension"] = [*found.get("modifierExtension", ()), typed]
    return found


def _provision_4(provision: Any, around: str) -> Any:
    if not isinstance(provision, Mapping):
        return provision
    effect = _OPPOSITE[around]
    found: Resource = {}
    for name, value in provision.items():
        if name == "modifierExtension" and isinstance(value, list):
            typed = [each for each in value if _is_extension(each, TYPE_EXTENSION)]
            rest = [each for each in value if each not in typed]
            if len(typed) == 1 and typed[0].get("valueCode") in _OPPOSITE:
                effect = typed[0]["valueCode"]
            elif typed:
                rest = value
            if rest:
                found[name] = rest
        elif name in ("resourceType", "documentType") and isinstance(value, list):
            found["class"] = [*found.get("class", ()), *value]
        else:
            found[name] = value
    found["type"] = effect
    inner = provision.get("provision")
    if isinstance(inner, list):
        found["provision"] = [_provision_4(each, effect) for each in inner]
    return found


def _verification_5(verification: Mapping[str, Any]) -> Resource:
    found = dict(verification)
    if "verificationDate" in found:
        found["verificationDate"] = [found["verificationDate"]]
    by = [each for each in found.get("extension", ()) if each["url"] == VERIFIED_BY]
    if by:
        found["verifiedBy"] = by[0]["valueReference"]
        found["extension"] = [each for each in found["extension"] if each not in by]
    return elements.present(found)


def _verification_4(verification: Any) -> Any:
    if not isinstance(verification, Mapping):
        return verification
    found = dict(verification)
    dates: Any = found.get("verificationDate")
    if _single(dates):
        found["verificationDate"] = dates[0]
    if "verifiedBy" in found:
        by = {"url": VERIFIED_BY, "valueReference": found.pop("verifiedBy")}
        given = found.get("extension")
        found["extension"] = [*given, by] if isinstance(given, list) else [by]
    return found


def _base(policy: Any) -> str:
    """``permit`` or ``deny`` for the base policies OPTIN and OPTOUT, otherwise nothing."""
    for system, code in _codings(policy):
        if system == codes.POLICY_SYSTEM and code in _BASES:
            return _BASES[code]
    return ""


def _is_listed(policy: Any) -> bool:
    return (elements.BASE_POLICY_SYSTEM, elements.BASE_POLICY) in _codings(policy)


def _is_scope(concept: Any) -> bool:
    return any(system == codes.SCOPE_SYSTEM for system, _ in _codings(concept))


def _is_extension(value: Any, url: str) -> bool:
    return isinstance(value, Mapping) and value.get("url") == url


def _single(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 1


def _codings(concept: Any) -> list[tuple[Any, Any]]:
    coding = concept.get("coding") if isinstance(concept, Mapping) else None
    if not isinstance(coding, list):
        return []
    return [(each.get("system"), each.get("code")) for each in coding if isinstance(each, Mapping)]
