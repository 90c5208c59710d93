"""What the operators' page about the simulator shows is what one gets."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import pytest

from ledger.cli.main import app
from ledger.sim.actors.catalogue import LIES
from ledger.sim.checker import Broken
from ledger.sim.commands import COMMANDS, build
from ledger.sim.story import play, read_story
from ledger.sim.trouble import RARE, TROUBLES

PAGE = Path(__file__).parents[3] / "docs" / "operators" / "simulator.md"


def test_the_stories_on_the_page_run(capsys: pytest.CaptureFixture[str]):
    first, second = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    story = textwrap.indent(textwrap.dedent(second), "    ")
    exec(compile(first + story, str(PAGE), "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Quorum lost")
    assert lines[1].startswith("Quorum lost: 1 of 4 validators can be reached")


def test_the_story_of_f_plus_1_liars_on_the_page_breaks_the_chain():
    (story,) = re.findall(r"```\n(network .*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    with pytest.raises(Broken, match="has another block"):
        play(read_story(story), build, COMMANDS)


def test_the_page_names_every_lie():
    assert set(LIES) <= set(re.findall(r"`([a-z-]+)`", PAGE.read_text(encoding="utf-8")))


def test_the_page_names_every_fault():
    named = set(re.findall(r"^\| `([a-z]+)` \|", PAGE.read_text(encoding="utf-8"), re.M))
    assert named == {*TROUBLES, *RARE}


def run(*arguments: str) -> tuple[int, str, str]:
    from typer.testing import CliRunner

    result = CliRunner().invoke(app, ["sim", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_the_command_says_what_became_of_each_seed():
    code, out, _ = run("--seeds", "2", "--faults", "pause", "--heights", "2")
    assert code == 0
    assert "2 seeds: no invariant broke." in out


def test_the_command_prints_the_trace_when_asked():
    code, out, _ = run("--faults", "none", "--heights", "1", "--trace")
    assert code == 0
    assert "A    starts at block 0" in out


def test_the_command_ends_with_1_and_the_trace_when_an_invariant_breaks(
    monkeypatch: pytest.MonkeyPatch,
):
    from ledger.sim import explore as explorer
    from ledger.sim.world import World

    def lie(world: World, _random: object) -> None:
        world.complain("somebody broke it on purpose")

    monkeypatch.setitem(explorer.TROUBLES, "pause", lie)
    code, out, _ = run("--seed", "9", "--faults", "pause")
    assert code == 1
    assert "seed 9" in out
    assert "somebody broke it on purpose" in out
    assert "the last 60 lines of the trace" in out


def test_the_command_refuses_a_fault_that_it_does_not_know():
    code, _, err = run("--faults", "gremlins")
    assert code == 2
    assert "gremlins" in err


def test_many_seeds_add_up_and_say_where_to_go_on():
    code, out, _ = run("--seeds", "3", "--seed", "5", "--mixed", "--heights", "2", "--json")
    assert code == 0
    told = json.loads(out)
    assert told["next"] == 8
    assert told["totals"]["seeds"] == 3
    assert told["totals"]["blocks"] == sum(one["height"] for one in told["runs"])
    assert sum(told["totals"]["lies"].values()) == sum(
        sum(one["lies"].values()) for one in told["runs"]
    )


def test_no_seed_begins_when_the_budget_is_used_up():
    code, out, _ = run("--seeds", "500", "--budget", "0.001", "--faults", "none", "--heights", "1")
    assert code == 0
    assert "1 seeds: no invariant broke. To go on: --seed 2" in out
