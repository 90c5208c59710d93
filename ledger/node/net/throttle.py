"""Keeps a peer from filling the log: the first line of a kind is written, repeats are counted."""

from __future__ import annotations


class LogThrottle:
    """At most one line per key and interval.

    Args:
        interval: seconds between two lines of one key.
        capacity: how many keys are remembered; the oldest is forgotten first.
    """

    def __init__(self, interval: float = 60.0, capacity: int = 1024) -> None:
        self._interval = interval
        self._capacity = capacity
        self._keys: dict[object, tuple[float, int]] = {}

    def allow(self, key: object, now: float) -> int | None:
        """None when the line must not be written; else how many were held back since the last."""
        entry = self._keys.get(key)
        if entry is not None and now - entry[0] < self._interval:
            self._keys[key] = (entry[0], entry[1] + 1)
            return None
        self._keys.pop(key, None)
        if len(self._keys) >= self._capacity:
            del self._keys[next(iter(self._keys))]
        self._keys[key] = (now, 0)
        return entry[1] if entry is not None else 0
