"""What the top level of a contract says, as the checker found it and the compiler uses it."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

from ledger.contracts.annotations import Annotation
from ledger.contracts.problems import Problem
from ledger.contracts.records import RecordType


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; ``default`` is `REQUIRED` where there is none."""

    name: str
    annotation: Annotation
    default: Any


@dataclass(frozen=True, slots=True)
class FunctionFacts:
    """``kind``: init, export, query or private. ``returns``: the annotation's text, or ""."""

    name: str
    kind: str
    parameters: tuple[Parameter, ...]
    returns: str
    doc: str
    node: ast.FunctionDef


@dataclass(slots=True)
class ModuleFacts:
    """The top level of a contract. ``states``: local name to (Map or Value, name in the state).

    ``records``: its record classes; ``types``: what annotations may name because of them and of
    imports; ``codes``: its enumerations, whose codes in order are constants of the same name.
    """

    doc: str = ""
    imports: set[str] = field(default_factory=set)
    constants: dict[str, Any] = field(default_factory=dict)
    states: dict[str, tuple[str, str]] = field(default_factory=dict)
    functions: dict[str, FunctionFacts] = field(default_factory=dict)
    records: dict[str, RecordType] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    types: dict[str, Annotation] = field(default_factory=dict)

    def code(self, node: ast.expr) -> str:
        """The code that ``Enumeration.NAME`` stands for; raises `ValueError` for anything else."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            codes = self.codes.get(node.value.id, {})
            if node.attr in codes:
                return codes[node.attr]
        raise ValueError


class Findings:
    """Collects problems at the places of nodes."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, node: ast.AST, code: str, message: str, hint: str = "") -> None:
        line = getattr(node, "lineno", 1)
        column = getattr(node, "col_offset", 0) + 1
        self.problems.append(Problem(line, column, code, message, hint))


def is_public_name(name: str) -> bool:
    """Whether an author may use a name: no leading underscore (those are the host's)."""
    return not name.startswith("_")
