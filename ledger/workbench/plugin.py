"""The pytest plugin for authors of contracts: a chain, people, time, expectations, coverage.

It is loaded by pytest wherever this package is installed, and by ``health-ledger contract test``.
The contracts under test are those beside the test file, or in the directory above where that is
called ``tests``; a test module or conftest can say otherwise with the fixtures ``contracts`` and
``founding``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from ledger.contracts.linenotes import Lines
    from ledger.contracts.machine import Machine
    from ledger.workbench.chain import Actor, Chain
    from ledger.workbench.expectations import Answer, Expectations, Refusal

_MARK: Final = "from ledger.contracts.prelude import"
_COVERED: Final = pytest.StashKey["_Covered"]()
_SENT: Final = "contract_lines"


class _Covered:
    """What was run in this session. ``names``: the names of sources that tests were about."""

    def __init__(self) -> None:
        from ledger.contracts.linenotes import LineNotes
        from ledger.contracts.machine import Machine

        self.notes = LineNotes()
        self.machine = Machine(notes=self.notes)
        self.names: dict[str, str] = {}

    def lines(self) -> dict[str, Lines]:
        return {
            name: self.notes.of(source)
            for source, name in sorted(self.names.items(), key=lambda item: item[1])
        }


# Options and the report


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("contracts", "contracts of health-ledger")
    group.addoption(
        "--contract-cover", action="store_true", help="Report which lines of contracts ran."
    )
    group.addoption(
        "--contract-cover-min", type=float, metavar="PERCENT",
        help="Fail unless each contract's lines ran to this extent; reports them too.",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--contract-cover") or config.getoption("--contract-cover-min") is not None:
        config.stash[_COVERED] = _Covered()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    covered = session.config.stash.get(_COVERED, None)
    if covered is None:
        return
    sent = getattr(session.config, "workeroutput", None)
    if sent is not None:  # under pytest-xdist: the report is made where all workers end
        sent[_SENT] = [
            (name, source, sorted(lines.statements), sorted(lines.ran))
            for source, name in covered.names.items()
            for lines in [covered.notes.of(source)]
        ]
    elif exitstatus == pytest.ExitCode.OK and not _enough(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker of pytest-xdist noted."""
    covered = node.config.stash.get(_COVERED, None)
    if covered is None:
        return
    for name, source, statements, ran in getattr(node, "workeroutput", {}).get(_SENT, ()):
        covered.names[source] = name
        lines = covered.notes.of(source)
        lines.statements.update(statements)
        lines.ran.update(ran)


def _enough(config: pytest.Config) -> bool:
    from ledger.workbench.coverage import least

    wanted = config.getoption("--contract-cover-min")
    return wanted is None or least(config.stash[_COVERED].lines()) >= wanted


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    covered = config.stash.get(_COVERED, None)
    if covered is None:
        return
    from ledger.workbench.coverage import report

    terminalreporter.section("lines of contracts")
    if not covered.names:
        terminalreporter.write_line("no test used a contract")
        return
    for row in report(covered.lines()):
        terminalreporter.write_line(row)
    if not _enough(config):
        least = config.getoption("--contract-cover-min")
        terminalreporter.write_line(f"less than the {least:g}% that are asked for", red=True)


# The chain


def sources_beside(test: Path) -> dict[str, str]:
    """The contracts that a test file is about, by name."""
    home = test.parent.parent if test.parent.name == "tests" else test.parent
    found = {}
    for file in sorted(home.glob("*.py")):
        if file.name == "conftest.py" or file.name.startswith("test_"):
            continue
        text = file.read_text(encoding="utf-8")
        if _MARK in text:
            found[file.stem] = text
    return found


@pytest.fixture
def contracts(request: pytest.FixtureRequest) -> dict[str, str]:
    """The contracts under test: sources by name. Define your own to choose others."""
    return sources_beside(request.path)


@pytest.fixture
def founding() -> dict[str, dict[str, Any]]:
    """Arguments of the ``init`` of contracts, by name. Define your own where one needs some."""
    return {}


@pytest.fixture
def chain(
    request: pytest.FixtureRequest,
    contracts: dict[str, str],
    founding: dict[str, dict[str, Any]],
) -> Chain:
    """A consortium in memory with the library's contracts and those under test."""
    from ledger.contracts.machine import GenesisFailed
    from ledger.workbench.chain import Chain
    from ledger.workbench.excerpts import with_excerpt

    _refuse_invalid(contracts)
    covered = request.config.stash.get(_COVERED, None)
    machine: Machine | None = None
    if covered is not None:
        machine = covered.machine
        covered.names.update({source: name for name, source in contracts.items()})
    try:
        return Chain(contracts, founding, machine)
    except GenesisFailed as error:
        pytest.fail(f"the chain does not begin: {with_excerpt(str(error), contracts)}", False)


def _refuse_invalid(contracts: dict[str, str]) -> None:
    from ledger.contracts.checker import check
    from ledger.workbench.excerpts import excerpt

    found = [
        f"{name}.py:{problem.line}:{problem.column}: {problem.code} {problem.message}"
        + (f" ({problem.hint})" if problem.hint else "")
        + f"\n{excerpt(source, problem.line, 1)}"
        for name, source in contracts.items()
        for problem in check(source)
    ]
    if found:
        pytest.fail("this is no contract:\n" + "\n".join(found), False)


@pytest.fixture
def at(chain: Chain) -> Callable[[int | str | datetime], None]:
    """Set block time: ``at("2026-06-01 08:00")``, UTC unless it says, or milliseconds."""
    return chain.moved_to


@pytest.fixture
def later(chain: Chain) -> Callable[..., None]:
    """Let block time pass: ``later(days=1)``."""
    return chain.passes


@pytest.fixture
def record(chain: Chain) -> Callable[..., dict[str, Any]]:
    """Anchor a record of the patient and get its pointer: ``record(kind="imaging")``."""
    return chain.record


# People


@pytest.fixture
def as_patient(chain: Chain) -> Callable[..., Actor]:
    """The patient, or another one by pseudonym."""
    return chain.patient


@pytest.fixture
def as_role(chain: Chain) -> Callable[[str, str], Actor]:
    """Somebody with a role at an institution: ``as_role("village-doctor", "township")``."""
    return chain.person


def _acting(role: str, home: str) -> Any:
    @pytest.fixture(name=f"as_{role.replace('-', '_')}")
    def acting(chain: Chain) -> Callable[..., Actor]:
        def somebody(institution: str = home) -> Actor:
            return chain.person(role, institution)

        return somebody

    acting.__doc__ = f"Somebody who acts as {role}, at the {home} institution unless named."
    return acting


as_physician = _acting("physician", "county")
as_nurse = _acting("nurse", "county")
as_emergency_physician = _acting("emergency-physician", "county")
as_family_doctor = _acting("family-doctor", "township")
as_registrar = _acting("registrar", "county")
as_records_officer = _acting("records-officer", "city")
as_governor = _acting("governor", "county")
as_auditor = _acting("auditor", "board")
as_insurer = _acting("insurer", "fund")
as_researcher = _acting("researcher", "city")


# Expectations


@pytest.fixture
def expectations(chain: Chain) -> Expectations:
    """What the fixtures below are made of."""
    from ledger.workbench.expectations import Expectations

    return Expectations(chain.sources)


@pytest.fixture
def expect_permit(expectations: Expectations) -> Callable[..., Answer]:
    """``expect_permit(answer, rule="…", duties=[…], until=…)``; gives the answer back."""
    return expectations.permit


@pytest.fixture
def expect_deny(expectations: Expectations) -> Callable[..., Answer]:
    """``expect_deny(answer, rule="…")``; gives the answer back."""
    return expectations.deny


@pytest.fixture
def expect_silence(expectations: Expectations) -> Callable[..., Answer]:
    """``expect_silence(answer, rule="…")``: the contract has nothing to say."""
    return expectations.silence


@pytest.fixture
def expect_refusal(expectations: Expectations) -> Callable[[str], Refusal]:
    """``with expect_refusal("code"): …``: the call inside fails with this code."""
    return expectations.refusal
