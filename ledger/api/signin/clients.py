"""Systems that may sign in: registered by the hospital's IT, never by themselves.

The file ``signin/clients.json`` of the node's home has for each its id, institution, scopes, and
its public keys or the address where it publishes them. That address comes from the file alone.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import msgspec

from ledger.api.signin import jose
from ledger.api.signin.scopes import InvalidScope, resource_scopes
from ledger.crypto.keyfile import write_private
from ledger.node.setup.signin import web_address

FORMAT: Final = "health-ledger-clients-1"
MAX_FILE_BYTES: Final = 4 * 1024 * 1024

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class ClientsUnusable(Exception):
    """The file of systems cannot be used; the text names it."""


class Client(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A registered system. One of ``jwks`` and ``jwks_url`` is there."""

    id: str
    institution: str
    scopes: str
    jwks: dict[str, Any] | None = None
    jwks_url: str | None = None


class _ClientsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    clients: tuple[Client, ...]


def check(client: Client) -> None:
    """Check a registration; raises `ValueError` with what is wrong."""
    if not _ID.fullmatch(client.id):
        raise ValueError("an id has letters, digits, dots, hyphens and underscores")
    try:
        scopes = resource_scopes(client.scopes)
    except InvalidScope as error:
        raise ValueError(f"scopes: {error}") from None
    if not scopes or any(scope.level != "system" for scope in scopes):
        raise ValueError("a system has scopes of the level system")
    if (client.jwks is None) == (client.jwks_url is None):
        raise ValueError("give either jwks or jwks_url")
    if client.jwks_url is not None:
        web_address(client.jwks_url)
    elif not jose.key_set(msgspec.json.encode(client.jwks)):
        raise ValueError("jwks: there is no usable public key in it")


class Clients:
    """Reads and changes the file. A change of the file is noticed at the next question.

    Args:
        path: the file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._known: dict[str, Client] = {}

    def listed(self) -> dict[str, Client]:
        """All of them; raises `ClientsUnusable`."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._known = None, {}
            return self._known
        except OSError as error:
            raise ClientsUnusable(f"{self._path}: cannot read: {error.strerror}") from None
        stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
        if stamp != self._stamp:
            self._known = self._load()
            self._stamp = stamp
        return self._known

    def _load(self) -> dict[str, Client]:
        try:
            with self._path.open("rb") as stream:
                content = msgspec.json.decode(stream.read(MAX_FILE_BYTES), type=_ClientsFile)
            for client in content.clients:
                check(client)
        except OSError as error:
            raise ClientsUnusable(f"{self._path}: cannot read: {error.strerror}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise ClientsUnusable(f"{self._path}: not a file of systems: {error}") from None
        found = {client.id: client for client in content.clients}
        if content.format != FORMAT or len(found) != len(content.clients):
            raise ClientsUnusable(f"{self._path}: another format, or a repeated id")
        return found

    def register(self, client: Client) -> None:
        """Add a system, or replace the one of that id.

        Raises:
            ValueError: something is wrong with it.
            ClientsUnusable: the file cannot be read.
            OSError: it cannot be written.
        """
        check(client)
        self._write({**self.listed(), client.id: client})

    def remove(self, name: str) -> None:
        """Take a system away; raises `LookupError`, `ClientsUnusable`, `OSError`."""
        kept = dict(self.listed())
        del kept[name]
        self._write(kept)

    def _write(self, clients: dict[str, Client]) -> None:
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        content = _ClientsFile(FORMAT, tuple(clients.values()))
        text = msgspec.json.format(msgspec.json.encode(content), indent=2)
        write_private(self._path, text + b"\n")
