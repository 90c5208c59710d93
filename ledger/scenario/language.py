"""What a scenario consists of: its title, where it comes from, and steps amid prose."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ledger.scenario.values import Argument, Arguments

SUFFIX: Final = ".scenario"


@dataclass(frozen=True, slots=True)
class Permits:
    """``duties``: exactly these, or None where the scenario does not say. ``until``: a moment."""

    rule: str
    duties: tuple[str, ...] | None = None
    until: Argument = None


@dataclass(frozen=True, slots=True)
class Denies:
    """The request is denied by this rule."""

    rule: str


@dataclass(frozen=True, slots=True)
class Refuses:
    """The transaction takes no effect, for this coded reason."""

    code: str


@dataclass(frozen=True, slots=True)
class Gives:
    """The call returns this value."""

    value: Argument


@dataclass(frozen=True, slots=True)
class Has:
    """The answer is a map that has at least these entries."""

    entries: Arguments


Expected = Permits | Denies | Refuses | Gives | Has | None


@dataclass(frozen=True, slots=True)
class Later:
    """Time passes. ``duration``: milliseconds."""

    duration: int


@dataclass(frozen=True, slots=True)
class Anchors:
    """A holder makes a record of somebody and anchors its pointer.

    ``taken``: when, as milliseconds before now. ``level``: N, R or V. ``officer``: who signs;
    otherwise the first records officer of the holder.
    """

    record: str
    subject: str
    holder: str
    kind: str
    level: str = "N"
    labels: tuple[str, ...] = ()
    taken: int = 0
    officer: str = ""


@dataclass(frozen=True, slots=True)
class Does:
    """The general step: somebody, perhaps with co-signers, calls a method of a contract."""

    signers: tuple[str, ...]
    contract: str
    method: str
    arguments: Arguments = ()
    result: str = ""
    expected: Expected = None


@dataclass(frozen=True, slots=True)
class AsksFor:
    """Somebody asks for a record. ``institution``: acting for it; empty for patients and relatives.
    ``emergency``: the coded reason when the glass is broken; otherwise empty."""

    person: str
    institution: str
    record: str
    purpose: str
    expected: Expected
    case: str = ""
    shows_labels: bool = False
    emergency: str = ""
    result: str = ""


@dataclass(frozen=True, slots=True)
class Enrols:
    """A registrar enters somebody who from now on has this label."""

    signers: tuple[str, ...]
    label: str
    institution: str
    roles: tuple[str, ...]
    with_key: bool
    expected: Expected = None


@dataclass(frozen=True, slots=True)
class ExpectsEvent:
    """What the last call told, or did not tell."""

    contract: str
    name: str
    entries: Arguments
    told: bool = True


@dataclass(frozen=True, slots=True)
class ExpectsAnswer:
    """What a question to a contract is answered."""

    contract: str
    method: str
    arguments: Arguments
    expected: Expected


Act = Later | Anchors | Does | AsksFor | Enrols | ExpectsEvent | ExpectsAnswer


@dataclass(frozen=True, slots=True)
class Step:
    """One line: where it is, how it reads, and the prose that stands before it."""

    line: int
    text: str
    act: Act
    prose: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scenario:
    """``source``: the source papers, by number. ``shows``: in a sentence, what can be seen here.
    ``trap``: what a careless design would get wrong, and this one is seen not to."""

    name: str
    title: str
    title_zh: str
    source: tuple[str, ...]
    shows: str
    trap: str
    steps: tuple[Step, ...] = field(default=())
    epilogue: tuple[str, ...] = ()
