"""What each indicator is: its categories, what one of them means, and which shares are told.

The words for auditors, with the events behind them, are in docs/auditors/indicators.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ledger.audit.indicators.tally import Item, Tally

#: Category, institution and month, "" where there is none. Levels of a category are divided by a
#: comma: ``refused, quality``.
Cells = Counter[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole, both as categories; an empty whole stands for all of them."""

    name: str
    part: tuple[str, ...]
    whole: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Indicator:
    """``name``: also that of its family in the tally. ``unit``: what is counted. ``source``:
    whether it is counted as it happens (``counts``), as cases that last (``cases``, by the month
    in which they began), as what is in force at the end (``stock``), or as minutes of people
    (``shares``). ``grouped``: whether it is broken down by county, institution or month.
    ``overdue``: what a case is called that still waits when its date has passed. ``within``: the
    indicator and the part of it of which this one is another breakdown; it is told only where that
    number is."""

    name: str
    unit: str
    source: str
    grouped: bool = True
    shares: tuple[Share, ...] = field(default=())
    overdue: str = ""
    within: tuple[str, str] | None = None


#: How a referral that was accepted ends.
_CLOSED: Final = ("returned", "stays", "elsewhere", "died", "not-arrived")
_DIRECTIONS: Final = {
    "up": "to an institution that can do more",
    "down": "to one that can do less",
    "level": "to one of the same kind",
}

INDICATORS: Final = (
    Indicator("requests", "requests for a record, by answer and purpose", "counts"),
    Indicator(
        "denials", "denied requests, by the rule that decided", "counts", grouped=False,
        within=("requests", "denied"),
    ),
    Indicator(
        "recognition", "results of tests that a physician has judged", "counts",
        shares=(Share("repeats avoided", ("recognised",)),),
    ),
    *(
        Indicator(
            f"referrals {direction}",
            f"referrals {words}, by what has become of them",
            "cases",
            overdue="lapsed",
            shares=(
                Share("accepted", ("accepted", "arrived", *_CLOSED)),
                Share("returned", ("returned",), _CLOSED),
            ),
        )
        for direction, words in _DIRECTIONS.items()
    ),
    Indicator(
        "readings", "remote readings that were reported, by the originating clinic", "counts",
        shares=(Share("in time", ("in time",)),),
    ),
    Indicator(
        "critical values", "critical values, by whether the clinic has acknowledged them", "cases",
        overdue="not heard",
        shares=(
            Share(
                "heard in time", ("heard in time",), ("heard in time", "heard late", "not heard")
            ),
        ),
    ),
    Indicator("consultations", "experts in remote consultations", "shares"),
    Indicator("service", "members of staff with confirmed hours of service", "shares"),
    Indicator(
        "emergencies", "emergencies in which the glass was broken, by review", "cases",
        overdue="overdue", shares=(Share("abuse", ("abuse",), ("abuse", "upheld")),),
    ),
    Indicator("consents", "consents in force", "stock", grouped=False),
    Indicator("family doctors", "family-doctor contracts in force", "stock"),
    Indicator("chronic care", "patients in programmes of chronic care", "stock"),
    Indicator(
        "follow-ups",
        "follow-ups of patients in chronic care",
        "counts",
        shares=(Share("in time", ("in time",)),),
    ),
    Indicator("cohorts", "agreements to research in force", "stock", grouped=False),
    Indicator(
        "reports", "reports to public health", "counts", shares=(Share("in time", ("in time",)),)
    ),
    Indicator("claims", "settled claims, by result", "counts", shares=(Share("paid", ("paid",)),)),
    Indicator(
        "departments", "consents and orders for departments outside the health sector", "counts"
    ),
)  # fmt: skip


def cells(indicator: Indicator, tally: Tally, first: str, last: str, as_of: int) -> Cells:
    """The numbers of an indicator that is not one of shares.

    Args:
        first, last: months that count, both included.
        as_of: the time at which the state of cases and stocks is looked at, in ms.
    """
    found: Cells = Counter()
    if indicator.source == "counts":
        for (family, category, institution, month), number in tally.counts.items():
            if family == indicator.name and first <= month <= last:
                found[category, institution, month] += number
        return found
    for item in _items(indicator.name, tally):
        state, until = item.at(as_of)
        passed = bool(until) and until <= as_of
        if indicator.source == "stock":
            if state == "in force" and not passed:
                found[state, item.institution, ""] += 1
        elif state and first <= item.month <= last:
            overdue = passed and state in ("waiting", "accepted", "arrived")
            found[indicator.overdue if overdue else state, item.institution, item.month] += 1
    return found


def _items(family: str, tally: Tally) -> Iterator[Item]:
    return (item for (kind, _), item in tally.items.items() if kind == family)
