"""The bodies of a contract's functions: allowed nodes, known names, fitting arguments."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import Any, Final

from ledger.contracts.annotations import NAMES as TYPE_NAMES
from ledger.contracts.annotations import read_annotation
from ledger.contracts.facts import Findings, FunctionFacts, ModuleFacts, is_public_name
from ledger.contracts.grammar import BUILTINS, HOST, METHODS, PRELUDE, STATE_METHODS
from ledger.contracts.literals import read_literal
from ledger.contracts.signatures import fit, signature_of

_OPERATORS: Final = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod)
_COMPARISONS: Final = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn)
_OPERATOR_HINTS: Final = {
    ast.Div: "// divides and rounds down",
    ast.Pow: "multiply, or keep a table",
}
_MAX_GENERATORS: Final = 3
_MAX_ARGUMENTS: Final = 64


def names_in_target(target: ast.expr) -> Iterable[str]:
    """The names that an assignment target binds."""
    if isinstance(target, ast.Name):
        yield target.id
    elif isinstance(target, ast.Tuple | ast.List):
        for item in target.elts:
            yield from names_in_target(item)


def local_names(function: ast.FunctionDef) -> set[str]:
    """Parameters and every name that the function assigns; targets of comprehensions are not."""
    names = {argument.arg for argument in function.args.args}
    waiting: list[ast.stmt] = list(function.body)
    while waiting:
        statement = waiting.pop()
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                names.update(names_in_target(target))
        elif isinstance(statement, ast.AugAssign | ast.AnnAssign):
            names.update(names_in_target(statement.target))
        elif isinstance(statement, ast.For):
            names.update(names_in_target(statement.target))
            waiting.extend(statement.body)
        elif isinstance(statement, ast.While):
            waiting.extend(statement.body)
        elif isinstance(statement, ast.If):
            waiting.extend(statement.body)
            waiting.extend(statement.orelse)
    return names


class _BodyChecker:
    """Checks one function. Afterwards ``writes`` and ``calls`` tell what it does, with places."""

    def __init__(self, facts: ModuleFacts, findings: Findings, function: FunctionFacts) -> None:
        self.facts = facts
        self.findings = findings
        self.locals = local_names(function.node)
        #: Of the comprehensions around: the names that are theirs, and those bound so far.
        self.hidden: list[tuple[set[str], set[str]]] = []
        self.loops = 0
        self.writes: list[ast.AST] = []
        self.calls: list[tuple[str, ast.AST]] = []

    # Statements

    def block(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            check = _STATEMENTS.get(type(statement))
            if check is None:
                kind = type(statement).__name__
                self.findings.add(statement, "E030", f"{kind} is not in the language")
            else:
                check(self, statement)

    def _return(self, node: ast.Return) -> None:
        if node.value is not None:
            self.expression(node.value)

    def _assign(self, node: ast.Assign) -> None:
        self.expression(node.value)
        for target in node.targets:
            self.target(target)

    def _annotated(self, node: ast.AnnAssign) -> None:
        if read_annotation(node.annotation) is None:
            self.findings.add(node.annotation, "E019", "an unknown type")
        if node.value is None:
            self.findings.add(node, "E030", "a declaration without a value")
        else:
            self.expression(node.value)
        self.target(node.target)

    def _augmented(self, node: ast.AugAssign) -> None:
        self.operator(node, node.op)
        self.expression(node.value)
        if isinstance(node.target, ast.Tuple | ast.List):
            self.findings.add(node.target, "E041", "this is not assigned to in place")
        else:
            self.target(node.target)

    def _delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Subscript):
                self.target(target)
            else:
                self.findings.add(target, "E041", "only elements and entries can be deleted")

    def _if(self, node: ast.If) -> None:
        # A chain of elif is a list to its author and is read as one.
        while True:
            self.expression(node.test)
            self.block(node.body)
            if len(node.orelse) != 1 or not isinstance(node.orelse[0], ast.If):
                break
            node = node.orelse[0]
        self.block(node.orelse)

    def _while(self, node: ast.While) -> None:
        self.expression(node.test)
        self._loop(node.body, node.orelse)

    def _for(self, node: ast.For) -> None:
        self.expression(node.iter)
        self.target(node.target)
        self._loop(node.body, node.orelse)

    def _loop(self, body: list[ast.stmt], orelse: list[ast.stmt]) -> None:
        if orelse:
            self.findings.add(orelse[0], "E030", "else of a loop is not in the language")
        self.loops += 1
        self.block(body)
        self.loops -= 1

    def _leave_loop(self, node: ast.Break | ast.Continue) -> None:
        if not self.loops:
            self.findings.add(node, "E030", "outside a loop")

    def _nothing(self, node: ast.Pass) -> None:
        pass

    def _expression_statement(self, node: ast.Expr) -> None:
        self.expression(node.value)

    # Targets

    def target(self, node: ast.expr) -> None:
        if isinstance(node, ast.Name):
            self.binding(node, node.id)
        elif isinstance(node, ast.Tuple | ast.List):
            if not node.elts:
                self.findings.add(node, "E041", "an empty target")
            for item in node.elts:
                self.target(item)
        elif isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice):
            state = self.state_of(node.value)
            if state is None:
                self.expression(node.value)
            else:
                self.state_subscript(node, state)
                self.writes.append(node)
            self.expression(node.slice)
        else:
            self.findings.add(node, "E041", "only names, elements and entries are assigned to")

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
        if self.is_local(name) or name in facts.constants:
            return
        if name in facts.states or name in facts.functions or name in facts.imports:
            hint = "use its entries and methods" if name in facts.states else "call it"
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
        self.expression(generators[0].iter)
        self.hidden.append((own, bound))
        for place, generator in enumerate(generators):
            if generator.is_async:
                self.findings.add(node, "E031", "async is not in the language")
            if place > 0:
                self.expression(generator.iter)
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
        self.findings.add(
            node, "E039", f".{node.attr} without a call", 'fields of a dict are d["name"]'
        )

    # Calls

    def _call(self, node: ast.Call) -> None:
        for argument in node.args:
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
        elif name in facts.imports and name in HOST:
            fit(self.findings, node, name, HOST[name])
            if HOST[name].writes:
                self.writes.append(node)
        elif name in BUILTINS:
            fit(self.findings, node, name, BUILTINS[name])
        elif name in HOST:
            self.findings.add(node, "E034", f"{name} is not imported")
        else:
            self.findings.add(node, "E036", f"there is no function {name}")

    def _method_call(self, node: ast.Call, function: ast.Attribute) -> None:
        name = function.attr
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


_STATEMENTS: Final[dict[type[ast.stmt], Callable[[_BodyChecker, Any], None]]] = {
    ast.Return: _BodyChecker._return,
    ast.Assign: _BodyChecker._assign,
    ast.AnnAssign: _BodyChecker._annotated,
    ast.AugAssign: _BodyChecker._augmented,
    ast.Delete: _BodyChecker._delete,
    ast.If: _BodyChecker._if,
    ast.While: _BodyChecker._while,
    ast.For: _BodyChecker._for,
    ast.Break: _BodyChecker._leave_loop,
    ast.Continue: _BodyChecker._leave_loop,
    ast.Pass: _BodyChecker._nothing,
    ast.Expr: _BodyChecker._expression_statement,
}
_EXPRESSIONS: Final[dict[type[ast.expr], Callable[[_BodyChecker, Any], None]]] = {
    ast.Constant: _BodyChecker._constant,
    ast.Name: _BodyChecker._name,
    ast.BinOp: _BodyChecker._binary,
    ast.UnaryOp: _BodyChecker._unary,
    ast.BoolOp: _BodyChecker._boolean,
    ast.Compare: _BodyChecker._compare,
    ast.IfExp: _BodyChecker._conditional,
    ast.Subscript: _BodyChecker._subscript,
    ast.List: _BodyChecker._sequence,
    ast.Tuple: _BodyChecker._sequence,
    ast.Dict: _BodyChecker._dict,
    ast.ListComp: _BodyChecker._list_comprehension,
    ast.DictComp: _BodyChecker._dict_comprehension,
    ast.JoinedStr: _BodyChecker._formatted,
    ast.Attribute: _BodyChecker._attribute,
    ast.Call: _BodyChecker._call,
}


def _check_queries(
    facts: ModuleFacts, checked: dict[str, _BodyChecker], findings: Findings
) -> None:
    """A query may not write, and may not call a function that does."""
    writing = {name for name, body in checked.items() if body.writes}
    while True:
        more = {
            name
            for name, body in checked.items()
            if name not in writing and any(callee in writing for callee, _ in body.calls)
        }
        if not more:
            break
        writing |= more
    for name, body in checked.items():
        if facts.functions[name].kind != "query":
            continue
        for node in body.writes:
            findings.add(node, "E040", f"the query {name} writes")
        for callee, node in body.calls:
            if callee in writing:
                findings.add(node, "E040", f"the query {name} calls {callee}, which writes")


def check_bodies(facts: ModuleFacts, findings: Findings) -> None:
    """Check the bodies of all functions, noting everything that is not in the language."""
    checked: dict[str, _BodyChecker] = {}
    for function in facts.functions.values():
        body = _BodyChecker(facts, findings, function)
        body.block(function.node.body)
        checked[function.name] = body
    _check_queries(facts, checked, findings)
