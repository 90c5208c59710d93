"""The TypeScript client, built once for a run of tests."""

import os
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

import pytest

from tests.support.javascript import NO_NODE, OLDEST

ROOT = Path(__file__).parents[2] / "clients" / "typescript"


@lru_cache
def _absent() -> str:
    """Why the client cannot be built here; empty where it can."""
    node = shutil.which("node")
    if node is None:
        return "there is none"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").partition(".")[0]) < OLDEST:
        return f"{version.strip()}, {OLDEST} or newer is needed"
    if not (ROOT / "node_modules" / "typescript").is_dir():
        return "the client's packages are not installed; make setup does it with npm"
    return ""


def tool(name: str, *arguments: str, given: str | None = None) -> str:
    """Run a program of the client's own packages, or ``node``; its output. Skips the test where it
    cannot run, and fails it with what it wrote where it fails."""
    why = _absent()
    if why:
        pytest.skip(f"{NO_NODE} {why}")
    program = shutil.which("node") if name == "node" else str(ROOT / "node_modules" / ".bin" / name)
    done = subprocess.run(
        [str(program), *arguments], cwd=ROOT, capture_output=True, text=True, input=given,
        env={**os.environ, "NO_COLOR": "1"}, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@lru_cache
def _built(place: Path) -> Path:
    tool("tsc", "-p", "tsconfig.json", "--outDir", str(place))
    link = place / "node_modules"
    if not link.exists():
        link.symlink_to(ROOT / "node_modules")
    (place / "package.json").write_text('{"type": "module"}')
    return place


def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled client and its tests, by the strict compiler."""
    return _built(tmp_path_factory.getbasetemp() / "typescript")
