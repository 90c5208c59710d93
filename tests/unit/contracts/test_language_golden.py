"""The same contracts give the same results at the same cost on every CPython that runs nodes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import golden

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "data" / "contracts_golden.json"
#: More interpreters to try, separated by the path separator: ones with the libraries installed.
MORE = "LEDGER_GOLDEN_PYTHONS"
_CAN_RUN = "import sys, msgspec, nacl; print('%d.%d.%d' % sys.version_info[:3])"


def other_interpreters() -> dict[str, str]:
    """Version and path of every other CPython from 3.11 on that has msgspec and PyNaCl."""
    candidates = [Path(path) for path in os.environ.get(MORE, "").split(os.pathsep) if path]
    candidates += sorted(Path.home().glob(".pyenv/versions/3.*/bin/python"))
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        candidates += [Path(folder) / f"python3.{minor}" for minor in range(11, 20)]
    found: dict[str, str] = {}
    for candidate in candidates:
        if not candidate.is_file():
            continue
        asked = subprocess.run(
            [candidate, "-c", _CAN_RUN], capture_output=True, text=True, check=False
        )
        version = asked.stdout.strip()
        if asked.returncode == 0 and tuple(map(int, version.split("."))) >= (3, 11):
            found.setdefault(version, str(candidate))
    found.pop("{}.{}.{}".format(*sys.version_info[:3]), None)
    return found


def test_results_and_costs_are_those_of_the_golden_file() -> None:
    assert golden.outcomes() == json.loads(GOLDEN.read_text("utf-8"))


@pytest.mark.slow
def test_other_versions_of_cpython_give_the_same_results_and_costs() -> None:
    others = other_interpreters()
    if not others:
        pytest.skip(f"no other CPython with msgspec and PyNaCl; name some in {MORE}")
    for version, interpreter in others.items():
        ran = subprocess.run(
            [interpreter, "-W", "error", "-X", "utf8", "-m", "tests.support.golden"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONINTMAXSTRDIGITS": "640"},
            capture_output=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr.decode()
        assert ran.stdout == GOLDEN.read_bytes(), version
