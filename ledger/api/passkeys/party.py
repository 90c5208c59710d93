"""The node as a relying party of Web Authentication: what it asks of browsers, what it believes.

`ceremony` reads and checks what authenticators answer. What is to count on the chain is checked
once more as every node does it, with `ledger.crypto.passkey`.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from ledger.crypto import hashing, passkey, suites

SUITE: Final = bytes([suites.Passkey.number])
#: COSE_Key of P-256 (RFC 9053 §7.1.1): EC2, ES256, P-256, x, y.
_COSE: Final = (bytes.fromhex("a5010203262001215820"), bytes.fromhex("225820"))

Base64Url = str


class NotBelieved(Exception):
    """An answer of a browser that proves nothing. The text is for the log."""


class AssertionParts(msgspec.Struct, frozen=True):
    """``response`` of an AuthenticationResponseJSON (WebAuthn §5.1.8.2), base64url."""

    clientDataJSON: Base64Url  # noqa: N815  (the specification's own names)
    authenticatorData: Base64Url  # noqa: N815
    signature: Base64Url
    userHandle: Base64Url | None = None  # noqa: N815


class Assertion(msgspec.Struct, frozen=True):
    """An AuthenticationResponseJSON. Members that are not named here are not looked at."""

    id: Base64Url
    rawId: Base64Url  # noqa: N815
    type: str
    response: AssertionParts


class AttestationParts(msgspec.Struct, frozen=True):
    """``response`` of a RegistrationResponseJSON (WebAuthn §5.1.8.1)."""

    clientDataJSON: Base64Url  # noqa: N815
    attestationObject: Base64Url  # noqa: N815


class Attestation(msgspec.Struct, frozen=True):
    """A RegistrationResponseJSON."""

    id: Base64Url
    rawId: Base64Url  # noqa: N815
    type: str
    response: AttestationParts


def _ceremonies() -> ModuleType:
    from ledger.api.passkeys import ceremony

    return ceremony


def _decoded(text: str) -> bytes:
    """Base64url without padding (RFC 4648 §5); raises `ValueError`."""
    return b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def wire_signature(parts: AssertionParts) -> bytes:
    """The signature of suite 2 in an assertion; raises `NotBelieved`."""
    try:
        return passkey.signature(
            _decoded(parts.authenticatorData),
            _decoded(parts.clientDataJSON),
            _decoded(parts.signature),
        )
    except ValueError as error:
        raise NotBelieved(str(error)) from None


def user_handle(assertion: Assertion) -> str:
    """Whom the passkey says that it belongs to: the pseudonym it was made for. Raises
    `NotBelieved`."""
    try:
        return _decoded(assertion.response.userHandle or "").decode("ascii")
    except ValueError:
        raise NotBelieved("not a user handle of ours") from None


@dataclass(frozen=True)
class RelyingParty:
    """Under which id, and on which pages, passkeys of this node are used.

    Args:
        rp_id: a host name. Keys are bound to it for ever.
        origins: scheme, host and port of the pages.
        name: what the patient's device calls the node.
    """

    rp_id: str
    origins: tuple[str, ...]
    name: str

    @property
    def prefix(self) -> str:
        """How the wire keys of passkeys of this relying party begin, in hex."""
        return (SUITE + passkey.rp_id_hash(self.rp_id)).hex()

    def registration(self, subject: str, challenge: bytes) -> dict[str, Any]:
        """PublicKeyCredentialCreationOptionsJSON for a passkey of a patient.

        The passkey is discoverable and carries her pseudonym: she need not type it to sign in.
        """
        options: dict[str, Any] = _ceremonies().creation_options(
            self.rp_id, self.name, f"{subject[:8]}…", subject.encode(), challenge
        )
        return options

    def registered(self, attestation: Attestation, challenge: bytes) -> bytes:
        """The wire public key of a passkey that was just made; raises `NotBelieved`.

        No attestation is asked for: which make of device a patient has is nobody's business.
        """
        ceremonies = _ceremonies()
        try:
            x, y = ceremonies.read_attestation(
                msgspec.to_builtins(attestation), challenge, self.rp_id, self.origins
            )
            return SUITE + passkey.public_key(self.rp_id, x, y)
        except (ceremonies.Unreadable, passkey.NotAnAssertion) as error:
            raise NotBelieved(str(error)) from error

    def signing_in(self, nonce: bytes) -> dict[str, Any]:
        """PublicKeyCredentialRequestOptionsJSON for whoever has a passkey of this node."""
        options: dict[str, Any] = _ceremonies().request_options(self.rp_id, hashing.SIGN_IN(nonce))
        return options

    def signed_in(self, assertion: Assertion, nonce: bytes, keys: Iterable[str]) -> str:
        """Which of a patient's keys, in hex, made an assertion; raises `NotBelieved`."""
        challenge = hashing.SIGN_IN(nonce)
        wire = wire_signature(assertion.response)
        for key in keys:
            if not key.startswith(self.prefix):
                continue
            public = bytes.fromhex(key)
            if suites.verify(public, challenge, wire):
                self._agreed(assertion, challenge, public)
                return key
        raise NotBelieved("no key of hers made this")

    def _agreed(self, assertion: Assertion, challenge: bytes, public: bytes) -> None:
        ceremonies = _ceremonies()
        cose = _cose(public[1 + passkey.RP_ID_HASH_SIZE :])
        try:
            ceremonies.check_assertion(
                msgspec.to_builtins(assertion), challenge, self.rp_id, self.origins, cose
            )
        except ceremonies.Unreadable as error:
            raise NotBelieved(str(error)) from error


def _cose(point: bytes) -> bytes:
    numbers = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point).public_numbers()
    before_x, before_y = _COSE
    return before_x + numbers.x.to_bytes(32, "big") + before_y + numbers.y.to_bytes(32, "big")
