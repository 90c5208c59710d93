"""Reading bodies and writing answers, in one place so that every route is equally strict."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
from fastapi import Request
from starlette.responses import Response

from ledger.api import problems
from ledger.api.problems import Problem
from ledger.chain import limits

JSON: Final = "application/json"
MSGPACK: Final = "application/msgpack"

#: Largest body of raw envelopes, in bytes; JSON with its base64 may be a half longer.
MAX_SUBMISSION_BYTES: Final = limits.MAX_BLOCK_BYTES
MAX_QUERY_BYTES: Final = limits.MAX_TRANSACTION_BYTES
MAX_RECORD_REQUEST_BYTES: Final = limits.MAX_RECEIPT_BYTES + 64 * limits.KIB

T = TypeVar("T")

_encoder = msgspec.json.Encoder()


def reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response without a detour through models: the models describe, they do not check."""
    return Response(_encoder.encode(value), status, headers, JSON)


def media_type(request: Request, *allowed: str) -> str:
    """The media type of the body; a `Problem` 415 where it is none of ``allowed``."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in allowed:
        raise Problem(problems.UNSUPPORTED_MEDIA, f"send {' or '.join(allowed)}")
    return kind


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body; a `Problem` 413 as soon as it is known to exceed ``limit`` bytes."""
    too_large = Problem(problems.TOO_LARGE, f"at most {limit} bytes", limit=limit)
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limit:
        raise too_large
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise too_large
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def parse_json(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode JSON of a known shape.

    A `Problem` 400 where it is not JSON at all, 422 where it is JSON of another shape.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Problem(problems.INVALID_PARAMETERS, f"in the body: {error}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Problem(problems.MALFORMED, f"the body is not JSON: {error}") from None


#: Patterns of path and query parameters. Python's ``$`` lets a line end through; ``\Z`` is not
#: known to every JSON Schema reader, and pydantic's engine takes ``$`` strictly.
HEX_32: Final = r"^[0-9a-f]{64}$"
NAME: Final = r"^[a-z][a-z0-9_]{0,63}$"
#: Name of an event, alone or behind that of its contract.
EVENT_NAME: Final = r"^([a-z][a-z0-9_]{0,63}\.)?[a-z][a-z0-9_]{0,63}$"
#: Id of a person or an institution.
ID: Final = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
HEIGHT: Final = r"^(latest|0|[1-9][0-9]{0,14})$"
MAX_HEIGHT: Final = 10**15 - 1

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def state_key(contract: str, rest: str) -> bytes:
    """The bytes of a state key; a `Problem` 422 where no entry could have it."""
    key = f"{contract}/{rest}".encode(errors="replace")
    if _CONTROL.search(rest) or "" in rest.split("/") or len(key) > limits.MAX_STATE_KEY_BYTES:
        raise Problem(
            problems.INVALID_PARAMETERS,
            "a key has non-empty parts between slashes, no control characters and at most "
            f"{limits.MAX_STATE_KEY_BYTES} bytes",
        )
    return key
