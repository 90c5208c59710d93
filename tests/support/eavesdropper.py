"""A node as ``health-ledger node run`` makes it, that writes down what others say to it.

``python -m tests.support.eavesdropper HOME`` runs the node of a home; each message of the consensus
that it receives is added to ``heard.log`` there: who sent it and the message, in hex, before the
node acts on it.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from ledger.api import process
from ledger.consensus.messages import (
    Message,
    NewView,
    decode_message,
    statement,
)
from ledger.node.net.frames import Consensus, Frame
from ledger.node.reception import Reception

#: height, view, kind
Slot = tuple[int, int, str]


def heard(homes: Iterable[Path]) -> Iterator[tuple[str, Message]]:
    """What all of these nodes have written down: the sender and the message."""
    for home in homes:
        for line in (home / "heard.log").read_text().splitlines():
            peer, _, raw = line.partition(" ")
            yield peer, decode_message(bytes.fromhex(raw))


def signed(chain: bytes, node: str, homes: Iterable[Path]) -> dict[Slot, set[bytes]]:
    """For each height, view and kind what the node has signed, as others have received it."""
    found: dict[Slot, set[bytes]] = defaultdict(set)
    for peer, message in heard(homes):
        if peer == node:
            each = message.pre_prepare if isinstance(message, NewView) else message
            slot = each.height, each.view, type(each).__name__
            found[slot].add(statement(chain, each))
    return found


def main() -> None:
    home = Path(sys.argv[1])
    receive = Reception.receive
    with (home / "heard.log").open("a", buffering=1) as log:

        def note(self: Reception, peer: str, frame: Frame) -> None:
            if isinstance(frame, Consensus):
                log.write(f"{peer} {frame.message.hex()}\n")
            receive(self, peer, frame)

        Reception.receive = note  # type: ignore[method-assign]
        try:
            process.run(home, lambda: "", None)
        except process.CannotRun as error:
            sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
