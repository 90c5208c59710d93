"""``node renew-tls``, ``node rotate-key``, ``node new-ca`` and ``network join``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli.output import AsJson, ExitCode, console, expecting, fail, write_json
from ledger.cli.passphrase import passphrase_source

if TYPE_CHECKING:
    from ledger.node.setup.replacing import Sealing

Home = Annotated[Path, typer.Option(help="The node's home, with its node.toml.")]
Authority = Annotated[
    Path, typer.Option("--ca", help="Directory with the institution's ca.key and ca.crt.")
]
Insecure = Annotated[
    bool,
    typer.Option("--insecure-keys", help="Keys in plain text. For demos and tests only."),
]


def _sealing(*, insecure: bool) -> Sealing:
    from ledger.node.setup.replacing import Sealing

    return Sealing(None if insecure else passphrase_source()())


def renew_tls(
    home: Home,
    authority: Authority,
    days: Annotated[int, typer.Option(min=1, max=3650, help="For how long.")] = 730,
    hosts: Annotated[
        list[str] | None, typer.Option("--host", help="Name or address for the certificate.")
    ] = None,
    insecure_keys: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Give a node a new TLS key and certificate, from the CA of its institution.

    Needs no other node and no vote, also when the old certificate has run out. A running node takes
    the new files within seconds.
    """
    from ledger.crypto.keyfile import KeyFileError
    from ledger.node.setup import replacing
    from ledger.node.setup.home import load_home
    from ledger.node.setup.tomlfile import InvalidFile

    with expecting(InvalidFile, KeyFileError, OSError):
        found = load_home(home)
        until = replacing.renew_tls(
            found,
            authority,
            _sealing(insecure=insecure_keys),
            now=datetime.now(UTC),
            days=days,
            hosts=hosts or (),
        )
    if as_json:
        write_json({"node": found.node, "valid_until": int(until.timestamp() * 1000)})
    else:
        console().print(f"{found.node} has a TLS certificate until {until:%Y-%m-%d %H:%M} UTC.")


def rotate_key(
    home: Home,
    activation: Annotated[int, typer.Option(min=1, help="Height from which it signs.")],
    insecure_keys: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Make the signing key that is to take over from a height on, and say what to submit.

    The key waits as node.next.key in the home; the node changes over by itself. The transaction is
    signed by a governor of the node's institution.
    """
    from ledger.crypto.keyfile import KeyFileError
    from ledger.node.setup import replacing
    from ledger.node.setup.home import load_home
    from ledger.node.setup.tomlfile import InvalidFile

    with expecting(InvalidFile, KeyFileError, replacing.ReplacementRefused, OSError):
        found = load_home(home)
        public = replacing.next_signing_key(found, _sealing(insecure=insecure_keys))
    arguments = {"node": found.node, "key": public, "activation": activation}
    if as_json:
        write_json({"contract": "governance", "method": "rotate_key", "arguments": arguments})
        return
    from json import dumps

    console().print(f"The next key of {found.node} is in {found.next_key}. Now submit:")
    console().print(
        "  health-ledger tx submit --contract governance --method rotate_key "
        f"--args '{dumps(arguments)}' --key GOVERNOR.key --url URL --wait 30",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )


def new_ca(
    institution: Annotated[str, typer.Option(help="The institution's id.")],
    out: Annotated[Path, typer.Option(help="Directory to make.")],
    insecure_keys: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Make another CA for an institution; add.json beside it is what to submit."""
    from ledger.node.setup import replacing

    with expecting(replacing.ReplacementRefused, OSError):
        name = replacing.make_authority(
            institution, out, _sealing(insecure=insecure_keys), now=datetime.now(UTC)
        )
    if as_json:
        write_json({"institution": institution, "authority": name, "directory": str(out)})
    else:
        console().print(f"CA {name} in {out}. Now submit {out / 'add.json'}:", soft_wrap=True)
        console().print(
            "  health-ledger tx submit --contract authorities --method add "
            f"--args @{out / 'add.json'} --key GOVERNOR.key --url URL --wait 30",
            soft_wrap=True,
            highlight=False,
            markup=False,
        )


def join(
    node: Annotated[str, typer.Option(help="Id of the new node.")],
    institution: Annotated[str, typer.Option(help="Id of its institution.")],
    out: Annotated[Path, typer.Option(help="Home to make.")],
    genesis: Annotated[Path, typer.Option(help="The chain's genesis file, from any member.")],
    authority: Authority,
    peers: Annotated[
        list[str], typer.Option("--peer", help="Where another node listens, as id=host:port.")
    ],
    host: Annotated[str, typer.Option(help="Where it listens for other nodes.")] = "127.0.0.1",
    peer_port: Annotated[int, typer.Option(min=1, max=65_535)] = 7100,
    api_port: Annotated[int, typer.Option(min=1, max=65_535)] = 8100,
    insecure_keys: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Make the home of a node that joins an existing network.

    It can start at once and follows the chain as soon as the members have voted it in;
    add-node.json in the home is what a governor proposes.
    """
    from ledger.crypto.keyfile import KeyFileError
    from ledger.node.net.admission import PeerIdentity
    from ledger.node.setup import replacing

    addresses = dict(peer.partition("=")[::2] for peer in peers)
    if "" in addresses.values():
        fail("--peer is id=host:port", ExitCode.USAGE)
    with expecting(KeyFileError, replacing.ReplacementRefused, OSError):
        public = replacing.make_home(
            PeerIdentity(institution, node),
            out,
            genesis,
            authority,
            replacing.Place(host, peer_port, api_port, addresses),
            _sealing(insecure=insecure_keys),
            now=datetime.now(UTC),
        )
    if as_json:
        write_json({"node": node, "institution": institution, "key": public, "home": str(out)})
    else:
        console().print(f"Home of {node} in {out}. A governor proposes {out / 'add-node.json'}.")
