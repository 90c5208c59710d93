"""The effects of one input, in order."""

from __future__ import annotations

from ledger.consensus.effects import Accuse, CancelTimer, Effect, Persist, SetTimer
from ledger.consensus.errors import PeerFault, Rule
from ledger.consensus.inputs import Timer
from ledger.consensus.promises import Promises


class Outbox:
    """Collects what the driver is asked to do."""

    def __init__(self) -> None:
        self._effects: list[Effect] = []
        self._height = 0
        self._accused: set[tuple[str, Rule]] = set()

    def begin(self, height: int) -> None:
        """From here on, timers and accusations are those of a new height."""
        self._height = height
        self._accused.clear()

    def take(self) -> list[Effect]:
        """Everything put in since the last call."""
        effects, self._effects = self._effects, []
        return effects

    def put(self, *effects: Effect) -> None:
        self._effects.extend(effects)

    def save(self, promises: Promises) -> None:
        """Have new promises made durable. Comes before whatever makes them known."""
        votes = promises.take_unsaved()
        if votes:
            self.put(Persist(votes))

    def start(self, timer: Timer, view: int, delay_ms: int) -> None:
        self.put(SetTimer(timer, self._height, view, delay_ms))

    def stop(self, *timers: Timer) -> None:
        self.put(*(CancelTimer(timer) for timer in timers))

    def accuse(self, fault: PeerFault) -> None:
        """Once per height, node and rule: a peer must not be able to fill our logs."""
        if (fault.accused, fault.rule) not in self._accused:
            self._accused.add((fault.accused, fault.rule))
            self.put(Accuse(fault))
