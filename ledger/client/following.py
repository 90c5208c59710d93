"""Reading a stream of events line by line (server-sent events, WHATWG HTML §9.2), and checking one.

Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from ledger.chain.codec import Malformed, encode
from ledger.chain.handover import InvalidProof
from ledger.chain.receipt import Verified
from ledger.chain.values import from_json

MAX_LINE: Final = 4 * 1024 * 1024
#: The kinds of filters that a stream takes.
FILTERS: Final = ("contract", "name", "subject", "institution", "holder")


class Told(msgspec.Struct, frozen=True):
    """An event as a node tells it; ``fields`` is still JSON."""

    cursor: str
    height: int
    time: int
    transaction: str
    call: int
    contract: str
    name: str
    fields: Any


class ProvenEvent(NamedTuple):
    """An event that is one of those of a verified result. ``time``: ms since 1970 UTC, of its
    block; ``cursor``: keep the last one, to go on from there."""

    cursor: str
    time: int
    contract: str
    name: str
    fields: Mapping[str, Any]
    call: int
    verified: Verified


class EventLines:
    """Puts lines together to messages."""

    def __init__(self, after: str | None) -> None:
        #: Where to go on after what was read so far.
        self.cursor = after
        self._data: list[str] = []
        self._id: str | None = None

    def feed(self, line: str) -> Told | None:
        """Take the next line; the event that it completes, if it does.

        Raises:
            Malformed: what comes is no such stream.
        """
        if len(line) > MAX_LINE:
            raise Malformed("a line without end")
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                self._data.append(value)
            elif name == "id":
                self._id = value
            return None
        data, self._data = "\n".join(self._data), []
        moved, self._id = self._id, None
        if not data:
            self.cursor = moved or self.cursor
            return None
        try:
            told = msgspec.json.decode(data, type=Told)
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            raise Malformed(f"not an event: {error}") from None
        if moved != told.cursor:
            raise Malformed("an event with another id than its cursor")
        return told


def stream_params(after: str | None, filters: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """The query of a stream; raises `ValueError` for an unknown kind of filter."""
    unknown = sorted(set(filters) - set(FILTERS))
    if unknown:
        raise ValueError(f"no filters of the kinds {', '.join(unknown)}")
    params = [(name, value) for name, values in filters.items() for value in values]
    return params if after is None else [*params, ("after", after)]


def check_event(told: Told, verified: Verified) -> ProvenEvent:
    """Hold an event against the verified receipt of its transaction.

    Raises:
        InvalidProof: the transaction had no such event there.
    """
    height, _, rest = told.cursor.partition(".")
    _, _, number = rest.partition(".")
    events = [
        (place, event) for place, call in enumerate(verified.result.calls) for event in call.events
    ]
    try:
        place, event = events[int(number)]
        header = verified.header
        same = (
            int(number) >= 0
            and int(height) == told.height == header.height
            and told.time == header.time
            and told.transaction == verified.transaction.id.hex()
            and told.call == place
            and (told.contract, told.name) == (event.contract, event.name)
            and encode(from_json(told.fields)) == encode(event.fields)
        )
    except (ValueError, IndexError, TypeError):
        same = False
    if not same:
        raise InvalidProof("the event is not one of those that the transaction had")
    return ProvenEvent(
        told.cursor, told.time, event.contract, event.name, event.fields, place, verified
    )
