"""The few state entries of the governance contract that the protocol itself reads.

Validators and parameters are schedules: lists of entries with the height from which each holds,
ascending. The entry for a height is the last one whose ``from`` is not above it. Their values live
in the state and nowhere else, so no local setting can make nodes disagree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ledger.chain import limits
from ledger.chain.block import Validator, ValidatorSet
from ledger.chain.codec import Malformed, Record, decode_value

VALIDATORS_KEY = b"governance/validators"
PARAMETERS_KEY = b"parameters/schedule"

#: Reads the canonical bytes of a state entry, or None where there is none.
Read = Callable[[bytes], bytes | None]


class Parameters(Record, frozen=True, array_like=True):
    """Consensus parameters; times in milliseconds, sizes in bytes, windows in heights."""

    block_bytes: int = 4 * limits.MIB
    block_transactions: int = 2_000
    call_gas: int = 2_000_000
    block_gas: int = 20_000_000
    validity_window: int = 10_000
    view_timeout: int = 2_000
    view_timeout_cap: int = 60_000
    empty_block_interval: int = 30_000
    proposer_term: int = 10
    clock_ahead: int = 10_000


PARAMETER_BOUNDS: dict[str, tuple[int, int]] = {
    "block_bytes": (64 * limits.KIB, limits.MAX_BLOCK_BYTES - 64 * limits.KIB),
    "block_transactions": (1, limits.MAX_BLOCK_TRANSACTIONS),
    "call_gas": (10_000, 100_000_000),
    "block_gas": (1_000_000, 1_000_000_000),
    "validity_window": (16, 1_000_000),
    "view_timeout": (100, 60_000),
    "view_timeout_cap": (1_000, 600_000),
    "empty_block_interval": (1_000, 3_600_000),
    "proposer_term": (1, 1_000_000),
    "clock_ahead": (100, 600_000),
}


def _schedule(read: Read, key: bytes) -> list[dict[str, Any]]:
    raw = read(key)
    if raw is None:
        raise Malformed(f"the state has no {key.decode()}")
    schedule: Any = decode_value(raw, limit=limits.MAX_STATE_VALUE_BYTES)
    if not isinstance(schedule, list) or not schedule:
        raise Malformed(f"{key.decode()} is not a schedule")
    return schedule


def _entry_at(schedule: list[dict[str, Any]], height: int) -> dict[str, Any]:
    current = schedule[0]
    for entry in schedule:
        if entry["from"] <= height:
            current = entry
    return current


def validators_at(read: Read, height: int) -> ValidatorSet:
    """The validator set that certifies ``height``, by a state at or after ``height - 1``."""
    entry = _entry_at(_schedule(read, VALIDATORS_KEY), height)
    return ValidatorSet(
        tuple(
            Validator(member["node"], member["institution"], bytes.fromhex(member["key"]))
            for member in entry["members"]
        )
    )


def validator_changes(read: Read) -> list[int]:
    """The heights from which the entries of the validators' schedule hold, ascending."""
    return [entry["from"] for entry in _schedule(read, VALIDATORS_KEY)]


def will_validate(read: Read, node: str, height: int) -> bool:
    """Whether the schedule names a node for some height above ``height``."""
    return any(
        entry["from"] > height and any(member["node"] == node for member in entry["members"])
        for entry in _schedule(read, VALIDATORS_KEY)
    )


def node_keys(read: Read, node: str) -> list[tuple[bytes, int]]:
    """The wire public keys of a node with the heights from which they sign, ascending; empty for a
    node that the chain does not have."""
    raw = read(b"governance/nodes/" + node.encode())
    if raw is None:
        return []
    entry: Any = decode_value(raw, limit=limits.MAX_STATE_VALUE_BYTES)
    return [(bytes.fromhex(item["key"]), item["from"]) for item in entry["keys"]]


def parameters_at(read: Read, height: int) -> Parameters:
    """The consensus parameters in force at ``height``; parameters not named keep their default."""
    values = _entry_at(_schedule(read, PARAMETERS_KEY), height)["values"]
    return Parameters(**{name: values[name] for name in PARAMETER_BOUNDS if name in values})


def oldest_repeatable(read: Read, height: int) -> int:
    """The lowest height whose transactions might be admitted again above ``height``.

    A transaction in the block of height h has a window that began at h or before and is at most
    as wide as the parameters of h allowed, so nobody takes it in above h + `validity_window`. The
    schedule still has every entry for which that is not over. Above ``height`` where there is none.
    """
    schedule = _schedule(read, PARAMETERS_KEY)
    default = Parameters().validity_window
    ends = [entry["from"] - 1 for entry in schedule[1:]] + [height]
    oldest = height + 1
    for entry, end in zip(schedule, ends, strict=True):
        width = entry["values"].get("validity_window", default)
        first = max(entry["from"], height - width + 1, 1)
        if first <= min(end, height):
            oldest = min(oldest, first)
    return oldest


def longest_window(read: Read) -> int:
    """The longest validity window, in heights, that the schedule of parameters names."""
    default = Parameters().validity_window
    schedule = _schedule(read, PARAMETERS_KEY)
    longest: int = max(entry["values"].get("validity_window", default) for entry in schedule)
    return longest


def next_proposer(validators: ValidatorSet, parent_proposer: str, height: int, term: int) -> int:
    """The place of the proposer of view 0 at ``height``.

    The proposer of the previous block goes on, until the height is a multiple of the term and the
    next validator takes over. So a stopped proposer costs one view change when it stops, not one in
    every n blocks, and still nobody holds the place for good.
    """
    try:
        place = validators.index(parent_proposer)
    except ValueError:
        return height % validators.size
    return (place + 1) % validators.size if height % term == 0 else place
