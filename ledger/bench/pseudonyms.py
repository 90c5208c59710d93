"""What a pseudonym costs, beside the package ``voprf`` doing the same for one whole key.

``python -m ledger.bench.pseudonyms`` makes a key that three of four hold, has inputs blinded,
evaluated and finished in batches, does the same with the other implementation in the same run, in
turns, and prints one JSON object: microseconds for each id, the best of some rounds, and ratios.
``voprf`` is one of the development packages.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from ledger.crypto import sealing
from ledger.crypto.oprf import ceremony, threshold, voprf
from ledger.crypto.oprf.ceremony import Terms, Transcript

NODES: Final = ("n1", "n2", "n3", "n4")
THRESHOLD: Final = 3


def _key() -> tuple[threshold.Holders, dict[int, bytes]]:
    terms = Terms(b"bench", NODES, THRESHOLD, 1)
    keys = {node: sealing.SealingKey.generate() for node in NODES}
    public = {node: key.public for node, key in keys.items()}
    said = Transcript(
        public, {node: ceremony.deal(terms, node, public)[0] for node in NODES}
    )  # fmt: skip
    result = ceremony.outcome(terms, said)
    shares = {
        terms.index(node): ceremony.own_share(terms, said, result, node, key)
        for node, key in keys.items()
    }
    return result.holders, shares


class _Best:
    """The shortest time of each step, in microseconds for each input."""

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}

    def take(self, step: str, inputs: int, do: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = do()
        spent = 1e6 * (time.perf_counter() - began) / inputs
        self.steps[step] = min(spent, self.steps.get(step, spent))
        return result


def _evaluated(
    holders: threshold.Holders, shares: dict[int, bytes], index: int, asked: list[bytes]
) -> voprf.Evaluation:
    return voprf.evaluate(shares[index], holders.verification[index], asked)


def _ours(
    best: _Best, holders: threshold.Holders, shares: dict[int, bytes], texts: list[bytes]
) -> None:
    count = len(texts)
    questions = best.take("blind", count, lambda: [voprf.blind(text) for text in texts])
    asked = [question.element for question in questions]
    answers = {
        index: best.take("evaluate", count, partial(_evaluated, holders, shares, index, asked))
        for index in range(1, THRESHOLD + 1)
    }
    combined = best.take("combine", count, lambda: threshold.combine(holders, asked, answers))
    best.take("finish", count, lambda: threshold.finish(questions, combined))


def _theirs(best: _Best, package: Any, texts: list[bytes]) -> None:
    count, suite = len(texts), package.ristretto
    server = suite.Evaluator.from_seed(bytes(32), b"bench")
    pairs = best.take("blind", count, lambda: [suite.Client.blind(text) for text in texts])
    clients, blinded = [one for one, _ in pairs], [other for _, other in pairs]
    answer = best.take("evaluate", count, lambda: server.evaluate_batch(blinded))
    best.take(
        "finish", count, lambda: suite.Client.finalize_batch(clients, answer, server.public_key)
    )


def measure(batch: int, rounds: int) -> dict[str, Any]:
    """Best times of both, for batches of one size; raises `ImportError` without ``voprf``."""
    import voprf as package

    holders, shares = _key()
    texts = [b"an id %d" % number for number in range(batch)]
    ours, theirs = _Best(), _Best()
    for _ in range(rounds):
        _ours(ours, holders, shares, texts)
        _theirs(theirs, package, texts)
    asker = ours.steps["blind"] + ours.steps["combine"] + ours.steps["finish"]
    return {
        "batch": batch,
        "ours_us": ours.steps,
        "voprf_us": theirs.steps,
        "evaluations_per_second": 1e6 / ours.steps["evaluate"],
        "voprf_evaluations_per_second": 1e6 / theirs.steps["evaluate"],
        "evaluate_ratio": ours.steps["evaluate"] / theirs.steps["evaluate"],
        "ids_per_second_of_an_asker": 1e6 / asker,
        "asker_ratio": asker / (theirs.steps["blind"] + theirs.steps["finish"]),
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m ledger.bench.pseudonyms")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--batch", type=int, nargs="*", default=[1, 16, 256])
    given = parser.parse_args(arguments)
    found = [measure(batch, given.rounds) for batch in given.batch]
    json.dump(
        {"threshold": THRESHOLD, "holders": len(NODES), "batches": found}, sys.stdout, indent=1
    )
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
