"""Checks the model of the consensus and prints what it found.

python -m tests.model             2 heights of 3 views, a liar in each place
python -m tests.model --views 2   a small one
python -m tests.model --mixed     2 heights of 2 views, mixed in every order
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

from tests.model.explorer import Found, Setting, explore_heights, explore_mixed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model")
    parser.add_argument("--views", type=int, default=3)
    parser.add_argument("--heights", type=int, default=2)
    parser.add_argument("--mixed", action="store_true", help="mix the steps of two heights")
    chosen = parser.parse_args()
    broken = False
    say("| liar's place | states | steps | seconds | peak MB | result |")
    say("|---|---|---|---|---|---|")
    for liar in range(4):
        began = time.monotonic()
        setting = Setting(views=2 if chosen.mixed else chosen.views, liar=liar)
        found: Found = (
            explore_mixed(setting, 2) if chosen.mixed else explore_heights(setting, chosen.heights)
        )
        seconds = round(time.monotonic() - began)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        result = found.breach or "no promise is broken"
        say(f"| {liar} | {found.states:,} | {found.steps:,} | {seconds} | {memory} | {result} |")
        broken = broken or found.breach is not None
    return int(broken)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
