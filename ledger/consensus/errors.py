"""Whose fault it is: the peer's (`PeerFault`) or our own (`ProtocolBug`).

Bytes that cannot be read at all are `ledger.chain.codec.Malformed`; they never reach the core.
"""

from __future__ import annotations


class PeerFault(Exception):
    """A peer broke a rule of the protocol.

    ``accused``: its node id. ``rule``: a stable code of `docs/protocol/consensus.md`. ``detail``:
    a sentence for people. ``evidence``: encoded messages signed by the accused which prove it to a
    third party; empty when only this node has seen what happened.
    """

    def __init__(
        self, accused: str, rule: str, detail: str, evidence: tuple[bytes, ...] = ()
    ) -> None:
        super().__init__(f"{accused}: {rule}: {detail}")
        self.accused = accused
        self.rule = rule
        self.detail = detail
        self.evidence = evidence


class ProtocolBug(Exception):
    """The driver or the core itself did what it must not. Nothing was promised; stop the node."""
