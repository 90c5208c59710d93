"""What all commands have in common."""

import json
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from ledger.cli import output
from ledger.cli.main import app, run

runner = CliRunner()


def test_without_a_command_the_help_is_shown():
    result = runner.invoke(app, [])
    assert "health-ledger" in result.output
    assert "Exit codes" in result.output


@pytest.mark.parametrize(
    "command",
    [["demo"], ["bench"], ["network", "init"], ["node", "run"], ["node", "status"],
     ["tx", "submit"], ["audit", "verify"], ["audit", "export"], ["contract", "check"]],
)  # fmt: skip
def test_every_command_explains_itself(command):
    result = runner.invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_the_version_is_printed():
    result = runner.invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("health-ledger ")


@pytest.mark.parametrize(
    "arguments", [["nothing"], ["node", "run"], ["demo", "--lang", "fr"], ["bench", "--nodes", "3"]]
)
def test_wrong_usage_ends_with_2(arguments):
    assert runner.invoke(app, arguments).exit_code == 2


def test_help_comes_at_once_because_nothing_heavy_is_imported():
    code = (
        "import sys; sys.argv = ['health-ledger', '--help']\n"
        "from ledger.cli.main import run\n"
        "try: run()\n"
        "except SystemExit: pass\n"
        "heavy = {'fastapi', 'pydantic', 'sqlalchemy', 'httpx', 'uvicorn', 'nacl', 'structlog'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert time.monotonic() - began < 5


def test_an_unexpected_error_ends_with_3_and_its_traceback(monkeypatch, capsys):
    def broken() -> None:
        raise ZeroDivisionError("by mistake")

    monkeypatch.setattr("ledger.cli.main.app", broken)
    with pytest.raises(SystemExit) as caught:
        run()
    assert caught.value.code == 3
    assert "Traceback" in capsys.readouterr().err


def test_an_expected_error_is_one_line_for_each_part(capsys):
    import typer

    with pytest.raises(typer.Exit) as caught, output.expecting(ValueError):
        raise ValueError("first [bold]thing[/]\nsecond thing")
    assert caught.value.exit_code == 3
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["error: first [bold]thing[/]", "error: second thing"]


def test_json_is_one_object(capsys):
    output.write_json({"name": "延安"})
    assert json.loads(capsys.readouterr().out) == {"name": "延安"}
