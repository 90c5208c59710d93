"""Archive files: what they hold, what is found in them, and everything that is refused."""

import hashlib
import struct
import tracemalloc

import pytest
import zstandard

from ledger.chain import archive, compressed
from ledger.chain.archive import Archive, Beginning, parse_name
from ledger.chain.archiveverifier import verify_archive
from ledger.chain.archivewriter import ArchiveWriter, write_archive
from ledger.chain.codec import Malformed, encode
from ledger.chain.handover import InvalidProof, Trust, handovers, verify_final
from ledger.chain.store import StoreUnusable
from tests.support.chain import HandmadeChain, key_of


@pytest.fixture
def chain(tmp_path):
    chain = HandmadeChain(tmp_path / "ledger.db")
    for size in (2, 0, 5, 1, 0, 3, 1):
        chain.append([chain.transaction() for _ in range(size)])
    yield chain
    chain.store.close()


@pytest.fixture
def trust(chain):
    return Trust(chain.chain, chain.founders)


@pytest.fixture
def file(chain, trust, tmp_path):
    path, _summary = write_archive(chain.store, tmp_path / "archive", 2, 6, trust)
    return path


def ids(chain, height):
    block = chain.store.block(height)
    return [archive.decode_result(raw).transaction for raw in chain.store.results(height)], block


def test_a_file_verifies_and_says_what_it_holds(file, trust):
    summary = verify_archive(file, trust)
    assert (summary.chain, summary.first, summary.last) == (trust.chain, 2, 6)
    assert summary.transactions == 9
    assert summary.size == file.stat().st_size


def test_its_name_says_chain_range_and_hash(file, trust):
    named = parse_name(file.name)
    digest = hashlib.sha256(file.read_bytes()[:-32]).hexdigest()
    assert (named.chain, named.first, named.last) == (trust.chain.hex()[:16], 2, 6)
    assert named.hash == digest[:32]


def test_only_its_owner_can_read_it(file):
    assert file.stat().st_mode & 0o077 == 0
    assert file.parent.stat().st_mode & 0o077 == 0


def test_every_block_is_found_in_it_as_it_was_stored(chain, file):
    with Archive(file) as opened:
        for height in range(2, 7):
            found = opened.block(height)
            stored = chain.store.block(height)
            assert (found.header, found.transactions) == (stored.header, stored.transactions)
            assert found.certificate == chain.store.certificate(height)
            assert found.results == chain.store.results(height)
        for height in (1, 7):
            with pytest.raises(LookupError):
                opened.block(height)


def test_every_transaction_is_found_in_it_and_no_other(chain, file):
    with Archive(file) as opened:
        for height in range(1, 8):
            for place, identity in enumerate(ids(chain, height)[0]):
                expected = (height, place) if 2 <= height <= 6 else None
                assert opened.find(identity) == expected
        assert opened.find(bytes(32)) is None
        assert opened.find(b"\xff" * 32) is None


def test_a_block_is_found_without_reading_the_rest(tmp_path, monkeypatch):
    chain = HandmadeChain(tmp_path / "large.db")
    for _ in range(60):
        chain.append([chain.transaction(calls=100) for _ in range(5)])
    path, summary = write_archive(chain.store, tmp_path, 1, 60, Trust(chain.chain, chain.founders))
    read = 0
    original = archive.ArchiveFile.read

    def counting(self, count):
        nonlocal read
        read += count
        return original(self, count)

    monkeypatch.setattr(archive.ArchiveFile, "read", counting)
    with Archive(path) as opened:
        assert opened.block(30).header.height == 30
    assert read < summary.size / 4
    chain.store.close()


def test_it_carries_the_handovers_to_the_validators_of_every_block(tmp_path):
    chain = HandmadeChain(tmp_path / "ledger.db")
    chain.append()
    chain.hand_over("n1", "n2", "n3", "n5")
    chain.append([chain.transaction()])
    chain.hand_over("n5", "n6", "n7", "n8")
    chain.append([chain.transaction()])
    trust = Trust(chain.chain, chain.founders)
    path, summary = write_archive(chain.store, tmp_path, 3, 5, trust)
    assert summary.transactions == 2
    with Archive(path) as opened:
        for height in range(3, 6):
            block = opened.block(height)
            leading = opened.handovers(height)
            assert leading == handovers(chain.store, height)
            verify_final(trust, block.header, block.certificate, leading)
    chain.store.close()


def test_it_is_of_no_use_to_somebody_with_another_genesis(file, chain, trust):
    with pytest.raises(InvalidProof, match="of the chain"):
        verify_archive(file, Trust(bytes(32), chain.founders))
    other = HandmadeChain(file.parent / "other.db", "n7", "n8", "n9", "n10")
    with pytest.raises(InvalidProof, match="validator set"):
        verify_archive(file, Trust(trust.chain, other.founders))
    other.store.close()


def test_a_second_writing_gives_the_same_file(chain, trust, file):
    before = file.read_bytes()
    again, _ = write_archive(chain.store, file.parent, 2, 6, trust)
    assert again == file
    assert file.read_bytes() == before
    file.unlink()
    anew, _ = write_archive(chain.store, file.parent, 2, 6, trust)
    assert anew == file
    assert file.read_bytes() == before


def test_a_range_that_the_store_does_not_hold_makes_no_file(chain, trust, tmp_path):
    with pytest.raises(StoreUnusable, match="no block 8"):
        write_archive(chain.store, tmp_path / "none", 5, 8, trust)
    assert list((tmp_path / "none").iterdir()) == []


def test_a_damaged_file_in_the_way_is_said_and_not_used(chain, trust, file):
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)
    with pytest.raises(StoreUnusable, match="blocks 2 to 6"):
        write_archive(chain.store, file.parent, 2, 6, trust)


def test_a_flipped_bit_is_noticed_wherever_it_is(file, trust, tmp_path):
    raw = file.read_bytes()
    for place in range(0, len(raw), 3):
        damaged = bytearray(raw)
        damaged[place] ^= 1 << place % 8
        path = tmp_path / "copy"
        path.write_bytes(damaged)
        with pytest.raises((Malformed, InvalidProof)):
            verify_archive(path, trust)


def test_every_truncation_is_noticed(file, trust, tmp_path):
    raw = file.read_bytes()
    path = tmp_path / "copy"
    for length in range(0, len(raw), 7):
        path.write_bytes(raw[:length])
        with pytest.raises((Malformed, InvalidProof)):
            verify_archive(path, trust)


def test_bytes_after_the_end_are_refused_even_under_a_good_trailer(file, trust, tmp_path):
    path = tmp_path / "copy"
    path.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(Malformed, match="after the end"):
        verify_archive(path, trust)


def test_a_wrong_name_is_noticed(file, trust):
    renamed = file.rename(file.with_name(file.name.replace("-000000000006-", "-000000000007-")))
    with pytest.raises(Malformed, match="name should be"):
        verify_archive(renamed, trust)


# Files made by somebody who knows the format: good hashes, good frames, false contents.


def forged(path, chain, blocks, *, first=None, last=None, leading=()):
    first = blocks[0].header.height if first is None else first
    last = blocks[-1].header.height if last is None else last
    with path.open("wb") as out:
        writer = ArchiveWriter(out, Beginning(chain, first, last, len(leading)), leading)
        for block in blocks:
            writer.add(block)
        writer.finish()
    return path


@pytest.fixture
def blocks(file):
    with Archive(file) as opened:
        return [opened.block(height) for height in range(2, 7)]


def refused(path, trust, kind, match):
    with pytest.raises(kind, match=match):
        verify_archive(path, trust)


def test_blocks_out_of_order_are_refused(blocks, trust, tmp_path):
    path = forged(tmp_path / "x", trust.chain, [blocks[0], blocks[2], blocks[1]], last=4)
    refused(path, trust, Malformed, "block 4 where block 3 is due")


def test_a_missing_block_is_refused(blocks, trust, tmp_path):
    path = forged(tmp_path / "x", trust.chain, blocks[:2], last=4)
    refused(path, trust, Malformed, "end too early")


def test_a_block_more_is_refused(blocks, trust, tmp_path):
    path = forged(tmp_path / "x", trust.chain, blocks[:3], last=3)
    refused(path, trust, Malformed, "records after the last one")


def test_another_transaction_is_refused(blocks, trust, tmp_path):
    changed = blocks[1]._replace(transactions=blocks[1].transactions[::-1])
    path = forged(tmp_path / "x", trust.chain, [changed])
    refused(path, trust, InvalidProof, "another transaction")
    changed = blocks[1]._replace(
        transactions=blocks[1].transactions[::-1], results=blocks[1].results[::-1]
    )
    path = forged(tmp_path / "x", trust.chain, [changed])
    refused(path, trust, InvalidProof, "not those certified")


def test_a_transaction_less_is_refused(blocks, trust, tmp_path):
    changed = blocks[1]._replace(
        transactions=blocks[1].transactions[:-1], results=blocks[1].results[:-1]
    )
    path = forged(tmp_path / "x", trust.chain, [changed])
    refused(path, trust, InvalidProof, "transactions of block 3 are not those certified")


def test_another_certificate_is_refused(blocks, trust, tmp_path):
    changed = blocks[0]._replace(certificate=blocks[1].certificate)
    path = forged(tmp_path / "x", trust.chain, [changed])
    refused(path, trust, InvalidProof, "for another block")


def test_handovers_that_lead_beyond_the_last_block_are_refused(tmp_path):
    chain = HandmadeChain(tmp_path / "ledger.db")
    chain.hand_over("n1", "n2", "n3", "n5")
    chain.append()
    trust = Trust(chain.chain, chain.founders)
    source, _ = write_archive(chain.store, tmp_path, 1, 1, trust)
    with Archive(source) as opened:
        block = opened.block(1)
    path = forged(tmp_path / "x", chain.chain, [block], leading=handovers(chain.store, 2))
    refused(path, trust, InvalidProof, "out of order")
    chain.store.close()


def wrapped(content, stored=None):
    """A file of one frame, given as the frame itself."""
    frame = content if stored is None else stored
    return archive.MAGIC + len(frame).to_bytes(4, "big") + frame + bytes(4)


def compressed_frame(data, **options):
    options = {"write_checksum": True, "write_content_size": True} | options
    return zstandard.ZstdCompressor(**options).compress(data)


def bomb_with_a_false_size():
    """A frame whose header says 1,000 bytes and whose content is a gigabyte of zeros."""
    block = struct.pack("<I", (128 * 1024 << 3) | 0b010)[:3] + b"\0"
    last = struct.pack("<I", (128 * 1024 << 3) | 0b011)[:3] + b"\0"
    header = bytes.fromhex("28b52ffd") + bytes([0b0110_0100]) + struct.pack("<H", 1000 - 256)
    return header + block * 8191 + last + bytes(4)


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (compressed_frame(bytes(2**30)), "a size that is not allowed"),
        (bomb_with_a_false_size(), "damaged"),
        (compressed_frame(bytes(64), write_checksum=False), "without checksum"),
        (compressed_frame(bytes(64), write_content_size=False), "a size that is not allowed"),
        (compressed_frame(b"x") * 2, "damaged"),
        (bytes.fromhex("502a4d18") + (8).to_bytes(4, "little") + bytes(8), "without checksum"),
        (b"no frame at all", "damaged"),
        (b"", "not in its frame"),
    ],
    ids=["bomb", "lying bomb", "no checksum", "no size", "two frames", "skippable", "junk", "none"],
)
def test_a_hostile_frame_is_refused_in_bounded_memory(frame, match, trust, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(wrapped(frame))
    del frame
    tracemalloc.start()
    try:
        refused(path, trust, Malformed, match)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


def test_a_frame_length_beyond_the_limit_is_not_read(trust, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(archive.MAGIC + b"\xff\xff\xff\xff" + bytes(64))
    refused(path, trust, Malformed, "at most")


def test_a_record_length_beyond_its_limit_is_not_read(trust, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(wrapped(compressed_frame(b"\xff\xff\xff\xff" + bytes(64))))
    refused(path, trust, Malformed, "a record of 4294967295 bytes")


def test_a_short_frame_before_the_last_is_refused(chain, trust, tmp_path):
    beginning = encode(Beginning(trust.chain, 1, 1, 0))
    frame = compressed_frame(len(beginning).to_bytes(4, "big") + beginning)
    stored = len(frame).to_bytes(4, "big") + frame
    path = tmp_path / "x"
    path.write_bytes(archive.MAGIC + stored + stored + bytes(4))
    refused(path, trust, Malformed, "short frame")


@pytest.mark.parametrize(
    ("first", "last", "leading"),
    [(0, 3, 0), (3, 2, 0), (1, archive.MAX_BLOCKS + 1, 0), (1, 2, 2**40), (1, 2, -1)],
)
def test_an_impossible_beginning_is_refused(first, last, leading, trust, tmp_path):
    beginning = encode(Beginning(trust.chain, first, last, leading))
    frame = compressed_frame(len(beginning).to_bytes(4, "big") + beginning)
    path = tmp_path / "x"
    path.write_bytes(wrapped(frame))
    refused(path, trust, Malformed, "heights|handovers")


def test_a_look_up_in_a_damaged_file_ends_in_a_typed_error(chain, file, tmp_path):
    raw = file.read_bytes()
    wanted = [identity for height in range(2, 7) for identity in ids(chain, height)[0]]
    path = tmp_path / "copy"
    for place in range(0, len(raw), 3):
        damaged = bytearray(raw)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        try:
            with Archive(path) as opened:
                opened.beginning()
                for height in range(opened.first, min(opened.last, opened.first + 9) + 1):
                    opened.block(height)
                for identity in wanted:
                    opened.find(identity)
        except Malformed:
            continue


def test_records_longer_than_a_piece_are_put_together_again():
    out = bytearray()
    writer = compressed.RecordWriter(out.extend, 0)
    records = [bytes([n % 251]) * n for n in (0, 1, 300_000, 5, compressed.PIECE, 700_001, 3)]
    places = []
    for record in records:
        places.append(writer.place())
        writer.put(record)
    assert writer.finish() == len(out)
    for start, place in enumerate(places):
        position = place.frame

        def read(count):
            nonlocal position
            position += count
            return bytes(out[position - count : position])

        reader = compressed.RecordReader(read, place)
        for expected, at in zip(records[start:], places[start:], strict=True):
            assert reader.place() == at
            assert reader.take(2**20) == expected
        reader.finish()
        assert position == len(out)


def test_a_key_that_signs_for_nobody_makes_no_good_archive(blocks, trust, tmp_path):
    stranger = key_of("stranger")
    signatures = blocks[0].certificate.signatures
    forged_one = type(signatures[0])(signatures[0].node, stranger.sign(b"anything"))
    certificate = type(blocks[0].certificate)(
        blocks[0].certificate.height,
        blocks[0].certificate.view,
        blocks[0].certificate.block,
        (forged_one, *signatures[1:]),
    )
    path = forged(tmp_path / "x", trust.chain, [blocks[0]._replace(certificate=certificate)])
    refused(path, trust, InvalidProof, "signature")
