"""Setting the parameters of a contract as the charter does after a vote, without the vote."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from ledger.chain.codec import encode
from tests.support.contracts import World

_CHARTER = '''"""Passes an amendment on, whoever asks."""

from ledger.contracts.prelude import call, export


@export
def pass_on(target: str, county: str, values: dict) -> None:
    """Amend a contract."""
    call(target, "amend", county=county, values=values)
'''
_ENTRY = b"governance/contracts/charter"
_HASH = sha256(b"health-ledger/contract-source\x00" + _CHARTER.encode()).hexdigest()
_SOURCE = f"governance/sources/{_HASH}".encode()


def amend(world: World, contract: str, county: str = "", **values: Any) -> None:
    """An amendment that must succeed; a county of "" stands for all."""
    error = _amended(world, contract, county, values)
    assert not error, error


def amend_fails(world: World, contract: str, county: str = "", **values: Any) -> str:
    """An amendment that must fail; returns the code of its error."""
    error = _amended(world, contract, county, values)
    assert error
    return error.split(":")[0]


def _amended(world: World, contract: str, county: str, values: dict[str, Any]) -> str:
    """Put a contract in the charter's place for one call; returns its error."""
    before = world.state.get(_ENTRY)
    world.state[_SOURCE] = encode(_CHARTER)
    world.state[_ENTRY] = encode({"version": 1, "source": _HASH, "from": 0})
    arguments = {"target": contract, "county": county, "values": values}
    try:
        return world.call("chief", "charter", "pass_on", **arguments).error
    finally:
        del world.state[_SOURCE]
        if before is None:
            del world.state[_ENTRY]
        else:
            world.state[_ENTRY] = before
