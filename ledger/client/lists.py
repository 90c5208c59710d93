"""Requests for the lists of a node, for `Client.send` and `AsyncClient.send`.

Only a patient's own list is proven; the others are the node's word.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from ledger.chain.codec import Malformed
from ledger.chain.disclosures import DisclosureFile
from ledger.client.requests import Request

#: As many lines as a page of a list can have.
LARGEST_PAGE: Final = 1_000


class ListPage(NamedTuple):
    """``lines``: newest first. ``cursor``: for the next page, None after the last. ``height``: up
    to which block everything is in the list."""

    lines: list[dict[str, Any]]
    cursor: str | None
    height: int


class _Proven(msgspec.Struct):
    height: int
    cursor: str | None
    proof: DisclosureFile | None


def _json(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Malformed(f"an answer that is not what was asked for: {error}") from None


def _reader(name: str) -> Callable[[bytes], ListPage]:
    def read(body: bytes) -> ListPage:
        found = _json(body, dict[str, Any])
        lines, cursor, height = found.get(name), found.get("cursor"), found.get("height")
        if not isinstance(lines, list) or not isinstance(height, int):
            raise Malformed("an answer that is no list")
        if not (cursor is None or isinstance(cursor, str)):
            raise Malformed("an answer with an odd cursor")
        return ListPage(lines, cursor, height)

    return read


def _params(cursor: str | None, limit: int, about: dict[str, Any]) -> dict[str, str]:
    params = {name: str(value) for name, value in about.items() if value not in ("", None)}
    params["limit"] = str(limit)
    return params if cursor is None else {**params, "cursor": cursor}


def listing(
    name: str, cursor: str | None = None, limit: int = 100, **about: Any
) -> Request[ListPage]:
    """One page of ``disclosures``, ``emergencies``, ``findings``, ``consents`` or ``cases``.

    Args:
        about: what the interface takes, such as ``institution="city"`` and ``since=`` in ms.
    """
    return Request("GET", f"/v1/{name}", _reader(name), _params(cursor, limit, about))


def proven_disclosures(
    subject: str, cursor: str | None = None, limit: int = 100
) -> Request[tuple[DisclosureFile, str | None]]:
    """A page of a patient's log of disclosures with its proof, and the cursor of the next."""

    def read(body: bytes) -> tuple[DisclosureFile, str | None]:
        found: _Proven = _json(body, _Proven)
        if found.proof is None:
            raise Malformed("an answer without a proof")
        return found.proof, found.cursor

    params = _params(cursor, limit, {"subject": subject, "proof": "true"})
    return Request("GET", "/v1/disclosures", read, params)
