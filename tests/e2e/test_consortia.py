"""The scenario of a consortium on real processes: what the command prints, that nothing is left."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from ledger.scenario.catalogue import Entry, consortia
from tests.e2e.consortium import free_ports
from tests.e2e.test_demo import processes_under

CONFIGS = Path(__file__).parents[2] / "network-configs"
COMMAND = [sys.executable, "-m", "ledger.cli.main"]


def moved(name: str, place: Path) -> Path:
    """A copy of a shipped consortium, with its scenario, on ports of its own."""
    base = free_ports(100)
    text = (CONFIGS / f"{name}.toml").read_text(encoding="utf-8")
    assert "network = { " in text
    ports = f"network = {{ peer_port = {base}, api_port = {base + 50}, "
    path = place / f"{name}.toml"
    path.write_text(text.replace("network = { ", ports, 1), encoding="utf-8")
    shutil.copy(CONFIGS / f"{name}.scenario", place)
    return path


def entry_of(name: str) -> Entry:
    (entry,) = [entry for entry in consortia(CONFIGS) if entry.name == name]
    return entry


def test_the_demo_plays_the_scenario_beside_a_configuration_and_an_outsider_verifies_it(
    tmp_path: Path,
) -> None:
    entry = entry_of("west-china-second")
    given = ["--config", str(moved(entry.name, tmp_path)), "--home", str(tmp_path / "home")]
    ran = subprocess.run(
        [*COMMAND, "demo", *given, "--once", "--json"], capture_output=True, text=True, timeout=280
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    told = json.loads(ran.stdout)
    assert (told["network"], told["validators"]) == (entry.name, 4)
    assert (told["steps"], told["steps_left_to_the_simulator"]) == (len(entry.scenario.steps), 0)
    assert told["agree"]
    assert told["audit"]["verified"]
    assert told["audit"]["transactions"] >= told["steps"] - 5
    permits, denies, refusals = entry.outcomes()
    assert (told["permits"], told["denies"], told["refusals"]) == (permits, denies, refusals)
    for words in (entry.scenario.title, "All 5 institutions are on the chain", "verified: "):
        assert words in ran.stderr
    assert processes_under(tmp_path / "home") == []


def test_a_demo_whose_scenario_is_not_met_says_where_and_ends(tmp_path: Path) -> None:
    config = moved("changxing", tmp_path)
    scenario = tmp_path / "changxing.scenario"
    head = scenario.read_text(encoding="utf-8").split("\n\n")[0]
    scenario.write_text(
        f"{head}\nrecord x of worker-shen at changxing-hospital kind=ecg\n"
        "dr-zju at zju-2nd asks for x for TREAT -> permit consent:patient-permits\n",
        encoding="utf-8",
    )
    ran = subprocess.run(
        [*COMMAND, "demo", "--config", str(config), "--home", str(tmp_path / "home"), "--once"],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert ran.returncode == 1
    assert "changxing, line 7: dr-zju" in ran.stderr
    assert "deny access:nothing-permits" in ran.stderr
    assert processes_under(tmp_path / "home") == []
