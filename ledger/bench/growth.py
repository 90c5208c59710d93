"""What a block costs as a consortium grows: messages, bytes and time.

``python -m ledger.bench.growth`` plays consortia of several sizes in the simulator; with
``--processes 4,7`` it starts real ones on this machine instead. In the simulator nodes are the
production ones and each frame is counted as it leaves; time is virtual. What is modelled of it is
the delay of lines and 2 ms for each job that a node gives to a thread (building, executing and
storing a block); what is not is the time that processors need, queues behind thin lines, and TLS.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final

import structlog

from ledger.bench.meter import Meter, Sent, sent_per_block
from ledger.bench.realgrowth import measure_processes
from ledger.sim.client import send
from ledger.sim.weather import Line
from ledger.sim.world import World

#: Milliseconds in one direction between two validators: hospitals of one province.
PROVINCE: Final = (15.0, 60.0)
#: And to or from a follower: a village line.
VILLAGE: Final = (80.0, 120.0)
#: How many validators a consortium has when followers are added to it.
TIANJIN: Final = 13
#: Transactions offered for each of the blocks that a run under load is to take about.
_SHARE: Final = 25
#: Virtual milliseconds for everybody to connect, between two blocks of the idle run, and at most.
_CONNECTING, _PAUSE, _LIMIT = 20_000, 400, 120_000


@dataclass(frozen=True, slots=True)
class Size:
    """What was measured of one consortium; times are virtual milliseconds.

    ``load``: offered transactions per second, 0 for one at a time. ``transactions``: in a block.
    ``p50``, ``p99``: from the submission until final at the validator that took it.
    ``follower_p50``: the same at the last followers, one at a time. ``spread_p50``,
    ``spread_worst``: from a block's first being stored until the last follower has it.
    """

    validators: int
    followers: int
    load: int
    blocks: int
    transactions: float
    sent: Sent
    p50: float
    p99: float
    follower_p50: float | None = None
    spread_p50: float | None = None
    spread_worst: float | None = None


def province(validators: int, followers: int, seed: int = 1) -> World:
    """A consortium with the lines of a province, started and connected. Close it."""
    world = World(seed, validators, followers, line=Line(VILLAGE))
    for place, first in enumerate(world.validators):
        for second in world.validators[place + 1 :]:
            world.network.link(first, second, delay=PROVINCE)
    world.start_all()
    world.run(_CONNECTING)
    return world


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest of the values that at least this share of them do not exceed."""
    ordered = sorted(values)
    place = -int(-share * len(ordered) // 1) - 1
    return round(ordered[max(0, min(len(ordered) - 1, place))], 1)


class Clients:
    """Clients who note how long their transactions took, in virtual milliseconds."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._open = 0
        self.took: list[float] = []

    def submit(self, name: str) -> None:
        """Give a fresh transaction to a node."""
        world, member = self._world, self._world.nodes[name]
        node, ticket = world.node(name), world.clients.prepare(name, member.height)
        begun = world.now_ms

        async def timed() -> None:
            await send(node, ticket)
            if ticket.final:
                self.took.append(world.now_ms - begun)
                self._open -= 1

        self._open += 1
        world.loop.inside(lambda: world.loop.create_task(timed()), member.process)

    def finish(self) -> None:
        """Run until everything submitted is final and everybody has every block; raises
        `RuntimeError` if that takes too long."""
        world = self._world
        if not world.run_until(lambda: self._open == 0, _LIMIT):
            raise RuntimeError(f"{self._open} transactions did not become final")
        if not world.reach(world.checker.height, _LIMIT):
            raise RuntimeError("a node did not get every block")

    def singly(self, names: Iterable[str]) -> list[float]:
        """One transaction after the other, each in a block of its own; how long each took."""
        self.took.clear()
        for name in names:
            self.submit(name)
            self.finish()
            self._world.run(_PAUSE)
        return list(self.took)

    def evenly(self, names: Iterable[str], per_second: int) -> list[float]:
        """Transactions at a steady rate, whatever becomes of them; how long each took."""
        self.took.clear()
        for name in names:
            self.submit(name)
            self._world.run(1000 / per_second)
        self.finish()
        return list(self.took)


def measure(validators: int, followers: int, *, load: int = 0, blocks: int = 20) -> Size:
    """Measure one consortium in the simulator.

    Args:
        load: transactions per virtual second, offered to all validators in turn; 0: one by one.
        blocks: how many blocks the idle run makes; under load, 25 times as many transactions are
            offered.
    """
    with province(validators, followers) as world:
        meter, clients = Meter(world), Clients(world)
        clients.singly(world.validators[:1])
        meter.clear()
        begun, height = world.now_ms, world.checker.height
        turns = [
            world.validators[number % validators]
            for number in range(blocks * _SHARE if load else blocks)
        ]
        took = clients.evenly(turns, load) if load else clients.singly(turns)
        made = world.checker.height - height
        final = sum(len(world.checker.chain[height + 1 + number].ids) for number in range(made))
        sent = sent_per_block(meter, world.validators, made, (world.now_ms - begun) / 1000)
        spread = meter.spread()
        below = [] if load else clients.singly(world.consortium.followers[-10:])
        world.check()
    return Size(
        validators=validators,
        followers=followers,
        load=load,
        blocks=made,
        transactions=round(final / made, 1),
        sent=sent,
        p50=percentile(took, 0.5),
        p99=percentile(took, 0.99),
        follower_p50=percentile(below, 0.5) if below else None,
        spread_p50=percentile(spread, 0.5) if spread else None,
        spread_worst=percentile(spread, 1) if spread else None,
    )


def main() -> None:
    """The command line."""

    def numbers(text: str) -> list[int]:
        return [int(number) for number in text.split(",") if number]

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=numbers, default=[4, 7, 13, 25, 49], help="validators")
    parser.add_argument(
        "--followers", type=numbers, default=[60, 253], help=f"added to {TIANJIN} validators"
    )
    parser.add_argument("--load", type=int, default=200, help="transactions per second")
    parser.add_argument("--blocks", type=int, default=20, help="of each idle run")
    parser.add_argument("--processes", type=numbers, default=[], help="real nodes instead")
    parser.add_argument("--json", action="store_true", help="one object a line, with all kinds")
    options = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

    def show(figures: dict[str, object]) -> None:
        if options.json:
            text = json.dumps(figures)
        else:
            text = "  ".join(
                f"{name}={value}" for name, value in _flat(figures) if value is not None
            )
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    if options.processes:
        for count in options.processes:
            show(asdict(measure_processes(count, blocks=options.blocks)))
        return
    sizes = [(count, 0) for count in options.sizes]
    sizes += [(TIANJIN, count) for count in options.followers]
    for validators, followers in sizes:
        for load in dict.fromkeys((0, options.load)):
            show(asdict(measure(validators, followers, load=load, blocks=options.blocks)))


def _flat(figures: dict[str, object]) -> Iterable[tuple[str, object]]:
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", item) for inner, item in value.items())
        else:
            yield name, value


if __name__ == "__main__":
    main()
