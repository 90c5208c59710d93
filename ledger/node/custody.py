"""Keys that a node holds for its institution's staff.

A clinician signs in at her hospital's identity provider; what she does on the chain is signed with
a key of her own that her hospital's node keeps. Each is a key file in ``staff`` of the node's home,
named by the person's id and sealed like the node's own key. The registry knows the public half, so
the hospital can end it there, and a copy of the file is worth nothing afterwards.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

from ledger.crypto.keyfile import KeyFileError, load_key, public_key_of, save_key
from ledger.crypto.keys import SigningKey

#: Ids as the registry gives them; the first character keeps hidden files and paths out.
_PERSON = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

_Stamp = tuple[int, int, int]


class NoHeldKey(LookupError):
    """The node holds no key for that person, or cannot open it."""


class Custody:
    """The keys of a node's staff, opened when they are first needed.

    Safe to use from several threads. A key file that was added, replaced or taken away while the
    node runs is noticed at the next use.

    Args:
        directory: where the key files are; it need not exist.
        passphrase: called for the first sealed key.
    """

    def __init__(self, directory: Path, passphrase: Callable[[], str]) -> None:
        self._directory = directory
        self._passphrase = passphrase
        self._opened: dict[str, tuple[_Stamp, SigningKey]] = {}
        # Deriving a key takes 64 MiB and a tenth of a second: one at a time.
        self._one = threading.Lock()

    def _path(self, person: str) -> Path:
        if not _PERSON.fullmatch(person):
            raise NoHeldKey("not the id of a person")
        return self._directory / f"{person}.key"

    def _stamp(self, person: str) -> _Stamp:
        try:
            found = self._path(person).stat()
        except OSError:
            raise NoHeldKey(f"no key is held for {person}") from None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def key_of(self, person: str) -> SigningKey:
        """The key of a person. Slow the first time: call it on a thread.

        Raises:
            NoHeldKey: there is none, or it cannot be opened.
        """
        stamp = self._stamp(person)
        known = self._opened.get(person)
        if known is not None and known[0] == stamp:
            return known[1]
        with self._one:
            known = self._opened.get(person)
            if known is not None and known[0] == stamp:
                return known[1]
            try:
                key = load_key(self._path(person), self._passphrase)
            except KeyFileError as error:
                raise NoHeldKey(str(error)) from error
            self._opened[person] = (stamp, key)
            return key

    def holds(self, person: str) -> bool:
        """Whether there is a key file for a person."""
        try:
            self._stamp(person)
        except NoHeldKey:
            return False
        return True

    def people(self) -> dict[str, bytes]:
        """Who has a key here, with the public half; unreadable files are left out."""
        found = {}
        for path in sorted(self._directory.glob("*.key")):
            try:
                found[path.stem] = public_key_of(path)
            except KeyFileError:
                continue
        return found

    def take(self, person: str, key: SigningKey, *, passphrase: str | None) -> None:
        """Hold a key from now on.

        Args:
            person: the person's id.
            key: the key; one that is held already is replaced.
            passphrase: seals the file; None writes it in plain text.

        Raises:
            NoHeldKey: that cannot be the id of a person.
            OSError: the file could not be written.
        """
        path = self._path(person)
        self._directory.mkdir(mode=0o700, exist_ok=True)
        save_key(path, key, passphrase=passphrase, insecure=passphrase is None)

    def drop(self, person: str) -> None:
        """Hold a person's key no longer; no error where none is held."""
        self._path(person).unlink(missing_ok=True)
        self._opened.pop(person, None)
