"""Offering load to a consortium and watching when it becomes final."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
import msgspec

from ledger.chain.codec import encode

#: Transactions in one HTTP request of the throughput runs; each is signed by its own signer.
BATCH = 100
#: Batches that wait to become final at each node in the throughput runs.
IN_FLIGHT = 8
MSGPACK = "application/msgpack"
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Throughput:
    """``final``: transactions that became final in ``seconds``, from the first submission on."""

    final: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.final / self.seconds


class Refused(RuntimeError):
    """The consortium did not take or carry out what it was offered."""


class Load:
    """Clients of several nodes over loopback HTTP."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._clients = [
            httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) for url in urls
        ]

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()

    async def height(self, node: int = 0) -> int:
        """The height of a node's newest block."""
        answer = await self._clients[node].get("/v1/status")
        return int(answer.json()["height"])

    async def count(self, node: int = 0) -> int:
        """How many transactions a node has stored since it started."""
        text = (await self._clients[node].get("/metrics")).text
        for line in text.splitlines():
            if line.startswith("ledger_transactions_total "):
                return int(float(line.split()[1]))
        raise Refused("the node publishes no count of transactions")

    async def submit(self, node: int, raws: Sequence[bytes]) -> list[str]:
        """Hand over transactions; their ids. Waits and repeats while the node is busy."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = await self._clients[node].post(
                "/v1/transactions",
                content=encode(list(raws)),
                headers={"Content-Type": MSGPACK},
            )
            items = msgspec.json.decode(answer.content).get("transactions", [])
            if answer.status_code < 300 and all(item["accepted"] for item in items):
                return [item["id"] for item in items]
            codes = {item.get("code") for item in items if not item.get("accepted")}
            if codes - {"pool_full", "signer_limit", "busy"} or time.monotonic() > deadline:
                raise Refused(f"{answer.status_code}: {answer.text[:500]}")
            await asyncio.sleep(0.1)

    async def final(self, node: int, identity: str) -> None:
        """Return when a transaction is final at a node, with every call carried out."""
        answer = await self._clients[node].get(f"/v1/receipts/{identity}", params={"wait": 30})
        if answer.status_code != 200:
            raise Refused(f"{answer.status_code}: {answer.text[:500]}")

    async def saturate(
        self, raws: Sequence[bytes], seconds: float, batch: int = BATCH
    ) -> Throughput:
        """Keep `IN_FLIGHT` batches under way at each node; count what becomes final in the time.

        The loop is closed: a client hands over its next batch when the last one is final, as
        hospitals do, so what is measured is what the consortium carries, not what it queues.
        """
        queue = [raws[start : start + batch] for start in range(0, len(raws), batch)]
        queue.reverse()
        before = await self.count()
        start = time.perf_counter()

        async def client(node: int) -> None:
            while queue and time.perf_counter() - start < seconds:
                ids = await self.submit(node, queue.pop())
                await self.final(node, ids[-1])

        clients = [
            asyncio.create_task(client(node))
            for node in range(len(self._clients))
            for _ in range(IN_FLIGHT)
        ]
        running: set[asyncio.Task[None]] = set(clients)
        while running and (left := start + seconds - time.perf_counter()) > 0:
            _, running = await asyncio.wait(running, timeout=left)
        # Where nothing was final in the time, it takes until something is.
        while not (done := await self.count() - before) and running:
            _, running = await asyncio.wait(running, timeout=0.1)
        elapsed = time.perf_counter() - start
        await asyncio.gather(*clients)
        return Throughput(done, elapsed)

    async def drain(self) -> None:
        """Return when no node has transactions waiting."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        for client in self._clients:
            while (await client.get("/v1/status")).json()["pending_transactions"]:
                if time.monotonic() > deadline:
                    raise Refused("transactions are still waiting")
                await asyncio.sleep(0.05)

    async def latencies(
        self, raws: Sequence[bytes], per_second: float, probes_per_second: float
    ) -> list[float]:
        """Offer transactions evenly; milliseconds from submission to receipt of some of them."""
        tick = 1 / probes_per_second
        share = max(1, round(per_second * tick))
        groups = [raws[start : start + share] for start in range(0, len(raws), share)]
        start = time.perf_counter()
        measured: list[float] = []

        async def offer(number: int, group: Sequence[bytes]) -> None:
            node = number % len(self._clients)
            begun = time.perf_counter()
            ids = await self.submit(node, group)
            await self.final(node, ids[-1])
            measured.append(1000 * (time.perf_counter() - begun))

        tasks = []
        for number, group in enumerate(groups):
            await asyncio.sleep(max(0.0, start + number * tick - time.perf_counter()))
            tasks.append(asyncio.create_task(offer(number, group)))
        await asyncio.gather(*tasks)
        return measured
