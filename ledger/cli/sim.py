"""``health-ledger sim``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from ledger.cli.output import AsJson, ExitCode, console, fail, progress, write_json

if TYPE_CHECKING:
    from ledger.sim.explore import Outcome


def sim(
    seed: Annotated[int, typer.Option(min=0, help="Everything in a run follows from it.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds to run, from that one on.")] = 1,
    validators: Annotated[int, typer.Option(min=4, max=64, help="Nodes that vote.")] = 4,
    followers: Annotated[int, typer.Option(min=0, max=500, help="Nodes that only follow.")] = 0,
    faults: Annotated[
        str,
        typer.Option(help="What goes wrong, with commas between; 'all', or 'none'."),
    ] = "all",
    heights: Annotated[int, typer.Option(min=1, help="Blocks after which trouble ends.")] = 10,
    seconds: Annotated[
        float, typer.Option(min=1, help="Virtual seconds after which trouble ends anyway.")
    ] = 30,
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
    from ledger.sim.explore import explore

    kinds = _kinds(faults)
    outcomes: list[Outcome] = []
    with progress("seeds", quiet=as_json) as step:
        for number in range(seed, seed + seeds):
            outcomes.append(
                explore(
                    number,
                    validators=validators,
                    followers=followers,
                    faults=kinds,
                    heights=heights,
                    trouble_ms=1000 * seconds,
                    audit=audit,
                    keep_trace=trace,
                )
            )
            step(len(outcomes), seeds)
    broken = [outcome for outcome in outcomes if outcome.broken]
    if as_json:
        write_json(
            {"runs": [_value(outcome, trace) for outcome in outcomes], "broken": len(broken)}
        )
    else:
        _show(outcomes, broken, trace=trace)
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
    from ledger.sim.trouble import TROUBLES

    if text in ("all", "none"):
        return tuple(TROUBLES) if text == "all" else ()
    kinds = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [kind for kind in kinds if kind not in TROUBLES]
    if unknown:
        fail(f"no fault is called {unknown[0]!r}; there are {', '.join(TROUBLES)}", ExitCode.USAGE)
    return kinds


def _value(outcome: Outcome, trace: bool) -> dict[str, Any]:
    value: dict[str, Any] = msgspec.to_builtins(outcome)
    if not trace:
        del value["trace"]
    return value


def _show(outcomes: list[Outcome], broken: list[Outcome], *, trace: bool) -> None:
    from rich.table import Table

    screen = console()
    if trace:
        for outcome in outcomes:
            for line in outcome.trace:
                screen.print(line, markup=False, soft_wrap=True)
    table = Table("seed", "blocks", "final", "of", "virtual s", "recovery s", "frames", "trouble")
    for outcome in outcomes[-20:]:
        table.add_row(
            str(outcome.seed),
            str(outcome.height),
            str(outcome.acknowledged),
            str(outcome.submitted),
            f"{outcome.virtual_ms / 1000:.1f}",
            f"{outcome.recovery_ms / 1000:.1f}",
            str(outcome.frames),
            ", ".join(f"{kind} {count}" for kind, count in outcome.acts.items() if count) or "none",
        )
    screen.print(table)
    if len(outcomes) > len(outcomes[-20:]):
        screen.print(f"The last 20 of {len(outcomes)} seeds are shown.")
    for outcome in broken:
        screen.print(outcome.broken, markup=False, soft_wrap=True)
    verdict = "no invariant broke" if not broken else f"an invariant broke in {len(broken)}"
    screen.print(f"{len(outcomes)} seeds: {verdict}.")
