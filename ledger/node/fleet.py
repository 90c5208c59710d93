"""Several nodes as separate processes on this machine, for the demo, the bench and the tests.

Nothing here is used by a node in service; a hospital runs its one node under its own supervisor.
"""

from __future__ import annotations

import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import httpx
import psutil


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody listens on; two callers rarely choose alike.

    Below 32768, where Linux begins to hand out ports of its own.
    """
    while True:
        base = 20_000 + secrets.randbelow(12_000)
        try:
            for port in range(base, base + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base


class NodeFailed(RuntimeError):
    """A node's process ended, or did not become ready in time. The text ends with its log."""


class Fleet:
    """Starts, kills and stops node processes.

    Args:
        homes: node id → node home.
        urls: node id → base URL of its API.
    """

    def __init__(self, homes: dict[str, Path], urls: dict[str, str]) -> None:
        self.homes = homes
        self.urls = urls
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def running(self) -> tuple[str, ...]:
        """The nodes whose process is alive."""
        return tuple(node for node, process in self._processes.items() if process.poll() is None)

    def start(self, nodes: Iterable[str] | None = None) -> None:
        """Start the named nodes, or all of them; one that runs already is left alone."""
        for node in self.homes if nodes is None else nodes:
            self.run(node, [sys.executable, "-m", "ledger.cli.main", "node", "run", "--home"])

    def run(self, node: str, command: Sequence[str]) -> None:
        """Start a node by a command that takes its home as the last argument, unless it runs."""
        if node in self.running:
            return
        home = self.homes[node]
        with (home / "node.log").open("ab") as log:
            self._processes[node] = subprocess.Popen(  # noqa: S603 - our own command, no shell
                [*command, str(home)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def kill(self, node: str) -> None:
        """End a node's process at once, as a power cut would (SIGKILL)."""
        process = self._processes[node]
        process.send_signal(signal.SIGKILL)
        process.wait()

    def pause(self, node: str) -> None:
        """Freeze a node's process (SIGSTOP)."""
        self._processes[node].send_signal(signal.SIGSTOP)

    def resume(self, node: str) -> None:
        """Let a frozen process go on (SIGCONT)."""
        self._processes[node].send_signal(signal.SIGCONT)

    def stop(self, nodes: Iterable[str] | None = None) -> None:
        """Ask the named processes, or all, to end; end those that do not within ten seconds."""
        named = self._processes if nodes is None else nodes
        alive = [self._processes[node] for node in named if node in self.running]
        for process in alive:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        deadline = time.monotonic() + 10
        for process in alive:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def log_tail(self, node: str, lines: int = 15) -> str:
        """The end of a node's log."""
        path = self.homes[node] / "node.log"
        if not path.exists():
            return ""
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])

    def wait_ready(
        self,
        nodes: Iterable[str] | None = None,
        *,
        seconds: float = 60,
        progress: Callable[[str], None] = lambda _node: None,
    ) -> None:
        """Return when the nodes answer that they are ready; raises `NodeFailed`."""
        waiting = list(self.homes if nodes is None else nodes)
        deadline = time.monotonic() + seconds
        with httpx.Client(timeout=2.0, trust_env=False) as client:
            while waiting:
                node = waiting[0]
                process = self._processes.get(node)
                if process is None or process.poll() is not None:
                    raise NodeFailed(f"{node} ended\n{self.log_tail(node)}")
                if time.monotonic() > deadline:
                    raise NodeFailed(f"{node} is not ready\n{self.log_tail(node)}")
                try:
                    ready = client.get(f"{self.urls[node]}/readyz").status_code == 200
                except httpx.TransportError:
                    ready = False
                if ready:
                    waiting.pop(0)
                    progress(node)
                else:
                    time.sleep(0.05)

    def cpu_seconds(self, node: str) -> float:
        """User and system time that a node's process has used."""
        times = psutil.Process(self._processes[node].pid).cpu_times()
        return float(times.user + times.system)

    def resident_bytes(self, node: str) -> int:
        """Resident memory of a node's process."""
        return int(psutil.Process(self._processes[node].pid).memory_info().rss)
