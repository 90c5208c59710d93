"""Counting what crosses the simulated network for each block, and how long blocks take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ledger.consensus.messages import decode_message
from ledger.node.net.frames import Consensus, decode_frame
from ledger.sim.network import payload
from ledger.sim.traffic import kind_of
from ledger.sim.world import World

#: What goes on without blocks too, every 3 and every 5 seconds; counted by the second instead.
BACKGROUND: Final = frozenset({"Ping", "Pong", "GetHeard", "Heard"})


@lru_cache(maxsize=8192)
def _label(frame: bytes) -> str:
    """The kind of a frame; of a consensus frame, the kind of its message."""
    kind = kind_of(frame)
    if kind == Consensus.__name__:
        inside = decode_frame(payload(frame))
        assert isinstance(inside, Consensus)
        return type(decode_message(inside.message)).__name__
    return kind


class Meter:
    """Counts frames by sender, kind and whether they go to a follower, and when blocks arrive."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._followers = frozenset(world.consortium.followers)
        #: (sender, kind, to a follower) → frames and bytes.
        self.sent: dict[tuple[str, str, bool], list[int]] = {}
        #: Height → when the first node, and when the last follower so far, had stored it, in ms.
        self.first: dict[int, float] = {}
        self.last: dict[int, float] = {}
        world.network.watchers.append(self._sent)
        world.checker.watchers.append(self._stored)

    def _sent(self, sender: str, receiver: str, frame: bytes) -> None:
        key = sender, _label(frame), receiver in self._followers
        count = self.sent.setdefault(key, [0, 0])
        count[0] += 1
        count[1] += len(frame)

    def _stored(self, node: str, height: int) -> None:
        self.first.setdefault(height, self._world.now_ms)
        if node in self._followers:
            self.last[height] = self._world.now_ms

    def clear(self) -> None:
        """Count anew."""
        self.sent.clear()
        self.first.clear()
        self.last.clear()

    def total(
        self,
        *,
        node: str | None = None,
        kinds: Callable[[str], bool] = lambda kind: kind not in BACKGROUND,
        to_followers: bool | None = None,
    ) -> tuple[int, int]:
        """Frames and bytes, of all nodes or of one, of these kinds, to these receivers."""
        frames = size = 0
        for (sender, kind, below), (count, number) in self.sent.items():
            if (
                (node is None or sender == node)
                and kinds(kind)
                and (to_followers is None or below == to_followers)
            ):
                frames, size = frames + count, size + number
        return frames, size

    def spread(self) -> list[float]:
        """For each block: milliseconds from its first being stored until the last follower had it;
        empty without followers."""
        return [self.last[height] - self.first[height] for height in sorted(self.last)]

    def kinds(self) -> list[str]:
        """Every kind of frame that was sent."""
        return sorted({kind for _sender, kind, _below in self.sent})


@dataclass(frozen=True, slots=True)
class Sent:
    """What nodes sent for each block, without `BACKGROUND`: messages and bytes.

    ``all``: by everybody. ``largest`` and ``mean``: by one validator. ``down_largest``,
    ``down_mean``: of that, to followers. ``kinds``: by everybody, by kind of frame; consensus
    messages by their own kinds. ``background``: frames a second of the validator with the most.
    """

    all: tuple[float, float]
    largest: tuple[float, float]
    mean: tuple[float, float]
    down_largest: tuple[float, float]
    down_mean: tuple[float, float]
    kinds: dict[str, tuple[float, float]]
    background: float


def sent_per_block(meter: Meter, validators: Iterable[str], blocks: int, seconds: float) -> Sent:
    """What a meter has counted while so many blocks were made in so many seconds."""
    nodes = list(validators)
    own = [meter.total(node=node) for node in nodes]
    down = [meter.total(node=node, to_followers=True) for node in nodes]
    beats = [meter.total(node=node, kinds=BACKGROUND.__contains__)[0] for node in nodes]

    def each(counts: tuple[float, float]) -> tuple[float, float]:
        return round(counts[0] / blocks, 1), round(counts[1] / blocks)

    def mean(counts: list[tuple[int, int]]) -> tuple[float, float]:
        frames, sizes = zip(*counts, strict=True)
        return each((sum(frames) / len(nodes), sum(sizes) / len(nodes)))

    def largest(counts: list[tuple[int, int]]) -> tuple[float, float]:
        frames, sizes = zip(*counts, strict=True)
        return each((max(frames), max(sizes)))

    return Sent(
        all=each(meter.total()),
        largest=largest(own),
        mean=mean(own),
        down_largest=largest(down),
        down_mean=mean(down),
        kinds={
            kind: each(meter.total(kinds=kind.__eq__))
            for kind in meter.kinds()
            if kind not in BACKGROUND
        },
        background=round(max(beats) / seconds, 1),
    )
