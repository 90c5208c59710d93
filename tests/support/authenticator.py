"""A passkey in software: what a browser and an authenticator together answer to a page.

It signs like a `SigningKey`, so `sign_transaction` takes it. What it says of a ceremony can be
changed part by part, to make every kind of answer that must be refused.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from ledger.crypto import passkey
from ledger.crypto.hashing import Domain

RP_ID = "localhost"
ORIGIN = "http://localhost:8100"
VERIFIED = 0x05

_SECRET = Domain("test-passkey")


def b64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def client_data(challenge: bytes, origin: str, kind: str = "webauthn.get", **more: Any) -> bytes:
    """The serialisation of WebAuthn §5.8.1.1."""
    members = {"type": kind, "challenge": b64url(challenge), "origin": origin}
    return json.dumps({**members, "crossOrigin": False, **more}, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Assertion:
    authenticator_data: bytes
    client_data: bytes
    der: bytes

    @property
    def wire(self) -> bytes:
        return passkey.signature(self.authenticator_data, self.client_data, self.der)


class Authenticator:
    """One passkey of the given name; the same name gives the same key."""

    def __init__(self, name: str, rp_id: str = RP_ID, origin: str = ORIGIN) -> None:
        secret = int.from_bytes(_SECRET(name.encode()), "big") % (passkey.ORDER - 1) + 1
        self._key = ec.derive_private_key(secret, ec.SECP256R1())
        self.rp_id = rp_id
        self.origin = origin
        self.point = self._key.public_key().public_numbers()
        self.public = b"\x02" + passkey.public_key(rp_id, self.point.x, self.point.y)
        self.credential_id = _SECRET(b"id " + name.encode())

    def authenticator_data(self, flags: int = VERIFIED, counter: int = 0) -> bytes:
        return passkey.rp_id_hash(self.rp_id) + bytes([flags]) + counter.to_bytes(4, "big")

    def assertion(
        self, challenge: bytes, *, data: bytes | None = None, client: bytes | None = None
    ) -> Assertion:
        data = self.authenticator_data() if data is None else data
        client = client_data(challenge, self.origin) if client is None else client
        der = self._key.sign(
            data + sha256(client).digest(), ec.ECDSA(SHA256(), deterministic_signing=True)
        )
        return Assertion(data, client, der)

    def sign(self, message: bytes) -> bytes:
        return self.assertion(message).wire

    # --- What a browser hands to a page, as JSON (WebAuthn §5.1.8) ------------------------------

    def attestation(
        self, challenge: bytes, *, flags: int = VERIFIED | 0x40, kind: str = "webauthn.create"
    ) -> dict[str, Any]:
        """RegistrationResponseJSON of the passkey, with no attestation of its make."""
        x, y = self.point.x.to_bytes(32, "big"), self.point.y.to_bytes(32, "big")
        cose = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})
        size = len(self.credential_id).to_bytes(2, "big")
        data = self.authenticator_data(flags) + bytes(16) + size + self.credential_id + cose
        answer = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        parts = {
            "clientDataJSON": b64url(client_data(challenge, self.origin, kind)),
            "attestationObject": b64url(answer),
        }
        return self._credential(parts)

    def answer(self, challenge: bytes, user: str = "", **parts: bytes) -> dict[str, Any]:
        """AuthenticationResponseJSON for a challenge."""
        made = self.assertion(challenge, **parts)
        said = {
            "clientDataJSON": b64url(made.client_data),
            "authenticatorData": b64url(made.authenticator_data),
            "signature": b64url(made.der),
        }
        return self._credential({**said, "userHandle": b64url(user.encode())} if user else said)

    def _credential(self, parts: dict[str, str]) -> dict[str, Any]:
        name = b64url(self.credential_id)
        return {"id": name, "rawId": name, "type": "public-key", "response": parts}
