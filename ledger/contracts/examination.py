"""What a node can say about a source before anybody runs it, as contracts see it.

Every node must come to the same answer, so it has less in it than `ledger.contracts.checker` tells
an author: where CPython's parser refuses a source, its line depends on the version, and columns
inside f-strings do too. Codes and lines of everything else do not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from ledger.contracts.checker import read_contract
from ledger.contracts.grammar import VERDICTS
from ledger.contracts.problems import InvalidContract
from ledger.contracts.stack import fresh_stack

#: What checking costs for each word; measured at up to 7 µs on the machines of 2026.
WORD_GAS: Final = 100
#: What an examination costs whatever is examined: it has a stack of its own.
BASE_GAS: Final = 1_000
#: Problems that are named; a source with more is no better understood by more of them.
MAX_PROBLEMS: Final = 20

_WORD: Final = re.compile(r"[A-Za-z0-9_]+|[^A-Za-z0-9_ \n]")
_NOT_PYTHON: Final = "E003"


def price(source: str) -> int:
    """Gas of an examination: `BASE_GAS`, 1 for each character, `WORD_GAS` for each word.

    A word is a run of ASCII letters, digits and ``_`` as long as can be, or any other character
    that is neither a blank nor the end of a line.
    """
    return BASE_GAS + len(source) + WORD_GAS * sum(1 for _ in _WORD.finditer(source))


@dataclass(frozen=True, slots=True)
class _Examined:
    """The answer for one source: small, so that it can be kept."""

    problems: tuple[tuple[str, int], ...]
    init: str = ""
    methods: tuple[tuple[str, str], ...] = ()
    verdicts: tuple[str, ...] = ()


@lru_cache(maxsize=16)
def _examined(source: str) -> _Examined:
    """On a stack of its own: how deep the caller is must not decide what is too deep."""
    try:
        facts = fresh_stack(lambda: read_contract(source))
    except InvalidContract as error:
        found = {
            (0 if problem.code == _NOT_PYTHON else problem.line, problem.code)
            for problem in error.problems
        }
        return _Examined(tuple([(code, line) for line, code in sorted(found)[:MAX_PROBLEMS]]))
    kinds = [(name, function.kind) for name, function in facts.functions.items()]
    return _Examined(
        (),
        "".join([name for name, kind in kinds if kind == "init"]),
        tuple([pair for pair in kinds if pair[1] not in ("init", "private")]),
        tuple([verb for verb in VERDICTS if verb in facts.imports]),
    )


def examine(source: str) -> dict[str, Any]:
    """A fresh dict with ``problems`` (each ``{"code", "line"}``; none: it is a contract),
    ``bytes``, ``init`` (its name or ""), ``methods`` (name to export or query) and ``verdicts``
    (the verbs by which it can answer a request)."""
    found = _examined(source)
    return {
        "problems": [{"code": code, "line": line} for code, line in found.problems],
        "bytes": len(source.encode()),
        "init": found.init,
        "methods": dict(found.methods),
        "verdicts": list(found.verdicts),
    }
