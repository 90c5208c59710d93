"""A study of any size goes from source to requester without either side having it in memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.budget import STUDY_MIB

MIB = 1 << 20
#: How much more memory at its peak one process may have that does both sides' part, in MiB.
ROOM = 48

PROGRAM = """
import json, resource, sys
from pathlib import Path

from ledger.chain.streaming import RecordOpener, seal_stream
from ledger.crypto.keys import SigningKey
from ledger.crypto.sealing import SealingKey
from ledger.node.vault.connector import DirectoryConnector
from ledger.node.vault.vault import Vault

root, size = Path(sys.argv[1]), int(sys.argv[2])
source = root / "records"
source.mkdir()
document = {
    "resourceType": "DocumentReference", "subject": {"reference": "Patient/1"},
    "content": [{"attachment": {"url": "study.dcm"}}],
}
(source / "document.json").write_text(json.dumps(document))
vault = Vault.open(root / "vault.db", DirectoryConnector(source))
(source / "study.dcm").write_bytes(b"DICM")
vault.take_in({"Patient/1": "p-" + "1" * 32}, "east", now=0)
chain, reply, officer = bytes(32), SealingKey.generate(), SigningKey(bytes(32))


def transfer():
    (entry,) = [each for each in vault.entries() if each.source == "study.dcm"]
    opener = RecordOpener(reply, chain, "d-0", entry.pointer)
    received = 0
    while not opener.complete:
        with vault.retrieve(entry) as record:
            answer = seal_stream(
                chain, "d-0", reply.public, entry.pointer, entry.salts.digest, officer,
                record.pieces(opener.next * 2**18), first=opener.next,
            )
            for number, piece in enumerate(answer):
                for plain in opener.feed(piece):
                    received += len(plain)
                if opener.next == 100 and number == 100:
                    break
        opener.resume()
    opener.finish()
    return received


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


transfer()
before = peak()
with (source / "study.dcm").open("r+b") as file:
    file.truncate(size)
    file.seek(size // 2)
    file.write(b"in the middle")
report = vault.take_in({"Patient/1": "p-" + "1" * 32}, "east", now=1)
print(json.dumps({"changed": report.changed, "received": transfer(), "grew": peak() - before}))
"""


def test_a_large_study_is_hashed_sealed_resumed_and_opened_in_bounded_memory(
    tmp_path: Path,
) -> None:
    size = STUDY_MIB * MIB
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(size)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(run.stdout)
    assert (found["changed"], found["received"]) == (1, size)
    assert found["grew"] < ROOM
