"""Whose fault it is: the peer's (`PeerFault`) or our own (`ProtocolBug`).

Bytes that cannot be read at all are `ledger.chain.codec.Malformed`; they never reach the core.
"""

from __future__ import annotations

from enum import StrEnum


class Rule(StrEnum):
    """What a peer can be accused of; the codes are explained in `docs/protocol/consensus.md`."""

    STRANGER = "stranger"
    IMPERSONATION = "impersonation"
    BAD_SIGNATURE = "bad-signature"
    NOT_PROPOSER = "not-proposer"
    WRONG_BLOCK = "wrong-block"
    INVALID_PROPOSAL = "invalid-proposal"
    UNJUSTIFIED = "unjustified"
    UNPROVEN_PREPARED = "unproven-prepared"
    EQUIVOCATION = "equivocation"
    AMNESIA = "amnesia"


class PeerFault(Exception):
    """A peer broke a rule of the protocol.

    ``accused``: its node id. ``detail``: a sentence for people. ``evidence``: encoded messages
    signed by the accused which prove it to a third party; empty when only this node has seen what
    happened.
    """

    def __init__(
        self, accused: str, rule: Rule, detail: str, evidence: tuple[bytes, ...] = ()
    ) -> None:
        super().__init__(f"{accused}: {rule}: {detail}")
        self.accused = accused
        self.rule = rule
        self.detail = detail
        self.evidence = evidence


class ProtocolBug(Exception):
    """The driver or the core itself did what it must not. Nothing was promised; stop the node."""
