"""The staff roll: whose login at the hospital's identity provider belongs to which person.

A hospital's provider knows employee numbers, the registry random ids. The roll joins them and stays
in the node's home: outside of it an employee's acts on the chain have no name.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from ledger.crypto.keyfile import write_private

FORMAT = "health-ledger-roll-1"
MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_LOGIN = 256


class RollUnusable(Exception):
    """The file of the roll cannot be read; the text names it."""


class _RollFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    logins: dict[str, str]


class StaffRoll:
    """Logins and the persons behind them. A change of the file is noticed at the next question.

    Args:
        path: the file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._logins: dict[str, str] = {}

    def _read(self) -> dict[str, str]:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._logins = None, {}
            return self._logins
        except OSError as error:
            raise RollUnusable(f"{self._path}: cannot read: {error.strerror}") from None
        stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
        if stamp != self._stamp:
            self._logins = self._load()
            self._stamp = stamp
        return self._logins

    def _load(self) -> dict[str, str]:
        try:
            with self._path.open("rb") as stream:
                raw = stream.read(MAX_FILE_BYTES + 1)
            if len(raw) > MAX_FILE_BYTES:
                raise RollUnusable(f"{self._path}: larger than {MAX_FILE_BYTES} bytes")
            content = msgspec.json.decode(raw, type=_RollFile)
        except OSError as error:
            raise RollUnusable(f"{self._path}: cannot read: {error.strerror}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RollUnusable(f"{self._path}: not a staff roll: {error}") from None
        if content.format != FORMAT:
            raise RollUnusable(f"{self._path}: this software reads {FORMAT!r}")
        return content.logins

    def person_of(self, login: str) -> str | None:
        """The person with a login, compared as it is written; raises `RollUnusable`."""
        return self._read().get(login)

    def logins(self) -> dict[str, str]:
        """All of them; raises `RollUnusable`."""
        return dict(self._read())

    def enter(self, login: str, person: str) -> None:
        """Say whose a login is.

        Raises:
            ValueError: it cannot be a login, or is somebody else's.
            RollUnusable: the file cannot be read.
            OSError: it cannot be written.
        """
        if not 0 < len(login) <= MAX_LOGIN or not login.isprintable():
            raise ValueError(f"a login has 1 to {MAX_LOGIN} printable characters")
        logins = self.logins()
        if logins.get(login, person) != person:
            raise ValueError("that login is somebody else's")
        self._write({**logins, login: person})

    def strike(self, person: str) -> None:
        """Forget all logins of a person; raises as `enter` does."""
        kept = {login: who for login, who in self.logins().items() if who != person}
        if len(kept) != len(self._logins):
            self._write(kept)

    def _write(self, logins: dict[str, str]) -> None:
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        text = msgspec.json.format(msgspec.json.encode(_RollFile(FORMAT, logins)), indent=1)
        write_private(self._path, text + b"\n")
