"""A disk that changes bytes: what a damaged store says is noticed, or it is right.

A real store, with blocks that contracts executed, is damaged anywhere in its file. Either it is
refused at the start, or every answer that a node gives out of it is the right one or none. And what
is damaged in any row is found by the whole check.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.audit.source import open_store
from ledger.audit.verify import verify_chain
from ledger.chain import fsck
from ledger.chain.database import StoreError
from ledger.chain.genesis import Genesis
from ledger.chain.store import Store
from ledger.chain.verified import VerifiedReads
from tests.support.founded import Chain
from tests.support.local_service import Consortium

BLOCKS = 20
SECTOR = 512
EXAMPLES = int(os.environ.get("LEDGER_DAMAGE", "60"))

Answers = dict[str, Any]


class Good:
    """The undamaged store: its file now and some blocks ago, and all that it answers."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "chain").mkdir()
        chain = Chain(Consortium(directory / "network"), directory / "chain")
        store = chain.replica.store
        self.genesis: Genesis = chain.replica.genesis
        self.path = next((directory / "chain").glob("*/ledger.db"))
        ids: list[bytes] = []
        for number in range(BLOCKS):
            transaction = chain.grant(f"c-{number}")
            chain.append(transaction)
            ids.append(transaction.id)
            if number == BLOCKS // 2:
                self.older = self.image(directory / "older.db")
        self.ids = ids
        self.newest = self.image(directory / "newest.db")
        store.close()
        with closing(sqlite3.connect(directory / "newest.db")) as database:
            self.keys = [key for (key,) in database.execute("SELECT DISTINCT key FROM state")][::7]
        self.rows = dump(directory / "newest.db")
        with closing(Store.open(str(directory / "newest.db"))) as opened:
            self.answers = dict(self.ask(opened))

    def image(self, to: Path) -> bytes:
        with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(to)) as target:
            source.backup(target)
        return to.read_bytes()

    def ask(self, store: Store) -> Iterator[tuple[str, Any]]:
        """What a node gives out; an answer that it refuses to give is left out."""
        reads = VerifiedReads(store)
        questions: list[tuple[str, Callable[[], Any]]] = []
        for height in range(BLOCKS + 1):
            for kind in ("header", "block", "certificate", "results"):
                ask = getattr(reads, kind)
                questions.append((f"{kind} {height}", lambda ask=ask, at=height: ask(at)))
        for key in self.keys:
            for height in (3, BLOCKS // 2, BLOCKS):
                name = f"value {key!r} at {height}"
                questions.append((name, lambda key=key, at=height: reads.value(key, at)))
        for name, question in questions:
            try:
                yield name, question()
            except StoreError:
                continue
        for tx_id in self.ids:
            try:
                receipt = reads.receipt(tx_id)
            except StoreError:
                continue
            # A row missing from the index is not noticed here; the whole check finds it.
            if receipt is not None:
                yield f"receipt {tx_id.hex()}", (receipt.header, receipt.envelope, receipt.result)


def dump(path: Path) -> Any:
    """Every row of every table, or the error with which SQLite refuses to read them."""
    try:
        with closing(sqlite3.connect(path)) as database:
            if database.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                return "not whole"
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return {
                name: sorted(database.execute(f'SELECT * FROM "{name}"'), key=repr)
                for (name,) in tables.fetchall()
            }
    except (sqlite3.Error, ValueError) as error:
        return str(error)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Good:
    return Good(tmp_path_factory.mktemp("good"))


@st.composite
def damages(draw: st.DrawFn) -> tuple[str, float, int]:
    """A kind of damage, its place as a part of the file, and what it does there."""
    kind = draw(st.sampled_from(["flip", "sector", "lost write", "many flips"]))
    return kind, draw(st.floats(0, 1, exclude_max=True)), draw(st.integers(0, 2**16 - 1))


def damaged(good: Good, kind: str, part: float, detail: int) -> bytes:
    """The newest file, after damage of a kind."""
    content = bytearray(good.newest)
    place = int(part * len(content))
    page = int.from_bytes(content[16:18], "big")
    if kind == "flip":
        content[place] ^= 1 << detail % 8
    elif kind == "many flips":
        for number in range(16):
            content[(place + number * (detail + 1)) % len(content)] ^= 1 << number % 8
    elif kind == "sector":
        start = place - place % SECTOR
        content[start : start + SECTOR] = bytes(SECTOR)
    else:
        start = place - place % page
        content[start : start + page] = good.older[start : start + page] or bytes(page)
    return bytes(content)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(damage=damages())
def test_a_damaged_store_is_refused_or_gives_no_wrong_answer(
    good: Good, tmp_path: Path, damage: tuple[str, float, int]
) -> None:
    path = tmp_path / "ledger.db"
    for left in tmp_path.iterdir():
        left.unlink()
    path.write_bytes(damaged(good, *damage))
    try:
        with closing(Store.open(str(path))) as store:
            fsck.check(store)
            for name, answer in good.ask(store):
                assert answer == good.answers[name], name
    except StoreError:
        return
    if dump(path) != good.rows:
        shutil.copy(path, tmp_path / "audited.db")
        with open_store(str(tmp_path / "audited.db")) as source:
            assert not verify_chain(source, good.genesis).verified


def test_the_undamaged_store_is_good(good: Good) -> None:
    path = good.directory / "newest.db"
    with closing(Store.open(str(path))) as store:
        fsck.check(store)
        assert dict(good.ask(store)) == good.answers
    assert len(good.answers) > 4 * BLOCKS + len(good.ids)
    with open_store(str(path)) as source:
        assert verify_chain(source, good.genesis).verified
