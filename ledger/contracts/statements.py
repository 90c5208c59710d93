"""Statements, lowered to closures.

A statement's closure returns None, or one of the signals below when the block around it has to
stop. A block pays for all its nodes when it is entered, and names its line in a failure.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Final

from ledger.contracts.assignments import (
    lower_annotated,
    lower_assign,
    lower_augmented,
    lower_delete,
    lower_target,
    note_assigned,
)
from ledger.contracts.builtins import iterate, numbers
from ledger.contracts.calls import gives_nothing
from ledger.contracts.comprehensions import Binder
from ledger.contracts.linenotes import Lines
from ledger.contracts.meter import LOOP_TURN, Failure, OutOfGas
from ledger.contracts.scope import RETURN_SLOT, Code, Frame, Scope
from ledger.contracts.views import lower_iterable

#: Signals to the blocks around a statement.
BREAK: Final = "break"
CONTINUE: Final = "continue"
RETURN: Final = "return"


def lower_block(statements: list[ast.stmt], scope: Scope, extra: int = 0) -> Code:
    """The closure of a block, which costs the nodes in it that are in no block of their own."""
    codes: list[Code] = []
    lines: list[int] = []
    with scope.counting() as count, scope.deeper():
        for statement in statements:
            if isinstance(statement, ast.Pass) or _is_text(statement):
                continue
            scope.nodes += 1
            with scope.deeper():
                codes.append(_STATEMENTS[type(statement)](statement, scope))
            lines.append(statement.lineno)
    cost = 1 + count[0] + extra
    if scope.lines is not None:
        return _noting_block(codes, lines, cost, scope.lines)
    return _block(codes, lines, cost)


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _block(codes: list[Code], lines: list[int], cost: int) -> Code:
    if len(codes) == 1:
        only = codes[0]
        line = lines[0]

        def single(f: Frame) -> Any:
            run = f[0]
            run.gas = gas = run.gas - cost
            if gas < 0:
                raise OutOfGas
            try:
                return only(f)
            except Failure as failure:
                failure.at(run.contract, line)
                raise

        return single
    line_of = dict(zip(codes, lines, strict=True))

    def block(f: Frame) -> Any:
        run = f[0]
        run.gas = gas = run.gas - cost
        if gas < 0:
            raise OutOfGas
        try:
            for code in codes:
                signal = code(f)
                if signal is not None:
                    return signal
        except Failure as failure:
            failure.at(run.contract, line_of[code])
            raise
        return None

    return block


def _noting_block(codes: list[Code], lines: list[int], cost: int, noted: Lines) -> Code:
    """A block that notes which of its statements ran; it takes no more Python frames."""
    noted.statements.update(lines)
    ran = noted.ran
    statements = list(zip(codes, lines, strict=True))

    def block(f: Frame) -> Any:
        run = f[0]
        run.charge(cost)
        for code, line in statements:
            ran.add(line)
            try:
                signal = code(f)
            except Failure as failure:
                failure.at(run.contract, line)
                raise
            if signal is not None:
                return signal
        return None

    return block


def _return(node: ast.Return, scope: Scope) -> Code:
    scope_value = scope.lower(node.value) if node.value is not None else None
    scope.ended = True
    if scope_value is None:
        return lambda _f: RETURN
    value = scope_value

    def returning(f: Frame) -> Any:
        f[RETURN_SLOT] = value(f)
        return RETURN

    return returning


def _leave(signal: str) -> Callable[[ast.stmt, Scope], Code]:
    def lower_leave(_node: ast.stmt, scope: Scope) -> Code:
        scope.ended = True
        return lambda _f: signal

    return lower_leave


def _expression(node: ast.Expr, scope: Scope) -> Code:
    value = scope.lower(node.value)
    if isinstance(node.value, ast.Call) and gives_nothing(node.value, scope):
        return value

    def evaluate(f: Frame) -> Any:
        value(f)

    return evaluate


# Branches and loops


def _if(node: ast.If, scope: Scope) -> Code:
    branches: list[tuple[Code, Code]] = []
    ends: list[tuple[set[str], bool]] = []
    before = set(scope.assigned)
    while True:
        test = scope.lower(node.test)
        branches.append((test, lower_block(node.body, scope)))
        ends.append((scope.assigned, scope.ended))
        scope.assigned, scope.ended = set(before), False
        if len(node.orelse) != 1 or not isinstance(node.orelse[0], ast.If):
            break
        node = node.orelse[0]
        scope.nodes += 1
    otherwise = lower_block(node.orelse, scope) if node.orelse else None
    ends.append((scope.assigned, scope.ended))
    reached = [assigned for assigned, ended in ends if not ended]
    scope.ended = not reached
    scope.assigned = set.intersection(*reached) if reached else before
    return _branches(branches, otherwise)


def _branches(branches: list[tuple[Code, Code]], otherwise: Code | None) -> Code:
    if len(branches) == 1:
        test, body = branches[0]
        if otherwise is None:
            return lambda f: body(f) if test(f) else None
        return lambda f: body(f) if test(f) else otherwise(f)

    def choose(f: Frame) -> Any:
        for test, body in branches:
            if test(f):
                return body(f)
        return otherwise(f) if otherwise is not None else None

    return choose


def _while(node: ast.While, scope: Scope) -> Code:
    with scope.counting() as count:
        test = scope.lower(node.test)
    cost = count[0] + LOOP_TURN
    body = _loop_body(node.body, scope)

    def loop(f: Frame) -> Any:
        run = f[0]
        while True:
            run.charge(cost)
            if not test(f):
                return None
            signal = body(f)
            if signal is not None and signal is not CONTINUE:
                return None if signal is BREAK else signal

    return loop


def _loop_body(
    statements: list[ast.stmt], scope: Scope, *targets: ast.expr, extra: int = 0
) -> Code:
    """The body of a loop, which may run any number of times."""
    before, ended = set(scope.assigned), scope.ended
    for target in targets:
        note_assigned(target, scope)
    body = lower_block(statements, scope, LOOP_TURN + extra)
    scope.assigned, scope.ended = before, ended
    return body


def _for(node: ast.For, scope: Scope) -> Code:
    source = _range_of(node.iter, scope) or lower_iterable(node.iter, scope)
    if isinstance(node.target, ast.Name):
        slot = scope.slot(node.target.id)
        assert slot is not None
        return _for_variable(slot, source, _loop_body(node.body, scope, node.target))
    with scope.counting() as count, scope.deeper():
        bind = lower_target(node.target, scope)
    extra = count[0] + len(list(ast.walk(node.target)))
    return _for_target(bind, source, _loop_body(node.body, scope, node.target, extra=extra))


def _range_of(node: ast.expr, scope: Scope) -> Code | None:
    """The numbers of a ``range`` that is only gone through: no list need be made."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return None
    if node.func.id != "range":
        return None
    bounds = [scope.lower(argument) for argument in node.args]

    def span(f: Frame) -> Any:
        return numbers(f[0], *[bound(f) for bound in bounds])

    return span


def _for_variable(slot: int, source: Code, body: Code) -> Code:
    def loop(f: Frame) -> Any:
        items = source(f)
        for item in items if type(items) is list else iterate(f[0], items):
            f[slot] = item
            signal = body(f)
            if signal is not None and signal is not CONTINUE:
                return None if signal is BREAK else signal
        return None

    return loop


def _for_target(bind: Binder, source: Code, body: Code) -> Code:
    def loop(f: Frame) -> Any:
        items = source(f)
        for item in items if type(items) is list else iterate(f[0], items):
            bind(f, item)
            signal = body(f)
            if signal is not None and signal is not CONTINUE:
                return None if signal is BREAK else signal
        return None

    return loop


_STATEMENTS: Final[dict[type[ast.stmt], Callable[[Any, Scope], Code]]] = {
    ast.Return: _return,
    ast.Assign: lower_assign,
    ast.AnnAssign: lower_annotated,
    ast.AugAssign: lower_augmented,
    ast.Delete: lower_delete,
    ast.If: _if,
    ast.While: _while,
    ast.For: _for,
    ast.Break: _leave(BREAK),
    ast.Continue: _leave(CONTINUE),
    ast.Expr: _expression,
}
