"""Records: that a record exists, who holds it, and whether it still counts. Never what it says.

A holder anchors the pointers of many records at once, as the root of a Merkle tree (RFC 9162); the
pointers themselves stay with the holder until somebody asks for one of them. A pointer's leaf hash
is the record's name. Nothing is ever removed: a record is superseded or marked as entered in error,
closed while a patient's request to destroy it runs, and destroyed in the end.
"""

from ledger.contracts.prelude import Map, call, caller, digest, emit, encode, export, height, init, merkle_root, now, query, require, signers

CLASSES = [
    "laboratory", "imaging", "ecg", "pathology", "note", "prescription", "referral",
    "immunization", "procedure", "condition", "encounter", "careplan", "claim", "other",
]
CONFIDENTIALITY = ["N", "R", "V"]
ERROR_REASONS = ["wrong-patient", "wrong-content", "duplicate", "withdrawn-by-author", "other"]

POINTER_FIELDS = 12
HASH_BYTES = 32
MAX_BATCH = 16777216
MAX_MEDIA = 128
LEAF_TAG = b"\x00"

batches = Map("batches")
singles = Map("single")
marks = Map("marks")


@init
def found() -> None:
    """Nothing to prepare."""


# --- What holders write ------------------------------------------------------------------------


@export
def anchor_many(holder: str, root: bytes, size: int) -> None:
    """A holder's records officer anchors `size` pointers by the root of their tree."""
    officer_of(holder)
    require(len(root) == HASH_BYTES, "bad_hash", "a root has 32 bytes")
    require(1 <= size and size <= MAX_BATCH, "bad_size", "a batch has 1 to 16,777,216 pointers")
    require((holder, root.hex()) not in batches, "already_anchored", "the batch is anchored")
    batches[holder, root.hex()] = {"size": size, "height": height(), "time": now()}
    emit("anchored", holder=holder, size=size)


@export
def anchor(pointer: dict) -> bytes:
    """A holder's records officer anchors one pointer; returns the record's name."""
    require(well_formed(pointer), "bad_pointer", "not a record pointer")
    officer_of(pointer["holder"])
    name = digest(LEAF_TAG + encode(pointer))
    require(name.hex() not in singles, "already_anchored", "the record is anchored")
    singles[name.hex()] = {"height": height(), "time": now()}
    emit("anchored", holder=pointer["holder"], size=1)
    return name


@export
def supersede(holder: str, old: bytes, new: bytes) -> None:
    """A holder says that one of its records is replaced by a newer one."""
    require(len(new) == HASH_BYTES and new != old, "bad_hash", "the newer record has another name")
    mark(holder, old, {"status": "superseded", "by": new, "reason": "", "height": height(), "time": now()})


@export
def mark_error(holder: str, name: bytes, reason: str) -> None:
    """A holder says that one of its records was entered in error, for a coded reason."""
    require(reason in ERROR_REASONS, "unknown_reason", "not a code of the list of reasons")
    mark(holder, name, {"status": "entered-in-error", "by": b"", "reason": reason, "height": height(), "time": now()})


def mark(holder: str, name: bytes, statement: dict) -> None:
    """Marks are kept under the holder who made them, so nobody can mark the record of another."""
    officer_of(holder)
    require(len(name) == HASH_BYTES, "bad_hash", "a record's name has 32 bytes")
    earlier = marks.get((holder, name.hex()))
    require(earlier is None or earlier["status"] != "entered-in-error", "already_in_error")
    if earlier is not None and "closed" in earlier:
        statement["closed"] = earlier["closed"]
    marks[holder, name.hex()] = statement
    emit("marked", holder=holder, record=name, status=statement["status"])


@export
def restrict(holder: str, name: bytes, how: str) -> None:
    """Close a record for a patient's request to destroy it, or open it again. For `erasure` alone."""
    require(caller() == "erasure", "erasure_only", "patients ask for that")
    mark = marks.get((holder, name.hex()))
    if mark is None:
        mark = {"status": "anchored", "by": b"", "reason": "", "height": height(), "time": now()}
    if how == "":
        del mark["closed"]
    else:
        mark["closed"] = {"how": how, "height": height(), "time": now()}
    marks[holder, name.hex()] = mark


def officer_of(holder: str) -> None:
    call("registry", "acting", key=signers()[0], institution=holder, roles=["records-officer"])


# --- What others ask ---------------------------------------------------------------------------


@query
def find(pointer: dict, proof: dict) -> dict:
    """Whether a pointer is anchored, and whether the record still counts.

    `proof` is empty for a record anchored alone, else {"root", "index", "size", "path"}. The
    status is anchored, superseded, entered-in-error, restricted (its destruction is asked for),
    destroyed or unknown; "by" names the newer record; "version" is the height since which that is
    so, 0 for an unknown record.
    """
    require(well_formed(pointer), "bad_pointer", "not a record pointer")
    leaf = encode(pointer)
    name = digest(LEAF_TAG + leaf)
    found = anchor_of(pointer["holder"], leaf, name, proof)
    if found is None:
        return {"status": "unknown", "name": name, "by": b"", "version": 0}
    mark = marks.get((pointer["holder"], name.hex()))
    if mark is None:
        return {"status": "anchored", "name": name, "by": b"", "version": found["height"]}
    if "closed" in mark and (mark["status"] == "anchored" or mark["closed"]["how"] == "destroyed"):
        return {"status": mark["closed"]["how"], "name": name, "by": b"", "version": mark["closed"]["height"]}
    return {"status": mark["status"], "name": name, "by": mark["by"], "version": mark["height"]}


@query
def mark_of(holder: str, name: bytes) -> dict:
    """What a holder has said of a record since it was anchored: status and the newer record's name."""
    mark = marks.get((holder, name.hex()))
    return {"status": "anchored", "by": b""} if mark is None else {"status": mark["status"], "by": mark["by"]}


def anchor_of(holder: str, leaf: bytes, name: bytes, proof: dict) -> dict | None:
    """The entry under which a pointer was anchored, alone or in a batch, or nothing."""
    if len(proof) == 0:
        return singles.get(name.hex())
    root = merkle_root(leaf, proof["index"], proof["size"], proof["path"])
    if root is None or root != proof["root"]:
        return None
    batch = batches.get((holder, root.hex()))
    return batch if batch is not None and batch["size"] == proof["size"] else None


def well_formed(pointer: dict) -> bool:
    """Whether a pointer has the twelve fields of one, each of its kind and within bounds."""
    return (
        len(pointer) == POINTER_FIELDS
        and pointer["kind"] in CLASSES
        and pointer["confidentiality"] in CONFIDENTIALITY
        and pointer["subject"].startswith("p-")
        and 0 < len(pointer["holder"])
        and len(pointer["media"]) <= MAX_MEDIA
        and 0 <= pointer["size"]
        and pointer["start"] <= pointer["end"]
        and len(pointer["digest"]) == HASH_BYTES
        and len(pointer["type"]) == HASH_BYTES
        and len(pointer["labels"]) == HASH_BYTES
        and len(pointer["replaces"]) in [0, HASH_BYTES]
    )
