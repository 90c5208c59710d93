"""A contract is voted in, changed, paused and taken back while nodes come and go."""

from __future__ import annotations

from typing import Any

from ledger.client.builder import call
from ledger.node.reads import ChainReads
from ledger.sim.story import ask, longest
from ledger.sim.world import World

BOARD = '''"""Says which wording of it holds."""

from ledger.contracts.prelude import Value, export, init

posts = Value("posts")


@init
def found(first: int) -> None:
    posts.set(first)


@export
def post() -> int:
    posts.set(posts.get() + 1)
    return 1
'''
SECOND = BOARD.replace("return 1", "return 2")
LIVELY = {"empty_block_interval": 1_000}


def outcome(world: World, governor: int, method: str, contract: str, **arguments: Any) -> Any:
    """Height and result of a call once it is final on the node it was sent to."""
    node = longest(world)
    ticket = world.submit(
        node, call(contract, method, **arguments), signer=world.consortium.governors[governor]
    )
    reads: ChainReads = world.node(node).service
    assert world.run_until(lambda: reads.outcome(ticket.transaction.id), 300_000)
    final = reads.outcome(ticket.transaction.id)
    assert final is not None
    return final[0], final[2].calls[0]


def done(world: World, governor: int, method: str, **arguments: Any) -> Any:
    _, result = outcome(world, governor, method, "charter", **arguments)
    assert result.ok, result.error
    return result.value


def decided(world: World, kind: str, notice: int, **payload: Any) -> tuple[int, int]:
    """Number and height of a change that three of four institutions approve."""
    at = max(world.heights().values()) + notice if notice else 0
    number = done(
        world, 0, "propose", kind=kind, payload=payload, activation=at, reason="trial", words="why"
    )
    for governor in range(3):
        status = done(world, governor, "vote", proposal=number, approve=True)
    assert status == "passed"
    return number, ask(world, "charter", "proposal", number=number)["activation"]


def posted(world: World) -> Any:
    return outcome(world, 0, "post", "board")


def reach(world: World, height: int) -> None:
    assert world.reach(height, 300_000)


def test_a_contract_lives_on_a_running_network() -> None:
    with World(7, validators=4, parameters=LIVELY) as world:
        world.start_all()
        assert world.reach(2, 60_000)
        number, at = decided(
            world, "add_contract", 20, name="board", source=BOARD, arguments={"first": 0}
        )
        reach(world, at)
        done(world, 0, "carry_out", proposal=number)
        assert posted(world)[1].value == 1

        # Every node changes at the same block: the one before answers as before, also on a node
        # that was away while the members voted.
        absent = list(world.validators)[3]
        world.stop(absent)
        _, at = decided(world, "change_contract", 24, name="board", source=SECOND)
        world.start(absent)
        seen = []
        while max(world.heights().values()) < at + 2:
            seen.append(posted(world))
        assert {result.value for height, result in seen if height < at} == {1}
        assert {result.value for height, result in seen if height >= at} == {2}

        # In an emergency from the next block on.
        _, at = decided(world, "pause", 0, name="board", instead="deny")
        reach(world, at)
        height, result = posted(world)
        assert height >= at
        assert result.error.startswith("paused")
        _, at = decided(world, "resume", 20, name="board")
        decided(world, "rollback", 0, name="board", version=1)
        reach(world, at)
        assert posted(world)[1].value == 1

        broken = SECOND.replace("return 2", "return 0.5")
        _, refused = outcome(
            world, 0, "propose", "charter", kind="change_contract",
            payload={"name": "board", "source": broken}, activation=at + 40, reason="error",
            words="why",
        )  # fmt: skip
        assert refused.error.startswith("invalid_contract: E007")
        world.check(audit=True)
