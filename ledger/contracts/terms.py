"""The expressions in a contract's functions: allowed nodes, known names, fitting arguments."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Final

from ledger.contracts.annotations import NAMES as TYPE_NAMES
from ledger.contracts.annotations import REQUIRED
from ledger.contracts.facts import (
    Findings,
    FunctionFacts,
    ModuleFacts,
    is_public_name,
)
from ledger.contracts.grammar import BUILTINS, HOST, METHODS, PRELUDE, STATE_METHODS, Signature
from ledger.contracts.literals import read_literal
from ledger.contracts.signatures import fit, signature_of
from ledger.contracts.variables import local_names, names_in_target

_OPERATORS: Final = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod)
_COMPARISONS: Final = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn)
_OPERATOR_HINTS: Final = {
    ast.Div: "// divides and rounds down; a decimal has divided(by, places, mode)",
    ast.Pow: "multiply, or keep a table",
}
_MAX_GENERATORS: Final = 3
_MAX_ARGUMENTS: Final = 64
#: Builtins that take an enumeration, as a list of its codes.
_OF_CODES: Final = frozenset({"len", "list", "sorted", "enumerate"})
_READ: Final = Signature(("value",), 1)


class TermChecker:
    """Checks the expressions of one function.

    Afterwards ``writes`` and ``calls`` tell what they do, with places.
    """

    def __init__(self, facts: ModuleFacts, findings: Findings, function: FunctionFacts) -> None:
        self.facts = facts
        self.findings = findings
        self.locals = local_names(function.node)
        #: Of the comprehensions around: the names that are theirs, and those bound so far.
        self.hidden: list[tuple[set[str], set[str]]] = []
        self.writes: list[ast.AST] = []
        self.calls: list[tuple[str, ast.AST]] = []

    def binding(self, node: ast.expr, name: str) -> None:
        if not is_public_name(name) or name in BUILTINS or name in TYPE_NAMES:
            self.findings.add(node, "E033", f"the name {name} is not for variables")

    # Expressions

    def expression(self, node: ast.expr) -> None:
        check = _EXPRESSIONS.get(type(node))
        if check is None:
            kind = type(node).__name__
            self.findings.add(node, "E031", f"{kind} is not in the language")
        else:
            check(self, node)

    def _constant(self, node: ast.Constant) -> None:
        try:
            read_literal(node)
        except ValueError:
            self.findings.add(node, "E007", "a literal that is no value of the language")

    def is_local(self, name: str) -> bool:
        return name in self.locals or any(name in own for own, _ in self.hidden)

    def collection(self, node: ast.expr) -> None:
        """An expression that is gone through or searched, which an enumeration may be."""
        if (
            not isinstance(node, ast.Name)
            or self.is_local(node.id)
            or (node.id not in self.facts.codes)
        ):
            self.expression(node)

    def state_of(self, node: ast.expr) -> str | None:
        """Map or Value, where the expression is the name of a state object."""
        if isinstance(node, ast.Name) and not self.is_local(node.id):
            state = self.facts.states.get(node.id)
            return state[0] if state else None
        return None

    def _name(self, node: ast.Name) -> None:
        name = node.id
        facts = self.facts
        for own, bound in reversed(self.hidden):
            if name in own:
                if name not in bound:
                    self.findings.add(node, "E034", f"{name} is bound later in the comprehension")
                return
        if self.is_local(name) or (name in facts.constants and name not in facts.codes):
            return
        if name in facts.states or name in facts.functions or name in facts.imports:
            hint = "use its entries and methods" if name in facts.states else "call it"
            self.findings.add(node, "E035", f"{name} is not a value", hint)
        elif name in facts.records:
            self.findings.add(node, "E035", f"{name} is not a value", f"{name}(field=value)")
        elif name in facts.codes:
            hint = f"{name}.NAME, value in {name}, for code in {name}, list({name})"
            self.findings.add(node, "E035", f"{name} is not a value", hint)
        elif name in BUILTINS or name in TYPE_NAMES:
            self.findings.add(node, "E035", f"{name} is not a value", "call it")
        elif name in PRELUDE:
            self.findings.add(node, "E034", f"{name} is not imported")
        else:
            self.findings.add(node, "E034", f"nothing is called {name}")

    def operator(self, node: ast.AST, operator: ast.operator) -> None:
        if not isinstance(operator, _OPERATORS):
            kind = type(operator).__name__
            hint = _OPERATOR_HINTS.get(type(operator), "")
            self.findings.add(node, "E032", f"{kind} is not in the language", hint)

    def _binary(self, node: ast.BinOp) -> None:
        self.operator(node, node.op)
        self.expression(node.left)
        self.expression(node.right)

    def _unary(self, node: ast.UnaryOp) -> None:
        if not isinstance(node.op, ast.USub | ast.Not):
            kind = type(node.op).__name__
            self.findings.add(node, "E032", f"{kind} is not in the language")
        if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            try:
                read_literal(node)
            except ValueError:
                self.findings.add(node, "E007", "a literal that is no value of the language")
            return
        self.expression(node.operand)

    def _boolean(self, node: ast.BoolOp) -> None:
        for value in node.values:
            self.expression(value)

    def _compare(self, node: ast.Compare) -> None:
        self.expression(node.left)
        for operator, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(operator, ast.Is | ast.IsNot):
                if not isinstance(right, ast.Constant) or (
                    right.value is not None and not isinstance(right.value, bool)
                ):
                    self.findings.add(
                        right, "E032", "is compares with None, True and False only", "use =="
                    )
            elif not isinstance(operator, _COMPARISONS):
                kind = type(operator).__name__
                self.findings.add(right, "E032", f"{kind} is not in the language")
            if isinstance(operator, ast.In | ast.NotIn) and self.state_of(right) == "Map":
                if len(node.ops) > 1:
                    self.findings.add(right, "E031", "a chained comparison with a Map")
                continue
            if isinstance(operator, ast.In | ast.NotIn):
                self.collection(right)
            else:
                self.expression(right)

    def _conditional(self, node: ast.IfExp) -> None:
        for part in (node.test, node.body, node.orelse):
            self.expression(part)

    def _subscript(self, node: ast.Subscript) -> None:
        state = self.state_of(node.value)
        if state is None:
            self.expression(node.value)
        else:
            self.state_subscript(node, state)
        if isinstance(node.slice, ast.Slice):
            if node.slice.step is not None:
                self.findings.add(node, "E031", "a slice with a step is not in the language")
            for bound in (node.slice.lower, node.slice.upper):
                if bound is not None:
                    self.expression(bound)
        else:
            self.expression(node.slice)

    def state_subscript(self, node: ast.Subscript, state: str) -> None:
        if state != "Map" or isinstance(node.slice, ast.Slice):
            self.findings.add(node, "E035", "only a Map has entries", "a Value has get and set")

    def _sequence(self, node: ast.List | ast.Tuple) -> None:
        for item in node.elts:
            self.expression(item)

    def _dict(self, node: ast.Dict) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                self.findings.add(node, "E031", "** in a dict is not in the language")
            else:
                self.expression(key)
            self.expression(value)

    def _list_comprehension(self, node: ast.ListComp) -> None:
        self.generators(node, node.generators, [node.elt])

    def _dict_comprehension(self, node: ast.DictComp) -> None:
        self.generators(node, node.generators, [node.key, node.value])

    def generators(
        self, node: ast.expr, generators: list[ast.comprehension], elements: list[ast.expr]
    ) -> None:
        if len(generators) > _MAX_GENERATORS:
            self.findings.add(node, "E031", f"more than {_MAX_GENERATORS} for in a comprehension")
        own = {name for generator in generators for name in names_in_target(generator.target)}
        bound: set[str] = set()
        self.collection(generators[0].iter)
        self.hidden.append((own, bound))
        for place, generator in enumerate(generators):
            if generator.is_async:
                self.findings.add(node, "E031", "async is not in the language")
            if place > 0:
                self.collection(generator.iter)
            self._comprehension_target(generator.target)
            bound.update(names_in_target(generator.target))
            for condition in generator.ifs:
                self.expression(condition)
        for element in elements:
            self.expression(element)
        self.hidden.pop()

    def _comprehension_target(self, target: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self.binding(target, target.id)
        elif isinstance(target, ast.Tuple | ast.List) and target.elts:
            for item in target.elts:
                self._comprehension_target(item)
        else:
            self.findings.add(target, "E041", "a comprehension binds names")

    def _formatted(self, node: ast.JoinedStr) -> None:
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                if part.conversion != -1 or part.format_spec is not None:
                    self.findings.add(node, "E006", "a replacement field is a plain expression")
                self.expression(part.value)

    def _attribute(self, node: ast.Attribute) -> None:
        value, name = node.value, node.attr
        facts = self.facts
        if isinstance(value, ast.Name) and not self.is_local(value.id):
            if value.id in facts.codes:
                if name not in facts.codes[value.id]:
                    self.findings.add(node, "E042", f"{value.id} has no code {name}")
                return
            if value.id in facts.records:
                self.findings.add(node, "E035", f"{value.id} is not a record", f"{value.id}(…)")
                return
        if any(name in record.fields for record in facts.records.values()):
            self.expression(value)
        else:
            hint = 'fields of a dict are d["name"]'
            self.findings.add(node, "E039", f".{name} is a field of no record", hint)

    # Calls

    def _call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        for argument in node.args:
            if name in _OF_CODES:
                self.collection(argument)
            else:
                self.expression(argument)
        for keyword in node.keywords:
            if keyword.arg is None:
                self.findings.add(node, "E037", "** arguments are not in the language")
            self.expression(keyword.value)
        if len(node.args) + len(node.keywords) > _MAX_ARGUMENTS:
            self.findings.add(node, "E037", f"more than {_MAX_ARGUMENTS} arguments")
        function = node.func
        if isinstance(function, ast.Attribute):
            self._method_call(node, function)
        elif isinstance(function, ast.Name):
            self._named_call(node, function.id)
        else:
            self.findings.add(node, "E036", "only functions and methods are called")

    def _named_call(self, node: ast.Call, name: str) -> None:
        facts = self.facts
        if self.is_local(name):
            self.findings.add(node, "E036", f"{name} is a variable here")
        elif name in facts.functions:
            function = facts.functions[name]
            if function.kind == "init":
                self.findings.add(node, "E036", "init runs once, when the contract is founded")
            fit(self.findings, node, name, signature_of(function))
            self.calls.append((name, node))
        elif name in facts.records:
            self._record_call(node, name)
        elif name in facts.imports and name in HOST:
            if name == "changed":
                self._changes(node)
            fit(self.findings, node, name, HOST[name])
            if HOST[name].writes:
                self.writes.append(node)
        elif name in BUILTINS:
            fit(self.findings, node, name, BUILTINS[name])
        elif name in HOST:
            self.findings.add(node, "E034", f"{name} is not imported")
        else:
            self.findings.add(node, "E036", f"there is no function {name}")

    def _record_call(self, node: ast.Call, name: str) -> None:
        fields = self.facts.records[name].fields
        if node.args:
            hint = f"{name}({next(iter(fields), 'field')}=…)"
            self.findings.add(node, "E037", f"the fields of {name} are given by name", hint)
            return
        required = [field for field, known in fields.items() if known.default is REQUIRED]
        others = [field for field in fields if field not in required]
        signature = Signature((*required, *others), len(required), frozenset(fields))
        fit(self.findings, node, name, signature)

    def _changes(self, node: ast.Call) -> None:
        """The fields of ``changed`` belong to some record together."""
        given = {keyword.arg for keyword in node.keywords}
        if not any(given <= record.fields.keys() for record in self.facts.records.values()):
            self.findings.add(node, "E037", "no record has these fields")

    def _method_call(self, node: ast.Call, function: ast.Attribute) -> None:
        name = function.attr
        value = function.value
        if (
            isinstance(value, ast.Name)
            and value.id in self.facts.records
            and not self.is_local(value.id)
        ):
            if name != "read":
                self.findings.add(node, "E038", f"a record has no method {name}")
            fit(self.findings, node, f"{value.id}.read", _READ)
            return
        state = self.state_of(function.value)
        if state is not None:
            signature = STATE_METHODS[state].get(name)
            if signature is None:
                self.findings.add(node, "E038", f"a {state} has no method {name}")
                return
            fit(self.findings, node, name, signature)
            if signature.writes:
                self.writes.append(node)
            return
        self.expression(function.value)
        if name not in METHODS:
            self.findings.add(node, "E038", f"no value has a method {name}")
            return
        fewest, most = METHODS[name]
        if node.keywords:
            self.findings.add(node, "E037", f"{name} takes no named arguments")
        if not fewest <= len(node.args) <= most:
            wanted = str(most) if fewest == most else f"{fewest} to {most}"
            self.findings.add(node, "E037", f"{name} takes {wanted} arguments")


_EXPRESSIONS: Final[dict[type[ast.expr], Callable[[TermChecker, Any], None]]] = {
    ast.Constant: TermChecker._constant,
    ast.Name: TermChecker._name,
    ast.BinOp: TermChecker._binary,
    ast.UnaryOp: TermChecker._unary,
    ast.BoolOp: TermChecker._boolean,
    ast.Compare: TermChecker._compare,
    ast.IfExp: TermChecker._conditional,
    ast.Subscript: TermChecker._subscript,
    ast.List: TermChecker._sequence,
    ast.Tuple: TermChecker._sequence,
    ast.Dict: TermChecker._dict,
    ast.ListComp: TermChecker._list_comprehension,
    ast.DictComp: TermChecker._dict_comprehension,
    ast.JoinedStr: TermChecker._formatted,
    ast.Attribute: TermChecker._attribute,
    ast.Call: TermChecker._call,
}
