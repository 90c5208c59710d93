"""What the lowering of one function keeps track of."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from ledger.contracts.facts import ModuleFacts
from ledger.contracts.linenotes import Lines
from ledger.contracts.meter import Failure

#: A frame of a running function: the `Run`, the value to return, then the variables.
Frame = list[Any]
#: An expression or statement, lowered.
Code = Callable[[Frame], Any]

RETURN_SLOT: Final = 1
FIRST_SLOT: Final = 2

#: In the slot of a variable that has not been assigned yet.
UNBOUND: Final = object()


class Function:
    """A lowered function. ``nesting`` bounds the Python frames of its own that it has at once."""

    __slots__ = ("blank", "body", "name", "nesting")

    def __init__(self, name: str) -> None:
        self.name = name
        self.body: Code = _not_lowered
        #: What a frame has behind its arguments.
        self.blank: list[Any] = []
        self.nesting = 0


def _not_lowered(_frame: Frame) -> Any:
    raise AssertionError("a function that is not lowered yet")


def unbound(name: str) -> Failure:
    return Failure("name_error", f"{name} has no value yet")


class Scope:
    """Slots, nesting and cost of the function being lowered.

    ``assigned``: variables that certainly have a value at the present point; ``ended``: whether
    that point cannot be reached. ``nodes`` counts the nodes of the present block, which is what
    entering it costs. ``lines``: where to note what runs, or None.
    """

    def __init__(
        self,
        facts: ModuleFacts,
        functions: dict[str, Function],
        names: list[str],
        parameters: int,
        expressions: Mapping[type[ast.expr], Callable[[Any, Scope], Code]],
        lines: Lines | None = None,
    ) -> None:
        self._expressions = expressions
        self.lines = lines
        self.facts = facts
        self.functions = functions
        self.slots = {name: FIRST_SLOT + place for place, name in enumerate(names)}
        self.size = FIRST_SLOT + len(names)
        self.assigned = set(names[:parameters])
        self.ended = False
        self.hidden: list[dict[str, int]] = []
        self.nodes = 0
        self.depth = 0
        self.deepest = 0

    def new_slot(self) -> int:
        self.size += 1
        return self.size - 1

    def variables_beyond(self, parameters: int) -> int:
        """How many variables a frame holds besides the parameters."""
        return self.size - FIRST_SLOT - parameters

    def slot(self, name: str) -> int | None:
        """The slot of a variable, or None where the name is not one."""
        for names in reversed(self.hidden):
            if name in names:
                return names[name]
        return self.slots.get(name)

    def is_assigned(self, name: str) -> bool:
        """Whether a variable certainly has a value; targets of comprehensions always have."""
        return any(name in names for names in self.hidden) or name in self.assigned

    def variable(self, node: ast.expr) -> int | None:
        """The slot of an expression that is a variable which certainly has a value, or None."""
        if isinstance(node, ast.Name) and self.is_assigned(node.id):
            return self.slot(node.id)
        return None

    def state_name(self, node: ast.expr) -> str | None:
        """The key prefix behind a state object's name: the entry's name, with "/" for a Map."""
        if isinstance(node, ast.Name) and self.slot(node.id) is None:
            state = self.facts.states.get(node.id)
            if state is not None:
                return state[1] + "/" if state[0] == "Map" else state[1]
        return None

    def lower(self, node: ast.expr) -> Code:
        """The closure of an expression."""
        self.nodes += 1
        with self.deeper():
            return self._expressions[type(node)](node, self)

    @contextmanager
    def deeper(self, levels: int = 1) -> Iterator[None]:
        """Lower something that runs that many Python frames further in."""
        self.depth += levels
        self.deepest = max(self.deepest, self.depth)
        yield
        self.depth -= levels

    @contextmanager
    def counting(self) -> Iterator[list[int]]:
        """Count the nodes of a block of its own; the list holds the count afterwards."""
        outside, self.nodes = self.nodes, 0
        count = [0]
        yield count
        count[0], self.nodes = self.nodes, outside
