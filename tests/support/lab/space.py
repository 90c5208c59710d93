"""Namespaces and links of the lab, by the commands that an administrator would use."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

NETNS = Path("/run/netns")
#: All hosts are on one bridge, or on one for each side of a partition.
BRIDGE = "br{}"
CLONE_NEWNET = 0x40000000
_NAME = "h{}"
_libc = ctypes.CDLL(None, use_errno=True)


def run(*command: str, text: str = "") -> str:
    """Run a command; its output, or `OSError` with what it complained of."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class Space:
    """So many hosts, numbered from 1, with one link each to a bridge in the lab's own namespace."""

    def __init__(self, hosts: int) -> None:
        self.hosts = range(1, hosts + 1)
        # Namespaces by name live under /run; this mount is the lab's own and ends with it.
        run("mount", "-t", "tmpfs", "lab", "/run")
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY)
        run("ip", "link", "set", "lo", "up")
        self._bridges = 0
        self._bridge(0)
        for host in self.hosts:
            self._add(host)
        self._spaces = {
            host: os.open(NETNS / _NAME.format(host), os.O_RDONLY) for host in self.hosts
        }

    def _bridge(self, number: int) -> str:
        name = BRIDGE.format(number)
        while self._bridges <= number:
            made = BRIDGE.format(self._bridges)
            run("ip", "link", "add", made, "type", "bridge")
            run("ip", "link", "set", made, "up")
            self._bridges += 1
        return name

    def _add(self, host: int) -> None:
        name = _NAME.format(host)
        run("ip", "netns", "add", name)
        run(
            "ip", "link", "add", f"v{host}", "type", "veth",
            "peer", "name", "eth0", "netns", name,
        )  # fmt: skip
        lines = [
            "link set lo up",
            f"addr add {self.address(host)}/24 dev eth0",
            "link set eth0 up",
        ]
        run("ip", "-n", name, "-batch", "-", text="\n".join(lines) + "\n")
        run("ip", "link", "set", f"v{host}", "master", self._bridge(0), "up")

    @staticmethod
    def address(host: int) -> str:
        """A host's own address; nothing outside of the lab can have or reach it."""
        return f"10.77.0.{host}"

    @contextlib.contextmanager
    def inside(self, host: int) -> Iterator[None]:
        """Sockets that are made meanwhile belong to a host, whoever uses them afterwards."""
        self._enter(self._spaces[host])
        try:
            yield
        finally:
            self._enter(self._home)

    @staticmethod
    def _enter(space: int) -> None:
        if _libc.setns(space, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")

    def dialling(self, host: int) -> socket.socket:
        """A socket of a host, to connect with."""
        with self.inside(host):
            made = socket.socket()
        made.setblocking(False)
        return made

    def listening(self, host: int, port: int) -> socket.socket:
        """A socket that listens on a host's loopback address."""
        with self.inside(host):
            made = socket.create_server(("127.0.0.1", port))
        made.setblocking(False)
        return made

    def command(self, host: int, arguments: Sequence[str]) -> list[str]:
        """A command as it is run on a host."""
        return ["ip", "netns", "exec", _NAME.format(host), *arguments]

    # --- what can go wrong with links ----------------------------------------------------------

    def link(self, host: int, *, up: bool) -> None:
        """Plug a host's cable in, or pull it."""
        run("ip", "link", "set", f"v{host}", "up" if up else "down")

    def partition(self, groups: Sequence[Sequence[int]]) -> None:
        """Put each group on a bridge of its own; hosts in none of them are plugged in nowhere."""
        placed = {host: number for number, group in enumerate(groups) for host in group}
        for host in self.hosts:
            if host in placed:
                bridge = self._bridge(placed[host])
                run("ip", "link", "set", f"v{host}", "master", bridge)
            else:
                run("ip", "link", "set", f"v{host}", "nomaster")

    def deafen(self, host: int, sources: Sequence[int]) -> None:
        """Let a host drop everything that comes from some others (nftables); nothing for none."""
        rules = ["table ip lab", "delete table ip lab"]
        if sources:
            addresses = ", ".join(self.address(source) for source in sources)
            rules += [
                "table ip lab {",
                "chain input {",
                "type filter hook input priority 0; policy accept;",
                f"ip saddr {{ {addresses} }} drop",
                "}",
                "}",
            ]
        run(*self.command(host, ["nft", "-f", "-"]), text="\n".join(rules) + "\n")

    def heal(self) -> None:
        """One network again, all cables in."""
        self.partition([list(self.hosts)])
        for host in self.hosts:
            self.link(host, up=True)
