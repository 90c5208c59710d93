"""The answer to a release request: a signed header, then the record in sealed chunks.

The header says what comes and carries, sealed to the reply key of the decision, the key of the
chunks and the record's salt. It is signed by a records officer of the holder, so that each chunk
is known to come from the holder as soon as it opens. A transfer that broke off goes on at any chunk
under a header and a key of its own. Neither side ever has more than a chunk in memory.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from ledger.chain import limits
from ledger.chain.codec import Malformed, Record, decode, encode
from ledger.chain.exchange import Mismatch
from ledger.chain.pointer import SALT_SIZE, Pointer
from ledger.crypto import hashing, suites
from ledger.crypto.chunks import KEY_SIZE, TAG_SIZE, ChunkKey
from ledger.crypto.keys import SigningKey
from ledger.crypto.sealing import SealingKey, seal

#: Plaintext bytes in every chunk but the last.
CHUNK: Final = 256 * limits.KIB
MIN_CHUNK: Final = limits.KIB
MAX_CHUNK: Final = limits.MIB
MAX_HEADER_BYTES: Final = 4 * limits.KIB
#: Bytes before the header that say how long it is, big-endian.
LENGTH_BYTES: Final = 4


class ReleaseHeader(Record, frozen=True, array_like=True):
    """What comes, and how to open it.

    ``decision``: id. ``name``: the pointer's leaf hash. ``media``: media type. ``size``: bytes of
    the record. ``chunk``: plaintext bytes in every chunk but the last. ``first``: number of the
    chunk that comes first. ``officer``: wire public key of who signs for the holder. ``sealed``:
    chunk key and salt, sealed to the reply key. ``signature``: over `header_digest`.
    """

    decision: str
    name: bytes
    media: str
    size: int
    chunk: int
    first: int
    officer: bytes
    sealed: bytes
    signature: bytes


def header_digest(chain: bytes, header: ReleaseHeader) -> bytes:
    """What the officer signs: the chain and everything in the header but the signature."""
    return hashing.RELEASE_HEADER(
        encode(
            (chain, header.decision, header.name, header.media, header.size, header.chunk,
             header.first, header.officer, header.sealed)
        )
    )  # fmt: skip


def chunks_of(size: int, chunk: int) -> int:
    """How many chunks a record has; an empty one has one."""
    return max(1, -(-size // chunk))


def is_chunk(number: int, size: int, chunk: int = CHUNK) -> bool:
    """Whether a record of that size has a chunk of that number."""
    return 0 <= number < chunks_of(size, chunk)


# --- the holder ----------------------------------------------------------------------------------


def seal_stream(
    chain: bytes,
    decision: str,
    reply_key: bytes,
    pointer: Pointer,
    salt: bytes,
    officer: SigningKey,
    pieces: Iterable[bytes],
    *,
    first: int = 0,
    chunk: int = CHUNK,
    entropy: Callable[[int], bytes] = secrets.token_bytes,
) -> Iterator[bytes]:
    """The answer in pieces: length and header, then chunk after chunk.

    Args:
        reply_key: of the decision.
        salt: of the record's digest.
        officer: key of a records officer of the holder.
        pieces: the record's bytes from byte ``first * chunk`` on, in pieces of any length.
        first: the chunk with which to begin.
        entropy: so many random bytes, for the key of the chunks.

    Raises:
        SealError: an unusable reply key; before anything is yielded.
        ValueError: the record has no such chunk, or the pieces do not have its length.
    """
    count = chunks_of(pointer.size, chunk)
    if not 0 <= first < count:
        raise ValueError("the record has no such chunk")
    name, secret = pointer.name(), entropy(KEY_SIZE)
    info = _info(chain, decision, name, pointer.size, chunk, officer.public)
    unsigned = ReleaseHeader(
        decision, name, pointer.media, pointer.size, chunk, first, officer.public,
        seal(reply_key, secret + salt, info), b"",
    )  # fmt: skip
    signature = officer.sign(header_digest(chain, unsigned))
    header = encode(
        ReleaseHeader(
            decision, name, pointer.media, pointer.size, chunk, first, officer.public,
            unsigned.sealed, signature,
        )
    )  # fmt: skip
    return _stream(header, ChunkKey(secret), pieces, first, count, pointer.size, chunk)


def _stream(
    header: bytes,
    key: ChunkKey,
    pieces: Iterable[bytes],
    first: int,
    count: int,
    size: int,
    chunk: int,
) -> Iterator[bytes]:
    yield len(header).to_bytes(LENGTH_BYTES, "big") + header
    number, waiting = first, bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= chunk and number < count - 1:
            yield key.seal(number, False, bytes(waiting[:chunk]))
            del waiting[:chunk]
            number += 1
        if len(waiting) > chunk:
            break
    # The last chunk is sealed once the source has come to its end, not before: whoever reads the
    # source may find only then that it is not what it was.
    if number != count - 1 or number * chunk + len(waiting) != size:
        raise ValueError("the record does not have the length that its pointer says")
    yield key.seal(number, True, bytes(waiting))


# --- the requester -------------------------------------------------------------------------------


class RecordOpener:
    """Opens an answer as it arrives. Feed it what comes; it gives the record's bytes back.

    Every piece it gives is authentic: sealed by who holds the chunk key of a header that an officer
    signed. Whether the whole is what the pointer commits to is known at the end: call `finish`.

    Args:
        key: the private half of the reply key in the permitted request.
        chain: id of the chain.
        decision: id of the decision that permitted it.
        pointer: what was asked for.
        officer: says whether a wire public key is that of a records officer of the holder. Without
            it any signature counts, and only the end tells whose record it was.
    """

    def __init__(
        self,
        key: SealingKey,
        chain: bytes,
        decision: str,
        pointer: Pointer,
        officer: Callable[[bytes], bool] | None = None,
    ) -> None:
        self._key = key
        self._chain = chain
        self._decision = decision
        self._pointer = pointer
        self._officer = officer
        self._waiting = bytearray()
        self._chunks: ChunkKey | None = None
        self._salt = b""
        self._chunk = 0
        self._hash = hashing.RECORD.begin()
        #: Number of the chunk that is needed next: with this one a broken transfer goes on.
        self.next = 0
        #: Whether all chunks have come.
        self.complete = False

    def resume(self) -> None:
        """Expect a new answer, which begins with chunk `next`."""
        self._waiting.clear()
        self._chunks = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The plaintext of the chunks that ``data`` completes.

        Raises:
            Malformed: not such an answer, or more of it than the record has.
            SealError: sealed to another key, for another chain, decision or record, or a chunk that
                is not the next.
            Mismatch: the header is about another record, or not signed by an officer.
        """
        self._waiting += data
        if self._chunks is None and not self._read_header():
            return
        assert self._chunks is not None
        while not self.complete:
            number, last = self.next, self.next == self._count - 1
            rest = self._pointer.size - number * self._chunk
            length = (rest if last else self._chunk) + TAG_SIZE
            if len(self._waiting) < length:
                return
            plain = self._chunks.open(number, last, bytes(self._waiting[:length]))
            del self._waiting[:length]
            self._hash.update(plain)
            self.next += 1
            self.complete = last
            yield plain
        if self._waiting:
            raise Malformed("an answer that goes on after its end")

    def finish(self) -> None:
        """Whether it was all, and the record.

        Raises:
            Malformed: chunks are missing.
            Mismatch: these are not the bytes to which the pointer commits; it has their digest.
        """
        if not self.complete:
            raise Malformed("an answer that is cut short")
        if not hashing.same(self.digest, self._pointer.digest):
            raise Mismatch("the record is not the one to which the pointer commits", self.digest)

    @property
    def salt(self) -> bytes:
        """The salt of the record's digest; empty before the first header has come."""
        return self._salt

    @property
    def digest(self) -> bytes:
        """The salted digest of the bytes that have come."""
        return self._hash.digest()

    @property
    def _count(self) -> int:
        return chunks_of(self._pointer.size, self._chunk)

    def _read_header(self) -> bool:
        if len(self._waiting) < LENGTH_BYTES:
            return False
        length = int.from_bytes(self._waiting[:LENGTH_BYTES], "big")
        if length > MAX_HEADER_BYTES:
            raise Malformed("the header of an answer is too long")
        if len(self._waiting) < LENGTH_BYTES + length:
            return False
        raw = bytes(self._waiting[LENGTH_BYTES : LENGTH_BYTES + length])
        header = decode(raw, ReleaseHeader, limit=MAX_HEADER_BYTES)
        del self._waiting[: LENGTH_BYTES + length]
        self._take_header(header)
        return True

    def _take_header(self, header: ReleaseHeader) -> None:
        if not MIN_CHUNK <= header.chunk <= MAX_CHUNK:
            raise Malformed("chunks of an impossible size")
        name, chunk = self._pointer.name(), header.chunk
        about = (header.decision, header.name, header.media, header.size)
        if about != (self._decision, name, self._pointer.media, self._pointer.size):
            raise Mismatch("the answer is about another record")
        if header.first != self.next or (self.next > 0 and chunk != self._chunk):
            raise Mismatch("the answer does not go on where it was asked to")
        digest = header_digest(self._chain, header)
        if not suites.verify(header.officer, digest, header.signature):
            raise Mismatch("the answer is not signed by whom it names")
        if self._officer is not None and not self._officer(header.officer):
            raise Mismatch("the answer is not signed by an officer of the holder")
        info = _info(self._chain, self._decision, name, header.size, chunk, header.officer)
        plain = self._key.open(header.sealed, info)
        if len(plain) != KEY_SIZE + SALT_SIZE:
            raise Malformed("neither a key nor a salt in the header of an answer")
        salt = plain[KEY_SIZE:]
        if self.next == 0:
            self._salt = salt
            self._hash = hashing.RECORD.begin()
            self._hash.update(salt)
        elif not hashing.same(salt, self._salt):
            raise Mismatch("the answer goes on with another record")
        self._chunk = chunk
        self._chunks = ChunkKey(plain[:KEY_SIZE])


def open_whole(raw: bytes, key: SealingKey, chain: bytes, decision: str, pointer: Pointer) -> bytes:
    """The bytes of a record from a whole answer; raises what `RecordOpener` raises."""
    opener = RecordOpener(key, chain, decision, pointer)
    content = b"".join(opener.feed(raw))
    opener.finish()
    return content


def _info(chain: bytes, decision: str, name: bytes, size: int, chunk: int, officer: bytes) -> bytes:
    """What the seal on the chunk key is for: a key for one thing opens nothing else."""
    return encode(("release", chain, decision, name, size, chunk, officer))
