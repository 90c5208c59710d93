"""Slow, idle and oversized connections against a real server process."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil
import pytest

SCRIPT = Path(__file__).with_name("served.py")
#: How many connections are opened that do nothing; 10,000 is what a hospital's node must bear.
IDLE = int(os.environ.get("LEDGER_CONNECTIONS", "300"))
MOST = 100


class Server(NamedTuple):
    url: str
    process: psutil.Process

    def connect(self) -> socket.socket:
        host, port = re.fullmatch(r"http://(.+):(\d+)", self.url).groups()
        made = socket.create_connection((host, int(port)), timeout=20)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def answers(self) -> bool:
        return httpx.get(self.url, trust_env=False, timeout=20).text == "ok"


@contextlib.contextmanager
def server(most: int = MOST, head: float = 0.5, stall: float = 0.5) -> Iterator[Server]:
    command = [sys.executable, str(SCRIPT), str(most), str(head), str(stall)]
    root = str(Path(__file__).parents[3])
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    try:
        url = process.stdout.readline().decode().strip()
        assert url
        yield Server(url, psutil.Process(process.pid))
    finally:
        process.stdin.close()
        process.wait(timeout=20)
        process.stdout.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Server]:
    with server() as found:
        yield found


def rest(connection: socket.socket) -> bytes:
    """Everything that comes until the server ends the connection."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while chunk := connection.recv(65_536):
            found += chunk
    return found


def test_idle_connections_keep_nobody_out_and_are_bounded(monkeypatch) -> None:
    """The heavier it is, the more of it: LEDGER_CONNECTIONS=10000."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE + 500
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            pytest.skip(f"{wanted} open files are needed, {hard} are allowed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    with server(head=30) as found, contextlib.ExitStack() as open_ones:
        assert found.answers()
        files, memory = found.process.num_fds(), found.process.memory_info().rss
        for number in range(IDLE):
            open_ones.enter_context(found.connect())
            if number % 100 == 99:
                assert found.answers()
        assert found.process.num_fds() <= files + MOST + 10
        assert found.process.memory_info().rss <= memory + 64 * 1024 * 1024
        assert found.answers()


@pytest.mark.parametrize(
    "sent",
    [b"", b"\r\n", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.1\r\nX: " + b"a" * 1000],
)
def test_a_head_that_does_not_come_is_not_waited_for(served: Server, sent: bytes) -> None:
    with served.connect() as connection:
        connection.sendall(sent)
        answer = rest(connection)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")
    assert bool(answer) == bool(sent)


def test_a_head_that_comes_byte_by_byte_is_not_waited_for(served: Server) -> None:
    with served.connect() as connection, contextlib.suppress(ConnectionError):
        for byte in b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000:
            connection.sendall(bytes([byte]))
            time.sleep(0.02)
        raise AssertionError("it was read to its end")
    assert served.answers()


def test_between_requests_noise_does_not_keep_a_connection(served: Server) -> None:
    with served.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in connection.recv(4096)
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                connection.sendall(b"\r\n")
                time.sleep(0.02)
            raise AssertionError("it was kept")


@pytest.mark.parametrize(
    "line", [b"X: y\r\n", b"X: " + b"y" * 50_000 + b"\r\n", b"X-" + b"y" * 9_000]
)
def test_a_head_without_end_is_not_read(served: Server, line: bytes) -> None:
    before = served.process.memory_info().rss
    with served.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(200_000_000 // len(line)):
                connection.sendall(line)
            raise AssertionError("it was read")
    assert served.process.memory_info().rss <= before + 32 * 1024 * 1024


def test_a_head_without_end_behind_a_request_that_takes_long_is_not_read(served: Server) -> None:
    before = served.process.memory_info().rss
    with served.connect() as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(4_000):
                connection.sendall(b"X: " + b"y" * 50_000 + b"\r\n")
            raise AssertionError("it was read")
    assert served.process.memory_info().rss <= before + 32 * 1024 * 1024


def test_a_body_that_does_not_come_is_not_waited_for(served: Server) -> None:
    for sent in (b"", b"x" * 10):
        with served.connect() as connection:
            connection.sendall(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
            connection.sendall(sent)
            assert rest(connection) == b""


def test_a_body_that_comes_in_drops_ends_in_the_end(served: Server) -> None:
    with served.connect() as connection, contextlib.suppress(ConnectionError):
        connection.sendall(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\n\r\n")
        for _ in range(400):
            connection.sendall(b"x" * 100)
            time.sleep(0.02)
        raise AssertionError("it was waited for")


def test_a_body_that_keeps_coming_and_an_answer_that_takes_its_time_are_good() -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(10):
            time.sleep(0.05)
            yield b"x" * 1000

    with server(head=20, stall=20) as found:
        answer = httpx.post(f"{found.url}/body", content=pieces(), trust_env=False)
        assert answer.text == "10000"
        assert httpx.get(f"{found.url}/slow", trust_env=False).text == "at last"


def test_an_answer_that_nobody_takes_is_not_held(served: Server) -> None:
    with served.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        deadline = time.monotonic() + 20
        while served.process.net_connections() and time.monotonic() < deadline:
            ours = [
                one
                for one in served.process.net_connections()
                if one.raddr and one.raddr.port == connection.getsockname()[1]
            ]
            if not ours:
                break
            time.sleep(0.05)
        assert not ours


def test_requests_one_behind_the_other_are_all_answered(served: Server) -> None:
    with served.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        found = b""
        while found.count(b"\r\n\r\nok") < 20:
            more = connection.recv(65_536)
            assert more, found
            found += more
    assert found.count(b"200 OK") == 20


def test_what_is_no_http_is_answered_and_closed(served: Server) -> None:
    for junk in (b"\x16\x03\x01\x02\x00", b"hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
        with served.connect() as connection:
            connection.sendall(junk)
            assert rest(connection).startswith(b"HTTP/1.1 400 ")
    assert served.answers()
