"""Two hospitals and a township centre make pseudonyms of national ids, on running nodes."""

from __future__ import annotations

import json
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import pytest
from consortium import Consortium, command, until

from ledger.chain.transaction import Call
from ledger.client.nationalid import check_character
from ledger.client.pseudonyms import ID_TAG
from ledger.crypto.oprf import voprf

#: Three people; the last one is in every hospital's file.
PEOPLE = ["11010519491231002X", "610602197001010013", "610602198512310044"]
IDS = [number[:17] + check_character(number[:17]) for number in PEOPLE]


def told(consortium: Consortium, node: str, *arguments: str) -> Any:
    done = command("pseudonym", *arguments, "--url", consortium.founding.urls[node], "--json")
    assert done.returncode == 0, done.stderr
    assert not any(number in done.stdout + done.stderr for number in IDS)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def key(consortium: Consortium) -> dict[str, Any]:
    """The key of patients, made by the validators when an observer's operator says so."""
    told(consortium, "centre-1", "begin")
    until(
        lambda: consortium.client("east-1").state("pseudonyms", "current/patients.1").present,
        "a key of pseudonyms",
    )
    until(
        lambda: consortium.client("centre-1").state("pseudonyms", "current/patients.1").present,
        "a key of pseudonyms at the observer",
    )
    found: dict[str, Any] = told(consortium, "centre-1", "status")["keys"][0]
    return found


def telling_forms(number: str) -> list[bytes]:
    """What would give a person away who can try out ids: the beginning of each is searched for."""
    text = number.encode()
    point = voprf.point_of(ID_TAG + text)
    hashes = [sha256(text).digest(), md5(text, usedforsecurity=False).digest(), point]
    return [text[:17], *(one[:16] for one in hashes), *(one.hex()[:32].encode() for one in hashes)]


def derived(consortium: Consortium, node: str, ids: list[str], where: Path) -> dict[str, str]:
    source, out = where / f"{node}.csv", where / f"{node}.json"
    rows = [f"Patient/{node}-{place},{number}" for place, number in enumerate(ids)]
    source.write_text("\n".join(["reference,id", *rows]) + "\n")
    genesis = str(consortium.home / "genesis.json")
    told(consortium, node, "derive", str(source), "--genesis", genesis, "--out", str(out))
    found: dict[str, str] = json.loads(out.read_text())
    return found


def test_hospitals_that_never_met_call_a_person_the_same(
    consortium: Consortium, key: dict[str, Any], tmp_path: Path
) -> None:
    assert (key["threshold"], len(key["holders"])) == (3, 4)
    east = derived(consortium, "east-1", IDS, tmp_path)
    west = derived(consortium, "west-1", IDS[1:], tmp_path)
    # The centre is connected to two validators only; its questions are passed on.
    centre = derived(consortium, "centre-1", [f" {IDS[2][:6]} {IDS[2][6:]} "], tmp_path)
    assert len(set(east.values())) == 3
    assert list(west.values()) == list(east.values())[1:]
    assert list(centre.values()) == list(east.values())[2:]
    # Nothing that a node has written gives anybody away: databases, vault, shares, logs.
    telling = [form for number in IDS for form in telling_forms(number)]
    for node in consortium.nodes:
        home = consortium.node_home(node)
        for path in (path for path in home.rglob("*") if path.is_file()):
            content = path.read_bytes()
            assert not any(form in content for form in telling), path


def test_an_outsider_computes_the_key_again(consortium: Consortium, key: dict[str, Any]) -> None:
    genesis = str(consortium.home / "genesis.json")
    report = told(consortium, "west-1", "check", "--genesis", genesis)
    assert (report["reproduced"], report["public"]) == (True, key["public"])


def test_shares_are_sealed_in_the_homes_of_validators_alone(
    consortium: Consortium, key: dict[str, Any]
) -> None:
    for node in consortium.nodes:
        boxes = list((consortium.node_home(node) / "pseudonyms").glob("share-*.box"))
        assert len(boxes) == (node in consortium.validators)
        assert all(box.stat().st_mode & 0o077 == 0 for box in boxes)
        # What the ceremony needed is gone, so that nobody can open what was said in it.
        assert not list((consortium.node_home(node) / "pseudonyms").glob("ceremony-*.box"))


def test_nobody_else_has_a_quota(consortium: Consortium, key: dict[str, Any]) -> None:
    call = Call("pseudonyms", "quota", {"institution": "nobody", "domain": "patients.1"})
    answer = consortium.client("east-1").query(call.contract, call.method, **call.arguments)
    assert answer == 0
