"""Random runs: trouble for a while, then calm, then everything is looked at; all from one seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from random import Random

from ledger.sim.actors.catalogue import liars_of
from ledger.sim.checker import Broken, Reference
from ledger.sim.trouble import LASTING, RARE, TROUBLES
from ledger.sim.weather import Line
from ledger.sim.world import World

#: Blocks after which a run has seen enough trouble, and the virtual time that ends it anyway.
HEIGHTS = 10
TROUBLE_MS = 30_000
#: All trouble ended, how long progress may take: an unanswered request for blocks, a full disk and
#: the longest back-off of the views one after the other.
RECOVERY_MS = 180_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one run.

    ``recovery_ms``: from the end of the trouble to progress on all nodes. ``acknowledged``: how
    many transactions clients were told to be final, of ``submitted``. ``acts``: how often each kind
    of trouble was made. ``lies``: how often each lie was told. ``view_changes``: how often an
    honest node asked for a higher view. ``digest``: of the trace; equal seeds have equal ones.
    ``broken``: the invariant that does not hold, with the end of the trace; empty if all do.
    """

    seed: int
    validators: int
    followers: int
    height: int
    submitted: int
    acknowledged: int
    virtual_ms: float
    recovery_ms: float
    steps: int
    frames: int
    view_changes: int
    crashes: int
    starts: int
    acts: dict[str, int]
    lies: dict[str, int]
    digest: str
    broken: str
    trace: tuple[str, ...] = ()


def explore(
    seed: int,
    *,
    validators: int = 4,
    followers: int = 0,
    faults: Collection[str] = tuple(TROUBLES),
    heights: int = HEIGHTS,
    trouble_ms: float = TROUBLE_MS,
    audit: bool = False,
    keep_trace: bool = False,
    reference: Reference | None = None,
) -> Outcome:
    """Make trouble of the named kinds until there are enough blocks or the time is up, then settle.

    Args:
        faults: names from `ledger.sim.trouble.TROUBLES`, or from `RARE`.
        audit: also replay the chain as an auditor does, which doubles the time of a run.
        keep_trace: hand the lines of the trace over with the outcome.
        reference: executes every block once more, in another way.
    """
    random = Random(f"{seed}/explore")
    acts = dict.fromkeys(faults, 0)
    low, high = random.choice(((1.0, 10.0), (1.0, 10.0), (5.0, 60.0)))
    line = Line(delay=(low, high))
    with World(seed, validators, followers, line=line, reference=reference) as world:
        recovery, broken = 0.0, ""
        try:
            world.start_all()
            world.run(random.uniform(100, 1_000))
            if LASTING & set(faults):
                _found(world)
            _disturb(world, random, acts, heights, trouble_ms)
            recovery = world.settle(RECOVERY_MS)
            world.check(audit=audit)
        except Broken as error:
            broken = str(error)
        except Exception as error:
            error.add_note(f"the simulation of seed {seed} itself failed")
            raise
        return Outcome(
            seed=seed,
            validators=validators,
            followers=followers,
            height=world.checker.height,
            submitted=len(world.tickets),
            acknowledged=sum(ticket.final for ticket in world.tickets),
            virtual_ms=round(world.now_ms, 3),
            recovery_ms=round(recovery, 3),
            steps=world.loop.steps,
            frames=sum(world.network.traffic.sent.values()),
            view_changes=world.checker.view_changes,
            crashes=world.machines.crashes,
            starts=world.machines.starts,
            acts=acts,
            lies=dict(sum((liar.told for liar in liars_of(world).values()), Counter())),
            digest=world.trace.digest,
            broken=broken,
            trace=tuple(world.trace) if keep_trace else (),
        )


def sizes(seed: int) -> tuple[int, int]:
    """How many validators and followers a run has that chooses for itself: four, or seven."""
    random = Random(f"{seed}/sizes")
    return random.choice((4, 4, 4, 7)), random.choice((0, 0, 0, 1, 2))


def _found(world: World) -> None:
    """Let every validator come into its vote.

    Before that it is as one that has lost everything, and counts among the f that may be faulty
    (`docs/protocol/starting.md`); so no others may be hit for good as early.
    """

    def voting() -> bool:
        return not any(world.node(name).seat.withheld for name in world.validators)

    if not world.run_until(voting, 30_000):
        world.complain("not all validators have begun to vote")


def _disturb(
    world: World, random: Random, acts: dict[str, int], heights: int, trouble_ms: float
) -> None:
    every = {**TROUBLES, **RARE}
    kinds = sorted(set(acts) - set(RARE))
    if len(kinds) > 3:  # few at a time bring a run further than all of them do
        kinds = random.sample(kinds, random.randint(1, len(kinds)))
    kinds += sorted(set(acts) & set(RARE))
    violence = random.choice((0.2, 0.5, 1.0))
    end = world.now_ms + trouble_ms
    while world.now_ms < end and world.checker.height < heights:
        if kinds and random.random() < violence:
            kind = random.choice(kinds)
            acts[kind] += 1
            world.trace.note("", f"trouble: {kind}")
            every[kind](world, random)
        for _ in range(random.randrange(3)):
            running = world.running
            if running:
                world.submit(random.choice(running).name)
        world.run(random.choice((20, 200, 200, 1_000, 3_000)))
