"""Which nodes the chain admits, and the TLS contexts that follow from it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from typing import Any

from ledger.chain import limits
from ledger.chain.codec import decode_value
from ledger.node.net.pki import (
    TlsKey,
    UntrustedPeer,
    client_context,
    server_context,
    trust,
    verified_peer,
)
from ledger.node.net.transport import TlsContexts

_PREFIX = b"governance/"


class Membership:
    """The members' certificate authorities and nodes as the newest block has them.

    Args:
        read: reads a state entry of the newest block.
        key: this node's TLS key.
    """

    def __init__(self, read: Callable[[bytes], bytes | None], key: TlsKey) -> None:
        self._read = read
        self._authorities: dict[str, str] = {}
        self._nodes: dict[str, str] = {}
        self._load()
        self.tls = TlsContexts(
            server_context(key, self._authorities), client_context(key, self._authorities)
        )

    def _value(self, name: str) -> Any:
        raw = self._read(_PREFIX + name.encode())
        return None if raw is None else decode_value(raw, limit=limits.MAX_STATE_VALUE_BYTES)

    def _load(self) -> None:
        self._authorities = {
            institution: self._value(f"institutions/{institution}")["ca"]
            for institution in self._value("institution_index") or []
        }
        self._nodes = {
            node: self._value(f"nodes/{node}")["institution"]
            for node in self._value("node_index") or []
        }

    @property
    def nodes(self) -> tuple[str, ...]:
        """The ids of all nodes on the chain."""
        return tuple(self._nodes)

    def refresh(self) -> None:
        """Follow a change of the members; new authorities are trusted from now on.

        An authority that was removed stays in the TLS contexts, which cannot forget one, but no
        longer in the look-up of `authorise`, which is what lets a peer in.
        """
        known = self._authorities.items()
        self._load()
        added = dict(self._authorities.items() - known)
        for context in self.tls:
            trust(context, added)

    def authorise(self, connection: ssl.SSLObject) -> str | None:
        """The id of the node whose certificate the peer showed, if the chain has that node."""
        try:
            peer = verified_peer(connection, self._authorities)
        except UntrustedPeer:
            return None
        return peer.node if self._nodes.get(peer.node) == peer.institution else None


def changes_membership(keys: Iterable[bytes]) -> bool:
    """Whether state entries among ``keys`` decide who the members are."""
    return any(key.startswith(_PREFIX) for key in keys)
