"""From source to a program that the machine can run.

Nothing of CPython's compiler takes part: the tree that the checker accepted is lowered to closures
of this package, and only they run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ledger.contracts.annotations import REQUIRED, UNFIT
from ledger.contracts.calls import enter
from ledger.contracts.checker import read_contract
from ledger.contracts.expressions import EXPRESSIONS
from ledger.contracts.facts import FunctionFacts, ModuleFacts, Parameter
from ledger.contracts.host import Run
from ledger.contracts.linenotes import Lines
from ledger.contracts.meter import FUNCTION_CALL, Failure
from ledger.contracts.problems import InvalidContract
from ledger.contracts.scope import UNBOUND, Frame, Function, Scope
from ledger.contracts.statements import lower_block
from ledger.contracts.values import copy
from ledger.contracts.variables import local_names

__all__ = ["InvalidContract", "Method", "Program", "compile_contract"]

#: Python frames between a call and the first block of the function, and below the last one.
_ENTRY_FRAMES: Final = 3


@dataclass(frozen=True, slots=True)
class Method:
    """What callers may know of an init, export or query. ``returns``: an annotation as text."""

    kind: str
    parameters: tuple[Parameter, ...]
    returns: str
    doc: str


def _read(run: Run, method: str, parameter: Parameter, value: Any) -> Any:
    """An argument that stands for a value of a type of the contract's own.

    Raises:
        Failure: ``bad_arguments`` where it does not.
    """
    annotation = parameter.annotation
    made = UNFIT if annotation.plain else annotation.read(run, value)
    if made is UNFIT:
        raise Failure("bad_arguments", f"{parameter.name} of {method} is not a {annotation.text}")
    return made


class Program:
    """A compiled contract. It holds no state and may be run any number of times."""

    def __init__(self, facts: ModuleFacts, functions: dict[str, Function]) -> None:
        self.doc = facts.doc
        self.methods = {
            name: Method(function.kind, function.parameters, function.returns, function.doc)
            for name, function in facts.functions.items()
            if function.kind != "private"
        }
        self._entries = {
            name: (
                functions[name],
                [(known.name, known.annotation.fits, known) for known in method.parameters],
            )
            for name, method in self.methods.items()
        }

        #: The name of the method that founds the contract.
        self.init = next(
            (name for name, known in self.methods.items() if known.kind == "init"), None
        )

    def kind(self, method: str) -> str | None:
        """init, export or query; None where there is no such method."""
        found = self.methods.get(method)
        return found.kind if found else None

    def enter(self, run: Run, method: str, arguments: dict[str, Any]) -> Any:
        """Run a method that exists. The arguments become the contract's own.

        Raises:
            Failure: ``bad_arguments``, or whatever ends the method.
        """
        function, parameters = self._entries[method]
        run.charge(FUNCTION_CALL)
        frame: Frame = [run, None]
        known = 0
        for name, fits, parameter in parameters:
            if name in arguments:
                value = arguments[name]
                known += 1
                if not fits(value):
                    value = _read(run, method, parameter, value)
            elif parameter.default is REQUIRED:
                raise Failure("bad_arguments", f"{method} needs {name}")
            else:
                value = copy(parameter.default)
            frame.append(value)
        if known != len(arguments):
            raise Failure("bad_arguments", f"{method} takes {len(parameters)} named arguments")
        frame += function.blank
        return enter(run, function, frame)


def _lower_function(
    facts: FunctionFacts,
    module: ModuleFacts,
    functions: dict[str, Function],
    lines: Lines | None,
) -> None:
    parameters = [parameter.name for parameter in facts.parameters]
    others = sorted(local_names(facts.node) - set(parameters))
    scope = Scope(module, functions, parameters + others, len(parameters), EXPRESSIONS, lines)
    body = lower_block(facts.node.body, scope)
    function = functions[facts.name]
    function.body = body
    function.blank = [UNBOUND] * scope.variables_beyond(len(parameters))
    function.nesting = scope.deepest + _ENTRY_FRAMES


def compile_contract(source: str, lines: Lines | None = None) -> Program:
    """Compile the source of a contract; with ``lines``, to a program that notes what runs.

    Raises:
        InvalidContract: with everything that is wrong.
    """
    facts = read_contract(source)
    functions = {name: Function(name) for name in facts.functions}
    for function in facts.functions.values():
        _lower_function(function, facts, functions, lines)
    return Program(facts, functions)
