"""The commands of stories; `docs/operators/stories.md` lists them for those who write some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from ledger.client.builder import call
from ledger.sim import expectations
from ledger.sim.actors.catalogue import LIES, corrupt, liars_of
from ledger.sim.client import Ticket
from ledger.sim.disk import Remains
from ledger.sim.oddity import OddMachine
from ledger.sim.story import (
    Command,
    Stage,
    Unmet,
    ask,
    bytes_per_second,
    longest,
    milliseconds,
    named,
    share,
)
from ledger.sim.world import World

#: How long a vote on a change may take until it is final, in virtual milliseconds.
_VOTE_MS: Final = 60_000.0


def build(words: Sequence[str], seed: int) -> World:
    """``network 4 validators [3 followers] [seed 7] [view_timeout=500 …]``."""
    given: dict[str, int] = {}
    parameters: dict[str, int] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if "=" in word:
            name, _, value = word.partition("=")
            parameters[name] = int(value)
        elif word == "seed":
            seed = int(rest.pop(0))
        elif word.isdigit():
            given[rest.pop(0)] = int(word)
        else:
            raise ValueError(f"{word!r} says nothing about a network")
    unknown = set(given) - {"validators", "followers"}
    if unknown or "validators" not in given:
        raise ValueError("a network has so many validators and followers")
    return World(seed, given["validators"], given.get("followers", 0), parameters=parameters)


# Time


def run(stage: Stage, words: Sequence[str]) -> None:
    (duration,) = words
    stage.world.run(milliseconds(duration))


def later(stage: Stage, words: Sequence[str]) -> None:
    """``later 3years``: that time has passed on every clock, and nothing else has happened."""
    (duration,) = words
    for one in stage.world.clocks.values():
        one.later(round(milliseconds(duration)))


def settle(stage: Stage, words: Sequence[str]) -> None:
    """``settle [within 60s]``: all trouble ends, and there must be progress."""
    limit = milliseconds(words[1]) if words[:1] == ["within"] or words[:1] == ("within",) else None
    if limit is None:
        stage.world.settle()
    else:
        stage.world.settle(limit)
    stage.settled = True


def calm(stage: Stage, _words: Sequence[str]) -> None:
    stage.world.calm()


# Nodes


def start(stage: Stage, words: Sequence[str]) -> None:
    for name in named(stage, words):
        if not stage.world.nodes[name].running:
            stage.world.start(name)


def stop(stage: Stage, words: Sequence[str]) -> None:
    for name in named(stage, words):
        stage.world.stop(name)


def crash(stage: Stage, words: Sequence[str]) -> None:
    """``crash C [mid-commit [nothing|part|garbled|whole] [after 2]]``."""
    rest = list(words)
    names = [rest.pop(0)]
    while rest and rest[0] != "mid-commit":
        names.append(rest.pop(0))
    remains: Remains | None = None
    after = 0
    if rest:
        rest.pop(0)
        remains = Remains.PART
        if rest and rest[0] != "after":
            remains = Remains(rest.pop(0))
        if rest:
            after = int(rest[1])
    for name in named(stage, names):
        stage.world.crash(name, mid_commit=remains, after=after)


def power_off(stage: Stage, words: Sequence[str]) -> None:
    for name in named(stage, words):
        stage.world.crash(name, power=True)


def restart(stage: Stage, words: Sequence[str]) -> None:
    for name in named(stage, words):
        stage.world.restart(name)


def pause(stage: Stage, words: Sequence[str]) -> None:
    for name in named(stage, words):
        stage.world.pause(name)


def resume(stage: Stage, words: Sequence[str]) -> None:
    for name in named(stage, words):
        stage.world.resume(name)


def let(stage: Stage, words: Sequence[str]) -> None:
    """``let dead = proposer``: a name for a node, as things stand now."""
    name, _is, *what = words
    if name in stage.world.nodes:
        raise ValueError(f"{name} is a node")
    (stage.names[name],) = named(stage, what)


def renew(stage: Stage, words: Sequence[str]) -> None:
    """The node gets a new TLS certificate from its institution's CA, for its next start."""
    world = stage.world
    for name in named(stage, words):
        world.renew(name)


def configure(stage: Stage, words: Sequence[str]) -> None:
    """``configure A B keep_blocks=24 archive_blocks=8 snapshot_after=20``: what stands in their
    ``node.toml`` from their next start on."""
    changes = dict(word.split("=", 1) for word in words if "=" in word)
    for name in named(stage, [word for word in words if "=" not in word]):
        stage.world.configure(name, **{key: int(value) for key, value in changes.items()})


def wipe(stage: Stage, words: Sequence[str]) -> None:
    """The store is lost; what is left is a store with nothing but the genesis."""
    for name in named(stage, words):
        if stage.world.nodes[name].running:
            raise ValueError(f"{name} runs")
        stage.world.disk[name].restore(stage.world.founded)


def software(stage: Stage, words: Sequence[str]) -> None:
    """``software D differs``: the node computes other costs than everybody else from now on."""
    name, differs = words
    if differs != "differs":
        raise ValueError("software can only differ")
    (name,) = named(stage, [name])
    stage.world.node(name).replica.machine = OddMachine()
    stage.world.checker.liars.add(name)


def liar(stage: Stage, words: Sequence[str]) -> None:
    """``liar D equivocate rush``: the validator tells these lies from now on; ``liar D honest``:
    it tells none any more."""
    name, *lies = words
    (name,) = named(stage, [name])
    if lies == ["honest"]:
        liars_of(stage.world)[name].stop()
        return
    unknown = [lie for lie in lies if lie not in LIES]
    if unknown or not lies:
        raise ValueError(f"no lie is called {unknown[0]!r}" if unknown else "which lies?")
    corrupt(stage.world, name, *lies)


def deceive(stage: Stage, words: Sequence[str]) -> None:
    """``deceive A B``: of two stories that liars tell, exactly these nodes hear the other one."""
    liars = list(liars_of(stage.world).values())
    if not liars:
        raise ValueError("nobody lies")
    liars[0].coalition.split(named(stage, words))


# Lines


def _sides(stage: Stage, words: Sequence[str]) -> tuple[list[str], list[str], bool]:
    """``A B | C`` for both directions, ``A -> B C`` for one."""
    for mark in ("->", "|"):
        if mark in words:
            place = list(words).index(mark)
            left, right = words[:place], words[place + 1 :]
            return named(stage, left), named(stage, right), mark == "->"
    raise ValueError("between whom? write A | B, or A -> B for one direction")


def partition(stage: Stage, words: Sequence[str]) -> None:
    groups: list[list[str]] = [[]]
    for word in words:
        if word == "|":
            groups.append([])
        else:
            groups[-1].append(word)
    stage.world.network.partition(*(named(stage, group) for group in groups))


def heal(stage: Stage, _words: Sequence[str]) -> None:
    stage.world.network.heal()


def cut(stage: Stage, words: Sequence[str]) -> None:
    left, right, one_way = _sides(stage, words)
    stage.world.network.cut(left, right, one_way=one_way)


def line(stage: Stage, words: Sequence[str]) -> None:
    """``line A | B delay=400ms loss=20% doubled=10% reordered=10% rate=1Mbit/s``, or ``all``."""
    changes = dict(word.split("=", 1) for word in words if "=" in word)
    ends = [word for word in words if "=" not in word]
    given: dict[str, Any] = {}
    for name, value in changes.items():
        if name == "delay":
            given["delay"] = (milliseconds(value) / 2, milliseconds(value))
        elif name == "rate":
            given["rate"] = bytes_per_second(value)
        else:
            kinds = {"loss": "loss", "doubled": "duplication", "reordered": "reordering"}
            given[kinds[name]] = share(value)
    if ends == ["all"]:
        weather = stage.world.network.weather
        weather.usual = replace(weather.usual, **given)
        return
    left, right, one_way = _sides(stage, ends)
    for sender in left:
        for receiver in right:
            stage.world.network.link(sender, receiver, one_way=one_way, **given)


# Clocks and disks


def clock(stage: Stage, words: Sequence[str]) -> None:
    """``clock C +30s``, ``clock C drift 500ppm``, ``clock C right``."""
    rest = list(words)
    if "drift" in rest:
        place = rest.index("drift")
        act: Callable[[Any], object] = lambda one: one.drift(  # noqa: E731
            float(rest[place + 1].removesuffix("ppm"))
        )
        names = rest[:place]
    elif rest[-1] == "right":
        act, names = lambda one: one.correct(), rest[:-1]
    else:
        ahead = round(milliseconds(rest[-1]))
        act, names = lambda one: one.jump(ahead), rest[:-1]
    for name in named(stage, names):
        act(stage.world.clocks[name])


def disk(stage: Stage, words: Sequence[str]) -> None:
    """``disk C full|room|slow 200ms|flipped|torn``."""
    name, what, *rest = words
    (name,) = named(stage, [name])
    one = stage.world.disk[name]
    match what:
        case "full":
            one.full()
        case "room":
            one.full(False)
        case "slow":
            one.slow(milliseconds(rest[0]))
        case "flipped":
            one.flip(
                log=rest[:1] == ["log"],
                place=int(rest[-1]) if rest[-1:] != [] and rest[-1].isdigit() else None,
            )
        case "torn":
            one.tear()
        case _:
            raise ValueError(f"no disk is {what}")


def backup(stage: Stage, words: Sequence[str]) -> None:
    for name in named(stage, words):
        stage.backups[name] = stage.world.disk[name].backup()


def restore(stage: Stage, words: Sequence[str]) -> None:
    """Put the copy of the store back; the node has to be down."""
    for name in named(stage, words):
        if stage.world.nodes[name].running:
            raise ValueError(f"{name} runs")
        stage.world.disk[name].restore(stage.backups[name])


# People


def submit(stage: Stage, words: Sequence[str]) -> None:
    """``submit A [x 5] [as name]``: patients grant consents at a node."""
    rest = list(words)
    (name,) = named(stage, [rest.pop(0)])
    count, label = 1, ""
    while rest:
        word = rest.pop(0)
        if word == "x":
            count = int(rest.pop(0))
        elif word == "as":
            label = rest.pop(0)
        else:
            raise ValueError(f"{word!r} says nothing about what is submitted")
    for number in range(count):
        ticket = stage.world.submit(name)
        stage.tickets[f"{label or 't'}{number + 1 if count > 1 or not label else ''}"] = ticket


def again(stage: Stage, words: Sequence[str]) -> None:
    """``again NAME at B``: the client sends the same transaction again, to another node."""
    label, _at, name = words
    stage.world.send(stage.tickets[label], name)


def vote(stage: Stage, words: Sequence[str]) -> None:
    """``vote validators A B C D in 5 blocks`` or ``vote parameter view_timeout=500 in 5 blocks``:
    the governors propose and approve, and the change is decided when the command is over."""
    kind, *rest = words
    place = rest.index("in")
    subject, notice = rest[:place], int(rest[place + 1])
    if kind == "validators":
        proposal, payload = "set_validators", {"nodes": named(stage, subject)}
    elif kind == "parameter":
        values = dict(word.split("=", 1) for word in subject)
        proposal = "set_parameters"
        payload = {"values": {name: int(value) for name, value in values.items()}}  # type: ignore[dict-item]
    else:
        raise ValueError(f"there is no vote about {kind}")
    world = stage.world
    at = world.checker.height + notice
    number = _final(stage, "governance", "propose", kind=proposal, payload=payload, activation=at)
    for governor in world.consortium.governors:
        told = call("governance", "vote", proposal=number, approve=True)
        stage.tickets["vote"] = world.submit(longest(stage.world), told, signer=governor)
    if not world.run_until(lambda: _decided(stage, number), _VOTE_MS):
        raise Unmet("the vote was not decided")


def _decided(stage: Stage, number: int) -> bool:
    ballot = ask(stage.world, "governance", "proposal", number=number)
    return ballot is not None and ballot["status"] == "passed"


def _final(stage: Stage, contract: str, method: str, **arguments: Any) -> Any:
    world = stage.world
    told = call(contract, method, **arguments)
    ticket: Ticket = world.submit(longest(stage.world), told, signer=world.consortium.governors[0])
    if not world.run_until(lambda: ticket.final, _VOTE_MS):
        raise Unmet("the proposal did not become final")
    outcome = world.node(ticket.node).service.outcome(ticket.transaction.id)
    assert outcome is not None
    result = outcome[2].calls[0]
    if not result.ok:
        raise Unmet(f"refused: {result.error}")
    return result.value


def audit(stage: Stage, _words: Sequence[str]) -> None:
    stage.world.check(audit=True)


COMMANDS: Final[dict[str, Command]] = {
    "run": run,
    "later": later,
    "settle": settle,
    "calm": calm,
    "start": start,
    "stop": stop,
    "crash": crash,
    "power-off": power_off,
    "restart": restart,
    "pause": pause,
    "resume": resume,
    "let": let,
    "renew": renew,
    "configure": configure,
    "wipe": wipe,
    "software": software,
    "liar": liar,
    "deceive": deceive,
    "partition": partition,
    "heal": heal,
    "cut": cut,
    "line": line,
    "clock": clock,
    "disk": disk,
    "backup": backup,
    "restore": restore,
    "submit": submit,
    "again": again,
    "vote": vote,
    "audit": audit,
    "expect": expectations.expect,
}
