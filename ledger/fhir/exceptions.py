"""Provisions inside provisions, made into rules that need no nesting.

R4 nests exceptions: a permit inside a denial, a denial inside that. The contract has a flat list in
which every denial prevails, and a denial may name exceptions of its own. A provision becomes one
rule for each alternative of its recipients; a permit inside a denial becomes a rule and an
exception of that denial; a denial inside a permit becomes a rule, which prevails by itself.

Two things are read so that nobody's emergency is closed by what is meant for everything else: a
denial that names no purpose, in a consent that permits an emergency, names all purposes but the
emergencies; and the exception is not needed then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ledger.chain.tokens import LabelKey
from ledger.fhir import codes
from ledger.fhir.provisions import Directory, Element, Findings, Scope, read_scope

Rule = dict[str, Any]

_LEVELS: Final = ("N", "R", "V")
_MAX_DEPTH: Final = 5
#: What `consent` allows of a denial.
_MAX_EXCEPTIONS: Final = 8


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the provisions of one consent.

    ``key``: the patient's label key, where it is known. ``findings``: receives what is met.
    """

    directory: Directory
    key: LabelKey | None
    findings: Findings

    def scope(self, provision: Element, path: str, effect: str) -> Scope:
        """What a provision limits a rule to, by itself."""
        return read_scope(provision, path, effect, self.directory, self.key, self.findings)

    def rules(self, root: Element, path: str, scope: Scope, effect: str) -> list[Rule]:
        """The rules of a provision and of everything in it; none where there are problems."""
        return self._flat(_Node(path, effect, scope, self._children(root, path, scope, effect, 1)))

    def inside(self, root: Element, path: str, scope: Scope, effect: str) -> list[Rule]:
        """The rules of what stands in a provision, and none of its own."""
        children = self._children(root, path, scope, effect, 1)
        return [rule for child in children for rule in self._flat(child)]

    def listed(self, root: Element, path: str, scope: Scope) -> list[Rule]:
        """The rules that stand beside each other in a provision which says nothing itself."""
        rules: list[Rule] = []
        for child in self._children(root, path, scope, "permit", 1, all_of_it=True):
            rules.extend(rule for rule in self._flat(child) if rule not in rules)
        return rules

    def emergency_only(self, root: Element, path: str, scope: Scope) -> list[Rule]:
        """The rules of a consent that closes everything but the emergencies at its root."""
        around = {part: value for part, value in scope.items() if part != "purposes"}
        children = self._children(root, path, around, "deny", 1, all_of_it=True)
        for child in children:
            if child.effect == "permit":
                self.findings.refuse(child.path, "a permit beside the emergencies")
        return self._flat(
            _Node(path, "deny", around, [_Node(path, "permit", scope, []), *children])
        )

    def _children(
        self, parent: Element, path: str, scope: Scope, effect: str, depth: int,
        all_of_it: bool = False,
    ) -> list[_Node]:  # fmt: skip
        found = []
        for place, provision in enumerate(parent.get("provision", ())):
            here = f"{path}.provision[{place}]"
            if "type" not in provision:
                self.findings.refuse(f"{here}.type", "R4 requires it in a nested provision")
                continue
            if depth == _MAX_DEPTH:
                self.findings.refuse(here, "exceptions nested beyond reason")
                continue
            kind = provision["type"]
            merged = self._within(scope, self.scope(provision, here, kind), here)
            if merged == scope and kind != effect and not all_of_it:
                self.findings.refuse(here, "takes back all that the provision around it says")
            inner = self._children(provision, here, merged, kind, depth + 1)
            found.append(_Node(here, kind, merged, inner))
        return found

    def _within(self, outer: Scope, inner: Scope, path: str) -> Scope:
        """The inner scope with what it inherits; it may narrow the outer one and not leave it."""
        merged = {**outer, **inner}
        for part in outer.keys() & inner.keys():
            if part in ("start", "data_start"):
                merged[part] = max(outer[part], inner[part])
            elif part in ("end", "data_end"):
                merged[part] = min(outer[part], inner[part])
            elif part == "confidentiality":
                merged[part] = min(outer[part], inner[part], key=_LEVELS.index)
            elif part == "purposes":
                if not all(set(codes.purpose_lineage(p)) & set(outer[part]) for p in inner[part]):
                    self.findings.refuse(
                        f"{path}.purpose", "not a purpose of the provision around it"
                    )
            elif part == "recipients":
                merged[part] = _narrowed(outer[part], inner[part])
                if not merged[part]:
                    self.findings.refuse(
                        f"{path}.actor", "not a recipient of the provision around it"
                    )
            elif part in ("labels", "codes"):
                # A narrower label is not known by its token to be below the wider one.
                if set(inner[part]) - set(outer[part]):
                    self.findings.refuse(path, f"its {part} are others than around it")
            elif part == "label_key":
                continue
            elif not set(inner[part]) <= set(outer[part]):
                self.findings.refuse(
                    path, f"its {part} are not among those of the provision around it"
                )
        if "codes" in merged and self.key is not None:
            merged["label_key"] = self.key.for_codes
        for first, last in (("start", "end"), ("data_start", "data_end")):
            if first in merged and last in merged and merged[first] >= merged[last]:
                self.findings.refuse(path, "outside the period of the provision around it")
        return merged

    def _flat(self, node: _Node) -> list[Rule]:
        if self.findings.problems:
            return []
        emergencies = any(
            below.effect == "permit" and _is_emergency(below.scope) for below in node.all()
        )
        rules: list[Rule] = []
        for rule in self._ruled(node, emergencies):
            if rule not in rules:
                rules.append(rule)
        return rules

    def _ruled(self, node: _Node, emergencies: bool) -> list[Rule]:
        """The rules of a node and all below it.

        ``emergencies``: the consent permits one, so a denial without a purpose means none.
        """
        rules = [self._permit(node.scope, part) for part in _parts(node.scope)]
        if node.effect == "deny":
            rules = self._denials(node, emergencies)
        return rules + [rule for child in node.children for rule in self._ruled(child, emergencies)]

    def _denials(self, node: _Node, emergencies: bool) -> list[Rule]:
        # A level that it has from a permit around it would make a denial of that level and above.
        scope = {part: value for part, value in node.scope.items() if part != "confidentiality"}
        spared = emergencies and "purposes" not in scope
        if spared:
            scope["purposes"] = list(codes.PURPOSE_HEADS)
        unless: list[Rule] = []
        for exception in node.exceptions():
            if not (spared and _is_emergency(exception.scope)):
                for part in _parts(exception.scope):
                    permit = self._permit(exception.scope, part)
                    unless.append({name: permit[name] for name in permit if name != "effect"})
        if len(unless) > _MAX_EXCEPTIONS:
            self.findings.refuse(node.path, f"more than {_MAX_EXCEPTIONS} exceptions")
        rules = [{"effect": "deny", **part, **_plain(scope)} for part in _parts(scope)]
        return [{**rule, "unless": unless} for rule in rules] if unless else rules

    def _permit(self, scope: Scope, recipients: dict[str, list[str]]) -> Rule:
        """A permit with what it must say, where the consent does not."""
        rule = {"effect": "permit", **recipients, **_plain(scope)}
        if "purposes" not in rule:
            self._assume("purpose", "no purpose is named: read as treatment (TREAT)")
            rule["purposes"] = ["TREAT"]
        if "confidentiality" not in rule:
            # Whatever bears a sensitivity label is at least R: to permit it and mean N is nothing.
            level = "R" if "labels" in rule else "N"
            self._assume("securityLabel", f"no level is named: read as {level}")
            rule["confidentiality"] = level
        return rule

    def _assume(self, element: str, what: str) -> None:
        path = f"Consent.provision.{element}"
        if all(warning.path != path for warning in self.findings.warnings):
            self.findings.warn(path, what)


@dataclass(frozen=True, slots=True)
class _Node:
    """A provision with its effect, its scope within those around it, and what is in it."""

    path: str
    effect: str
    scope: Scope
    children: list[_Node]

    def all(self) -> list[_Node]:
        return [self, *(below for child in self.children for below in child.all())]

    def exceptions(self) -> list[_Node]:
        """The permits that take something out of a denial, also out of denials within it."""
        found = []
        for child in self.children:
            found.extend([child] if child.effect == "permit" else child.exceptions())
        return found


def _parts(scope: Scope) -> list[dict[str, list[str]]]:
    """The alternatives of who receives; one without limits where nobody is named."""
    return scope.get("recipients") or [{}]


def _plain(scope: Scope) -> Scope:
    return {part: value for part, value in scope.items() if part != "recipients"}


def _is_emergency(scope: Scope) -> bool:
    return set(scope.get("purposes", [""])) <= codes.EMERGENCY


def _narrowed(
    outer: list[dict[str, list[str]]], inner: list[dict[str, list[str]]]
) -> list[dict[str, list[str]]]:
    """Recipients within others: both limits hold. Empty where one of them has no place there."""
    found = []
    for one in inner:
        fits = [
            {**around, **one}
            for around in outer
            if all(set(one[part]) <= set(around[part]) for part in one.keys() & around.keys())
        ]
        if not fits:
            return []
        found.extend(fits)
    return found
