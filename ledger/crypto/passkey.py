"""Signature suite 2: passkeys (Web Authentication Level 3), ES256 on P-256.

A patient's authenticator does not sign bytes that it is given. It signs its own account of a
ceremony, in which the message stands as the challenge. So a signature of this suite carries that
account, and it is good when the account says that a person was present and verified, on a page of
the relying party that the key names, and was shown exactly this message as the challenge.

Everything here is decided from the bytes alone, so that all nodes decide alike. In particular the
client data, which is JSON, is never parsed: it is compared with its serialisation (§5.8.1.1) by the
limited verification algorithm (§5.8.1.2). The one verifier of P-256 is OpenSSL as the package
``cryptography`` brings it.

Wire forms, in bytes:

- public key: SHA-256 of the relying party's id (32), then the point, compressed (33, SEC 1 §2.3.3);
- signature: authenticator data (37), r (32) and s (32) of ECDSA, big-endian, then the client data.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from functools import lru_cache
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256

RP_ID_HASH_SIZE: Final = 32
POINT_SIZE: Final = 33
PUBLIC_SIZE: Final = RP_ID_HASH_SIZE + POINT_SIZE
#: Relying party's hash, flags and counter; no attested credential, no extensions (§6.1).
AUTHENTICATOR_DATA_SIZE: Final = 37
ECDSA_SIZE: Final = 64
MAX_CLIENT_DATA_BYTES: Final = 1024
SIGNATURE_SIZE: Final = AUTHENTICATOR_DATA_SIZE + ECDSA_SIZE + MAX_CLIENT_DATA_BYTES

#: Order of the group of P-256 (SEC 2 §2.4.2).
ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

_PRESENT, _VERIFIED, _ELIGIBLE, _BACKED_UP = 0x01, 0x04, 0x08, 0x10
_KNOWN_FLAGS: Final = _PRESENT | _VERIFIED | _ELIGIBLE | _BACKED_UP
_NEEDED_FLAGS: Final = _PRESENT | _VERIFIED

# Host names as browsers write them: lower case, international ones as A-labels. Pages outside of
# HTTPS get no passkeys, except those of the machine itself.
_ORIGIN: Final = re.compile(
    rb"https://(?P<host>[a-z0-9-]+(?:\.[a-z0-9-]+)*)(?::[1-9][0-9]{0,4})?"
    rb"|http://(?P<local>localhost)(?::[1-9][0-9]{0,4})?"
)
_SAME_ORIGIN: Final = b',"crossOrigin":false'
_ALGORITHM: Final = ec.ECDSA(SHA256())


class NotAnAssertion(ValueError):
    """Parts of an assertion that no signature of this suite can be made of."""


def rp_id_hash(rp_id: str) -> bytes:
    """What a key and authenticator data say of a relying party."""
    return sha256(rp_id.encode()).digest()


def public_key(rp_id: str, x: int, y: int) -> bytes:
    """The suite's raw key of a point of P-256; raises `NotAnAssertion` for one not on the curve."""
    try:
        ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    except ValueError:
        raise NotAnAssertion("not a point of P-256") from None
    return rp_id_hash(rp_id) + bytes([2 + (y & 1)]) + x.to_bytes(32, "big")


def signature(authenticator_data: bytes, client_data: bytes, der: bytes) -> bytes:
    """The suite's signature of the parts of an assertion as a browser gives them.

    Args:
        authenticator_data: ``authenticatorData``.
        client_data: ``clientDataJSON``.
        der: ``signature``, an ECDSA signature in DER.

    Raises:
        NotAnAssertion: by their sizes or the DER they cannot be one. Whether the signature is good
            is for `verify` to say.
    """
    if len(authenticator_data) != AUTHENTICATOR_DATA_SIZE:
        raise NotAnAssertion(f"authenticator data has {AUTHENTICATOR_DATA_SIZE} bytes here")
    if len(client_data) > MAX_CLIENT_DATA_BYTES:
        raise NotAnAssertion(f"client data has at most {MAX_CLIENT_DATA_BYTES} bytes")
    try:
        r, s = decode_dss_signature(der)
        low = min(s, ORDER - s)
        numbers = r.to_bytes(32, "big") + low.to_bytes(32, "big")
    except (ValueError, OverflowError):
        raise NotAnAssertion("not an ECDSA signature of P-256 in DER") from None
    return authenticator_data + numbers + client_data


@lru_cache(maxsize=4096)
def _point(encoded: bytes) -> ec.EllipticCurvePublicKey | None:
    if encoded[0] not in (2, 3):
        return None
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), encoded)
    except ValueError:
        return None


def verify(public: bytes, message: bytes, wire: bytes) -> bool:
    """Whether a wire signature is good for ``message`` under the suite's raw key (§7.2).

    Of the steps of §7.2 those are left out that need a memory: the counter is not compared, because
    synchronised passkeys do not count, and a replay is stopped by the id of the transaction.
    """
    if len(public) != PUBLIC_SIZE or not ECDSA_SIZE < len(wire) <= SIGNATURE_SIZE:
        return False
    authenticator_data = wire[:AUTHENTICATOR_DATA_SIZE]
    numbers = wire[AUTHENTICATOR_DATA_SIZE : AUTHENTICATOR_DATA_SIZE + ECDSA_SIZE]
    client_data = wire[AUTHENTICATOR_DATA_SIZE + ECDSA_SIZE :]
    party, encoded = public[:RP_ID_HASH_SIZE], public[RP_ID_HASH_SIZE:]
    if authenticator_data[:RP_ID_HASH_SIZE] != party:
        return False
    flags = authenticator_data[RP_ID_HASH_SIZE]
    if flags & _NEEDED_FLAGS != _NEEDED_FLAGS or flags & ~_KNOWN_FLAGS:
        return False
    if flags & _BACKED_UP and not flags & _ELIGIBLE:
        return False
    r, s = int.from_bytes(numbers[:32], "big"), int.from_bytes(numbers[32:], "big")
    # Of s and its complement only the lower one: nobody can write the same signature differently.
    if not (0 < r < ORDER and 0 < s <= ORDER // 2) or not _fits(client_data, message, party):
        return False
    point = _point(encoded)
    if point is None:
        return False
    signed = authenticator_data + sha256(client_data).digest()
    try:
        point.verify(encode_dss_signature(r, s), signed, _ALGORITHM)
    except InvalidSignature:
        return False
    return True


def _fits(client_data: bytes, message: bytes, party: bytes) -> bool:
    """Whether client data tells of an assertion for ``message`` on a page of the relying party.

    Members come in the fixed order of §5.8.1.1. ``crossOrigin`` may be missing, as older Safari
    leaves it out, but then nothing may follow.
    """
    challenge = urlsafe_b64encode(message).rstrip(b"=")
    beginning = b'{"type":"webauthn.get","challenge":"' + challenge + b'","origin":"'
    if not client_data.startswith(beginning):
        return False
    origin, quote, rest = client_data[len(beginning) :].partition(b'"')
    if not quote or not _is_of(origin, party):
        return False
    if rest == b"}":
        return True
    if not rest.startswith(_SAME_ORIGIN):
        return False
    more = rest[len(_SAME_ORIGIN) :]
    return more == b"}" or (more.startswith(b',"') and more.endswith(b"}"))


def _is_of(origin: bytes, party: bytes) -> bool:
    """Whether the host of an origin is the relying party's id or a name below it."""
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        return False
    labels = (match["host"] or match["local"]).split(b".")
    return any(sha256(b".".join(labels[start:])).digest() == party for start in range(len(labels)))
