"""``health-ledger sim``."""

from __future__ import annotations

from collections import deque
from math import inf
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from ledger.cli.output import AsJson, ExitCode, console, fail, progress, write_json

if TYPE_CHECKING:
    from ledger.sim.explore import Outcome
    from ledger.sim.totals import Totals

#: How many of the newest runs the table shows.
SHOWN = 20


def sim(
    seed: Annotated[int, typer.Option(min=0, help="Everything in a run follows from it.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds to run, from that one on.")] = 1,
    validators: Annotated[int, typer.Option(min=4, max=64, help="Nodes that vote.")] = 4,
    followers: Annotated[int, typer.Option(min=0, max=500, help="Nodes that only follow.")] = 0,
    faults: Annotated[
        str,
        typer.Option(help="What goes wrong, with commas between; 'all', 'none'."),
    ] = "all",
    heights: Annotated[int, typer.Option(min=1, help="Blocks after which trouble ends.")] = 10,
    seconds: Annotated[
        float, typer.Option(min=1, help="Virtual seconds after which trouble ends anyway.")
    ] = 30,
    mixed: Annotated[
        bool, typer.Option("--mixed", help="Let each seed choose how many nodes there are.")
    ] = False,
    budget: Annotated[
        float, typer.Option(min=0, help="Real seconds after which no new seed begins; 0: no end.")
    ] = 0,
    audit: Annotated[
        bool, typer.Option("--audit", help="Let the auditor replay each run's chain as well.")
    ] = False,
    story: Annotated[
        str, typer.Option(help="Play a story instead: one of ours by name, or a file.")
    ] = "",
    stories: Annotated[
        bool, typer.Option("--stories", help="List the stories that come with the software.")
    ] = False,
    trace: Annotated[bool, typer.Option("--trace", help="Print what happened, in order.")] = False,
    as_json: AsJson = False,
) -> None:
    """Rehearse trouble: a whole consortium in this process, on virtual time, from a seed."""
    if stories:
        _list_stories(as_json=as_json)
        return
    if story:
        _play(story, seed, trace=trace, as_json=as_json)
        return
    from ledger.sim.explore import explore, sizes
    from ledger.sim.totals import Totals

    kinds = _kinds(faults)
    outcomes: deque[Outcome] = deque(maxlen=None if as_json else SHOWN)
    totals = Totals()
    end = monotonic() + budget if budget else inf
    with progress("seeds", quiet=as_json) as step:
        for number in range(seed, seed + seeds):
            voting, following = sizes(number) if mixed else (validators, followers)
            outcome = explore(
                number,
                validators=voting,
                followers=following,
                faults=kinds,
                heights=heights,
                trouble_ms=1000 * seconds,
                audit=audit,
                keep_trace=trace,
            )
            outcomes.append(outcome)
            totals.add(outcome)
            step(totals.seeds, seeds)
            if outcome.broken or monotonic() >= end:
                break
    broken = outcomes[-1].broken
    if as_json:
        write_json(
            {
                "runs": [_value(outcome, trace) for outcome in outcomes],
                "totals": msgspec.to_builtins(totals),
                "broken": int(bool(broken)),
                "next": seed + totals.seeds,
            }
        )
    else:
        _show(outcomes, totals, seed + totals.seeds, trace=trace)
    raise typer.Exit(ExitCode.NO if broken else ExitCode.GOOD)


def _list_stories(*, as_json: bool) -> None:
    from ledger.sim.story import stories

    told = list(stories())
    if as_json:
        write_json([{"name": one.name, "title": one.title} for one in told])
        return
    for one in told:
        console().print(f"[bold]{one.name}[/]\n    {one.title}", highlight=False)


def _play(name: str, seed: int, *, trace: bool, as_json: bool) -> None:
    from ledger.sim.checker import Broken
    from ledger.sim.commands import COMMANDS, build
    from ledger.sim.story import STORIES, SUFFIX, InvalidStory, Unmet, load_story, play

    known = STORIES / f"{name}{SUFFIX}"
    problem, lines = "", []
    try:
        told = load_story(known if known.is_file() else Path(name))
        world = play(told, build, COMMANDS, seed=seed)
        lines = list(world.trace)
    except (InvalidStory, UnicodeDecodeError) as error:
        fail(str(error), ExitCode.USAGE)
    except OSError as error:
        fail(f"no story {name!r}: {error.strerror}", ExitCode.USAGE)
    except (Unmet, Broken) as error:
        problem = str(error)
    if as_json:
        write_json({"story": told.name, "title": told.title, "seed": seed, "problem": problem})
    else:
        screen = console()
        for line in lines if trace else ():
            screen.print(line, markup=False, soft_wrap=True)
        screen.print(problem or f"{told.title}\nIt ends as it says.", markup=False)
    raise typer.Exit(ExitCode.NO if problem else ExitCode.GOOD)


def _kinds(text: str) -> tuple[str, ...]:
    from ledger.sim.trouble import RARE, TROUBLES

    known = {**TROUBLES, **RARE}
    kinds: dict[str, None] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        if part != "none":
            kinds.update(dict.fromkeys(TROUBLES if part == "all" else (part,)))
    unknown = [kind for kind in kinds if kind not in known]
    if unknown:
        fail(f"no fault is called {unknown[0]!r}; there are {', '.join(known)}", ExitCode.USAGE)
    return tuple(kinds)


def _value(outcome: Outcome, trace: bool) -> dict[str, Any]:
    value: dict[str, Any] = msgspec.to_builtins(outcome)
    if not trace:
        del value["trace"]
    return value


def _show(outcomes: deque[Outcome], totals: Totals, following: int, *, trace: bool) -> None:
    from rich.table import Table

    screen = console()
    if trace:
        for outcome in outcomes:
            for line in outcome.trace:
                screen.print(line, markup=False, soft_wrap=True)
    table = Table("seed", "nodes", "blocks", "final", "virtual s", "recovery s", "trouble", "lies")
    for outcome in outcomes:
        table.add_row(
            str(outcome.seed),
            f"{outcome.validators}+{outcome.followers}",
            str(outcome.height),
            f"{outcome.acknowledged}/{outcome.submitted}",
            f"{outcome.virtual_ms / 1000:.1f}",
            f"{outcome.recovery_ms / 1000:.1f}",
            ", ".join(f"{kind} {count}" for kind, count in outcome.acts.items() if count) or "none",
            str(sum(outcome.lies.values())),
        )
    screen.print(table)
    if totals.seeds > len(outcomes):
        screen.print(f"The last {len(outcomes)} of {totals.seeds} seeds are shown.")
    screen.print(f"In all: {totals.sentence()}.")
    broken = outcomes[-1].broken
    if broken:
        screen.print(broken, markup=False, soft_wrap=True)
    verdict = "an invariant broke in the last" if broken else "no invariant broke"
    screen.print(f"{totals.seeds} seeds: {verdict}. To go on: --seed {following}")
