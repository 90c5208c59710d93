"""The agreement that a chain starts from. Its hash is the chain's id.

The file is JSON so that a lawyer can read it; the id is the hash of the canonical encoding of what
it says, so white space does not matter. It carries the source of every contract: a chain never
depends on what a node happens to have installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from ledger.chain import limits
from ledger.chain.codec import Malformed, check_value, encode
from ledger.crypto import hashing


class GenesisContract(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A contract that exists from height 0: its source and the arguments of its ``init``."""

    name: str
    source: str
    arguments: dict[str, Any]


class Genesis(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``created``: milliseconds since 1970 UTC. ``contracts`` are initialised in order,
    ``governance`` first. Bytes inside arguments are written as hex text in JSON and stay text."""

    format: int
    network: str
    created: int
    contracts: tuple[GenesisContract, ...]

    def chain_id(self) -> bytes:
        """The 32-byte id of the chain that starts here."""
        return hashing.GENESIS(encode(msgspec.to_builtins(self)))


def check_genesis(genesis: Genesis) -> Genesis:
    """Refuse a genesis that no chain can start from; raises `Malformed`."""
    if genesis.format != 1:
        raise Malformed(f"genesis format {genesis.format}; this software reads format 1")
    names = [contract.name for contract in genesis.contracts]
    if not names or names[0] != "governance" or len(set(names)) != len(names):
        raise Malformed("contracts must start with governance and have different names")
    for contract in genesis.contracts:
        check_value(contract.arguments)
    check_value(genesis.created)
    return genesis


def decode_genesis(raw: bytes) -> Genesis:
    """Read a genesis file; raises `Malformed`."""
    if len(raw) > limits.MAX_GENESIS_BYTES:
        raise Malformed("genesis file too large")
    try:
        genesis = msgspec.json.decode(raw, type=Genesis)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"not a genesis file: {error}") from None
    return check_genesis(genesis)


def read_genesis(path: Path) -> Genesis:
    """Read and check a genesis file; raises `Malformed` or `OSError`."""
    return decode_genesis(path.read_bytes())


def encode_genesis(genesis: Genesis) -> bytes:
    """The JSON text of a genesis file, indented for people."""
    return msgspec.json.format(msgspec.json.encode(genesis), indent=2) + b"\n"
