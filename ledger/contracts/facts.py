"""What the top level of a contract says, as the checker found it and the compiler uses it."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.contracts.annotations import Annotation
from ledger.contracts.problems import Problem

#: Stands for a default that is not there.
REQUIRED: Final = object()


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
    """The top level of a contract. ``states``: local name to (Map or Value, name in the state)."""

    doc: str = ""
    imports: set[str] = field(default_factory=set)
    constants: dict[str, Any] = field(default_factory=dict)
    states: dict[str, tuple[str, str]] = field(default_factory=dict)
    functions: dict[str, FunctionFacts] = field(default_factory=dict)


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
