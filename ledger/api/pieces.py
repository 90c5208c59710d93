"""A long answer in pieces, to somebody who may be slow or gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Final

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ledger.node.desk import AnswerBroken

#: Seconds in which a piece has to be taken.
PATIENCE_S: Final = 60.0

_log = structlog.get_logger(__name__)


class PieceResponse(Response):
    """Sends what a generator yields and closes it, whatever happens.

    An answer that breaks off, or that nobody takes, ends without its end: the server then cuts the
    connection, and the other side knows that it does not have everything.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        media_type: str,
        *,
        size: int | None = None,
        headers: Mapping[str, str] | None = None,
        status: int = 200,
    ) -> None:
        """``size``: bytes that come, where that is known; ``headers``: beside those of a body."""
        super().__init__(status_code=status, headers=headers, media_type=media_type)
        del self.headers["content-length"]
        if size is not None:
            self.headers["content-length"] = str(size)
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            start = {"status": self.status_code, "headers": self.raw_headers}
            await send({"type": "http.response.start", **start})
            async for piece in self._pieces:
                message = {"type": "http.response.body", "body": piece, "more_body": True}
                await asyncio.wait_for(send(message), PATIENCE_S)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (AnswerBroken, TimeoutError) as error:
            _log.warning("answer_broken_off", why=type(error).__name__)
        finally:
            await self._pieces.aclose()
