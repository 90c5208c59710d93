"""Which names an assignment, and a function, binds."""

from __future__ import annotations

import ast
from collections.abc import Iterable


def names_in_target(target: ast.expr) -> Iterable[str]:
    """The names that an assignment target binds."""
    if isinstance(target, ast.Name):
        yield target.id
    elif isinstance(target, ast.Tuple | ast.List):
        for item in target.elts:
            yield from names_in_target(item)


def local_names(function: ast.FunctionDef) -> set[str]:
    """Parameters and every name that the function assigns; targets of comprehensions are not."""
    names = {argument.arg for argument in function.args.args}
    waiting: list[ast.stmt] = list(function.body)
    while waiting:
        statement = waiting.pop()
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                names.update(names_in_target(target))
        elif isinstance(statement, ast.AugAssign | ast.AnnAssign):
            names.update(names_in_target(statement.target))
        elif isinstance(statement, ast.For):
            names.update(names_in_target(statement.target))
            waiting.extend(statement.body)
        elif isinstance(statement, ast.While):
            waiting.extend(statement.body)
        elif isinstance(statement, ast.If):
            waiting.extend(statement.body)
            waiting.extend(statement.orelse)
    return names
