"""Ways of reaching a patient outside of the app: the hospital's SMS gateway, its app's server.

A message says that there is something to look at and nothing else. What it is, and even of what
sort, stands in the app behind her sign-in: a text message is read on a locked screen by whoever
holds the telephone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Final, NamedTuple, Protocol

import msgspec

from ledger.node.webhooks.courier import Courier, Outcome
from ledger.node.webhooks.signing import Signer

#: Where packages name channels of their own: a callable from settings to a `Channel`.
GROUP: Final = "health_ledger.channels"

TEXT: Final = {
    "en": "There is news about your health records. Please open the app.",
    "zh": "您的健康档案有新动态，请打开应用查看。",
}
URGENT_TEXT: Final = {
    "en": "Important: please open the app and look at the news about your health records.",
    "zh": "重要提醒：请打开应用查看您健康档案的新动态。",
}


class UnknownChannel(ValueError):
    """No installed package offers a channel of that name."""


class Message(NamedTuple):
    """What leaves the node. ``id``: the same at every attempt. ``subject``: the pseudonym; who
    that is and which number she has, the gateway of her hospital knows."""

    id: str
    subject: str
    urgent: bool
    text: Mapping[str, str]


class Channel(Protocol):
    """A way to a patient. May be asked to send the same message again."""

    async def send(self, message: Message) -> Outcome:
        """Hand a message over; `Fate.LATER` has it sent again, later each time."""

    async def close(self) -> None: ...


class WebhookChannel:
    """Posts signed JSON to a gateway inside the hospital."""

    def __init__(self, url: str, courier: Courier, sign: Signer) -> None:
        self._url = url
        self._courier = courier
        self._sign = sign

    async def send(self, message: Message) -> Outcome:
        body = msgspec.json.encode(message._asdict())
        headers = self._sign(self._url, body, message.id, "notifications")
        return await self._courier.post(self._url, headers, body)

    async def close(self) -> None:
        """Its courier is closed by whom it belongs to."""


def find_channel(name: str) -> Callable[[Mapping[str, str]], Channel]:
    """A channel of an installed package; raises `UnknownChannel`."""
    for point in entry_points(group=GROUP):
        if point.name == name:
            found: Callable[[Mapping[str, str]], Channel] = point.load()
            return found
    raise UnknownChannel(f"no installed package offers the channel {name!r}")
