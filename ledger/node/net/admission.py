"""Who may connect: a certificate, what the chain says about the members, and a time.

Pure functions, asked by real connections and by simulated ones alike. What the TLS handshake leaves
open is decided here: that the certificate was issued by a CA of the very institution which it
names, that the chain has that node, and that the certificate is neither too old nor too young.

The certificates of the CAs have no time in this. They stand on the chain, and the chain says until
which height each counts: RFC 5280 §6.1.1 takes of a trust anchor its name and its key and nothing
else. So a consortium in which every certificate ran out on one day still comes back, each member by
a new node certificate from the CA key that it holds.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

#: What the certificate library raises for certificates that somebody made odd on purpose.
UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.ExtensionNotFound,
    x509.UnsupportedGeneralNameType,
)

#: Institution id → PEM texts of its CAs.
Authorities = Mapping[str, tuple[str, ...]]

_IDENTITY = re.compile(r"ledger://([A-Za-z0-9._-]{1,64})/([A-Za-z0-9._-]{1,64})")


class UntrustedPeer(Exception):
    """A peer whose certificate does not prove which node it is."""


class InvalidAuthority(Exception):
    """A CA certificate that nothing can be checked with."""


class PeerIdentity(NamedTuple):
    """Which node a certificate is for."""

    institution: str
    node: str


@dataclass(frozen=True, slots=True)
class Roll:
    """The members as a block has them. ``nodes``: node id → institution id."""

    authorities: Authorities
    nodes: Mapping[str, str]


def authorise(certificate: x509.Certificate, roll: Roll, now_ms: int) -> PeerIdentity:
    """The node for which a certificate opens a connection at a time.

    Args:
        now_ms: of the clock of whoever is asked, milliseconds since 1970 UTC.

    Raises:
        UntrustedPeer: saying what is wrong.
    """
    identity = recognise(certificate, roll)
    if now_ms < starts(certificate):
        raise UntrustedPeer(f"the certificate of {identity.node} is not valid yet")
    if now_ms > expires(certificate):
        raise UntrustedPeer(
            f"the certificate of {identity.node} ran out on "
            f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        )
    return identity


def recognise(certificate: x509.Certificate, roll: Roll) -> PeerIdentity:
    """The node on the roll that a certificate belongs to, at whatever time; raises as `authorise`.

    For connections that stand already: time alone does not end them.
    """
    identity = issued_to(certificate, roll.authorities)
    if roll.nodes.get(identity.node) != identity.institution:
        raise UntrustedPeer(f"{identity.institution} has no node {identity.node} on the chain")
    return identity


def issued_to(certificate: x509.Certificate, authorities: Authorities) -> PeerIdentity:
    """The node that a certificate names, if a CA of that node's institution issued it.

    Raises:
        UntrustedPeer: it did not.
    """
    identity = peer_identity(certificate)
    known = authorities.get(identity.institution, ())
    if not known:
        raise UntrustedPeer(f"{identity.institution} has no CA on the chain")
    if not any(_issued_by(certificate, identity.institution, pem) for pem in known):
        raise UntrustedPeer(
            f"a certificate for {identity.institution}/{identity.node} "
            f"that the CA of {identity.institution} did not issue"
        )
    return identity


def _issued_by(certificate: x509.Certificate, institution: str, pem: str) -> bool:
    try:
        certificate.verify_directly_issued_by(read_authority(institution, pem))
    except (InvalidAuthority, InvalidSignature, *UNREADABLE):
        return False
    return True


def peer_identity(certificate: x509.Certificate) -> PeerIdentity:
    """The node that a certificate names; raises `UntrustedPeer` unless it names exactly one."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except UNREADABLE:
        raise UntrustedPeer("the certificate names no node") from None
    found = names.get_values_for_type(x509.UniformResourceIdentifier)
    match = _IDENTITY.fullmatch(found[0]) if len(found) == 1 else None
    if match is None:
        raise UntrustedPeer("the certificate must name one node, as ledger://institution/node")
    return PeerIdentity(match[1], match[2])


def shown_certificate(connection: ssl.SSLObject | ssl.SSLSocket) -> x509.Certificate:
    """What the other end of a connection showed; raises `UntrustedPeer` if it cannot be read."""
    raw = connection.getpeercert(binary_form=True)
    if raw is None:
        raise UntrustedPeer("the peer showed no certificate")
    return read_certificate(raw)


def read_certificate(raw: bytes) -> x509.Certificate:
    """A certificate from DER; raises `UntrustedPeer`."""
    try:
        return x509.load_der_x509_certificate(raw)
    except UNREADABLE as error:
        raise UntrustedPeer(f"the peer's certificate cannot be read: {error}") from None


def read_authority(institution: str, pem: str) -> x509.Certificate:
    """The first certificate of a PEM text, which must be an institution's CA.

    Raises:
        InvalidAuthority: it cannot be read, or it is not a CA's.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except UNREADABLE as error:
        raise InvalidAuthority(f"the CA certificate of {institution}: {error}") from None
    if not constraints.ca:
        raise InvalidAuthority(f"the CA certificate of {institution} is not one of a CA")
    return certificate


def starts(certificate: x509.Certificate) -> int:
    """The first moment at which a certificate is valid, milliseconds since 1970 UTC."""
    return int(certificate.not_valid_before_utc.timestamp() * 1000)


def expires(certificate: x509.Certificate) -> int:
    """The last moment at which a certificate is valid, milliseconds since 1970 UTC."""
    return int(certificate.not_valid_after_utc.timestamp() * 1000)
