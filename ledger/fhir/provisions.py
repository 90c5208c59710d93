"""One provision of a FHIR R4 Consent, read as the scope of a rule.

A scope has the parts of a rule of the consent contract. What the ledger cannot decide by, because
the chain does not show it (sensitivity labels, LOINC codes, who authored a record) or because the
standard leaves it open, is a `Problem` that names the element, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.fhir import codes, kinds, times
from ledger.fhir.labels import CONFIDENTIALITY_SYSTEM

Element = Mapping[str, Any]

_LEVELS: Final = ("N", "R", "V")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a resource that could not be understood, or was left out of account.

    ``path``: FHIRPath of the element. ``reason``: for the person who must decide.
    """

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Directory:
    """Who the actors of a resource are on the ledger: FHIR reference (``Type/id``) to ledger id.

    ``records`` maps references of shared resources to the hex names of their records.
    """

    institutions: Mapping[str, str] = field(default_factory=dict)
    persons: Mapping[str, str] = field(default_factory=dict)
    records: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Findings:
    """What was met while reading: ``problems`` forbid the import, ``warnings`` do not."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def refuse(self, path: str, reason: str) -> None:
        self.problems.append(Problem(path, reason))

    def warn(self, path: str, reason: str) -> None:
        self.warnings.append(Problem(path, reason))


Scope = dict[str, Any]


def read_scope(
    provision: Element, path: str, effect: str, directory: Directory, findings: Findings
) -> Scope:
    """The parts by which a provision limits a rule; absent parts limit nothing.

    Args:
        provision: the element, structurally valid R4.
        path: its FHIRPath.
        effect: ``permit`` or ``deny``; where the chain is coarser than the provision, a denial
            may grow and a permit may not.
        directory: who the actors are.
        findings: receives problems and warnings.
    """
    scope: Scope = {}
    _period(provision.get("period"), f"{path}.period", ("start", "end"), scope, findings)
    data_period = provision.get("dataPeriod")
    _period(data_period, f"{path}.dataPeriod", ("data_start", "data_end"), scope, findings)
    _actors(provision, path, directory, scope, findings)
    _actions(provision, path, findings)
    _labels(provision, path, effect, scope, findings)
    _purposes(provision, path, scope, findings)
    _classes(provision, path, effect, scope, findings)
    _data(provision, path, directory, scope, findings)
    if "code" in provision:
        findings.refuse(f"{path}.code", "the chain shows no codes of records, only coarse classes")
    return scope


def codings(concept: Element) -> Iterator[tuple[str, str]]:
    """(system, code) of each coding of a CodeableConcept."""
    for coding in concept.get("coding", ()):
        yield coding.get("system", ""), coding.get("code", "")


def _period(
    value: Element | None, path: str, parts: tuple[str, str], scope: Scope, findings: Findings
) -> None:
    """A FHIR Period as its first millisecond and the first one after it, in the two parts."""
    if value is None:
        return
    for part, bound, edge in ((parts[0], "start", 0), (parts[1], "end", 1)):
        if bound not in value:
            continue
        covered = times.interval(value[bound])
        if covered is None:
            findings.refuse(f"{path}.{bound}", "not a FHIR dateTime")
        else:
            # 0 means "any" in a rule, so the first millisecond of 1970 is written as the next one.
            scope[part] = covered[edge] + edge or 1
    if parts[0] in scope and parts[1] in scope and scope[parts[0]] >= scope[parts[1]]:
        findings.refuse(path, "the period ends before it starts")


def _actors(
    provision: Element, path: str, directory: Directory, scope: Scope, findings: Findings
) -> None:
    for place, actor in enumerate(provision.get("actor", ())):
        here = f"{path}.actor[{place}]"
        roles = list(codings(actor["role"]))
        reference = actor["reference"].get("reference", "")
        if len(roles) != 1 or roles[0][0] != codes.PARTICIPATION_SYSTEM:
            findings.refuse(f"{here}.role", "one code of v3-ParticipationType is needed")
        elif roles[0][1] in codes.RECIPIENTS:
            if reference in directory.institutions:
                _add(scope, "institutions", directory.institutions[reference])
            elif reference in directory.persons:
                _add(scope, "persons", directory.persons[reference])
            else:
                findings.refuse(
                    f"{here}.reference", f"{reference or 'it'} is nobody on this ledger"
                )
        elif roles[0][1] == codes.CUSTODIAN:
            if reference in directory.institutions:
                _add(scope, "holders", directory.institutions[reference])
            else:
                findings.refuse(f"{here}.reference", f"{reference or 'it'} holds no records here")
        else:
            findings.refuse(
                f"{here}.role", f"rules cannot be limited by actors in the role {roles[0][1]}"
            )


def _actions(provision: Element, path: str, findings: Findings) -> None:
    found = [code for action in provision.get("action", ()) for code in codings(action)]
    if any(system != codes.ACTION_SYSTEM or code not in codes.ACTIONS for system, code in found):
        findings.refuse(f"{path}.action", "not a code of consentaction")
    elif found and not any(code in codes.DECIDED_ACTIONS for _, code in found):
        findings.refuse(f"{path}.action", "the ledger decides on access and disclosure only")
    elif any(code not in codes.DECIDED_ACTIONS for _, code in found):
        findings.warn(f"{path}.action", "the ledger decides on access and disclosure only")


def _labels(provision: Element, path: str, effect: str, scope: Scope, findings: Findings) -> None:
    labels = provision.get("securityLabel", ())
    here = f"{path}.securityLabel"
    if not labels:
        return
    system, code = labels[0].get("system", ""), labels[0].get("code", "")
    if len(labels) > 1:
        findings.refuse(here, "whether all labels or one of them must be met is left open")
    elif system != CONFIDENTIALITY_SYSTEM:
        findings.refuse(
            here, f"the chain shows no sensitivity such as {code}, it is only committed"
        )
    elif code not in _LEVELS:
        findings.refuse(here, f"the chain shows the levels N, R and V, not {code}")
    elif effect == "deny":
        findings.refuse(here, "R4 reads a level as 'this and lower', which no denial can mean")
    else:
        scope["confidentiality"] = code


def _purposes(provision: Element, path: str, scope: Scope, findings: Findings) -> None:
    for place, purpose in enumerate(provision.get("purpose", ())):
        code = purpose.get("code", "")
        if purpose.get("system") != codes.PURPOSE_SYSTEM or code not in codes.PURPOSE_PARENT:
            findings.refuse(f"{path}.purpose[{place}]", "not a code of v3-PurposeOfUse")
        else:
            _add(scope, "purposes", code)


def _classes(provision: Element, path: str, effect: str, scope: Scope, findings: Findings) -> None:
    names = []
    for place, coding in enumerate(provision.get("class", ())):
        if coding.get("system") != codes.RESOURCE_TYPE_SYSTEM or not coding.get("code"):
            findings.refuse(f"{path}.class[{place}]", "rules know resource types only")
        else:
            names.append(coding["code"])
    if not names:
        return
    touched = frozenset().union(*(kinds.possible_kinds(name) for name in names))
    covered = kinds.covered_kinds(names)
    if effect == "deny":
        scope["kinds"] = sorted(touched)
        if touched != covered:
            findings.warn(f"{path}.class", f"denies the whole of {', '.join(sorted(touched))}")
    elif touched != covered:
        findings.refuse(
            f"{path}.class",
            f"the chain's classes {', '.join(sorted(touched))} hold more than {', '.join(names)}",
        )
    else:
        scope["kinds"] = sorted(covered)


def _data(
    provision: Element, path: str, directory: Directory, scope: Scope, findings: Findings
) -> None:
    for place, data in enumerate(provision.get("data", ())):
        here = f"{path}.data[{place}]"
        reference = data["reference"].get("reference", "")
        if data["meaning"] != "instance":
            findings.refuse(
                f"{here}.meaning", f"records {data['meaning']} to another cannot be told apart here"
            )
        elif reference not in directory.records:
            findings.refuse(f"{here}.reference", f"{reference or 'it'} is no record on this ledger")
        else:
            _add(scope, "records", directory.records[reference])


def _add(scope: Scope, part: str, item: str) -> None:
    items = scope.setdefault(part, [])
    if item not in items:
        items.append(item)
