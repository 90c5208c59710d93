"""A store that is pruned, and one that takes a snapshot, killed or failed at every system call.

What was named as archived is in a whole file before a row goes; a snapshot is there whole or not at
all; and the work can be carried on to the same end. `LEDGER_FAULTS=all` tries every call.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.chain.archiveverifier import verify_archive
from ledger.chain.store import Store
from tests.support.chain import HandmadeChain
from tests.support.faults import FAILING, SAMPLE, Ended, Stage, chosen, errors, kills
from tests.support.lives import (
    FILE_BLOCKS,
    KEPT,
    LONG,
    Report,
    adopt,
    long_chain,
    tidy,
    trust_of,
)
from tests.support.rows import Rows, contents

#: The last block that `tidy` puts into a file.
ARCHIVED = (LONG - KEPT) // FILE_BLOCKS * FILE_BLOCKS


def quiet(_line: str) -> None:
    """Of a life in which nothing happens nothing has to be noted."""


@dataclass(frozen=True, slots=True)
class Life:
    """A life, what it begins with, and what must hold whatever happened to it."""

    name: str
    live: Callable[[Path, Report], None]
    prepare: Callable[[Path], None]
    inspect: Callable[[Path, Ended], None]


@dataclass(slots=True)
class Rehearsed:
    """A life that went well: how often it made each call, which files it had, and how it ended."""

    life: Life
    beginning: Path
    ended: Ended
    files: list[Path]
    rows: Rows

    def home(self, place: Path) -> Path:
        """A home in which the life can begin."""
        shutil.copytree(self.beginning, place)
        return place


def prepare_tidy(home: Path) -> None:
    (home / "data").mkdir(parents=True)
    long_chain(home / "data" / "ledger.db")


def prepare_adopt(home: Path) -> None:
    (home / "data").mkdir(parents=True)
    long_chain(home / "source.db")
    HandmadeChain(home / "data" / "ledger.db").store.close()


def whole_archives(home: Path, ended: Ended) -> None:
    """Every block is in the store, or in a file that the store knows and that verifies."""
    store = Store.open(str(home / "data" / "ledger.db"))
    try:
        assert store.height() == LONG
        trust, base = trust_of(store), store.base()
        known = {entry.first: entry for entry in store.archives()}
        told = [int(line.split()[1]) for line in ended.report if line.startswith("archived")]
        assert max(told, default=0) <= max((entry.last for entry in known.values()), default=0)
        for height in range(base, LONG + 1):
            assert store.block(height) is not None, f"block {height} is lost"
        covered = 1
        while covered < base:
            summary = verify_archive(home / "archive" / known[covered].file, trust)
            assert summary.first == covered
            covered = summary.last + 1
    finally:
        store.close()


def all_or_nothing(home: Path, ended: Ended) -> None:
    """The newcomer has nothing but the genesis, or the snapshot."""
    store = Store.open(str(home / "data" / "ledger.db"))
    try:
        assert (store.height(), store.base()) in ((0, 0), (LONG, LONG + 1))
        if f"block {LONG}" in ended.report:
            assert store.height() == LONG
    finally:
        store.close()


LIVES = (
    Life("tidy", tidy, prepare_tidy, whole_archives),
    Life("adopt", adopt, prepare_adopt, all_or_nothing),
)


@pytest.fixture(scope="module", params=LIVES, ids=lambda life: life.name)
def rehearsed(
    request: pytest.FixtureRequest, stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> Rehearsed:
    life: Life = request.param
    directory = tmp_path_factory.mktemp(life.name)
    beginning = directory / "beginning"
    life.prepare(beginning)
    warm = shutil.copytree(beginning, directory / "warm")
    life.live(warm, quiet)
    found = Rehearsed(life, beginning, Ended(0, (), Counter()), [], {})
    found.files = [Path(), Path("data"), Path("archive")]
    found.files += [path.relative_to(warm) for path in sorted(warm.glob("archive/*"))]
    found.files += [
        path.with_name(f"{path.name.rpartition('-')[0]}.partial") for path in found.files[3:]
    ]
    found.files += [Path(f"data/ledger.db{end}") for end in ("", "-wal", "-shm", "-journal")]
    home = found.home(directory / "counted")
    found.ended = stage.run(life.name, home, [home / path for path in found.files])
    assert found.ended.code == 0, found.ended.report
    found.rows = contents(home / "data" / "ledger.db")
    return found


def carried_on(rehearsed: Rehearsed, home: Path, ended: Ended) -> None:
    """What was left is sound, and the life ends as it does undisturbed."""
    rehearsed.life.inspect(home, ended)
    rehearsed.life.live(home, quiet)
    rehearsed.life.inspect(home, ended)
    assert contents(home / "data" / "ledger.db") == rehearsed.rows
    left = {path.relative_to(home) for path in home.glob("archive/*")}
    assert left == {path for path in rehearsed.files if path.suffix == ".archive"}
    shutil.rmtree(home)


def test_the_lives_do_what_is_to_be_tried(rehearsed: Rehearsed) -> None:
    calls = rehearsed.ended.calls
    assert calls["pwrite64"] > SAMPLE
    assert calls["fdatasync"]
    if rehearsed.life.name == "tidy":
        assert rehearsed.ended.report[-2] == f"base {ARCHIVED + 1}"
        assert calls["rename"]
        assert calls["fsync"]
        assert sum(path.suffix == ".archive" for path in rehearsed.files) == ARCHIVED // FILE_BLOCKS


def test_a_kill_at_any_call_loses_nothing(
    stage: Stage, rehearsed: Rehearsed, tmp_path: Path
) -> None:
    done = 0
    for fault in chosen(kills(rehearsed.ended.calls)):
        home = rehearsed.home(tmp_path / str(fault))
        ended = stage.run(
            rehearsed.life.name, home, [home / path for path in rehearsed.files], fault
        )
        try:
            assert ended.killed
            carried_on(rehearsed, home, ended)
        except Exception as error:
            error.add_note(f"{fault}: {ended}")
            raise
        done += 1
    assert done >= SAMPLE


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_a_call_that_fails_gives_a_typed_error_and_loses_nothing(
    stage: Stage, rehearsed: Rehearsed, tmp_path: Path, error: str
) -> None:
    told = 0
    for fault in chosen(errors(rehearsed.ended.calls, [error], FAILING)):
        home = rehearsed.home(tmp_path / str(fault))
        ended = stage.run(
            rehearsed.life.name, home, [home / path for path in rehearsed.files], fault
        )
        try:
            assert ended.code in (0, 1), "neither went on nor gave a typed error"
            assert not any(line.startswith("bug") for line in ended.report)
            told += ended.code == 1
            carried_on(rehearsed, home, ended)
        except Exception as failure:
            failure.add_note(f"{fault}: {ended}")
            raise
    assert told, "no fault was noticed"
