"""Room on the host's stack, so that CPython's recursion limit never decides anything.

How deep contracts may nest is decided by the meter; the host's stack must not decide first, because
two nodes would call from different depths.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def fresh_stack(work: Callable[[], T]) -> T:
    """Run something at the bottom of a stack of its own."""
    outcome: list[T] = []
    fault: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - handed on to the caller below
            fault.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if fault:
        raise fault[0]
    return outcome[0]


def with_room(frames: int, work: Callable[[], T]) -> T:
    """Run something with at least so many Python frames free under it."""
    room = sys.getrecursionlimit() - frames
    frame = sys._getframe()
    while room > 0:
        if frame.f_back is None:
            return work()
        frame = frame.f_back
        room -= 1
    return fresh_stack(work)
