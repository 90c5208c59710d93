"""What goes wrong, drawn from a seed: for runs that are longer than a story."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable

from tests.support.lab.hosts import FAKETIME, NFT, Hosts

#: Seed of everything that is drawn, so that a failure can be tried again.
SEED = int(os.environ.get("HEALTH_LEDGER_LAB_SEED", "1"))

Fault = Callable[[], None]


class Nemesis:
    """Breaks a network whose nodes dial each other through lines; `Hosts.mend` mends it."""

    def __init__(self, hosts: Hosts, seed: int) -> None:
        self._hosts = hosts
        self._chance = random.Random(f"nemesis {seed}")
        self.done: Counter[str] = Counter()
        self._faults: dict[str, Fault] = {
            "majority and minority": self._majority,
            "split without a quorum": self._split,
            "three parts": self._parts,
            "isolated proposer": self._isolate,
            "flapping links": self._flap,
            "kills of up to f": self._kill,
            "kill of all": self._kill_all,
            "kills in a row": self._kill_in_a_row,
            "pauses of up to f": self._pause,
            "pause of all": self._pause_all,
            "stopped proposer": self._stop_proposer,
            "long thin lines": self._thin,
            "bad lines": self._bad,
            "resets": self._reset,
            "held lines": self._hold,
        }
        if NFT:
            self._faults |= {"deaf node": self._deafen, "bridge of three": self._bridge}
        if FAKETIME.exists():
            self._faults |= {"wrong clocks": self._clocks}

    def strike(self) -> None:
        """One or two faults at once, for some seconds each."""
        for name in self._chance.sample(sorted(self._faults), self._chance.choice((1, 1, 2))):
            self._hosts.note(f"fault: {name}")
            self._faults[name]()
            self.done[name] += 1
        self._wait(1.0, 8.0)

    def _wait(self, least: float, most: float) -> None:
        time.sleep(self._chance.uniform(least, most))

    def _some(self, most: int) -> list[int]:
        return self._chance.sample(self._hosts.all, self._chance.randint(1, most))

    def _up(self, hosts: list[int]) -> list[int]:
        return [host for host in hosts if self._hosts.lab.alive(host)]

    def _tolerated(self) -> int:
        return len(self._hosts.all) - self._hosts.quorum

    def _majority(self) -> None:
        minority = self._some(self._tolerated())
        self._hosts.partition(self._hosts.others(*minority), minority)

    def _split(self) -> None:
        order = self._chance.sample(self._hosts.all, len(self._hosts.all))
        self._hosts.partition(order[:4], order[4:])

    def _parts(self) -> None:
        order = self._chance.sample(self._hosts.all, len(self._hosts.all))
        self._hosts.partition(order[:3], order[3:5], order[5:])

    def _isolate(self) -> None:
        self._hosts.cut(self._hosts.newest_proposer())

    def _flap(self) -> None:
        for _ in range(self._chance.randint(3, 10)):
            flapping = self._some(4)
            self._hosts.cut(*flapping)
            self._wait(0.05, 0.8)
            self._hosts.plug(*flapping)
            self._wait(0.05, 0.8)

    def _kill(self) -> None:
        self._hosts.kill(*self._up(self._some(self._tolerated())))

    def _kill_all(self) -> None:
        self._hosts.kill(*self._up(self._hosts.all))
        self._hosts.launch(*self._hosts.dead())

    def _kill_in_a_row(self) -> None:
        for host in self._up(self._some(3)):
            self._hosts.kill(host)
            self._hosts.launch(*self._hosts.dead())

    def _pause(self) -> None:
        self._hosts.pause(*self._up(self._some(self._tolerated())))

    def _pause_all(self) -> None:
        running = self._up(self._hosts.all)
        self._hosts.pause(*running)
        self._wait(0.5, 12.0)
        self._hosts.resume(*running)

    def _stop_proposer(self) -> None:
        self._hosts.pause(*self._up([self._hosts.newest_proposer()]))

    def _thin(self) -> None:
        self._hosts.shape(
            self._some(4), delay=self._chance.uniform(0.02, 0.3), jitter=0.05, rate=125_000
        )

    def _bad(self) -> None:
        self._hosts.shape(self._some(7), loss=self._chance.uniform(0.01, 0.3), jitter=0.05)

    def _reset(self) -> None:
        for _ in range(self._chance.randint(1, 6)):
            self._hosts.reset(*self._some(3))
            self._wait(0.1, 1.0)

    def _hold(self) -> None:
        self._hosts.hold(*self._some(3))

    def _deafen(self) -> None:
        for host in self._some(self._tolerated()):
            self._hosts.deafen(host, *self._chance.sample(self._hosts.others(host), 4))

    def _bridge(self) -> None:
        order = self._chance.sample(self._hosts.all, len(self._hosts.all))
        for left in order[:2]:
            self._hosts.deafen(left, *order[5:])
        for right in order[5:]:
            self._hosts.deafen(right, *order[:2])

    def _clocks(self) -> None:
        for host in self._some(self._tolerated()):
            seconds = 10 ** self._chance.uniform(0, 3)  # from one second to a quarter of an hour
            self._hosts.set_clock(host, round(self._chance.choice((-1, 1)) * seconds))
