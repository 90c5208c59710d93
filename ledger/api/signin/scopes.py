"""SMART App Launch 2.2 scopes: what a sign-in was granted on ``/fhir``.

Source: HL7 SMART App Launch 2.2.0, "Scopes and Launch Context". A resource scope is
``(patient|user|system)/(Type|*).cruds`` with the letters in this order, and may end in search
parameters that narrow it (``?category=laboratory``). The forms of version 1 (``.read``, ``.write``,
``.*``) are read as ``.rs``, ``.cud``, ``.cruds``. Everything else grants nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

Level = Literal["patient", "user", "system"]
#: Interactions of FHIR's REST, R4 §3.1.0.
Interaction = Literal[
    "create", "read", "vread", "update", "patch", "delete", "search",
    "history-instance", "history-type",
]  # fmt: skip

#: Under which letter of a scope each interaction falls (SMART 2.2, table of permissions).
LETTER: Final[dict[Interaction, str]] = {
    "create": "c", "read": "r", "vread": "r", "history-instance": "r", "update": "u", "patch": "u",
    "delete": "d", "search": "s", "history-type": "s",
}  # fmt: skip

MAX_TEXT: Final = 4096
MAX_SCOPES: Final = 64
ANY: Final = "*"

_SCOPE = re.compile(
    r"(?P<level>patient|user|system)/(?P<type>[A-Z][A-Za-z]{1,63}|\*)"
    r"\.(?P<may>c?r?u?d?s?|read|write|\*)(?:\?(?P<only>[!#-\[\]-~]{1,512}))?"
)
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}=[!#-%'-<>-\[\]-~]{1,256}")
_FIRST_VERSION = {"read": "rs", "write": "cud", "*": "cruds"}


class InvalidScope(ValueError):
    """Not a resource scope, or more of them than are taken."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One resource scope. ``may``: letters of ``cruds``, at least one, in this order. ``only``:
    search parameters that a resource has to match, each ``name=value``, sorted."""

    level: Level
    type: str
    may: str
    only: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{self.level}/{self.type}.{self.may}"
        return f"{text}?{'&'.join(self.only)}" if self.only else text

    def covers(self, other: Scope) -> bool:
        """Whether everything that ``other`` permits is permitted by this one."""
        return (
            self.level == other.level
            and self.type in (ANY, other.type)
            and set(other.may) <= set(self.may)
            and set(self.only) <= set(other.only)
        )

    def common(self, other: Scope) -> Scope | None:
        """What both permit; None where that is nothing."""
        may = "".join(letter for letter in self.may if letter in other.may)
        types = {self.type, other.type} - {ANY}
        if self.level != other.level or not may or len(types) > 1:
            return None
        only = tuple(sorted({*self.only, *other.only}))
        return Scope(self.level, types.pop() if types else ANY, may, only)


def parse_scope(text: str) -> Scope:
    """Read one resource scope.

    Raises:
        InvalidScope: it is none, its letters are out of order, or there are none.
    """
    found = _SCOPE.fullmatch(text) if len(text) <= MAX_TEXT else None
    if found is None or not found["may"]:
        raise InvalidScope("not a SMART resource scope")
    only = found["only"]
    parameters = [] if only is None else only.split("&")
    if not all(_PARAMETER.fullmatch(parameter) for parameter in parameters):
        raise InvalidScope("search parameters of a scope are name=value, with & between them")
    level: Level = found["level"]  # type: ignore[assignment]
    may = _FIRST_VERSION.get(found["may"], found["may"])
    return Scope(level, found["type"], may, tuple(sorted(set(parameters))))


def resource_scopes(text: str) -> tuple[Scope, ...]:
    """The resource scopes in an OAuth 2.0 scope string; others, such as ``openid``, are left out.

    Raises:
        InvalidScope: too long, too many, or one that looks like a resource scope and is none.
    """
    words = text.split(" ") if text else []
    if len(text) > MAX_TEXT or len(words) > MAX_SCOPES:
        raise InvalidScope(f"at most {MAX_SCOPES} scopes of {MAX_TEXT} characters together")
    return tuple(
        parse_scope(word) for word in words if word.startswith(("patient/", "user/", "system/"))
    )


def narrow(asked: Iterable[Scope], ceiling: Iterable[Scope]) -> tuple[str, ...]:
    """What of the scopes asked for lies under a ceiling, as sorted texts without repetitions."""
    highest = tuple(ceiling)
    shared = {
        common
        for wanted in asked
        for most in highest
        if (common := wanted.common(most)) is not None
    }
    kept = {
        scope
        for scope in shared
        if not any(other != scope and other.covers(scope) for other in shared)
    }
    return tuple(sorted(map(str, kept)))


def granting(
    scopes: Iterable[str], level: Level, resource_type: str, interaction: Interaction
) -> tuple[Scope, ...]:
    """Those of ``scopes`` under which an interaction falls, with what they narrow it to.

    An empty answer means no. One without search parameters means yes; otherwise a resource has to
    match the parameters of one of them. What is no resource scope grants nothing.
    """
    letter = LETTER[interaction]
    found = []
    for text in scopes:
        try:
            scope = parse_scope(text)
        except InvalidScope:
            continue
        if scope.level == level and scope.type in (ANY, resource_type) and letter in scope.may:
            found.append(replace(scope, type=resource_type, may=letter))
    return tuple(found)


def allows(
    scopes: Sequence[str], level: Level, resource_type: str, interaction: Interaction
) -> bool:
    """Whether the scopes permit an interaction with every resource of a type.

    A scope that search parameters narrow does not: see `granting` for those.
    """
    return any(not scope.only for scope in granting(scopes, level, resource_type, interaction))
