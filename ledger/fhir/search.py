"""FHIR search (R4 section 3.1.1): parameters, what a query means, and whether a resource matches.

A resource type names its parameters; a query is read against them. Who wants to match in memory
gives each parameter the function that takes its values out of a resource.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ledger.fhir import elements, times

MAX_PARAMETERS: Final = 40
MAX_ALTERNATIVES: Final = 50
MAX_VALUE: Final = 500
DEFAULT_COUNT: Final = 20
MAX_COUNT: Final = 200

#: The system is None where any will do, empty where there must be none; the code is None where
#: any of the system will do.
Token = tuple[str | None, str | None]
#: First and last millisecond since 1970 UTC.
Interval = tuple[int, int]

PREFIXES: Final = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")

_DATE: Final = re.compile(r"([a-z]{2})?([0-9].*)")
_REFERENCE: Final = re.compile(r"(?:[A-Z][A-Za-z]{1,63}/)?[A-Za-z0-9\-._:]{1,128}")


class BadQuery(ValueError):
    """A parameter that cannot be understood. ``parameter`` is its name, free of its value."""

    def __init__(self, parameter: str, text: str) -> None:
        super().__init__(f"{parameter}: {text}")
        self.parameter = parameter


class Moment(NamedTuple):
    """A date of a query: its prefix, and the milliseconds that it covers."""

    prefix: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Parameter:
    """A search parameter of a resource type.

    ``kind``: token, reference, date, string or uri. ``values``: what a resource has for it: pairs
    of system and code, references, intervals, texts. ``targets``: types that a bare id may mean.
    """

    name: str
    kind: str
    documentation: str
    definition: str = ""
    values: Callable[[dict[str, Any]], Iterable[Any]] | None = None
    targets: tuple[str, ...] = ()
    modifiers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Criterion:
    """One parameter of a query with its alternatives, one of which must be met."""

    parameter: Parameter
    modifier: str
    values: tuple[Any, ...]

    def met_by(self, resource: dict[str, Any]) -> bool:
        """Whether a resource meets it; the parameter must know its values."""
        assert self.parameter.values is not None
        found = list(self.parameter.values(resource))
        meets = _MEETS[self.parameter.kind]
        met = any(meets(self, wanted, value) for wanted in self.values for value in found)
        return not met if self.modifier == "not" else met


@dataclass(frozen=True, slots=True)
class Query:
    """A search that was understood.

    ``criteria``: all of them must be met. ``count``: entries of a page. ``sort``: names of
    parameters, each with whether it descends. ``cursor``: as it came, not yet believed. ``used``:
    the parameters that were understood, for the link to self. ``ignored``: names that were not.
    """

    criteria: tuple[Criterion, ...] = ()
    count: int = DEFAULT_COUNT
    sort: tuple[tuple[str, bool], ...] = ()
    cursor: str = ""
    total: bool = False
    only_count: bool = False
    used: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = field(default=())

    def first(self, name: str) -> Criterion | None:
        """The first criterion of a parameter."""
        return next((found for found in self.criteria if found.parameter.name == name), None)

    def all(self, name: str) -> tuple[Criterion, ...]:
        return tuple(found for found in self.criteria if found.parameter.name == name)

    def met_by(self, resource: dict[str, Any]) -> bool:
        """Whether a resource meets every criterion."""
        return all(criterion.met_by(resource) for criterion in self.criteria)


ID: Final = Parameter(
    "_id", "token", "Logical id of the resource",
    "http://hl7.org/fhir/SearchParameter/Resource-id",
    lambda resource: [("", resource.get("id", ""))],
)  # fmt: skip
LAST_UPDATED: Final = Parameter(
    "_lastUpdated", "date", "Time of the block that changed it last",
    "http://hl7.org/fhir/SearchParameter/Resource-lastUpdated",
    lambda resource: intervals(resource.get("meta", {}).get("lastUpdated")),
)  # fmt: skip

#: How an answer is shown, not what is in it: `ledger.api.fhir.negotiation` reads these.
VIEW: Final = frozenset({"_format", "_pretty", "_summary", "_elements"})


def read_query(
    pairs: Sequence[tuple[str, str]],
    parameters: Sequence[Parameter],
    *,
    sorts: Sequence[str] = (),
    base: str = "",
) -> Query:
    """A query from the name-value pairs of a URL or form.

    Args:
        pairs: percent-decoded.
        parameters: those of the resource type.
        sorts: names by which it can be sorted.
        base: URL of this server's ``/fhir``, which references may begin with.

    Raises:
        BadQuery: a value, modifier or number of them that is not acceptable. Parameters that the
            type does not have are not among that: the query lists them as ignored.
    """
    if len(pairs) > MAX_PARAMETERS:
        raise BadQuery("query", f"more than {MAX_PARAMETERS} parameters")
    known = {parameter.name: parameter for parameter in parameters}
    criteria: list[Criterion] = []
    used: list[tuple[str, str]] = []
    ignored: list[str] = []
    order: tuple[tuple[str, bool], ...] = ()
    count, cursor, total, only_count = DEFAULT_COUNT, "", False, False
    for name, value in pairs:
        plain, _, modifier = name.partition(":")
        if name == "_count":
            count = _count(value)
            only_count = only_count or count == 0  # R4 section 3.1.1.5.5
        elif name == "_cursor":
            cursor = value
            continue
        elif name == "_total":
            if value not in ("none", "estimate", "accurate"):
                raise BadQuery("_total", "none, estimate or accurate")
            total = value != "none"
        elif name == "_sort":
            order = _order(value, sorts)
        elif name == "_summary" and value == "count":
            only_count = True
        elif name in VIEW:
            pass
        elif plain in known:
            if len(value) > MAX_VALUE * MAX_ALTERNATIVES:
                raise BadQuery(plain, "too long")
            if value:  # an empty value is as if it were not there
                criteria.append(_criterion(known[plain], modifier, value, base))
        else:
            ignored.append(name[:64])
            continue
        used.append((name, value))
    return Query(
        tuple(criteria), count, order, cursor, total or only_count, only_count, tuple(used),
        tuple(dict.fromkeys(ignored)),
    )  # fmt: skip


def _count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text):
        raise BadQuery("_count", "a whole number that is not negative")
    return min(int(text), MAX_COUNT)


def _order(text: str, sorts: Sequence[str]) -> tuple[tuple[str, bool], ...]:
    found = []
    for part in text.split(","):
        name = part.removeprefix("-")
        if name not in sorts:
            by = ", ".join(sorts)
            raise BadQuery("_sort", f"can be sorted by {by}" if by else "can't be sorted")
        found.append((name, part.startswith("-")))
    return tuple(found)


def _criterion(parameter: Parameter, modifier: str, text: str, base: str) -> Criterion:
    typed = parameter.kind == "reference" and modifier in parameter.targets
    if modifier and not typed and modifier not in parameter.modifiers:
        raise BadQuery(parameter.name, "does not know this modifier")
    alternatives = [part for part in _parts(text, ",") if part]
    if not alternatives or len(alternatives) > MAX_ALTERNATIVES:
        raise BadQuery(parameter.name, f"1 to {MAX_ALTERNATIVES} alternatives")
    if any(len(part) > MAX_VALUE for part in alternatives):
        raise BadQuery(parameter.name, "too long")
    if modifier == "identifier":
        named = tuple(_identified(parameter, part) for part in alternatives)
        return Criterion(parameter, "", named)
    reads = _READS[parameter.kind]
    values = tuple(reads(parameter, modifier if typed else "", part, base) for part in alternatives)
    return Criterion(parameter, "" if typed else modifier, values)


# --- Reading values -----------------------------------------------------------------------------


def _parts(text: str, separator: str) -> list[str]:
    """A text cut at every separator that has no backslash before it; backslashes stay."""
    parts, start, escaped = [], 0, False
    for place, letter in enumerate(text):
        if letter == separator and not escaped:
            parts.append(text[start:place])
            start = place + 1
        escaped = letter == "\\" and not escaped
    return [*parts, text[start:]]


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _token(parameter: Parameter, typed: str, text: str, base: str) -> Token:
    pieces = _parts(text, "|")
    if len(pieces) > 2:
        raise BadQuery(parameter.name, "system|code")
    system = _unescaped(pieces[0]) if len(pieces) == 2 else None
    return system, _unescaped(pieces[-1]) or None


def _reference(parameter: Parameter, typed: str, text: str, base: str) -> tuple[str, ...]:
    """The references that are meant: one, or for a bare id one for each type it may be of."""
    plain = _unescaped(text)
    if base:
        plain = plain.removeprefix(base + "/")
    if not _REFERENCE.fullmatch(plain):
        raise BadQuery(parameter.name, "Type/id or id, of this server")
    if "/" in plain:
        if typed and plain.partition("/")[0] != typed:
            raise BadQuery(parameter.name, f"not a {typed}")
        return (plain,)
    return tuple(f"{kind}/{plain}" for kind in ((typed,) if typed else parameter.targets))


def _identified(parameter: Parameter, text: str) -> tuple[str, ...]:
    """The reference that a logical one with one of our systems stands for."""
    system, value = _token(parameter, "", text, "")
    kind = elements.NAMED_TYPE.get(system or "")
    return (f"{kind}/{value}",) if kind in parameter.targets and value else ()


def _date(parameter: Parameter, typed: str, text: str, base: str) -> Moment:
    match = _DATE.fullmatch(_unescaped(text))
    prefix = (match.group(1) or "eq") if match else ""
    # A plus sign that was not escaped in a URL has become a space.
    covered = times.interval(match.group(2).replace(" ", "+")) if match else None
    if prefix not in PREFIXES or covered is None:
        raise BadQuery(parameter.name, f"a FHIR date, after one of {', '.join(PREFIXES)} or none")
    return Moment(prefix, *covered)


def _text(parameter: Parameter, typed: str, text: str, base: str) -> str:
    return _unescaped(text)


_READS: Final[dict[str, Callable[[Parameter, str, str, str], Any]]] = {
    "token": _token,
    "reference": _reference,
    "date": _date,
    "string": _text,
    "uri": _text,
}


# --- Matching -----------------------------------------------------------------------------------


def _meets_token(criterion: Criterion, wanted: Token, found: tuple[str, str]) -> bool:
    system, code = wanted
    return (system is None or system == found[0]) and (code is None or code == found[1])


def _meets_reference(criterion: Criterion, wanted: tuple[str, ...], found: str) -> bool:
    return found in wanted


def meets_moment(wanted: Moment, found: Interval) -> bool:
    """Whether an interval lies to a date of a query as its prefix says (section 3.1.1.4.4)."""
    prefix, first, last = wanted
    inside = first <= found[0] and found[1] <= last
    return {
        "eq": inside,
        "ne": not inside,
        "gt": found[1] > last,
        "lt": found[0] < first,
        "ge": found[1] > last or inside,
        "le": found[0] < first or inside,
        "sa": found[0] > last,
        "eb": found[1] < first,
    }[prefix]


def _meets_date(criterion: Criterion, wanted: Moment, found: Interval) -> bool:
    return meets_moment(wanted, found)


def _meets_string(criterion: Criterion, wanted: str, found: str) -> bool:
    return found.casefold().startswith(wanted.casefold())


def _meets_uri(criterion: Criterion, wanted: str, found: str) -> bool:
    return wanted == found


_MEETS: Final[dict[str, Callable[[Criterion, Any, Any], bool]]] = {
    "token": _meets_token,
    "reference": _meets_reference,
    "date": _meets_date,
    "string": _meets_string,
    "uri": _meets_uri,
}


# --- Values out of resources --------------------------------------------------------------------


def intervals(value: object) -> Iterator[Interval]:
    """What a date, dateTime, instant or Period of a resource covers; nothing for what is none."""
    covered = times.period(value) if isinstance(value, dict) else times.interval(value)
    if covered is not None:
        yield covered


def concepts(value: object) -> Iterator[tuple[str, str]]:
    """(system, code) of a code, a Coding, a CodeableConcept or a list of them."""
    if isinstance(value, str):
        yield "", value
    elif isinstance(value, list):
        for item in value:
            yield from concepts(item)
    elif isinstance(value, dict):
        if "coding" in value:
            yield from concepts(value["coding"])
        elif "code" in value or "value" in value:
            yield value.get("system", ""), str(value.get("code", value.get("value", "")))


def references(value: object) -> Iterator[str]:
    """What a Reference or a list of them refers to, as ``Type/id``; logical references with one of
    our systems are among them."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        found = elements.literal(value)
        if found:
            yield found
