"""Several lists as one: everything once, newest first, however the pages fall."""

from __future__ import annotations

import asyncio

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ledger.api.fhir.feeds import Batch, Line, Merged

LISTS = st.lists(
    st.lists(st.integers(0, 20), max_size=30).map(lambda times: sorted(times, reverse=True)),
    min_size=1,
    max_size=4,
)


def reader(times, size):
    lines = [Line(time, place) for place, time in enumerate(times)]

    async def read(cursor):
        start = cursor or 0
        end = start + size
        return Batch(lines[start:end], end if end < len(lines) else None)

    return read


@given(lists=LISTS, size=st.integers(1, 7), pages=st.lists(st.integers(1, 9), max_size=60))
def test_pages_of_any_length_give_every_line_once_newest_first(lists, size, pages):
    async def all_pages():
        reads = {str(number): reader(times, size) for number, times in enumerate(lists)}
        place, found, first = None, [], True
        lengths = iter(pages)
        while first or place is not None:
            merged = Merged(reads, place)
            for _ in range(next(lengths, 9)):
                one = await merged.next()
                if one is None:
                    break
                found.append((one[1].time, one[0], one[1].value))
            place = await merged.place()
            # A place goes through JSON, in the cursor of a link.
            place = msgspec.json.decode(msgspec.json.encode(place))
            first = False
        return found

    found = asyncio.run(all_pages())
    assert [time for time, *_ in found] == sorted((time for time, *_ in found), reverse=True)
    expected = {(str(n), place) for n, times in enumerate(lists) for place in range(len(times))}
    assert {(name, value) for _, name, value in found} == expected
    assert len(found) == len(expected)
