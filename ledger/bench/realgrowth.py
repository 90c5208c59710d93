"""What `ledger.bench.growth` measures, on real processes of this machine over loopback."""

from __future__ import annotations

import asyncio
import re
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from ledger.bench.baselines import durable_commits_per_second, verifications_per_second
from ledger.bench.consortium import Workload, found
from ledger.bench.load import Load
from ledger.bench.meter import BACKGROUND
from ledger.node.fleet import Fleet
from ledger.node.setup.founding import node_home

_SAMPLE: Final = re.compile(
    r'^ledger_peer_(frames|bytes)_total\{direction="sent",kind="(\w+)"\} (\S+)$', re.MULTILINE
)
_PATIENTS: Final = 50
#: Between two transactions, and after the last for stragglers, in seconds.
_PAUSE: Final = 0.3


@dataclass(frozen=True, slots=True)
class RealSize:
    """What was measured of real processes; times in milliseconds, messages and bytes for one block
    as in `ledger.bench.meter.Sent`.

    ``cpu_ms``: processor time of one node for one block, mean. ``verifications``, ``commits``: what
    this machine could do a second, Ed25519 verifications on a core and durable commits, right
    before.
    """

    processes: int
    blocks: int
    all: tuple[float, float]
    largest: tuple[float, float]
    mean: tuple[float, float]
    kinds: dict[str, tuple[float, float]]
    p50: float
    worst: float
    cpu_ms: float
    verifications: int
    commits: int


Counts = dict[str, tuple[float, float]]


def _scrape(url: str) -> Counts:
    """Kind of frame → frames and bytes that a node has sent since its start."""
    text = httpx.get(f"{url}/metrics", timeout=30, trust_env=False).text
    found: dict[str, dict[str, float]] = {}
    for what, kind, value in _SAMPLE.findall(text):
        found.setdefault(kind, {})[what] = float(value)
    return {
        kind: (counts["frames"], counts["bytes"])
        for kind, counts in found.items()
        if kind not in BACKGROUND
    }


def _sum(counts: Counts) -> tuple[float, float]:
    return sum(one for one, _ in counts.values()), sum(two for _, two in counts.values())


async def _offer(load: Load, workload: Workload, nodes: int, blocks: int) -> list[float]:
    """One transaction at a time, at each node in turn; milliseconds until each was final."""
    loop = asyncio.get_running_loop()
    took = []
    for number in range(blocks):
        raw = workload.consent(await load.height())
        begun = loop.time()
        (identity,) = await load.submit(number % nodes, [raw])
        await load.final(number % nodes, identity)
        took.append(1000 * (loop.time() - begun))
        await asyncio.sleep(_PAUSE)
    return took


def measure_processes(count: int, *, blocks: int = 20) -> RealSize:
    """Found a consortium of so many validators, run it on this machine and measure it idle."""
    verifications, commits = verifications_per_second(), durable_commits_per_second()
    with tempfile.TemporaryDirectory(prefix="health-ledger-growth-") as directory:
        founding = found(count, Path(directory) / "network", patients=_PATIENTS)
        nodes = list(founding.validators)
        workload = Workload(founding)
        homes = {node: node_home(founding.home, node) for node in nodes}
        with Fleet(homes, founding.urls) as fleet:
            fleet.start()
            fleet.wait_ready(seconds=60 + 20 * count)

            async def run() -> tuple[list[float], list[Counts], int, float]:
                load = Load([founding.urls[node] for node in nodes])
                try:
                    await _offer(load, workload, count, 2)
                    before = [_scrape(founding.urls[node]) for node in nodes]
                    cpu = sum(map(fleet.cpu_seconds, nodes))
                    height = await load.height()
                    took = await _offer(load, workload, count, blocks)
                    used = sum(map(fleet.cpu_seconds, nodes)) - cpu
                    made = await load.height() - height
                    after = [_scrape(founding.urls[node]) for node in nodes]
                finally:
                    await load.close()
                grown = [
                    {
                        kind: (frames - old[kind][0], size - old[kind][1])
                        for kind, (frames, size) in new.items()
                    }
                    for old, new in zip(before, after, strict=True)
                ]
                return took, grown, made, used

            took, grown, made, used = asyncio.run(run())
    own = [_sum(counts) for counts in grown]

    def each(frames: float, size: float) -> tuple[float, float]:
        return round(frames / made, 1), round(size / made)

    kinds = {
        kind: each(
            sum(counts[kind][0] for counts in grown), sum(counts[kind][1] for counts in grown)
        )
        for kind in grown[0]
    }
    return RealSize(
        processes=count,
        blocks=made,
        all=each(sum(frames for frames, _ in own), sum(size for _, size in own)),
        largest=each(max(frames for frames, _ in own), max(size for _, size in own)),
        mean=each(
            statistics.mean(frames for frames, _ in own), statistics.mean(size for _, size in own)
        ),
        kinds={kind: counts for kind, counts in kinds.items() if counts[0]},
        p50=round(statistics.median(took), 1),
        worst=round(max(took), 1),
        cpu_ms=round(1000 * used / count / made, 1),
        verifications=round(verifications),
        commits=round(commits),
    )
