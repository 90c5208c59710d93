"""What a page of a list costs as the index grows, against a plain query of the same rows.

The index is filled as its writer would have filled it, but in bulk: accesses in the order of time,
patients and clinicians in the crooked shares that they have in life. Then random pages are read by
`Lists` and, with the same conditions, by the `sqlite3` module alone.
"""

from __future__ import annotations

import json
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import insert
from sqlalchemy.schema import CreateIndex, DropIndex

from ledger.chain.database import open_database
from ledger.chain.disclosures import prove_page
from ledger.node.reading import tables
from ledger.node.reading.index import ReadingIndex
from ledger.node.reading.lists import Lists
from ledger.node.reading.proofs import entry_from

CHAIN: Final = bytes(32)
START: Final = 1_780_000_000_000
#: Between two accesses, in ms: ten million of them take most of two years.
STEP_MS: Final = 6_000
QUARTER_MS: Final = 91 * 86_400_000
BATCH: Final = 50_000
PAGE: Final = 100
INSTITUTIONS: Final = 64
PURPOSES: Final = ("TREAT", "COC", "HPAYMT", "HOPERAT", "PATRQT", "BTG")
KINDS: Final = ("laboratory", "imaging", "note", "prescription")
RULES: Final = ("consent:patient-permits", "recognition:patient-is-checked-in", "referral:referred")


@dataclass(frozen=True, slots=True)
class Timing:
    """Reading pages of one list. ``p50``, ``p99``: milliseconds of wall time of one page;
    ``plain``: the median of the same rows by `sqlite3` alone; ``lines``: on a page, on average."""

    question: str
    lines: float
    p50: float
    p99: float
    plain: float

    @property
    def ratio(self) -> float:
        return self.p50 / self.plain if self.plain else 0.0


@dataclass(frozen=True, slots=True)
class Measured:
    """``entries``: accesses in the index; ``fill_s``: seconds to fill it; ``size``: bytes."""

    entries: int
    fill_s: float
    size: int
    timings: tuple[Timing, ...]


class Crowd:
    """Who is in the index, by the numbers of their names there."""

    def __init__(self, entries: int) -> None:
        self.patients = max(entries // 20, 10)
        self.clinicians = max(entries // 1_000, 10)
        words = [*PURPOSES, *KINDS, *RULES, "permit", "deny", "", "release-without-receipt"]
        self.numbers: dict[str, int] = {}
        for name in (
            *words,
            *(f"hospital-{number}" for number in range(INSTITUTIONS)),
            *(self.clinician(number) for number in range(self.clinicians)),
            *(self.patient(number) for number in range(self.patients)),
        ):
            self.numbers[name] = len(self.numbers) + 1

    @staticmethod
    def patient(number: int) -> str:
        return f"p-{number:032x}"

    @staticmethod
    def clinician(number: int) -> str:
        return f"s-{number:032x}"


def _crooked(chance: random.Random, count: int) -> int:
    """One of ``count``, the first of them more often: as some patients are ill more often."""
    return int(count * chance.random() ** 2)


def _accesses(entries: int, crowd: Crowd, chance: random.Random) -> Iterator[tuple[Any, ...]]:
    numbers = crowd.numbers
    logs = [0] * crowd.patients
    hospitals = [numbers[f"hospital-{number}"] for number in range(INSTITUTIONS)]
    first_patient = numbers[crowd.patient(0)]
    first_clinician = numbers[crowd.clinician(0)]
    purposes = [numbers[word] for word in PURPOSES]
    kinds = [numbers[word] for word in KINDS]
    rules = [numbers[word] for word in RULES]
    permit, deny = numbers["permit"], numbers["deny"]
    for number in range(1, entries + 1):
        patient = _crooked(chance, crowd.patients)
        clinician = _crooked(chance, crowd.clinicians)
        entry, logs[patient] = logs[patient], logs[patient] + 1
        when = START + number * STEP_MS
        transaction = chance.randbytes(32)
        yield (
            number, chance.getrandbits(63), b"\x01" + transaction + b"\0\0", 0,
            first_patient + patient, entry, when, number // 50 + 1,
            first_clinician + clinician, hospitals[clinician % INSTITUTIONS],
            hospitals[patient % INSTITUTIONS], purposes[number % len(purposes)],
            permit if number % 10 else deny, rules[number % len(rules)], kinds[number % len(kinds)],
            chance.randbytes(32), "", when + 1_000, when + 2_000, chance.randbytes(32),
        )  # fmt: skip


def fill(path: Path, entries: int, *, seed: int = 1) -> Crowd:
    """Make an index of so many accesses in a file, and a hundredth as many findings."""
    ReadingIndex.open(str(path), CHAIN).close()
    crowd, chance = Crowd(entries), random.Random(seed)  # noqa: S311
    database = open_database(str(path))
    indexes = [index for table in (tables.accesses, tables.findings) for index in table.indexes]
    kind = crowd.numbers["release-without-receipt"]
    findings = (
        (
            number, kind, f"f-{number}", START + number * 100 * STEP_MS,
            crowd.numbers[f"hospital-{number % INSTITUTIONS}"], None, None,
        )
        for number in range(1, entries // 100 + 1)
    )  # fmt: skip
    try:
        with database.transaction() as writer:
            for index in indexes:
                writer.run(database.query(DropIndex(index)))
            writer.many(
                database.query(insert(tables.names)),
                [(number, name) for name, number in crowd.numbers.items()],
            )
        for table, rows in (
            (tables.accesses, _accesses(entries, crowd, chance)),
            (tables.findings, findings),
        ):
            adding = database.query(insert(table))
            while batch := [row for _, row in zip(range(BATCH), rows, strict=False)]:
                with database.transaction() as writer:
                    writer.many(adding, batch)
        for index in indexes:
            with database.transaction() as writer:
                writer.run(database.query(CreateIndex(index)))
    finally:
        database.close()
    return crowd


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3


def _share(sorted_times: Sequence[float], share: float) -> float:
    return sorted_times[min(int(len(sorted_times) * share), len(sorted_times) - 1)]


def _compare(
    question: str,
    asked: Sequence[Any],
    ours: Callable[[Any], Sequence[Any]],
    plain: Callable[[Any], Sequence[Any]],
) -> Timing:
    """Each page by both, one after the other and in turns first, so that neither finds the other's
    pages of the file warm more often."""
    mine, theirs, lines = [], [], 0
    for place, one in enumerate(asked):
        if place % 2:
            theirs.append(_timed(lambda: plain(one)))  # noqa: B023
        mine.append(_timed(lambda: ours(one)))  # noqa: B023
        if not place % 2:
            theirs.append(_timed(lambda: plain(one)))  # noqa: B023
        found, same = ours(one), plain(one)
        assert len(found) == len(same), question
        lines += len(found)
    mine.sort()
    theirs.sort()
    return Timing(
        question, lines / len(asked), _share(mine, 0.5), _share(mine, 0.99), _share(theirs, 0.5)
    )


def questions(path: Path, entries: int, crowd: Crowd, times: int) -> Iterator[Timing]:
    """Ask each question of an index so many times, with random patients and clinicians."""
    index = ReadingIndex.open(str(path), CHAIN)
    plain = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    lists, chance, end = index.lists, random.Random(2), START + (entries + 1) * STEP_MS  # noqa: S311
    numbers = crowd.numbers

    def rows(sql: str, *values: Any) -> list[Any]:
        return plain.execute(sql, values).fetchall()

    def places(names: Callable[[], str]) -> list[tuple[str, int]]:
        return [(names(), chance.randrange(START, end)) for _ in range(times)]

    try:
        patients = [crowd.patient(_crooked(chance, crowd.patients)) for _ in range(times)]
        select = "SELECT * FROM reading_accesses WHERE "
        yield _compare(
            "who accessed my data (newest page)",
            patients,
            lambda who: lists.accesses_of(who, limit=PAGE),
            lambda who: rows(
                f"{select} subject = ? AND entry IS NOT NULL ORDER BY entry DESC LIMIT {PAGE}",
                numbers[who],
            ),
        )
        yield _proofs(lists, patients)
        for question, column, names in (
            (
                "what did this clinician open (page before a time)",
                "requester",
                lambda: crowd.clinician(_crooked(chance, crowd.clinicians)),
            ),
            (
                "what did this institution open (page before a time)",
                "institution",
                lambda: f"hospital-{chance.randrange(INSTITUTIONS)}",
            ),
        ):
            called = "person" if column == "requester" else column
            yield _compare(
                question,
                places(names),
                lambda asked, called=called: (
                    lists.opened_by(  # type: ignore[misc]
                        **{called: asked[0]}, until=asked[1], limit=PAGE
                    ).lines
                ),
                lambda asked, column=column: rows(  # type: ignore[misc]
                    f"{select} {column} = ? AND time < ? ORDER BY time DESC LIMIT {PAGE}",
                    numbers[asked[0]],
                    asked[1],
                ),
            )
        yield _compare(
            "all findings of a quarter (a page of them)",
            places(lambda: ""),
            lambda asked: lists.findings(asked[1] - QUARTER_MS, asked[1], limit=PAGE).lines,
            lambda asked: rows(
                "SELECT * FROM reading_findings WHERE time >= ? AND time < ? "
                "ORDER BY time DESC LIMIT 100",
                asked[1] - QUARTER_MS,
                asked[1],
            ),
        )
    finally:
        plain.close()
        index.close()


def _proofs(lists: Lists, patients: Sequence[str]) -> Timing:
    """Making and checking the proof of a patient's newest page; no plain query does that."""
    spent, lines = [], 0
    for who in patients[: max(len(patients) // 4, 1)]:
        newest = lists.accesses_of(who, limit=PAGE)
        if not newest:
            continue
        size = (newest[0].entry or 0) + 1
        lines += len(newest)
        spent.append(
            _timed(
                lambda: (
                    prove_page(lists.leaves(who, size), size - len(newest), len(newest)),  # noqa: B023
                    [entry_from(line).leaf() for line in newest],  # noqa: B023
                )
            )
        )
    spent.sort()
    return Timing(
        "the proof that it is whole", lines / len(spent), _share(spent, 0.5), _share(spent, 0.99), 0
    )


def measure(entries: int, times: int, directory: Path | None = None) -> Measured:
    """Fill an index with so many accesses and ask each question so many times."""
    with tempfile.TemporaryDirectory(dir=directory, prefix="ledger-reading-") as home:
        path = Path(home) / "reading.db"
        start = time.perf_counter()
        crowd = fill(path, entries)
        spent = time.perf_counter() - start
        timings = tuple(questions(path, entries, crowd, times))
        return Measured(entries, spent, path.stat().st_size, timings)


def main(*, entries: int, times: int, as_json: bool) -> int:
    """Measure and print; 0."""
    found = measure(entries, times)
    if as_json:
        timings = [asdict(one) | {"ratio": one.ratio} for one in found.timings]
        json.dump(asdict(found) | {"timings": timings}, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return 0
    from rich.console import Console
    from rich.table import Table

    out = Console(highlight=False)
    out.print(
        f"{found.entries:,} accesses in SQLite: {found.size / 1e9:.2f} GB, "
        f"filled in {found.fill_s:.0f} s; each question {times} times"
    )
    table = Table("question", "lines", "p50 ms", "p99 ms", "plain SQL p50 ms", "ratio")
    for column in table.columns[1:]:
        column.justify = "right"
    for one in found.timings:
        table.add_row(
            one.question, f"{one.lines:.0f}", f"{one.p50:.2f}", f"{one.p99:.2f}",
            f"{one.plain:.2f}" if one.plain else "", f"{one.ratio:.1f}" if one.plain else "",
        )  # fmt: skip
    out.print(table)
    return 0
