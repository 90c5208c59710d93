"""A patient's log of disclosures, and the proof that a list of its entries is complete.

The contract ``disclosures`` keeps of each log the number of its entries and the roots of its
complete subtrees, in the tree of RFC 9162 over the entries. Whoever has the genesis file and a
`Statement` about that state entry can tell whether a list is the whole log up to the height of the
statement, or one page of it: nothing left out, added, changed, or put in another order.

A page is proven from what came before and after it: the subtree roots of the log before its first
entry, to which its entries are appended, and the consistency path from there to the whole log (RFC
9162, 2.1.4). Both are as long as the logarithm of the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ledger.chain import limits, merkle
from ledger.chain.block import Header
from ledger.chain.codec import Malformed, decode, decode_value, encode
from ledger.chain.handover import InvalidProof, Trust
from ledger.chain.merkle import Log
from ledger.chain.statement import FORMAT as STATEMENT_FORMAT
from ledger.chain.statement import Statement, StatementFile, statement_file, verify_statement
from ledger.chain.values import decode_base64, encode_base64
from ledger.crypto.hashing import HASH_SIZE

FORMAT: Final = "health-ledger-disclosures-1"

#: How many entries one page has at most.
MAX_PAGE: Final = 1_000
#: A log never has more: its count is one of the state's integers of 64 bits.
_MAX_COUNT: Final = 2**63 - 1
#: Where the contracts that write into logs keep what an entry is made of: the map in their state,
#: and the members that make the entry, in the words of that map. Beside them stands the member
#: ``entry``, its number.
SOURCES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "access": (
        "decisions",
        (
            "id", "time", "height", "outcome", "rule", "requester", "institution", "holder",
            "record", "kind", "purpose", "case",
        ),
    ),
    "enquiry": (
        "enquiries",
        ("id", "time", "height", "asker", "institution", "purpose", "case"),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a log. ``by``: the contract that wrote it. ``said``: what it says."""

    by: str
    said: Mapping[str, Any]

    def leaf(self) -> bytes:
        """The data of its leaf in the tree: what the contract hashes."""
        return encode({"by": self.by, "entry": dict(self.said)})


def log_key(subject: str) -> bytes:
    """The key of the state entry of a patient's log."""
    return f"disclosures/logs/{subject}".encode()


def read_log(value: Any) -> Log:
    """The log that a state entry of it describes; an absent one (None) is empty.

    Raises:
        Malformed: the value is no log.
    """
    if value is None:
        return Log()
    if not isinstance(value, dict) or sorted(value) != ["count", "peaks"]:
        raise Malformed("not the state of a log")
    count, peaks = value["count"], value["peaks"]
    if type(count) is not int or not 0 <= count <= _MAX_COUNT or not isinstance(peaks, list):
        raise Malformed("not the state of a log")
    if any(type(peak) is not bytes or len(peak) != HASH_SIZE for peak in peaks):
        raise Malformed("the subtrees of a log are not hashes")
    try:
        return Log(count, peaks)
    except ValueError as error:
        raise Malformed(str(error)) from None


def entry_of(contract: str, stored: Mapping[str, Any]) -> Entry:
    """The entry that a contract made of something in its state.

    Raises:
        Malformed: the contract writes into no log, or the value has not what an entry is made of.
    """
    source = SOURCES.get(contract)
    if source is None or any(name not in stored for name in source[1]):
        raise Malformed(f"{contract} makes no entry of this")
    return Entry(contract, {name: stored[name] for name in source[1]})


class Page(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What surrounds a page of a log in its proof.

    ``first``: the number of its first entry. ``before``: the roots of the complete subtrees of the
    log before it, largest first. ``path``: from the log that ends with the page to the whole log;
    empty where the page is its end.
    """

    first: int
    before: tuple[bytes, ...]
    path: tuple[bytes, ...]


def prove_page(leaves: Sequence[bytes], first: int, count: int) -> Page:
    """The proof of ``count`` entries from ``first`` on, out of all leaf *hashes* of the log.

    Raises:
        IndexError: the log has no such entries.
    """
    if not 0 <= first <= first + count <= len(leaves):
        raise IndexError(f"a log of {len(leaves)} has no entries {first} to {first + count}")
    before = []
    start = 0
    for level in reversed(range(first.bit_length())):
        if first >> level & 1:
            before.append(merkle.root_of_hashes(leaves[start : start + (1 << level)]))
            start += 1 << level
    return Page(first, tuple(before), merkle.consistency_path(leaves, first + count))


def check_page(log: Log, page: Page, entries: Sequence[Entry]) -> Log:
    """Whether these entries are the page of a log that a proof says they are; a pure function.

    Args:
        log: the whole log, as the state has it.
        page: the proof.
        entries: in their order.

    Returns:
        The log up to the end of the page. A reader of several pages compares its subtrees with what
        the next page says came ``before``; `check_all` does.

    Raises:
        InvalidProof: they are not.
    """
    end = page.first + len(entries)
    if page.first < 0 or end > log.size:
        raise InvalidProof("the log has no such entries")
    if not entries and end != log.size:
        raise InvalidProof("only at the end of a log is a page empty")
    if any(len(item) != HASH_SIZE for item in page.before):
        raise InvalidProof("what came before a page is not hashes")
    try:
        so_far = Log(page.first, page.before)
    except ValueError as error:
        raise InvalidProof(str(error)) from None
    for entry in entries:
        so_far.append(entry.leaf())
    if not merkle.verify_consistency(end, so_far.root(), log.size, log.root(), page.path):
        raise InvalidProof("the entries are not this page of the log")
    return so_far


def check_all(log: Log, entries: Sequence[Entry]) -> None:
    """Whether these entries are the whole log; raises `InvalidProof`."""
    if check_page(log, Page(0, (), ()), entries).size != log.size:
        raise InvalidProof(f"the log has {log.size} entries, not {len(entries)}")


# A list with its proof, as a file


class DisclosureFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON of a page with all that proves it. ``statement``: about the state entry of the log.
    ``entries``: base64 of the canonical bytes of their leaves. ``before``, ``path``: hex."""

    format: str
    subject: str
    statement: StatementFile
    first: int
    entries: tuple[str, ...]
    before: tuple[str, ...]
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Disclosures:
    """What a good file proves: these are the entries of a patient's log from ``first`` on, which
    has ``total`` of them after the block of ``header``."""

    subject: str
    header: Header
    total: int
    first: int
    entries: tuple[Entry, ...]

    @property
    def complete(self) -> bool:
        """Whether it is the whole log up to that height."""
        return len(self.entries) == self.total


def disclosure_file(
    subject: str, statement: Statement, page: Page, entries: Sequence[Entry]
) -> DisclosureFile:
    """A page with its proof, as it is written to JSON."""
    return DisclosureFile(
        FORMAT,
        subject,
        statement_file(statement),
        page.first,
        tuple(encode_base64(entry.leaf()) for entry in entries),
        tuple(item.hex() for item in page.before),
        tuple(item.hex() for item in page.path),
    )


def verify_disclosures(
    file: DisclosureFile, trust: Trust, subject: str, *, at_least: int = 0
) -> Disclosures:
    """Check a list with nothing but the genesis; a pure function.

    Args:
        file: from anybody.
        subject: whose log it has to be.
        at_least: a height below which the answer is too old to be believed: a node that leaves out
            the newest entries proves an older height.

    Raises:
        InvalidProof: it does not prove what it should; the message says why.
    """
    try:
        if file.format != FORMAT or file.statement.format != STATEMENT_FORMAT:
            raise Malformed(f"a file of format {file.format!r}, this software reads {FORMAT}")
        if len(file.entries) > MAX_PAGE:
            raise Malformed(f"a page has at most {MAX_PAGE} entries")
        raw = decode_base64(file.statement.statement)
        statement = decode(raw, Statement, limit=limits.MAX_RECEIPT_BYTES)
        entries = tuple(_entry(text) for text in file.entries)
        page = Page(file.first, _hashes(file.before), _hashes(file.path))
    except (Malformed, UnicodeError) as error:
        raise InvalidProof(str(error)) from None
    if file.subject != subject:
        raise InvalidProof("the list is of another patient")
    proven = verify_statement(statement, trust)
    if proven.key != log_key(subject) or file.statement.key.encode() != proven.key:
        raise InvalidProof("the proof is about another log")
    if proven.header.height < at_least:
        raise InvalidProof(
            f"the list is as of height {proven.header.height}, older than {at_least}"
        )
    try:
        log = read_log(proven.value)
    except Malformed as error:
        raise InvalidProof(str(error)) from None
    check_page(log, page, entries)
    return Disclosures(subject, proven.header, log.size, page.first, entries)


def load_disclosures(raw: bytes) -> DisclosureFile:
    """Read a file; raises `Malformed`. Says nothing about whether it is good."""
    if len(raw) > 4 * limits.MAX_RECEIPT_BYTES:
        raise Malformed("the file is too large")
    try:
        return msgspec.json.decode(raw, type=DisclosureFile)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Malformed(f"not a list of disclosures: {error}") from None


def _entry(text: str) -> Entry:
    value = decode_value(decode_base64(text), limit=limits.MAX_STATE_VALUE_BYTES)
    if not isinstance(value, dict) or sorted(value) != ["by", "entry"]:
        raise Malformed("not an entry of a log")
    by, said = value["by"], value["entry"]
    if not isinstance(by, str) or not isinstance(said, dict):
        raise Malformed("not an entry of a log")
    return Entry(by, said)


def _hashes(texts: Sequence[str]) -> tuple[bytes, ...]:
    try:
        found = tuple(bytes.fromhex(text) for text in texts)
    except ValueError:
        raise Malformed("a hash that is not hex") from None
    if any(
        len(item) != HASH_SIZE or item.hex() != text
        for item, text in zip(found, texts, strict=True)
    ):
        raise Malformed("a hash has 64 lower-case hex digits")
    return found
