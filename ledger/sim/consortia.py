"""Scenarios in the simulator: the production nodes of a consortium, on virtual time."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ledger.chain import limits
from ledger.chain.transaction import Call
from ledger.client.builder import Account, build
from ledger.contracts.machine import BlockContext
from ledger.node.setup.config import NetworkConfig
from ledger.node.setup.people import load_people
from ledger.scenario.backend import Outcome
from ledger.scenario.cast import Cast
from ledger.scenario.language import Scenario
from ledger.scenario.player import Played, Player, Watcher
from ledger.sim.client import WINDOW, Ticket
from ledger.sim.founding import found, memory_directory
from ledger.sim.world import World

#: How long a call may take until it is final, and a new head until all have it, in virtual ms.
PATIENCE: Final = 120_000.0


class SimBackend:
    """A world whose nodes all run."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._homes: dict[str, str] = {}
        for name, member in world.nodes.items():
            self._homes.setdefault(member.home.institution, name)
        self._first = next(iter(world.nodes))
        #: The block of the last call.
        self._height = 0

    @property
    def now(self) -> int:
        return self._world.nodes[self._first].clock()

    @property
    def height(self) -> int:
        return max(self._world.heights().values())

    def act(self, institution: str, signers: Sequence[Account], call: Call) -> Outcome:
        world = self._world
        node = self._homes.get(institution, self._first)
        transaction = build(
            world.consortium.chain,
            world.nodes[node].height,
            WINDOW,
            [call],
            signers,
            nonce=world.random.randbytes(limits.MAX_NONCE_BYTES),
        )
        ticket = Ticket(node, transaction)
        world.tickets.append(ticket)
        world.send(ticket)
        done = world.run_until(lambda: ticket.final or _turned_away(ticket), PATIENCE)
        if not done or not ticket.final:
            raise ValueError(f"{node} does not bring the call to an end: {ticket.answer}")
        outcome = world.node(node).service.outcome(transaction.id)
        assert outcome is not None
        self._height = outcome[0]
        (result,) = outcome[2].calls
        return Outcome(result.ok, result.value, result.error, result.events)

    def ask(self, contract: str, method: str, arguments: dict[str, Any]) -> Any:
        if not self._world.reach(self._height, PATIENCE, self._first):
            raise ValueError(f"{self._first} does not get block {self._height}")
        replica = self._world.node(self._first).replica
        head = replica.head
        context = BlockContext(head.chain, head.height, max(head.time, self.now))
        result = replica.machine.query(replica.read, context, contract, method, arguments)
        if not result.ok:
            raise ValueError(result.error)
        return result.value

    def later(self, milliseconds: int) -> bool:
        for clock in self._world.clocks.values():
            clock.later(milliseconds)
        return True


def _turned_away(ticket: Ticket) -> bool:
    return ticket.answer is not None and not ticket.answer.accepted


def play(
    scenario: Scenario,
    config: NetworkConfig,
    *,
    seed: int = 1,
    watch: Watcher = lambda _step, _what: None,
) -> Played:
    """Play a scenario on all nodes of a configuration; afterwards all must have the same chain.

    Raises:
        Unmet: something is not as the scenario says.
        Broken: an invariant of the consortium does not hold.
    """
    with tempfile.TemporaryDirectory(prefix="ledger-sim-", dir=memory_directory()) as scratch:
        founded = found(config, Path(scratch) / "network", scenario.name)
        with World(seed, founded=founded) as world:
            world.start_all()
            cast = Cast(load_people(founded.path), scenario.name)
            played = Player(scenario, SimBackend(world), cast, watch).play()
            if not world.reach(max(world.heights().values()), PATIENCE):
                world.complain("not all nodes have the whole chain")
            world.check()
            return played
