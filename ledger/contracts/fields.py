"""Records and enumerations in expressions, lowered to closures."""

from __future__ import annotations

import ast
from typing import Any

from ledger.contracts.annotations import REQUIRED
from ledger.contracts.meter import Meter
from ledger.contracts.records import RecordType
from ledger.contracts.scope import Code, Frame, Scope
from ledger.contracts.values import RecordValue, kind_name, type_error
from ledger.contracts.views import constant_of, lower_constant


def lower_attribute(node: ast.Attribute, scope: Scope) -> Code:
    """A code of an enumeration, or a field of a record."""
    constant = constant_of(node, scope)
    if constant is not None:
        return lower_constant(constant[0])
    name = node.attr
    value = scope.lower(node.value)

    def field(f: Frame) -> Any:
        record = value(f)
        if type(record) is RecordValue and name in record.fields:
            return record.fields[name]
        raise type_error(f"a {kind_name(record)} has no field {name}")

    return field


def record_of(node: ast.expr, scope: Scope) -> RecordType | None:
    """The record class that a name stands for, where it is not a variable."""
    if isinstance(node, ast.Name) and scope.slot(node.id) is None:
        return scope.facts.records.get(node.id)
    return None


def lower_making(node: ast.Call, kind: RecordType, scope: Scope) -> Code:
    """A record made of fields by name, which are evaluated as written."""
    given = [(keyword.arg or "", scope.lower(keyword.value)) for keyword in node.keywords]
    template = {
        name: None if field.default is REQUIRED else field.default
        for name, field in kind.fields.items()
    }
    scope.nodes += len(template)

    def make(f: Frame) -> Any:
        values = template.copy()
        for name, code in given:
            values[name] = code(f)
        return kind.make(f[0], values)

    return make


def lower_reading(node: ast.Call, kind: RecordType, scope: Scope) -> Code:
    """``Class.read(value)``."""
    value = scope.lower(node.args[0])
    return lambda f: kind.read(f[0], value(f))


def changed(meter: Meter, record: Any, values: dict[str, Any]) -> RecordValue:
    """``changed(record, field=value)``."""
    if type(record) is not RecordValue:
        raise type_error(f"a {kind_name(record)} is not a record")
    made = record.kind.changed(meter, record, values)
    assert isinstance(made, RecordValue)
    return made
