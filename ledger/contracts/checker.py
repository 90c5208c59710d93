"""Whether a source is a contract: an allow-list of Python, checked before anything is lowered.

What is not named is refused. The checks run from the outside in, and each stage only sees what the
stages before it let through: characters and literals (`sourcetext`), CPython's parser, size and
nesting, the top level of the module (`toplevel`), the bodies of its functions (`bodies`).
"""

from __future__ import annotations

import ast
import warnings
from typing import Final

from ledger.contracts.bodies import check_bodies
from ledger.contracts.facts import Findings, ModuleFacts
from ledger.contracts.problems import InvalidContract, Problem
from ledger.contracts.sourcetext import check_text
from ledger.contracts.toplevel import read_module

#: The version of Python's grammar that newer parsers are held to.
GRAMMAR: Final = (3, 11)
MAX_NODES: Final = 20_000
MAX_EXPRESSION_DEPTH: Final = 40
MAX_BLOCK_DEPTH: Final = 16
MAX_BRANCHES: Final = 100


def parse(source: str) -> ast.Module:
    """CPython's tree of a source that `check_text` has passed.

    The parser's own message depends on its version and is not passed on.

    Raises:
        InvalidContract: with one problem, E003 or E005.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source, feature_version=GRAMMAR)
    except SyntaxError as error:
        line, column = error.lineno or 1, error.offset or 1
        problem = Problem(line, max(column, 1), "E003", "this is not Python")
    except (RecursionError, MemoryError, OverflowError, ValueError, SystemError):
        problem = Problem(1, 1, "E005", "nested too deep for the parser")
    raise InvalidContract([problem])


def measure(tree: ast.Module) -> Problem | None:
    """Refuse a tree that is too large or too deep. Walks without recursion."""
    nodes = 0
    # A node with the number of blocks, branches of its if-chain, and expressions around it.
    waiting: list[tuple[ast.AST, int, int, int]] = [(tree, 0, 0, 0)]
    while waiting:
        node, blocks, branches, depth = waiting.pop()
        nodes += 1
        if nodes > MAX_NODES:
            return Problem(1, 1, "E004", f"more than {MAX_NODES} nodes")
        if isinstance(node, ast.stmt):
            blocks, depth = blocks + 1, 0
        elif isinstance(node, ast.expr | ast.comprehension):
            depth += 1
        if depth > MAX_EXPRESSION_DEPTH or blocks > MAX_BLOCK_DEPTH or branches > MAX_BRANCHES:
            line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1
            return Problem(line, column, "E005", "nested too deep", "use a helper function")
        chained = isinstance(node, ast.If) and len(node.orelse) == 1 and node.orelse[0]
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr_context | ast.operator | ast.unaryop | ast.cmpop):
                continue
            if isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant):
                continue
            if child is chained and isinstance(child, ast.If):
                waiting.append((child, blocks - 1, branches + 1, depth))
            else:
                waiting.append((child, blocks, 0, depth))
    return None


def read_contract(source: str) -> ModuleFacts:
    """The checked facts of a contract; raises `InvalidContract` with everything that is wrong."""
    problems = check_text(source)
    if problems:
        raise InvalidContract(sorted(problems))
    tree = parse(source)
    fault = measure(tree)
    if fault is not None:
        raise InvalidContract([fault])
    findings = Findings()
    facts = read_module(tree, findings)
    check_bodies(facts, findings)
    if findings.problems:
        raise InvalidContract(sorted(findings.problems))
    return facts


def check(source: str) -> list[Problem]:
    """Everything that keeps a source from being a contract, in source order; empty: it is one."""
    try:
        read_contract(source)
    except InvalidContract as error:
        return list(error.problems)
    return []
