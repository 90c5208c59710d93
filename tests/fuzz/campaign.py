"""Fuzzes every target for a fixed time: ``python -m tests.fuzz.campaign --seconds 3600``.

The time is shared out among the targets. What was found interesting is kept in ``corpus/``, reduced
to small inputs that add coverage; `tests.fuzz.test_corpus` runs all of them in every test run. A
crash, a hang of more than a minute, or more than a gigabyte of memory ends the campaign with
exit code 1 and leaves the input in ``--findings``.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.catalogue import TARGETS
from tests.fuzz.targets import Target

CORPUS = Path(__file__).parent / "corpus"
#: The longest input that is tried, in bytes.
LONGEST = 16_384
#: How many inputs the corpus holds for each target, and how long they may be, in bytes.
KEPT = 60
LONGEST_KEPT = 4_096


@dataclass(frozen=True)
class Outcome:
    """How often a target ran; ``good`` unless it crashed, hung or grew."""

    name: str
    executions: int
    good: bool


def fuzz(target: Target, seconds: int, findings: Path) -> Outcome:
    """Run libFuzzer on a target, then keep what it found in the corpus."""
    kept = CORPUS / target.name
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        working, seeds = Path(folder) / "found", Path(folder) / "seeds"
        for path in (working, seeds):
            path.mkdir()
        for number, seed in enumerate(target.seeds()):
            (seeds / str(number)).write_bytes(seed)
        output = _libfuzzer(
            target,
            *map(str, (working, kept, seeds)),
            f"-max_total_time={seconds}",
            f"-max_len={LONGEST}",
            f"-artifact_prefix={findings}/{target.name}-",
            "-print_final_stats=1",
        )
        found = re.search(r"number_of_executed_units: (\d+)", output.stderr)
        if output.returncode == 0:
            _keep(working, kept)
        else:
            sys.stderr.write(output.stderr[-4000:])
    return Outcome(target.name, int(found[1]) if found else 0, output.returncode == 0)


def _keep(found: Path, kept: Path) -> None:
    """Add the smallest of the inputs that reached something new, as far as there is room."""
    room = KEPT - sum(1 for _ in kept.iterdir())
    small = sorted(found.iterdir(), key=lambda path: (path.stat().st_size, path.name))
    for path in small[: max(room, 0)]:
        if path.stat().st_size <= LONGEST_KEPT:
            (kept / path.name[:16]).write_bytes(path.read_bytes())


def _libfuzzer(target: Target, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fuzz.one", target.name, *arguments]
    limits = ["-timeout=60", "-rss_limit_mb=1024"]
    return subprocess.run(
        [*command, *limits], capture_output=True, text=True, errors="replace", check=False
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the decoders for a fixed time.")
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together")
    parser.add_argument("--target", action="append", choices=sorted(TARGETS))
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    given = parser.parse_args()
    names = given.target or sorted(TARGETS)
    given.findings.mkdir(parents=True, exist_ok=True)
    outcomes = []
    for name in names:
        outcome = fuzz(TARGETS[name], max(1, given.seconds // len(names)), given.findings)
        outcomes.append(outcome)
        verdict = "good" if outcome.good else "FOUND SOMETHING"
        sys.stdout.write(f"{name}: {outcome.executions} executions, {verdict}\n")
        sys.stdout.flush()
    total = sum(outcome.executions for outcome in outcomes)
    sys.stdout.write(f"together: {total} executions\n")
    return 0 if all(outcome.good for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
