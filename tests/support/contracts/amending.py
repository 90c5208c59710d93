"""Changing a contract's parameters as the members' vote does, without holding the vote."""

from __future__ import annotations

from typing import Any

from ledger.chain.result import CallResult
from ledger.chain.transaction import Call
from ledger.contracts.host import Overlay
from ledger.workbench.consortium import World

_GAS = 2_000_000


def amend(world: World, contract: str, county: str = "", **values: Any) -> CallResult:
    """The contract ``charter`` passes on parameters: for one county, or for all where it is ""."""
    world.height += 1
    overlay = Overlay(world.state.get)
    call = Call(contract, "amend", {"county": county, "values": values})
    result = world.machine.apply(overlay, world.context, call, "export", _GAS)
    for key, value in overlay.writes().items():
        assert value is not None
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
