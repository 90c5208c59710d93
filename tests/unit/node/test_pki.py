"""Who may connect: real TLS connections on loopback, good and bad."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.crypto.keyfile import KeyFileError
from ledger.node.net.admission import (
    InvalidAuthority,
    PeerIdentity,
    Roll,
    UntrustedPeer,
    authorise,
    expires,
    issued_to,
    peer_identity,
    read_authority,
    read_certificate,
    recognise,
    shown_certificate,
    starts,
)
from ledger.node.net.pki import TlsKey, client_context, new_authority, server_context

NOW = datetime.datetime.now(datetime.UTC)
CITY = PeerIdentity("city", "city-1")
COUNTY = PeerIdentity("county", "county-1")
HOSTS = ("127.0.0.1", "localhost")


def milliseconds(moment: datetime.datetime) -> int:
    return int(moment.timestamp() * 1000)


@pytest.fixture(scope="module")
def city() -> TlsKey:
    return new_authority("city", now=NOW)


@pytest.fixture(scope="module")
def county() -> TlsKey:
    return new_authority("county", now=NOW)


@pytest.fixture(scope="module")
def chain(city: TlsKey, county: TlsKey) -> dict[str, tuple[str, ...]]:
    """The CAs as they stand on the chain."""
    return {"city": (city.pem,), "county": (county.pem,)}


class Meeting:
    """One connection: what each side learned of the other, or what it failed with."""

    def __init__(
        self, server: ssl.SSLContext, client: ssl.SSLContext, chain: dict[str, tuple[str, ...]]
    ) -> None:
        self.seen_by_server: PeerIdentity | Exception | None = None
        self.seen_by_client: PeerIdentity | Exception | None = None
        self.version: str | None = None
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(5)

        def serve() -> None:
            plain, _ = listener.accept()
            plain.settimeout(5)
            try:
                with server.wrap_socket(plain, server_side=True) as connection:
                    self.seen_by_server = issued_to(shown_certificate(connection), chain)
                    connection.sendall(b"!")
            except (OSError, UntrustedPeer) as error:
                self.seen_by_server = error
                plain.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with (
                socket.create_connection(listener.getsockname(), timeout=5) as plain,
                client.wrap_socket(plain) as connection,
            ):
                self.seen_by_client = issued_to(shown_certificate(connection), chain)
                self.version = connection.version()
                # In TLS 1.3 the client is done before the server has looked at its certificate.
                connection.recv(1)
        except (OSError, UntrustedPeer) as error:
            self.seen_by_client = error
        thread.join()
        listener.close()


def meet(
    server: TlsKey,
    client: TlsKey,
    chain: dict[str, tuple[str, ...]],
    own: dict[str, tuple[str, ...]] | None = None,
) -> Meeting:
    """Connect two nodes; the client may believe in other CAs (``own``) than the server."""
    return Meeting(server_context(server, chain), client_context(client, own or chain), chain)


def test_nodes_of_two_members_recognise_each_other_over_tls_1_3(
    city: TlsKey, county: TlsKey, chain: dict[str, tuple[str, ...]]
) -> None:
    meeting = meet(city.issue(CITY, HOSTS, now=NOW), county.issue(COUNTY, HOSTS, now=NOW), chain)
    assert meeting.seen_by_server == COUNTY
    assert meeting.seen_by_client == CITY
    assert meeting.version == "TLSv1.3"


def test_a_peer_of_a_ca_that_is_not_on_the_chain_is_refused(
    city: TlsKey, county: TlsKey, chain: dict[str, tuple[str, ...]]
) -> None:
    strange = new_authority("county", now=NOW).issue(COUNTY, HOSTS, now=NOW)
    meeting = meet(city.issue(CITY, HOSTS, now=NOW), strange, chain)
    assert isinstance(meeting.seen_by_server, ssl.SSLCertVerificationError)
    meeting = meet(strange, county.issue(COUNTY, HOSTS, now=NOW), chain)
    assert isinstance(meeting.seen_by_client, ssl.SSLCertVerificationError)


def test_a_member_cannot_speak_for_the_node_of_another(
    city: TlsKey, county: TlsKey, chain: dict[str, tuple[str, ...]]
) -> None:
    forged = county.issue(CITY, HOSTS, now=NOW)
    meeting = meet(city.issue(CITY, HOSTS, now=NOW), forged, chain)
    assert isinstance(meeting.seen_by_server, UntrustedPeer)
    assert "the CA of city did not issue" in str(meeting.seen_by_server)


def test_a_forged_issuer_name_does_not_help(
    city: TlsKey, county: TlsKey, chain: dict[str, tuple[str, ...]]
) -> None:
    # The county's CA with the subject of the city's: OpenSSL finds an issuer, its key is the wrong
    # one for the city.
    private = county._private
    twin = (
        x509.CertificateBuilder()
        .subject_name(city.certificate.subject)
        .issuer_name(city.certificate.subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(hours=1))
        .not_valid_after(NOW + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    impostor = TlsKey(private, twin)
    with_twin = {"city": (city.pem,), "county": (impostor.pem,)}
    meeting = meet(
        city.issue(CITY, HOSTS, now=NOW), impostor.issue(CITY, HOSTS, now=NOW), with_twin
    )
    assert isinstance(meeting.seen_by_server, (UntrustedPeer, ssl.SSLError))


def test_a_node_cannot_issue_certificates(city: TlsKey, chain: dict[str, tuple[str, ...]]) -> None:
    node = city.issue(CITY, HOSTS, now=NOW)
    child = node.issue(PeerIdentity("city", "city-2"), HOSTS, now=NOW)
    meeting = meet(node, child, chain)
    assert isinstance(meeting.seen_by_server, ssl.SSLError)


@pytest.mark.parametrize("age", [-10, 800])
def test_a_certificate_outside_its_time_passes_tls_and_is_refused_by_the_clock(
    city: TlsKey, county: TlsKey, chain: dict[str, tuple[str, ...]], age: int
) -> None:
    issued = NOW - datetime.timedelta(days=age)
    key = county.issue(COUNTY, HOSTS, now=issued)
    meeting = meet(city.issue(CITY, HOSTS, now=NOW), key, chain)
    assert meeting.seen_by_server == COUNTY
    with pytest.raises(UntrustedPeer, match=r"not valid yet|ran out on"):
        authorise(key.certificate, Roll(chain, {"county-1": "county"}), milliseconds(NOW))


def test_a_certificate_opens_connections_from_its_first_moment_to_its_last(
    county: TlsKey, chain: dict[str, tuple[str, ...]]
) -> None:
    certificate = county.issue(COUNTY, HOSTS, now=NOW, days=30).certificate
    roll = Roll(chain, {"county-1": "county"})
    first, last = starts(certificate), expires(certificate)
    assert last - first == 30 * 86_400_000 + 3_600_000
    for moment in (first, last):
        assert authorise(certificate, roll, moment) == COUNTY
    for moment in (first - 1, last + 1):
        with pytest.raises(UntrustedPeer):
            authorise(certificate, roll, moment)
        assert recognise(certificate, roll) == COUNTY


def test_a_ca_on_the_chain_counts_after_its_own_certificate_ran_out(city: TlsKey) -> None:
    old = new_authority("county", now=NOW - datetime.timedelta(days=4000))
    chain = {"city": (city.pem,), "county": (old.pem,)}
    key = old.issue(COUNTY, HOSTS, now=NOW)
    meeting = meet(city.issue(CITY, HOSTS, now=NOW), key, chain)
    assert (meeting.seen_by_server, meeting.seen_by_client) == (COUNTY, CITY)
    roll = Roll(chain, {"county-1": "county"})
    assert authorise(key.certificate, roll, milliseconds(NOW)) == COUNTY


def test_each_of_several_cas_of_an_institution_counts(city: TlsKey, county: TlsKey) -> None:
    following = new_authority("county", now=NOW)
    chain = {"city": (city.pem,), "county": (county.pem, "junk", following.pem)}
    own = city.issue(CITY, HOSTS, now=NOW)
    for authority in (county, following):
        meeting = meet(own, authority.issue(COUNTY, HOSTS, now=NOW), chain)
        assert (meeting.seen_by_server, meeting.seen_by_client) == (COUNTY, CITY)
    meeting = meet(own, new_authority("county", now=NOW).issue(COUNTY, HOSTS, now=NOW), chain)
    assert isinstance(meeting.seen_by_server, ssl.SSLError)


@pytest.mark.parametrize("nodes", [{}, {"county-2": "county"}, {"county-1": "city"}])
def test_a_node_that_the_chain_does_not_have_is_refused(
    county: TlsKey, chain: dict[str, tuple[str, ...]], nodes: dict[str, str]
) -> None:
    certificate = county.issue(COUNTY, HOSTS, now=NOW).certificate
    with pytest.raises(UntrustedPeer, match="has no node county-1 on the chain"):
        authorise(certificate, Roll(chain, nodes), milliseconds(NOW))


def test_a_client_without_a_certificate_is_refused(
    city: TlsKey, chain: dict[str, tuple[str, ...]]
) -> None:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(cadata=city.pem)
    meeting = Meeting(server_context(city.issue(CITY, HOSTS, now=NOW), chain), client, chain)
    assert isinstance(meeting.seen_by_server, ssl.SSLError)


def test_tls_1_2_is_refused(
    city: TlsKey, county: TlsKey, chain: dict[str, tuple[str, ...]]
) -> None:
    client = client_context(county.issue(COUNTY, HOSTS, now=NOW), chain)
    client.minimum_version = ssl.TLSVersion.TLSv1_2
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    meeting = Meeting(server_context(city.issue(CITY, HOSTS, now=NOW), chain), client, chain)
    assert isinstance(meeting.seen_by_server, ssl.SSLError)


def test_a_member_that_left_is_no_longer_recognised(
    city: TlsKey, county: TlsKey, chain: dict[str, tuple[str, ...]]
) -> None:
    contexts = (
        server_context(city.issue(CITY, HOSTS, now=NOW), chain),
        client_context(county.issue(COUNTY, HOSTS, now=NOW), chain),
    )
    meeting = Meeting(*contexts, {"city": (city.pem,)})
    assert isinstance(meeting.seen_by_server, UntrustedPeer)
    assert "county has no CA on the chain" in str(meeting.seen_by_server)


def test_an_unreadable_ca_of_one_member_harms_only_that_member(
    city: TlsKey, county: TlsKey, chain: dict[str, tuple[str, ...]]
) -> None:
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    odd = {**chain, "broken": (broken,), "node": (city.issue(CITY, HOSTS, now=NOW).pem,)}
    meeting = meet(city.issue(CITY, HOSTS, now=NOW), county.issue(COUNTY, HOSTS, now=NOW), odd)
    assert (meeting.seen_by_server, meeting.seen_by_client) == (COUNTY, CITY)
    for institution in ("broken", "node"):
        with pytest.raises(InvalidAuthority, match=institution):
            read_authority(institution, odd[institution][0])


def certificate_for(*names: x509.GeneralName) -> x509.Certificate:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + datetime.timedelta(days=1))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(private, hashes.SHA256())


@pytest.mark.parametrize(
    "uris",
    [
        [],
        ["https://city/city-1"],
        ["ledger://city"],
        ["ledger://city/city-1/more"],
        ["ledger://c ity/city-1"],
        ["ledger://city/city-1", "ledger://county/county-1"],
        ["ledger://city/city-1\n"],
    ],
)
def test_a_certificate_must_name_exactly_one_node(uris: list[str]) -> None:
    certificate = certificate_for(*(x509.UniformResourceIdentifier(uri) for uri in uris))
    with pytest.raises(UntrustedPeer):
        peer_identity(certificate)


def test_certificates_say_what_they_are_for(city: TlsKey) -> None:
    node = city.issue(CITY, ("10.1.2.3", "ledger.city.example"), now=NOW).certificate
    names = node.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert peer_identity(node) == CITY
    assert names.get_values_for_type(x509.DNSName) == ["ledger.city.example"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["10.1.2.3"]
    lifetime = node.not_valid_after_utc - node.not_valid_before_utc
    assert lifetime.days == 730
    authority = city.certificate
    assert (authority.not_valid_after_utc - authority.not_valid_before_utc).days == 3652
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value.path_length == 0
    again = city.issue(CITY, HOSTS, now=NOW).certificate
    assert again.serial_number != node.serial_number


@pytest.mark.parametrize("passphrase", ["words", None])
def test_key_and_certificate_come_back_from_disk(
    tmp_path: Path,
    city: TlsKey,
    county: TlsKey,
    chain: dict[str, tuple[str, ...]],
    passphrase: str | None,
) -> None:
    key, certificate = tmp_path / "tls.key", tmp_path / "tls.crt"
    city.issue(CITY, HOSTS, now=NOW).save(
        key, certificate, passphrase=passphrase, insecure=passphrase is None
    )
    loaded = TlsKey.load(key, certificate, lambda: passphrase or "")
    meeting = meet(loaded, county.issue(COUNTY, HOSTS, now=NOW), chain)
    assert meeting.seen_by_client == CITY


def test_a_key_with_the_certificate_of_another_is_refused(tmp_path: Path, city: TlsKey) -> None:
    key, certificate = tmp_path / "tls.key", tmp_path / "tls.crt"
    city.issue(CITY, HOSTS, now=NOW).save(key, certificate, passphrase=None, insecure=True)
    other = city.issue(CITY, HOSTS, now=NOW)
    certificate.write_text(other.pem)
    with pytest.raises(KeyFileError, match="not the certificate for"):
        TlsKey.load(key, certificate, str)
    certificate.write_text("junk")
    with pytest.raises(KeyFileError, match=r"tls\.crt"):
        TlsKey.load(key, certificate, str)
    certificate.unlink()
    with pytest.raises(KeyFileError, match=r"tls\.crt"):
        TlsKey.load(key, certificate, str)


def test_an_institution_may_bring_a_ca_with_an_ed25519_key(
    county: TlsKey, chain: dict[str, tuple[str, ...]]
) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "own CA")])
    authority = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(hours=1))
        .not_valid_after(NOW + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, None)
    )
    node_key = ec.generate_private_key(ec.SECP256R1())
    node = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(name)
        .public_key(node_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(hours=1))
        .not_valid_after(NOW + datetime.timedelta(days=30))
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier("ledger://own/own-1")]),
            critical=True,
        )
        .sign(private, None)
    )
    pem = TlsKey(node_key, authority).pem
    meeting = meet(
        TlsKey(node_key, node), county.issue(COUNTY, HOSTS, now=NOW), {**chain, "own": (pem,)}
    )
    assert meeting.seen_by_client == PeerIdentity("own", "own-1")


AUTHORITY = new_authority("city", now=NOW)
LEAF = AUTHORITY.issue(CITY, HOSTS, now=NOW).certificate.public_bytes(serialization.Encoding.DER)


@settings(max_examples=100)
@given(
    place=st.integers(0, len(LEAF) - 1),
    change=st.integers(1, 255),
    cut=st.integers(0, 40),
)
def test_a_certificate_changed_in_any_byte_is_refused(place: int, change: int, cut: int) -> None:
    raw = bytearray(LEAF)
    raw[place] ^= change
    with pytest.raises(UntrustedPeer):
        issued_to(read_certificate(bytes(raw[: len(raw) - cut])), {"city": (AUTHORITY.pem,)})


@settings(max_examples=100)
@given(place=st.integers(0, len(AUTHORITY.pem) - 1), letter=st.sampled_from("AZaz09+/=-\n é"))
def test_an_odd_ca_gives_a_certificate_or_a_typed_error(place: int, letter: str) -> None:
    pem = AUTHORITY.pem[:place] + letter + AUTHORITY.pem[place + 1 :]
    with contextlib.suppress(InvalidAuthority):
        read_authority("city", pem)
    with contextlib.suppress(UntrustedPeer):
        issued_to(read_certificate(LEAF), {"city": (pem,)})
