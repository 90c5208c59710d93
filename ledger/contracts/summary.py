"""What a contract offers and decides, for those who have to agree to it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Final

from ledger.contracts.annotations import REQUIRED
from ledger.contracts.checker import read_contract
from ledger.contracts.facts import FunctionFacts, ModuleFacts, Parameter
from ledger.contracts.grammar import VERDICTS
from ledger.contracts.variables import local_names

_KINDS: Final = ("init", "export", "query")
#: The verbs of verdicts, the one that prevails first.
PRECEDENCE: Final = ("forbids", "obliges", "denies", "permits", "limits", "silent")


@dataclass(frozen=True, slots=True)
class MethodSummary:
    """``signature``: name, parameters and result as the source has them, defaults included."""

    kind: str
    name: str
    signature: str
    line: int
    summary: str


@dataclass(frozen=True, slots=True)
class VerdictSummary:
    """One place that answers a request. ``rule``: its name, or "" where it is computed."""

    verb: str
    rule: str
    line: int


@dataclass(frozen=True, slots=True)
class Summary:
    """``summary``: the first line of the docstring. ``calls``: contract and method of each call
    whose names are literals, sorted. ``emits``: names of events, sorted.
    """

    summary: str
    methods: tuple[MethodSummary, ...]
    verdicts: tuple[VerdictSummary, ...]
    records: tuple[str, ...]
    codes: tuple[str, ...]
    state: tuple[str, ...]
    calls: tuple[str, ...]
    emits: tuple[str, ...]

    @property
    def verbs(self) -> dict[str, list[str]]:
        """The verbs that the contract uses, in the order of their precedence, with its rules."""
        found: dict[str, list[str]] = {}
        for verb in PRECEDENCE:
            rules = {one.rule or "(computed)" for one in self.verdicts if one.verb == verb}
            if rules:
                found[verb] = sorted(rules)
        return found


def _first_line(doc: str) -> str:
    return doc.strip().partition("\n")[0]


def _parameter(parameter: Parameter) -> str:
    text = f"{parameter.name}: {parameter.annotation.text}"
    return text if parameter.default is REQUIRED else f"{text} = {parameter.default!r}"


def _method(function: FunctionFacts) -> MethodSummary:
    parameters = ", ".join(map(_parameter, function.parameters))
    return MethodSummary(
        function.kind,
        function.name,
        f"{function.name}({parameters}) -> {function.returns}",
        function.node.lineno,
        _first_line(function.doc),
    )


def _texts(arguments: list[ast.expr]) -> list[str]:
    """The literal texts that positional arguments begin with."""
    found = []
    for argument in arguments:
        if not isinstance(argument, ast.Constant) or not isinstance(argument.value, str):
            break
        found.append(argument.value)
    return found


def _host_calls(facts: ModuleFacts, function: FunctionFacts) -> list[tuple[str, ast.Call]]:
    """Calls of what the contract imports, in the order of the source."""
    hidden = local_names(function.node) | facts.functions.keys()
    found = [
        (node.func.id, node)
        for node in ast.walk(function.node)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in facts.imports - hidden
    ]
    return sorted(found, key=lambda one: (one[1].lineno, one[1].col_offset))


def summarise(source: str) -> Summary:
    """What a contract offers and decides.

    Raises:
        InvalidContract: the source is none.
    """
    facts = read_contract(source)
    verdicts = []
    calls, emits = set(), set()
    for function in facts.functions.values():
        for name, node in _host_calls(facts, function):
            texts = _texts(node.args)
            if name in VERDICTS:
                verdicts.append(VerdictSummary(name, texts[0] if texts else "", node.lineno))
            elif name == "call" and len(texts) == 2:
                calls.add(".".join(texts))
            elif name == "emit" and texts:
                emits.add(texts[0])
    methods = [_method(one) for one in facts.functions.values() if one.kind in _KINDS]
    return Summary(
        _first_line(facts.doc),
        tuple(sorted(methods, key=lambda one: (_KINDS.index(one.kind), one.line))),
        tuple(sorted(verdicts, key=lambda one: one.line)),
        tuple(facts.records),
        tuple(facts.codes),
        tuple(sorted(f"{kind} {name}" for kind, name in facts.states.values())),
        tuple(sorted(calls)),
        tuple(sorted(emits)),
    )
