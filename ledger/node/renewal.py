"""New keys and certificates that appear in the home of a running node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from ledger.crypto.keyfile import KeyFileError, load_key
from ledger.crypto.keys import SigningKey
from ledger.node.net.admission import UntrustedPeer
from ledger.node.node import Node
from ledger.node.setup.home import NodeHome

_log = structlog.get_logger(__name__)

#: How often the files are looked at, in seconds; a signal (SIGHUP) does it at once.
LOOK_SECONDS: Final = 5.0


class Renewal:
    """Takes over TLS files and the next signing key, without a restart.

    Files that cannot be used change nothing: the node goes on with what it has and says so.

    Args:
        passphrase: opens key files; asked at the start already, if they are sealed.
    """

    def __init__(self, home: NodeHome, node: Node, passphrase: Callable[[], str]) -> None:
        self._home = home
        self._node = node
        self._passphrase = passphrase
        self._tls_seen = self._stamps(home.path / "tls.key", home.path / "tls.crt")
        self._next_seen: tuple[object, ...] = (None,)
        self._following: SigningKey | None = None
        self._now = asyncio.Event()

    def look_now(self) -> None:
        """Look at the files at once."""
        self._now.set()

    async def run(self) -> None:
        """Look at the files again and again, until cancelled."""
        while True:
            await self.look()
            self._now.clear()
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._now.wait()
            except TimeoutError:
                pass

    async def look(self) -> None:
        """Take over what is new."""
        tls = self._stamps(self._home.path / "tls.key", self._home.path / "tls.crt")
        if tls != self._tls_seen:
            self._tls_seen = tls
            await self._take_tls()
        following = self._stamps(self._home.next_key)
        if following != self._next_seen:
            self._next_seen = following
            await self._take_key()
        self._promote()

    @staticmethod
    def _stamps(*paths: Path) -> tuple[object, ...]:
        """What changes whenever one of the files does."""

        def stamp(path: Path) -> object:
            try:
                found = path.stat()
            except OSError:
                return None
            return found.st_mtime_ns, found.st_size, found.st_ino

        return tuple(map(stamp, paths))

    async def _take_tls(self) -> None:
        try:
            key = await asyncio.to_thread(self._home.tls_key, self._passphrase)
            self._node.membership.present(key)
        except (KeyFileError, UntrustedPeer, OSError) as error:
            # Between the writing of the two files they do not fit; the next change brings us back.
            _log.warning("tls_files_refused", error=str(error))
            return
        last = key.certificate.not_valid_after_utc
        _log.info("tls_files_taken", valid_until=last.isoformat())

    async def _take_key(self) -> None:
        self._following = None
        if not self._home.next_key.exists():
            return
        try:
            key = await asyncio.to_thread(load_key, self._home.next_key, self._passphrase)
        except (KeyFileError, OSError) as error:
            _log.warning("next_key_refused", error=str(error))
            return
        self._following = key
        self._node.hold(key)
        _log.info("next_key_taken", public=key.public.hex())

    def _promote(self) -> None:
        """Put the next key in the place of the old one, once the old one has nothing left to sign.

        Every height below the next is final here. The old key's file is gone afterwards.
        """
        following = self._following
        if following is None or self._node.keys.in_force() != following.public:
            return
        self._following = None
        self._home.next_key.replace(self._home.path / "node.key")
        _log.info("signing_key_changed", public=following.public.hex())
