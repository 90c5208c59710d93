"""``health-ledger staff``: the people whose keys a node holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.cli.connection import Token, Url, connect
from ledger.cli.output import AsJson, ExitCode, console, expecting, fail, write_json
from ledger.cli.passphrase import passphrase_source
from ledger.cli.transaction import sign_and_send

if TYPE_CHECKING:
    from ledger.client.builder import Account
    from ledger.client.http import Client
    from ledger.node.custody import Custody
    from ledger.node.roll import StaffRoll
    from ledger.node.setup.home import NodeHome

WINDOW = 100

group = typer.Typer(help="People whose keys a node holds.", no_args_is_help=True)

Home = Annotated[Path, typer.Option(help="The node's home, with its node.toml.")]
Person = Annotated[str, typer.Option(help="Id of the person in the registry.")]
By = Annotated[str | None, typer.Option("--by", help="Registrar whose key the node holds, by id.")]
Key = Annotated[Path | None, typer.Option("--key", help="Key file of a registrar.")]
Logins = Annotated[
    list[str] | None,
    typer.Option("--login", help="What the identity provider calls the person; again for more."),
]
Insecure = Annotated[
    bool, typer.Option("--insecure-keys", help="Key in plain text. For demos and tests only.")
]
Wait = Annotated[float, typer.Option(min=1, max=60, help="Seconds to wait for the chain.")]


class _Staff:
    """The staff of one node home."""

    def __init__(self, home: Path) -> None:
        from ledger.node.custody import Custody
        from ledger.node.roll import StaffRoll
        from ledger.node.setup.home import load_home
        from ledger.node.setup.tomlfile import InvalidFile

        with expecting(InvalidFile):
            self.home: NodeHome = load_home(home)
        self.source = passphrase_source()
        self.custody: Custody = Custody(self.home.staff, self.source)
        self.roll: StaffRoll = StaffRoll(self.home.roll)

    def sealing(self, *, insecure: bool) -> str | None:
        """The passphrase for new key files: that of the node, or it could not open them."""
        from ledger.crypto.keyfile import KeyFileError

        if insecure:
            return None
        with expecting(KeyFileError):
            self.home.signing_key(self.source)
            return self.source()

    def registrar(self, by: str | None, key: Path | None) -> Account:
        from ledger.client.builder import Account
        from ledger.crypto.keyfile import KeyFileError, load_key
        from ledger.node.custody import NoHeldKey

        if (by is None) == (key is None):
            fail("give either --by or --key", ExitCode.USAGE)
        with expecting(KeyFileError, NoHeldKey):
            if by is not None:
                return Account(self.custody.key_of(by))
            assert key is not None
            return Account(load_key(key, self.source))

    def enter(self, person: str, logins: list[str] | None) -> None:
        from ledger.node.roll import RollUnusable

        with expecting(RollUnusable, ValueError, OSError):
            for login in logins or ():
                self.roll.enter(login, person)


def _submit(
    client: Client,
    registrar: Account,
    method: str,
    arguments: dict[str, Any],
    wait: float,
    undo: Callable[[], None] = lambda: None,
) -> None:
    """Call the registry; ``undo`` is called where it is certain that nothing came of it."""
    answer, tx_id = sign_and_send(
        client, None, [registrar], "registry", method, arguments,
        window=WINDOW, wait=wait, quiet=True,
    )  # fmt: skip
    if not answer.accepted:
        undo()
        fail(f"refused: {answer.code}: {answer.detail}", ExitCode.NO)
    if answer.outcome is None:
        fail(f"not final within {wait:g} seconds: {tx_id.hex()}", ExitCode.NO)
    if not answer.outcome.ok:
        undo()
        fail(f"failed: {answer.outcome.calls[0].error}", ExitCode.NO)


@group.command()
def add(
    home: Home,
    roles: Annotated[
        list[str] | None, typer.Option("--role", help="Role for the institution; again for more.")
    ] = None,
    logins: Logins = None,
    person: Annotated[
        str | None, typer.Option(help="Id for the person; a random one if absent.")
    ] = None,
    held: Annotated[
        Path | None,
        typer.Option("--take", help="Hold this key of a registered person instead of a new one."),
    ] = None,
    by: By = None,
    key: Key = None,
    url: Url = None,
    token: Token = None,
    wait: Wait = 30,
    insecure_keys: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Enter a member of staff into the registry, with a new key that the node holds.

    Safe to repeat with the same --person after a failure. With --take nothing is sent: the person
    is in the registry already, and the node holds her key from now on.
    """
    import secrets

    from ledger.crypto.keyfile import KeyFileError, load_key
    from ledger.crypto.keys import SigningKey, key_id
    from ledger.node.custody import NoHeldKey

    staff = _Staff(home)
    passphrase = staff.sealing(insecure=insecure_keys)
    if held is not None:
        if person is None or roles or by or key:
            fail("--take goes with --person and --login only", ExitCode.USAGE)
        with expecting(KeyFileError, NoHeldKey, OSError):
            taken = load_key(held, staff.source)
            staff.custody.take(person, taken, passphrase=passphrase)
        staff.enter(person, logins)
        _tell(person, key_id(taken.public), as_json=as_json)
        return
    if not roles:
        fail("give at least one --role", ExitCode.USAGE)
    registrar = staff.registrar(by, key)
    name = person or f"s-{secrets.token_hex(16)}"
    with expecting(NoHeldKey, OSError):
        if staff.custody.holds(name):
            own = staff.custody.key_of(name)
        else:
            own = SigningKey.generate()
            staff.custody.take(name, own, passphrase=passphrase)
    # The key is on the disk before the registry knows it, and the login is good only afterwards.
    with connect(url or staff.home.api_url, token) as client:
        known: Any = client.query("registry", "person", id=name)
        if known is None:
            arguments = {
                "id": name, "institution": staff.home.institution, "roles": roles,
                "keys": [key_id(own.public)],
            }  # fmt: skip
            _submit(client, registrar, "enrol", arguments, wait, lambda: staff.custody.drop(name))
        elif key_id(own.public) not in known["keys"]:
            staff.custody.drop(name)
            fail(f"{name} is in the registry with another key", ExitCode.NO)
    staff.enter(name, logins)
    _tell(name, key_id(own.public), as_json=as_json)


def _tell(person: str, public: str, *, as_json: bool) -> None:
    if as_json:
        write_json({"person": person, "key": public})
    else:
        console().print(f"The node holds a key for {person}.")


@group.command("list")
def list_(
    home: Home,
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List the people whose keys the node holds; with --url also what the registry says of them."""
    from rich.markup import escape
    from rich.table import Table

    from ledger.node.roll import RollUnusable

    staff = _Staff(home)
    with expecting(RollUnusable):
        logins = staff.roll.logins()
    entries: list[dict[str, Any]] = [
        {
            "person": person,
            "key": public.hex(),
            "logins": sorted(login for login, who in logins.items() if who == person),
        }
        for person, public in staff.custody.people().items()
    ]
    if url is not None:
        with connect(url, token) as client:
            for entry in entries:
                said = _standing(client, entry["person"], entry["key"], staff.home.institution)
                entry.update(said)
    if as_json:
        write_json({"staff": entries})
        return
    table = Table("person", "logins", "status", "roles", box=None)
    for entry in entries:
        roles = ", ".join(entry.get("roles", ()))
        table.add_row(
            entry["person"], escape(", ".join(entry["logins"])), entry.get("status", ""), roles
        )
    console().print(table)


def _standing(client: Client, person: str, key: str, institution: str) -> dict[str, Any]:
    found: Any = client.query("registry", "person", id=person)
    if found is None:
        return {"status": "unknown", "roles": []}
    status = found["status"] if key in found["keys"] else "another key"
    roles = [
        role
        for affiliation in found["affiliations"]
        if affiliation["institution"] == institution
        for role in affiliation["roles"]
    ]
    return {"status": status, "roles": roles}


@group.command()
def revoke(
    home: Home,
    person: Person,
    reason: Annotated[
        str, typer.Option(help="left, key-lost, key-stolen, misconduct or entered-in-error.")
    ] = "left",
    by: By = None,
    key: Key = None,
    url: Url = None,
    token: Token = None,
    wait: Wait = 30,
    as_json: AsJson = False,
) -> None:
    """End what a person may do for the institution, and hold her key no longer.

    A person of this institution is revoked in the registry; one of another institution, who only
    helps out here, keeps what she may do there.
    """
    from ledger.node.roll import RollUnusable

    staff = _Staff(home)
    registrar = staff.registrar(by, key)
    here = staff.home.institution
    # The login first: whatever happens to the rest, she does not sign in here any more.
    with expecting(RollUnusable, OSError):
        staff.roll.strike(person)
    with connect(url or staff.home.api_url, token) as client:
        found: Any = client.query("registry", "person", id=person)
        if found is None:
            fail(f"the registry knows nobody called {person}", ExitCode.NO)
        works = any(one["institution"] == here for one in found["affiliations"])
        if found["status"] == "active" and found["home"] == here:
            _submit(client, registrar, "revoke", {"id": person, "reason": reason}, wait)
        elif works and found["status"] == "active":
            ending = {"id": person, "institution": here, "roles": []}
            _submit(client, registrar, "affiliate", ending, wait)
    with expecting(OSError):
        staff.custody.drop(person)
    if as_json:
        write_json({"person": person, "revoked": True})
    else:
        console().print(f"{person} acts for {here} no more.")
