"""Literals of the source: values that are known before anything runs."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from ledger.chain.codec import MAX_INT, MIN_INT
from ledger.contracts.values import MAX_KEY

#: The value of an expression that is no plain literal; raises `ValueError` where it has none.
Special = Callable[[ast.expr], Any]


def _nothing_special(_node: ast.expr) -> Any:
    raise ValueError


def read_literal(node: ast.expr, special: Special = _nothing_special) -> Any:
    """The value of a literal expression; ``special`` is asked about everything that is not plain.

    Raises:
        ValueError: it is no literal, or not of values that a contract has.
    """
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        if isinstance(node.operand, ast.Constant) and type(node.operand.value) is int:
            if -node.operand.value < MIN_INT:
                raise ValueError
            return -node.operand.value
        raise ValueError
    if isinstance(node, ast.Constant):
        value = node.value
        if type(value) is int and value > MAX_INT:
            raise ValueError
        if value is not None and type(value) not in (bool, int, str, bytes):
            raise ValueError
        return value
    if isinstance(node, ast.List):
        return [read_literal(item, special) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple([read_literal(item, special) for item in node.elts])
    if isinstance(node, ast.Dict):
        keys = [read_literal(key, special) if key is not None else None for key in node.keys]
        if any(type(key) is not str or len(key) > MAX_KEY for key in keys):
            raise ValueError
        return dict(zip(keys, [read_literal(value, special) for value in node.values], strict=True))
    return special(node)
