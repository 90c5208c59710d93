"""Annotations: what they may say, and whether a value fits one.

``T := None | int | str | bool | bytes | object | list | dict | tuple | list[T] | dict[str, T]
| tuple[T, ...names] | T "|" T``. ``object`` is any value. bool is not an int here, although it is
one for Python.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

Fits = Callable[[Any], bool]

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


@dataclass(frozen=True, slots=True)
class Annotation:
    """``text`` as an author writes it; ``fits`` tells whether a value is one."""

    text: str
    fits: Fits


def _exactly(kind: type) -> Fits:
    return lambda value: type(value) is kind


ANYTHING: Final = Annotation("object", lambda _value: True)
_NONE: Final = Annotation("None", lambda value: value is None)
_SIMPLE: Final = {name: Annotation(name, _exactly(kind)) for name, kind in _EXACT.items()} | {
    "object": ANYTHING
}


def _either(left: Annotation, right: Annotation) -> Annotation:
    first, second = left.fits, right.fits
    return Annotation(f"{left.text} | {right.text}", lambda value: first(value) or second(value))


def _list_of(item: Annotation) -> Annotation:
    fits = item.fits
    return Annotation(
        f"list[{item.text}]",
        lambda value: type(value) is list and all(map(fits, value)),
    )


def _dict_of(item: Annotation) -> Annotation:
    fits = item.fits
    return Annotation(
        f"dict[str, {item.text}]",
        lambda value: type(value) is dict and all(map(fits, value.values())),
    )


def _tuple_of(items: list[Annotation]) -> Annotation:
    tests = [item.fits for item in items]
    return Annotation(
        f"tuple[{', '.join(item.text for item in items)}]",
        lambda value: (
            type(value) is tuple
            and len(value) == len(tests)
            and all(fits(element) for fits, element in zip(tests, value, strict=True))
        ),
    )


def _subscripted(node: ast.Subscript) -> Annotation | None:
    name = node.value.id if isinstance(node.value, ast.Name) else ""
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    items = [read_annotation(item) for item in inner]
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


def read_annotation(node: ast.expr) -> Annotation | None:
    """The annotation that an expression stands for, or None where it is none of ours."""
    if isinstance(node, ast.Constant) and node.value is None:
        return _NONE
    if isinstance(node, ast.Name):
        return _SIMPLE.get(node.id)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        left, right = read_annotation(node.left), read_annotation(node.right)
        return None if left is None or right is None else _either(left, right)
    if isinstance(node, ast.Subscript):
        return _subscripted(node)
    return None
