"""Places in contracts, shown with the lines around them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_PLACE: Final = re.compile(r"\(([A-Za-z0-9_]+):(\d+)\)$")
_AROUND: Final = 2


def excerpt(source: str, line: int, around: int = _AROUND) -> str:
    """The line of a source and its neighbours, with the line marked; "" where there is none."""
    lines = source.splitlines()
    if not 1 <= line <= len(lines):
        return ""
    first = max(1, line - around)
    last = min(len(lines), line + around)
    return "\n".join(
        f"{'>' if number == line else ' '} {number:4} | {lines[number - 1]}".rstrip()
        for number in range(first, last + 1)
    )


def place_of(error: str) -> tuple[str, int] | None:
    """The contract and line in which a failed call ended, as its error names them."""
    found = _PLACE.search(error)
    return (found[1], int(found[2])) if found else None


def with_excerpt(error: str, sources: Mapping[str, str]) -> str:
    """An error of a call, followed by the lines where it happened."""
    place = place_of(error)
    if place is None or place[0] not in sources:
        return error
    shown = excerpt(sources[place[0]], place[1])
    return f"{error}\n{shown}" if shown else error
