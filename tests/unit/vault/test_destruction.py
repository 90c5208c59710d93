"""A holder's node destroys what the chain lets it, signs for it, and can be stopped anywhere."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ledger.chain.result import CallResult
from ledger.chain.transaction import Call
from ledger.node.destruction import Destruction, DestructionRefused
from ledger.node.vault.connector import DirectoryConnector
from ledger.node.vault.passes import claim_vault
from ledger.node.vault.vault import Vault
from tests.support.contracts import DAY, PATIENT, World
from tests.unit.vault.test_vault import observation


class Hospital:
    """A holder whose records are on a chain in memory."""

    def __init__(self, home: Path) -> None:
        self.world = World()
        self.home = home
        (home / "records").mkdir()
        (home / "vault").mkdir()
        for number in range(3):
            (home / "records" / f"{number}.json").write_bytes(observation(value=number))
        self.vault = Vault.open(
            home / "vault" / "vault.db", DirectoryConnector(home / "records", settled=0)
        )
        self.vault.take_in({"Patient/1": PATIENT}, "city", self.world.time)
        for batch in self.vault.batches():
            self.world.does(
                "city-1", "records", "anchor_many", holder="city", root=batch.root, size=batch.size
            )
            self.vault.anchored(batch.root, 1)
        self.shown = self.vault.pointers_of(PATIENT)
        self.failing: Exception | None = None

    def asked(self, number: int = 0) -> str:
        shown = self.shown[number]
        return str(
            self.world.does(
                PATIENT, "erasure", "ask", pointer=shown.pointer.value(), proof=shown.proof
            )
        )

    def answered(self, erasure: str, ground: str = "none", since: int = 0) -> None:
        self.world.does("city-1", "erasure", "answer", erasure=erasure, ground=ground, since=since)

    def ask(self, contract: str, method: str, arguments: dict[str, Any]) -> CallResult:
        world = self.world
        return world.machine.query(world.state.get, world.context, contract, method, arguments)

    async def perform(self, call: Call) -> tuple[int, CallResult]:
        if self.failing is not None:
            raise self.failing
        result = self.world.call("city-1", call.contract, call.method, **call.arguments)
        return self.world.height, result

    @property
    def destruction(self) -> Destruction:
        return Destruction(
            "city", self.home, self.vault, self.ask, self.perform, lambda: self.world.time,
            lambda: self.world.time,
        )  # fmt: skip


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    return Hospital(tmp_path)


async def test_the_record_goes_and_the_chain_has_the_hash_of_the_report(hospital: Hospital) -> None:
    erasure = hospital.asked()
    hospital.answered(erasure)
    name = hospital.shown[0].pointer.name()
    done = await hospital.destruction.destroy(erasure)
    assert done.names == (name.hex(),)
    assert hospital.vault.lookup(name) is None
    receipt = hospital.world.asks("erasure", "erasure", id=erasure)["receipt"]
    assert receipt["statement"] == done.statement
    assert receipt["names"] == [name.hex()]
    raw = done.report.read_bytes()
    assert sha256(b"health-ledger destruction report 1\x00" + raw).digest() == done.statement
    assert json.loads(raw)["record"] == name.hex()
    assert done.report.stat().st_mode & 0o777 == 0o600
    # The others are as they were.
    assert hospital.vault.lookup(hospital.shown[1].pointer.name()) is not None


async def test_nothing_is_destroyed_while_the_law_keeps_it(hospital: Hospital) -> None:
    erasure = hospital.asked()
    name = hospital.shown[0].pointer.name()
    with pytest.raises(DestructionRefused) as refused:
        await hospital.destruction.destroy(erasure)
    assert refused.value.code == "not-answered"
    hospital.answered(erasure, "outpatient", hospital.world.time)
    with pytest.raises(DestructionRefused) as refused:
        await hospital.destruction.destroy(erasure)
    until = hospital.world.asks("erasure", "erasure", id=erasure)["until"]
    assert (refused.value.code, refused.value.until) == ("kept", until)
    hospital.world.does(PATIENT, "erasure", "take_back", erasure=erasure)
    with pytest.raises(DestructionRefused) as refused:
        await hospital.destruction.destroy(erasure)
    assert refused.value.code == "taken-back"
    assert hospital.vault.lookup(name) is not None
    assert not (hospital.home / "vault" / "erasures").exists()


async def test_when_the_years_are_over_it_goes(hospital: Hospital) -> None:
    erasure = hospital.asked()
    hospital.answered(erasure, "outpatient", hospital.world.time)
    hospital.world.later(16 * 366 * DAY)
    await hospital.destruction.destroy(erasure)
    found = hospital.world.asks("erasure", "erasure", id=erasure)
    assert found["status"] == "destroyed"


async def test_a_node_that_stopped_before_it_signed_does_it_again(hospital: Hospital) -> None:
    erasure = hospital.asked()
    hospital.answered(erasure)
    hospital.failing = TimeoutError("no block came")
    with pytest.raises(TimeoutError):
        await hospital.destruction.destroy(erasure)
    assert hospital.world.asks("erasure", "erasure", id=erasure)["status"] == "due"
    hospital.failing = None
    hospital.world.later(DAY)
    done = await hospital.destruction.destroy(erasure)
    again = await hospital.destruction.destroy(erasure)
    assert again == done
    receipt = hospital.world.asks("erasure", "erasure", id=erasure)["receipt"]
    assert receipt["statement"] == done.statement


async def test_what_is_not_asked_of_this_holder_is_left_alone(hospital: Hospital) -> None:
    other = hospital.world.anchored(holder="county")
    erasure = hospital.world.does(PATIENT, "erasure", "ask", pointer=other, proof={})
    for identity in (erasure, "0" * 64 + "-0"):
        with pytest.raises(DestructionRefused) as refused:
            await hospital.destruction.destroy(identity)
        assert refused.value.code == "unknown-erasure"
    never = hospital.world.anchored(holder="city")
    erasure = hospital.world.does(PATIENT, "erasure", "ask", pointer=never, proof={})
    hospital.answered(erasure)
    with pytest.raises(DestructionRefused) as refused:
        await hospital.destruction.destroy(erasure)
    assert refused.value.code == "unknown-record"


async def test_a_pass_that_runs_is_not_disturbed(hospital: Hospital) -> None:
    erasure = hospital.asked()
    hospital.answered(erasure)
    with claim_vault(hospital.home / "vault"), pytest.raises(DestructionRefused) as refused:
        await hospital.destruction.destroy(erasure)
    assert refused.value.code == "busy"
    await hospital.destruction.destroy(erasure)
