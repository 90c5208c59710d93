"""Programs for Node.js that tests drive: an identity provider, FHIR clients, a client of our own.

They live in ``tests/js``, whose locked packages `make packages` installs where npm is there.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "js"
OLDEST = 20
#: How the reason of every skip begins, by which the summary of a run finds them.
NO_NODE = "Node.js:"


def program(name: str, *packages: str) -> list[str]:
    """The command that runs ``tests/js/NAME``; skips the test where it cannot run.

    ``packages``: what the program imports.
    """
    node = shutil.which("node")
    if node is None:
        pytest.skip(f"{NO_NODE} there is none")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").partition(".")[0]) < OLDEST:
        pytest.skip(f"{NO_NODE} {version.strip()}, {OLDEST} or newer is needed")
    for package in packages:
        if not (ROOT / "node_modules" / package).is_dir():
            pytest.skip(f"{NO_NODE} {package} is not installed; make packages does it with npm")
    script = ROOT / name
    assert script.is_file(), script
    return [node, str(script)]
