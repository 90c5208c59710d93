"""A hospital's file of ids made into its file of pseudonyms, a batch at a time, resumable.

The input is CSV with the columns ``reference`` and ``id``: the patient's reference in the
hospital's own system, and the national id. Beside the output a journal grows, one line for each
row that is done, with the reference and the pseudonym or the reason why there is none, and never
the id nor a hash of it: a reference that has the id in it gets no pseudonym. Who starts again goes
on behind the journal; the output is written when all is done.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

import msgspec

from ledger.client.nationalid import BadNumber, normalised, stands_in

BATCH: Final = 256
MAX_REFERENCE: Final = 256
COLUMNS: Final = ("reference", "id")


class BadFile(Exception):
    """A file that is not what it should be; the text names it, the row, and never what is in it."""


class _Row(NamedTuple):
    reference: str
    number: str | None
    problem: str


@dataclass(slots=True)
class Made:
    """What came of it. ``problems``: reason → how many rows."""

    done: int = 0
    problems: dict[str, int] = field(default_factory=dict)
    resumed: int = 0


def _rows(path: Path, stream: TextIO) -> Iterator[_Row]:
    reader = csv.reader(stream, strict=True)
    seen: set[str] = set()
    try:
        header = tuple(name.strip().lower() for name in next(reader, []))
        if header != COLUMNS:
            raise BadFile(f"{path}: the first line must be {','.join(COLUMNS)}")
        for cells in reader:
            yield _row(cells, seen)
    except (csv.Error, UnicodeError):
        raise BadFile(f"{path}: not CSV in UTF-8, near line {reader.line_num}") from None


def _row(cells: list[str], seen: set[str]) -> _Row:
    if len(cells) != len(COLUMNS):
        return _Row("", None, "columns")
    reference = cells[0].strip()
    if not 0 < len(reference) <= MAX_REFERENCE or not reference.isprintable():
        return _Row("", None, "reference")
    if stands_in(cells[1], reference):
        # The file, the journal and the list of problems would have the id.
        return _Row("", None, "reference_is_id")
    if reference in seen:
        return _Row(reference, None, "repeated")
    seen.add(reference)
    try:
        return _Row(reference, normalised(cells[1]), "")
    except BadNumber as error:
        return _Row(reference, None, str(error))


class Journal:
    """What is done, on the disk before anybody counts on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0

    def entries(self) -> Iterator[tuple[str, str, str]]:
        """Reference, pseudonym and reason of each row that is done; a last line cut short by a
        crash counts as not done, and is cut off."""
        if not self.path.exists():
            return
        good = 0
        with self.path.open("rb") as stream:
            for line in stream:
                try:
                    entry = msgspec.json.decode(line, type=tuple[str, str, str])
                except msgspec.DecodeError:
                    entry = None
                if entry is None or not line.endswith(b"\n"):
                    break
                good += len(line)
                yield entry
        if good < self.path.stat().st_size:
            with self.path.open("r+b") as stream:
                stream.truncate(good)

    def add(self, entries: Sequence[tuple[str, str, str]]) -> None:
        """Write entries behind the others, and wait for the disk."""
        with self.path.open("ab") as stream:
            os.fchmod(stream.fileno(), 0o600)
            stream.write(b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries))
            stream.flush()
            os.fsync(stream.fileno())


def make(
    source: Path,
    out: Path,
    derive: Callable[[Sequence[str]], Sequence[str]],
    *,
    told: Callable[[int], None] = lambda _done: None,
) -> Made:
    """Make the file of pseudonyms of a file of ids.

    Args:
        source: the CSV file.
        out: the JSON file to make: reference → pseudonym. The journal is beside it.
        derive: normalised ids → pseudonyms, at most `BATCH` at once.
        told: called with the number of rows that are done.

    Raises:
        BadFile: the source is not such a file, or not the one that the journal is of.
        OSError: a file cannot be read or written.
    """
    journal = Journal(out.with_name(out.name + ".journal"))
    made = Made()
    with source.open(encoding="utf-8-sig", newline="") as stream:
        rows = _rows(source, stream)
        for number, (reference, _name, reason) in enumerate(journal.entries(), 1):
            row = next(rows, None)
            if row is None or row.reference != reference or bool(row.problem) != bool(reason):
                raise BadFile(f"{source}: row {number} is another one than when this began")
            _note(made, reason)
            made.resumed += 1
        batch: list[_Row] = []
        for row in rows:
            batch.append(row)
            if sum(one.number is not None for one in batch) == BATCH or len(batch) == 8 * BATCH:
                _do(batch, derive, journal, made)
                told(made.done)
                batch = []
        _do(batch, derive, journal, made)
    _write(out, journal)
    journal.path.unlink(missing_ok=True)
    return made


def _do(
    batch: list[_Row],
    derive: Callable[[Sequence[str]], Sequence[str]],
    journal: Journal,
    made: Made,
) -> None:
    if not batch:
        return
    numbers = [row.number for row in batch if row.number is not None]
    names = iter(derive(numbers) if numbers else ())
    entries = [
        (row.reference, "" if row.number is None else next(names), row.problem) for row in batch
    ]
    journal.add(entries)
    for _reference, _name, reason in entries:
        _note(made, reason)


def _note(made: Made, reason: str) -> None:
    if reason:
        made.problems[reason] = made.problems.get(reason, 0) + 1
    else:
        made.done += 1


def _write(out: Path, journal: Journal) -> None:
    """The output from the journal, whole or not at all; what had a problem goes beside it."""
    temporary = out.with_name(f".{out.name}.new")
    problems: list[tuple[int, str, str]] = []
    with temporary.open("w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write("{")
        separator = "\n"
        for number, (reference, name, reason) in enumerate(journal.entries(), 1):
            if reason:
                problems.append((number, reference, reason))
                continue
            stream.write(
                f"{separator}{json.dumps(reference, ensure_ascii=False)}: {json.dumps(name)}"
            )
            separator = ",\n"
        stream.write("\n}\n")
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(out)
    rejects = out.with_name(out.name + ".problems.csv")
    if problems:
        with rejects.open("w", encoding="utf-8", newline="") as stream:
            os.fchmod(stream.fileno(), 0o600)
            writer: Any = csv.writer(stream)
            writer.writerow(("row", "reference", "problem"))
            writer.writerows(problems)
    else:
        rejects.unlink(missing_ok=True)


def read_subjects(path: Path) -> dict[str, str]:
    """A file of pseudonyms; raises `BadFile`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError) as error:
        raise BadFile(f"{path}: {error}") from None
