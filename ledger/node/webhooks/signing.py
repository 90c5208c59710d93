"""Signing deliveries with the node's key (RFC 9421, with the Content-Digest of RFC 9530)."""

from __future__ import annotations

import datetime
from collections.abc import Callable

from http_message_signatures import HTTPMessageSigner

from ledger.client.webhooks import (
    COVERED,
    ID_HEADER,
    LABEL,
    MAX_AGE_S,
    SUBSCRIPTION_HEADER,
    TAG,
    Ed25519Wire,
    SignedRequest,
)
from ledger.crypto.keys import SigningKey, key_id


def signed_headers(
    key: SigningKey, url: str, body: bytes, delivery: str, subscription: str, now_ms: int
) -> dict[str, str]:
    """The headers of one POST, signed.

    Args:
        delivery: its id, by which the receiver knows a repetition.
        now_ms: milliseconds since 1970 UTC.
    """
    request = SignedRequest(
        "POST",
        url,
        {
            "Content-Type": "application/json",
            ID_HEADER: delivery,
            SUBSCRIPTION_HEADER: subscription,
        },
    )
    signer = HTTPMessageSigner(signature_algorithm=Ed25519Wire)
    created = datetime.datetime.fromtimestamp(now_ms // 1000, datetime.UTC)
    prepared = signer.prepare(
        request,
        key_id=key_id(key.public),
        created=created,
        expires=created + datetime.timedelta(seconds=MAX_AGE_S),
        label=LABEL,
        tag=TAG,
        covered_component_ids=COVERED,
        body=body,
    )
    signer.apply(request, prepared, key.sign(prepared.signature_base))
    return request.headers


Signer = Callable[[str, bytes, str, str], dict[str, str]]
