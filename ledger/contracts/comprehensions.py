"""Comprehensions, and the targets that loops and comprehensions bind.

The targets of a comprehension are variables of its own, in slots of the frame that nothing else
uses, so that entering one needs no frame.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from ledger.contracts import operators
from ledger.contracts.builtins import iterate
from ledger.contracts.meter import LOOP_TURN, Failure, OutOfGas
from ledger.contracts.scope import Code, Frame, Scope
from ledger.contracts.values import MAX_ITEMS, kind_name, too_large, type_error
from ledger.contracts.variables import names_in_target
from ledger.contracts.views import lower_iterable

Binder = Callable[[Frame, Any], None]


def lower_binder(target: ast.expr, scope: Scope) -> Binder:
    """What assigns a value to a target of names; nested tuples are taken apart."""
    if isinstance(target, ast.Name):
        slot = scope.slot(target.id)
        assert slot is not None

        def bind(f: Frame, value: Any) -> None:
            f[slot] = value

        return bind
    assert isinstance(target, ast.Tuple | ast.List)
    parts = [lower_binder(item, scope) for item in target.elts]
    return unpacking(parts)


def unpacking(parts: list[Binder]) -> Binder:
    """What takes a list or tuple apart."""
    size = len(parts)

    def bind_all(f: Frame, value: Any) -> None:
        if type(value) is not tuple and type(value) is not list:
            raise type_error(f"{kind_name(value)} cannot be taken apart")
        if len(value) != size:
            raise Failure("value_error", f"{len(value)} values for {size} names")
        for part, item in zip(parts, value, strict=True):
            part(f, item)

    return bind_all


def _names(target: ast.expr) -> list[str]:
    if isinstance(target, ast.Name):
        return [target.id]
    assert isinstance(target, ast.Tuple | ast.List)
    return [name for item in target.elts for name in _names(item)]


Collect = Callable[[Frame, Any], None]


def _comprehension(
    generators: list[ast.comprehension],
    scope: Scope,
    lower_collect: Callable[[], Collect],
    new: Callable[[], Any],
) -> Code:
    """A comprehension: ``lower_collect`` makes what puts one element into the result."""
    source = lower_iterable(generators[0].iter, scope)
    names = {
        name: scope.new_slot()
        for generator in generators
        for name in names_in_target(generator.target)
    }
    scope.hidden.append(names)
    with scope.deeper():
        loop = _generator(generators, source, scope, lower_collect)
    scope.hidden.pop()

    def comprehension(f: Frame) -> Any:
        made = new()
        loop(f, made)
        return made

    return comprehension


def _generator(
    generators: list[ast.comprehension],
    source: Code,
    scope: Scope,
    lower_collect: Callable[[], Collect],
) -> Collect:
    generator, *others = generators
    with scope.counting() as turn, scope.deeper(2):
        bind = lower_binder(generator.target, scope)
        conditions = [scope.lower(condition) for condition in generator.ifs]
        if others:
            inner_source = lower_iterable(others[0].iter, scope)
            inner = _generator(others, inner_source, scope, lower_collect)
        else:
            inner = lower_collect()
    cost = turn[0] + LOOP_TURN
    slot = scope.slot(generator.target.id) if isinstance(generator.target, ast.Name) else None
    if slot is not None and not conditions:

        def plain_loop(f: Frame, made: Any) -> None:
            run = f[0]
            for item in iterate(run, source(f)):
                run.gas = gas = run.gas - cost
                if gas < 0:
                    raise OutOfGas
                f[slot] = item
                inner(f, made)

        return plain_loop
    if slot is not None and len(conditions) == 1:
        condition = conditions[0]

        def simple_loop(f: Frame, made: Any) -> None:
            run = f[0]
            for item in iterate(run, source(f)):
                run.gas = gas = run.gas - cost
                if gas < 0:
                    raise OutOfGas
                f[slot] = item
                if condition(f):
                    inner(f, made)

        return simple_loop

    def loop(f: Frame, made: Any) -> None:
        run = f[0]
        for item in iterate(run, source(f)):
            run.charge(cost)
            bind(f, item)
            for condition in conditions:
                if not condition(f):
                    break
            else:
                inner(f, made)

    return loop


def lower_list_comprehension(node: ast.ListComp, scope: Scope) -> Code:
    def lower_collect() -> Collect:
        element = scope.lower(node.elt)

        def collect(f: Frame, made: list[Any]) -> None:
            value = element(f)
            if len(made) >= MAX_ITEMS:
                raise too_large("another element", MAX_ITEMS)
            made.append(value)

        return collect

    return _comprehension(node.generators, scope, lower_collect, list)


def lower_dict_comprehension(node: ast.DictComp, scope: Scope) -> Code:
    def lower_collect() -> Collect:
        key = scope.lower(node.key)
        value = scope.lower(node.value)

        def collect(f: Frame, made: dict[str, Any]) -> None:
            operators.set_element(f[0], made, key(f), value(f))

        return collect

    return _comprehension(node.generators, scope, lower_collect, dict)
