"""Stories: what happens to a consortium and what is expected of it, one line each, amid prose.

A story is read by people first. Lines that begin with ``#`` are prose, as is what follows a ``#``;
the first paragraph of them is its title. Every other line is one command; `ledger.sim.commands`
has them all. After the last line the world is settled and everything is looked at, so that each
story ends with every invariant checked and progress made.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ledger.contracts.machine import BlockContext
from ledger.sim.client import Ticket
from ledger.sim.disk import Image
from ledger.sim.world import World

#: Where the stories are that come with the software.
STORIES: Final = Path(__file__).parent / "stories"
SUFFIX: Final = ".story"
_LONGEST: Final = 2_000


class InvalidStory(ValueError):
    """A line that says nothing we understand. ``line`` counts from 1."""

    def __init__(self, name: str, line: int, what: str) -> None:
        super().__init__(f"{name}, line {line}: {what}")
        self.line = line


class Unmet(AssertionError):
    """What a story expects did not come. The message names the line and ends with the trace."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line: its number, its words, and the whole of it for messages."""

    line: int
    words: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Story:
    """``title``: the first paragraph of prose."""

    name: str
    title: str
    steps: tuple[Step, ...]


@dataclass
class Stage:
    """A story while it is played: the world, and what has a name in it."""

    world: World
    tickets: dict[str, Ticket] = field(default_factory=dict)
    backups: dict[str, Image] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    settled: bool = False


#: Carries out the rest of a line on a stage. Raises `ValueError` for words that it does not
#: understand, and `Unmet` where something that is expected is not so.
Command = Callable[[Stage, Sequence[str]], None]
#: Makes the world from the words behind ``network`` and a seed.
Builder = Callable[[Sequence[str], int], World]


def read_story(text: str, name: str = "story") -> Story:
    """Read a story; raises `InvalidStory` for a line that cannot be split into words."""
    title: list[str] = []
    steps: list[Step] = []
    in_title = True
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > _LONGEST:
            raise InvalidStory(name, number, "longer than a line may be")
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            if in_title and stripped.strip("# "):
                title.append(stripped.strip("# "))
            elif title:
                in_title = False
            continue
        in_title = False
        try:
            words = tuple(shlex.split(stripped, comments=True))
        except ValueError as error:
            raise InvalidStory(name, number, str(error)) from None
        if words:
            steps.append(Step(number, words, stripped))
    if not steps or steps[0].words[0] != "network":
        raise InvalidStory(name, steps[0].line if steps else 1, "a story begins with its network")
    return Story(name, " ".join(title), tuple(steps))


def load_story(path: Path) -> Story:
    """Read the story in a file; raises `InvalidStory` and `OSError`."""
    return read_story(path.read_text(encoding="utf-8"), path.stem)


def stories(folder: Path = STORIES) -> Iterator[Story]:
    """Every story of a folder, by name."""
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        yield load_story(path)


def play(story: Story, build: Builder, commands: Mapping[str, Command], *, seed: int = 1) -> World:
    """Play a story from its seed; returns the world as it was at the end, closed.

    Raises:
        InvalidStory: a line says nothing that is understood.
        Unmet: something that is expected is not so.
        Broken: an invariant does not hold.
    """
    first, *rest = story.steps
    try:
        world = build(first.words[1:], seed)
    except (ValueError, IndexError) as error:
        raise InvalidStory(story.name, first.line, str(error)) from None
    with world:
        stage = Stage(world)
        for step in rest:
            _take(story, stage, step, commands)
        if not stage.settled:
            world.settle()
        world.check()
    return world


def _take(story: Story, stage: Stage, step: Step, commands: Mapping[str, Command]) -> None:
    command = commands.get(step.words[0])
    if command is None:
        raise InvalidStory(story.name, step.line, f"nothing is called {step.words[0]!r}")
    stage.world.trace.note("", f"story: {step.text}")
    try:
        command(stage, step.words[1:])
    except Unmet as unmet:
        raise Unmet(
            f"{story.name}, line {step.line}: {step.text}\n{unmet}\n\n"
            f"the end of the trace (seed {stage.world.seed}):\n{stage.world.trace.last(40)}"
        ) from None
    except (ValueError, KeyError, IndexError) as error:
        raise InvalidStory(story.name, step.line, f"{step.text}: {error}") from None


def named(stage: Stage, words: Sequence[str]) -> list[str]:
    """Node names, never none. ``all``, ``validators`` and ``followers`` stand for many,
    ``proposer`` for whoever proposes the next block, and names that were given for one."""
    world = stage.world
    found: dict[str, None] = {}
    for word in words:
        if word in world.nodes:
            found[word] = None
        elif word in stage.names:
            found[stage.names[word]] = None
        elif word == "all":
            found.update(dict.fromkeys(world.nodes))
        elif word == "validators":
            found.update(dict.fromkeys(world.validators))
        elif word == "followers":
            found.update(dict.fromkeys(world.consortium.followers))
        elif word == "proposer":
            found[world.status(longest(world)).proposer] = None
        else:
            raise ValueError(f"there is no node {word!r}")
    if not found:
        raise ValueError("which nodes?")
    return list(found)


def longest(world: World) -> str:
    """A running validator with the longest chain."""
    running = [one for one in world.running if one.name in world.validators]
    return max(running, key=lambda one: (one.height, one.name)).name


def ask(world: World, contract: str, method: str, **arguments: Any) -> Any:
    """What a query of a contract says on the longest chain of those who run."""
    node = world.node(longest(world))
    head = node.replica.head
    context = BlockContext(head.chain, head.height, head.time)
    result = node.replica.machine.query(node.replica.read, context, contract, method, arguments)
    if not result.ok:
        raise ValueError(f"{contract}.{method}: {result.error}")
    return result.value


_UNITS: Final = {
    "ms": 1.0,
    "s": 1_000.0,
    "min": 60_000.0,
    "h": 3_600_000.0,
    "days": 86_400_000.0,
    "years": 365 * 86_400_000.0,
}


def milliseconds(text: str) -> float:
    """``200ms``, ``5s``, ``2min``, ``3days``, with a sign if need be; raises `ValueError`."""
    match = re.fullmatch(r"([+-]?\d+(?:\.\d+)?)(ms|s|min|h|days|years)", text)
    if match is None:
        raise ValueError(f"{text!r} is no duration such as 200ms, 5s or 2min")
    return float(match[1]) * _UNITS[match[2]]


def share(text: str) -> float:
    """``20%``; raises `ValueError`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)%", text)
    if match is None or float(match[1]) > 100:
        raise ValueError(f"{text!r} is no share such as 20%")
    return float(match[1]) / 100


def bytes_per_second(text: str) -> float:
    """``1Mbit/s`` or ``64kbit/s``; raises `ValueError`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(M|k)bit/s", text)
    if match is None:
        raise ValueError(f"{text!r} is no rate such as 1Mbit/s")
    return float(match[1]) * (1_000_000 if match[2] == "M" else 1_000) / 8
