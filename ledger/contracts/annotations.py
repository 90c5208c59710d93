"""Annotations: what they may say, and whether a value fits one.

``T := None | int | str | bool | bytes | object | list | dict | tuple | list[T] | dict[str, T]
| tuple[T, ...names] | T "|" T``, and ``decimal`` and the records of the contract. ``object`` is any
value. bool is not an int here, although it is one for Python.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.contracts.decimals import DecimalValue, parse
from ledger.contracts.meter import DECIMAL_TEXT, Meter

Fits = Callable[[Any], bool]
#: Whether a value of a running contract is one, paid for by what is looked at.
Holds = Callable[[Meter, Any], bool]
#: The value that a plain one stands for, or `UNFIT`; paid for as well.
Read = Callable[[Meter, Any], Any]

#: Stands for a default that is not there.
REQUIRED: Final = object()
#: What `Read` gives for a value that does not fit.
UNFIT: Final = object()

_EXACT: Final[dict[str, type]] = {
    "int": int,
    "str": str,
    "bool": bool,
    "bytes": bytes,
    "list": list,
    "dict": dict,
    "tuple": tuple,
}
NAMES: Final = frozenset(_EXACT) | {"object"}
#: The types that a contract has beyond `NAMES`: those of its records, and what it imports.
Types = Mapping[str, "Annotation"]


@dataclass(frozen=True, slots=True)
class Annotation:
    """``text`` as an author writes it; ``fits`` tells whether a plain value is one.

    ``holds`` and ``read`` are for values that may be, or contain, records and decimals: the first
    tells whether a value is one, the second makes it of what stands for it outside the contract.
    ``plain``: there are no records and decimals in it, so that reading is fitting. ``exact``: the
    type that decides, where one does.
    """

    text: str
    fits: Fits
    holds: Holds
    read: Read
    plain: bool = True
    exact: type | None = None


def _simple(text: str, fits: Fits, exact: type | None = None) -> Annotation:
    return Annotation(
        text,
        fits,
        lambda _meter, value: fits(value),
        lambda _meter, value: value if fits(value) else UNFIT,
        exact=exact,
    )


def _exactly(kind: type) -> Fits:
    return lambda value: type(value) is kind


ANYTHING: Final = _simple("object", lambda _value: True)
_NONE: Final = _simple("None", lambda value: value is None, type(None))
_SIMPLE: Final = {name: _simple(name, _exactly(kind), kind) for name, kind in _EXACT.items()} | {
    "object": ANYTHING
}


def _read_decimal(meter: Meter, value: Any) -> Any:
    if type(value) is not str:
        return UNFIT
    meter.charge(DECIMAL_TEXT)
    made = parse(value)
    return UNFIT if made is None else made


DECIMAL: Final = Annotation(
    "decimal",
    lambda _value: False,
    lambda _meter, value: type(value) is DecimalValue,
    _read_decimal,
    plain=False,
    exact=DecimalValue,
)


def _either(left: Annotation, right: Annotation) -> Annotation:
    first, second = left.fits, right.fits

    def holds(meter: Meter, value: Any) -> bool:
        if left.holds(meter, value):
            return True
        meter.charge(1)
        return right.holds(meter, value)

    def read(meter: Meter, value: Any) -> Any:
        made = left.read(meter, value)
        if made is not UNFIT:
            return made
        meter.charge(1)
        return right.read(meter, value)

    return Annotation(
        f"{left.text} | {right.text}",
        lambda value: first(value) or second(value),
        holds,
        read,
        left.plain and right.plain,
    )


def _list_of(item: Annotation) -> Annotation:
    fits = item.fits

    def holds(meter: Meter, value: Any) -> bool:
        if type(value) is not list:
            return False
        meter.charge(len(value))
        return all(item.holds(meter, element) for element in value)

    def read(meter: Meter, value: Any) -> Any:
        if item.plain:
            return value if holds(meter, value) else UNFIT
        if type(value) is not list:
            return UNFIT
        meter.charge(len(value))
        made = []
        for element in value:
            one = item.read(meter, element)
            if one is UNFIT:
                return UNFIT
            made.append(one)
        return made

    return Annotation(
        f"list[{item.text}]",
        lambda value: type(value) is list and all(map(fits, value)),
        holds,
        read,
        item.plain,
    )


def _dict_of(item: Annotation) -> Annotation:
    fits = item.fits

    def holds(meter: Meter, value: Any) -> bool:
        if type(value) is not dict:
            return False
        meter.charge(len(value))
        return all(item.holds(meter, element) for element in value.values())

    def read(meter: Meter, value: Any) -> Any:
        if item.plain:
            return value if holds(meter, value) else UNFIT
        if type(value) is not dict:
            return UNFIT
        meter.charge(len(value))
        made = {}
        for key, element in value.items():
            one = item.read(meter, element)
            if one is UNFIT:
                return UNFIT
            made[key] = one
        return made

    return Annotation(
        f"dict[str, {item.text}]",
        lambda value: type(value) is dict and all(map(fits, value.values())),
        holds,
        read,
        item.plain,
    )


def _tuple_of(items: list[Annotation]) -> Annotation:
    def fits(value: Any) -> bool:
        return (
            type(value) is tuple
            and len(value) == len(items)
            and all(item.fits(element) for item, element in zip(items, value, strict=True))
        )

    def holds(meter: Meter, value: Any) -> bool:
        return (
            type(value) is tuple
            and len(value) == len(items)
            and all(item.holds(meter, element) for item, element in zip(items, value, strict=True))
        )

    # Nothing outside a contract is a tuple.
    return Annotation(
        f"tuple[{', '.join(item.text for item in items)}]",
        fits,
        holds,
        lambda meter, value: value if holds(meter, value) else UNFIT,
        all(item.plain for item in items),
    )


def _subscripted(node: ast.Subscript, types: Types) -> Annotation | None:
    name = node.value.id if isinstance(node.value, ast.Name) else ""
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    items = [read_annotation(item, types) for item in inner]
    if not items or None in items:
        return None
    known = [item for item in items if item is not None]
    if name == "list" and len(known) == 1:
        return _list_of(known[0])
    if name == "dict" and len(known) == 2 and known[0].text == "str":
        return _dict_of(known[1])
    if name == "tuple":
        return _tuple_of(known)
    return None


def read_annotation(node: ast.expr, types: Types) -> Annotation | None:
    """The annotation that an expression stands for, or None where it is none of ours."""
    if isinstance(node, ast.Constant) and node.value is None:
        return _NONE
    if isinstance(node, ast.Name):
        return _SIMPLE.get(node.id) or types.get(node.id)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        left, right = read_annotation(node.left, types), read_annotation(node.right, types)
        return None if left is None or right is None else _either(left, right)
    if isinstance(node, ast.Subscript):
        return _subscripted(node, types)
    return None
