"""What the sources of the library's contracts say, without running them."""

from __future__ import annotations

import ast
from typing import Any

from ledger.contracts.sources import library_source


def constant(contract: str, name: str) -> Any:
    """The value of a module constant of a library contract."""
    for statement in ast.parse(library_source(contract)).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == name:
            return ast.literal_eval(statement.value)
    raise AssertionError(f"{contract} has no constant {name}")
