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
from ledger.contracts.builtins import formatted, iterate
from ledger.contracts.calls import lower_call
from ledger.contracts.host import load, state_key
from ledger.contracts.meter import LOOP_TURN, Failure, Meter, OutOfGas
from ledger.contracts.scope import UNBOUND, Code, Frame, Scope, unbound
from ledger.contracts.toplevel import read_literal
from ledger.contracts.values import (
    MAX_ITEMS,
    MAX_KEY,
    checked_key,
    copy,
    equal,
    is_mutable,
    kind_name,
    size_of_literal,
    too_large,
    type_error,
    unpack,
)

_SCALARS: Final = frozenset({type(None), bool, int, str, bytes})


def lower(node: ast.expr, scope: Scope) -> Code:
    """The closure of an expression."""
    scope.nodes += 1
    with scope.deeper():
        return _EXPRESSIONS[type(node)](node, scope)


def constant_of(node: ast.expr, scope: Scope) -> tuple[Any] | None:
    """The value of an expression that is an immutable literal or names one, in a tuple."""
    if isinstance(node, ast.Name) and scope.slot(node.id) is None:
        value = scope.facts.constants.get(node.id, [])
    else:
        try:
            value = read_literal(node)
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
    left = lower(node.left, scope)
    right = lower(node.right, scope)
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
    operand = lower(node.operand, scope)
    if isinstance(node.op, ast.Not):
        return lambda f: not operand(f)
    return lambda f: operators.negate(operand(f))


def _boolean(node: ast.BoolOp, scope: Scope) -> Code:
    parts = [lower(value, scope) for value in node.values]
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
    test = lower(node.test, scope)
    body = lower(node.body, scope)
    orelse = lower(node.orelse, scope)
    return lambda f: body(f) if test(f) else orelse(f)


# Comparisons


def _compare(node: ast.Compare, scope: Scope) -> Code:
    if len(node.ops) == 1:
        return _comparison(node.left, node.ops[0], node.comparators[0], scope)
    first = lower(node.left, scope)
    links: list[tuple[Callable[..., Any], Code]] = []
    for operator, right in zip(node.ops, node.comparators, strict=True):
        scope.nodes += 1
        code = lower(right, scope)
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
    left = lower(left_node, scope)
    constant = constant_of(right_node, scope)
    if constant is not None and type(constant[0]) in _SCALARS:
        special = _with_constant(left, operator, constant[0])
        if special is not None:
            scope.nodes += 1
            return special
    right = lower(right_node, scope)
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
    if isinstance(operator, ast.Eq):
        return lambda f: equal(f[0], left(f), right(f))
    return lambda f: compare(f[0], left(f), right(f))


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
    return None


def _membership(left_node: ast.expr, right_node: ast.expr, scope: Scope, *, wanted: bool) -> Code:
    left = lower(left_node, scope)
    state = state_name(right_node, scope)
    if state is not None:
        scope.nodes += 1

        def has_entry(f: Frame) -> Any:
            run = f[0]
            return (load(run, state_key(run, state, left(f))) is not None) is wanted

        return has_entry
    try:
        literal = read_literal(right_node)
    except ValueError:
        literal = None
    if isinstance(right_node, ast.Name) and scope.slot(right_node.id) is None:
        literal = scope.facts.constants[right_node.id]
    if type(literal) in (list, tuple) and all(type(item) is str for item in literal):
        texts = frozenset(literal)
        scope.nodes += len(literal) if not isinstance(right_node, ast.Name) else 1

        def among_texts(f: Frame) -> Any:
            value = left(f)
            return (type(value) is str and value in texts) is wanted

        return among_texts
    right = lower_view(right_node, scope)
    member = operators.member
    if wanted:
        return lambda f: member(f[0], left(f), right(f))
    return lambda f: not member(f[0], left(f), right(f))


# Elements


def state_name(node: ast.expr, scope: Scope) -> str | None:
    """The key prefix behind a state object's name: the entry's name, with "/" for a Map."""
    if isinstance(node, ast.Name) and scope.slot(node.id) is None:
        state = scope.facts.states.get(node.id)
        if state is not None:
            return state[1] + "/" if state[0] == "Map" else state[1]
    return None


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
        return lower(node, scope)
    scope.nodes += 1
    with scope.deeper():
        if isinstance(node, ast.Subscript):
            container = lower_view(node.value, scope)
            key = lower(node.slice, scope)
            return lambda f: operators.element(f[0], container(f), key(f))
        assert isinstance(node, ast.Name)
        return lower_constant(scope.facts.constants[node.id])


def own(meter: Meter, value: Any) -> Any:
    """A copy of what a view leads to, where it could be changed."""
    if type(value) in _SCALARS:
        return value
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
    return lower(node, scope)


def _subscript(node: ast.Subscript, scope: Scope) -> Code:
    state = state_name(node.value, scope)
    if state is not None:
        return _entry(state, lower(node.slice, scope))
    if isinstance(node.slice, ast.Slice):
        return _slice(node, node.slice, scope)
    if is_view(node, scope):
        return owned(lower_view(node, scope))
    container = lower(node.value, scope)
    constant = constant_of(node.slice, scope)
    element = operators.element
    if constant is None:
        key = lower(node.slice, scope)

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
        run = f[0]
        k = key(f)
        raw = load(run, state_key(run, name, k))
        if raw is None:
            raise operators.missing(k if type(k) is str else name)
        return unpack(raw)

    return entry


def _slice(node: ast.Subscript, bounds: ast.Slice, scope: Scope) -> Code:
    container = lower(node.value, scope)
    nothing = lower_constant(None)
    lower_bound = nothing if bounds.lower is None else lower(bounds.lower, scope)
    upper_bound = nothing if bounds.upper is None else lower(bounds.upper, scope)
    piece = operators.piece
    return lambda f: piece(f[0], container(f), lower_bound(f), upper_bound(f))


# Displays and comprehensions


def _list(node: ast.List, scope: Scope) -> Code:
    items = [lower(item, scope) for item in node.elts]
    if not items:
        return lambda _f: []
    if len(items) == 1:
        only = items[0]
        return lambda f: [only(f)]
    return lambda f: [item(f) for item in items]


def _tuple(node: ast.Tuple, scope: Scope) -> Code:
    constant = constant_of(node, scope)
    items = [lower(item, scope) for item in node.elts]
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
        fields = [
            (constant[0], lower(value, scope))
            for constant, value in zip(constants, node.values, strict=True)
            if constant is not None
        ]

        def record(f: Frame) -> Any:
            made = {}
            for name, value in fields:
                made[name] = value(f)
            return made

        return record
    pairs = [
        (lower(key, scope), lower(value, scope))
        for key, value in zip(keys, node.values, strict=True)
    ]

    def mapping(f: Frame) -> Any:
        made = {}
        for key, value in pairs:
            name = checked_key(key(f))
            made[name] = value(f)
        return made

    return mapping


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
        name: scope.new_slot() for generator in generators for name in _names(generator.target)
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
        conditions = [lower(condition, scope) for condition in generator.ifs]
        if others:
            inner_source = lower_iterable(others[0].iter, scope)
            inner = _generator(others, inner_source, scope, lower_collect)
        else:
            inner = lower_collect()
    cost = turn[0] + LOOP_TURN
    slot = scope.slot(generator.target.id) if isinstance(generator.target, ast.Name) else None
    if slot is not None and len(conditions) <= 1:
        condition = conditions[0] if conditions else lower_constant(True)

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


def _list_comprehension(node: ast.ListComp, scope: Scope) -> Code:
    def lower_collect() -> Collect:
        element = lower(node.elt, scope)

        def collect(f: Frame, made: list[Any]) -> None:
            value = element(f)
            if len(made) >= MAX_ITEMS:
                raise too_large("another element", MAX_ITEMS)
            made.append(value)

        return collect

    return _comprehension(node.generators, scope, lower_collect, list)


def _dict_comprehension(node: ast.DictComp, scope: Scope) -> Code:
    def lower_collect() -> Collect:
        key = lower(node.key, scope)
        value = lower(node.value, scope)

        def collect(f: Frame, made: dict[str, Any]) -> None:
            operators.set_element(f[0], made, key(f), value(f))

        return collect

    return _comprehension(node.generators, scope, lower_collect, dict)


def _formatted(node: ast.JoinedStr, scope: Scope) -> Code:
    template: list[str] = []
    fields: list[tuple[int, Code]] = []
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            fields.append((len(template), lower(part.value, scope)))
            template.append("")
        else:
            assert isinstance(part, ast.Constant)
            template.append(part.value)

    def text(f: Frame) -> Any:
        parts: list[Any] = template[:]
        for place, field in fields:
            parts[place] = field(f)
        return formatted(f[0], parts)

    return text


_EXPRESSIONS: Final[dict[type[ast.expr], Callable[[Any, Scope], Code]]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.BoolOp: _boolean,
    ast.Compare: _compare,
    ast.IfExp: _conditional,
    ast.Subscript: _subscript,
    ast.List: _list,
    ast.Tuple: _tuple,
    ast.Dict: _dict,
    ast.ListComp: _list_comprehension,
    ast.DictComp: _dict_comprehension,
    ast.JoinedStr: _formatted,
    ast.Call: lambda node, scope: lower_call(node, scope, lower),
}
