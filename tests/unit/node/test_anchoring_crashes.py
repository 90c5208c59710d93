"""Anchoring that is cut short at any step goes on, and anchors everything once."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ledger.chain.result import CallResult
from ledger.chain.transaction import Call
from ledger.node import anchoring
from ledger.node.anchoring import anchor
from ledger.node.vault import intake, tables
from ledger.node.vault.connector import DirectoryConnector
from ledger.node.vault.passes import VaultBusy, claim_vault
from ledger.node.vault.tables import batches, records
from ledger.node.vault.vault import Vault

SUBJECT = "p-" + "1" * 32


class Crash(BaseException):
    """The process is gone."""


class Power:
    """Goes off at a step, counted from 1; never where it is 0."""

    def __init__(self, off_at: int = 0) -> None:
        self.off_at = off_at
        self.steps = 0

    def step(self, *_: object) -> None:
        self.steps += 1
        if self.steps == self.off_at:
            raise Crash


class Chain:
    """Remembers, as the contract does, and refuses what is there already."""

    def __init__(self) -> None:
        self.roots: list[bytes] = []
        self.marks: list[tuple[bytes, bytes]] = []
        self.power = Power()

    async def perform(self, call: Call) -> tuple[int, CallResult]:
        self.power.step()
        error = ""
        if call.method == "anchor_many":
            root = call.arguments["root"]
            error = "already_anchored: the batch is anchored" if root in self.roots else ""
            self.roots += [] if error else [root]
        else:
            self.marks.append((call.arguments["old"], call.arguments["new"]))
        self.power.step()
        return len(self.roots), CallResult(not error, error, None, 1, ())


def write(source: Path, name: str, value: float) -> None:
    content = {
        "resourceType": "Observation", "subject": {"reference": "Patient/1"},
        "valueQuantity": {"value": value},
    }  # fmt: skip
    (source / name).write_text(json.dumps(content))


def prepare(connection: Any, _record: object) -> None:
    # A process that is gone leaves what it gave to the kernel: only here it need not reach a disk.
    for pragma in ("journal_mode=MEMORY", "synchronous=OFF", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "prepare", prepare)
    monkeypatch.setattr(intake, "CHUNK", 2)
    monkeypatch.setattr(anchoring, "BATCH", 2)
    monkeypatch.setattr(anchoring, "IN_FLIGHT", 2)


@contextmanager
def opened(path: Path, source: Path, power: Power) -> Any:
    vault = Vault.open(path, DirectoryConnector(source, settled=0))
    sa.event.listen(vault._engine, "commit", power.step)
    try:
        yield vault
    finally:
        sa.event.remove(vault._engine, "commit", power.step)
        vault.close()


async def run(path: Path, source: Path, chain: Chain, power: Power) -> None:
    chain.power = power
    with opened(path, source, power) as vault:
        await anchor(vault, "east", {"Patient/1": SUBJECT}, 1_000, chain.perform)


async def story(directory: Path, chain: Chain, off_at: int) -> int:
    """Three records, anchored; then one changed and one new, anchored. How many steps it took."""
    source = directory / "records"
    source.mkdir(parents=True)
    (source / "inner").mkdir()
    for number in range(2):
        write(source, f"{number}.json", number)
    write(source, "inner/4.json", 4)
    power = Power(off_at)
    for part in (1, 2):
        try:
            await run(directory / "vault.db", source, chain, power)
        except Crash:
            await run(directory / "vault.db", source, chain, Power())
        if part == 1:
            write(source, "1.json", 1.5)
            write(source, "inner/5.json", 5)
    return power.steps


def check(directory: Path, chain: Chain) -> None:
    assert len(set(chain.roots)) == len(chain.roots)
    with opened(directory / "vault.db", directory / "records", Power()) as vault:
        with vault._engine.connect() as connection:
            rows = connection.execute(sa.select(records).order_by(records.c.id)).all()
            made = connection.execute(sa.select(batches)).all()
        assert len(rows) == 5
        assert sum(row.current for row in rows) == 4
        assert len({row.source for row in rows if row.current}) == 4
        assert {row.root for row in made} == set(chain.roots)
        assert all(row.height is not None for row in made)
        assert all(row.batch is not None for row in rows)
        places = [(row.batch, row.place) for row in rows]
        assert len(set(places)) == len(places)
        (old,) = [row.name for row in rows if not row.current]
        (new,) = [row.name for row in rows if row.current and row.source == "1.json"]
        assert set(chain.marks) == {(old, new)}
        assert len(vault.pointers_of(SUBJECT)) == 4
        assert vault.standing().waiting == 0


async def test_wherever_the_power_goes_everything_is_anchored_once(tmp_path: Path) -> None:
    whole = Chain()
    steps = await story(tmp_path / "whole", whole, 0)
    check(tmp_path / "whole", whole)
    assert steps > 20
    for off_at in range(1, steps + 1):
        chain = Chain()
        await story(tmp_path / str(off_at), chain, off_at)
        check(tmp_path / str(off_at), chain)


async def test_a_pass_says_how_far_it_is_and_how_it_ended(tmp_path: Path) -> None:
    chain, source = Chain(), tmp_path / "records"
    source.mkdir()
    for number in range(5):
        write(source, f"{number}.json", number)
    (source / "bad.json").write_text("{")
    told: list[tuple[str, int, int]] = []
    vault = Vault.open(tmp_path / "vault.db", DirectoryConnector(source))
    tell: Callable[[str, int, int], None] = lambda *what: told.append(what)  # noqa: E731
    await anchor(vault, "east", {"Patient/1": SUBJECT}, 7_000, chain.perform, None, tell)
    standing = vault.standing()
    assert (standing.current, standing.anchored, standing.waiting) == (5, 5, 0)
    assert standing.newest is not None
    assert 7_000 <= standing.newest.began <= standing.newest.changed
    assert standing.newest.ended is not None
    counts = standing.newest.counts
    assert (counts["new"], counts["unreadable"], counts["batches"]) == (5, 1, 3)
    assert told[-1] == ("batches", 3, 3)
    assert ("taking in", 6, 0) in told

    write(source, "9.json", 9)

    async def refuse(_call: Call) -> tuple[int, CallResult]:
        return 1, CallResult(False, "role_missing: no", None, 1, ())

    with pytest.raises(anchoring.AnchoringFailed):
        await anchor(vault, "east", {"Patient/1": SUBJECT}, 8_000, refuse)
    standing = vault.standing()
    assert (standing.waiting, standing.batches_waiting) == (1, 1)
    assert standing.newest is not None
    assert "role_missing" in standing.newest.error
    vault.close()


def test_one_process_at_a_time_writes_into_a_vault(tmp_path: Path) -> None:
    with claim_vault(tmp_path), pytest.raises(VaultBusy), claim_vault(tmp_path):
        pass
    with claim_vault(tmp_path):
        pass
