"""Who may connect, as the chain has it."""

from __future__ import annotations

import ssl

import pytest
from peers import NOW

from ledger.chain.codec import decode_value, encode
from ledger.node.net import admission, pki
from ledger.node.net.admission import PeerIdentity
from ledger.node.net.membership import Membership, changes_membership
from ledger.node.net.pki import TlsKey
from tests.support.founded import Chain


def authority(chain: Chain, institution: str) -> TlsKey:
    folder = chain.consortium.home / "ca" / institution
    return TlsKey.load(folder / "ca.key", folder / "ca.crt", lambda: "")


def node_key(chain: Chain, node: str) -> TlsKey:
    home = chain.consortium.home / "nodes" / node
    return TlsKey.load(home / "tls.key", home / "tls.crt", lambda: "")


class ChangedState:
    """The state of a chain with some entries in other words."""

    def __init__(self, chain: Chain) -> None:
        self.read_chain = chain.replica.read
        self.changes: dict[bytes, bytes | None] = {}
        self.newest = 0

    def height(self) -> int:
        return self.newest

    def read(self, key: bytes) -> bytes | None:
        return self.changes[key] if key in self.changes else self.read_chain(key)

    def value(self, key: bytes) -> object:
        raw = self.read(key)
        assert raw is not None
        return decode_value(raw, limit=2**20)

    def put(self, key: bytes, value: object) -> None:
        self.changes[key] = encode(value)


def entry(authority: TlsKey, since: int = 1, until: int = 0) -> dict[str, object]:
    """A CA as it stands on the chain."""
    return {"certificate": authority.pem, "from": since, "until": until}


@pytest.fixture
def state(chain: Chain) -> ChangedState:
    return ChangedState(chain)


@pytest.fixture
def membership(chain: Chain, state: ChangedState) -> Membership:
    return Membership(state.read, state.height, node_key(chain, "east-1"))


def shown(membership: Membership, key: TlsKey, trusted: dict[str, tuple[str, ...]]) -> str | None:
    """Who the listening side takes a caller for; None where it turns the caller away."""
    connection = connected(membership, key, trusted)
    return None if connection is None else membership.authorise(connection)


def connected(
    membership: Membership, key: TlsKey, trusted: dict[str, tuple[str, ...]]
) -> ssl.SSLObject | None:
    """The listening side of a connection after the handshake; None where that failed."""
    client_in, client_out, server_in, server_out = (ssl.MemoryBIO() for _ in range(4))
    client = pki.client_context(key, trusted).wrap_bio(client_in, client_out)
    server = membership.tls.server.wrap_bio(server_in, server_out, server_side=True)
    for _ in range(6):
        for end in (client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                return None
            server_in.write(client_out.read())
            client_in.write(server_out.read())
    return server


@pytest.fixture
def trusted(chain: Chain) -> dict[str, tuple[str, ...]]:
    return {name: (authority(chain, name).pem,) for name in ("east", "south", "west", "north")}


def test_every_node_of_the_chain_is_let_in(
    chain: Chain, membership: Membership, trusted: dict[str, tuple[str, ...]]
) -> None:
    assert set(membership.nodes) == {"east-1", "south-1", "west-1", "north-1"}
    for node in ("south-1", "west-1", "north-1"):
        assert shown(membership, node_key(chain, node), trusted) == node


def test_nodes_that_the_chain_does_not_have_are_not_let_in(
    chain: Chain, membership: Membership, trusted: dict[str, tuple[str, ...]]
) -> None:
    def issued(by: TlsKey, institution: str, node: str) -> TlsKey:
        return by.issue(PeerIdentity(institution, node), ["127.0.0.1"], now=NOW)

    south = authority(chain, "south")
    assert shown(membership, issued(south, "south", "south-1"), trusted) == "south-1"
    assert shown(membership, issued(south, "south", "south-2"), trusted) is None
    assert shown(membership, issued(south, "west", "west-1"), trusted) is None
    assert shown(membership, issued(south, "south", "west-1"), trusted) is None
    stranger = pki.new_authority("south", now=NOW)
    assert shown(membership, issued(stranger, "south", "south-1"), trusted) is None


def test_a_removed_node_is_not_let_in_any_more(
    chain: Chain, membership: Membership, state: ChangedState, trusted: dict[str, tuple[str, ...]]
) -> None:
    state.put(b"governance/node_index", ["east-1", "west-1", "north-1"])
    membership.refresh()
    assert shown(membership, node_key(chain, "south-1"), trusted) is None
    assert shown(membership, node_key(chain, "west-1"), trusted) == "west-1"


def test_an_institution_that_joins_is_trusted_from_then_on(
    membership: Membership, state: ChangedState, trusted: dict[str, tuple[str, ...]]
) -> None:
    centre = pki.new_authority("centre", now=NOW)
    key = centre.issue(PeerIdentity("centre", "centre-1"), ["127.0.0.1"], now=NOW)
    assert shown(membership, key, trusted) is None
    index = state.value(b"governance/institution_index")
    assert isinstance(index, list)
    state.put(b"governance/institution_index", [*index, "centre"])
    state.put(b"authorities/certificates/centre", [entry(centre)])
    state.put(b"governance/node_index", [*membership.nodes, "centre-1"])
    state.put(b"governance/nodes/centre-1", {"id": "centre-1", "institution": "centre"})
    membership.refresh()
    assert shown(membership, key, trusted) == "centre-1"


def test_an_authority_that_cannot_be_read_harms_only_its_own_member(
    chain: Chain, state: ChangedState, trusted: dict[str, tuple[str, ...]]
) -> None:
    odd = {"certificate": "no certificate", "from": 1, "until": 0}
    state.put(b"authorities/certificates/south", [odd])
    membership = Membership(state.read, state.height, node_key(chain, "east-1"))
    assert shown(membership, node_key(chain, "south-1"), trusted) is None
    assert shown(membership, node_key(chain, "west-1"), trusted) == "west-1"


def test_a_ca_counts_from_its_first_height_to_the_last(
    chain: Chain, state: ChangedState, trusted: dict[str, tuple[str, ...]]
) -> None:
    old, new = authority(chain, "south"), pki.new_authority("south", now=NOW)
    state.put(b"authorities/certificates/south", [entry(old, 1, 20), entry(new, 10)])
    membership = Membership(state.read, state.height, node_key(chain, "east-1"))
    by_old = node_key(chain, "south-1")
    by_new = new.issue(PeerIdentity("south", "south-1"), ["127.0.0.1"], now=NOW)
    seen = {}
    for newest in (0, 8, 9, 18, 19):
        state.newest = newest
        membership.follow([b"records/anything"])
        shown_by = [shown(membership, key, trusted) for key in (by_old, by_new)]
        seen[newest] = [node == "south-1" for node in shown_by]
    assert seen == {
        0: [True, False], 8: [True, False], 9: [True, True], 18: [True, True], 19: [False, True],
    }  # fmt: skip


def test_a_certificate_that_ran_out_opens_no_connection_and_ends_none(
    chain: Chain, state: ChangedState, trusted: dict[str, tuple[str, ...]]
) -> None:
    south = node_key(chain, "south-1")
    last = admission.expires(south.certificate)
    now = [last]
    membership = Membership(
        state.read, state.height, node_key(chain, "east-1"), clock=lambda: now[0]
    )
    connection = connected(membership, south, trusted)
    assert connection is not None
    assert membership.authorise(connection) == "south-1"
    now[0] = last + 1
    assert membership.authorise(connection) is None
    assert membership.recognise(connection) == "south-1"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([], False),
        ([b"registry/people/x", b"access/decisions/1"], False),
        ([b"consent/consents/1", b"governance/node_index"], True),
        ([b"authorities/certificates/east"], True),
    ],
)
def test_only_governance_changes_the_members(keys: list[bytes], expected: bool) -> None:
    assert changes_membership(keys) is expected
