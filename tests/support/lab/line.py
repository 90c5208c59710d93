"""A TCP line that is slow, thin, or bad: what ``tc netem`` does where the kernel has it.

A proxy stands above TCP, so it can't lose a packet. What programs notice of loss on a TCP line is
that everything behind the lost segment waits for its retransmission, and that a line which loses
too much is reset; so that is what `Shape.loss` and `Line.reset` do. A line on `Line.hold` passes
nothing and stays open, as when a cable is out.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

#: Bytes read at once, so that a thin line is fine-grained.
CHUNK_BYTES = 16 * 1024
#: Chunks on their way in one direction; beyond it the sender has to wait, as with a full window.
CHUNKS_UNDER_WAY = 64
#: How long a lost segment is missing: the least retransmission timeout of Linux, in seconds.
RETRANSMISSION_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Shape:
    """How a line is, each way; the default is a perfect one.

    ``delay`` and ``jitter``: seconds; a chunk takes ``delay`` and up to ``jitter`` more.
    ``rate``: bytes per second, 0 for no limit. ``loss``: the share of chunks that come
    `RETRANSMISSION_SECONDS` late.
    """

    delay: float = 0.0
    jitter: float = 0.0
    rate: float = 0.0
    loss: float = 0.0


PERFECT = Shape()


class Schedule:
    """When the bytes of one direction come out; a token bucket of one chunk, and in order."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._free_at = 0.0
        self._last = 0.0

    def release(self, now: float, size: int, shape: Shape) -> float:
        """When ``size`` bytes that went in at ``now`` come out, in seconds on the same clock."""
        through = max(now, self._free_at)
        if shape.rate:
            through += size / shape.rate
        self._free_at = through
        at = through + shape.delay
        if shape.jitter:
            at += self._chance.uniform(0, shape.jitter)
        if shape.loss and self._chance.random() < shape.loss:
            at += RETRANSMISSION_SECONDS
        self._last = max(self._last, at)
        return self._last


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Line:
    """Everything that goes through one proxy: as many connections as are made.

    Args:
        dial: connects to the far end.
        seed: of jitter and loss.
    """

    def __init__(self, dial: Callable[[], Awaitable[Streams]], seed: int = 0) -> None:
        self.shape = PERFECT
        self.carried = 0
        self._dial = dial
        self._chance = random.Random(seed)
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()

    def hold(self) -> None:
        """Pass nothing from now on, and keep the connections."""
        self._open.clear()

    def free(self) -> None:
        """Pass what was held."""
        self._open.set()

    def reset(self) -> int:
        """Reset every connection; how many there were."""
        ended = list(self._writers)
        for writer in ended:
            writer.transport.abort()
        return len(ended) // 2

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until both ends have closed it, or one of them broke it."""
        try:
            far_reader, far_writer = await self._dial()
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(reader, far_writer))
                group.create_task(self._carry(far_reader, writer))
        except* (OSError, EOFError):
            pass
        finally:
            self._writers -= {writer, far_writer}
            writer.transport.abort()
            far_writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_UNDER_WAY)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._take(reader, under_way))
            group.create_task(self._give(under_way, writer))

    async def _take(
        self, reader: asyncio.StreamReader, under_way: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        schedule = Schedule(self._chance)
        clock = asyncio.get_running_loop().time
        while True:
            data = await reader.read(CHUNK_BYTES)
            await under_way.put((schedule.release(clock(), len(data), self.shape), data))
            if not data:
                return

    async def _give(
        self, under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            at, data = await under_way.get()
            if (wait := at - clock()) > 0:
                await asyncio.sleep(wait)
            await self._open.wait()
            if not data:
                writer.write_eof()
                return
            self.carried += len(data)
            writer.write(data)
            await writer.drain()
