"""A lab as tests see it: hosts by number, and what is done to them."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[3]
PEER_PORT = 7300
API_PORT = 8300
#: How long the agent may take to answer, in seconds.
PATIENCE = 30.0

_NAMESPACES = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


def unshare() -> list[str]:
    """The command that gives a process namespaces of its own; without root by a user namespace."""
    command = ["unshare", *_NAMESPACES]
    return command if os.geteuid() == 0 else [*command, "--user", "--map-root-user"]


def why_not() -> str:
    """Why no lab can be made on this machine, in one line; empty if one can."""
    for tool in ("unshare", "ip", "mount"):
        if shutil.which(tool) is None:
            return f"network namespaces: there is no command `{tool}`"
    script = (
        "mount -t tmpfs lab /run && ip netns add try"
        " && ip link add v0 type veth peer name v1 netns try"
        " && ip link add b0 type bridge && ip link set v0 master b0 && ip netns exec try ip link"
    )
    try:
        done = subprocess.run(
            [*unshare(), "sh", "-c", script],
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "network namespaces: trying to make one took too long"
    complaint = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return f"network namespaces are not allowed here: {complaint}" if done.returncode else ""


def _sweep() -> None:
    """Remove the directories of labs whose tests were killed; nothing else outlives them."""
    for left in Path(tempfile.gettempdir()).glob("lab-*-*"):
        owner = left.name.split("-")[1]
        if owner.isdecimal() and not Path("/proc", owner).exists():
            shutil.rmtree(left, ignore_errors=True)


class LabFailed(RuntimeError):
    """The agent could not do what it was asked, or is gone."""


class Lab:
    """So many hosts, numbered from 1. Use as a context manager.

    Args:
        hosts: how many.
        seed: of jitter and loss on the lines.
    """

    def __init__(self, hosts: int, seed: int = 0) -> None:
        self.hosts = list(range(1, hosts + 1))
        # Short, because the path of a Unix socket has to fit into 108 bytes.
        _sweep()
        self._directory = Path(tempfile.mkdtemp(prefix=f"lab-{os.getpid()}-"))
        self._lock = threading.Lock()
        arguments = [str(hosts), str(self._directory), str(PEER_PORT), str(API_PORT), str(seed)]
        self._agent = subprocess.Popen(
            [*unshare(), sys.executable, "-m", "tests.support.lab.agent", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            cwd=ROOT,
            start_new_session=True,
        )
        try:
            self._answer()
        except LabFailed:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End every process on the hosts, and the hosts."""
        self._agent.kill()  # and by --kill-child the agent, and with it the whole process namespace
        self._agent.wait()
        for pipe in (self._agent.stdin, self._agent.stdout):
            if pipe is not None:
                pipe.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _ask(self, what: str, **arguments: Any) -> Any:
        with self._lock:
            assert self._agent.stdin is not None
            try:
                self._agent.stdin.write(json.dumps({"do": what, **arguments}) + "\n")
                self._agent.stdin.flush()
            except OSError as error:
                raise LabFailed(f"the agent is gone: {error}") from None
            return self._answer()

    def _answer(self) -> Any:
        output = self._agent.stdout
        assert output is not None
        ready, _, _ = select.select([output], [], [], PATIENCE)
        line = output.readline() if ready else ""
        if not line:
            raise LabFailed("the agent does not answer")
        answer = json.loads(line)
        if "error" in answer:
            raise LabFailed(answer["error"])
        return answer["value"]

    @staticmethod
    def address(host: int) -> str:
        """A host's address on the lab's network."""
        return f"10.77.0.{host}"

    def gate(self, host: int) -> Path:
        """The Unix socket behind which a host's API is, reached from the host itself.

        So a client stays with its own node whatever becomes of the links between hosts.
        """
        return self._directory / f"{host}.sock"

    @staticmethod
    def line(host: int, target: int) -> str:
        """Where a host finds the line to another one instead of its address."""
        del host
        return f"127.0.0.1:{9000 + target}"

    # --- links ---------------------------------------------------------------------------------

    def cut(self, *hosts: int) -> None:
        """Pull the cables of some hosts."""
        for host in hosts:
            self._ask("link", host=host, up=False)

    def plug(self, *hosts: int) -> None:
        """Plug them in again."""
        for host in hosts:
            self._ask("link", host=host, up=True)

    def partition(self, *groups: Sequence[int]) -> None:
        """Each group on a bridge of its own; whoever is in none is alone."""
        self._ask("partition", groups=[list(group) for group in groups])

    def deafen(self, host: int, *sources: int) -> None:
        """Let a host hear nothing of some others, which go on hearing it; of none to undo it."""
        self._ask("deafen", host=host, sources=list(sources))

    def heal(self) -> None:
        """One network, every cable in, every line perfect. Firewalls are left as they are."""
        self._ask("heal")

    # --- lines, for nodes that were told to use them ---------------------------------------------

    def shape(self, left: Collection[int], right: Collection[int], **shape: float) -> None:
        """Give all lines between two sets of hosts a shape (the fields of `line.Shape`)."""
        self._ask("shape", left=list(left), right=list(right), **shape)

    def reset(self, left: Collection[int], right: Collection[int]) -> int:
        """Reset every connection on these lines; how many there were."""
        return int(self._ask("reset", left=list(left), right=list(right)))

    def hold(self, left: Collection[int], right: Collection[int]) -> None:
        """Let these lines pass nothing until `heal`, with the connections open."""
        self._ask("hold", left=list(left), right=list(right))

    def carried(self) -> int:
        """Bytes that all lines have carried."""
        return int(self._ask("carried"))

    # --- processes -----------------------------------------------------------------------------

    def start(self, host: int, command: Sequence[str], log: Path, **environment: str) -> None:
        """Run a host's one process."""
        self._ask("start", host=host, command=list(command), log=str(log), environment=environment)

    def alive(self, host: int) -> bool:
        return bool(self._ask("alive", host=host))

    def signal(self, host: int, name: str) -> None:
        """Send a host's process a signal by its name."""
        self._ask("signal", host=host, name=name)

    def ended(self, host: int) -> int | None:
        """The exit code of a host's process; None while it runs."""
        code = self._ask("ended", host=host)
        return None if code is None else int(code)
