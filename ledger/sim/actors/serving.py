"""Lies to those who catch up or come back: blocks, snapshots, statements and outcomes."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ledger.chain.block import (
    Block,
    Certificate,
    CommitSignature,
    commit_digest,
    decode_block,
    encode_block,
)
from ledger.chain.codec import Malformed, decode, encode
from ledger.chain.limits import MIB
from ledger.consensus.messages import encode_message
from ledger.node.net.frames import (
    Blocks,
    CertifiedBlock,
    Chunk,
    Heard,
    Manifest,
    NewHead,
    Outcome,
    Ping,
    Pong,
    Trail,
)
from ledger.sim.actors.coalition import with_header
from ledger.sim.actors.liar import Liar, Lie
from ledger.sim.actors.speech import Said

ANSWERS = (Blocks, Manifest, Chunk, Trail, Heard, Outcome)
#: Heights up to this far above the truth are claimed.
FAR = 2**40


def flipped(liar: Liar, data: bytes) -> bytes:
    """The bytes with one of them changed."""
    if not data:
        return liar.random.randbytes(16)
    place = liar.random.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << liar.random.randrange(8)]) + data[place + 1 :]


class FalseBlocks(Lie):
    """Answers those who ask for blocks with others, or with certificates that nobody gave."""

    def instead(self, liar: Liar, peer: str, said: Said) -> Sequence[Said]:
        if not isinstance(said, Blocks) or not said.blocks:
            return (said,)
        place = liar.random.randrange(len(said.blocks))
        try:
            false = self._false(liar, said.blocks[place])
        except Malformed:
            return (said,)
        if false is None:
            return (replace(said, blocks=said.blocks[:place]),)
        blocks = (*said.blocks[:place], false, *said.blocks[place + 1 :])
        return (replace(said, blocks=blocks),)

    def _false(self, liar: Liar, item: CertifiedBlock) -> CertifiedBlock | None:
        block = decode_block(item.block)
        certificate = decode(item.certificate, Certificate, limit=MIB)
        match liar.random.randrange(7):
            case 0:
                return None
            case 1:
                return replace(item, block=flipped(liar, item.block))
            case 2:
                return replace(item, certificate=flipped(liar, item.certificate))
            case 3:  # too few
                thin = replace(certificate, signatures=certificate.signatures[:-1])
                return replace(item, certificate=encode(thin))
            case 4:  # another block under a certificate that allies alone have signed
                return self._certified(liar, with_header(block, time=block.header.time + 1))
            case 5:  # other transactions under the true header
                swapped = Block(block.header, (*block.transactions, b"more"))
                return replace(item, block=encode_block(swapped))
            case _:
                return replace(item, certificate=liar.random.randbytes(40))

    def _certified(self, liar: Liar, block: Block) -> CertifiedBlock:
        header = block.header
        digest = commit_digest(header.chain, header.height, header.view, header.hash())
        signatures = tuple(
            CommitSignature(
                name,
                liar.world.nodes[name].key.sign(digest)
                if name in liar.coalition.names
                else liar.random.randbytes(64),
            )
            for name in sorted(liar.world.validators)
        )
        forged = Certificate(header.height, header.view, header.hash(), signatures)
        return CertifiedBlock(encode_block(block), encode(forged))


class FalseSnapshots(Lie):
    """Answers those who ask for a snapshot with spoiled parts of one."""

    def instead(self, liar: Liar, peer: str, said: Said) -> Sequence[Said]:
        if isinstance(said, Manifest | Chunk | Trail):
            content = liar.random.choice((b"", flipped(liar, said.content)))
            return (replace(said, content=content),)
        return (said,)


class FalseHeads(Lie):
    """Claims a chain that is much longer than it has, or none at all."""

    def instead(self, liar: Liar, peer: str, said: Said) -> Sequence[Said]:
        if isinstance(said, NewHead | Ping | Pong):
            far = liar.random.choice((1, 2, 100, FAR))
            height = liar.random.choice((0, said.height + far))
            return (replace(said, height=height),)
        return (said,)

    def speak(self, liar: Liar) -> None:
        height = liar.world.checker.height + liar.random.choice((1, 5, FAR))
        liar.say(NewHead(height, liar.random.randbytes(32)), *liar.peers)


class Deaf(Lie):
    """Answers no question of those who catch up."""

    def instead(self, liar: Liar, peer: str, said: Said) -> Sequence[Said]:
        return () if isinstance(said, ANSWERS) else (said,)


class FalseStatements(Lie):
    """Tells a validator that comes back less, or else, than it has heard from it."""

    def instead(self, liar: Liar, peer: str, said: Said) -> Sequence[Said]:
        if not isinstance(said, Heard):
            return (said,)
        height = said.height
        match liar.random.randrange(4):
            case 0:
                return (replace(said, statements=()),)
            case 1:  # its own words as if they were the other's
                own = liar.voice.prepare(height + 1, 0, liar.random.randbytes(32))
                return (replace(said, statements=(encode_message(own),)),)
            case 2:  # the other's name under a signature that it never gave
                forged = replace(
                    liar.voice.commit(height + 3, 0, liar.random.randbytes(32)), node=peer
                )
                return (replace(said, statements=(encode_message(forged),)),)
            case _:
                return (replace(said, height=liar.random.choice((0, height + FAR))),)


class FalseOutcomes(Lie):
    """Tells whoever asks another outcome of a block than it has computed."""

    def instead(self, liar: Liar, peer: str, said: Said) -> Sequence[Said]:
        if not isinstance(said, Outcome):
            return (said,)
        if liar.random.random() < 0.3:
            return (replace(said, results=(), writes=()),)
        writes = tuple((key, liar.random.randbytes(5)) for key, _ in said.writes)
        return (replace(said, writes=writes),)
