"""``health-ledger network init``: founding by a person at a terminal, with good and bad files."""

from __future__ import annotations

import json
from pathlib import Path

from consortium import DEV, command

from ledger.cli.output import ExitCode


def init(tmp_path: Path, text: str) -> tuple[int, list[str]]:
    """Exit code and lines of complaint for a configuration; nothing may be left behind."""
    config = tmp_path / "network.toml"
    config.write_text(text)
    out = tmp_path / "home"
    done = command("network", "init", "--config", str(config), "--out", str(out), "--insecure-keys")
    assert not out.exists()
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()


def test_a_good_file_founds_a_network(tmp_path: Path) -> None:
    out = tmp_path / "home"
    done = command(
        "network", "init", "--config", str(DEV), "--out", str(out), "--insecure-keys", "--json"
    )
    assert done.returncode == ExitCode.GOOD, done.stderr
    told = json.loads(done.stdout)
    assert told["validators"] == ["east-1", "south-1", "west-1", "north-1"]
    assert (out / "genesis.json").exists()
    again = command("network", "init", "--config", str(DEV), "--out", str(out), "--insecure-keys")
    assert again.returncode == ExitCode.FAILED
    assert "not empty" in again.stderr


def test_a_consortium_with_one_validator_is_refused(tmp_path: Path) -> None:
    text = DEV.read_text()
    for node in ("south-1", "west-1", "north-1"):
        text = text.replace(
            f'id = "{node}"\nrole = "validator"', f'id = "{node}"\nrole = "observer"'
        )
    code, lines = init(tmp_path, text)
    assert code == ExitCode.FAILED
    assert len(lines) == 1
    assert lines[0].startswith(f"error: {tmp_path}/network.toml:")
    assert "institutions: 1 of the nodes are validators; at least 4 are needed" in lines[0]


def test_a_duplicate_name_is_refused_with_file_line_and_field(tmp_path: Path) -> None:
    text = DEV.read_text().replace('name = "South Hospital"', 'name = "East Hospital"')
    line = text[: text.rindex('name = "East Hospital"')].count("\n") + 1
    code, lines = init(tmp_path, text)
    assert code == ExitCode.FAILED
    assert len(lines) == 1
    assert f"{tmp_path}/network.toml:{line}: institutions[1].name: " in lines[0]
    assert "'East Hospital' is used twice" in lines[0]


def test_every_fault_of_a_file_is_named_at_once(tmp_path: Path) -> None:
    text = DEV.read_text().replace('id = "south-1"', 'id = "east-1"')
    text = text.replace("view_timeout = 2000", "view_timeout = 1")
    code, lines = init(tmp_path, text)
    assert code == ExitCode.FAILED
    assert len(lines) == 2
    assert "parameters.view_timeout" in lines[0]
    assert "'east-1' is used twice" in lines[1]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = command(
        "network", "init", "--config", str(tmp_path / "none.toml"), "--out", str(tmp_path / "out")
    )
    assert done.returncode == ExitCode.FAILED
    assert "none.toml" in done.stderr
