"""The bodies of a contract's functions: their statements, and what queries may not do."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Final

from ledger.contracts.annotations import read_annotation
from ledger.contracts.facts import Findings, FunctionFacts, ModuleFacts
from ledger.contracts.terms import TermChecker


class BodyChecker(TermChecker):
    """Checks one function."""

    def __init__(self, facts: ModuleFacts, findings: Findings, function: FunctionFacts) -> None:
        super().__init__(facts, findings, function)
        self.loops = 0

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
        if read_annotation(node.annotation, self.facts.types) is None:
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
        self.collection(node.iter)
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
            hint = "a record stays as it is: changed(record, field=value)"
            self.findings.add(
                node,
                "E041",
                "only names, elements and entries are assigned to",
                hint if isinstance(node, ast.Attribute) else "",
            )


_STATEMENTS: Final[dict[type[ast.stmt], Callable[[BodyChecker, Any], None]]] = {
    ast.Return: BodyChecker._return,
    ast.Assign: BodyChecker._assign,
    ast.AnnAssign: BodyChecker._annotated,
    ast.AugAssign: BodyChecker._augmented,
    ast.Delete: BodyChecker._delete,
    ast.If: BodyChecker._if,
    ast.While: BodyChecker._while,
    ast.For: BodyChecker._for,
    ast.Break: BodyChecker._leave_loop,
    ast.Continue: BodyChecker._leave_loop,
    ast.Pass: BodyChecker._nothing,
    ast.Expr: BodyChecker._expression_statement,
}


def _check_queries(facts: ModuleFacts, checked: dict[str, BodyChecker], findings: Findings) -> None:
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
    checked: dict[str, BodyChecker] = {}
    for function in facts.functions.values():
        body = BodyChecker(facts, findings, function)
        body.block(function.node.body)
        checked[function.name] = body
    _check_queries(facts, checked, findings)
