"""``health-ledger demo``: start the consortium, play the story, let an outsider check it."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from ledger.audit.report import AuditReport
from ledger.audit.source import open_store
from ledger.audit.verify import verify_chain
from ledger.chain.codec import Malformed
from ledger.chain.exchange import Mismatch
from ledger.chain.genesis import read_genesis
from ledger.chain.store import StoreError
from ledger.client.http import NodeRefused, NodeUnreachable
from ledger.demo.consortium import play as play_scenario
from ledger.demo.narration import Language, Narrator
from ledger.demo.stage import Stage, Unexpected, set_up
from ledger.demo.story import Story
from ledger.node.fleet import Fleet, NodeFailed
from ledger.node.setup.config import NetworkConfig, load_config
from ledger.node.setup.founding import Founding, FoundingRefused, node_home
from ledger.node.setup.home import load_home
from ledger.node.setup.tomlfile import InvalidFile
from ledger.scenario.catalogue import folder, scenario_of
from ledger.scenario.checking import faults
from ledger.scenario.language import Scenario
from ledger.scenario.parser import InvalidScenario, load_scenario
from ledger.scenario.player import Unmet
from ledger.scenario.scaling import load_small

GOOD, NO, COULD_NOT_RUN = 0, 1, 3
DEFAULT_CONFIG = "yanan.toml"
#: Nodes that follow in the demo of a scenario, beside the four that decide.
FOLLOWERS = 1
#: How long its nodes may take to start: each founds thousands of members before it answers.
READY_SECONDS = 300


class _Stopped(BaseException):
    """SIGTERM or SIGINT came: leave, stopping everything on the way out."""


def main(
    *,
    config: Path | None,
    home: Path | None,
    once: bool,
    language: Language,
    as_json: bool,
) -> int:
    """Run the demo; the exit code.

    Args:
        config: network configuration, whose scenario is played if one stands beside it; by default
            the Yan'an consortium, with the story of the records.
        home: an empty or new directory for the network; a temporary one by default.
        once: end after the story instead of staying up.
        as_json: print one object at the end, and the narration on standard error.
    """
    console = Console(stderr=as_json, highlight=False, soft_wrap=True)
    error = Console(stderr=True, highlight=False, soft_wrap=True)
    started = time.monotonic()
    try:
        network, scenario = _configuration(config)
        with _signals(), _place(home) as place:
            founding = _found(network, place, console, language)
            homes = {
                node: node_home(founding.home, node)
                for node in (*founding.validators, *founding.observers)
            }
            with Fleet(homes, founding.urls) as fleet:
                tell = Narrator(language, lambda line: console.print(line, markup=False))
                if scenario is not None:
                    report = _play_scenario(network, scenario, founding, fleet, tell)
                else:
                    report = _play(network, founding, fleet, tell)
                report["seconds"] = round(time.monotonic() - started, 1)
                if as_json:
                    sys.stdout.write(json.dumps(report) + "\n")
                    sys.stdout.flush()
                if not once:
                    tell("staying")
                    signal.pause()
                return GOOD if report["agree"] and report["audit"]["verified"] else NO
    except _Stopped:
        Narrator(language, lambda line: console.print(line, markup=False))("stopped")
        return GOOD
    except Unmet as otherwise:
        error.print(f"demo: {otherwise}", markup=False)
        return NO
    except (
        InvalidFile,
        InvalidScenario,
        FoundingRefused,
        NodeFailed,
        NodeRefused,
        NodeUnreachable,
        Unexpected,
        Malformed,
        Mismatch,
        StoreError,
        OSError,
    ) as failure:
        error.print(f"demo: {failure}", markup=False)
        return COULD_NOT_RUN


def _configuration(path: Path | None) -> tuple[NetworkConfig, Scenario | None]:
    """What is played: a scenario, where one stands beside the file, on a network made small for it;
    otherwise the story of the demo on the network as it is."""
    if path is None:
        return load_config(folder() / DEFAULT_CONFIG), None
    beside = scenario_of(path)
    if beside is None:
        return load_config(path), None
    network, scenario = load_small(path, followers=FOLLOWERS), load_scenario(beside)
    wrong = faults(scenario, network)
    if wrong:
        raise Unexpected("\n".join(wrong))
    return network, scenario


@contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM and SIGINT leave through every ``finally``, so that no process is left behind."""

    def stop(_number: int, _frame: object) -> None:
        raise _Stopped

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _place(home: Path | None) -> Iterator[Path]:
    if home is not None:
        yield home
        return
    with tempfile.TemporaryDirectory(prefix="health-ledger-demo-") as directory:
        yield Path(directory) / "network"


def _found(network: NetworkConfig, place: Path, console: Console, language: Language) -> Founding:
    tell = Narrator(language, lambda line: console.print(line, markup=False))
    tell(
        "founding",
        title=tell.name(network.network.title, network.network.title_zh),
        institutions=len(network.institutions),
        people=len(network.people),
    )
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("")

        def progress(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=what)

        return set_up(network, place, progress)


def _play_scenario(
    network: NetworkConfig,
    scenario: Scenario,
    founding: Founding,
    fleet: Fleet,
    tell: Narrator,
) -> dict[str, Any]:
    """The scenario, and then what every demo ends with: all nodes agree, an outsider verifies."""
    tell(
        "small",
        members=f"{len(network.institutions):,}",
        nodes=len(fleet.homes),
    )
    fleet.start()
    fleet.wait_ready(seconds=READY_SECONDS)
    tell("home", home=founding.home)
    stage = Stage(founding, network, fleet)
    try:
        played = play_scenario(scenario, stage, tell)
        height, state_root, agree = Story(stage, tell).agreement()
        tell("scene_audit")
        report = _audit(founding, (founding.observers or founding.validators)[-1], tell)
        return {
            "network": founding.network,
            "validators": len(founding.validators),
            "observers": len(founding.observers),
            "height": height,
            "state_root": state_root,
            "agree": agree,
            "steps": played.steps,
            "steps_left_to_the_simulator": played.left,
            "permits": dict(played.permits),
            "denies": dict(played.denies),
            "refusals": dict(played.refusals),
            "audit": {
                "verified": report.verified,
                "blocks": report.blocks,
                "transactions": report.transactions,
            },
        }
    finally:
        stage.close()


def _play(
    network: NetworkConfig, founding: Founding, fleet: Fleet, tell: Narrator
) -> dict[str, Any]:
    validators, observers = founding.validators, founding.observers
    tell(
        "starting",
        nodes=len(fleet.homes),
        validators=len(validators),
        observers=len(observers),
    )
    fleet.start()
    fleet.wait_ready()
    for place in network.nodes():
        member = next(item for item in network.institutions if item.id == place.institution)
        name = tell.name(member.name, member.name_zh)
        tell("node", node=place.id, institution=name, url=founding.urls[place.id])
    tell("home", home=founding.home)
    stage = Stage(founding, network, fleet)
    try:
        story = Story(stage, tell)
        story.anchoring()
        story.recognition()
        victim = story.kill_proposer()
        story.referral()
        story.consent_and_withdrawal()
        story.revive(victim)
        story.break_glass()
        story.stranger()
        story.official_consents()
        story.tampering()
        height, state_root, agree = story.agreement()
        tell("scene_audit")
        report = _audit(founding, (observers or validators)[-1], tell)
        story.offline_receipt()
        return {
            "network": founding.network,
            "validators": len(validators),
            "observers": len(observers),
            "height": height,
            "state_root": state_root,
            "agree": agree,
            "records_anchored": story.tally.records_anchored,
            "consents_active": story.tally.consents_active,
            "consents_refused": story.tally.consents_refused,
            "permits": story.tally.permits,
            "denies": story.tally.denies,
            "break_glass": story.tally.break_glass,
            "released": story.tally.released,
            "hash_mismatches_found": story.tally.hash_mismatches_found,
            "view_changes": story.view_changes(height),
            "audit": {
                "verified": report.verified,
                "blocks": report.blocks,
                "transactions": report.transactions,
            },
        }
    finally:
        stage.close()


def _audit(founding: Founding, node: str, tell: Narrator) -> AuditReport:
    """What a regulator does: the genesis file, a copy of one store, and nothing else."""
    home = load_home(node_home(founding.home, node))
    with open_store(home.store_url) as source:
        report = verify_chain(source, read_genesis(founding.home / "genesis.json"))
    if report.verified:
        tell("verified", blocks=report.blocks, transactions=report.transactions)
    else:
        tell("not_verified", fault=report.first_fault)
    return report
