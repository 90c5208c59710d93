"""A process that serves a small application within bounds, for tests that use connections up.

``python served.py CONNECTIONS HEAD_SECONDS STALL_SECONDS`` prints its address, and ends with its
standard input.
"""

import asyncio
import sys

from starlette.responses import PlainTextResponse, StreamingResponse

from ledger.api.bounded import Bounds, raise_file_limit
from ledger.api.server import serving


async def app(scope, receive, send):
    from starlette.requests import Request

    request = Request(scope, receive)
    if scope["path"] == "/body":
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
        answer = PlainTextResponse(str(size))
    elif scope["path"] == "/endless":

        async def pieces():
            while True:
                yield b"x" * 65_536
                await asyncio.sleep(0)  # or nobody else would have a turn when nobody reads

        answer = StreamingResponse(pieces())
    elif scope["path"] == "/slow":
        await asyncio.sleep(1)
        answer = PlainTextResponse("at last")
    else:
        answer = PlainTextResponse("ok")
    await answer(scope, receive, send)


async def main(connections: str, head: str, stall: str) -> None:
    raise_file_limit()
    bounds = Bounds(
        connections=int(connections), head_seconds=float(head), stall_seconds=float(stall),
        body_seconds=3 * float(stall),
    )  # fmt: skip
    async with serving(app, "127.0.0.1", 0, bounds) as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
