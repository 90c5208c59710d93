"""The top level of a contract: docstring, imports, constants, state and functions."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Final

from ledger.contracts.annotations import ANYTHING, DECIMAL, REQUIRED, Annotation, read_annotation
from ledger.contracts.annotations import NAMES as TYPE_NAMES
from ledger.contracts.classes import ClassReader, base_of
from ledger.contracts.facts import (
    Findings,
    FunctionFacts,
    ModuleFacts,
    Parameter,
    is_public_name,
)
from ledger.contracts.grammar import BUILTINS, DECORATORS, PRELUDE, PRELUDE_MODULE, STATE_TYPES
from ledger.contracts.literals import read_literal
from ledger.contracts.meter import DATE, Failure, Meter
from ledger.contracts.quantities import make
from ledger.contracts.times import CONSTANT, TIMES

MAX_PARAMETERS: Final = 32
MAX_STATE_NAME: Final = 64
#: Functions that a constant may be made with.
_PURE: Final[dict[str, Callable[..., Any]]] = {
    "decimal": make,
    **{name: TIMES[name] for name in CONSTANT},
}


class _ModuleReader:
    """Reads the top level into `ModuleFacts`, noting what does not belong there."""

    def __init__(self, findings: Findings) -> None:
        self.facts = ModuleFacts()
        self.findings = findings
        self.classes = ClassReader(self.facts, findings, self._special)

    def read(self, tree: ast.Module) -> ModuleFacts:
        for place, statement in enumerate(tree.body):
            if isinstance(statement, ast.ImportFrom):
                self._import(statement)
            elif isinstance(statement, ast.Import):
                self._no_import(statement)
            elif isinstance(statement, ast.FunctionDef):
                self._function(statement)
            elif isinstance(statement, ast.ClassDef) and base_of(statement):
                if self._new_name(statement, statement.name):
                    self.classes.read(statement)
            elif isinstance(statement, ast.Assign | ast.AnnAssign):
                self._assignment(statement)
            elif (
                isinstance(statement, ast.Expr)
                and isinstance(statement.value, ast.Constant)
                and isinstance(statement.value.value, str)
                and place == 0
            ):
                self.facts.doc = statement.value.value
            else:
                kind = type(statement).__name__
                self.findings.add(
                    statement,
                    "E010",
                    f"{kind} at the top level",
                    "a contract has imports, constants, records, codes, state and functions",
                )
        kinds = [function.kind for function in self.facts.functions.values()]
        if kinds.count("init") > 1:
            self.findings.add(tree, "E021", "more than one init")
        if not any(kind != "private" for kind in kinds):
            self.findings.add(tree, "E021", "no init, export or query")
        return self.facts

    def _no_import(self, node: ast.AST) -> None:
        self.findings.add(node, "E011", "this import", f"from {PRELUDE_MODULE} import NAME, ...")

    def _import(self, node: ast.ImportFrom) -> None:
        if node.module != PRELUDE_MODULE or node.level:
            self._no_import(node)
            return
        for alias in node.names:
            if alias.asname is not None:
                self.findings.add(alias, "E011", "an import under another name")
            elif alias.name not in PRELUDE:
                self.findings.add(alias, "E012", f"the prelude has no {alias.name}")
            elif self._new_name(alias, alias.name):
                self.facts.imports.add(alias.name)
                if alias.name == "decimal":
                    self.facts.types["decimal"] = DECIMAL

    def _new_name(self, node: ast.AST, name: str) -> bool:
        if not is_public_name(name) or name in BUILTINS or name in TYPE_NAMES:
            self.findings.add(node, "E033", f"the name {name} is not for contracts")
            return False
        facts = self.facts
        if (
            name in facts.imports
            or name in facts.constants
            or name in facts.states
            or name in facts.functions
            or name in facts.records
        ):
            self.findings.add(node, "E015", f"{name} is defined twice")
            return False
        return True

    def _assignment(self, node: ast.Assign | ast.AnnAssign) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        target = targets[0]
        if len(targets) != 1 or not isinstance(target, ast.Name) or node.value is None:
            self.findings.add(node, "E010", "this assignment", "NAME = literal, Map() or Value()")
            return
        if isinstance(node, ast.AnnAssign) and self._annotation(node.annotation) is None:
            self.findings.add(node.annotation, "E019", "an unknown type")
        if not self._new_name(target, target.id):
            return
        value = node.value
        if isinstance(value, ast.Call) and not self._makes_constant(value):
            self._state(target.id, value)
            return
        try:
            self.facts.constants[target.id] = read_literal(value, self._special)
        except ValueError:
            self.findings.add(value, "E013", f"{target.id} is not a literal")

    def _annotation(self, node: ast.expr) -> Annotation | None:
        return read_annotation(node, self.facts.types)

    def _makes_constant(self, call: ast.Call) -> bool:
        return isinstance(call.func, ast.Name) and call.func.id in _PURE

    def _special(self, node: ast.expr) -> Any:
        """What a literal may hold beyond plain values: codes, decimals, durations and dates."""
        if isinstance(node, ast.Attribute):
            return self.facts.code(node)
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            raise ValueError
        name = node.func.id
        if name not in _PURE or name not in self.facts.imports or node.keywords:
            raise ValueError
        arguments = [read_literal(argument) for argument in node.args]
        try:
            return _PURE[name](Meter(DATE), *arguments)
        except (Failure, TypeError):
            raise ValueError from None

    def _state(self, name: str, call: ast.Call) -> None:
        kind = call.func.id if isinstance(call.func, ast.Name) else ""
        argument = call.args[0] if len(call.args) == 1 and not call.keywords else None
        if kind not in STATE_TYPES or kind not in self.facts.imports:
            self.findings.add(
                call, "E014", "a call at the top level", "only of an imported Map or Value"
            )
        elif (
            not isinstance(argument, ast.Constant)
            or not isinstance(argument.value, str)
            or not _is_state_name(argument.value)
        ):
            self.findings.add(call, "E014", f"the name of a {kind}", "a literal of a-z, 0-9 and _")
        elif any(argument.value == used for _, used in self.facts.states.values()):
            self.findings.add(call, "E014", f"a second state entry called {argument.value}")
        else:
            self.facts.states[name] = (kind, argument.value)
            return
        self.facts.states[name] = (kind if kind in STATE_TYPES else "Map", "")

    def _function(self, node: ast.FunctionDef) -> None:
        kind = self._kind(node)
        if getattr(node, "type_params", None):
            self.findings.add(node, "E017", "type parameters")
        parameters = self._parameters(node, public=kind != "private")
        returns = self._annotation(node.returns) if node.returns is not None else None
        if node.returns is not None and returns is None:
            self.findings.add(node.returns, "E019", "an unknown type")
        elif returns is None and kind != "private":
            self.findings.add(node, "E018", f"{node.name} does not say what it returns")
        if self._new_name(node, node.name):
            doc = _docstring(node)
            text = returns.text if returns is not None else ""
            self.facts.functions[node.name] = FunctionFacts(
                node.name, kind, parameters, text, doc, node
            )

    def _kind(self, node: ast.FunctionDef) -> str:
        if not node.decorator_list:
            return "private"
        first = node.decorator_list[0]
        name = first.id if isinstance(first, ast.Name) else ""
        if len(node.decorator_list) > 1 or name not in DECORATORS:
            self.findings.add(first, "E016", "this decorator", "one of @init, @export, @query")
            return "private"
        if name not in self.facts.imports:
            self.findings.add(first, "E034", f"{name} is not imported")
        return name

    def _parameters(self, node: ast.FunctionDef, *, public: bool) -> tuple[Parameter, ...]:
        arguments = node.args
        if arguments.posonlyargs or arguments.kwonlyargs or arguments.vararg or arguments.kwarg:
            self.findings.add(node, "E017", "parameters other than plain ones")
        if len(arguments.args) > MAX_PARAMETERS:
            self.findings.add(node, "E017", f"more than {MAX_PARAMETERS} parameters")
        without = len(arguments.args) - len(arguments.defaults)
        parameters = []
        names: set[str] = set()
        for place, argument in enumerate(arguments.args):
            name = argument.arg
            if name in names:
                self.findings.add(argument, "E015", f"{name} is defined twice")
            names.add(name)
            if not is_public_name(name) or name in BUILTINS or name in TYPE_NAMES:
                self.findings.add(argument, "E033", f"the name {name} is not for contracts")
            annotation = ANYTHING
            if argument.annotation is not None:
                known = self._annotation(argument.annotation)
                if known is None:
                    self.findings.add(argument.annotation, "E019", "an unknown type")
                else:
                    annotation = known
            elif public:
                self.findings.add(argument, "E018", f"{name} has no annotation")
            default: Any = REQUIRED
            if place >= without:
                value = arguments.defaults[place - without]
                try:
                    default = read_literal(value, self._special)
                except ValueError:
                    self.findings.add(value, "E020", f"the default of {name} is not a literal")
            parameters.append(Parameter(name, annotation, default))
        return tuple(parameters)


def _is_state_name(name: str) -> bool:
    return (
        0 < len(name) <= MAX_STATE_NAME
        and name.isascii()
        and name[0].isalpha()
        and name.islower()
        and name.replace("_", "a").isalnum()
    )


def _docstring(node: ast.FunctionDef) -> str:
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        value = first.value.value
        return value if isinstance(value, str) else ""
    return ""


def read_module(tree: ast.Module, findings: Findings) -> ModuleFacts:
    """Read the top level of a parsed contract, noting everything that does not belong there."""
    return _ModuleReader(findings).read(tree)
