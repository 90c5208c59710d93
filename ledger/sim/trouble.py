"""What can go wrong, each as one small act on a world.

What happens to lines, processes, clocks and full disks may be undone by a later act and is undone
by `World.settle`. Lies, old backups and flipped bits stay; they hit at most f validators.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Final

from ledger.client.builder import call
from ledger.sim.actors.catalogue import LIES, corrupt, liars_of
from ledger.sim.actors.proposing import SPOILS
from ledger.sim.disk import Remains
from ledger.sim.world import World

#: The fewest validators that are elected, and how many blocks ahead.
SMALLEST: Final = 4
NOTICE: Final = (5, 8, 12)

#: Does something bad, or takes something bad back.
Act = Callable[[World, Random], None]


def loss(world: World, random: Random) -> None:
    """Lines lose, double and reorder frames from now on."""
    world.network.weather.usual = replace(
        world.network.weather.usual,
        loss=random.choice((0.0, 0.05, 0.2)),
        duplication=random.choice((0.0, 0.1)),
        reordering=random.choice((0.0, 0.1, 0.3)),
    )


def delay(world: World, random: Random) -> None:
    """Lines become slow, or quick again."""
    low, high = random.choice(((1.0, 10.0), (5.0, 60.0), (50.0, 400.0)))
    world.network.weather.usual = replace(world.network.weather.usual, delay=(low, high))


def partition(world: World, random: Random) -> None:
    """The network falls into parts, one line is cut, or all is whole again."""
    names = list(world.nodes)
    match random.randrange(4):
        case 0:
            random.shuffle(names)
            place = random.randint(1, len(names) - 1)
            world.network.partition(names[:place], names[place:])
        case 1:
            first, second = random.sample(names, 2)
            world.network.link(first, second, cut=True, one_way=random.random() < 0.5)
        case _:
            world.network.heal()


def crash(world: World, random: Random) -> None:
    """A process ends without warning, at rest or in a transaction, or the fallen come back."""
    member = world.nodes[random.choice(list(world.nodes))]
    if not member.running or random.random() < 0.4:
        for fallen in world.nodes.values():
            if not fallen.running:
                world.start(fallen.name)
        return
    match random.randrange(3):
        case 0:
            world.crash(member.name, power=random.random() < 0.5)
        case 1:
            remains = random.choice(list(Remains))
            world.crash(member.name, mid_commit=remains, after=random.randrange(4))
        case _:
            world.restart(member.name)


def pause(world: World, random: Random) -> None:
    """A process stands still, or goes on."""
    member = world.nodes[random.choice(list(world.nodes))]
    if member.paused:
        world.resume(member.name)
    elif member.running:
        world.pause(member.name)


def clock(world: World, random: Random) -> None:
    """A clock is wrong, drifts or is set right."""
    clock = world.clocks[random.choice(list(world.nodes))]
    match random.randrange(4):
        case 0:
            clock.skew(random.choice((-60_000, -2_000, 2_000, 60_000)))
        case 1:
            clock.jump(random.choice((-5_000, -100, 100, 5_000)))
        case 2:
            clock.drift(random.choice((-500.0, 500.0, 20_000.0)))
        case _:
            clock.correct()


def disk(world: World, random: Random) -> None:
    """A disk is full, or slow, or well again."""
    disk = world.disk[random.choice(list(world.nodes))]
    disk.full(random.random() < 0.3)
    disk.slow(random.choice((0.0, 0.0, 20.0, 200.0)))


def spared(world: World, random: Random) -> str | None:
    """A validator that may be hit for good without there being more than f of them, or None.

    One that was hit already counts once only, and may be hit again.
    """
    hit = _hit(world)
    left = [name for name in world.validators if world.elections.bears({*hit, name})]
    return random.choice(left) if left else None


def _hit(world: World) -> list[str]:
    """Who has been hit for good."""
    return [
        name for name in world.validators if name in world.checker.liars or world.disk[name].damaged
    ]


def backup(world: World, random: Random) -> None:
    """An operator copies a running store, or puts the copy of before back in its place."""
    name = spared(world, random)
    if name is None:
        return
    member, image = world.nodes[name], world.disk[name].kept
    if image is None or random.random() < 0.3:
        member.disk.keep()
        return
    if member.running:
        world.crash(name)
    member.disk.restore(image)
    world.start(name)


def flip(world: World, random: Random) -> None:
    """A bit of a store turns, and the node is started anew."""
    name = spared(world, random)
    if name is None:
        return
    member = world.nodes[name]
    if member.running:
        world.crash(name)
    member.disk.flip(log=random.random() < 0.3)
    world.start(name)


#: The lies that `byzantine` chooses from: an invalid block counts once, whatever is wrong with it.
_CHOICE: Final = sorted(set(LIES) - {f"invalid-{kind}" for kind in SPOILS})


def byzantine(world: World, random: Random) -> None:
    """A validator begins to lie, or those who lie tell other lies, or others."""
    liars = list(liars_of(world).values())
    if liars and random.random() < 0.5:
        liar = random.choice(liars)
        liar.coalition.deal()
        for told in list(liar.lies):
            if random.random() < 0.5:
                del liar.lies[told]
    name = spared(world, random)
    if name is not None:
        corrupt(world, name, *random.sample(_CHOICE, random.randint(1, 4)))


def membership(world: World, random: Random) -> None:
    """A governor proposes other validators out of those that are ready; the next time, all vote."""
    running = [member.name for member in world.running]
    if not running:
        return
    name, governors = random.choice(running), world.consortium.governors
    ballot, world.elections.ballot = world.elections.ballot, None
    if ballot is None:
        ready = [one for one in running if world.status(one).ready_to_vote]
        if len(ready) < SMALLEST:
            return
        members = random.sample(ready, random.randint(SMALLEST, len(ready)))
        if world.elections.propose(members, _hit(world)):
            told = call(
                "governance",
                "propose",
                kind="set_validators",
                payload={"nodes": members},
                activation=world.checker.height + random.choice(NOTICE),
            )
            world.elections.ballot = world.submit(name, told, signer=random.choice(governors))
        return
    outcome = world.node(name).service.outcome(ballot.transaction.id)
    if outcome is None:  # not final there; sometimes that is all that ever becomes of it
        world.elections.ballot = ballot if random.random() < 0.8 else None
    elif outcome[2].calls[0].ok:
        for governor in governors:
            told = call("governance", "vote", proposal=outcome[2].calls[0].value, approve=True)
            world.submit(name, told, signer=governor)


#: What `World.settle` does not undo.
LASTING: Final = frozenset({"backup", "flip", "byzantine", "membership"})

#: By the names that the command line has for them.
TROUBLES: Final[dict[str, Act]] = {
    "loss": loss,
    "delay": delay,
    "partition": partition,
    "crash": crash,
    "pause": pause,
    "clock": clock,
    "disk": disk,
    "backup": backup,
    "flip": flip,
    "byzantine": byzantine,
}

#: What happens only where it is asked for by name, so that seeds go on to mean what they did.
RARE: Final[dict[str, Act]] = {"membership": membership}
