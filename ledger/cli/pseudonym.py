"""``pseudonym``: keys, and the files in which ids become pseudonyms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.cli.connection import Token, connect
from ledger.cli.output import AsJson, ExitCode, console, expecting, fail, progress, write_json

if TYPE_CHECKING:
    from ledger.chain.ceremonies import Board
    from ledger.client.http import Client
    from ledger.client.pseudonyms import Deriver

group = typer.Typer(
    name="pseudonym",
    help="Make pseudonyms of national ids, with a key that nobody holds alone.",
    no_args_is_help=True,
)

Url = Annotated[str, typer.Option(help="Base URL of your own node.")]
GenesisFile = Annotated[
    Path, typer.Option("--genesis", help="The genesis file, which is believed.")
]
Source = Annotated[Path, typer.Argument(help="CSV file with the columns reference,id.")]
Subjects = Annotated[Path, typer.Argument(help="JSON file: reference to pseudonym.")]
Out = Annotated[Path, typer.Option(help="File to write.")]


def _proven_board(client: Client, genesis: Path) -> Board:
    """The contract's board, every entry of which is proven against the genesis file."""
    from ledger.chain.ceremonies import CONTRACT, Board
    from ledger.chain.genesis import read_genesis
    from ledger.client.verify import check_entry, trust_in

    trust = trust_in(read_genesis(genesis))

    def read(key: bytes) -> bytes | None:
        rest = key.decode().removeprefix(CONTRACT + "/")
        entry = client.state(CONTRACT, rest, proof=True)
        check_entry(entry, trust, f"{CONTRACT}/{rest}")
        assert entry.statement is not None
        return entry.statement.value

    return Board(read, trust.chain)


def _deriver(client: Client, board: Board) -> Deriver:
    from ledger.client import pseudonyms

    return pseudonyms.Deriver(
        board.epoch, lambda domain, elements: client.send(pseudonyms.evaluate(domain, elements))
    )


def _generation(board: Board) -> int:
    """The newest generation of the key of patients that is there."""
    from ledger.chain.ceremonies import patients

    due = int(board.settings.get("generation", 1))
    return next((g for g in range(due, 0, -1) if board.epoch(patients(g)) is not None), due)


def _failures() -> Any:
    from ledger.chain.codec import Malformed
    from ledger.chain.handover import InvalidProof
    from ledger.client.pseudonyms import NotAnswered
    from ledger.client.subjects import BadFile

    return expecting(NotAnswered, BadFile, InvalidProof, Malformed, OSError)


@group.command()
def begin(
    url: Url,
    domain: Annotated[
        str, typer.Argument(help="patients.1 and so on by generation, or study.ID.")
    ] = "patients.1",
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Have the validators make the key of a domain, or share an old one anew."""
    from ledger.client import pseudonyms

    with connect(url, token) as client:
        number = client.send(pseudonyms.begin(domain))
    if as_json:
        write_json({"ceremony": number, "domain": domain})
    else:
        console().print(f"Ceremony {number} has begun; pseudonym status shows how far it is.")


@group.command()
def status(url: Url, token: Token = None, as_json: AsJson = False) -> None:
    """Show the keys, who holds them, and the ceremonies going on, as a node says."""
    from ledger.client import pseudonyms

    with connect(url, token) as client:
        found: dict[str, Any] = client.send(pseudonyms.overview())
    if as_json:
        write_json(found)
        return
    for key in found["keys"]:
        console().print(
            f"{key['domain']}  epoch {key['epoch']}  {key['threshold']} of {len(key['holders'])}: "
            f"{', '.join(key['holders'])}  quota {key['quota']} a day"
        )
    for ceremony in found["ceremonies"]:
        console().print(f"ceremony {ceremony['number']}  {ceremony['domain']}  {ceremony['stage']}")
    if not found["keys"] and not found["ceremonies"]:
        console().print("No key yet: pseudonym begin.")


@group.command()
def check(
    url: Url,
    genesis: GenesisFile,
    domain: Annotated[str, typer.Argument(help="The key to check.")] = "patients.1",
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Compute again, from what the chain keeps, a key and who holds it. Believes no node."""
    from ledger.chain.ceremonies import NotReproduced, check_epoch

    with connect(url, token) as client, _failures():
        board = _proven_board(client, genesis)
        epoch = board.epoch(domain)
        if epoch is None:
            fail(f"there is no key of {domain}", ExitCode.NO)
        try:
            found = check_epoch(board, epoch)
        except NotReproduced as error:
            fail(str(error), ExitCode.NO)
    report = {
        "domain": domain, "epoch": epoch.number, "public": epoch.holders.public.hex(),
        "threshold": epoch.holders.threshold, "holders": list(epoch.nodes.values()),
        "dealt": list(found.qualified), "left_out": dict(found.faulty), "reproduced": True,
    }  # fmt: skip
    if as_json:
        write_json(report)
    else:
        console().print(
            f"{domain}, epoch {epoch.number}: reproduced. {epoch.holders.threshold} of "
            f"{len(epoch.nodes)} hold it; dealt by {', '.join(found.qualified)}."
        )


@group.command()
def derive(
    source: Source,
    url: Url,
    genesis: GenesisFile,
    out: Out,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Make a file of pseudonyms of a file of national ids. Goes on where it stopped.

    The ids stay in this process. Rows with a problem are listed beside the output.
    """
    from ledger.client import subjects

    with connect(url, token) as client, _failures(), progress("ids", quiet=as_json) as bar:
        board = _proven_board(client, genesis)
        deriver, generation = _deriver(client, board), _generation(board)
        made = subjects.make(
            source,
            out,
            lambda numbers: deriver.patients(numbers, generation),
            told=lambda done: bar(done, 0),
        )
    if as_json:
        write_json(
            {
                "pseudonyms": made.done,
                "problems": made.problems,
                "resumed": made.resumed,
                "generation": generation,
                "left_today": deriver.left,
            }
        )
    else:
        wrong = sum(made.problems.values())
        console().print(f"{made.done} pseudonyms in {out}; {wrong} rows with a problem.")
    if made.problems:
        raise typer.Exit(ExitCode.NO)


@group.command()
def match(
    source: Source, url: Url, genesis: GenesisFile, token: Token = None, as_json: AsJson = False
) -> None:
    """Say of each id which pseudonym it has and who has entered it in the registry."""
    import csv

    from ledger.client.nationalid import BadNumber, normalised
    from ledger.client.subjects import BATCH, COLUMNS

    with connect(url, token) as client, _failures():
        board = _proven_board(client, genesis)
        deriver, generation = _deriver(client, board), _generation(board)
        with source.open(encoding="utf-8-sig", newline="") as stream:
            rows = [tuple(cells) for cells in csv.reader(stream)]
        if not rows or rows[0] != COLUMNS or any(len(row) != len(COLUMNS) for row in rows):
            fail(f"{source}: not CSV with the columns {','.join(COLUMNS)}")
        if len(rows) - 1 > BATCH:
            fail(f"at most {BATCH} ids at once; pseudonym derive takes more", ExitCode.USAGE)
        try:
            numbers = [normalised(number) for _reference, number in rows[1:]]
        except BadNumber as error:
            fail(f"{source}: a number that is none: {error}")
        names = deriver.patients(numbers, generation) if numbers else []
        found = []
        for (reference, _number), name in zip(rows[1:], names, strict=True):
            person: Any = client.query("registry", "person", id=name)
            same: Any = client.query("identity", "person", id=name)
            found.append(
                {
                    "reference": reference,
                    "pseudonym": name,
                    "home": person["home"] if person else None,
                    "counts_as": same["survivor"],
                }
            )
    if as_json:
        write_json({"generation": generation, "matches": found})
        return
    for entry in found:
        known = entry["home"] or "not in the registry"
        console().print(f"{entry['reference']}  {entry['pseudonym']}  {known}", markup=False)


@group.command()
def study(
    identity: Annotated[str, typer.Argument(metavar="STUDY", help="Id of the approved study.")],
    source: Subjects,
    url: Url,
    genesis: GenesisFile,
    out: Out,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Make the file of what patients are called in a study, for data that are given to it."""
    from ledger.client import subjects
    from ledger.client.subjects import BATCH
    from ledger.crypto.keyfile import write_private

    with connect(url, token) as client, _failures():
        board = _proven_board(client, genesis)
        deriver = _deriver(client, board)
        known = subjects.read_subjects(source)
        names = sorted(set(known.values()))
        studied: dict[str, str] = {}
        for start in range(0, len(names), BATCH):
            some = names[start : start + BATCH]
            studied.update(zip(some, deriver.of_study(some, identity), strict=True))
        _write_subjects(write_private, out, {ref: studied[name] for ref, name in known.items()})
    _said(as_json, {"study": identity, "pseudonyms": len(known)}, f"{len(known)} in {out}.")


@group.command()
def carry(
    source: Subjects,
    url: Url,
    genesis: GenesisFile,
    out: Out,
    links: Annotated[Path, typer.Option(help="File to write the proofs to.")],
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Carry pseudonyms over to the newest generation, with the proof for each.

    The source has those of the generation before. Needs no id.
    """
    from hashlib import sha256

    from ledger.client import pseudonyms, subjects
    from ledger.client.subjects import BATCH
    from ledger.crypto.keyfile import write_private

    with connect(url, token) as client, _failures():
        board = _proven_board(client, genesis)
        deriver, generation = _deriver(client, board), _generation(board)
        if generation < 2:
            fail("there is one generation only", ExitCode.USAGE)
        known = subjects.read_subjects(source)
        names = sorted(set(known.values()))
        carried: dict[str, str] = {}
        lines = []
        for start in range(0, len(names), BATCH):
            link = deriver.link(names[start : start + BATCH], generation)
            carried.update(zip(link.old, link.new, strict=True))
            lines.append(pseudonyms.write_link(link) + b"\n")
        content = b"".join(lines)
        write_private(links, content)
        _write_subjects(write_private, out, {ref: carried[name] for ref, name in known.items()})
    root = sha256(content).hexdigest()
    _said(
        as_json,
        {"generation": generation, "carried": len(names), "root": root},
        f"{len(names)} pseudonyms in {out}, proofs in {links}, SHA-256 {root}.",
    )


@group.command("check-links")
def check_links(
    links: Annotated[Path, typer.Argument(help="File of proofs that carry has written.")],
    url: Url,
    genesis: GenesisFile,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Check that the old and new pseudonyms of a file of proofs belong together."""
    from hashlib import sha256

    from ledger.chain.ceremonies import patients
    from ledger.client import pseudonyms

    count = 0
    with connect(url, token) as client, _failures():
        board = _proven_board(client, genesis)
        domain = patients(_generation(board))
        content = links.read_bytes()
        for number, line in enumerate(content.splitlines(), 1):
            link = pseudonyms.read_link(line)
            epoch = board.epoch(domain, link.epoch)
            try:
                if epoch is None:
                    raise pseudonyms.NotAnswered("the chain has no such epoch")
                pseudonyms.check_link(link, epoch)
            except pseudonyms.NotAnswered as error:
                fail(f"{links}, line {number}: {error}", ExitCode.NO)
            count += len(link.old)
    root = sha256(content).hexdigest()
    _said(
        as_json, {"domain": domain, "links": count, "root": root},
        f"{count} links hold; SHA-256 {root}.",
    )  # fmt: skip


def _write_subjects(write: Any, out: Path, subjects: dict[str, str]) -> None:
    from json import dumps

    write(out, dumps(subjects, ensure_ascii=False, indent=0).encode() + b"\n")


def _said(as_json: bool, report: dict[str, Any], sentence: str) -> None:
    if as_json:
        write_json(report)
    else:
        console().print(sentence, markup=False)
