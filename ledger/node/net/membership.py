"""Which nodes the chain admits, and the TLS contexts that follow from it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, NamedTuple

from cryptography import x509

from ledger.chain import limits
from ledger.chain.codec import decode_value
from ledger.node.clock import now_ms
from ledger.node.net import admission
from ledger.node.net.admission import Roll, UntrustedPeer
from ledger.node.net.carrier import TlsContexts
from ledger.node.net.pki import TlsKey, client_context, server_context, trust

_PREFIXES = (b"governance/", b"authorities/")


class Authority(NamedTuple):
    """A CA on the chain: PEM text, and the heights from which on and before which it counts."""

    pem: str
    since: int
    until: int

    def counts(self, height: int) -> bool:
        """Whether it counts at a height; ``until`` 0 stands for no end."""
        return self.since <= height and (self.until == 0 or height < self.until)


class Membership:
    """The members' certificate authorities and nodes as the newest block has them.

    Args:
        read: reads a state entry of the newest block.
        height: of the newest block. What counts is the height after it.
        key: this node's TLS key.
        clock: milliseconds since 1970 UTC; decides whose certificate has run out.
    """

    def __init__(
        self,
        read: Callable[[bytes], bytes | None],
        height: Callable[[], int],
        key: TlsKey,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._read = read
        self._height = height
        self._clock = clock
        #: The CAs on the chain that count or will, by institution.
        self.authorities: dict[str, list[Authority]] = {}
        #: When the certificate runs out that a node showed last, milliseconds since 1970 UTC.
        self.seen: dict[str, int] = {}
        self._next_turn: int | None = None
        self.roll = self._load()
        self._contexts: TlsContexts | None = None
        self._trusted: set[tuple[str, tuple[str, ...]]] = set()
        #: This node's own.
        self.key = key

    @property
    def tls(self) -> TlsContexts:
        """How this node shows itself and whom it lets in; made at first use."""
        if self._contexts is None:
            known = self.roll.authorities
            self._trusted = set(known.items())
            self._contexts = TlsContexts(
                server_context(self.key, known), client_context(self.key, known)
            )
        return self._contexts

    def _value(self, name: str) -> Any:
        raw = self._read(name.encode())
        return None if raw is None else decode_value(raw, limit=limits.MAX_STATE_VALUE_BYTES)

    def _load(self) -> Roll:
        institutions = self._value("governance/institution_index") or []
        self.authorities = {
            institution: [
                Authority(entry["certificate"], entry["from"], entry["until"])
                for entry in self._value(f"authorities/certificates/{institution}") or []
            ]
            for institution in institutions
        }
        nodes = {
            node: self._value(f"governance/nodes/{node}")["institution"]
            for node in self._value("governance/node_index") or []
        }
        return self._roll(nodes)

    def _roll(self, nodes: Mapping[str, str]) -> Roll:
        """The roll for the height after the newest block."""
        height = self._height() + 1
        entries = [entry for known in self.authorities.values() for entry in known]
        turns = [turn for entry in entries for turn in (entry.since, entry.until) if turn > height]
        self._next_turn = min(turns, default=None)
        counting = {
            institution: tuple(entry.pem for entry in known if entry.counts(height))
            for institution, known in self.authorities.items()
        }
        return Roll(counting, nodes)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The ids of all nodes on the chain."""
        return tuple(self.roll.nodes)

    @property
    def tls_certificate(self) -> x509.Certificate:
        """The certificate that this node shows."""
        return self.key.certificate

    def present(self, key: TlsKey) -> None:
        """Show another certificate from the next connection on; those that stand go on.

        Raises:
            UntrustedPeer: the others would not let this node in with it.
        """
        identity = admission.authorise(key.certificate, self.roll, self._clock())
        if identity != admission.peer_identity(self.key.certificate):
            raise UntrustedPeer(f"the certificate is for another node, {identity.node}")
        self.key = key
        for context in self._contexts or ():
            key.load_into(context)

    def kinds(self, nodes: Container[str]) -> dict[str, str]:
        """The kinds of the institutions of some nodes, in the order in which nodes joined."""
        kinds = {
            institution: self._value(f"governance/institutions/{institution}")["kind"]
            for institution in self.roll.authorities
        }
        return {
            node: kinds[institution]
            for node, institution in self.roll.nodes.items()
            if node in nodes
        }

    def follow(self, written: Iterable[bytes]) -> bool:
        """Take note of a new block and the keys it wrote; whether the roll may have changed."""
        if changes_membership(written):
            self.refresh()
            return True
        if self._next_turn is not None and self._height() + 1 >= self._next_turn:
            self.roll = self._roll(self.roll.nodes)
            self._trust()
            return True
        return False

    def _trust(self) -> None:
        if self._contexts is not None:
            added = dict(self.roll.authorities.items() - self._trusted)
            self._trusted |= added.items()
            for context in self._contexts:
                trust(context, added)

    def refresh(self) -> None:
        """Read the members anew; new authorities are trusted from now on.

        An authority that was removed stays in the TLS contexts, which cannot forget one, but no
        longer on the roll, which is what lets a peer in.
        """
        self.roll = self._load()
        self._trust()

    def authorise(self, connection: ssl.SSLObject) -> str | None:
        """The id of the node that showed its certificate, if the chain and the clock let it in."""
        try:
            return self.admits(admission.shown_certificate(connection), self._clock())
        except UntrustedPeer:
            return None

    def recognise(self, connection: ssl.SSLObject) -> str | None:
        """As `authorise`, for a connection that stands: that its time ran out does not end it."""
        try:
            return admission.recognise(admission.shown_certificate(connection), self.roll).node
        except UntrustedPeer:
            return None

    def admits(self, certificate: x509.Certificate, now_ms: int) -> str:
        """The id of the node for which a certificate opens a connection; raises `UntrustedPeer`."""
        node = admission.authorise(certificate, self.roll, now_ms).node
        self.seen[node] = admission.expires(certificate)
        return node


def changes_membership(keys: Iterable[bytes]) -> bool:
    """Whether state entries among ``keys`` decide who the members are."""
    return any(key.startswith(_PREFIXES) for key in keys)
