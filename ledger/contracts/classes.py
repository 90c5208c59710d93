"""Classes of a contract: records and enumerations, the only ones there are."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Final

from ledger.contracts.annotations import NAMES as TYPE_NAMES
from ledger.contracts.annotations import REQUIRED, read_annotation
from ledger.contracts.facts import Findings, ModuleFacts, is_public_name
from ledger.contracts.literals import read_literal
from ledger.contracts.meter import Meter
from ledger.contracts.records import Field, RecordType
from ledger.contracts.values import MAX_KEY, is_mutable

MAX_FIELDS: Final = 32
MAX_CODES: Final = 1_000
#: What a record has besides its fields.
_TAKEN: Final = frozenset({"read"})


def base_of(node: ast.ClassDef) -> str:
    """Record or Codes, where a class has that base alone; else ""."""
    if len(node.bases) == 1 and isinstance(node.bases[0], ast.Name):
        name = node.bases[0].id
        return name if name in ("Record", "Codes") else ""
    return ""


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


class ClassReader:
    """Reads the classes of a module into its facts, noting what does not belong there."""

    def __init__(
        self, facts: ModuleFacts, findings: Findings, special: Callable[[ast.expr], Any]
    ) -> None:
        self.facts = facts
        self.findings = findings
        self.special = special

    def read(self, node: ast.ClassDef) -> None:
        """Read a class with one of the two bases, whose name is free."""
        base = base_of(node)
        if base not in self.facts.imports:
            self.findings.add(node.bases[0], "E034", f"{base} is not imported")
        if node.keywords or node.decorator_list or getattr(node, "type_params", None):
            self.findings.add(
                node, "E022", "a class with decorators, arguments or type parameters",
                f"class {node.name}({base}):",
            )  # fmt: skip
        body = node.body
        if _is_text(body[0]):
            body = body[1:]
        if not body:
            self.findings.add(node, "E022", f"{node.name} is empty")
        if base == "Record":
            self._record(node.name, body)
        else:
            self._codes(node.name, body)

    def _record(self, name: str, body: list[ast.stmt]) -> None:
        fields: dict[str, Field] = {}
        for statement in body:
            if not isinstance(statement, ast.AnnAssign) or not isinstance(
                statement.target, ast.Name
            ):
                self.findings.add(
                    statement,
                    "E022",
                    "not a field of a record",
                    "name: type, or name: type = literal",
                )
                continue
            field = statement.target.id
            if not self._new_member(statement, field, name, fields):
                continue
            if field in TYPE_NAMES or field in _TAKEN:
                self.findings.add(statement, "E033", f"the name {field} is not for fields")
            annotation = read_annotation(statement.annotation, self.facts.types)
            if annotation is None:
                self.findings.add(
                    statement.annotation, "E019", "an unknown type", "a code is a str"
                )
                continue
            fields[field] = Field(annotation, self._default(statement, annotation.holds))
        if len(fields) > MAX_FIELDS:
            self.findings.add(body[0], "E022", f"more than {MAX_FIELDS} fields")
        kind = RecordType(name, fields)
        self.facts.records[name] = kind
        self.facts.types[name] = kind.annotation

    def _default(self, node: ast.AnnAssign, holds: Callable[[Any, Any], bool]) -> Any:
        if node.value is None:
            return REQUIRED
        try:
            value = read_literal(node.value, self.special)
        except ValueError:
            self.findings.add(node.value, "E020", "a default that is not a literal")
            return None
        if is_mutable(value):
            self.findings.add(
                node.value, "E020", "a default that can change", "give the list where you make it"
            )
        elif not holds(Meter(MAX_KEY), value):
            self.findings.add(node.value, "E020", "a default of another type")
        return value

    def _codes(self, name: str, body: list[ast.stmt]) -> None:
        codes: dict[str, str] = {}
        for statement in body:
            if (
                not isinstance(statement, ast.Assign)
                or len(statement.targets) != 1
                or not isinstance(statement.targets[0], ast.Name)
                or not isinstance(statement.value, ast.Constant)
                or type(statement.value.value) is not str
            ):
                hint = 'NAME = "code"'
                self.findings.add(statement, "E022", "not a code of an enumeration", hint)
                continue
            member, code = statement.targets[0].id, statement.value.value
            if not self._new_member(statement, member, name, codes):
                continue
            if code in codes.values():
                self.findings.add(statement.value, "E015", f"the code {code[:40]} is given twice")
            codes[member] = code
        if len(codes) > MAX_CODES:
            self.findings.add(body[0], "E022", f"more than {MAX_CODES} codes")
        self.facts.codes[name] = codes
        # In order, wherever the whole enumeration is meant.
        self.facts.constants[name] = tuple(codes.values())

    def _new_member(self, node: ast.stmt, member: str, name: str, members: dict[str, Any]) -> bool:
        if not is_public_name(member):
            self.findings.add(node, "E033", f"the name {member} is not for contracts")
            return False
        if member in members:
            self.findings.add(node, "E015", f"{name}.{member} is defined twice")
            return False
        return True
