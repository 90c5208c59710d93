"""What a contract decides, as a tree: its conditions in the words of the source, and its verdicts.

Read from the checked source, never from a run. Functions that give verdicts are read where they
are called, so the tree of ``decide`` holds every verdict that can come out of it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.contracts.checker import read_contract
from ledger.contracts.facts import FunctionFacts, ModuleFacts
from ledger.contracts.grammar import VERDICTS

_SPACES: Final = re.compile(r"\s+")
#: ``request["kind"]`` is read as ``kind``.
_FACT: Final = re.compile(r"""\brequest\[(["'])([a-z_]+)\1\]""")
_COMMA: Final = re.compile(r",\s*([)\]}])")
_OPENING: Final = re.compile(r"([(\[{]) ")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A verdict. ``rule`` is its name, or the words of the source where it is put together;
    ``fields``: the other arguments in the words of the source, in order."""

    line: int
    effect: str
    rule: str
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Step:
    """Something that is done on the way: an assignment, a requirement, an end of another kind.
    ``inside``: what is decided within it."""

    line: int
    text: str
    inside: tuple[Node, ...] = ()
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """A condition, and what follows where it is true."""

    line: int
    text: str
    then: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """Conditions that are tried in order, and what follows where none is true."""

    cases: tuple[Case, ...]
    otherwise: tuple[Node, ...] = ()

    @property
    def line(self) -> int:
        return self.cases[0].line


@dataclass(frozen=True, slots=True)
class Loop:
    """Something that is done for each, or while something is true."""

    line: int
    text: str
    body: tuple[Node, ...]


Node = Leaf | Step | Branch | Loop


@dataclass(frozen=True, slots=True)
class Tree:
    """``doc``: the first paragraph of the function's docstring. ``constants``: those that it names,
    by name. ``helpers``: functions whose answers it uses, with the first paragraph of theirs."""

    function: str
    doc: str
    nodes: tuple[Node, ...]
    constants: dict[str, Any] = field(default_factory=dict)
    helpers: dict[str, str] = field(default_factory=dict)

    def leaves(self) -> Iterator[Leaf]:
        """Every verdict, in the order of the source's reading."""
        yield from leaves(self.nodes)


class NoSuchFunction(ValueError):
    """The contract has no function of that name."""


def leaves(nodes: tuple[Node, ...]) -> Iterator[Leaf]:
    """Every verdict in some nodes."""
    for node in nodes:
        match node:
            case Leaf():
                yield node
            case Step():
                yield from leaves(node.inside)
            case Branch():
                for each in node.cases:
                    yield from leaves(each.then)
                yield from leaves(node.otherwise)
            case Loop():
                yield from leaves(node.body)


def ends(nodes: tuple[Node, ...]) -> bool:
    """Whether what follows the nodes is never reached."""
    if not nodes:
        return False
    last = nodes[-1]
    match last:
        case Leaf():
            return True
        case Step():
            return last.ends
        case Branch():
            return ends(last.otherwise) and all(ends(each.then) for each in last.cases)
        case Loop():
            return False


def read_tree(source: str, function: str = "decide") -> Tree:
    """The tree of one function of a contract.

    Raises:
        InvalidContract: the source is no contract.
        NoSuchFunction: it has no function of that name.
    """
    facts = read_contract(source)
    found = facts.functions.get(function)
    if found is None:
        raise NoSuchFunction(f"the contract has no function {function}")
    reader = _Reader(source, facts)
    nodes = reader.function(found)
    used = {name: facts.constants[name] for name in facts.constants if name in reader.named}
    helpers = {
        name: _paragraph(helper.doc)
        for name, helper in facts.functions.items()
        if name in reader.named and name not in reader.read
    }
    return Tree(function, _paragraph(found.doc), nodes, used, helpers)


def _paragraph(doc: str) -> str:
    """The first paragraph of a docstring, on one line."""
    return _SPACES.sub(" ", doc.strip().partition("\n\n")[0])


class _Reader:
    """Turns the statements of functions into nodes. ``named``: every name that was met; ``read``:
    the functions whose trees stand in the result."""

    def __init__(self, source: str, facts: ModuleFacts) -> None:
        self._source = source
        self._facts = facts
        self._open: list[str] = []
        self.named: set[str] = set()
        self.read: set[str] = set()

    def function(self, function: FunctionFacts) -> tuple[Node, ...]:
        self._open.append(function.name)
        self.read.add(function.name)
        nodes = self._block(function.node.body)
        self._open.pop()
        return nodes

    def _words(self, node: ast.AST) -> str:
        """The source of an expression on one line, with facts of the request by their names."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name):
                self.named.add(inner.id)
        text = ast.get_source_segment(self._source, node) or ast.unparse(node)
        text = _SPACES.sub(" ", text)
        return _OPENING.sub(r"\1", _COMMA.sub(r"\1", _FACT.sub(r"\2", text))).replace(" )", ")")

    def _block(self, statements: list[ast.stmt]) -> tuple[Node, ...]:
        nodes: list[Node] = []
        for statement in statements:
            nodes += self._statement(statement)
        return tuple(nodes)

    def _statement(self, node: ast.stmt) -> list[Node]:
        line = node.lineno
        match node:
            case ast.Expr(value=ast.Constant()) | ast.Pass():
                return []
            case ast.If():
                return [self._if(node)]
            case ast.For():
                text = f"for each {self._words(node.target)} in {self._words(node.iter)}"
                return [Loop(line, text, self._block(node.body))]
            case ast.While():
                return [Loop(line, f"while {self._words(node.test)}", self._block(node.body))]
            case ast.Return():
                return self._answer(node.value, line)
            case ast.Break():
                return [Step(line, "leave the loop", ends=True)]
            case ast.Continue():
                return [Step(line, "go on with the next", ends=True)]
            case _:
                return [self._step(node)]

    def _if(self, node: ast.If) -> Branch:
        cases = []
        while True:
            then = self._block(node.body)
            cases.append(Case(node.test.lineno, self._words(node.test), then))
            if len(node.orelse) != 1 or not isinstance(node.orelse[0], ast.If):
                return Branch(tuple(cases), self._block(node.orelse))
            node = node.orelse[0]

    def _answer(self, value: ast.expr | None, line: int) -> list[Node]:
        """What a ``return`` gives."""
        match value:
            case ast.IfExp():
                case = Case(line, self._words(value.test), tuple(self._answer(value.body, line)))
                return [Branch((case,), tuple(self._answer(value.orelse, line)))]
            case ast.Call(func=ast.Name(id=name)):
                if self._is_verdict(value):
                    return [self._verdict(value, VERDICTS[name])]
                called = self._facts.functions.get(name)
                if called is not None and self._speaks(called) and name not in self._open:
                    step = Step(line, f"as {self._words(value)} says", ends=False)
                    return [step, *self.function(called)]
                for argument in value.args:
                    # Only wrapped up by the function, like a decision of one rule alone.
                    if self._is_verdict(argument):
                        return self._answer(argument, line)
        text = "nothing" if value is None else self._words(value)
        return [Step(line, f"answer {text}", self._inside(value), ends=True)]

    def _step(self, node: ast.stmt) -> Step:
        return Step(node.lineno, self._words(node), self._inside(node))

    def _inside(self, node: ast.AST | None) -> tuple[Node, ...]:
        """The trees of the functions and the verdicts that a statement uses on its way."""
        found: list[Node] = []
        for inner in ast.walk(node) if node is not None else ():
            if not isinstance(inner, ast.Call) or not isinstance(inner.func, ast.Name):
                continue
            name = inner.func.id
            called = self._facts.functions.get(name)
            if self._is_verdict(inner):
                found.append(self._verdict(inner, VERDICTS[name]))
            elif called is not None and self._speaks(called) and name not in self._open:
                found += self.function(called)
        return tuple(found)

    def _is_verdict(self, node: ast.AST) -> bool:
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in VERDICTS
            and node.func.id in self._facts.imports
        )

    def _verdict(self, call: ast.Call, effect: str) -> Leaf:
        rule = call.args[0]
        text = rule.value if isinstance(rule, ast.Constant) else self._words(rule)
        fields = tuple((keyword.arg or "", self._words(keyword.value)) for keyword in call.keywords)
        return Leaf(call.lineno, effect, str(text), fields)

    def _speaks(self, function: FunctionFacts, seen: frozenset[str] = frozenset()) -> bool:
        """Whether a function, or one that it calls, gives a verdict."""
        names = {
            inner.func.id
            for inner in ast.walk(function.node)
            if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name)
        }
        if names & VERDICTS.keys() & self._facts.imports:
            return True
        return any(
            self._speaks(self._facts.functions[name], seen | {function.name})
            for name in names & self._facts.functions.keys()
            if name not in seen and name != function.name
        )
