"""Requests about webhooks and notifications, for `Client.send` and `AsyncClient.send`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ledger.chain.codec import Malformed
from ledger.chain.values import from_json
from ledger.client.requests import Request

JSON = "application/json"


class Webhook(msgspec.Struct, frozen=True):
    """A subscription and how it goes; times in ms since 1970 UTC, 0 for never."""

    id: str
    url: str
    filters: dict[str, list[str]]
    owner: str
    institution: str
    bound: str
    created: int
    cursor: str
    status: str
    reason: str
    failing_since: int
    attempts: int
    next_attempt: int
    delivered: int
    last_delivery: int


class DeadLetter(msgspec.Struct, frozen=True):
    """An event that a receiver refused for good."""

    cursor: str
    transaction: str
    reason: str
    attempts: int
    time: int


class Notification(msgspec.Struct, frozen=True):
    """One thing that a patient is told; ``fields`` as the contract announced them."""

    id: str
    time: int
    topic: str
    urgent: bool
    read: bool
    text: dict[str, str]
    transaction: str
    contract: str
    name: str
    fields: Any


class NotificationPage(msgspec.Struct, frozen=True):
    """``urgent``: emergencies that were not read, on the first page. ``next``: the ``before`` of
    the next page, None after the last."""

    urgent: list[Notification]
    notifications: list[Notification]
    next: str | None


class _Webhooks(msgspec.Struct):
    webhooks: list[Webhook]


class _DeadLetters(msgspec.Struct):
    dead_letters: list[DeadLetter]


def _decoded(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Malformed(f"an answer that is not what was asked for: {error}") from None


def _webhook(body: bytes) -> Webhook:
    found: Webhook = _decoded(body, Webhook)
    return found


def _nothing(body: bytes) -> None:
    return None


def webhooks() -> Request[list[Webhook]]:
    """The caller's subscriptions."""

    def read(body: bytes) -> list[Webhook]:
        found: _Webhooks = _decoded(body, _Webhooks)
        return found.webhooks

    return Request("GET", "/v1/webhooks", read)


def subscribe(
    url: str, filters: Mapping[str, Sequence[str]] | None = None, after: str | None = None
) -> Request[Webhook]:
    """Have events delivered to an address that the node's operator allows.

    Args:
        filters: of `contract`, `name`, `subject`, `institution`, `holder`.
        after: a cursor to begin behind; without it with the next block.
    """
    wanted: dict[str, Any] = {"url": url}
    wanted |= {} if not filters else {"filters": {k: list(v) for k, v in filters.items()}}
    wanted |= {} if after is None else {"after": after}
    return Request(
        "POST", "/v1/webhooks", _webhook, body=msgspec.json.encode(wanted), media=JSON,
        statuses=(201,), once=True,
    )  # fmt: skip


def webhook(id_: str) -> Request[Webhook]:
    return Request("GET", f"/v1/webhooks/{id_}", _webhook)


def unsubscribe(id_: str) -> Request[None]:
    return Request("DELETE", f"/v1/webhooks/{id_}", _nothing, statuses=(204,))


def resume(id_: str, after: str | None = None) -> Request[Webhook]:
    """Go on with a suspended subscription, from where it stands or from behind a cursor."""
    body = msgspec.json.encode({} if after is None else {"after": after})
    return Request("POST", f"/v1/webhooks/{id_}/resume", _webhook, body=body, media=JSON)


def dead_letters(id_: str) -> Request[list[DeadLetter]]:
    """Events that the receiver refused for good, newest first."""

    def read(body: bytes) -> list[DeadLetter]:
        found: _DeadLetters = _decoded(body, _DeadLetters)
        return found.dead_letters

    return Request("GET", f"/v1/webhooks/{id_}/dead-letters", read)


def notifications(before: str | None = None, limit: int = 20) -> Request[NotificationPage]:
    """A page of what the signed-in patient is told, newest first."""

    def read(body: bytes) -> NotificationPage:
        page: NotificationPage = _decoded(body, NotificationPage)
        return msgspec.structs.replace(
            page, urgent=_valued(page.urgent), notifications=_valued(page.notifications)
        )

    params = {"limit": str(limit)} | ({} if before is None else {"before": before})
    return Request("GET", "/v1/notifications", read, params)


def _valued(found: Sequence[Notification]) -> list[Notification]:
    return [msgspec.structs.replace(item, fields=from_json(item.fields)) for item in found]


def mark_read(ids: Sequence[str] = (), up_to: str | None = None) -> Request[None]:
    """Note that notifications have been read: these, or all up to one."""
    marks: dict[str, Any] = {"ids": list(ids)} | ({} if up_to is None else {"up_to": up_to})
    body = msgspec.json.encode(marks)
    path = "/v1/notifications/read"
    return Request("POST", path, _nothing, body=body, media=JSON, statuses=(204,))
