"""Which nodes the chain admits, and the TLS contexts that follow from it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Container, Iterable
from typing import Any

from cryptography import x509

from ledger.chain import limits
from ledger.chain.codec import decode_value
from ledger.node.clock import now_ms
from ledger.node.net import admission
from ledger.node.net.admission import Roll, UntrustedPeer
from ledger.node.net.carrier import TlsContexts
from ledger.node.net.pki import TlsKey, client_context, server_context, trust

_PREFIX = b"governance/"


class Membership:
    """The members' certificate authorities and nodes as the newest block has them.

    Args:
        read: reads a state entry of the newest block.
        key: this node's TLS key.
        clock: milliseconds since 1970 UTC; decides whose certificate has run out.
    """

    def __init__(
        self,
        read: Callable[[bytes], bytes | None],
        key: TlsKey,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._read = read
        self._clock = clock
        self.roll = self._load()
        self._contexts: TlsContexts | None = None
        #: This node's own.
        self.key = key

    @property
    def tls(self) -> TlsContexts:
        """How this node shows itself and whom it lets in; made at first use."""
        if self._contexts is None:
            known = self.roll.authorities
            self._contexts = TlsContexts(
                server_context(self.key, known), client_context(self.key, known)
            )
        return self._contexts

    def _value(self, name: str) -> Any:
        raw = self._read(_PREFIX + name.encode())
        return None if raw is None else decode_value(raw, limit=limits.MAX_STATE_VALUE_BYTES)

    def _load(self) -> Roll:
        authorities = {
            institution: (self._value(f"institutions/{institution}")["ca"],)
            for institution in self._value("institution_index") or []
        }
        nodes = {
            node: self._value(f"nodes/{node}")["institution"]
            for node in self._value("node_index") or []
        }
        return Roll(authorities, nodes)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The ids of all nodes on the chain."""
        return tuple(self.roll.nodes)

    def kinds(self, nodes: Container[str]) -> dict[str, str]:
        """The kinds of the institutions of some nodes, in the order in which nodes joined."""
        kinds = {
            institution: self._value(f"institutions/{institution}")["kind"]
            for institution in self.roll.authorities
        }
        return {
            node: kinds[institution]
            for node, institution in self.roll.nodes.items()
            if node in nodes
        }

    def refresh(self) -> None:
        """Follow a change of the members; new authorities are trusted from now on.

        An authority that was removed stays in the TLS contexts, which cannot forget one, but no
        longer on the roll, which is what lets a peer in.
        """
        known = self.roll.authorities.items()
        self.roll = self._load()
        added = dict(self.roll.authorities.items() - known)
        for context in self._contexts or ():
            trust(context, added)

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
        return admission.authorise(certificate, self.roll, now_ms).node


def changes_membership(keys: Iterable[bytes]) -> bool:
    """Whether state entries among ``keys`` decide who the members are."""
    return any(key.startswith(_PREFIX) for key in keys)
