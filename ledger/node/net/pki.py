"""Certificates for the connections between nodes: TLS 1.3 with certificates on both sides.

Every institution has a certificate authority (CA) of its own, whose certificate stands on the
chain. It issues one certificate for each of its nodes, with the node's identity as the URI
``ledger://<institution>/<node>``. TLS accepts what any CA on the chain has issued, at any time;
`ledger.node.net.admission` then demands that it was a CA of the very institution that the
certificate names, so that no member can speak for another one's node, and that its time is right.

The keys are ECDSA P-256, which every TLS library, HSM and certificate tool of a hospital handles.
They protect connections only: votes and transactions are signed with the node's Ed25519 key.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import secrets
import ssl
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ledger.crypto.keyfile import KeyFileError, load_secret, save_secret
from ledger.node.net.admission import (
    Authorities,
    InvalidAuthority,
    PeerIdentity,
    read_authority,
)

ALGORITHM: Final = "ecdsa-p256"
CA_DAYS: Final = 3652
NODE_DAYS: Final = 730

#: A source of so many random bytes.
Entropy = Callable[[int], bytes]

# A node's clock may be a little behind the one that issued the certificate.
_BACKDATED: Final = datetime.timedelta(hours=1)


class TlsKey:
    """An ECDSA P-256 key pair and the certificate for it."""

    __slots__ = ("_private", "certificate")

    def __init__(self, private: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._private = private
        self.certificate = certificate

    @property
    def pem(self) -> str:
        """The certificate as PEM text."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")

    def issue(
        self,
        identity: PeerIdentity,
        hosts: Iterable[str],
        *,
        now: datetime.datetime,
        days: int = NODE_DAYS,
        entropy: Entropy = secrets.token_bytes,
    ) -> TlsKey:
        """A fresh key and certificate for a node, signed by this key, which must be a CA's.

        Args:
            identity: the node. Nothing checks here that it belongs to this CA: the peers do.
            hosts: IP addresses and DNS names under which the node listens.
            now: from an hour before, the certificate is valid.
            days: for how long.
            entropy: so many random bytes; the same bytes give the same key and certificate.
        """
        private = _private_key(entropy)
        names: list[x509.GeneralName] = [
            x509.UniformResourceIdentifier(f"ledger://{identity.institution}/{identity.node}")
        ]
        names.extend(_host_name(host) for host in hosts)
        certificate = (
            _builder(_subject(identity.institution, identity.node), now, days, entropy)
            .issuer_name(self.certificate.subject)
            .public_key(private.public_key())
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
                ),
                critical=False,
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._private.public_key()),
                critical=False,
            )
            .sign(self._private, hashes.SHA256(), ecdsa_deterministic=True)
        )
        return TlsKey(private, certificate)

    def save(
        self, key_path: Path, certificate_path: Path, *, passphrase: str | None, insecure: bool
    ) -> None:
        """Write the key file (see `ledger.crypto.keyfile`) and the certificate as PEM."""
        secret = self._private.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        save_secret(
            key_path,
            ALGORITHM,
            _public_bytes(self.certificate),
            secret,
            passphrase=passphrase,
            insecure=insecure,
        )
        certificate_path.write_text(self.pem, encoding="ascii")

    @classmethod
    def load(cls, key_path: Path, certificate_path: Path, passphrase: Callable[[], str]) -> TlsKey:
        """Read what `save` wrote; raises `KeyFileError`."""
        _, secret = load_secret(key_path, ALGORITHM, passphrase)
        try:
            private = serialization.load_der_private_key(secret, password=None)
            certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        except (ValueError, OSError) as error:
            raise KeyFileError(f"{certificate_path}: {error}") from None
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise KeyFileError(f"{key_path}: not an elliptic-curve key")
        public = private.public_key().public_bytes(*_POINT)
        if public != _public_bytes(certificate):
            raise KeyFileError(f"{certificate_path}: not the certificate for {key_path}")
        return cls(private, certificate)

    def load_into(self, context: ssl.SSLContext) -> None:
        """Make a TLS context present this certificate.

        The ssl module reads keys from files only, so the key goes through a temporary file, sealed
        under a password that exists nowhere else.
        """
        password = secrets.token_hex(32)
        pem = self._private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password.encode()),
        )
        with tempfile.NamedTemporaryFile(suffix=".pem") as stream:
            stream.write(self.pem.encode("ascii") + pem)
            stream.flush()
            context.load_cert_chain(stream.name, password=password)


def new_authority(
    institution: str, *, now: datetime.datetime, entropy: Entropy = secrets.token_bytes
) -> TlsKey:
    """A CA for an institution, valid for ten years; it can issue certificates for nodes only."""
    private = _private_key(entropy)
    name = _subject(institution, f"{institution} ledger CA")
    certificate = (
        _builder(name, now, CA_DAYS, entropy)
        .issuer_name(name)
        .public_key(private.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False
        )
        .sign(private, hashes.SHA256(), ecdsa_deterministic=True)
    )
    return TlsKey(private, certificate)


def server_context(key: TlsKey, authorities: Authorities) -> ssl.SSLContext:
    """The TLS side that listens: 1.3 only, and a client certificate is a must.

    Args:
        key: the node's own.
        authorities: as on the chain.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0
    return _prepared(context, key, authorities)


def client_context(key: TlsKey, authorities: Authorities) -> ssl.SSLContext:
    """The TLS side that connects. Host names do not matter: the node is checked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    return _prepared(context, key, authorities)


def _prepared(context: ssl.SSLContext, key: TlsKey, authorities: Authorities) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    # Whose time is right is for `admission.authorise`, by the node's own clock: OpenSSL would also
    # turn away what a CA issued whose own certificate has run out, though it stands on the chain.
    context.verify_flags |= _NO_CHECK_TIME
    context.options |= ssl.OP_NO_COMPRESSION
    # Each connection shows its certificate anew, so a removed member cannot resume an old session.
    context.options |= ssl.OP_NO_TICKET
    trust(context, authorities)
    key.load_into(context)
    return context


def trust(context: ssl.SSLContext, authorities: Authorities) -> None:
    """Let a context accept what more CAs have issued; it cannot forget any, `admission` can.

    A CA that cannot be read is passed over: that is its member's problem, not everybody's.
    """
    for institution, texts in authorities.items():
        for pem in texts:
            with contextlib.suppress(InvalidAuthority, ssl.SSLError):
                authority = read_authority(institution, pem)
                context.load_verify_locations(cadata=authority.public_bytes(_DER))


#: X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which the ssl module has no name for.
_NO_CHECK_TIME: Final = ssl.VerifyFlags(0x200000)
#: The order of P-256: SEC 2, 2.4.2.
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_KEY_BYTES: Final = 40
_DER = serialization.Encoding.DER
_POINT = (serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def _subject(institution: str, common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, institution),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _private_key(entropy: Entropy) -> ec.EllipticCurvePrivateKey:
    """A key from 64 bits more than the order of the curve has: FIPS 186-5, A.2.1."""
    number = int.from_bytes(entropy(_KEY_BYTES))
    return ec.derive_private_key(1 + number % (_ORDER - 1), ec.SECP256R1())


def _builder(
    subject: x509.Name, now: datetime.datetime, days: int, entropy: Entropy
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .serial_number(int.from_bytes(entropy(20)) >> 1)
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _public_bytes(certificate: x509.Certificate) -> bytes:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise KeyFileError("the certificate is not for an elliptic-curve key")
    return key.public_bytes(*_POINT)
