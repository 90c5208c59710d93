"""Putting a contract of a test's own in the place of another one of the chain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

from ledger.chain.codec import encode
from tests.support.contracts import World


@contextmanager
def standing_in(world: World, name: str, source: str) -> Iterator[None]:
    """For as long as the block lasts, ``name`` is the contract with this source."""
    digest = sha256(b"health-ledger/contract-source\x00" + source.encode()).hexdigest()
    entries = {
        f"governance/sources/{digest}".encode(): encode(source),
        f"governance/contracts/{name}".encode(): encode(
            {"version": 1, "source": digest, "from": 0}
        ),
    }
    before = {key: world.state.get(key) for key in entries}
    world.state.update(entries)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del world.state[key]
            else:
                world.state[key] = value
