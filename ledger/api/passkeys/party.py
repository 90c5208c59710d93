"""The node as a relying party of Web Authentication: what it asks of browsers, what it believes.

The package ``webauthn`` reads and checks what authenticators answer. What is to count on the chain
is checked once more as every node does it, with `ledger.crypto.passkey`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, decode_credential_public_key
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from ledger.crypto import hashing, passkey, suites

SUITE: Final = bytes([suites.Passkey.number])
TIMEOUT_MS: Final = 300_000
_ES256: Final = [COSEAlgorithmIdentifier.ECDSA_SHA_256]
#: COSE_Key of P-256 (RFC 9053 §7.1.1): EC2, ES256, P-256, x, y.
_COSE: Final = (bytes.fromhex("a5010203262001215820"), bytes.fromhex("225820"))
#: Whatever a reader of hostile CBOR, JSON and DER may end with.
_UNREADABLE: Final = (
    WebAuthnException, ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
    RecursionError, struct.error,
)  # fmt: skip

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


def wire_signature(parts: AssertionParts) -> bytes:
    """The signature of suite 2 in an assertion; raises `NotBelieved`."""
    try:
        return passkey.signature(
            base64url_to_bytes(parts.authenticatorData),
            base64url_to_bytes(parts.clientDataJSON),
            base64url_to_bytes(parts.signature),
        )
    except ValueError as error:
        raise NotBelieved(str(error)) from None


def user_handle(assertion: Assertion) -> str:
    """Whom the passkey says that it belongs to: the pseudonym it was made for. Raises
    `NotBelieved`."""
    try:
        return base64url_to_bytes(assertion.response.userHandle or "").decode("ascii")
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
        options = generate_registration_options(
            rp_id=self.rp_id,
            rp_name=self.name,
            user_name=f"{subject[:8]}…",
            user_display_name=self.name,
            user_id=subject.encode(),
            challenge=challenge,
            timeout=TIMEOUT_MS,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            supported_pub_key_algs=_ES256,
        )
        return dict(msgspec.json.decode(options_to_json(options)))

    def registered(self, attestation: Attestation, challenge: bytes) -> bytes:
        """The wire public key of a passkey that was just made; raises `NotBelieved`.

        No attestation is asked for: which make of device a patient has is nobody's business.
        """
        try:
            found = verify_registration_response(
                credential=msgspec.to_builtins(attestation),
                expected_challenge=challenge,
                expected_rp_id=self.rp_id,
                expected_origin=list(self.origins),
                require_user_verification=True,
                supported_pub_key_algs=_ES256,
            )
            key: Any = decode_credential_public_key(found.credential_public_key)
            x, y = int.from_bytes(key.x, "big"), int.from_bytes(key.y, "big")
            return SUITE + passkey.public_key(self.rp_id, x, y)
        except _UNREADABLE as error:
            raise NotBelieved(str(error)) from error

    def signing_in(self, nonce: bytes) -> dict[str, Any]:
        """PublicKeyCredentialRequestOptionsJSON for whoever has a passkey of this node."""
        options = generate_authentication_options(
            rp_id=self.rp_id,
            challenge=hashing.SIGN_IN(nonce),
            timeout=TIMEOUT_MS,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return dict(msgspec.json.decode(options_to_json(options)))

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
        try:
            verify_authentication_response(
                credential=msgspec.to_builtins(assertion),
                expected_challenge=challenge,
                expected_rp_id=self.rp_id,
                expected_origin=list(self.origins),
                credential_public_key=_cose(public[1 + passkey.RP_ID_HASH_SIZE :]),
                credential_current_sign_count=0,
                require_user_verification=True,
            )
        except _UNREADABLE as error:
            raise NotBelieved(str(error)) from error


def _cose(point: bytes) -> bytes:
    numbers = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point).public_numbers()
    before_x, before_y = _COSE
    return before_x + numbers.x.to_bytes(32, "big") + before_y + numbers.y.to_bytes(32, "big")
