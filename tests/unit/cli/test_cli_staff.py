"""Staff and operators of a node from the command line."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest
from joserfc.jwk import ECKey
from typer.testing import CliRunner

from ledger.api.signin.operators import Operators
from ledger.api.signin.refusal import Refused
from ledger.chain.transaction import Call
from ledger.cli.main import app
from ledger.client.builder import Account, build
from ledger.crypto import keyfile
from ledger.node.custody import Custody, NoHeldKey
from ledger.node.journal import Journal
from ledger.node.roll import StaffRoll


@pytest.fixture
def home(consortium, tmp_path: Path) -> Path:
    """East's node home, to be written into."""
    place = tmp_path / "east-1"
    shutil.copytree(consortium.home / "nodes" / "east-1", place)
    return place


@pytest.fixture
def registrar(consortium) -> str:
    people = consortium.people
    return str(people.key_path(people["east-governor"]))


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result.output


def add(home: Path, url: str, *more: str, code: int = 0) -> dict:
    output = run(
        "staff", "add", "--home", str(home), "--url", url, "--insecure-keys", "--json", *more,
        code=code,
    )  # fmt: skip
    return json.loads(output) if code == 0 else {}


def held(home: Path) -> Custody:
    return Custody(home / "staff", str)


def test_a_new_member_of_staff_is_in_the_registry_with_a_key_that_the_node_holds(
    home, node_url, registrar, service
):
    made = add(home, node_url, "--role", "nurse", "--login", "E 17", "--key", registrar)
    assert held(home).key_of(made["person"]).public.hex() == made["key"]
    assert StaffRoll(home / "staff" / "roll.json").person_of("E 17") == made["person"]
    told = json.loads(run("staff", "list", "--home", str(home), "--url", node_url, "--json"))
    assert told["staff"] == [{**made, "logins": ["E 17"], "status": "active", "roles": ["nurse"]}]
    assert "E 17" in run("staff", "list", "--home", str(home))


def test_a_registrar_of_the_staff_enters_others(home, node_url, registrar):
    clerk = add(home, node_url, "--role", "registrar", "--key", registrar)["person"]
    nurse = add(home, node_url, "--role", "nurse", "--by", clerk)["person"]
    assert set(held(home).people()) == {clerk, nurse}


def test_an_addition_that_was_interrupted_is_repeated_with_the_same_key(home, node_url, registrar):
    name = "s-" + "7" * 32
    asked = ("--person", name, "--role", "nurse", "--key", registrar)
    first = add(home, node_url, *asked, "--login", "E1")
    assert add(home, node_url, *asked, "--login", "E2") == first
    assert sorted(StaffRoll(home / "staff" / "roll.json").logins()) == ["E1", "E2"]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("--role", "doctor", "--key", "REGISTRAR"), 1),
        (("--role", "nurse", "--key", "PHYSICIAN"), 1),
        (("--role", "nurse"), 2),
        (("--key", "REGISTRAR"), 2),
        (("--role", "nurse", "--by", "nobody"), 3),
        (("--take", "PHYSICIAN"), 2),
    ],
)
def test_what_the_registry_refuses_signs_nobody_in(
    home, node_url, registrar, consortium, more, code
):
    people = consortium.people
    paths = {
        "REGISTRAR": registrar, "PHYSICIAN": str(people.key_path(people["east-physician"]))
    }  # fmt: skip
    add(home, node_url, *(paths.get(word, word) for word in more), "--login", "E1", code=code)
    assert StaffRoll(home / "staff" / "roll.json").logins() == {}
    assert held(home).people() == {}


def test_a_login_belongs_to_one_person(home, node_url, registrar):
    first = add(home, node_url, "--role", "nurse", "--login", "E1", "--key", registrar)["person"]
    add(home, node_url, "--role", "nurse", "--login", "E1", "--key", registrar, code=3)
    assert StaffRoll(home / "staff" / "roll.json").person_of("E1") == first


def test_a_founding_persons_key_is_taken_into_custody(home, consortium):
    person = consortium.people["east-physician"]
    run(
        "staff", "add", "--home", str(home), "--take", str(consortium.people.key_path(person)),
        "--person", person.id, "--login", "E1", "--insecure-keys",
    )  # fmt: skip
    assert held(home).key_of(person.id).public.hex() == person.public


def test_who_leaves_is_ended_in_the_registry_on_the_roll_and_in_custody(home, node_url, registrar):
    person = add(home, node_url, "--role", "nurse", "--login", "E1", "--key", registrar)["person"]
    asked = ("--home", str(home), "--person", person, "--url", node_url, "--key", registrar)
    run("staff", "revoke", *asked)
    assert StaffRoll(home / "staff" / "roll.json").logins() == {}
    with pytest.raises(NoHeldKey):
        held(home).key_of(person)
    run("staff", "revoke", *asked)  # again does no harm
    assert json.loads(run("staff", "list", "--home", str(home), "--json"))["staff"] == []


def test_keys_of_staff_are_sealed_with_the_passphrase_of_the_node(
    home, node_url, registrar, monkeypatch
):
    monkeypatch.setattr(keyfile, "PASSES", 1)
    monkeypatch.setattr(keyfile, "MEMORY_BYTES", 8192)
    monkeypatch.setenv("HEALTH_LEDGER_PASSPHRASE", "of the node")
    output = run(
        "staff", "add", "--home", str(home), "--url", node_url, "--json", "--role", "nurse",
        "--key", registrar,
    )  # fmt: skip
    person = json.loads(output)["person"]
    assert Custody(home / "staff", lambda: "of the node").key_of(person)
    with pytest.raises(NoHeldKey):
        Custody(home / "staff", lambda: "another").key_of(person)


# --- operators ---------------------------------------------------------------------------------


def test_an_operators_token_is_shown_once_and_can_be_replaced(home):
    running = Operators(home / "signin" / "operators.json")
    first = run("operators", "renew", "watch", "--role", "monitor", "--home", str(home)).strip()
    assert running.principal(first).roles == ("monitor",)
    assert first not in (home / "signin" / "operators.json").read_text()
    second = run("operators", "renew", "watch", "--keep-old", "--home", str(home)).strip()
    assert running.principal(first) is not None
    assert running.principal(second).roles == ("monitor",)
    assert "two tokens" in run("operators", "list", "--home", str(home))
    third = run("operators", "renew", "watch", "--role", "security", "--home", str(home)).strip()
    assert running.principal(third).roles == ("security",)
    for old in (first, second):
        with pytest.raises(Refused):
            running.principal(old)
    run("operators", "dismiss", "watch", "--home", str(home))
    with pytest.raises(Refused):
        running.principal(third)
    run("operators", "dismiss", "watch", "--home", str(home), code=1)


@pytest.mark.parametrize(
    "asked", [("api", "--role", "monitor"), ("Watch", "--role", "monitor"), ("watch",),
              ("watch", "--role", "root")],
)  # fmt: skip
def test_operators_have_plain_names_and_known_roles(home, asked):
    run("operators", "renew", *asked, "--home", str(home), code=3)
    assert json.loads(run("operators", "list", "--home", str(home), "--json"))["operators"] == []


# --- systems -----------------------------------------------------------------------------------


def test_a_system_is_registered_and_removed(home, tmp_path):
    public = ECKey.generate_key("P-384", {"kid": "k"}).as_dict(private=False)
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [public]}))
    own = ("--home", str(home))
    scope = ("--scope", "system/*.rs")
    run("systems", "register", "pacs", *scope, "--jwks", str(tmp_path / "keys.json"), *own)
    run("systems", "register", "ris", *scope, "--jwks-url", "https://ris.example/keys", *own)
    told = json.loads(run("systems", "list", "--json", *own))["systems"]
    assert [(one["system"], one["institution"]) for one in told] == [
        ("pacs", "east"), ("ris", "east"),
    ]  # fmt: skip
    assert "https://ris.example/keys" in run("systems", "list", *own)
    run("systems", "remove", "ris", *own)
    run("systems", "remove", "ris", *own, code=1)
    run("systems", "register", "x", "--scope", "user/*.rs", "--jwks-url", "https://x.example/k",
        *own, code=3)  # fmt: skip
    assert len(json.loads(run("systems", "list", "--json", *own))["systems"]) == 1


# --- the log -----------------------------------------------------------------------------------


def test_a_log_is_held_against_itself_and_against_its_marks(tmp_path, node_url, service):
    directory = tmp_path / "log"
    journal = Journal(directory, lambda: 7)
    journal.add("signed-in", who="a")
    mark = {"log": "sign-in", "entries": 1, "hash": journal.head.hash}
    asyncio.run(marked(service, [Call("journals", "mark", mark)]))
    journal.add("signed-in", who="b")
    own = ("--node", "east-1", "--url", node_url)
    told = json.loads(run("audit", "journal", str(directory), *own, "--json"))
    assert (told["whole"], told["entries"], told["marks"]) == (True, 2, 1)
    assert "2 entries" in run("audit", "journal", str(directory))
    (path,) = directory.iterdir()
    path.unlink()
    forged = Journal(directory, lambda: 7)
    for who in "xyz":
        forged.add("signed-in", who=who)
    assert "3 entries" in run("audit", "journal", str(directory))
    assert "another hash" in run("audit", "journal", str(directory), *own, code=1)
    run("audit", "journal", str(directory), "--url", node_url, code=2)
    run("audit", "journal", str(tmp_path / "nothing"), code=3)


async def marked(service, calls) -> None:
    node = Account(service._keys["east-1"])
    made = build(service.chain, service.head().height, 100, calls, [node])
    await service.submit([made.raw])
    await service.wait(made.id, 1)
    assert service.outcome(made.id)[2].ok
