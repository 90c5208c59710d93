"""Sizes that bound every input. They are part of the protocol: all nodes must agree on them."""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

MAX_TRANSACTION_BYTES: Final = 256 * KIB
MAX_CALLS: Final = 128
MAX_SIGNERS: Final = 8
#: Longest signature of any suite; each suite has its own bound below this.
MAX_SIGNATURE_BYTES: Final = 2 * KIB
MAX_NONCE_BYTES: Final = 16
MAX_NAME_BYTES: Final = 64
MAX_BLOCK_BYTES: Final = 8 * MIB
MAX_BLOCK_TRANSACTIONS: Final = 10_000
MAX_BLOCK_GAS: Final = 1_000_000_000
MAX_FRAME_BYTES: Final = 32 * MIB
MAX_VALIDATORS: Final = 100
MAX_STATE_KEY_BYTES: Final = 512
MAX_STATE_VALUE_BYTES: Final = 1 * MIB
MAX_RESULT_BYTES: Final = 1 * MIB
MAX_RECEIPT_BYTES: Final = 4 * MIB
MAX_GENESIS_BYTES: Final = 32 * MIB
