"""The values of a scenario's arguments: texts, numbers, times, lists, and references.

Reading them is pure; what a reference stands for is known only while a scenario is played.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

#: What a text in front of round brackets can stand for; `ledger.scenario.resolving` knows how.
REFERENCES: Final = (
    "record", "name", "pointer", "labels", "digest", "form", "hash", "hex", "request", "result",
    "key", "bytes", "token", "labelkey", "month", "block",
)  # fmt: skip

UNITS: Final = {
    "ms": 1, "s": 1_000, "second": 1_000, "seconds": 1_000,
    "min": 60_000, "minute": 60_000, "minutes": 60_000,
    "h": 3_600_000, "hour": 3_600_000, "hours": 3_600_000,
    "day": 86_400_000, "days": 86_400_000,
    "week": 7 * 86_400_000, "weeks": 7 * 86_400_000,
    "year": 365 * 86_400_000, "years": 365 * 86_400_000,
}  # fmt: skip

#: Brackets within brackets, at most.
DEEPEST: Final = 8

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<comment>(?:(?<=\s)|(?<=^))\#.*)
      | "(?P<text>(?:[^"\\]|\\["\\])*)"
      | (?P<arrow>->)
      | (?P<word>(?:[^\s\[\](){},:="\#]|:(?=[^\s\[\](){},:="\#]))+)
      | (?P<mark>[\[\](){},:=])
    )""",
    re.VERBOSE,
)
_DURATION = re.compile(r"(?P<sign>[+-]?)(?P<number>\d+(?:\.\d+)?)(?P<unit>[a-z]+)")


class Unreadable(ValueError):
    """Words that are no value, or no line. The message says what was expected."""


@dataclass(frozen=True, slots=True)
class Token:
    """``kind``: text (was quoted), word, mark or arrow."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f'"{self.text}"' if self.kind == "text" else self.text


@dataclass(frozen=True, slots=True)
class Moment:
    """So many milliseconds after the block time, or before if negative."""

    offset: int


@dataclass(frozen=True, slots=True)
class Person:
    """The id on the chain of somebody with this label."""

    label: str


@dataclass(frozen=True, slots=True)
class Reference:
    """What has a name in the scenario: ``record(ecg-1)``, ``form("signed at the desk")``."""

    kind: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of values."""

    items: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Mapped:
    """Names with values."""

    items: tuple[tuple[str, Argument], ...]


Argument = str | int | bool | None | Moment | Person | Reference | Listed | Mapped
Arguments = tuple[tuple[str, Argument], ...]


def tokens(line: str) -> list[Token]:
    """The words and marks of a line, without its comment; raises `Unreadable`."""
    found: list[Token] = []
    place = 0
    end = len(line.rstrip())
    while place < end:
        match = _TOKEN.match(line, place)
        if match is None:
            raise Unreadable(f"cannot read {line[place:].strip()[:20]!r}")
        place = match.end()
        kind = match.lastgroup
        assert kind is not None
        if kind == "comment":
            break
        text = match[kind]
        found.append(
            Token(kind, text.replace('\\"', '"').replace("\\\\", "\\") if kind == "text" else text)
        )
    return found


def duration(number: str, unit: str) -> int:
    """Milliseconds of ``3`` ``days``; raises `Unreadable`."""
    if not re.fullmatch(r"\d+(\.\d+)?", number):
        raise Unreadable(f"{number!r} is not a number")
    if unit not in UNITS:
        raise Unreadable(f"{unit!r} is not a unit of time such as minutes, hours or days")
    return round(float(number) * UNITS[unit])


class Reader:
    """Takes tokens from the left."""

    def __init__(self, found: Sequence[Token]) -> None:
        self._tokens = list(found)
        self._place = 0

    @property
    def empty(self) -> bool:
        return self._place == len(self._tokens)

    def next_is(self, *texts: str) -> bool:
        """Whether these come next, none of them quoted."""
        coming = self._tokens[self._place : self._place + len(texts)]
        return [one.text for one in coming] == list(texts) and all(
            one.kind != "text" for one in coming
        )

    def take(self, *texts: str) -> bool:
        """Take these if they come next."""
        if not self.next_is(*texts):
            return False
        self._place += len(texts)
        return True

    def demand(self, *texts: str) -> None:
        """Take these; raises `Unreadable` when something else comes."""
        if not self.take(*texts):
            raise Unreadable(f"expected {' '.join(texts)!r} {self._instead()}")

    def word(self, what: str) -> str:
        """Take one word or quoted text; raises `Unreadable`."""
        if self.empty or self._tokens[self._place].kind not in ("word", "text"):
            raise Unreadable(f"expected {what} {self._instead()}")
        self._place += 1
        return self._tokens[self._place - 1].text

    def words_until(self, *ends: str) -> list[str]:
        """All words up to the end of the line, an arrow or one of these words."""
        found = []
        while not self.empty:
            token = self._tokens[self._place]
            if token.kind not in ("word", "text") or (token.kind == "word" and token.text in ends):
                break
            found.append(token.text)
            self._place += 1
        return found

    def arguments(self) -> Arguments:
        """``key=value`` as often as it comes; raises `Unreadable`."""
        found: dict[str, Argument] = {}
        while self._place + 1 < len(self._tokens) and self._tokens[self._place + 1] == Token(
            "mark", "="
        ):
            key = self.word("a name")
            self.demand("=")
            if key in found:
                raise Unreadable(f"{key!r} is given twice")
            found[key] = self.value()
        return tuple(found.items())

    def value(self, depth: int = 0) -> Argument:
        """One value; raises `Unreadable`."""
        if depth > DEEPEST:
            raise Unreadable("brackets too deep")
        if self.take("["):
            return self._list(depth)
        if self.take("{"):
            return self._map(depth)
        if not self.empty and self._tokens[self._place].kind == "text":
            return self.word("a text")
        word = self.word("a value")
        if self.take("("):
            return self._reference(word)
        return scalar(word)

    def end(self) -> None:
        """Raises `Unreadable` when anything is left."""
        if not self.empty:
            raise Unreadable(f"did not expect {str(self._tokens[self._place])!r} here")

    def _list(self, depth: int) -> Listed:
        items: list[Argument] = []
        while not self.take("]"):
            items.append(self.value(depth + 1))
            if not self.take(",") and not self.next_is("]"):
                raise Unreadable(f"expected ',' or ']' {self._instead()}")
        return Listed(tuple(items))

    def _map(self, depth: int) -> Mapped:
        items: dict[str, Argument] = {}
        while not self.take("}"):
            key = self.word("a name")
            self.demand(":")
            if key in items:
                raise Unreadable(f"{key!r} is given twice")
            items[key] = self.value(depth + 1)
            if not self.take(",") and not self.next_is("}"):
                raise Unreadable(f"expected ',' or '}}' {self._instead()}")
        return Mapped(tuple(items.items()))

    def _reference(self, kind: str) -> Reference:
        if kind not in REFERENCES:
            raise Unreadable(f"{kind}(…) is not one of {', '.join(REFERENCES)}")
        arguments = []
        while not self.take(")"):
            arguments.append(self.word("a name"))
            if not self.take(",") and not self.next_is(")"):
                raise Unreadable(f"expected ',' or ')' {self._instead()}")
        return Reference(kind, tuple(arguments))

    def _instead(self) -> str:
        if self.empty:
            return "at the end of the line"
        return f"before {str(self._tokens[self._place])!r}"


def scalar(word: str) -> Argument:
    """What a word that is not quoted stands for: a person, a number, a time, or itself."""
    if word.startswith("@"):
        if len(word) == 1:
            raise Unreadable("@ is followed by the label of a person")
        return Person(word[1:])
    if word in ("true", "false"):
        return word == "true"
    if word == "nothing":
        return None
    if re.fullmatch(r"-?\d+", word):
        return int(word)
    if word == "now":
        return Moment(0)
    match = _DURATION.fullmatch(word)
    if match is not None and match["unit"] in UNITS:
        length = duration(match["number"], match["unit"])
        if not match["sign"]:
            return length
        return Moment(-length if match["sign"] == "-" else length)
    return word
