"""The scenario of a consortium on real processes, as far as it goes without waiting for days."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ledger.chain.codec import Malformed
from ledger.chain.result import Event
from ledger.chain.transaction import Call
from ledger.client.builder import Account, build
from ledger.client.http import NodeRefused, NodeUnreachable
from ledger.demo.narration import Narrator
from ledger.demo.stage import PATIENCE, WINDOW, Stage, Unexpected
from ledger.node.clock import now_ms
from ledger.scenario.backend import Outcome
from ledger.scenario.cast import Cast
from ledger.scenario.language import Scenario, Step
from ledger.scenario.player import Played, Player


class ProcessBackend:
    """The nodes of a demo, spoken to over their HTTP interface."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._last = stage.founding.validators[0]

    @property
    def now(self) -> int:
        return now_ms()

    @property
    def height(self) -> int:
        return int(self._stage.client(self._last).status()["height"])

    def act(self, institution: str, signers: Sequence[Account], call: Call) -> Outcome:
        client = self._stage.at(institution)
        height = int(client.status()["height"])
        transaction = build(self._stage.chain, height, WINDOW, [call], signers)
        (submitted,) = client.submit(transaction.raw, wait=PATIENCE)
        if submitted.outcome is None:
            raise ValueError(f"not final: {submitted.code} {submitted.detail}")
        self._catch_up(submitted.outcome.height)
        (told,) = submitted.outcome.calls
        events = tuple(
            Event(one.get("contract", ""), one.get("name", ""), one.get("fields", {}))
            for one in told.events
        )
        return Outcome(told.ok, told.value, told.error, events)

    def ask(self, contract: str, method: str, arguments: dict[str, Any]) -> Any:
        try:
            return self._stage.client(self._last).query(contract, method, **arguments)
        except (NodeRefused, NodeUnreachable, Malformed) as error:
            raise ValueError(str(error)) from None

    def later(self, milliseconds: int) -> bool:
        return False

    def _catch_up(self, height: int) -> None:
        """The next call may go to another node, which must know what this one did."""
        deadline = time.monotonic() + PATIENCE
        for node in self._stage.fleet.running:
            while int(self._stage.client(node).status()["height"]) < height:
                if time.monotonic() > deadline:
                    raise Unexpected(f"{node} does not get block {height}")
                time.sleep(0.01)


def play(scenario: Scenario, stage: Stage, tell: Narrator) -> Played:
    """Play a scenario and say what happens; raises `Unmet`."""
    tell("scenario", title=tell.name(scenario.title, scenario.title_zh), shows=scenario.shows)

    def watch(step: Step, what: str) -> None:
        for line in step.prose:
            tell("prose", text=line)
        tell("step", text=step.text)
        if what:
            tell("outcome", text=what)

    player = Player(scenario, ProcessBackend(stage), Cast(stage.people, scenario.name), watch)
    played = player.play()
    if played.left:
        tell("left", steps=played.left, name=scenario.name)
    for line in scenario.epilogue if not played.left else ():
        tell("prose", text=line)
    return played
