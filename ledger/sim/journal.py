"""What nodes write to their logs goes into the trace of the simulation that runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import structlog

from ledger.sim.loop import RUNNING
from ledger.sim.trace import Trace

#: Fields that differ between two runs of one seed, or say nothing to a reader.
_LEFT_OUT = frozenset({"event", "exc_info", "node", "address", "explanation", "port", "host"})


#: Told which node writes what; "" for what no node does.
Reader = Callable[[str, Mapping[str, Any]], None]


class Journal:
    """Takes the place of the process's log until it is closed; the newest one counts."""

    def __init__(self, trace: Trace, reader: Reader) -> None:
        self._trace = trace
        self._reader = reader
        self._before = structlog.get_config()
        structlog.configure(processors=[self._write], cache_logger_on_first_use=False)

    def _write(self, _logger: object, level: str, entry: MutableMapping[str, Any]) -> str:
        process = RUNNING.get()
        details = " ".join(
            f"{name}={value}" for name, value in entry.items() if name not in _LEFT_OUT
        )
        mark = "" if level in ("debug", "info") else f"{level}: "
        self._trace.note(
            process.name if process else "", f"{mark}{entry['event']} {details}".rstrip()
        )
        self._reader(process.name if process else "", entry)
        raise structlog.DropEvent

    def close(self) -> None:
        """Let the log go where it went before."""
        structlog.configure(**self._before)


def open_journal(trace: Trace, reader: Reader) -> Journal:
    """Write logs into a trace from now on, and let somebody read them."""
    return Journal(trace, reader)
