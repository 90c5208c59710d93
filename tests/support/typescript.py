"""The TypeScript client, built once for a run of tests."""

import os
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

import pytest
from filelock import FileLock

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
        return "the client's packages are not installed; make packages does it with npm"
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


def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled client and its tests, by the strict compiler; compiled once for all processes of
    a run."""
    base = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        base = base.parent
    place = base / "typescript"
    with FileLock(base / "typescript.lock"):
        if not (place / "package.json").exists():
            tool("tsc", "-p", "tsconfig.json", "--outDir", str(place))
            (place / "node_modules").symlink_to(ROOT / "node_modules")
            (place / "package.json").write_text('{"type": "module"}')
    return place
