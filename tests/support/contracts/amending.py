"""Changing a contract's parameters as the members' vote does, without holding the vote."""

from __future__ import annotations

from typing import Any

from ledger.chain.codec import encode
from ledger.chain.result import CallResult
from ledger.crypto.hashing import SOURCE
from ledger.workbench.consortium import World

_CHARTER = '''"""Carries out what was voted."""
from ledger.contracts.prelude import call, export


@export
def carry_out(target: str, county: str, values: dict) -> None:
    call(target, "amend", county=county, values=values)
'''


def amend(world: World, contract: str, county: str = "", **values: Any) -> CallResult:
    """The contract ``charter`` passes on parameters: for one county, or for all where it is ""."""
    name = SOURCE(_CHARTER.encode()).hex()
    lent = {
        b"governance/contracts/charter": encode({"version": 1, "source": name, "from": 0}),
        b"governance/sources/" + name.encode(): encode(_CHARTER),
    }
    kept = {key: world.state.get(key) for key in lent}
    world.state.update(lent)
    result = world.call(
        "chief", "charter", "carry_out", target=contract, county=county, values=values
    )
    for key, value in kept.items():
        if value is None:
            del world.state[key]
        else:
            world.state[key] = value
    return result


def amended(world: World, contract: str, county: str = "", **values: Any) -> None:
    """Parameters that are changed."""
    result = amend(world, contract, county, **values)
    assert result.ok, result.error


def not_amended(world: World, contract: str, county: str = "", **values: Any) -> str:
    """The code with which parameters are refused."""
    result = amend(world, contract, county, **values)
    assert not result.ok
    return result.error.split(":")[0]
