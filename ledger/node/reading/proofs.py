"""A page of a patient's log with its proof, out of the index and the state of the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ledger.chain import disclosures, limits
from ledger.chain.block import Certificate, Header
from ledger.chain.codec import Malformed, decode_value
from ledger.chain.database import StoreUnusable
from ledger.chain.disclosures import DisclosureFile, Entry
from ledger.chain.handover import InvalidProof
from ledger.chain.receipt import Handover
from ledger.chain.statement import Statement
from ledger.chain.statetree import StateProof
from ledger.node.reading.content import Access
from ledger.node.reading.lists import Lists

#: Reads a state entry with what proves it after the block of a height.
Prove = Callable[[bytes, int], tuple[Header, Certificate | None, StateProof, bytes | None]]

#: What the members of an entry are called in the index, where it is not by their own names.
_CALLED: Final = {"asker": "requester"}


class NotIndexed(StoreUnusable):
    """The index does not have what the state says that it should: make it anew."""


def entry_from(line: Access) -> Entry:
    """The entry of the log that a line of the index stands for."""
    members = disclosures.SOURCES[line.what][1]
    return Entry(line.what, {name: getattr(line, _CALLED.get(name, name)) for name in members})


def proven_page(
    lists: Lists,
    prove: Prove,
    handovers: Callable[[int], tuple[Handover, ...]],
    subject: str,
    height: int,
    *,
    before: int | None,
    count: int,
) -> tuple[tuple[Access, ...], DisclosureFile]:
    """The last ``count`` entries of a patient's log below the number ``before`` as it was after the
    block of a height, or as many as there are, oldest first, and the file that proves them.

    Args:
        height: at least 1, and not above that of the index.
        before: None for the newest entries.

    Raises:
        NotIndexed: the index lacks something, or its lines are not the entries.
        StoreError, LookupError: the state of that height cannot be read.
    """
    header, certificate, proof, raw = prove(disclosures.log_key(subject), height)
    if certificate is None:
        raise LookupError("nobody certifies the genesis block")
    try:
        value = None if raw is None else decode_value(raw, limit=limits.MAX_STATE_VALUE_BYTES)
        log = disclosures.read_log(value)
    except Malformed as error:
        raise StoreUnusable(f"the log of {subject} in the state: {error}") from None
    end = log.size if before is None else min(before, log.size)
    first = max(0, end - min(count, disclosures.MAX_PAGE))
    if end == first:
        first = end = log.size  # an empty page is proven at the end of a log alone
    leaves = lists.leaves(subject, log.size)
    lines = lists.entries(subject, first, end) if end > first else ()
    if len(leaves) != log.size or len(lines) != end - first:
        raise NotIndexed("the index lacks entries of a log")
    entries = [entry_from(line) for line in lines]
    page = disclosures.prove_page(leaves, first, end - first)
    try:
        disclosures.check_page(log, page, entries)
    except InvalidProof as error:
        raise NotIndexed(f"the index is damaged: {error}") from None
    statement = Statement(
        disclosures.log_key(subject), raw, header, certificate, proof, handovers(height)
    )
    return lines, disclosures.disclosure_file(subject, statement, page, entries)
