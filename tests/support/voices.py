"""Signed messages in the name of any validator, true or not."""

from __future__ import annotations

from ledger.chain.block import Block, commit_digest
from ledger.consensus.messages import (
    Commit,
    Departure,
    Prepare,
    PrePrepare,
    ViewChange,
)
from ledger.consensus.statements import (
    Claim,
    PreparedCertificate,
    claim_of,
    pre_prepare_statement,
    prepare_statement,
    view_change_statement,
)
from tests.support.consensus import CHAIN, signing_key


def pre_prepare(node: str, height: int, view: int, block: Block) -> PrePrepare:
    digest = block.header.hash()
    signature = signing_key(node).sign(pre_prepare_statement(CHAIN, height, view, digest))
    return PrePrepare(height, view, digest, node, signature, block)


def prepare(node: str, height: int, view: int, digest: bytes) -> Prepare:
    signature = signing_key(node).sign(prepare_statement(CHAIN, height, view, digest))
    return Prepare(height, view, digest, node, signature)


def commit(node: str, height: int, view: int, digest: bytes) -> Commit:
    signature = signing_key(node).sign(commit_digest(CHAIN, height, view, digest))
    return Commit(height, view, digest, node, signature)


def view_change(
    node: str,
    height: int,
    view: int,
    prepared: PreparedCertificate | None = None,
    block: Block | None = None,
) -> ViewChange:
    signature = signing_key(node).sign(
        view_change_statement(CHAIN, height, view, claim_of(prepared))
    )
    return ViewChange(height, view, prepared, node, signature, block)


def departure(node: str, height: int, view: int, claim: Claim | None) -> Departure:
    signature = signing_key(node).sign(view_change_statement(CHAIN, height, view, claim))
    return Departure(node, claim, signature)
