"""Comparisons, lowered to closures; most of those in contracts are with a constant."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from ledger.contracts import operators
from ledger.contracts.host import load_entry
from ledger.contracts.meter import CONTENT_UNIT, OutOfGas
from ledger.contracts.scope import Code, Frame, Scope
from ledger.contracts.values import SCALARS, equal
from ledger.contracts.views import constant_of, literal_of, lower_view


def lower_compare(node: ast.Compare, scope: Scope) -> Code:
    if len(node.ops) == 1:
        return _comparison(node.left, node.ops[0], node.comparators[0], scope)
    first = scope.lower(node.left)
    links: list[tuple[Callable[..., Any], Code]] = []
    for operator, right in zip(node.ops, node.comparators, strict=True):
        scope.nodes += 1
        code = scope.lower(right)
        if isinstance(operator, ast.Is | ast.IsNot):
            links.append((_is if isinstance(operator, ast.Is) else _is_not, code))
        else:
            links.append((operators.COMPARISON[type(operator).__name__], code))

    def chain(f: Frame) -> Any:
        left = first(f)
        outcome = True
        for compare, code in links:
            right = code(f)
            outcome = compare(f[0], left, right)
            if not outcome:
                break
            left = right
        return outcome

    return chain


def _is(_meter: Any, left: Any, right: Any) -> bool:
    return left is right


def _is_not(_meter: Any, left: Any, right: Any) -> bool:
    return left is not right


def _comparison(
    left_node: ast.expr, operator: ast.cmpop, right_node: ast.expr, scope: Scope
) -> Code:
    if isinstance(operator, ast.In | ast.NotIn):
        return _membership(left_node, right_node, scope, wanted=isinstance(operator, ast.In))
    left = scope.lower(left_node)
    constant = constant_of(right_node, scope)
    if constant is not None and type(constant[0]) in SCALARS:
        slot = scope.variable(left_node)
        special = None if slot is None else _variable_with_constant(slot, operator, constant[0])
        special = special or _with_constant(left, operator, constant[0])
        if special is not None:
            scope.nodes += 1
            return special
    right = scope.lower(right_node)
    compare = operators.COMPARISON[type(operator).__name__]
    if isinstance(operator, ast.Lt):

        def less(f: Frame) -> Any:
            a = left(f)
            b = right(f)
            if type(a) is int and type(b) is int:
                return a < b
            return compare(f[0], a, b)

        return less
    if isinstance(operator, ast.LtE):

        def less_or_equal(f: Frame) -> Any:
            a = left(f)
            b = right(f)
            if type(a) is int and type(b) is int:
                return a <= b
            return compare(f[0], a, b)

        return less_or_equal
    if isinstance(operator, ast.GtE):

        def greater_or_equal(f: Frame) -> Any:
            a = left(f)
            b = right(f)
            if type(a) is int and type(b) is int:
                return a >= b
            return compare(f[0], a, b)

        return greater_or_equal
    if isinstance(operator, ast.Eq):

        def equals(f: Frame) -> Any:
            a = left(f)
            b = right(f)
            if type(a) is str and type(b) is str and len(a) <= CONTENT_UNIT:
                return a == b
            return equal(f[0], a, b)

        return equals
    return lambda f: compare(f[0], left(f), right(f))


def _variable_with_constant(slot: int, operator: ast.cmpop, value: Any) -> Code | None:
    if isinstance(operator, ast.Is):
        return lambda f: f[slot] is value
    if isinstance(operator, ast.IsNot):
        return lambda f: f[slot] is not value
    if isinstance(operator, ast.Eq):
        return lambda f: f[slot] == value
    if isinstance(operator, ast.NotEq):
        return lambda f: f[slot] != value
    return None


def _with_constant(left: Code, operator: ast.cmpop, value: Any) -> Code | None:
    """A comparison with a scalar constant, whose length bounds what comparing costs."""
    if isinstance(operator, ast.Is):
        return lambda f: left(f) is value
    if isinstance(operator, ast.IsNot):
        return lambda f: left(f) is not value
    if isinstance(operator, ast.Eq):
        return lambda f: left(f) == value
    if isinstance(operator, ast.NotEq):
        return lambda f: left(f) != value
    if type(value) is not int:
        return None
    slow = operators.COMPARISON[type(operator).__name__]
    if isinstance(operator, ast.Gt):

        def greater(f: Frame) -> Any:
            a = left(f)
            return a > value if type(a) is int else slow(f[0], a, value)

        return greater
    if isinstance(operator, ast.Lt):

        def less(f: Frame) -> Any:
            a = left(f)
            return a < value if type(a) is int else slow(f[0], a, value)

        return less
    if isinstance(operator, ast.LtE):

        def less_or_equal(f: Frame) -> Any:
            a = left(f)
            return a <= value if type(a) is int else slow(f[0], a, value)

        return less_or_equal
    if isinstance(operator, ast.GtE):

        def greater_or_equal(f: Frame) -> Any:
            a = left(f)
            return a >= value if type(a) is int else slow(f[0], a, value)

        return greater_or_equal
    return None


def _membership(left_node: ast.expr, right_node: ast.expr, scope: Scope, *, wanted: bool) -> Code:
    left = scope.lower(left_node)
    state = scope.state_name(right_node)
    if state is not None:
        scope.nodes += 1

        def has_entry(f: Frame) -> Any:
            return (load_entry(f[0], state, left(f)) is not None) is wanted

        return has_entry
    try:
        literal = literal_of(right_node, scope)
    except ValueError:
        literal = None
    if isinstance(right_node, ast.Name) and scope.slot(right_node.id) is None:
        literal = scope.facts.constants[right_node.id]
    if type(literal) in (list, tuple) and all(type(item) is str for item in literal):
        texts = frozenset(literal)
        scope.nodes += len(literal) if not isinstance(right_node, ast.Name) else 1
        left_slot = scope.variable(left_node)
        if left_slot is not None:

            def variable_among_texts(f: Frame) -> Any:
                value = f[left_slot]
                return (type(value) is str and value in texts) is wanted

            return variable_among_texts

        def among_texts(f: Frame) -> Any:
            value = left(f)
            return (type(value) is str and value in texts) is wanted

        return among_texts
    right = lower_view(right_node, scope)
    member = operators.member
    constant = constant_of(left_node, scope)
    items_slot = scope.variable(right_node)
    if constant is not None and type(constant[0]) is str and items_slot is not None:
        return _field_in_variable(constant[0], items_slot, wanted=wanted)

    def is_member(f: Frame) -> Any:
        value = left(f)
        items = right(f)
        if type(value) is str and type(items) is list:
            run = f[0]
            run.gas = gas = run.gas - len(items) * (1 + len(value) // CONTENT_UNIT)
            if gas < 0:
                raise OutOfGas
            return (value in items) is wanted
        return member(f[0], value, items) is wanted

    return is_member


def _field_in_variable(field: str, slot: int, *, wanted: bool) -> Code:
    """Whether a dict has a field, which is what contracts ask most of all."""
    member = operators.member

    def has_field(f: Frame) -> Any:
        items = f[slot]
        if type(items) is dict:
            return (field in items) is wanted
        return member(f[0], field, items) is wanted

    return has_field
