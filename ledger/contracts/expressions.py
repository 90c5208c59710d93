"""Expressions, lowered to closures.

Each closure takes the frame and returns the value. The shapes that contracts consist of (variables,
fields of dicts, comparisons with constants) have closures of their own; everything else goes
through the functions of `operators`. The checker has seen the tree, so nothing is checked twice.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Final

from ledger.chain.codec import MAX_INT, MIN_INT
from ledger.contracts import operators
from ledger.contracts.builtins import formatted
from ledger.contracts.calls import lower_call
from ledger.contracts.comparisons import lower_compare
from ledger.contracts.comprehensions import lower_dict_comprehension, lower_list_comprehension
from ledger.contracts.fields import lower_attribute
from ledger.contracts.host import load_entry
from ledger.contracts.scope import UNBOUND, Code, Frame, Scope, unbound
from ledger.contracts.values import MAX_KEY, checked_key, unpack
from ledger.contracts.views import (
    constant_of,
    is_view,
    lower_constant,
    lower_literal,
    lower_part,
)


def _constant(node: ast.Constant, _scope: Scope) -> Code:
    return lower_constant(node.value)


def _name(node: ast.Name, scope: Scope) -> Code:
    name = node.id
    slot = scope.slot(name)
    if slot is None:
        return lower_literal(scope.facts.constants[name])
    if scope.is_assigned(name):
        return lambda f: f[slot]
    return _checked_name(name, slot)


def _checked_name(name: str, slot: int) -> Code:
    def checked(f: Frame) -> Any:
        value = f[slot]
        if value is UNBOUND:
            raise unbound(name)
        return value

    return checked


def _binary(node: ast.BinOp, scope: Scope) -> Code:
    left = scope.lower(node.left)
    right = scope.lower(node.right)
    operator = type(node.op).__name__
    slow = operators.BINARY[operator]
    if operator == "Add":

        def add(f: Frame) -> Any:
            a = left(f)
            b = right(f)
            if type(a) is int and type(b) is int and MIN_INT <= (c := a + b) <= MAX_INT:
                return c
            return slow(f[0], a, b)

        return add
    if operator == "Sub":

        def subtract(f: Frame) -> Any:
            a = left(f)
            b = right(f)
            if type(a) is int and type(b) is int and MIN_INT <= (c := a - b) <= MAX_INT:
                return c
            return slow(f[0], a, b)

        return subtract

    return lambda f: slow(f[0], left(f), right(f))


def _unary(node: ast.UnaryOp, scope: Scope) -> Code:
    constant = constant_of(node, scope)
    if constant is not None:
        return lower_constant(constant[0])
    operand = scope.lower(node.operand)
    if isinstance(node.op, ast.Not):
        return lambda f: not operand(f)
    return lambda f: operators.negate(operand(f))


def _boolean(node: ast.BoolOp, scope: Scope) -> Code:
    parts = [scope.lower(value) for value in node.values]
    *others, last = parts
    if isinstance(node.op, ast.And):
        if len(others) == 1:
            first = others[0]
            return lambda f: last(f) if (value := first(f)) else value

        def conjunction(f: Frame) -> Any:
            for part in others:
                value = part(f)
                if not value:
                    return value
            return last(f)

        return conjunction
    if len(others) == 1:
        first = others[0]
        return lambda f: first(f) or last(f)

    def disjunction(f: Frame) -> Any:
        for part in others:
            value = part(f)
            if value:
                return value
        return last(f)

    return disjunction


def _conditional(node: ast.IfExp, scope: Scope) -> Code:
    test = scope.lower(node.test)
    body = scope.lower(node.body)
    orelse = scope.lower(node.orelse)
    return lambda f: body(f) if test(f) else orelse(f)


def _subscript(node: ast.Subscript, scope: Scope) -> Code:
    state = scope.state_name(node.value)
    if state is not None:
        return _entry(state, scope.lower(node.slice))
    if isinstance(node.slice, ast.Slice):
        return _slice(node, node.slice, scope)
    if is_view(node, scope):
        return lower_part(node, scope)
    container = scope.lower(node.value)
    constant = constant_of(node.slice, scope)
    element = operators.element
    if constant is None:
        key = scope.lower(node.slice)

        def at_key(f: Frame) -> Any:
            value = container(f)
            k = key(f)
            if type(value) is dict and type(k) is str and k in value:
                return value[k]
            return element(f[0], value, k)

        return at_key
    scope.nodes += 1
    field = constant[0]
    if type(field) is not str:
        return lambda f: element(f[0], container(f), field)
    if isinstance(node.value, ast.Name) and scope.is_assigned(node.value.id):
        slot = scope.slot(node.value.id)
        assert slot is not None

        def field_of_variable(f: Frame) -> Any:
            value = f[slot]
            if type(value) is dict and field in value:
                return value[field]
            return element(f[0], value, field)

        return field_of_variable

    def field_of(f: Frame) -> Any:
        value = container(f)
        if type(value) is dict and field in value:
            return value[field]
        return element(f[0], value, field)

    return field_of


def _entry(name: str, key: Code) -> Code:
    def entry(f: Frame) -> Any:
        k = key(f)
        raw = load_entry(f[0], name, k)
        if raw is None:
            raise operators.missing(k if type(k) is str else name)
        return unpack(raw)

    return entry


def _slice(node: ast.Subscript, bounds: ast.Slice, scope: Scope) -> Code:
    container = scope.lower(node.value)
    nothing = lower_constant(None)
    lower_bound = nothing if bounds.lower is None else scope.lower(bounds.lower)
    upper_bound = nothing if bounds.upper is None else scope.lower(bounds.upper)
    piece = operators.piece
    return lambda f: piece(f[0], container(f), lower_bound(f), upper_bound(f))


def _list(node: ast.List, scope: Scope) -> Code:
    items = [scope.lower(item) for item in node.elts]
    if not items:
        return lambda _f: []
    if len(items) == 1:
        only = items[0]
        return lambda f: [only(f)]
    return lambda f: [item(f) for item in items]


def _tuple(node: ast.Tuple, scope: Scope) -> Code:
    constant = constant_of(node, scope)
    items = [scope.lower(item) for item in node.elts]
    if constant is not None:
        return lower_constant(constant[0])
    if len(items) == 2:
        first, second = items
        return lambda f: (first(f), second(f))
    return lambda f: tuple([item(f) for item in items])


def _dict(node: ast.Dict, scope: Scope) -> Code:
    keys = [key for key in node.keys if key is not None]
    constants = [constant_of(key, scope) for key in keys]
    if all(
        constant is not None and type(constant[0]) is str and len(constant[0]) <= MAX_KEY
        for constant in constants
    ):
        scope.nodes += len(keys)
        names = [constant[0] for constant in constants if constant is not None]
        return _record(names, node.values, scope)
    pairs = [
        (scope.lower(key), scope.lower(value)) for key, value in zip(keys, node.values, strict=True)
    ]

    def mapping(f: Frame) -> Any:
        made = {}
        for key, value in pairs:
            name = checked_key(key(f))
            made[name] = value(f)
        return made

    return mapping


def _record(names: list[str], nodes: list[ast.expr], scope: Scope) -> Code:
    """A dict display with constant keys: constants are there from the start, the rest is set."""
    codes = [scope.lower(node) for node in nodes]
    fields = list(zip(names, codes, strict=True))
    template: dict[str, Any] = {}
    variables: list[tuple[str, int]] = []
    others: list[tuple[str, Code]] = []
    for name, node, code in zip(names, nodes, codes, strict=True):
        constant = constant_of(node, scope)
        slot = scope.variable(node)
        template[name] = None
        if constant is not None:
            template[name] = constant[0]
        elif slot is not None:
            variables.append((name, slot))
        else:
            others.append((name, code))
    if len(template) < len(names):

        def with_repeated_keys(f: Frame) -> Any:
            made = {}
            for name, value in fields:
                made[name] = value(f)
            return made

        return with_repeated_keys

    def record(f: Frame) -> Any:
        made = template.copy()
        for name, slot in variables:
            made[name] = f[slot]
        for name, value in others:
            made[name] = value(f)
        return made

    return record


def _formatted(node: ast.JoinedStr, scope: Scope) -> Code:
    template = [""]
    fields: list[Code] = []
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            fields.append(scope.lower(part.value))
            template += ["", ""]
        else:
            assert isinstance(part, ast.Constant)
            template[-1] += str(part.value)
    fixed = sum(map(len, template))
    if len(fields) == 1:
        only = fields[0]
        return lambda f: formatted(f[0], template, fixed, (only(f),))
    if len(fields) == 2:
        first, second = fields
        return lambda f: formatted(f[0], template, fixed, (first(f), second(f)))
    return lambda f: formatted(f[0], template, fixed, [field(f) for field in fields])


#: By type of node. A node that is not here cannot be lowered, whatever the checker said.
EXPRESSIONS: Final[dict[type[ast.expr], Callable[[Any, Scope], Code]]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.BoolOp: _boolean,
    ast.Compare: lower_compare,
    ast.IfExp: _conditional,
    ast.Subscript: _subscript,
    ast.List: _list,
    ast.Tuple: _tuple,
    ast.Dict: _dict,
    ast.ListComp: lower_list_comprehension,
    ast.DictComp: lower_dict_comprehension,
    ast.JoinedStr: _formatted,
    ast.Call: lower_call,
    ast.Attribute: lower_attribute,
}
