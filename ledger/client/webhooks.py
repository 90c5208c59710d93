"""Receiving webhooks: is this delivery from the node that it says, and whole?

A delivery is signed by the node's key as RFC 9421 has it, over method, URL, media type, the digest
of the body (RFC 9530), and the ids of delivery and subscription. The public half of the key stands
on the chain, under ``governance/nodes``, where its changes can be followed with proofs.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec
from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
)
from http_message_signatures.algorithms import ED25519, HTTPSignatureAlgorithm

from ledger.crypto import suites

TAG: Final = "health-ledger-webhook"
LABEL: Final = "node"
ID_HEADER: Final = "Webhook-Id"
SUBSCRIPTION_HEADER: Final = "Webhook-Subscription"
#: What every delivery's signature covers; the digest of the body comes last.
COVERED: Final = (
    "@method", "@target-uri", "content-type", "webhook-id", "webhook-subscription",
)  # fmt: skip
MAX_BODY_BYTES: Final = 2 * 1024 * 1024
#: Seconds for which a delivery is good: a retry is signed anew.
MAX_AGE_S: Final = 300


class InvalidDelivery(ValueError):
    """A delivery that must not be believed, with the reason."""


class Delivery(NamedTuple):
    """A verified delivery. ``id``: the same at every attempt; keep those of the last days, and do
    nothing for one that you know. ``content``: the decoded JSON of the body."""

    id: str
    subscription: str
    content: dict[str, Any]


class SignedRequest:
    """What the library looks at of a request."""

    def __init__(self, method: str, url: str, headers: Mapping[str, str]) -> None:
        self.method = method
        self.url = url
        self.headers = {name.lower(): value for name, value in headers.items()}


class Ed25519Wire(HTTPSignatureAlgorithm):
    """The ledger's own verifier under the library's interface: one set of rules for odd keys."""

    algorithm_id = ED25519.algorithm_id

    def __init__(
        self, public_key: Any = None, private_key: Any = None, password: Any = None
    ) -> None:
        self._public = bytes(public_key or b"")

    def sign(self, message: bytes) -> bytes:
        raise NotImplementedError("the node's key signs outside of the library")

    def verify(self, signature: bytes, message: bytes) -> None:
        if not suites.verify(self._public, message, signature):
            raise ValueError("the signature is not good")


class _Keys(HTTPSignatureKeyResolver):
    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self._keys = {key.hex(): key for key in keys}

    def resolve_public_key(self, key_id: str) -> bytes:
        key = self._keys.get(key_id)
        if key is None:
            raise ValueError("signed with another key than the node's")
        return key

    def resolve_private_key(self, key_id: str) -> bytes:
        raise NotImplementedError


def verify_delivery(
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *keys: bytes,
    subscription: str | None = None,
) -> Delivery:
    """What a POST request delivers, if it may be believed.

    Args:
        url: the address that was subscribed; behind a proxy not the one that the server sees.
        headers: of the request.
        body: of the request, unread and undecoded.
        keys: the node's wire public keys: the one in use, and the next one while keys change.
        subscription: the id of the subscription that the receiver expects, if it knows it.

    Raises:
        InvalidDelivery: the message says why; answer with 401 and do nothing.
    """
    if len(body) > MAX_BODY_BYTES:
        raise InvalidDelivery("the body is too large")
    if not keys or any(suites.suite_of(key).number != 1 for key in keys):
        raise InvalidDelivery("no key to verify with")
    request = SignedRequest("POST", url, headers)
    verifier = HTTPMessageVerifier(signature_algorithm=Ed25519Wire, key_resolver=_Keys(keys))
    try:
        results = verifier.verify(
            request,
            max_age=datetime.timedelta(seconds=MAX_AGE_S),
            expect_tag=TAG,
            require_components=(*COVERED, "content-digest"),
            body=body,
        )
        (_,) = results
        content = msgspec.json.decode(body, type=dict[str, Any])
    except (HTTPMessageSignaturesException, ValueError, TypeError, RecursionError) as error:
        raise InvalidDelivery(str(error) or type(error).__name__) from None
    given = request.headers[SUBSCRIPTION_HEADER.lower()]
    if subscription is not None and given != subscription:
        raise InvalidDelivery("a delivery for another subscription")
    return Delivery(request.headers[ID_HEADER.lower()], given, content)
