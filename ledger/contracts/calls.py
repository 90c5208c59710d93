"""Calls, lowered to closures: of the contract's functions, builtins, the host, and methods."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Final

from ledger.contracts import builtins, host, methods
from ledger.contracts.fields import changed, lower_making, lower_reading, record_of
from ledger.contracts.grammar import BUILTINS, HOST, STATE_METHODS, VERDICTS, Signature
from ledger.contracts.meter import BUILTIN_CALL, FUNCTION_CALL, Failure
from ledger.contracts.quantities import make
from ledger.contracts.scope import RETURN_SLOT, Code, Frame, Function, Scope
from ledger.contracts.times import TIMES
from ledger.contracts.values import MAX_ITEMS, kind_name, too_large, type_error, unpack
from ledger.contracts.views import constant_of, is_view, lower_literal, lower_view, own, owned

_SIZED = frozenset({str, bytes, list, dict, tuple})
#: What the context of a call tells, without a function in between.
_CONTEXT: Final[dict[str, Code]] = {
    "caller": lambda f: f[0].caller,
    "height": lambda f: f[0].context.height,
    "now": lambda f: f[0].context.time,
    "transaction": lambda f: f[0].context.transaction,
    "call_index": lambda f: f[0].context.index,
    "chain": lambda f: f[0].context.chain,
}
_NOTHING = frozenset({"require", "fail", "emit"})
_FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {**host.HOST, **TIMES, "decimal": make}
_WITH_FIELDS: Final[dict[str, Callable[..., Any]]] = {**host.WITH_FIELDS, "changed": changed}


def lower_call(node: ast.Call, scope: Scope) -> Code:
    """The closure of a call."""
    scope.nodes += BUILTIN_CALL
    if isinstance(node.func, ast.Attribute):
        read_from = record_of(node.func.value, scope)
        if read_from is not None:
            return lower_reading(node, read_from, scope)
        return _method(node, node.func, scope)
    assert isinstance(node.func, ast.Name)
    name = node.func.id
    made = record_of(node.func, scope)
    if made is not None:
        return lower_making(node, made, scope)
    if name in scope.functions:
        return _function(node, name, scope)
    if name in _WITH_FIELDS:
        return _with_fields(node, _WITH_FIELDS[name], scope)
    if name in VERDICTS:
        return _verdict(node, VERDICTS[name], scope)
    if name in BUILTINS:
        if name == "len":
            return _len(node, scope)
        return _apply(builtins.BUILTINS[name], node, BUILTINS[name], scope)
    if name in _CONTEXT:
        return _CONTEXT[name]
    if name == "require" and not node.keywords:
        return _require(node, scope)
    return _apply(_FUNCTIONS[name], node, HOST[name], scope)


def gives_nothing(node: ast.Call, scope: Scope) -> bool:
    """Whether a call's value is None whatever happens."""
    if isinstance(node.func, ast.Name):
        return node.func.id in _NOTHING and node.func.id not in scope.functions
    return isinstance(node.func, ast.Attribute) and node.func.attr == "append"


def _placed(
    node: ast.Call, parameters: tuple[str, ...], scope: Scope
) -> tuple[list[tuple[str, Code]], bool]:
    """Arguments with the parameters they bind to, as written, and whether in that order."""
    given = list(zip(parameters, [scope.lower(argument) for argument in node.args], strict=False))
    for keyword in node.keywords:
        assert keyword.arg is not None
        given.append((keyword.arg, scope.lower(keyword.value)))
    places = [parameters.index(name) for name, _ in given]
    return given, places == sorted(places)


def _apply(
    function: Callable[..., Any], node: ast.Call, signature: Signature, scope: Scope
) -> Code:
    """A call of a function of ours: the run, then the arguments."""
    if signature.many or not node.keywords:
        codes = [scope.lower(argument) for argument in node.args]
        return _positional(function, codes)
    given, _ = _placed(node, signature.parameters, scope)

    def named(f: Frame) -> Any:
        return function(f[0], **{name: code(f) for name, code in given})

    return named


def _require(node: ast.Call, scope: Scope) -> Code:
    """``require``; where code and message are constants, only the condition is evaluated."""
    codes = [scope.lower(argument) for argument in node.args]
    constants = [constant_of(argument, scope) for argument in node.args[1:]]
    known = [constant[0] for constant in constants if constant is not None]
    refusal = host.refusal(*known) if len(known) == len(constants) else None
    if refusal is None:
        return _positional(host.HOST["require"], codes)
    condition = codes[0]

    def require(f: Frame) -> Any:
        if not condition(f):
            raise Failure(*refusal)

    return require


def _positional(function: Callable[..., Any], codes: list[Code]) -> Code:
    if not codes:
        return lambda f: function(f[0])
    if len(codes) == 1:
        only = codes[0]
        return lambda f: function(f[0], only(f))
    if len(codes) == 2:
        first, second = codes
        return lambda f: function(f[0], first(f), second(f))
    if len(codes) == 3:
        first, second, third = codes
        return lambda f: function(f[0], first(f), second(f), third(f))
    return lambda f: function(f[0], *[code(f) for code in codes])


def _len(node: ast.Call, scope: Scope) -> Code:
    argument = lower_view(node.args[0], scope)
    slot = scope.variable(node.args[0])
    if slot is not None:

        def length_of_variable(f: Frame) -> Any:
            value = f[slot]
            return len(value) if type(value) in _SIZED else builtins.length(f[0], value)

        return length_of_variable

    def length(f: Frame) -> Any:
        value = argument(f)
        if type(value) in _SIZED:
            return len(value)
        return builtins.length(f[0], value)

    return length


def _collected(node: ast.Call, scope: Scope) -> Callable[[Frame], dict[str, Any]]:
    """The named fields of a call, in a dict."""
    fields = [(keyword.arg or "", scope.lower(keyword.value)) for keyword in node.keywords]

    def collected(f: Frame) -> dict[str, Any]:
        made = {}
        for name, code in fields:
            made[name] = code(f)
        return made

    return collected


def _verdict(node: ast.Call, effect: str, scope: Scope) -> Code:
    rule = scope.lower(node.args[0])
    collected = _collected(node, scope)
    line = node.lineno
    return lambda f: host.verdict(f[0], effect, line, rule(f), collected(f))


def _with_fields(node: ast.Call, function: Callable[..., Any], scope: Scope) -> Code:
    positional = [scope.lower(argument) for argument in node.args]
    collected = _collected(node, scope)
    if len(positional) == 1:
        first = positional[0]
        return lambda f: function(f[0], first(f), collected(f))
    first, second = positional
    return lambda f: function(f[0], first(f), second(f), collected(f))


# Functions of the contract


def _function(node: ast.Call, name: str, scope: Scope) -> Code:
    scope.nodes += FUNCTION_CALL
    function = scope.functions[name]
    parameters = scope.facts.functions[name].parameters
    names = tuple(parameter.name for parameter in parameters)
    given, in_order = _placed(node, names, scope)
    by_name = dict(given)
    defaults = {
        parameter.name: lower_literal(parameter.default)
        for parameter in parameters
        if parameter.name not in by_name
    }
    if in_order:
        return _invocation(function, [by_name.get(name) or defaults[name] for name in names])

    def out_of_order(f: Frame) -> Any:
        values = {name: code(f) for name, code in given}
        arguments = [values[name] if name in values else defaults[name](f) for name in names]
        return enter(f[0], function, [f[0], None, *arguments, *function.blank])

    return out_of_order


def enter(run: host.Run, function: Function, frame: Frame) -> Any:
    """Run a function in a frame that holds its arguments in order.

    Raises:
        Failure: ``too_deep``, or whatever ends the function.
    """
    run.active += 1
    run.nesting += function.nesting
    if run.active > host.MAX_CALLS or run.nesting > host.MAX_NESTING:
        raise Failure("too_deep", "calls inside calls")
    function.body(frame)
    run.active -= 1
    run.nesting -= function.nesting
    return frame[RETURN_SLOT]


def _invocation(function: Function, codes: list[Code]) -> Code:
    if len(codes) == 1:
        only = codes[0]
        return lambda f: enter(f[0], function, [f[0], None, only(f), *function.blank])
    if len(codes) == 2:
        first, second = codes
        return lambda f: enter(f[0], function, [f[0], None, first(f), second(f), *function.blank])
    if len(codes) == 3:
        first, second, third = codes
        return lambda f: enter(
            f[0], function, [f[0], None, first(f), second(f), third(f), *function.blank]
        )
    return lambda f: enter(
        f[0], function, [f[0], None, *[code(f) for code in codes], *function.blank]
    )


# Methods


def _method(node: ast.Call, attribute: ast.Attribute, scope: Scope) -> Code:
    name = attribute.attr
    state = scope.state_name(attribute.value)
    if state is not None:
        return _state_method(node, name, state, scope)
    if is_view(attribute.value, scope):
        view = lower_view(attribute.value, scope)
        if name == "get":
            return _view_get(node, view, scope)
        if name in ("keys", "values", "items"):
            return owned(_value_method(node, name, view, scope))
    return _value_method(node, name, scope.lower(attribute.value), scope)


def _no_method(value: Any, name: str, count: int) -> Failure:
    return type_error(f"{kind_name(value)} has no method {name} of {count} arguments")


def _value_method(node: ast.Call, name: str, value: Code, scope: Scope) -> Code:
    codes = [scope.lower(argument) for argument in node.args]
    count = len(codes)
    table = methods.method_for(name, count)
    if name == "append":
        item = codes[0]

        def append(f: Frame) -> Any:
            target = value(f)
            if type(target) is not list:
                raise _no_method(target, name, count)
            if len(target) >= MAX_ITEMS:
                item(f)
                raise too_large("another element", MAX_ITEMS)
            target.append(item(f))

        return append
    if name == "get":
        return _dict_get(node, value, codes, scope)
    if count == 0:

        def without(f: Frame) -> Any:
            target = value(f)
            function = table.get(type(target))
            if function is None:
                raise _no_method(target, name, count)
            return function(f[0], target)

        return without
    if count == 1:
        only = codes[0]

        def with_one(f: Frame) -> Any:
            target = value(f)
            function = table.get(type(target))
            if function is None:
                raise _no_method(target, name, count)
            return function(f[0], target, only(f))

        return with_one

    def with_more(f: Frame) -> Any:
        target = value(f)
        function = table.get(type(target))
        if function is None:
            raise _no_method(target, name, count)
        return function(f[0], target, *[code(f) for code in codes])

    return with_more


def _dict_get(node: ast.Call, value: Code, codes: list[Code], scope: Scope) -> Code:
    count = len(codes)
    key = codes[0]
    default: Code = codes[1] if count == 2 else lambda _f: None
    constants = [constant_of(argument, scope) for argument in node.args]
    known = [constant[0] for constant in constants if constant is not None]
    if len(known) == count and type(known[0]) is str:
        field = known[0]
        otherwise = known[1] if count == 2 else None

        def get_field(f: Frame) -> Any:
            target = value(f)
            if type(target) is dict:
                return target.get(field, otherwise)
            raise _no_method(target, "get", count)

        return get_field

    def get(f: Frame) -> Any:
        target = value(f)
        if type(target) is dict:
            k = key(f)
            d = default(f)
            if type(k) is str:
                return target.get(k, d)
            raise type_error(f"dict keys are str, not {kind_name(k)}")
        raise _no_method(target, "get", count)

    return get


def _view_get(node: ast.Call, view: Code, scope: Scope) -> Code:
    """``get`` of a constant of the module: what it finds is copied, the default is not."""
    codes = [scope.lower(argument) for argument in node.args]
    key = codes[0]
    default: Code = codes[1] if len(codes) == 2 else lambda _f: None

    def get(f: Frame) -> Any:
        target = view(f)
        k = key(f)
        fallback = default(f)
        if type(target) is not dict:
            raise _no_method(target, "get", len(codes))
        if type(k) is not str:
            raise type_error(f"dict keys are str, not {kind_name(k)}")
        return own(f[0], target[k]) if k in target else fallback

    return get


def _state_method(node: ast.Call, name: str, state: str, scope: Scope) -> Code:
    kind = "Map" if state.endswith("/") else "Value"
    given, _ = _placed(node, STATE_METHODS[kind][name].parameters, scope)
    codes = dict(given)
    if kind == "Value":
        if name == "set":
            value = codes["value"]
            return lambda f: host.store(f[0], (f[0].prefix + state).encode(), value(f))
        return _value_get(state, codes.get("default"))
    return _map_get(state, given, codes)


def _value_get(state: str, default: Code | None) -> Code:
    def get(f: Frame) -> Any:
        run = f[0]
        fallback = default(f) if default is not None else None
        raw = host.load(run, (run.prefix + state).encode())
        return fallback if raw is None else unpack(raw)

    return get


def _map_get(state: str, given: list[tuple[str, Code]], codes: dict[str, Code]) -> Code:
    key = codes["key"]
    default = codes.get("default")
    if default is None:

        def get(f: Frame) -> Any:
            raw = host.load_entry(f[0], state, key(f))
            return None if raw is None else unpack(raw)

        return get

    if given[0][0] == "key":

        def get_or(f: Frame) -> Any:
            k = key(f)
            fallback = default(f)
            raw = host.load_entry(f[0], state, k)
            return fallback if raw is None else unpack(raw)

        return get_or

    def default_first(f: Frame) -> Any:
        fallback = default(f)
        raw = host.load_entry(f[0], state, key(f))
        return fallback if raw is None else unpack(raw)

    return default_first
