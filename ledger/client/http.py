"""Talking to a node over HTTP, synchronously and asynchronously.

Nearly every request can be sent again without harm (a transaction enters the chain once, by its
id), so a node that can't be reached or is busy is asked again, a few times, a little later each
time. Those that cannot say so (`Request.once`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, Final, Self, TypeVar

import httpx
import msgspec

from ledger.chain.codec import Malformed, Value
from ledger.chain.receipt import Receipt
from ledger.client import blocks, requests
from ledger.client.blocks import FinalTransaction
from ledger.client.requests import MAX_ANSWER_BYTES, SUBMISSIONS, Entry, Request, Submitted

T = TypeVar("T")

TIMEOUT_S: Final = 10.0
ATTEMPTS: Final = 4
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 2.0

_BUSY: Final = (429, 502, 503, 504)


class NodeUnreachable(Exception):
    """The node did not answer, or was too busy, at every attempt."""


class NodeRefused(Exception):
    """The node answered with a problem (RFC 9457)."""

    def __init__(self, status: int, code: str, detail: str, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.problem = problem


def _pauses(request: Request[Any]) -> Iterator[float | None]:
    """How long to pause after each attempt in seconds; None after the last."""
    pause = FIRST_PAUSE_S
    for _ in range(0 if request.once else ATTEMPTS - 1):
        yield pause
        pause = min(pause * 3, LONGEST_PAUSE_S)
    yield None


def _arguments(request: Request[Any]) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.path,
        "params": dict(request.params),
        "content": request.body or None,
        "headers": {"Content-Type": request.media} if request.media else None,
        "timeout": httpx.Timeout(TIMEOUT_S, read=TIMEOUT_S + request.patience),
    }


class _Body:
    """Collects a bounded answer."""

    def __init__(self) -> None:
        self._data = bytearray()

    def add(self, chunk: bytes) -> None:
        self._data += chunk
        if len(self._data) > MAX_ANSWER_BYTES:
            raise Malformed(f"an answer of more than {MAX_ANSWER_BYTES} bytes")

    def bytes(self) -> bytes:
        return bytes(self._data)


def _read(request: Request[T], status: int, body: bytes) -> T:
    if status in request.statuses:
        return request.read(body)
    try:
        problem = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        problem = {}
    code = str(problem.get("code", f"http-{status}"))
    raise NodeRefused(status, code, str(problem.get("detail", "no explanation")), problem)


def _refused_submissions(error: NodeRefused) -> list[Submitted]:
    """The list inside the problem that answers a batch of which nothing was accepted."""
    items = error.problem.get("transactions")
    if error.code not in ("transactions-refused", "busy") or not isinstance(items, list):
        raise error
    return requests.read_submissions(msgspec.json.encode({"transactions": items}))


#: A bearer token, or what gives the one of now: sign-in ends, and is renewed.
Token = str | Callable[[], str]


def refused_submissions(request: Request[Any], error: NodeRefused) -> list[Submitted]:
    """What a problem says of submitted transactions, where the request submitted some; raises the
    problem otherwise."""
    if request.path != SUBMISSIONS:
        raise error
    return _refused_submissions(error)


class _Bearer(httpx.Auth):
    """Puts the token of now onto each request."""

    def __init__(self, token: Token) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        token = self._token if isinstance(self._token, str) else self._token()
        request.headers["Authorization"] = f"Bearer {token}"
        yield request


def _settings(url: str, token: Token | None) -> dict[str, Any]:
    local = httpx.URL(url).host in ("localhost", "127.0.0.1", "::1")
    return {
        "base_url": url,
        "auth": _Bearer(token) if token else None,
        # A proxy from the environment is for the world outside, not for a node on this machine.
        "trust_env": not local,
    }


#: Nodes break the silence of a stream every 15 seconds.
SILENCE_S: Final = 60.0
_STREAM: Final[Request[bytes]] = Request("GET", "", bytes)


def _streaming(params: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {
        "params": list(params),
        "headers": {"Accept": "text/event-stream"},
        "timeout": httpx.Timeout(TIMEOUT_S, read=SILENCE_S),
    }


class Client:
    """A node's API, synchronously. Use as a context manager.

    Every method raises `NodeUnreachable`, `NodeRefused`, or `Malformed` for an answer that is not
    what it should be.

    Args:
        url: base URL of the node.
        token: bearer token, where the node asks for one, or what gives it; a function is called for
            every request and may block.
        transport: another httpx transport, for tests.
    """

    def __init__(
        self, url: str, *, token: Token | None = None, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._http = httpx.Client(transport=transport, **_settings(url, token))

    def send(self, request: Request[T]) -> T:
        """Send one request of `ledger.client.requests`, again where that may help."""
        reason = ""
        for pause in _pauses(request):
            try:
                with self._http.stream(**_arguments(request)) as response:
                    body = _Body()
                    for chunk in response.iter_bytes():
                        body.add(chunk)
                if response.status_code not in _BUSY or pause is None:
                    return _read(request, response.status_code, body.bytes())
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__
            if pause is not None:
                time.sleep(pause)
        raise NodeUnreachable(f"{self._http.base_url}: {reason}")

    def stream(self, request: Request[Any]) -> Generator[bytes, None, None]:
        """The body of a good answer in pieces, as they come, of any length. Sent once: where it
        breaks off, raising `NodeUnreachable`, the caller knows how to go on."""
        try:
            with self._http.stream(**_arguments(request)) as response:
                if response.status_code not in request.statuses:
                    body = _Body()
                    for chunk in response.iter_raw():
                        body.add(chunk)
                    _read(request, response.status_code, body.bytes())
                yield from response.iter_raw()
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise NodeUnreachable(f"{self._http.base_url}: {reason}") from None

    def submit(self, *raws: bytes, wait: float = 0) -> list[Submitted]:
        """Submit raw envelopes; with ``wait`` seconds, answer with what came out of them."""
        try:
            return self.send(requests.submit(raws, wait))
        except NodeRefused as error:
            return _refused_submissions(error)

    def receipt(self, tx_id: bytes, wait: float = 0) -> Receipt:
        """The receipt of a final transaction, not yet verified: see `ledger.client.verify`."""
        return self.send(requests.receipt(tx_id, wait))

    def state(
        self, contract: str, key: str, height: int | None = None, *, proof: bool = False
    ) -> Entry:
        return self.send(requests.state(contract, key, height, proof))

    def query(self, contract: str, method: str, /, **arguments: Any) -> Value:
        return self.send(requests.query(contract, method, arguments))

    def query_version(
        self,
        contract: str,
        method: str,
        arguments: Mapping[str, Any],
        *,
        height: int | None = None,
        version: int | None = None,
    ) -> Value:
        """A query of the state after an earlier block, or of another version of a contract."""
        return self.send(requests.query(contract, method, arguments, height, version))

    def status(self) -> dict[str, Any]:
        return self.send(requests.status())

    def block(self, height: int | None = None) -> dict[str, Any]:
        return self.send(requests.block(height))

    def transaction(self, tx_id: bytes, wait: float = 0) -> FinalTransaction:
        """A final transaction and what came out of it, as the node says."""
        return self.send(blocks.transaction(tx_id, wait))

    def lines(self, path: str, params: Sequence[tuple[str, str]]) -> Generator[str, None, None]:
        """The lines of a stream until it ends or breaks (`NodeUnreachable`); raises `NodeRefused`
        where the node does not begin one."""
        try:
            with self._http.stream("GET", path, **_streaming(params)) as response:
                if response.status_code != httpx.codes.OK:
                    _read(_STREAM, response.status_code, response.read())
                yield from response.iter_lines()
        except httpx.TransportError as error:
            raise NodeUnreachable(f"{self._http.base_url}: {error}") from None

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class AsyncClient:
    """A node's API, asynchronously; otherwise like `Client`."""

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(transport=transport, **_settings(url, token))

    async def send(self, request: Request[T]) -> T:
        """Send one request of `ledger.client.requests`, again where that may help."""
        reason = ""
        for pause in _pauses(request):
            try:
                async with self._http.stream(**_arguments(request)) as response:
                    body = _Body()
                    async for chunk in response.aiter_bytes():
                        body.add(chunk)
                if response.status_code not in _BUSY or pause is None:
                    return _read(request, response.status_code, body.bytes())
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__
            if pause is not None:
                await asyncio.sleep(pause)
        raise NodeUnreachable(f"{self._http.base_url}: {reason}")

    async def stream(self, request: Request[Any]) -> AsyncGenerator[bytes, None]:
        """The body of a good answer in pieces; as `Client.stream`."""
        try:
            async with self._http.stream(**_arguments(request)) as response:
                if response.status_code not in request.statuses:
                    body = _Body()
                    async for chunk in response.aiter_raw():
                        body.add(chunk)
                    _read(request, response.status_code, body.bytes())
                async for chunk in response.aiter_raw():
                    yield chunk
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise NodeUnreachable(f"{self._http.base_url}: {reason}") from None

    async def submit(self, *raws: bytes, wait: float = 0) -> list[Submitted]:
        """Submit raw envelopes; with ``wait`` seconds, answer with what came out of them."""
        try:
            return await self.send(requests.submit(raws, wait))
        except NodeRefused as error:
            return _refused_submissions(error)

    async def receipt(self, tx_id: bytes, wait: float = 0) -> Receipt:
        """The receipt of a final transaction, not yet verified: see `ledger.client.verify`."""
        return await self.send(requests.receipt(tx_id, wait))

    async def state(
        self, contract: str, key: str, height: int | None = None, *, proof: bool = False
    ) -> Entry:
        return await self.send(requests.state(contract, key, height, proof))

    async def query(self, contract: str, method: str, /, **arguments: Any) -> Value:
        return await self.send(requests.query(contract, method, arguments))

    async def status(self) -> dict[str, Any]:
        return await self.send(requests.status())

    async def block(self, height: int | None = None) -> dict[str, Any]:
        return await self.send(requests.block(height))

    async def transaction(self, tx_id: bytes, wait: float = 0) -> FinalTransaction:
        """A final transaction and what came out of it, as the node says."""
        return await self.send(blocks.transaction(tx_id, wait))

    async def lines(
        self, path: str, params: Sequence[tuple[str, str]]
    ) -> AsyncGenerator[str, None]:
        """The lines of a stream; raises as `Client.lines` does."""
        try:
            async with self._http.stream("GET", path, **_streaming(params)) as response:
                if response.status_code != httpx.codes.OK:
                    _read(_STREAM, response.status_code, await response.aread())
                async for line in response.aiter_lines():
                    yield line
        except httpx.TransportError as error:
            raise NodeUnreachable(f"{self._http.base_url}: {error}") from None

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()
