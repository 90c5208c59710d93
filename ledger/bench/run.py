"""``health-ledger bench``: one consortium, five measurements, one object of figures.

Every figure that depends on the machine stands beside a limit measured in the same run.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from ledger.bench.baselines import durable_commits_per_second, verifications_per_second
from ledger.bench.consortium import Workload, found
from ledger.bench.load import Load, Refused
from ledger.node.fleet import Fleet, NodeFailed
from ledger.node.setup.founding import node_home

GOOD, COULD_NOT_RUN = 0, 3

#: Upper bounds of what a run could finish per second, for making transactions beforehand.
MOST_SINGLE = 3_000
MOST_BUNDLES = 60
MOST_ANCHORS = 1_500
BUNDLE_BATCH = 2
LIGHT_PER_SECOND = 10.0
HALF_PROBES_PER_SECOND = 20.0

Say = Callable[[str], None]


def _percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _stored_bytes(home: Path) -> int:
    return sum(path.stat().st_size for path in (home / "data").iterdir() if path.is_file())


async def _measure(
    load: Load, workload: Workload, fleet: Fleet, seconds: float, say: Say
) -> dict[str, Any]:
    nodes = list(fleet.homes)
    verify = verifications_per_second()
    commits = durable_commits_per_second()
    (anchored,) = await load.submit(0, [workload.anchoring(await load.height())])
    await load.final(0, anchored)
    figures: dict[str, Any] = {}

    say("latency at light load")
    light = workload.single(await load.height(), int(LIGHT_PER_SECOND * seconds))
    quiet = await load.latencies(light, LIGHT_PER_SECOND, LIGHT_PER_SECOND)
    figures["p50_ms_light"] = round(statistics.median(quiet), 1)
    figures["p99_ms_light"] = round(_percentile(quiet, 0.99), 1)

    say("making signed transactions")
    batch = workload.single(await load.height(), int(MOST_SINGLE * seconds))
    say("individually signed transactions")
    stored = _stored_bytes(fleet.homes[nodes[0]])
    cpu = [fleet.cpu_seconds(node) for node in nodes]
    whole = await load.count()
    best = await load.saturate(batch, seconds)
    await load.drain()
    carried = await load.count() - whole
    used = statistics.mean(
        fleet.cpu_seconds(node) - before for node, before in zip(nodes, cpu, strict=True)
    )
    figures["committed_tx_per_s"] = round(best.per_second, 1)
    figures["bytes_per_tx"] = round((_stored_bytes(fleet.homes[nodes[0]]) - stored) / carried)
    figures["cpu_verifications_per_tx"] = round(used / carried * verify, 2)
    figures["tx_bytes_mean"] = round(statistics.mean(map(len, batch[:1000])))

    say("latency at half of that")
    rate = best.per_second / 2
    half = workload.single(await load.height(), int(rate * seconds / 2))
    busy = await load.latencies(half, rate, HALF_PROBES_PER_SECOND)
    await load.drain()
    figures["p50_ms_half"] = round(statistics.median(busy), 1)
    figures["p99_ms_half"] = round(_percentile(busy, 0.99), 1)

    say("envelopes of 100 calls")
    short = seconds / 2
    bundles = workload.bundled(await load.height(), int(MOST_BUNDLES * short))
    bundled = await load.saturate(bundles, short, BUNDLE_BATCH)
    await load.drain()
    figures["bundled_calls_per_s"] = round(100 * bundled.per_second, 1)

    say("records anchored through Merkle roots of 1,000")
    roots = workload.anchors(await load.height(), int(MOST_ANCHORS * short))
    anchors = await load.saturate(roots, short)
    await load.drain()
    figures["anchored_records_per_s"] = round(1000 * anchors.per_second)

    figures["rss_mb_per_node"] = round(
        statistics.mean(fleet.resident_bytes(node) for node in nodes) / 2**20, 1
    )
    figures["ed25519_verify_per_s"] = round(verify)
    figures["durable_commits_per_s"] = round(commits)
    figures["tx_per_s_over_verify"] = round(best.per_second / verify, 4)
    return figures


async def _bench(fleet: Fleet, workload: Workload, seconds: float, say: Say) -> dict[str, Any]:
    load = Load(list(fleet.urls.values()))
    try:
        return await _measure(load, workload, fleet, seconds, say)
    finally:
        await load.close()


def main(*, nodes: int, seconds: float, as_json: bool) -> int:
    """Run the bench and print its figures; the exit code."""
    console = Console(stderr=True)
    progress = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console
    )
    shown: AbstractContextManager[object] = progress if console.is_terminal else nullcontext()
    task = progress.add_task("founding the consortium")

    def say(what: str) -> None:
        progress.update(task, description=what)

    try:
        with tempfile.TemporaryDirectory(prefix="health-ledger-bench-") as directory, shown:
            founding = found(nodes, Path(directory) / "network")
            homes = {node: node_home(founding.home, node) for node in founding.validators}
            with Fleet(homes, founding.urls) as fleet:
                say("starting the nodes")
                fleet.start()
                fleet.wait_ready()
                figures = {"nodes": nodes, "seconds": seconds} | asyncio.run(
                    _bench(fleet, Workload(founding), seconds, say)
                )
    except (NodeFailed, Refused, OSError) as error:
        console.print(f"[bold red]bench:[/] {error}")
        return COULD_NOT_RUN
    if as_json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        table = Table("figure", "value", box=None)
        for name, value in figures.items():
            table.add_row(name, f"{value:,}")
        Console().print(table)
    return GOOD
