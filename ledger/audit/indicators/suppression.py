"""Hiding small numbers in tables, so that nobody can compute them from the others.

A table is a tree: a total is the sum of its parts, and a part can have parts of its own. Every
number stands in one sum from above and one from below and in no other, therefore each sum can be
protected by itself. The rule for one sum, where ``least`` is the smallest number to be seen:

1. A total from 1 to ``least - 1`` is hidden, with all of its parts.
2. A part from 1 to ``least - 1`` is hidden. Zeros are shown.
3. Whoever knows the total and the parts that are shown knows the sum of the hidden ones. It must
   tell nothing exactly: there are two hidden parts or more; one of them alone could be ``least`` or
   more (sum - (number - 1) >= least); and they cannot all be the largest small number
   (sum != number * (least - 1)). As long as that is not so, the smallest part that is shown is
   hidden too, together with all that are equal to it.
4. If nothing is left to hide, the parts are withheld as a whole.
5. Below a hidden number nothing is shown.

Equal parts are treated equally, so the rule itself gives nothing away: whatever it shows, each
hidden part could have another value. A test tries all small tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

#: With 2, a total of two small parts would give them away: both would have to be 1.
LEAST_MINIMUM = 3


@dataclass(frozen=True, slots=True)
class Count:
    """A number and what it is the sum of, by name; no parts where it is not broken down."""

    number: int
    parts: Mapping[str, Count] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shown:
    """A number as it may be seen. ``number``: None if it is hidden. ``parts``: None if they are
    withheld, empty if there are none."""

    number: int | None
    parts: Mapping[str, Shown] | None


HIDDEN = Shown(None, None)


def total(parts: Mapping[str, Count]) -> Count:
    """The sum of parts."""
    return Count(sum(part.number for part in parts.values()), parts)


def hidden(numbers: Sequence[int], least: int) -> frozenset[int] | None:
    """The places of the parts to hide, or None if all have to be withheld."""
    secret = {place for place, number in enumerate(numbers) if 0 < number < least}
    while secret and not _safe([numbers[place] for place in secret], least):
        seen = [number for place, number in enumerate(numbers) if number and place not in secret]
        if not seen:
            return None
        secret |= {place for place, number in enumerate(numbers) if number == min(seen)}
    return frozenset(secret)


def _safe(numbers: Sequence[int], least: int) -> bool:
    count, known = len(numbers), sum(numbers)
    return count >= 2 and known - (count - 1) >= least and known != count * (least - 1)


def protected(count: Count, least: int) -> Shown:
    """A tree as it may be seen.

    Args:
        count: whose every number is the sum of its parts, where it has any.
        least: the smallest number other than 0 that may be seen, `LEAST_MINIMUM` or more.
    """
    if least < LEAST_MINIMUM:
        raise ValueError(f"the smallest number that is shown must be {LEAST_MINIMUM} or more")
    if 0 < count.number < least:
        return HIDDEN
    names = list(count.parts)
    secret = hidden([count.parts[name].number for name in names], least)
    if secret is None:
        return Shown(count.number, None)
    return Shown(
        count.number,
        {
            name: HIDDEN if place in secret else protected(count.parts[name], least)
            for place, name in enumerate(names)
        },
    )
