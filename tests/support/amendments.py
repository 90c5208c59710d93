"""Setting the parameters of a contract as the charter does after a vote, without the vote."""

from __future__ import annotations

from typing import Any

from tests.support.contracts import World
from tests.support.standins import standing_in

_CHARTER = '''"""Passes an amendment on, whoever asks."""

from ledger.contracts.prelude import call, export


@export
def pass_on(target: str, county: str, values: dict) -> None:
    """Amend a contract."""
    call(target, "amend", county=county, values=values)
'''


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
    arguments = {"target": contract, "county": county, "values": values}
    with standing_in(world, "charter", _CHARTER):
        return world.call("chief", "charter", "pass_on", **arguments).error
