"""A node calls nobody whom its operator has not listed, and no address inside of a network."""

import ipaddress

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.node.webhooks.address import AllowList, CheckedBackend, Forbidden, read_url

LIST = AllowList(["https://hooks.example.org/ledger", "https://gate.example.org:8443/"])


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.org/ledger",
        "https://hooks.example.org/ledger/a?b=c",
        "https://HOOKS.example.org:443/ledger/",
        "https://gate.example.org:8443/x",
        "https://gate.example.org:8443/",
    ],
)
def test_what_begins_with_a_listed_address_may_be_called(url):
    assert LIST.check(url).host in ("hooks.example.org", "gate.example.org")


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.org/ledger",
        "https://hooks.example.org/",
        "https://hooks.example.org/ledgerette",
        "https://hooks.example.org/ledger/../admin",
        "https://hooks.example.org/ledger/%2e%2E/admin",
        "https://hooks.example.org/ledger/..%2fadmin",
        "https://hooks.example.org/ledger\\..\\admin",
        "https://hooks.example.org:8443/ledger",
        "https://hooks.example.org.evil.example/ledger",
        "https://evil.example#hooks.example.org/ledger",
        "https://hooks.example.org@evil.example/ledger",
        "https://user@hooks.example.org/ledger",
        "https://hooks.example.org/ledger#part",
        "https://hooks.example.org/led ger",
        "https://hooks.example.org/ledger\r\nHost: x",
        "https://hooks.exämple.org/ledger",
        "https://hooks.example.org:99999/ledger",
        "https:///ledger",
        "https://[::1/ledger",
        "file:///etc/passwd",
        "",
        "https://hooks.example.org/ledger/" + "a" * 2048,
    ],
)
def test_anything_else_is_forbidden(url):
    with pytest.raises(Forbidden):
        LIST.check(url)


@given(st.text(max_size=60))
def test_reading_an_address_never_fails_otherwise(text):
    try:
        target = read_url(text)
    except Forbidden:
        return
    assert target.host
    assert target.path.startswith("/")


INSIDE = [
    "127.0.0.1", "10.0.0.1", "172.16.5.5", "192.168.1.1", "169.254.169.254", "0.0.0.0",
    "100.64.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1", "::1", "::", "fe80::1",
    "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
    "2002:7f00:1::", "2001:0:7f00:1::", "not an address",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside_of_networks_are_forbidden(address):
    with pytest.raises(Forbidden):
        LIST.check_address(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_not(address):
    assert ipaddress.ip_address(LIST.check_address(address)).is_global


def test_a_private_network_can_be_listed_and_opens_no_other():
    allowed = AllowList([], ["10.1.0.0/16"])
    assert allowed.check_address("10.1.2.3") == "10.1.2.3"
    assert allowed.check_address("::ffff:10.1.2.3") == "10.1.2.3"
    with pytest.raises(Forbidden):
        allowed.check_address("10.2.0.1")


class Wire(httpcore.AsyncNetworkBackend):
    """Notes where connections would go."""

    def __init__(self) -> None:
        self.called: list[tuple[str, int]] = []

    async def connect_tcp(self, host, port, *rest):
        self.called.append((host, port))
        return httpcore.AsyncMockStream([])


class Rebinding(CheckedBackend):
    """A name that is public when it is first asked for and loopback afterwards."""

    answers: list[list[str]]

    async def resolve(self, host, port):
        return self.answers.pop(0)


async def test_the_connection_goes_to_the_very_address_that_was_checked():
    wire = Wire()
    backend = Rebinding(LIST, wire)
    backend.answers = [["8.8.8.8"], ["127.0.0.1"]]
    await backend.connect_tcp("hooks.example.org", 443)
    assert wire.called == [("8.8.8.8", 443)]
    assert backend.answers == [["127.0.0.1"]]
    with pytest.raises(Forbidden):
        await backend.connect_tcp("hooks.example.org", 443)
    assert len(wire.called) == 1


async def test_a_name_with_one_inner_address_among_others_is_not_called():
    wire = Wire()
    backend = Rebinding(LIST, wire)
    backend.answers = [["8.8.8.8", "127.0.0.1"]]
    with pytest.raises(Forbidden):
        await backend.connect_tcp("hooks.example.org", 443)
    assert wire.called == []
    with pytest.raises(Forbidden):
        await backend.connect_unix_socket("/run/secret.sock")
