"""The ceremonies of Web Authentication as the package ``webauthn`` has them.

It is the only module that imports that package, and is itself imported with the first ceremony: a
node without patients need not wait for readers of every make of attestation.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import decode_credential_public_key
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

TIMEOUT_MS: Final = 300_000
_ES256: Final = [COSEAlgorithmIdentifier.ECDSA_SHA_256]
#: Whatever a reader of hostile CBOR, JSON and DER may end with.
_UNREADABLE: Final = (
    WebAuthnException, ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
    RecursionError, struct.error,
)  # fmt: skip


class Unreadable(Exception):
    """An answer that is none, or not one to what was asked."""


def creation_options(
    rp_id: str, name: str, user: str, user_handle: bytes, challenge: bytes
) -> dict[str, Any]:
    """PublicKeyCredentialCreationOptionsJSON (§5.4) for a discoverable ES256 passkey whose user is
    verified, without attestation."""
    options = generate_registration_options(
        rp_id=rp_id,
        rp_name=name,
        user_name=user,
        user_display_name=name,
        user_id=user_handle,
        challenge=challenge,
        timeout=TIMEOUT_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        supported_pub_key_algs=_ES256,
    )
    return dict(msgspec.json.decode(options_to_json(options)))


def request_options(rp_id: str, challenge: bytes) -> dict[str, Any]:
    """PublicKeyCredentialRequestOptionsJSON (§5.5) for any discoverable passkey."""
    options = generate_authentication_options(
        rp_id=rp_id,
        challenge=challenge,
        timeout=TIMEOUT_MS,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return dict(msgspec.json.decode(options_to_json(options)))


def read_attestation(
    credential: Mapping[str, Any], challenge: bytes, rp_id: str, origins: Sequence[str]
) -> tuple[int, int]:
    """The point of the passkey that was made (§7.1); raises `Unreadable`."""
    try:
        found = verify_registration_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=list(origins),
            require_user_verification=True,
            supported_pub_key_algs=_ES256,
        )
        key: Any = decode_credential_public_key(found.credential_public_key)
        return int.from_bytes(key.x, "big"), int.from_bytes(key.y, "big")
    except _UNREADABLE as error:
        raise Unreadable(str(error)) from error


def check_assertion(
    credential: Mapping[str, Any], challenge: bytes, rp_id: str, origins: Sequence[str], cose: bytes
) -> None:
    """Whether a passkey made an assertion (§7.2), its key being a COSE_Key; raises `Unreadable`."""
    try:
        verify_authentication_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=list(origins),
            credential_public_key=cose,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except _UNREADABLE as error:
        raise Unreadable(str(error)) from error
