"""Marks of a node's log on the chain: once a day, and when there is something new."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger.chain.result import CallResult
from ledger.chain.transaction import Call
from ledger.node import marking
from ledger.node.journal import Journal, check
from ledger.node.marking import DAY_MS, mark_once


class Marks:
    """Stands for the contract."""

    def __init__(self) -> None:
        self.time = 10 * DAY_MS
        self.kept: list[dict[str, Any]] = []
        self.known = True
        self.error = ""
        self.failure: Exception | None = None

    def now(self) -> int:
        return self.time

    def ask(self, contract: str, method: str, arguments: dict[str, Any]) -> CallResult:
        assert (contract, method) == ("journals", "marks_of")
        assert arguments == {"node": "n-1", "log": "sign-in"}
        return CallResult(self.known, "" if self.known else "unknown_contract", self.kept, 0, ())

    async def perform(self, call: Call) -> tuple[int, CallResult]:
        assert (call.contract, call.method) == ("journals", "mark")
        if self.failure is not None:
            raise self.failure
        if not self.error:
            entry = {**call.arguments, "time": self.time}
            self.kept.append({name: entry[name] for name in ("entries", "hash", "time")})
        return 1, CallResult(not self.error, self.error, None, 0, ())


@pytest.fixture
def marks() -> Marks:
    return Marks()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "log", lambda: 7)


async def once(marks: Marks, journal: Journal) -> bool:
    return await mark_once("n-1", "sign-in", journal, marks.now, marks.ask, marks.perform)


async def test_a_log_is_marked_when_it_has_grown_and_a_day_has_passed(
    marks: Marks, journal: Journal, tmp_path: Path
) -> None:
    assert not await once(marks, journal)
    journal.add("signed-in")
    assert await once(marks, journal)
    journal.add("signed-in")
    assert not await once(marks, journal)
    marks.time += DAY_MS
    assert await once(marks, journal)
    marks.time += DAY_MS
    assert not await once(marks, journal)
    assert [mark["entries"] for mark in marks.kept] == [1, 2]
    check(tmp_path / "log", {mark["entries"]: mark["hash"] for mark in marks.kept})


async def test_a_chain_without_the_contract_and_a_log_that_shrank_get_no_mark(
    marks: Marks, journal: Journal
) -> None:
    journal.add("signed-in")
    marks.known = False
    assert not await once(marks, journal)
    marks.known = True
    marks.kept.append({"entries": 5, "hash": bytes(32), "time": 0})
    assert not await once(marks, journal)
    assert len(marks.kept) == 1


async def test_what_cannot_be_marked_now_is_marked_later(
    marks: Marks, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    journal.add("signed-in")
    marks.error = "role_missing"
    assert not await once(marks, journal)
    marks.error, marks.failure = "", TimeoutError()
    monkeypatch.setattr(marking, "RETRY_SECONDS", 0.001)
    job = asyncio.create_task(
        marking.keep_marked("n-1", "sign-in", journal, marks.now, marks.ask, marks.perform)
    )
    await asyncio.sleep(0.02)
    marks.failure = None
    while not marks.kept:
        await asyncio.sleep(0.001)
    job.cancel()
    assert marks.kept[0]["hash"] == journal.head.hash
