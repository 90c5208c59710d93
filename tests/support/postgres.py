"""A PostgreSQL server of the tests' own, from the system's package, on a temporary directory."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import psycopg

from ledger.node.fleet import free_ports

PASSWORD = "not-to-be-seen-4711"
_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")


class NoServer(Exception):
    """Why there is no server here, in a few words."""


def binaries() -> Path:
    """Where ``postgres`` and ``initdb`` are; raises `NoServer`."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    for place in _PLACES:
        folders += sorted(Path("/").glob(place.lstrip("/")), reverse=True)
    for folder in folders:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise NoServer("the programs initdb and postgres are not installed")


def owner() -> pwd.struct_passwd | None:
    """Whose the server is: root may not run one, so it becomes somebody else's; None for ours."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoServer("root may not run it, and there is no user postgres or nobody")


class PostgresServer:
    """A server on loopback and a Unix socket. Use as a context manager."""

    def __init__(self, *, settings: dict[str, str] | None = None) -> None:
        self._programs = binaries()
        user = owner()
        self._as = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid}
        # Not under pytest's directory, which nobody else may enter; short enough for a socket.
        self.directory = Path(tempfile.mkdtemp(prefix="ledger-pg-"))
        self.port = free_ports(1)
        self._settings = settings or {}
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        try:
            secret = self.directory / "password"
            secret.write_text(PASSWORD)
            if user is not None:
                for path in (self.directory, secret):
                    os.chown(path, user.pw_uid, user.pw_gid)
            self._initialise(secret)
            self.start()
        except BaseException:
            self.close()
            raise

    def _initialise(self, secret: Path) -> None:
        command = [
            self._programs / "initdb", "--pgdata", self.directory / "data", "--username", "ledger",
            "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--data-checksums",
            "--auth-local", "trust", "--auth-host", "scram-sha-256", "--pwfile", secret,
        ]  # fmt: skip
        try:
            done = subprocess.run(
                list(map(str, command)),
                capture_output=True,
                text=True,
                check=False,
                cwd=self.directory,
                env=self._environment(),
                **({**self._as, "extra_groups": []} if self._as else {}),
            )
        except (PermissionError, subprocess.SubprocessError) as error:
            raise NoServer(f"it cannot be run as another user: {error}") from None
        if done.returncode:
            raise NoServer(f"initdb failed: {done.stderr.strip().splitlines()[-1]}")

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return {**kept, "HOME": str(self.directory), "LC_ALL": "C.UTF-8"}

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.directory),
            # Nothing here has to survive the machine; that processes die is all that is tested.
            "fsync": "off",
            "max_connections": "100",
            **self._settings,
        }
        command = [str(self._programs / "postgres"), "-D", str(self.directory / "data")]
        command += ["-p", str(self.port)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        deadline = time.monotonic() + 60
        while True:
            if self._process is None or self._process.poll() is not None:
                # After a crash the sessions of the one before may take a moment to end, and a new
                # server does not start beside them.
                self._process = self._launch(command)
            try:
                self.admin().close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    last = (self.directory / "server.log").read_text().strip().splitlines()[-1:]
                    raise NoServer(f"the server does not start: {' '.join(last)}") from None
                time.sleep(0.1)
            else:
                return

    def _launch(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.directory / "server.log").open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env=self._environment(),
                **({**self._as, "extra_groups": []} if self._as else {}),
            )

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server: SIGINT disconnects everybody in good order, SIGKILL is a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=60)
            self._process = None

    def restart(self, how: signal.Signals = signal.SIGINT) -> None:
        self.stop(how)
        self.start()

    def close(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> PostgresServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def admin(self, database: str = "postgres") -> psycopg.Connection:
        """A session of the superuser."""
        return psycopg.connect(
            host=str(self.directory),
            port=self.port,
            user="ledger",
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    def database(self) -> str:
        """Make an empty database; its URL over TCP, with the password."""
        name = f"store_{next(self._numbers)}"
        with self.admin() as session:
            session.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
        return f"postgresql://ledger:{quote(PASSWORD)}@127.0.0.1:{self.port}/{name}"
