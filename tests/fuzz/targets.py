"""What is fuzzed: every decoder that meets bytes from outside, with what counts as an answer.

A target's ``run`` returns, whatever the bytes are: it catches the typed errors that its decoder
documents and nothing else. What a decoder lets through is used as the product uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from ledger.chain import exchange, limits, snapshot, supplier
from ledger.chain.block import (
    Certificate,
    Header,
    InvalidCertificate,
    check_header,
    decode_block,
    encode_block,
    verify_certificate,
)
from ledger.chain.codec import Malformed, decode, decode_value, encode
from ledger.chain.compression import compress, decompress
from ledger.chain.export import Export, write_export
from ledger.chain.genesis import decode_genesis, encode_genesis
from ledger.chain.handover import InvalidProof, Trust
from ledger.chain.receipt import (
    InvalidReceipt,
    build_receipt,
    dump_receipt,
    load_receipt,
    verify_receipt,
)
from ledger.chain.result import decode_result
from ledger.chain.snapshot import Introduction, InvalidSnapshot
from ledger.chain.statetree import StateProof, verify_state_proof
from ledger.chain.tiles import decode_tile
from ledger.chain.transaction import decode_transaction, verify_signatures
from ledger.consensus.effects import CheckBlock, Decide, Effect
from ledger.consensus.messages import (
    Commit,
    Message,
    NewView,
    Prepare,
    PrePrepare,
    ViewChange,
    decode_message,
    encode_message,
)
from ledger.contracts import checker
from ledger.contracts.sources import library_source
from ledger.crypto.hashing import HASH_SIZE
from ledger.fhir.consent import Directory, import_consent
from ledger.fhir.records import InvalidResource, describe, parse_resource
from ledger.node.net import frames
from ledger.node.net.frames import FrameError, FrameReader, decode_frame, encode_frame
from ledger.node.sync import read_certified
from tests.support import voices
from tests.support.chain import HandmadeChain, key_of
from tests.support.puppets import Puppets

EXAMPLES: Final = Path(__file__).parents[2] / "ledger" / "data" / "hl7-r4-examples"


@dataclass(frozen=True)
class Target:
    """``seeds`` makes good inputs to start from."""

    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]


@dataclass(frozen=True)
class Samples:
    """Real objects of a small chain that changed its validators once."""

    chain: HandmadeChain
    folder: TemporaryDirectory[str]

    @property
    def transactions(self) -> list[bytes]:
        return [raw for block, _, _ in self.chain.store.blocks() for raw in block.transactions]


@cache
def samples() -> Samples:
    folder = TemporaryDirectory(prefix="fuzz-")
    chain = HandmadeChain(Path(folder.name) / "chain.db")
    first = chain.transaction(calls=2)
    chain.append([first, chain.transaction("alice", "bob")], {b"records/a": encode(1)})
    chain.hand_over("n2", "n3", "n4", "n5")
    chain.append([chain.transaction()], {b"records/b": encode("two"), b"records/a": None})
    return Samples(chain, folder)


# Chain


def _header(raw: bytes) -> None:
    try:
        check_header(decode(raw, Header, limit=limits.MIB))
    except Malformed:
        return


def _block(raw: bytes) -> None:
    try:
        block = decode_block(raw)
    except Malformed:
        return
    assert encode_block(block) == raw
    block.header.hash()


def _certificate(raw: bytes) -> None:
    chain = samples().chain
    try:
        certificate = decode(raw, Certificate, limit=limits.MIB)
        verify_certificate(chain.head, certificate, chain.validators)
    except (Malformed, InvalidCertificate):
        return


def _transaction(raw: bytes) -> None:
    try:
        transaction = decode_transaction(raw)
    except Malformed:
        return
    assert transaction.raw == raw
    verify_signatures(transaction)


def _result(raw: bytes) -> None:
    try:
        decode_result(raw)
    except Malformed:
        return


def _value(raw: bytes) -> None:
    try:
        value = decode_value(raw, limit=limits.MAX_STATE_VALUE_BYTES)
    except Malformed:
        return
    assert encode(value) == raw


def _genesis(raw: bytes) -> None:
    try:
        genesis = decode_genesis(raw)
    except Malformed:
        return
    genesis.chain_id()


def _receipt(raw: bytes) -> None:
    chain = samples().chain
    try:
        verify_receipt(load_receipt(raw), chain.chain, chain.founders)
    except (Malformed, InvalidReceipt, InvalidProof):
        return


def _receipts() -> Iterable[bytes]:
    store = samples().chain.store
    for raw in samples().transactions:
        receipt = build_receipt(store, decode_transaction(raw).id)
        assert receipt is not None
        yield dump_receipt(receipt)


def _proof(raw: bytes) -> None:
    chain = samples().chain
    try:
        proof = decode(raw, StateProof, limit=limits.MIB)
    except Malformed:
        return
    for value in (None, encode("two")):
        verify_state_proof(chain.head.state_root, b"records/b", value, proof)


def _proofs() -> Iterable[bytes]:
    chain = samples().chain
    for key in (b"records/a", b"records/b", b"governance/validators"):
        yield encode(chain.tree.prove(key, chain.head.height))


def _tile(raw: bytes) -> None:
    try:
        decode_tile(raw, 3, lambda _height: raw)
    except Malformed:
        return


def _tiles() -> Iterable[bytes]:
    store = samples().chain.store
    for height in range(4):
        raw = store.tile(b"", height)
        if raw is not None:
            yield raw


def _export(raw: bytes) -> None:
    with TemporaryDirectory(prefix="fuzz-") as folder:
        path = Path(folder) / "export"
        path.write_bytes(raw)
        try:
            with Export(path) as export:
                export.genesis.chain_id()
                for _ in export:
                    pass
        except Malformed:
            return


def _exports() -> Iterable[bytes]:
    path = Path(samples().folder.name) / "export"
    write_export(samples().chain.store, path)
    yield path.read_bytes()


def _requests() -> Iterable[bytes]:
    key, chain = key_of("alice"), samples().chain.chain
    yield encode(exchange.ask_release(key, chain, "hospital-n1", "ab-0", b"receipt"))
    yield encode(exchange.ask_pointers(key, chain, "hospital-n1", "p-1", bytes(32)))
    yield encode(exchange.ask_enquiry(key, chain, "hospital-n1", "p-1", "ab-0", b"receipt"))


def _exchange(raw: bytes) -> None:
    for read in (
        exchange.decode_release_request,
        exchange.decode_pointer_request,
        exchange.decode_enquiry_request,
    ):
        try:
            exchange.is_signed(read(raw))
        except Malformed:
            continue


# Peers


def _frames(raw: bytes) -> None:
    """A stream of bytes as a connection hears it, cut into two pieces anywhere."""
    reader = FrameReader(limits.MAX_FRAME_BYTES, first_limit=frames.MAX_HELLO_BYTES)
    cut = raw[0] if raw else 0
    try:
        for piece in (raw[1 : 1 + cut], raw[1 + cut :]):
            for payload in reader.feed(piece):
                _frame(decode_frame(payload))
    except (FrameError, Malformed):
        return


def _frame(frame: frames.Frame) -> None:
    match frame:
        case frames.Consensus(message):
            assert encode_message(decode_message(message)) == message
        case frames.Transactions(envelopes):
            for envelope in envelopes:
                decode_transaction(envelope)
        case frames.Blocks(start, blocks):
            for height, item in enumerate(blocks, start):
                read_certified(item, height)
        case frames.Manifest(content=content):
            _manifest(decompress(content, snapshot.MAX_MANIFEST_BYTES))
        case frames.Chunk(path=path, content=content):
            _chunk(bytes(32) + path + decompress(content, snapshot.MAX_CHUNK_BYTES))
        case frames.Trail(content=content):
            _trail(decompress(content, snapshot.MAX_TRAIL_BYTES))


def _manifest(raw: bytes) -> None:
    chain = samples().chain
    try:
        Introduction(Trust(chain.chain, chain.founders), chain.head.height).take(raw)
    except InvalidSnapshot:
        return


def _chunk(raw: bytes) -> None:
    """A chunk behind the hash that it should have."""
    try:
        snapshot.read_chunk(raw[HASH_SIZE:], b"", raw[:HASH_SIZE])
    except InvalidSnapshot:
        return


def _trail(raw: bytes) -> None:
    try:
        snapshot.read_trail(raw, samples().chain.head.height, samples().chain.chain)
    except InvalidSnapshot:
        return


def _pieces() -> dict[str, bytes]:
    """What a store supplies of a snapshot of its newest block."""
    store, head = samples().chain.store, samples().chain.head
    found = {
        "manifest": supplier.manifest(store, head.height, 0),
        "chunk": supplier.chunk(store, head.height, b""),
        "trail": supplier.trail(store, head.height, 3),
    }
    return {
        name: head.state_root + raw if name == "chunk" else raw
        for name, raw in found.items()
        if raw is not None
    }


def _streams() -> Iterable[bytes]:
    chain = samples().chain
    block, certificate = chain.store.block(1), chain.store.certificate(1)
    assert block is not None
    hello = encode_frame(frames.Hello(1, chain.chain, "n1", 3))
    item = frames.CertifiedBlock(encode_block(block), encode(certificate))
    others: list[frames.Frame] = [
        frames.Transactions(tuple(samples().transactions)),
        frames.GetBlocks(1, 10),
        frames.Blocks(1, (item,)),
        frames.NewHead(3, chain.head.hash()),
        frames.Manifest(3, 0, compress(_pieces()["manifest"])),
        frames.Chunk(3, b"", compress(_pieces()["chunk"][HASH_SIZE:])),
        frames.Trail(3, compress(_pieces()["trail"])),
        frames.Ping(3, 1_000),
        frames.Pong(4, 1_000),
        *(frames.Consensus(encode_message(message)) for message in _messages()),
    ]
    for frame in others:
        yield b"\x20" + hello + encode_frame(frame)


@cache
def _messages() -> tuple[Message, ...]:
    puppets = Puppets()
    block = puppets.block()
    changes = [puppets.change(node, prepared=puppets.certificate(block)) for node in ("n0", "n1")]
    return (
        puppets.propose(block),
        puppets.prepare("n1", block),
        puppets.prepare("n2", block),
        puppets.commit("n1", block),
        puppets.commit("n2", block),
        puppets.change("n1", prepared=puppets.certificate(block), block=block),
        puppets.change("n3"),
        puppets.new_view(block, "n2", [*changes, puppets.change("n3")]),
    )


def _core(raw: bytes) -> None:
    """What up to three lying validators say, signed by them, one message after the other."""
    try:
        said = decode(raw, tuple[tuple[str, bool, bytes], ...], limit=limits.MIB)
    except Malformed:
        return
    puppets = Puppets()
    _answer(puppets, puppets.begin())
    for peer, signed, encoded in said[:24]:
        try:
            message = decode_message(encoded)
        except Malformed:
            continue
        if signed and message.node in ("n1", "n2", "n3"):
            message = _resigned(message)
        for each in puppets.give(message) if message.node == peer else ():
            _answer(puppets, [each])
        puppets.status.explain()


def _answer(puppets: Puppets, effects: Iterable[Effect]) -> None:
    for effect in effects:
        if isinstance(effect, CheckBlock):
            _answer(puppets, puppets.checked(effect.block))
        elif isinstance(effect, Decide):
            assert effect.certificate.block == effect.block.header.hash()


def _resigned(message: Message) -> Message:
    match message:
        case PrePrepare(block=block) if block is not None:
            return voices.pre_prepare(message.node, message.height, message.view, block)
        case Prepare():
            return voices.prepare(message.node, message.height, message.view, message.digest)
        case Commit():
            return voices.commit(message.node, message.height, message.view, message.digest)
        case ViewChange():
            return voices.view_change(
                message.node, message.height, message.view, message.prepared, message.block
            )
        case NewView(pre_prepare, departures, prepared) if pre_prepare.node in ("n1", "n2", "n3"):
            proposal = _resigned(pre_prepare)
            assert isinstance(proposal, PrePrepare)
            spoken = tuple(
                voices.departure(left.node, message.height, message.view, left.claim)
                if left.node in ("n1", "n2", "n3")
                else left
                for left in departures
            )
            return NewView(proposal, spoken, prepared)
    return message


def _conversations() -> Iterable[bytes]:
    said = [(message.node, True, encode_message(message)) for message in _messages()]
    yield encode(tuple(said))
    yield encode(tuple(said[:5]))
    yield encode(tuple(said[5:]))
    for one in said:
        yield encode((one,))


# Contracts and FHIR


def _contract(raw: bytes) -> None:
    for problem in checker.check(raw.decode("utf-8", "surrogateescape")):
        assert problem.code
        assert problem.line >= 0


def _contracts() -> Iterable[bytes]:
    for name in ("recognition", "referral", "records"):
        yield library_source(name).encode()


_DIRECTORY: Final = Directory()


def _resource(raw: bytes) -> None:
    try:
        resource = parse_resource(raw)
        describe(resource)
    except InvalidResource:
        return
    import_consent(resource, _DIRECTORY)


def _resources() -> Iterable[bytes]:
    for path in sorted(EXAMPLES.rglob("Consent-*.json")):
        yield path.read_bytes()
    for path in sorted(EXAMPLES.rglob("Observation-*.json"))[:6]:
        yield path.read_bytes()


def _stored(height: int) -> bytes:
    block = samples().chain.store.block(height)
    assert block is not None
    return encode_block(block)


TARGETS: Final[dict[str, Target]] = {
    target.name: target
    for target in (
        Target("header", _header, lambda: [encode(samples().chain.head)]),
        Target("manifest", _manifest, lambda: [_pieces()["manifest"]]),
        Target("chunk", _chunk, lambda: [_pieces()["chunk"]]),
        Target("trail", _trail, lambda: [_pieces()["trail"]]),
        Target("block", _block, lambda: [_stored(height) for height in range(4)]),
        Target("certificate", _certificate, lambda: [encode(samples().chain.store.certificate(3))]),
        Target("transaction", _transaction, lambda: samples().transactions),
        Target(
            "result",
            _result,
            lambda: [raw for _, _, raws in samples().chain.store.blocks() for raw in raws],
        ),
        Target("value", _value, lambda: [encode({"a": [1, None, b"x", {"b": "c"}], "d": True})]),
        Target("genesis", _genesis, lambda: [encode_genesis(samples().chain.genesis)]),
        Target("receipt", _receipt, _receipts),
        Target("state-proof", _proof, _proofs),
        Target("tile", _tile, _tiles),
        Target("export", _export, _exports),
        Target("exchange", _exchange, _requests),
        Target("frames", _frames, _streams),
        Target("core", _core, _conversations),
        Target("contract", _contract, _contracts),
        Target("resource", _resource, _resources),
    )
}
