"""``pseudonym``: files in, files out, and nothing of an id anywhere else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import Result
from typer.testing import CliRunner

from ledger.chain.ceremonies import study
from ledger.chain.codec import encode
from ledger.cli import pseudonym
from ledger.client.nationalid import check_character
from ledger.client.pseudonyms import is_pseudonym
from tests.support.contracts.amending import amended
from tests.support.pseudonym_net import Net, answers_of
from tests.unit.library.test_library_pseudonyms import study as register_study

IDS = [
    first + check_character(first)
    for first in ("61060219700101001", "61060219851231004", "11010519491231002")
]


class LocalClient:
    """A node's API, as the commands use it, over the members in this process."""

    def __init__(self, net: Net, name: str) -> None:
        self.net = net
        self.name = name

    def send(self, request: Any) -> Any:
        body = msgspec.json.decode(request.body) if request.body else {}
        if request.path.endswith("/evaluate"):
            elements = [bytes.fromhex(point) for point in body["elements"]]

            async def gather() -> Any:
                return await self.net.members[self.name].asker.gather(body["domain"], elements)

            return request.read(msgspec.json.encode(answers_of(asyncio.run(gather()))))
        assert request.path.endswith("/ceremonies")
        return request.read(msgspec.json.encode({"ceremony": self.net.open(body["domain"])}))

    def query(self, contract: str, method: str, /, **arguments: Any) -> Any:
        return self.net.world.asks(contract, method, **arguments)


@pytest.fixture
def net(tmp_path: Path) -> Net:
    made = Net(tmp_path / "net")
    made.play()
    return made


@pytest.fixture(autouse=True)
def at_county(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def connected(_url: str, _token: str | None) -> Iterator[LocalClient]:
        yield LocalClient(net, "county-1")

    monkeypatch.setattr(pseudonym, "connect", connected)
    # That entries are proven is tested with the statements themselves, and on running nodes.
    monkeypatch.setattr(pseudonym, "_proven_board", lambda _client, _genesis: net.board)


def run(*arguments: object) -> Result:
    told = [*map(str, arguments), "--url", "http://localhost"]
    if arguments[0] not in ("begin", "status"):
        told += ["--genesis", "genesis.json"]
    done: Any = CliRunner().invoke(pseudonym.group, told)
    assert not any(number in done.output for number in IDS)
    return done


def write(path: Path, ids: list[str]) -> Path:
    rows = [f"Patient/{place},{number}" for place, number in enumerate(ids)]
    path.write_text("\n".join(["reference,id", *rows]) + "\n")
    return path


def derived(tmp_path: Path, ids: list[str]) -> tuple[Path, dict[str, str]]:
    out = tmp_path / "subjects.json"
    done = run("derive", write(tmp_path / "in.csv", ids), "--out", out)
    assert done.exit_code == 0, done.output
    return out, json.loads(out.read_text())


def test_a_file_of_ids_becomes_one_of_pseudonyms(tmp_path: Path) -> None:
    _, found = derived(tmp_path, IDS)
    assert list(found) == ["Patient/0", "Patient/1", "Patient/2"]
    assert len(set(found.values())) == 3
    assert all(map(is_pseudonym, found.values()))


def test_rows_with_a_problem_end_it_with_the_answer_no(tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", [IDS[0], IDS[1][:17] + "Y"])
    done = run("derive", source, "--out", tmp_path / "out.json", "--json")
    assert done.exit_code == 1
    report = json.loads(done.stdout)
    assert (report["pseudonyms"], report["problems"]) == (1, {"characters": 1})


def test_what_the_quota_stops_goes_on_the_next_day(net: Net, tmp_path: Path) -> None:
    amended(net.world, "pseudonyms", quota=300)
    first = [
        f"610602{1900 + place // 28 % 100}02{place % 28 + 1:02}{place:03}" for place in range(300)
    ]
    source = write(tmp_path / "in.csv", [one + check_character(one) for one in first])
    amended(net.world, "pseudonyms", quota=256)
    stopped = run("derive", source, "--out", tmp_path / "out.json")
    assert stopped.exit_code == 3
    assert "good answers" in stopped.output
    assert not (tmp_path / "out.json").exists()
    net.world.later(86_400_000)
    done = run("derive", source, "--out", tmp_path / "out.json", "--json")
    assert done.exit_code == 0, done.output
    assert (json.loads(done.stdout)["resumed"], json.loads(done.stdout)["pseudonyms"]) == (256, 300)


def test_match_says_who_is_known_and_under_which_name(net: Net, tmp_path: Path) -> None:
    _, found = derived(tmp_path, IDS)
    names = list(found.values())
    for name in names[:2]:
        net.world.does(
            "county-clerk", "registry", "enrol", id=name, institution="county", roles=["patient"],
            keys=[],
        )  # fmt: skip
    net.world.does(
        "county-clerk,gao", "identity", "merge", survivor=names[0], duplicate=names[1],
        institution="county", form=bytes(32),
    )  # fmt: skip
    done = run("match", write(tmp_path / "m.csv", IDS), "--json")
    assert done.exit_code == 0, done.output
    matches = json.loads(done.stdout)["matches"]
    assert [(one["pseudonym"], one["home"], one["counts_as"]) for one in matches] == [
        (names[0], "county", names[0]), (names[1], "county", names[0]), (names[2], None, names[2]),
    ]  # fmt: skip


def test_a_study_gets_names_of_its_own(net: Net, tmp_path: Path) -> None:
    out, found = derived(tmp_path, IDS)
    register_study(net.world)
    net.play(study("S1"))
    done = run("study", "S1", out, "--out", tmp_path / "s1.json")
    assert done.exit_code == 0, done.output
    studied = json.loads((tmp_path / "s1.json").read_text())
    assert list(studied) == list(found)
    assert all(is_pseudonym(name, "s") for name in studied.values())
    assert not {name[2:] for name in studied.values()} & {name[2:] for name in found.values()}


def test_pseudonyms_are_carried_over_with_proofs_that_anybody_checks(
    net: Net, tmp_path: Path
) -> None:
    out, found = derived(tmp_path, IDS)
    amended(net.world, "pseudonyms", generation=2)
    net.play("patients.2")
    links, second = tmp_path / "links.jsonl", tmp_path / "second.json"
    done = run("carry", out, "--out", second, "--links", links, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    carried = json.loads(second.read_text())
    # From the ids it is the same.
    _, again = derived(tmp_path, IDS)
    assert again == carried
    assert again != found
    checked = run("check-links", links, "--json")
    assert json.loads(checked.stdout) == {
        "domain": "patients.2", "links": 3, "root": report["root"]
    }  # fmt: skip
    forged = links.read_text().replace(carried["Patient/0"], "p-" + "0" * 32)
    links.write_text(forged)
    refused = run("check-links", links)
    assert refused.exit_code == 1
    assert "line 1" in refused.output


def test_a_key_is_computed_again_by_whoever_wants_to(net: Net) -> None:
    done = run("check", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["reproduced"]
    epoch = dict(net.world.entry("pseudonyms/epochs/patients.1/1"))
    epoch["transcript"] = bytes(32)
    net.world.state[b"pseudonyms/epochs/patients.1/1"] = encode(epoch)
    assert run("check").exit_code == 1
    assert run("check", "patients.7").exit_code == 1


def test_a_ceremony_is_begun(net: Net) -> None:
    register_study(net.world)
    done = run("begin", "study.S1", "--json")
    assert json.loads(done.stdout) == {"ceremony": 2, "domain": "study.S1"}
