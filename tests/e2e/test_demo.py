"""The main job as its user starts it, and the bench: the command, its exit code, what it prints."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.e2e.consortium import free_ports

CONFIGS = Path(__file__).parents[2] / "network-configs"
COMMAND = [sys.executable, "-m", "ledger.cli.main"]


def moved(name: str, place: Path, nodes: int) -> Path:
    """A copy of a shipped configuration on ports of its own."""
    base = free_ports(2 * nodes)
    text = (CONFIGS / name).read_text()
    text = re.sub(r"(?m)^peer_port = \d+", f"peer_port = {base}", text)
    text = re.sub(r"(?m)^api_port = \d+", f"api_port = {base + nodes}", text)
    path = place / name
    path.write_text(text)
    return path


def processes_under(place: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(place) in " ".join(process.info["cmdline"] or ())
    ]


@pytest.mark.parametrize(
    ("name", "nodes", "observers", "records"),
    [("yanan.toml", 8, 4, 283), ("dev.toml", 4, 0, 42)],
)
def test_the_demo_plays_its_story_and_an_outsider_verifies_it(
    tmp_path: Path, name: str, nodes: int, observers: int, records: int
) -> None:
    given = ["--config", str(moved(name, tmp_path, nodes)), "--home", str(tmp_path / "home")]
    ran = subprocess.run(
        [*COMMAND, "demo", *given, "--once", "--json"], capture_output=True, text=True, timeout=280
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    told = json.loads(ran.stdout)
    assert told["validators"] == 4
    assert told["observers"] == observers
    assert told["agree"]
    assert told["audit"]["verified"]
    assert told["audit"]["blocks"] == told["height"] + 1
    assert told["records_anchored"] == records
    assert (told["permits"], told["denies"], told["break_glass"]) == (4, 2, 1)
    assert told["released"] == told["permits"]
    assert told["hash_mismatches_found"] == 1
    assert told["consents_active"] + told["consents_refused"] == 12
    assert told["view_changes"] >= 1
    assert processes_under(tmp_path / "home") == []


def test_a_demo_that_stays_up_ends_on_an_interrupt_and_leaves_no_process(tmp_path: Path) -> None:
    home = tmp_path / "home"
    given = ["--config", str(moved("dev.toml", tmp_path, 4)), "--home", str(home), "--lang", "zh"]
    with (tmp_path / "out").open("wb") as out:
        demo = subprocess.Popen([*COMMAND, "demo", *given], stdout=out, stderr=out)
        try:
            deadline = time.monotonic() + 240
            while "Ctrl-C" not in (tmp_path / "out").read_text():
                assert demo.poll() is None, (tmp_path / "out").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert len(processes_under(home)) >= 4
            os.kill(demo.pid, signal.SIGINT)
            assert demo.wait(30) == 0
        finally:
            demo.kill()
    assert "已停止" in (tmp_path / "out").read_text()
    assert processes_under(home) == []


def test_the_demo_names_what_is_wrong_with_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text(
        (CONFIGS / "dev.toml").read_text().replace('role = "validator"', 'role = "boss"')
    )
    ran = subprocess.run(
        [*COMMAND, "demo", "--config", str(path), "--once"], capture_output=True, text=True
    )
    assert ran.returncode == 3
    assert re.search(r"one\.toml:\d+: institutions\[0\]\.nodes\[0\]\.role", ran.stderr)


def test_the_bench_prints_every_figure_beside_its_baselines() -> None:
    ran = subprocess.run(
        [*COMMAND, "bench", "--nodes", "4", "--seconds", "2", "--json"],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    figures = json.loads(ran.stdout)
    assert {
        "committed_tx_per_s", "bundled_calls_per_s", "anchored_records_per_s", "p50_ms_light",
        "p99_ms_light", "p50_ms_half", "p99_ms_half", "bytes_per_tx", "rss_mb_per_node",
        "ed25519_verify_per_s", "durable_commits_per_s", "cpu_verifications_per_tx",
    } <= figures.keys()  # fmt: skip
    assert [name for name, value in figures.items() if value <= 0] == []
