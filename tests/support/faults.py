"""Faults at single system calls: a process is killed there, or told that the call failed.

After the fault injection of Tessera (``integration/fault/posix``). `strace` does it, so nothing in
the program is changed; a process that was killed has not carried out the call.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.lives import REPORT_BYTES

#: What changes files, or waits until they are changed. Not all kernels or libraries use all.
SYSCALLS = (
    "openat", "pwrite64", "write", "fsync", "fdatasync", "ftruncate", "fallocate", "rename",
    "renameat2", "unlink", "unlinkat", "mkdir", "mmap", "fchmod", "chmod", "fcntl", "link",
)  # fmt: skip
#: The calls whose failure a disk or a full file system can cause.
FAILING = ("pwrite64", "fsync", "fdatasync", "ftruncate", "openat", "unlink", "rename", "mkdir")
_ROOT = Path(__file__).parents[2]
_PATIENCE = 30.0
#: How many faults of each sort are tried where not all are.
SAMPLE = 24


def why_not() -> str:
    """Why faults cannot be injected on this machine; empty if they can."""
    strace = shutil.which("strace")
    if strace is None:
        return "strace is not installed"
    tried = subprocess.run(
        [strace, "-f", "-e", "trace=none", "-e", "inject=sync:error=EIO", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if tried.returncode == 0 else f"strace may not trace here: {tried.stderr.strip()}"


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at the ``number``-th call of ``syscall`` on a watched file, counted from 1.

    ``error``: a name such as ``EIO``, or empty to kill the process. ``onwards``: at every later
    call too.
    """

    syscall: str
    number: int
    error: str = ""
    onwards: bool = False

    @property
    def injection(self) -> str:
        what = f"error={self.error}" if self.error else "signal=KILL"
        return f"inject={self.syscall}:{what}:when={self.number}{'+' if self.onwards else ''}"

    def __str__(self) -> str:
        what = self.error or "kill"
        return f"{self.syscall}-{self.number}{'+' if self.onwards else ''}-{what}"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a life ended. ``status``: as of `os.waitpid`. ``report``: what it noted, in order."""

    status: int
    report: tuple[str, ...]
    calls: Counter[str]

    @property
    def killed(self) -> bool:
        return os.WIFSIGNALED(self.status) and os.WTERMSIG(self.status) == signal.SIGKILL

    @property
    def code(self) -> int | None:
        return os.WEXITSTATUS(self.status) if os.WIFEXITED(self.status) else None


class Stage:
    """Lets lives run under `strace`. Use as a context manager; see `tests.support.lives`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._runs = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.lives"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_ROOT,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(_PATIENCE)

    def run(
        self, life: str, home: Path, watched: Iterable[Path], fault: Fault | None = None
    ) -> Ended:
        """One life in ``home``, with a fault at one call on one of the watched paths, or none."""
        self._runs += 1
        report = self._directory / f"report-{self._runs}"
        log = self._directory / f"strace-{self._runs}"
        report.write_bytes(bytes(REPORT_BYTES))
        child = int(self._ask(f"{life}\t{home}\t{report}"))
        tracer = subprocess.Popen(
            [
                "strace", "-f", "-q", "-o", str(log), "-p", str(child),
                *(part for path in watched for part in ("-P", str(path))),
                "-e", f"trace={','.join('?' + name for name in SYSCALLS)}",
                *(("-e", fault.injection) if fault is not None else ()),
            ],
            stderr=subprocess.PIPE,
        )  # fmt: skip
        _until_traced(child, tracer)
        os.kill(child, signal.SIGCONT)
        status = int(self._answer())
        tracer.wait(_PATIENCE)
        noted = report.read_bytes().split(b"\0", 1)[0].decode().splitlines()
        calls = _calls(log)
        report.unlink()
        log.unlink()
        return Ended(status, tuple(noted), calls)

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process that starts lives has ended"
        return line


def _until_traced(child: int, tracer: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while "TracerPid:\t0\n" in Path(f"/proc/{child}/status").read_text():
        if tracer.poll() is not None or time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            errors = tracer.stderr.read() if tracer.stderr else b""
            raise OSError(f"strace does not trace: {errors.decode(errors='replace')}")
        time.sleep(0.001)


def _calls(log: Path) -> Counter[str]:
    """How often each call was begun on a watched file."""
    found: Counter[str] = Counter()
    for line in log.read_text(errors="replace").splitlines():
        _, _, text = line.partition(" ")
        name = text.strip().partition("(")[0]
        if name in SYSCALLS:
            found[name] += 1
    return found


def kills(calls: Counter[str]) -> list[Fault]:
    """A kill at every call of a life, and after the last of each kind."""
    return [Fault(name, at) for name, count in calls.items() for at in range(1, count + 1)]


def errors(calls: Counter[str], names: Sequence[str], kinds: Sequence[str]) -> list[Fault]:
    """Each of the errors at every call of the kinds named, once, and from there on."""
    return [
        Fault(syscall, at, name, onwards=onwards)
        for syscall in kinds
        for at in range(1, calls[syscall] + 1)
        for name in names
        for onwards in (False, True)
    ]


def chosen(faults: Sequence[Fault]) -> Iterator[Fault]:
    """`SAMPLE` of the faults, or all with ``LEDGER_FAULTS=all``."""
    return sample(faults, len(faults) if os.environ.get("LEDGER_FAULTS") == "all" else SAMPLE)


def sample(faults: Sequence[Fault], wanted: int) -> Iterator[Fault]:
    """So many of the faults, evenly spread, the same in every run; all where that is fewer."""
    if len(faults) <= wanted:
        yield from faults
        return
    for number in range(wanted):
        yield faults[number * len(faults) // wanted]
