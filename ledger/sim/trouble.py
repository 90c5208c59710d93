"""What can go wrong, each as one small act on a world.

What happens to lines, processes, clocks and full disks may be undone by a later act and is undone
by `World.settle`. Lies, old backups and flipped bits stay; they hit at most f validators.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Final

from ledger.sim.actors.catalogue import LIES, corrupt, liars_of
from ledger.sim.actors.proposing import SPOILS
from ledger.sim.disk import Remains
from ledger.sim.world import World

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
    hit = [
        name for name in world.validators if name in world.checker.liars or world.disk[name].damaged
    ]
    left = (len(world.validators) - 1) // 3 - len(hit)
    return random.choice(hit if left <= 0 else list(world.validators)) if hit or left else None


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


#: What `World.settle` does not undo.
LASTING: Final = frozenset({"backup", "flip", "byzantine"})

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
