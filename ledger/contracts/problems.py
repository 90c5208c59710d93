"""What can be wrong with the source of a contract. Codes are stable: tools may rely on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CODES: Final[dict[str, str]] = {
    "E001": "the source is too large",
    "E002": "a character that does not belong in a contract",
    "E003": "not Python",
    "E004": "too many nodes",
    "E005": "nested too deep",
    "E006": "a form of string literal that the language leaves out",
    "E007": "a form of number that the language leaves out",
    "E010": "a statement that cannot stand at the top level of a contract",
    "E011": "an import other than of names from ledger.contracts.prelude",
    "E012": "a name that the prelude does not have",
    "E013": "a module constant that is not a literal",
    "E014": "a state declaration that is not well-formed",
    "E015": "a name defined twice",
    "E016": "a decorator other than one of init, export and query",
    "E017": "a form of parameter that the language leaves out",
    "E018": "a missing annotation",
    "E019": "an annotation that is none of the known types",
    "E020": "a default that is not a literal",
    "E021": "a contract with several inits, or with no method",
    "E022": "a record or enumeration that is not well-formed",
    "E030": "a statement that the language leaves out",
    "E031": "an expression that the language leaves out",
    "E032": "an operator that the language leaves out",
    "E033": "a name that cannot be used here",
    "E034": "an unknown name",
    "E035": "a function, type or state object used as a value",
    "E036": "a call of something that is not a known function",
    "E037": "arguments that do not fit the function",
    "E038": "a method that no value has",
    "E039": "an attribute",
    "E040": "a query that writes",
    "E041": "something that cannot be assigned to",
    "E042": "a code that the enumeration does not have",
}


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One finding: ``line`` from 1, ``column`` from 1 in characters."""

    line: int
    column: int
    code: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.line}:{self.column}: {self.code} {self.message}{hint}"


class InvalidContract(ValueError):
    """Source that is not a contract; ``problems`` has at least one entry, in source order."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, problems)))
