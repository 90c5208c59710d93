"""Passes each frame that arrives to the part of the node that it is for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import structlog

from ledger.chain.store import StoreAway, StoreUnusable
from ledger.node.net.frames import Frame

F = TypeVar("F", bound=Frame)

_log = structlog.get_logger(__name__)


class Reception:
    """One handler for each kind of frame. A frame of a kind without one is passed over."""

    def __init__(self) -> None:
        self._handlers: dict[type[object], Callable[[str, Any], None]] = {}
        self._damage: asyncio.Queue[StoreUnusable] = asyncio.Queue()

    def on(self, kind: type[F], handler: Callable[[str, F], None]) -> None:
        """Let ``handler`` have the frames of a kind, with the peer's id.

        It may raise `Malformed` for what no correct peer sends, which costs the peer its
        connection.
        """
        self._handlers[kind] = handler

    def receive(self, peer: str, frame: Frame) -> None:
        """Take one frame of an established connection.

        One that cannot be answered because the database is gone is as good as lost on the way. That
        the store is damaged is no fault of the peer: `damage` tells it.
        """
        handler = self._handlers.get(type(frame))
        if handler is None:
            return
        try:
            handler(peer, frame)
        except StoreAway:
            _log.debug("frame_dropped", peer=peer, kind=type(frame).__name__)
        except StoreUnusable as error:
            self._damage.put_nowait(error)

    async def damage(self) -> None:
        """Wait until a frame meets a damaged store, then raise that `StoreUnusable`."""
        raise await self._damage.get()
