"""The process that holds a lab: hosts, links, lines, ways to the nodes' APIs, and node processes.

It is started by `tests.support.lab.lab` in namespaces of its own, as the first process of one of
them, reads one JSON request a line and answers each with one line. When its input ends, it ends,
and with it, by the kernel, every process and link of the lab.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.lab.line import Line, Shape, Streams
from tests.support.lab.space import Space

#: The line from a host to host n begins at this port plus n on the first one's loopback.
LINE_PORT = 9000


class Agent:
    """One lab. Every public method is a request."""

    def __init__(self, hosts: int, directory: Path, peer_port: int, api_port: int) -> None:
        self._space = Space(hosts)
        self._directory = directory
        self._peer_port = peer_port
        self._api_port = api_port
        self._lines: dict[tuple[int, int], Line] = {}
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    async def open(self, seed: int) -> None:
        """Make the ways in: one Unix socket for each API, one line for each ordered pair."""
        for host in self._space.hosts:
            gate = Line(self._dialler(host, "127.0.0.1", self._api_port))
            await asyncio.start_unix_server(gate.serve, self._directory / f"{host}.sock")
            for other in self._space.hosts:
                if other != host:
                    line = Line(self._dialler(host, Space.address(other), self._peer_port), seed)
                    self._lines[host, other] = line
                    entrance = self._space.listening(host, LINE_PORT + other)
                    await asyncio.start_server(line.serve, sock=entrance)

    def _dialler(self, host: int, target: str, port: int) -> Callable[[], Any]:
        async def dial() -> Streams:
            made = self._space.dialling(host)
            try:
                await asyncio.get_running_loop().sock_connect(made, (target, port))
                return await asyncio.open_connection(sock=made)
            except BaseException:
                made.close()
                raise

        return dial

    # --- links and lines -----------------------------------------------------------------------

    def link(self, host: int, up: bool) -> None:
        self._space.link(host, up=up)

    def partition(self, groups: list[list[int]]) -> None:
        self._space.partition(groups)

    def deafen(self, host: int, sources: list[int]) -> None:
        self._space.deafen(host, sources)

    def heal(self) -> None:
        self._space.heal()
        for line in self._lines.values():
            line.shape = Shape()
            line.free()

    def _between(self, left: list[int], right: list[int]) -> list[Line]:
        return [
            line
            for (one, other), line in self._lines.items()
            if (one in left and other in right) or (one in right and other in left)
        ]

    def shape(self, left: list[int], right: list[int], **shape: float) -> None:
        for line in self._between(left, right):
            line.shape = Shape(**shape)

    def reset(self, left: list[int], right: list[int]) -> int:
        return sum(line.reset() for line in self._between(left, right))

    def hold(self, left: list[int], right: list[int]) -> None:
        for line in self._between(left, right):
            line.hold()

    def carried(self) -> int:
        return sum(line.carried for line in self._lines.values())

    # --- processes -----------------------------------------------------------------------------

    def start(self, host: int, command: list[str], log: str, environment: dict[str, str]) -> None:
        if self.alive(host):
            raise OSError(f"host {host} runs its node already")
        with Path(log).open("ab") as output:
            self._processes[host] = subprocess.Popen(
                self._space.command(host, command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **environment},
            )

    def alive(self, host: int) -> bool:
        process = self._processes.get(host)
        return process is not None and process.poll() is None

    def signal(self, host: int, name: str) -> None:
        self._processes[host].send_signal(signal.Signals[name])

    def ended(self, host: int) -> int | None:
        """The exit code of a host's node, None while it runs."""
        return self._processes[host].poll()


def answer(agent: Agent, request: dict[str, Any]) -> dict[str, Any]:
    """Do what a request says."""
    name = request.pop("do")
    try:
        return {"value": getattr(agent, name)(**request)}
    except (OSError, ValueError, KeyError) as error:
        return {"error": f"{name}: {error!r}"}


def say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def main(hosts: int, directory: Path, peer_port: int, api_port: int, seed: int) -> None:
    agent = Agent(hosts, directory, peer_port, api_port)
    await agent.open(seed)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    say({"value": "open"})
    while line := await reader.readline():
        say(answer(agent, json.loads(line)))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:])))
