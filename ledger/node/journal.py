"""An append-only log in files, each line of which names the one before by its hash.

A line that was changed, taken out or put in shows, because every later line would have to change
with it; and the newest hash goes onto the chain once a day, where it cannot. The files are bounded:
the oldest go, and the first line that is left says how many there were before it.

A line is one JSON object with sorted members and nothing but ASCII in it, so text from outside can
neither end a line nor forge one. Its hash is SHA-256 over the domain, the hash before and the line.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

DOMAIN: Final = b"health-ledger journal 1\0"
MAX_LINE: Final = 4096
MAX_TEXT: Final = 256
#: A file is closed when it has so many bytes, and the oldest go when there are more than so many.
FILE_BYTES: Final = 8 * 1024 * 1024
FILES: Final = 128
_NAME: Final = "{:012d}.jsonl"


class JournalBroken(Exception):
    """A file does not continue what was written before; the text names file and line."""


class Head(NamedTuple):
    """Where a journal stands: entries so far, and the hash of the newest."""

    entries: int
    hash: bytes


def link(before: bytes, line: bytes) -> bytes:
    """The hash of a line that follows one with the hash ``before``."""
    return sha256(DOMAIN + before + line).digest()


#: Before the first line ever.
BEGINNING: Final = Head(0, bytes(32))


def _short(value: Any) -> Any:
    return value[:MAX_TEXT] if isinstance(value, str) else value


class Journal:
    """One log. Safe to use from several threads; one process at a time.

    Args:
        directory: where its files are; made when it is not there.
        now: milliseconds since 1970-01-01 UTC.
        file_bytes: size at which a file is closed.
        files: how many files are kept.

    Raises:
        JournalBroken: what is there does not hold together.
        OSError: the directory cannot be used.
    """

    def __init__(
        self,
        directory: Path,
        now: Callable[[], int],
        *,
        file_bytes: int = FILE_BYTES,
        files: int = FILES,
    ) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._now = now
        self._file_bytes = file_bytes
        self._files = files
        self._one = threading.Lock()
        self._mend()
        self.head = check(directory)

    def _mend(self) -> None:
        """Cut off what a process that was killed left of a line. The entry is not in the chain of
        hashes yet, so nothing that was ever shown to anybody is lost."""
        paths = _paths(self._directory)
        if not paths:
            return
        with paths[-1].open("r+b") as stream:
            content = stream.read()
            whole = content.rfind(b"\n") + 1
            if whole != len(content):
                stream.truncate(whole)
                os.fsync(stream.fileno())
        if whole == 0:
            paths[-1].unlink()

    def add(self, event: str, **fields: Any) -> Head:
        """Write one entry; text is cut at `MAX_TEXT` characters. Raises `OSError`."""
        with self._one:
            count, before = self.head
            entry = {
                **{
                    name: _short(value) for name, value in fields.items() if value not in (None, "")
                },
                "n": count + 1,
                "time": self._now(),
                "event": event,
                "prev": before.hex(),
            }
            line = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
            if len(line) > MAX_LINE:
                raise ValueError("an entry of a journal is short")
            self._append(line + b"\n", count + 1)
            self.head = Head(count + 1, link(before, line))
            return self.head

    def _append(self, line: bytes, number: int) -> None:
        paths = _paths(self._directory)
        newest = paths[-1] if paths else None
        if newest is None or newest.stat().st_size + len(line) > self._file_bytes:
            newest = self._directory / _NAME.format(number)
            for old in paths[: max(0, len(paths) + 1 - self._files)]:
                old.unlink()
        descriptor = os.open(newest, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    def entries(self, after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """Entries behind a number, in order; those that are no longer kept are left out."""
        found: list[dict[str, Any]] = []
        paths = _paths(self._directory)
        for place, path in enumerate(paths):
            following = paths[place + 1] if place + 1 < len(paths) else None
            if following is not None and int(following.stem) <= after + 1:
                continue
            for line in _lines(path):
                entry = json.loads(line)
                if entry["n"] > after:
                    found.append(entry)
                    if len(found) == limit:
                        return found
        return found


def _paths(directory: Path) -> list[Path]:
    return sorted(directory.glob("[0-9]" * 12 + ".jsonl"))


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        for line in stream:
            if line.endswith(b"\n"):
                yield line[:-1]


def check(directory: Path, anchored: Mapping[int, bytes] | None = None) -> Head:
    """Hold a journal's files against each other, and against heads that are on the chain.

    Args:
        directory: where the files are.
        anchored: number of entries → hash, as the chain has them; those before the oldest file
            that is kept cannot be checked.

    Returns:
        Where the journal stands.

    Raises:
        JournalBroken: a line was changed, put in or taken out.
    """
    head: Head | None = None
    for path in _paths(directory):
        number = 0
        for number, line in enumerate(_lines(path), 1):
            place = f"{path}:{number}"
            try:
                entry = json.loads(line)
                count, before = entry["n"], bytes.fromhex(entry["prev"])
            except (ValueError, TypeError, KeyError, RecursionError):
                raise JournalBroken(f"{place}: not an entry") from None
            if number == 1 and count != int(path.stem):
                raise JournalBroken(f"{place}: the file begins with another entry")
            if head is None:
                head = Head(count - 1, before)
                if head.entries == 0 and before != BEGINNING.hash:
                    raise JournalBroken(f"{place}: the first entry follows none")
            if Head(count - 1, before) != head:
                raise JournalBroken(f"{place}: does not follow the entry before")
            head = Head(count, link(before, line))
            for known in (Head(count - 1, before), head):
                if anchored and anchored.get(known.entries, known.hash) != known.hash:
                    raise JournalBroken(
                        f"{place}: the chain has another hash for entry {known.entries}"
                    )
        if number == 0:
            raise JournalBroken(f"{path}: empty")
    newest = head or BEGINNING
    if anchored and max(anchored) > newest.entries:
        raise JournalBroken(f"{directory}: the chain knows of {max(anchored)} entries")
    return newest
