"""From a tally to what may be published: grouped, summed, small numbers hidden."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from ledger.audit.indicators.definitions import INDICATORS, Indicator, Share, cells
from ledger.audit.indicators.keeping import Kept
from ledger.audit.indicators.suppression import HIDDEN, Count, Shown, protected, total
from ledger.audit.indicators.tally import CHINA, Tally

GROUPINGS = ("total", "county", "institution", "month")
#: What stands for a county or an institution where somebody acts for none.
NONE = "no institution"
FIRST_MONTH, LAST_MONTH = "0000-00", "9999-99"
_THOUSAND = 1000


@dataclass(frozen=True, slots=True)
class Question:
    """``by``: one of `GROUPINGS`. ``first``, ``last``: months, both included. ``least``: the
    smallest number other than 0 that is shown."""

    by: str = "total"
    first: str = FIRST_MONTH
    last: str = LAST_MONTH
    least: int = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """One indicator. ``shown``: a total, its categories, and their groups below them; for people's
    hours the groups alone. ``shares``: in thousandths, by name and group; "" stands for the total.
    ``minutes``: by group and what is told about them."""

    indicator: Indicator
    shown: Shown
    shares: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    minutes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.indicator.name,
            "unit": self.indicator.unit,
            **_as_json(self.shown),
            "shares": {
                name: {group: value / _THOUSAND for group, value in groups.items()}
                for name, groups in self.shares.items()
            },
            "minutes": self.minutes,
        }


def _as_json(shown: Shown) -> dict[str, Any]:
    """``number`` and ``parts`` are null where they are hidden."""
    if shown.parts is None:
        return {"number": shown.number, "parts": None}
    return {
        "number": shown.number,
        "parts": {name: _as_json(part) for name, part in shown.parts.items()},
    }


def end_of(month: str) -> int:
    """The first ms after a month of Chinese time."""
    year, number = (int(part) for part in month.split("-"))
    following = datetime(year, number, 1, tzinfo=CHINA) + timedelta(days=32)
    return int(following.replace(day=1).timestamp() * 1000)


def as_of(kept: Kept, question: Question) -> int:
    """The time at which the state of things is looked at: the end of the last month, or of the
    chain if that is earlier."""
    return kept.time if question.last == LAST_MONTH else min(kept.time, end_of(question.last) - 1)


def answers(kept: Kept, question: Question, county_of: Callable[[str], str]) -> list[Answer]:
    """Every indicator, in the order in which they are told.

    Args:
        county_of: the county of an institution.
    """
    place = _Places(question, county_of)
    when = as_of(kept, question)
    told: dict[str, Answer] = {}
    for indicator in INDICATORS:
        if indicator.source == "shares":
            told[indicator.name] = _of_people(indicator, kept.tally, question, place)
        elif (
            indicator.within
            and _below(told[indicator.within[0]].shown, indicator.within[1:]) is None
        ):
            told[indicator.name] = Answer(indicator, HIDDEN)
        else:
            told[indicator.name] = _of_cells(indicator, kept.tally, question, place, when)
    return list(told.values())


@dataclass(frozen=True, slots=True)
class _Places:
    question: Question
    county_of: Callable[[str], str]

    def path(self, institution: str, month: str) -> tuple[str, ...]:
        """Where a number stands below its category. An institution stands below its county, so that
        two reports, one by county and one by institution, hide the same."""
        by = self.question.by
        if by == "month":
            return (month,) if month else ()
        if by == "total":
            return ()
        county = (self.county_of(institution) or NONE) if institution else NONE
        return (county,) if by == "county" else (county, institution or NONE)


def _tree(numbers: Mapping[tuple[str, ...], int]) -> Count:
    """A tree from its leaves by their paths."""
    if set(numbers) <= {()}:
        return Count(numbers.get((), 0))
    below: dict[str, dict[tuple[str, ...], int]] = defaultdict(dict)
    for path, number in numbers.items():
        below[path[0]][path[1:]] = number
    return total({name: _tree(below[name]) for name in sorted(below)})


def _of_cells(
    indicator: Indicator, tally: Tally, question: Question, place: _Places, when: int
) -> Answer:
    found = cells(indicator, tally, question.first, question.last, when)
    leaves: Counter[tuple[str, ...]] = Counter()
    categories: set[tuple[str, ...]] = set()
    groups: set[tuple[str, ...]] = set()
    for (category, institution, month), number in found.items():
        levels = tuple(category.split(", "))
        path = place.path(institution, month) if indicator.grouped else ()
        leaves[*levels, *path] += number
        categories.add(levels)
        groups |= {path[:length] for length in range(1, len(path) + 1)}
    shown = protected(_tree(leaves), question.least)
    return Answer(
        indicator,
        shown,
        {share.name: _shares(share, shown, categories, groups) for share in indicator.shares},
        _durations(indicator.name, tally, question, place),
    )


def _shares(
    share: Share,
    shown: Shown,
    categories: AbstractSet[tuple[str, ...]],
    groups: AbstractSet[tuple[str, ...]],
) -> dict[str, int]:
    """A share for the total and for each group of which nothing is hidden, in thousandths."""
    told: dict[str, int] = {}
    for path in [(), *sorted(groups)]:
        counted: Counter[str] = Counter()
        for levels in categories:
            # For the total the number of the highest level is enough.
            number = _below(shown, (*levels, *path) if path else levels[:1])
            if number is None:
                break
            counted[levels[0]] = number if not path else counted[levels[0]] + number
        else:
            whole = sum(counted[name] for name in share.whole or counted)
            if whole:
                part = sum(counted[name] for name in share.part)
                told["/".join(path)] = round(_THOUSAND * part / whole)
    return told


def _below(shown: Shown, path: tuple[str, ...]) -> int | None:
    """The number at a path, 0 where there is nothing, None where it is hidden."""
    for name in path:
        if shown.parts is None:
            return None
        if name not in shown.parts:
            return 0
        shown = shown.parts[name]
    return shown.number


def _durations(
    family: str, tally: Tally, question: Question, place: _Places
) -> dict[str, dict[str, int]]:
    """Median and ninth decile of what is measured in minutes, where there are enough of them."""
    by_group: dict[tuple[str, ...], Counter[int]] = defaultdict(Counter)
    for (kind, institution, month, minutes), number in tally.times.items():
        if kind == family and question.first <= month <= question.last:
            path = place.path(institution, month)
            for length in range(len(path) + 1):
                by_group[path[:length]][minutes] += number
    told: dict[str, dict[str, int]] = {}
    for path in sorted(by_group):
        times = by_group[path]
        if times.total() >= question.least:
            told["/".join(path)] = {"median": quantile(times, 50)}
            if times.total() >= 2 * question.least:
                told["/".join(path)]["p90"] = quantile(times, 90)
    return told


def quantile(times: Counter[int], percent: int) -> int:
    """The nearest-rank percentile of numbers with how often each occurs."""
    rank = ceil(times.total() * percent / 100)
    for value in sorted(times):
        rank -= times[value]
        if rank <= 0:
            return value
    raise ValueError("there are no numbers")


def _of_people(indicator: Indicator, tally: Tally, question: Question, place: _Places) -> Answer:
    """How many people, and how long they worked together and each.

    People are counted once in each group, so whoever works in two is in the total twice.
    """
    worked: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for (family, person, institution, month), minutes in tally.shares.items():
        if family == indicator.name and question.first <= month <= question.last:
            worked[place.path(institution, month)][person] += minutes
    shown = protected(_tree({path: len(people) for path, people in worked.items()}), question.least)
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for path, people in worked.items():
        for length in range(len(path) + 1):
            groups[path[:length]] += people.values()
    told = {
        "/".join(path): {
            "together": sum(minutes),
            "each, median": quantile(Counter(minutes), 50),
        }
        for path, minutes in sorted(groups.items())
        if (_below(shown, path) or 0) >= question.least
    }
    return Answer(indicator, shown, minutes=told)
