"""Clients that write and read all the while, each at a hospital of its own, and remember it all.

A client whose node does not answer does what a careful program does: it sends the same transaction
to another node. So what nodes must not do twice is really sent twice.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from contextlib import AsyncExitStack
from typing import Self

from ledger.chain.codec import Malformed
from ledger.chain.transaction import Call, Transaction
from ledger.client.builder import build, call
from ledger.client.http import AsyncClient, NodeRefused, NodeUnreachable
from ledger.client.requests import Submitted
from tests.support.lab.history import History, Kind, Operation
from tests.support.lab.hosts import Hosts, until

#: How long a node is asked to wait for the outcome, and how long the client waits, in seconds.
WAIT = 4.0
GIVE_UP = 9.0
#: To how many nodes a transaction is sent whose outcome is not known.
NODES = 3
#: A transaction is valid from so many heights below the newest one known on, for nodes that lag.
LEEWAY = 200
WINDOW = 2_000
REGISTERS = 5


class Writers:
    """So many clients in a thread of their own. Use as a context manager.

    Args:
        hosts: the consortium, running.
        seed: of what they write.
        clients: how many; the first is at the first hospital, and so on.
        pause: the mean time between two operations of a client, in seconds.
    """

    def __init__(self, hosts: Hosts, seed: int, clients: int = 7, pause: float = 0.3) -> None:
        self.history = History()
        self._hosts = hosts
        self._seed = seed
        self._pause = pause
        self._count = clients
        self._accounts = [hosts.officer(1 + n % len(hosts.all)) for n in range(clients)]
        self._known_height = 0
        self._ending = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="writers", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let every operation under way come to an end; raises what a client failed of."""
        self._ending.set()
        self._thread.join(NODES * GIVE_UP + 10)
        assert not self._thread.is_alive()
        self._look()

    @property
    def running(self) -> bool:
        """Whether clients still begin operations."""
        return not self._ending.is_set()

    def _look(self) -> None:
        if self._failed is not None:
            raise self._failed

    def go_on(self, count: int, *hosts: int) -> None:
        """Wait until so many more writes are acknowledged, at some hosts or anywhere."""
        nodes = {self._hosts.node(host) for host in hosts}

        def acknowledged() -> int:
            self._look()
            done = self.history.acknowledged()
            return sum(not nodes or each.node in nodes for each in done)

        goal = acknowledged() + count
        until(
            lambda: acknowledged() >= goal, f"{count} more acknowledged writes at {hosts or 'any'}"
        )

    def go_on_everywhere(self) -> None:
        """Wait until each hospital's node has acknowledged one more write."""
        since = time.monotonic()

        def silent() -> set[str]:
            self._look()
            heard = {each.node for each in self.history.acknowledged() if each.invoked > since}
            return {self._hosts.node(host) for host in self._hosts.all} - heard

        until(lambda: not silent(), "an acknowledgement by every node")

    def _run(self) -> None:
        try:
            asyncio.run(self._all())
        except BaseException as error:  # noqa: BLE001 - the test's own thread raises it again
            self._failed = error

    async def _all(self) -> None:
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
            clients = {
                host: await stack.enter_async_context(self._hosts.async_client(host))
                for host in self._hosts.all
            }
            for number in range(self._count):
                group.create_task(self._client(number, clients))

    async def _client(self, number: int, clients: dict[int, AsyncClient]) -> None:
        chance = random.Random(f"{self._seed} {number}")
        home = 1 + number % len(self._hosts.all)
        serial = 0
        while not self._ending.is_set():
            await asyncio.sleep(chance.uniform(0, 2 * self._pause))
            serial += 1
            what = chance.random()
            if what < 0.2:
                await self._read(number, home, clients[home], f"r{chance.randrange(REGISTERS)}")
                continue
            others = self._hosts.others(home)
            chance.shuffle(others)
            places = [home, *others][:NODES]
            value = f"c{number}-{serial}"
            if what < 0.5:
                register = f"r{chance.randrange(REGISTERS)}"
                wanted = call("register", "write", name=register, value=value)
                transaction = self._signed(number, wanted)
                operation = self._begin("write", number, home, register, value, transaction)
            else:
                transaction = self._signed(number, call("register", "add", token=value))
                operation = self._begin("add", number, home, value, value, transaction)
            await self._write(operation, transaction.raw, places, clients)

    def _signed(self, number: int, wanted: Call) -> Transaction:
        first = max(0, self._known_height - LEEWAY)
        chain = self._hosts.genesis.chain_id()
        return build(chain, first, WINDOW, [wanted], [self._accounts[number]])

    def _begin(
        self, kind: Kind, number: int, home: int, key: str, value: str, transaction: Transaction
    ) -> Operation:
        node = self._hosts.node(home)
        identity = transaction.id.hex()
        return self.history.invoke(kind, number, node, key, value, identity)

    async def _write(
        self, operation: Operation, raw: bytes, places: list[int], clients: dict[int, AsyncClient]
    ) -> None:
        why = ""
        doubtful = False
        for place in places:
            operation.node = self._hosts.node(place)
            operation.sent += 1
            try:
                async with asyncio.timeout(GIVE_UP):
                    (answer,) = await clients[place].submit(raw, wait=WAIT)
            except (TimeoutError, NodeUnreachable, NodeRefused, Malformed) as error:
                why, doubtful = repr(error), True
                continue
            if self._take(operation, answer):
                self.history.complete(operation, "ok")
                return
            why = f"{answer.code}: {answer.detail}"
            doubtful = doubtful or answer.accepted
        self.history.complete(operation, "unknown" if doubtful else "refused", why)

    def _take(self, operation: Operation, answer: Submitted) -> bool:
        if answer.outcome is None:
            return False
        (done,) = answer.outcome.calls
        operation.height, operation.index = answer.outcome.height, answer.outcome.index
        operation.answer = done.value if done.ok else f"failed: {done.error}"
        self._known_height = max(self._known_height, operation.height)
        return True

    async def _read(self, number: int, home: int, client: AsyncClient, register: str) -> None:
        operation = self.history.invoke("read", number, self._hosts.node(home), register)
        try:
            async with asyncio.timeout(GIVE_UP):
                entry = await client.state("register", f"registers/{register}")
        except (TimeoutError, NodeUnreachable, NodeRefused, Malformed) as error:
            self.history.complete(operation, "unknown", repr(error))
            return
        operation.height = entry.height
        operation.answer = str(entry.value) if entry.present else ""
        self.history.complete(operation, "ok")
