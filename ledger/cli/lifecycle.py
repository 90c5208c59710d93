"""``health-ledger contract propose`` and what follows: how contracts change by vote."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.cli.connection import Token, Url, connect
from ledger.cli.output import AsJson, ExitCode, console, expecting, fail, write_json
from ledger.cli.transaction import read_arguments, sign_and_send, signers, tell

if TYPE_CHECKING:
    from ledger.chain.codec import Value
    from ledger.client.http import Client

#: A query: contract, method, arguments, height, version.
Ask = Callable[..., "Value"]

NodeUrl = Annotated[str, typer.Option("--url", help="Base URL of a node.")]
StoreUrl = Annotated[
    str | None, typer.Option("--store", help="A node's store instead: its path or database URL.")
]
Home = Annotated[
    Path | None, typer.Option("--home", help="Network home, for keys of founding people.")
]
Persons = Annotated[
    list[str] | None, typer.Option("--as", help="Label or id of a person in --home.")
]
Keys = Annotated[list[Path] | None, typer.Option("--key", help="Key file.")]
Wait = Annotated[
    float, typer.Option("--wait", min=0, max=60, help="Seconds to wait until it is final.")
]
Institution = Annotated[
    str, typer.Option("--institution", help="For which institution, if the signer governs several.")
]
Number = Annotated[int, typer.Argument(min=1, help="Number of the proposal.")]
Name = Annotated[str, typer.Argument(help="Name of the contract.")]
WINDOW = 100


def propose(
    url: NodeUrl,
    name: Annotated[str, typer.Option(help="Name of the contract.")],
    reason: Annotated[str, typer.Option(help="Code of the reason, such as guideline.")],
    file: Annotated[
        Path | None, typer.Argument(help="The new wording.", exists=True, dir_okay=False)
    ] = None,
    words: Annotated[str, typer.Option(help="Why, in public words; no names.")] = "",
    activation: Annotated[
        str, typer.Option(help="Height of the change; +N for N blocks ahead; 0 for at once.")
    ] = "+1000",
    arguments: Annotated[
        str, typer.Option("--args", help="Arguments of a new contract's init: JSON, or @FILE.")
    ] = "{}",
    pause: Annotated[str | None, typer.Option(help="Pause it; others deny or skip.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="End its pause.")] = False,
    rollback: Annotated[int | None, typer.Option(min=1, help="Back to this version.")] = None,
    parameters: Annotated[
        str | None, typer.Option("--set", help="Its parameters: JSON, or @FILE.")
    ] = None,
    county: Annotated[str, typer.Option(help="With --set: for this county alone.")] = "",
    policies: Annotated[
        str | None, typer.Option(help="What access asks: entries with commas between.")
    ] = None,
    institution: Institution = "",
    home: Home = None,
    persons: Persons = None,
    keys: Keys = None,
    wait: Wait = 30,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Propose a new wording of a contract, or another change of it.

    With FILE a new contract or a new version; otherwise one of --pause, --resume, --rollback, --set
    and --policies. Every node checks a source before it can be proposed.
    """
    chosen = (file, pause, resume or None, rollback, parameters, policies)
    if sum(one is not None for one in chosen) != 1:
        fail(
            "give one of FILE, --pause, --resume, --rollback, --set and --policies", ExitCode.USAGE
        )
    accounts, chain = signers(home, persons or [], keys or [])
    with connect(url, token) as client:
        payload: dict[str, Any] = {"name": name}
        if file is not None:
            with expecting(OSError, UnicodeDecodeError):
                payload["source"] = file.read_text(encoding="utf-8")
            known = client.query("charter", "in_force", name=name)
            kind = "add_contract" if known is None else "change_contract"
            if known is None:
                payload["arguments"] = read_arguments(arguments)
        elif pause is not None:
            kind, payload["instead"] = "pause", pause
        elif resume:
            kind = "resume"
        elif rollback is not None:
            kind, payload["version"] = "rollback", rollback
        elif parameters is not None:
            kind = "set_parameters_of"
            payload |= {"county": county, "values": read_arguments(parameters)}
        else:
            assert policies is not None
            asked = [entry.strip() for entry in policies.split(",") if entry.strip()]
            kind, payload = "set_policies", {"policies": asked}
        named = {
            "kind": kind, "payload": payload, "activation": _height(activation, client),
            "reason": reason, "words": words, "institution": institution,
        }  # fmt: skip
        answer, tx_id = sign_and_send(
            client, chain, accounts, "charter", "propose", named,
            window=WINDOW, wait=wait, quiet=as_json,
        )  # fmt: skip
    tell(answer, tx_id, wait=wait, as_json=as_json)


def _height(text: str, client: Client) -> int:
    """A height, or so many blocks ahead of the newest."""
    try:
        number = int(text)
    except ValueError:
        fail(f"--activation: {text!r} is no height", ExitCode.USAGE)
    return int(client.status()["height"]) + number if text.startswith("+") else number


def vote(
    number: Number,
    url: NodeUrl,
    approve: Annotated[
        bool | None, typer.Option("--approve/--reject", help="For it, or against.")
    ] = None,
    report: Annotated[
        str, typer.Option(help="Hash of the impact report that this vote rests on.")
    ] = "",
    institution: Institution = "",
    home: Home = None,
    persons: Persons = None,
    keys: Keys = None,
    wait: Wait = 30,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Cast the vote of an institution on a proposal about contracts."""
    if approve is None:
        fail("say --approve or --reject", ExitCode.USAGE)
    named = {
        "proposal": number, "approve": approve, "institution": institution, "report": report,
    }  # fmt: skip
    _send(url, token, home, persons, keys, "vote", named, wait=wait, as_json=as_json)


def carry_out(
    number: Number,
    url: NodeUrl,
    home: Home = None,
    persons: Persons = None,
    keys: Keys = None,
    wait: Wait = 30,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Do what a decision has left to be done, once its height has come; anybody may."""
    named = {"proposal": number}
    _send(url, token, home, persons, keys, "carry_out", named, wait=wait, as_json=as_json)


def _send(
    url: str,
    token: str | None,
    home: Path | None,
    persons: list[str] | None,
    keys: list[Path] | None,
    method: str,
    arguments: dict[str, Any],
    *,
    wait: float,
    as_json: bool,
) -> None:
    accounts, chain = signers(home, persons or [], keys or [])
    with connect(url, token) as client:
        answer, tx_id = sign_and_send(
            client, chain, accounts, "charter", method, arguments,
            window=WINDOW, wait=wait, quiet=as_json,
        )  # fmt: skip
    tell(answer, tx_id, wait=wait, as_json=as_json)


@contextmanager
def asking(url: str | None, store: str | None, token: str | None) -> Iterator[Ask]:
    """Queries of a node, or of a store that a node may be writing to."""
    if (url is None) == (store is None):
        fail("give one of --url and --store", ExitCode.USAGE)
    if url is not None:
        with connect(url, token) as client:

            def ask(
                contract: str,
                method: str,
                arguments: dict[str, Any],
                height: int | None = None,
                version: int | None = None,
            ) -> Value:
                return client.query_version(
                    contract, method, arguments, height=height, version=version
                )

            yield ask
        return
    from ledger.audit.questions import QuestionFailed, StoreQuestions
    from ledger.chain.codec import Malformed
    from ledger.chain.database import StoreError
    from ledger.chain.store import Store

    assert store is not None
    with expecting(StoreError, Malformed, OSError, ValueError, LookupError, QuestionFailed):
        opened = Store.open(store, read_only=True)
        try:
            yield StoreQuestions(opened).ask
        finally:
            opened.close()


def versions(
    name: Name,
    url: Url = None,
    store: StoreUrl = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List the versions of a contract, which one holds from when, and what was decided about it."""
    with asking(url, store, token) as ask:
        found: Any = ask("charter", "history", {"name": name})
    if found is None:
        fail(f"there is no contract {name}", ExitCode.NO)
    if as_json:
        write_json(found)
        return
    out = console()
    for version in found["versions"]:
        by = f"proposal {version['proposal']}" if version["proposal"] else "the founders"
        out.print(f"version {version['version']}  {version['source'][:16]}…  by {by}")
    for entry in found["schedule"]:
        state = f", paused ({entry['paused']})" if entry["paused"] else ""
        state += f", waits for proposal {entry['due']}" if entry["due"] else ""
        out.print(f"from height {entry['from']}: version {entry['version']}{state}")
    for change in found["changes"]:
        what = f"proposal {change['proposal']}: {change['kind']}"
        out.print(f"decided at height {change['decided']}, {what}")


def show(
    name: Name,
    version: Annotated[
        int | None, typer.Option(min=1, help="Which one; without it the one in force.")
    ] = None,
    url: Url = None,
    store: StoreUrl = None,
    token: Token = None,
) -> None:
    """Print the source of a contract as it is on the chain."""
    with asking(url, store, token) as ask:
        number = version
        if number is None:
            entry: Any = ask("charter", "in_force", {"name": name})
            if entry is None:
                fail(f"there is no contract {name}", ExitCode.NO)
            number = entry["version"]
        text: Any = ask("charter", "source", {"name": name, "version": number})
    if text is None:
        fail(f"{name} has no version {number}", ExitCode.NO)
    typer.echo(text, nl=False)


def proposal(
    number: Number,
    url: Url = None,
    store: StoreUrl = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show a proposal about contracts: what, why, from when, and who has voted how."""
    from rich.markup import escape

    from ledger.chain.values import to_json

    with asking(url, store, token) as ask:
        found: Any = ask("charter", "proposal", {"number": number})
    if found is None:
        fail(f"there is no proposal {number}", ExitCode.NO)
    if as_json:
        write_json(to_json(found))
        return
    out, ballot = console(), found["ballot"]
    out.print(f"[bold]{found['kind']}[/] {escape(found['change']['name'])}: {found['status']}")
    out.print(f"  by {escape(found['by'])}, {found['reason']}: {escape(found['words'])}")
    out.print(f"  from height {found['activation'] or 'after the vote'}")
    for side in ("approve", "reject"):
        for institution in ballot[side]:
            report = ballot["reports"].get(institution, "")
            rests = f", on report {report[:16]}…" if report else ""
            out.print(f"  {side:8} {escape(institution)}{rests}")
    out.print(f"  of {len(ballot['voters'])} voters, under the rule {ballot['rule']}")
    if found["due"]:
        out.print("  to be carried out")


def call(
    name: Name,
    method: Annotated[str, typer.Argument(help="One of its query methods.")],
    arguments: Annotated[str, typer.Option("--args", help="JSON, or @FILE.")] = "{}",
    version: Annotated[
        int | None, typer.Option(min=1, help="This version, whatever is in force.")
    ] = None,
    height: Annotated[int | None, typer.Option(min=0, help="The state after this block.")] = None,
    url: Url = None,
    store: StoreUrl = None,
    token: Token = None,
) -> None:
    """Ask a contract, as it is, as it was at a height, or as another version would answer."""
    from ledger.chain.values import to_json

    with asking(url, store, token) as ask:
        answer = ask(name, method, read_arguments(arguments), height, version)
    write_json(to_json(answer))


def impact(
    store: Annotated[str, typer.Option("--store", help="A node's store: path or database URL.")],
    number: Annotated[int | None, typer.Option("--proposal", min=1, help="A proposal.")] = None,
    name: Annotated[str | None, typer.Option("--contract", help="With --source.")] = None,
    source: Annotated[
        Path | None, typer.Option(help="A wording that nobody has proposed.", dir_okay=False)
    ] = None,
    since: Annotated[int, typer.Option(min=1, help="First height.")] = 1,
    until: Annotated[int | None, typer.Option(min=1, help="Last height.")] = None,
    listed: Annotated[int, typer.Option("--list", min=0, help="How many to list.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Say which past decisions a change would have flipped; ends with 1 if that is not exact.

    The decisions are replayed from a store, which a node may be writing to.
    """
    from ledger.audit.impact import measure
    from ledger.audit.proposed import NotAChange, from_proposal, from_source
    from ledger.chain.codec import Malformed
    from ledger.chain.database import StoreError
    from ledger.chain.store import Store
    from ledger.cli.output import progress

    if (number is None) == (source is None) or (source is None) != (name is None):
        fail("give --proposal, or --contract with --source", ExitCode.USAGE)
    with (
        expecting(NotAChange, StoreError, Malformed, OSError, ValueError, LookupError),
        progress("Replaying", quiet=as_json) as advance,
    ):
        opened = Store.open(store, read_only=True)
        try:
            if number is not None:
                proposed = from_proposal(number, opened.value)
            else:
                assert name is not None
                assert source is not None
                text = source.read_text(encoding="utf-8")
                proposed = from_source(name, text, opened.value)
            found = measure(
                opened, proposed, since=since, until=until, listed=listed, progress=advance
            )
        finally:
            opened.close()
    if as_json:
        write_json(found.as_json())
    else:
        from ledger.cli.impact import show_impact

        show_impact(found)
    raise typer.Exit(ExitCode.GOOD if found.exact else ExitCode.NO)
