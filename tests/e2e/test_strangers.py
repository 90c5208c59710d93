"""What a node does with those who knock at its peer port and are not members."""

from __future__ import annotations

import datetime
import secrets
import socket
import ssl
import struct
from collections.abc import Iterator

import pytest
from consortium import Consortium, until

from ledger.node.net import pki
from ledger.node.net.admission import PeerIdentity
from ledger.node.net.frames import Consensus, Frame, Hello, Transactions, encode_frame
from ledger.node.net.pki import TlsKey
from ledger.node.setup.home import load_home

NODE = "north-1"
VALIDATORS = {"east-1", "south-1", "west-1", "north-1"}
NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture(autouse=True)
def nothing_happened(consortium: Consortium) -> Iterator[None]:
    """The node keeps its peers, its chain, and goes on."""
    before = consortium.agreement()
    yield
    assert consortium.agreement().state_root == before.state_root
    until(lambda: connected(consortium) >= VALIDATORS - {NODE}, "all validators connected")
    consortium.anchor(NODE)


def connected(consortium: Consortium) -> set[str]:
    return {peer["node"] for peer in consortium.status(NODE)["peers"] if peer["connected"]}


def port(consortium: Consortium) -> int:
    return load_home(consortium.node_home(NODE)).settings.peer.port


def authority(consortium: Consortium, institution: str) -> TlsKey:
    """The certificate authority of a member, as its security officer has it."""
    folder = consortium.home / "ca" / institution
    return TlsKey.load(folder / "ca.key", folder / "ca.crt", lambda: "")


def dial(consortium: Consortium, key: TlsKey) -> ssl.SSLSocket:
    """A TLS connection that trusts the node and shows the given certificate."""
    members = [member.id for member in consortium.config.institutions]
    trusted = {name: (authority(consortium, name).pem,) for name in members}
    plain = socket.create_connection(("127.0.0.1", port(consortium)), timeout=20)
    return pki.client_context(key, trusted).wrap_socket(plain)


def hung_up(connection: socket.socket) -> bool:
    """Read until the node ends the connection."""
    try:
        while connection.recv(65_536):
            pass
    except (ConnectionError, ssl.SSLError):
        pass
    return True


def reasons(consortium: Consortium) -> list[str]:
    return [
        line["reason"] for line in consortium.log(NODE) if line["event"] == "peer_connection_ended"
    ]


def ended_for(consortium: Consortium, reason: str) -> bool:
    return bool(until(lambda: reason in reasons(consortium), f"a log line about {reason}"))


def test_bytes_that_are_no_tls_are_hung_up_on(consortium: Consortium) -> None:
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", secrets.token_bytes(4096), bytes(4096)):
        with socket.create_connection(("127.0.0.1", port(consortium)), timeout=20) as connection:
            connection.sendall(garbage)
            assert hung_up(connection)
    assert ended_for(consortium, "handshake_failed")


def test_somebody_who_says_nothing_is_hung_up_on(consortium: Consortium) -> None:
    with socket.create_connection(("127.0.0.1", port(consortium)), timeout=20) as connection:
        assert hung_up(connection)
    assert ended_for(consortium, "handshake_timeout")


def test_a_peer_without_a_certificate_is_turned_away(consortium: Consortium) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    plain = socket.create_connection(("127.0.0.1", port(consortium)), timeout=20)
    with context.wrap_socket(plain) as connection:
        assert hung_up(connection)
    assert ended_for(consortium, "handshake_failed")


def test_a_certificate_of_an_unknown_authority_is_turned_away(consortium: Consortium) -> None:
    stranger = pki.new_authority("east", now=NOW)
    key = stranger.issue(PeerIdentity("east", "east-1"), ["127.0.0.1"], now=NOW)
    with dial(consortium, key) as connection:
        assert hung_up(connection)
    assert ended_for(consortium, "handshake_failed")


def test_a_node_that_is_not_on_the_chain_is_turned_away(consortium: Consortium) -> None:
    key = authority(consortium, "east").issue(
        PeerIdentity("east", "east-9"), ["127.0.0.1"], now=NOW
    )
    with dial(consortium, key) as connection:
        assert hung_up(connection)
    assert ended_for(consortium, "unknown_certificate")


def test_a_member_cannot_pass_for_the_node_of_another(consortium: Consortium) -> None:
    key = authority(consortium, "east").issue(
        PeerIdentity("south", "south-1"), ["127.0.0.1"], now=NOW
    )
    with dial(consortium, key) as connection:
        assert hung_up(connection)
    assert "south-1" in connected(consortium)


def as_member(consortium: Consortium, *frames: Frame | bytes) -> ssl.SSLSocket:
    """Speak with the certificate of the observer, after a proper greeting."""
    home = load_home(consortium.node_home("centre-1"))
    connection = dial(consortium, home.tls_key(lambda: ""))
    hello = Hello(1, consortium.chain, "centre-1", 0)
    for frame in (hello, *frames):
        connection.sendall(frame if isinstance(frame, bytes) else encode_frame(frame))
    return connection


def test_malformed_frames_of_a_member_cost_it_the_connection(consortium: Consortium) -> None:
    for garbage in (
        struct.pack(">I", 5) + b"\xc1\xc1\xc1\xc1\xc1",
        struct.pack(">I", 2**31),
        encode_frame(Consensus(b"\x00no message")),
        encode_frame(Transactions((b"\xc1",))),
    ):
        with as_member(consortium, garbage) as connection:
            assert hung_up(connection)
    assert {"malformed"} <= set(reasons(consortium))


def test_a_greeting_of_another_chain_is_turned_away(consortium: Consortium) -> None:
    home = load_home(consortium.node_home("centre-1"))
    with dial(consortium, home.tls_key(lambda: "")) as connection:
        connection.sendall(encode_frame(Hello(1, bytes(32), "centre-1", 0)))
        assert hung_up(connection)
    assert ended_for(consortium, "wrong_chain")


def test_passing_on_a_forged_transaction_costs_a_member_the_connection(
    consortium: Consortium,
) -> None:
    raw = bytearray(consortium.anchors("centre-1", 1)[0])
    raw[-1] ^= 1
    with as_member(consortium, Transactions((bytes(raw),))) as connection:
        assert hung_up(connection)
