"""Constants of the module: used where they are, copied where they could be changed.

A list or dict at the top level of a contract belongs to the program, which many calls share. So an
expression that only looks into one gets the thing itself, and everything else gets a copy.
"""

from __future__ import annotations

import ast
from typing import Any

from ledger.contracts import operators
from ledger.contracts.literals import read_literal
from ledger.contracts.meter import Meter
from ledger.contracts.scope import Code, Frame, Scope
from ledger.contracts.values import SCALARS, copy, is_mutable, size_of_literal


def _is_variable(node: ast.expr, scope: Scope) -> bool:
    return isinstance(node, ast.Name) and scope.slot(node.id) is not None


def literal_of(node: ast.expr, scope: Scope) -> Any:
    """The value of a literal, in which codes of enumerations may stand; raises `ValueError`."""

    def code(part: ast.expr) -> Any:
        if isinstance(part, ast.Attribute) and not _is_variable(part.value, scope):
            return scope.facts.code(part)
        raise ValueError

    return read_literal(node, code)


def constant_of(node: ast.expr, scope: Scope) -> tuple[Any] | None:
    """The value of an expression that is an immutable literal or names one, in a tuple."""
    if isinstance(node, ast.Name) and scope.slot(node.id) is None:
        value = scope.facts.constants.get(node.id, [])
    else:
        try:
            value = literal_of(node, scope)
        except ValueError:
            return None
    return None if is_mutable(value) else (value,)


def lower_constant(value: Any) -> Code:
    return lambda _f: value


def lower_literal(value: Any) -> Code:
    """A literal of the module, fresh for each use where it could be changed."""
    if not is_mutable(value):
        return lower_constant(value)
    cost = size_of_literal(value)

    def fresh(f: Frame) -> Any:
        f[0].charge(cost)
        return copy(value)

    return fresh


def is_view(node: ast.expr, scope: Scope) -> bool:
    """Whether an expression leads into a mutable constant of the module."""
    while isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice):
        node = node.value
    return (
        isinstance(node, ast.Name)
        and scope.slot(node.id) is None
        and is_mutable(scope.facts.constants.get(node.id))
    )


def lower_view(node: ast.expr, scope: Scope) -> Code:
    """An expression whose value is only looked into: module constants need no copy for that."""
    if not is_view(node, scope):
        return scope.lower(node)
    scope.nodes += 1
    with scope.deeper():
        if isinstance(node, ast.Subscript):
            container = lower_view(node.value, scope)
            key = scope.lower(node.slice)
            return lambda f: operators.element(f[0], container(f), key(f))
        assert isinstance(node, ast.Name)
        return lower_constant(scope.facts.constants[node.id])


def lower_part(node: ast.Subscript, scope: Scope) -> Code:
    """An element of a constant of the module; a copy where it could be changed."""
    code = lower_view(node, scope)
    if not isinstance(node.value, ast.Name):
        return owned(code)
    table = scope.facts.constants[node.value.id]
    items = table.values() if type(table) is dict else table
    if type(table) is not dict or any(map(is_mutable, items)):
        return owned(code)
    with scope.counting():
        key = scope.lower(node.slice)

    def entry(f: Frame) -> Any:
        k = key(f)
        if type(k) is str and k in table:
            return table[k]
        return operators.element(f[0], table, k)

    return entry


def own(meter: Meter, value: Any) -> Any:
    """A copy of what a view leads to, where it could be changed."""
    kind = type(value)
    if kind in SCALARS:
        return value
    if kind is list and SCALARS.issuperset(map(type, value)):
        meter.charge(1 + len(value))
        return value[:]
    meter.charge(size_of_literal(value))
    return copy(value)


def owned(code: Code) -> Code:
    return lambda f: own(f[0], code(f))


def lower_iterable(node: ast.expr, scope: Scope) -> Code:
    """What a loop goes through: a flat constant of the module needs no copy for that."""
    if isinstance(node, ast.Name) and is_view(node, scope):
        value = scope.facts.constants[node.id]
        items = value.values() if type(value) is dict else value
        if not any(map(is_mutable, items)):
            return lower_view(node, scope)
    return scope.lower(node)
