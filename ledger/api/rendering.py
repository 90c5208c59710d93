"""The chain's records as JSON: hashes, keys and signatures as hex, contract values by the rule of
`ledger.chain.values`."""

from __future__ import annotations

from typing import Any

from ledger.chain.block import Block, Certificate, Header
from ledger.chain.result import CallResult, Result, decode_result
from ledger.chain.transaction import Transaction, decode_transaction
from ledger.chain.values import to_json


def header_json(header: Header) -> dict[str, Any]:
    return {
        "version": header.version,
        "chain": header.chain.hex(),
        "height": header.height,
        "view": header.view,
        "parent": header.parent.hex(),
        "proposer": header.proposer,
        "time": header.time,
        "transactions_root": header.transactions_root.hex(),
        "identities": header.identities.hex(),
        "results_root": header.results_root.hex(),
        "state_root": header.state_root.hex(),
        "log_root": header.log_root.hex(),
        "validators": header.validators.hex(),
        "hash": header.hash().hex(),
    }


def certificate_json(certificate: Certificate | None) -> dict[str, Any] | None:
    if certificate is None:
        return None
    return {
        "height": certificate.height,
        "view": certificate.view,
        "block": certificate.block.hex(),
        "signatures": [
            {"node": entry.node, "signature": entry.signature.hex()}
            for entry in certificate.signatures
        ],
    }


def call_result_json(result: CallResult) -> dict[str, Any]:
    return {
        "ok": result.ok,
        "error": result.error,
        "value": to_json(result.value),
        "gas": result.gas,
        "events": [
            {"contract": event.contract, "name": event.name, "fields": to_json(event.fields)}
            for event in result.events
        ],
    }


def outcome_json(height: int, index: int, result: Result) -> dict[str, Any]:
    return {
        "height": height,
        "index": index,
        "ok": result.ok,
        "calls": [call_result_json(call) for call in result.calls],
    }


def transaction_json(transaction: Transaction) -> dict[str, Any]:
    body = transaction.body
    return {
        "id": transaction.id.hex(),
        "size": len(transaction.raw),
        "nonce": body.nonce.hex(),
        "valid_from": body.valid_from,
        "valid_until": body.valid_until,
        "atomic": body.atomic,
        "signers": [signer.hex() for signer in body.signers],
        "calls": [
            {
                "contract": call.contract,
                "method": call.method,
                "arguments": to_json(call.arguments),
            }
            for call in body.calls
        ],
    }


def block_json(
    block: Block,
    certificate: Certificate | None,
    results: tuple[bytes, ...],
    offset: int,
    limit: int,
) -> dict[str, Any]:
    """A block with the transactions ``offset`` to ``offset + limit`` of it and their outcomes."""
    height = block.header.height
    page = range(offset, min(offset + limit, len(block.transactions)))
    return {
        "header": header_json(block.header),
        "certificate": certificate_json(certificate),
        "size": len(block.transactions),
        "offset": offset,
        "transactions": [
            {
                **transaction_json(decode_transaction(block.transactions[index])),
                "outcome": outcome_json(height, index, decode_result(results[index])),
            }
            for index in page
        ],
    }
