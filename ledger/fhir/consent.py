"""FHIR R4 Consent to the rules of the consent contract, or the reasons why not.

R4 says what a root provision without a type is: constraints on the base policy (OPTIN, OPTOUT).
HL7's own examples use that shape for limits and for exceptions alike, so the same bytes can mean
"only she may see it" and "everybody but she may see it". Hence the principle of this importer: a
permit is derived only where no known reading is a denial; what is unclear goes back to a human with
the element named. The published decision on each official example is in `docs/fhir-consents.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.fhir import codes, contained, elements, times
from ledger.fhir.exceptions import Reader
from ledger.fhir.provisions import Directory, Element, Findings, Problem, Scope, codings

__all__ = ["Computable", "Directory", "Problem", "Refused", "import_consent"]

_ROOT: Final = "Consent.provision"
#: Codes of consentcategorycodes for declarations that are not about disclosure.
_OTHER_DECLARATIONS: Final = frozenset({"acd", "dnr", "polst", "hcd"})
#: Elements of a provision, beside actors, that say for what or about what it is.
_LIMITS: Final = ("purpose", "securityLabel", "class", "code", "data", "dataPeriod")
_MAX_RULES: Final = 64
#: The base policy of a consent that is nothing but a list of rules.
_LISTED: Final = "listed"


@dataclass(frozen=True, slots=True)
class Computable:
    """A consent that can be put on the chain with ``consent.adopt``.

    ``subject``: ledger id of the patient. ``speaker``: who declared it, the patient or somebody who
    says to speak for her; whether she does, the chain decides. ``rules``: as `consent.adopt` takes
    them. ``warnings``: elements that were left out of account or read narrowly.
    """

    subject: str
    speaker: str
    rules: tuple[dict[str, Any], ...]
    warnings: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A consent that a human must clarify; ``problems`` is never empty. ``structural``: it is not
    even a Consent of R4."""

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    structural: bool = False


def import_consent(resource: Mapping[str, Any], directory: Directory) -> Computable | Refused:
    """Read a FHIR R4 Consent in JSON form.

    Never raises for any JSON object. The import has no clock: a consent whose period is over gives
    rules that no longer apply, and the chain's block time decides that.
    """
    findings = Findings()
    _check_structure(resource, findings)
    if findings.problems:
        return Refused(tuple(findings.problems), (), structural=True)
    directory = contained.with_recipients(resource, directory)
    subject, speaker = _check_frame(resource, directory, findings)
    rules = _rules(resource, Reader(directory, directory.label_keys.get(subject), findings))
    if not rules and not findings.problems:
        findings.refuse(_ROOT, "no rule follows from it")
    if len(rules) > _MAX_RULES:
        findings.refuse(_ROOT, f"more than {_MAX_RULES} rules")
    warnings = tuple(findings.warnings)
    if findings.problems:
        return Refused(tuple(findings.problems), warnings)
    return Computable(subject, speaker, tuple(rules), warnings)


# --- The frame: status, patient, who declared it ------------------------------------------------


def _check_structure(resource: Mapping[str, Any], findings: Findings) -> None:
    if resource.get("resourceType") != "Consent":
        findings.refuse("Consent", "not a Consent resource")
        return
    try:
        path = _null(resource, "Consent")
    except RecursionError:
        findings.refuse("Consent", "nested too deep")
        return
    if path:
        findings.refuse(path, "null, which FHIR knows only in lists of primitives with extensions")
        return
    # Importing the models takes a third of a second, which only those who import consents pay.
    from fhir.resources.R4B.consent import Consent
    from pydantic import ValidationError

    try:
        Consent.model_validate(dict(resource))
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False, include_context=False):
            findings.refuse(_fhirpath(fault["loc"]), fault["msg"])
    except RecursionError:
        findings.refuse("Consent", "nested too deep")


def _null(node: Any, path: str) -> str:
    """The first place in a JSON value that is null, or nothing."""
    if node is None:
        return path
    if isinstance(node, Mapping):
        inner = ((f"{path}.{name}", item) for name, item in node.items())
    elif isinstance(node, list):
        inner = ((f"{path}[{place}]", item) for place, item in enumerate(node))
    else:
        return ""
    return next((found for at, item in inner if (found := _null(item, at))), "")


def _fhirpath(location: tuple[int | str, ...]) -> str:
    path = "Consent"
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path


def _check_frame(resource: Element, directory: Directory, findings: Findings) -> tuple[str, str]:
    """Refuse what is not a patient's consent in force; returns the ledger ids of the patient and of
    who declared it."""
    if resource["status"] != "active":
        findings.refuse("Consent.status", f"a consent that is {resource['status']} gives no rules")
    for path in _modifiers(resource, "Consent"):
        findings.refuse(path, "changes the meaning in a way that is not known here")
    if (codes.SCOPE_SYSTEM, "patient-privacy") not in set(codings(resource["scope"])):
        findings.refuse("Consent.scope", "only consents of the scope patient-privacy share data")
    for place, category in enumerate(resource["category"]):
        if any(code in _OTHER_DECLARATIONS for _, code in codings(category)):
            findings.refuse(f"Consent.category[{place}]", "not a declaration about disclosure")
    if "policy" in resource:
        findings.refuse("Consent.policy", "names a policy text that is not in the form of rules")
    patient = elements.literal(resource.get("patient", {}))
    if patient not in directory.persons:
        findings.refuse("Consent.patient", f"{patient or 'the patient'} is nobody on this ledger")
    subject = directory.persons.get(patient, "")
    speaker = subject
    for place, performer in enumerate(resource.get("performer", ())):
        here, reference = f"Consent.performer[{place}]", elements.literal(performer)
        if reference in directory.representatives and speaker == subject:
            speaker = directory.representatives[reference]
            findings.warn(here, "counts if the chain knows her as guardian or delegate")
        elif reference != patient:
            findings.refuse(here, f"{reference or 'the performer'} is nobody who could speak here")
    for place, verification in enumerate(resource.get("verification", ())):
        if verification.get("verified") is not True:
            findings.refuse(f"Consent.verification[{place}]", "recorded as not verified")
    for source in ("sourceAttachment", "sourceReference"):
        if source in resource:
            findings.warn(f"Consent.{source}", "its text is not read; the rules are what counts")
    return subject, speaker


def _modifiers(value: object, path: str) -> list[str]:
    """FHIRPaths of elements that may turn the meaning of what holds them."""
    if isinstance(value, Mapping):
        found = []
        for name, item in value.items():
            if name in ("modifierExtension", "implicitRules"):
                found.append(f"{path}.{name}")
            else:
                found.extend(_modifiers(item, f"{path}.{name}"))
        return found
    if isinstance(value, list):
        return [p for n, item in enumerate(value) for p in _modifiers(item, f"{path}[{n}]")]
    return []


# --- From base policy and provisions to rules ---------------------------------------------------


def _rules(resource: Element, reader: Reader) -> list[dict[str, Any]]:
    findings = reader.findings
    base = _base_policy(resource, findings)
    root = resource.get("provision", {})
    effect = root.get("type", base)
    if not effect:
        return []
    if base == _LISTED:
        return _listed(resource, root, reader)
    if "type" in root:
        findings.warn(f"{_ROOT}.type", "R4 has no type here; it is read as the root's own effect")
    scope = reader.scope(root, _ROOT, effect)
    _check_validity(resource, scope, findings)
    if _is_emergency_only(resource, root, base):
        return reader.emergency_only(root, _ROOT, scope)
    if "type" not in root:
        _check_untyped_root(root, base, findings)
    if effect == "permit" and "type" not in root and _permits_inside(root):
        findings.warn(_ROOT, "the base policy permits what the nested permits name, no more")
        return reader.inside(root, _ROOT, scope, effect)
    return reader.rules(root, _ROOT, scope, effect)


def _listed(resource: Element, root: Element, reader: Reader) -> list[dict[str, Any]]:
    """The rules of a consent in the form in which the ledger itself gives consents out."""
    for name in root:
        if name not in ("id", "period", "provision"):
            reader.findings.refuse(f"{_ROOT}.{name}", "beside a list of rules, only a period")
    scope = reader.scope({"period": root["period"]} if "period" in root else {}, _ROOT, "permit")
    _check_validity(resource, scope, reader.findings)
    return reader.listed(root, _ROOT, scope)


def _permits_inside(root: Element) -> bool:
    return any(inner.get("type") == "permit" for inner in root.get("provision", ()))


def _is_emergency_only(resource: Element, root: Element, base: str) -> bool:
    """Whether an untyped root is what its category calls it: closed but for emergencies.

    Opting out with emergency purposes alone at the root can mean "all but these" or "these". The
    category EMRGONLY says which, in code.
    """
    purposes = {purpose.get("code") for purpose in root.get("purpose", ())}
    return (
        base == "deny"
        and "type" not in root
        and any(
            (codes.POLICY_SYSTEM, codes.EMERGENCY_ONLY) in set(codings(category))
            for category in resource["category"]
        )
        and bool(purposes)
        and purposes <= codes.EMERGENCY
        and not any(name in root for name in _LIMITS if name != "purpose")
        and _roles(root) <= {codes.CUSTODIAN}
    )


def _roles(provision: Element) -> set[str]:
    return {code for actor in provision.get("actor", ()) for _, code in codings(actor["role"])}


def _base_policy(resource: Element, findings: Findings) -> str:
    """``permit`` for OPTIN, ``deny`` for OPTOUT, `_LISTED` for our own, empty when there is
    none of them."""
    own = (elements.BASE_POLICY_SYSTEM, elements.BASE_POLICY)
    if own in set(codings(resource.get("policyRule", {}))):
        return _LISTED
    named = {code for system, code in codings(resource.get("policyRule", {}))
             if system == codes.POLICY_SYSTEM}  # fmt: skip
    if named == {"OPTIN"}:
        return "permit"
    if named == {"OPTOUT"}:
        return "deny"
    findings.refuse("Consent.policyRule", "the base policy must be OPTIN or OPTOUT")
    return ""


def _check_validity(resource: Element, scope: Scope, findings: Findings) -> None:
    """A consent that was over on the day it was given was not meant that way."""
    given = times.interval(resource.get("dateTime"))
    if given is not None and "end" in scope and scope["end"] <= given[0]:
        findings.refuse(
            f"{_ROOT}.period",
            "over before the consent was given; if data of that time is meant, use dataPeriod",
        )


def _check_untyped_root(root: Element, base: str, findings: Findings) -> None:
    """Accept an untyped root only as far as every known reading agrees."""
    limits = [name for name in _LIMITS if name in root]
    roles = _roles(root)
    # What a custodian holds cannot be opened by leaving the type out; it can be closed.
    if roles - {codes.CUSTODIAN} or (roles and base == "permit"):
        limits.append("actor")
    if limits:
        findings.refuse(
            f"{_ROOT}.type",
            f"without it, the limit by {', '.join(limits)} can mean 'only' or 'all but'",
        )
