"""One provision of a FHIR R4 Consent, read as the scope of a rule.

A scope has the parts of a rule of the consent contract, and ``recipients``: alternatives, each the
parts that limit who receives. Sensitivity labels, codes and resource types become tokens under the
patient's label key, where the importer has it. What the ledger cannot decide by, because the chain
does not show it (who authored a record) or because the standard leaves it open, is a `Problem` that
names the element, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.chain.tokens import LabelKey
from ledger.fhir import codes, elements, kinds, times
from ledger.fhir.labels import ACT_CODE_SYSTEM, CONFIDENTIALITY_SYSTEM, SENSITIVITY

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
    """What the references (``Type/id``) of a resource are on the ledger.

    ``institutions``, ``persons``: ids. ``roles``: of a PractitionerRole, the institution and the
    role there. ``groups``: of a Group or CareTeam, the persons who are in it today.
    ``representatives``: of a RelatedPerson, the person. ``records``: hex name of the record of a
    shared resource. ``related``: hex names of the records that belong to a resource, where the
    holder has followed all its references. ``label_keys``: by the ledger id of the patient.
    ``recipients``: of a PractitionerRole that the consent contains, the parts of a rule that limit
    who receives.
    """

    institutions: Mapping[str, str] = field(default_factory=dict)
    persons: Mapping[str, str] = field(default_factory=dict)
    records: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    representatives: Mapping[str, str] = field(default_factory=dict)
    related: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    label_keys: Mapping[str, LabelKey] = field(default_factory=dict)
    recipients: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)


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
    provision: Element,
    path: str,
    effect: str,
    directory: Directory,
    key: LabelKey | None,
    findings: Findings,
) -> Scope:
    """The parts by which a provision limits a rule; absent parts limit nothing.

    Args:
        provision: the element, structurally valid R4.
        path: its FHIRPath.
        effect: ``permit`` or ``deny``; where the chain is coarser than the provision, a denial
            may grow and a permit may not.
        directory: who the actors are.
        key: the patient's label key, if it is known here.
        findings: receives problems and warnings.
    """
    scope: Scope = {}
    _period(provision.get("period"), f"{path}.period", ("start", "end"), scope, findings)
    data_period = provision.get("dataPeriod")
    _period(data_period, f"{path}.dataPeriod", ("data_start", "data_end"), scope, findings)
    _actors(provision, path, effect, directory, scope, findings)
    _actions(provision, path, findings)
    _labels(provision, path, effect, key, scope, findings)
    _purposes(provision, path, scope, findings)
    _classes(provision, path, effect, key, scope, findings)
    _codes(provision, path, effect, key, scope, findings)
    _data(provision, path, effect, directory, scope, findings)
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
    provision: Element,
    path: str,
    effect: str,
    directory: Directory,
    scope: Scope,
    findings: Findings,
) -> None:
    institutions: list[str] = []
    persons: list[str] = []
    in_roles: list[dict[str, list[str]]] = []
    for place, actor in enumerate(provision.get("actor", ())):
        here = f"{path}.actor[{place}]"
        roles = list(codings(actor["role"]))
        reference = elements.literal(actor["reference"])
        if len(roles) != 1 or roles[0][0] != codes.PARTICIPATION_SYSTEM:
            findings.refuse(f"{here}.role", "one code of v3-ParticipationType is needed")
        elif roles[0][1] == codes.CUSTODIAN:
            if reference in directory.institutions:
                _add(scope, "holders", directory.institutions[reference])
            else:
                findings.refuse(f"{here}.reference", f"{reference or 'it'} holds no records here")
        elif roles[0][1] not in codes.RECIPIENTS:
            findings.refuse(
                f"{here}.role", f"rules cannot be limited by actors in the role {roles[0][1]}"
            )
        elif reference in directory.institutions:
            institutions.append(directory.institutions[reference])
        elif reference in directory.persons:
            persons.append(directory.persons[reference])
        elif reference in directory.roles:
            institution, role = directory.roles[reference]
            in_roles.append({"institutions": [institution], "roles": [role]})
        elif reference in directory.recipients:
            in_roles.append(dict(directory.recipients[reference]))
        elif reference in directory.groups:
            if effect == "deny":
                findings.refuse(
                    f"{here}.reference", "who joins the group later would not be denied"
                )
            findings.warn(f"{here}.reference", "the members of today; who joins later is not meant")
            persons.extend(directory.groups[reference])
        else:
            findings.refuse(f"{here}.reference", f"{reference or 'it'} is nobody on this ledger")
    alternatives = [
        {part: sorted(set(items), key=items.index)}
        for part, items in (("institutions", institutions), ("persons", persons))
        if items
    ]
    if alternatives or in_roles:
        scope["recipients"] = alternatives + in_roles


def _actions(provision: Element, path: str, findings: Findings) -> None:
    found = [code for action in provision.get("action", ()) for code in codings(action)]
    if any(system != codes.ACTION_SYSTEM or code not in codes.ACTIONS for system, code in found):
        findings.refuse(f"{path}.action", "not a code of consentaction")
    elif found and not any(code in codes.DECIDED_ACTIONS for _, code in found):
        findings.refuse(f"{path}.action", "the ledger decides on access and disclosure only")
    elif any(code not in codes.DECIDED_ACTIONS for _, code in found):
        findings.warn(f"{path}.action", "the ledger decides on access and disclosure only")


def _labels(
    provision: Element,
    path: str,
    effect: str,
    key: LabelKey | None,
    scope: Scope,
    findings: Findings,
) -> None:
    here = f"{path}.securityLabel"
    found = [(label.get("system", ""), label.get("code", ""))
             for label in provision.get("securityLabel", ())]  # fmt: skip
    levels = [code for system, code in found if system == CONFIDENTIALITY_SYSTEM]
    named = [code for system, code in found if system == ACT_CODE_SYSTEM and code in SENSITIVITY]
    if len(levels) + len(named) < len(found):
        findings.refuse(here, "a label that is neither confidentiality nor sensitivity")
    elif len(levels) > 1 or (len(named) > 1 and effect == "permit"):
        findings.refuse(here, "whether all labels or one of them must be met is left open")
    elif levels and levels[0] not in _LEVELS:
        findings.refuse(here, f"the chain shows the levels N, R and V, not {levels[0]}")
    elif levels and effect == "deny":
        findings.refuse(here, "R4 reads a level as 'this and lower', which no denial can mean")
    elif named and key is None:
        findings.refuse(here, f"without the patient's label key, {named[0]} cannot be named")
    else:
        if levels:
            scope["confidentiality"] = levels[0]
        if named and key is not None:
            scope["labels"] = [key.label(code) for code in named]
            scope.setdefault("label_key", key.for_labels)


def _purposes(provision: Element, path: str, scope: Scope, findings: Findings) -> None:
    for place, purpose in enumerate(provision.get("purpose", ())):
        code = purpose.get("code", "")
        if purpose.get("system") != codes.PURPOSE_SYSTEM or code not in codes.PURPOSE_PARENT:
            findings.refuse(f"{path}.purpose[{place}]", "not a code of v3-PurposeOfUse")
        else:
            _add(scope, "purposes", code)


def _classes(
    provision: Element,
    path: str,
    effect: str,
    key: LabelKey | None,
    scope: Scope,
    findings: Findings,
) -> None:
    names = []
    given = [(coding.get("system"), coding.get("code")) for coding in provision.get("class", ())]
    own = [code for system, code in given if system == elements.RECORD_CLASS_SYSTEM]
    if own:
        if len(own) < len(given) or not set(own) <= kinds.KINDS:
            findings.refuse(f"{path}.class", "classes of the ledger by themselves, or none")
        scope["kinds"] = sorted(set(own))
        return
    for place, coding in enumerate(provision.get("class", ())):
        if coding.get("system") != codes.RESOURCE_TYPE_SYSTEM or not coding.get("code"):
            findings.refuse(f"{path}.class[{place}]", "rules know resource types only")
        else:
            names.append(coding["code"])
    if not names:
        return
    touched = frozenset().union(*(kinds.possible_kinds(name) for name in names))
    covered = kinds.covered_kinds(names)
    scope["kinds"] = sorted(touched)
    if touched == covered:
        return
    # Tokens of types and of codes cannot both be asked for: a rule has one list of them.
    if key is not None and "code" not in provision:
        scope["codes"] = [key.code(codes.RESOURCE_TYPE_SYSTEM, name) for name in names]
        scope["label_key"] = key.for_codes
    elif effect == "deny":
        findings.warn(f"{path}.class", f"denies the whole of {', '.join(sorted(touched))}")
    else:
        findings.refuse(
            f"{path}.class",
            f"the chain's classes {', '.join(sorted(touched))} hold more than {', '.join(names)}",
        )


def _codes(
    provision: Element,
    path: str,
    effect: str,
    key: LabelKey | None,
    scope: Scope,
    findings: Findings,
) -> None:
    """Codes as tokens; the codings of one concept are the same thing said in several systems."""
    if "code" not in provision:
        return
    found: list[tuple[str, str]] = []
    for place, concept in enumerate(provision["code"]):
        pairs = list(codings(concept))
        if not pairs or not all(system and code for system, code in pairs):
            findings.refuse(f"{path}.code[{place}]", "a code with its system is needed")
        found.extend(pairs)
    if key is None:
        findings.refuse(f"{path}.code", "without the patient's label key, no code can be named")
        return
    scope["codes"] = [key.code(*pair) for pair in dict.fromkeys(found)]
    scope["label_key"] = key.for_codes


def _data(
    provision: Element,
    path: str,
    effect: str,
    directory: Directory,
    scope: Scope,
    findings: Findings,
) -> None:
    for place, data in enumerate(provision.get("data", ())):
        here = f"{path}.data[{place}]"
        reference = elements.literal(data["reference"])
        if data["meaning"] == "instance":
            if reference in directory.records:
                _add(scope, "records", directory.records[reference])
            else:
                findings.refuse(
                    f"{here}.reference", f"{reference or 'it'} is no record on this ledger"
                )
        elif data["meaning"] != "related" or not directory.related.get(reference):
            findings.refuse(
                f"{here}.meaning", f"records {data['meaning']} to another cannot be told apart here"
            )
        elif effect == "deny":
            findings.refuse(
                f"{here}.meaning", "what is related and comes later would not be denied"
            )
        else:
            findings.warn(
                f"{here}.meaning", "the related records of today; later ones are not meant"
            )
            for name in directory.related[reference]:
                _add(scope, "records", name)


def _add(scope: Scope, part: str, item: str) -> None:
    items = scope.setdefault(part, [])
    if item not in items:
        items.append(item)
