"""Lines between hosts are as slow, thin and bad as they are told to be, and lose no byte."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.lab.line import RETRANSMISSION_SECONDS, Line, Schedule, Shape, Streams


def schedule() -> Schedule:
    return Schedule(random.Random(1))


def test_a_perfect_line_takes_no_time() -> None:
    assert schedule().release(5.0, 1000, Shape()) == 5.0


def test_a_long_line_delays_everything_alike() -> None:
    line = schedule()
    assert line.release(5.0, 1, Shape(delay=0.2)) == 5.2
    assert line.release(5.1, 100_000, Shape(delay=0.2)) == pytest.approx(5.3)


def test_a_thin_line_passes_its_rate_and_is_no_faster_after_a_pause() -> None:
    line = schedule()
    thin = Shape(rate=1000)
    assert line.release(0.0, 500, thin) == 0.5
    assert line.release(0.0, 500, thin) == 1.0
    assert line.release(9.0, 500, thin) == 9.5


def test_what_follows_a_lost_segment_waits_for_it() -> None:
    line = schedule()
    assert line.release(0.0, 1, Shape(loss=1.0)) == RETRANSMISSION_SECONDS
    assert line.release(0.0, 1, Shape()) == RETRANSMISSION_SECONDS


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.integers(1, 10_000), st.floats(0, 0.3), st.floats(0, 1)),
        max_size=50,
    ),
    st.integers(0, 2**32),
)
@settings(max_examples=100)
def test_a_line_keeps_the_order_and_never_delivers_early(
    chunks: list[tuple[float, int, float, float]], seed: int
) -> None:
    line = Schedule(random.Random(seed))
    now = last = 0.0
    for pause, size, jitter, loss in chunks:
        now += pause
        at = line.release(now, size, Shape(delay=0.1, jitter=jitter, rate=5000, loss=loss))
        assert at >= now + 0.1 + size / 5000 - 1e-9
        assert at >= last
        last = at


async def through(line: Line) -> tuple[Streams, asyncio.Server]:
    """A connection through a line's proxy on loopback."""
    server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    return await asyncio.open_connection("127.0.0.1", port), server


async def echoing() -> tuple[Line, asyncio.Server]:
    """A line to a server that sends everything back."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(10_000):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    return Line(lambda: asyncio.open_connection("127.0.0.1", port), seed=3), server


async def test_every_byte_comes_through_a_bad_line_in_order() -> None:
    line, far = await echoing()
    line.shape = Shape(delay=0.01, jitter=0.02, rate=2_000_000, loss=0.02)
    (reader, writer), near = await through(line)
    sent = random.Random(5).randbytes(300_000)
    writer.write(sent)
    writer.write_eof()
    received = bytearray()
    while data := await reader.read(65_536):
        received += data
    assert received == sent
    near.close()
    far.close()


async def test_a_held_line_passes_nothing_until_it_is_freed() -> None:
    line, far = await echoing()
    (reader, writer), near = await through(line)
    line.hold()
    writer.write(b"held")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await reader.readexactly(4)
    line.free()
    assert await reader.readexactly(4) == b"held"
    writer.close()
    near.close()
    far.close()


async def test_a_reset_ends_both_sides_of_a_connection() -> None:
    line, far = await echoing()
    (reader, writer), near = await through(line)
    writer.write(b"once")
    assert await reader.readexactly(4) == b"once"
    assert line.reset() == 1
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    near.close()
    far.close()


async def test_a_line_to_nobody_breaks_the_connection() -> None:
    async def nobody() -> Streams:
        raise ConnectionRefusedError

    (reader, _writer), near = await through(Line(nobody))
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    near.close()
