"""The shapes of what a node says of itself, for OpenAPI."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict

from ledger.api.models import EXAMPLE_HASH, Hash, Height, Milliseconds, Model


class ValidatorModel(Model):
    """``missing_since``: when it was last heard of, null while it is there."""

    node: str
    institution: str
    voted: list[str]
    connected: bool
    missing_since: Milliseconds | None


class PeerModel(Model):
    """Another node; ``height`` is the last that it told of."""

    node: str
    address: str
    connected: bool
    height: Height | None
    since: Milliseconds | None


class ExpiryModel(Model):
    """The certificate that runs out next."""

    what: str
    expires: Milliseconds


class DivergenceModel(Model):
    """Where this node and another came to different results for one block."""

    height: Height
    peer: str
    transaction: str
    call: int
    place: str
    what: str
    ours: str
    theirs: str
    sentence: str


class CertificateModel(Model):
    """A certificate that the node depends on or has seen, and how long it lasts."""

    kind: Literal["node", "authority", "peer", "member-authority"]
    what: str
    institution: str
    node: str
    expires: Milliseconds
    days_left: int
    soon: bool


class LiarModel(Model):
    """A node that sent something false, and which rule it breaks."""

    node: str
    what: str


class StatusModel(Model):
    """How the node is; ``reason`` says in one sentence why nothing is committed, if so. In the mode
    ``development`` nobody signs in."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "node": "n-city",
                    "institution": "city",
                    "network": "yanan",
                    "chain": EXAMPLE_HASH,
                    "role": "validator",
                    "height": 42,
                    "block": EXAMPLE_HASH,
                    "block_time": 1767225600000,
                    "view": 1,
                    "phase": "prepare",
                    "proposer": "n-luochuan",
                    "committing": False,
                    "reason": "2 of 4 validators are missing; 3 are needed.",
                    "validators": [
                        {
                            "node": "n-luochuan",
                            "institution": "luochuan",
                            "voted": ["pre-prepare"],
                            "connected": False,
                            "missing_since": 1767225590000,
                        }
                    ],
                    "peers": [
                        {
                            "node": "n-luochuan",
                            "address": "127.0.0.1:7101",
                            "connected": False,
                            "height": 41,
                            "since": 1767225590000,
                        }
                    ],
                    "pending_transactions": 3,
                    "pending_bytes": 1200,
                    "view_changes": 1,
                    "syncing": False,
                    "ready_to_vote": True,
                    "next_expiry": {
                        "what": "TLS certificate of this node",
                        "expires": 1798761600000,
                    },
                    "clock_behind": 12,
                    "divergence": {
                        "height": 43,
                        "peer": "n-luochuan",
                        "transaction": EXAMPLE_HASH,
                        "call": 0,
                        "place": "consent:57",
                        "what": "consent/consents/c-1",
                        "ours": "1",
                        "theirs": "2",
                        "sentence": "compared with n-luochuan: …",
                    },
                    "certificates": [
                        {
                            "kind": "peer",
                            "what": "TLS certificate of n-luochuan",
                            "institution": "luochuan",
                            "node": "n-luochuan",
                            "expires": 1798761600000,
                            "days_left": 364,
                            "soon": False,
                        }
                    ],
                    "liars": [
                        {"node": "n-luochuan", "what": "chunk: the subtree has another hash"}
                    ],
                    "version": "0.1.0",
                    "mode": "normal",
                }
            ]
        }
    )

    node: str
    institution: str
    network: str
    chain: Hash
    role: Literal["validator", "observer"]
    height: Height
    block: Hash
    block_time: Milliseconds
    view: int
    phase: str
    proposer: str
    committing: bool
    reason: str
    validators: list[ValidatorModel]
    peers: list[PeerModel]
    pending_transactions: int
    pending_bytes: int
    view_changes: int
    syncing: bool
    ready_to_vote: bool
    next_expiry: ExpiryModel | None
    clock_behind: int
    divergence: DivergenceModel | None
    certificates: list[CertificateModel]
    liars: list[LiarModel]
    version: str
    mode: Literal["normal", "development"]


class Health(Model):
    """The process answers."""

    status: Literal["ok"]


class Readiness(Model):
    """The node can serve."""

    ready: Literal[True]
    reason: str
