"""Assignments and deletions, lowered to closures: of variables, elements and state entries."""

from __future__ import annotations

import ast
from typing import Any

from ledger.chain.codec import MAX_INT, MIN_INT
from ledger.contracts import host, operators
from ledger.contracts.comprehensions import Binder, lower_binder, unpacking
from ledger.contracts.scope import Code, Frame, Scope
from ledger.contracts.values import unpack


def note_assigned(target: ast.expr, scope: Scope) -> None:
    if isinstance(target, ast.Name):
        scope.assigned.add(target.id)
    elif isinstance(target, ast.Tuple | ast.List):
        for item in target.elts:
            note_assigned(item, scope)


def lower_target(target: ast.expr, scope: Scope) -> Binder:
    """What assigns to a target of any form."""
    if isinstance(target, ast.Tuple | ast.List):
        return unpacking([lower_target(item, scope) for item in target.elts])
    if not isinstance(target, ast.Subscript):
        return lower_binder(target, scope)
    state = scope.state_name(target.value)
    if state is not None:
        key = scope.lower(target.slice)

        def set_entry(f: Frame, value: Any) -> None:
            run = f[0]
            host.store(run, host.state_key(run, state, key(f)), value)

        return set_entry
    container = scope.lower(target.value)
    key = scope.lower(target.slice)
    set_element = operators.set_element
    return lambda f, value: set_element(f[0], container(f), key(f), value)


def lower_assign(node: ast.Assign, scope: Scope) -> Code:
    value = scope.lower(node.value)
    targets = node.targets
    if len(targets) == 1 and isinstance(targets[0], ast.Name):
        return _set_variable(targets[0].id, value, scope)
    binders = [lower_target(target, scope) for target in targets]
    for target in targets:
        note_assigned(target, scope)
    if len(binders) == 1:
        bind = binders[0]

        def assign(f: Frame) -> Any:
            bind(f, value(f))

        return assign

    def assign_all(f: Frame) -> Any:
        result = value(f)
        for bind in binders:
            bind(f, result)

    return assign_all


def _set_variable(name: str, value: Code, scope: Scope) -> Code:
    slot = scope.slot(name)
    assert slot is not None
    scope.assigned.add(name)

    def set_variable(f: Frame) -> Any:
        f[slot] = value(f)

    return set_variable


def lower_annotated(node: ast.AnnAssign, scope: Scope) -> Code:
    assert node.value is not None
    value = scope.lower(node.value)
    bind = lower_target(node.target, scope)
    note_assigned(node.target, scope)

    def assign(f: Frame) -> Any:
        bind(f, value(f))

    return assign


def lower_augmented(node: ast.AugAssign, scope: Scope) -> Code:
    operate = operators.IN_PLACE[type(node.op).__name__]
    target = node.target
    if isinstance(target, ast.Name):
        slot = scope.slot(target.id)
        assert slot is not None
        present = scope.lower(target)
        value = scope.lower(node.value)

        if isinstance(node.op, ast.Add):

            def add_to_variable(f: Frame) -> Any:
                a = present(f)
                b = value(f)
                if type(a) is int and type(b) is int and MIN_INT <= (c := a + b) <= MAX_INT:
                    f[slot] = c
                else:
                    f[slot] = operate(f[0], a, b)

            return add_to_variable

        def change_variable(f: Frame) -> Any:
            f[slot] = operate(f[0], present(f), value(f))

        return change_variable
    assert isinstance(target, ast.Subscript)
    state = scope.state_name(target.value)
    if state is not None:
        key = scope.lower(target.slice)
        value = scope.lower(node.value)

        def change_entry(f: Frame) -> Any:
            run = f[0]
            k = key(f)
            at = host.state_key(run, state, k)
            raw = host.load(run, at)
            if raw is None:
                raise operators.missing(k if type(k) is str else state)
            host.store(run, at, operate(run, unpack(raw), value(f)))

        return change_entry
    container = scope.lower(target.value)
    key = scope.lower(target.slice)
    value = scope.lower(node.value)

    def change_element(f: Frame) -> Any:
        run = f[0]
        c = container(f)
        k = key(f)
        present = operators.element(run, c, k)
        operators.set_element(run, c, k, operate(run, present, value(f)))

    return change_element


def lower_delete(node: ast.Delete, scope: Scope) -> Code:
    codes = [_delete_one(target, scope) for target in node.targets]

    def delete(f: Frame) -> Any:
        for code in codes:
            code(f)

    return delete


def _delete_one(target: ast.expr, scope: Scope) -> Code:
    assert isinstance(target, ast.Subscript)
    state = scope.state_name(target.value)
    if state is not None:
        entry = scope.lower(target.slice)
        return lambda f: host.remove(f[0], host.state_key(f[0], state, entry(f)))
    container = scope.lower(target.value)
    key = scope.lower(target.slice)
    return lambda f: operators.delete_element(f[0], container(f), key(f))
