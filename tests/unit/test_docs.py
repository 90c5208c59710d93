"""The documentation names what there is: pages, commands, options, fields, numbers."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from ledger.api.signin.refusal import Why
from ledger.chain.constitution import PARAMETER_BOUNDS, Parameters
from ledger.cli.main import app
from ledger.crypto import hashing
from ledger.node.metrics import Metrics
from ledger.node.setup import config, home, signin

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
SOURCES = {str(path.relative_to(ROOT)) for path in ROOT.glob("[!.]*/**/*.py")}

LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^```[^\n]*\n(.*?)^```$|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?<![\w./-])(?:[\w./]*/)?health-ledger[ \t]+([a-z][^#\n]*)")
MAKE = re.compile(r"^make ([a-z]+)", re.MULTILINE)
MODULE = re.compile(r"[a-z_]+(?:/[a-z_]+)*\.py")
ROW = re.compile(r"^\| `(\w+)` \|(.*)\|$", re.MULTILINE)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def code(page: Path) -> Iterator[str]:
    """The fenced blocks, with continued lines joined, and the spans in backticks."""
    for block, span in CODE.findall(read(page)):
        yield (block or span).replace("\\\n", " ")


def rows(page: Path) -> dict[str, list[str]]:
    """The rows of tables that begin with a name in backticks, by that name."""
    return {
        first: [cell.strip() for cell in rest.split("|")] for first, rest in ROW.findall(read(page))
    }


def numbers(text: str) -> list[int]:
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", text)]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_to_a_file(page):
    links = LINK.findall(FENCE.sub("", read(page)))
    targets = [link.partition("#")[0] for link in links if not re.match(r"[a-z]+:", link)]
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_exists_with_its_options(page):
    root = typer.main.get_command(app)
    for piece in code(page):
        for line in COMMAND.findall(piece):
            words = line.split()
            command = root
            while words and hasattr(command, "commands") and re.match(r"[a-z]", words[0]):
                assert words[0] in command.commands, f"health-ledger {line}"
                command = command.commands[words.pop(0)]
            known = {
                option
                for parameter in command.params
                for option in (*parameter.opts, *parameter.secondary_opts)
            }
            used = {word for word in words if re.fullmatch(r"--[a-z][a-z-]*", word)}
            assert used <= known | {"--help"}, f"health-ledger {line}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_make_target_exists(page):
    targets = set(re.findall(r"^([a-z]+):", read(ROOT / "Makefile"), re.MULTILINE))
    assert {target for piece in code(page) for target in MAKE.findall(piece)} <= targets


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_module_that_is_named_exists(page):
    named = {module for piece in code(page) for module in MODULE.findall(piece)}
    made_up = {"my_contract.py", "test_my_contract.py"}
    assert [
        module
        for module in sorted(named - made_up)
        if module not in SOURCES and not any(path.endswith(f"/{module}") for path in SOURCES)
    ] == []


@pytest.mark.parametrize("page", ["operators/network-config.md", "protocol/execution.md"])
def test_the_tables_of_parameters_are_those_of_the_code(page):
    table = rows(DOCS / page)
    defaults = Parameters()
    for parameter, bounds in PARAMETER_BOUNDS.items():
        default, allowed = table[parameter][:2]
        assert numbers(default) == [getattr(defaults, parameter)], parameter
        assert numbers(allowed)[:2] == list(bounds), parameter


@pytest.mark.parametrize(
    "table",
    [
        config.NetworkSection,
        config.NodeSection,
        config.InstitutionSection,
        config.PersonSection,
        config.ContractSection,
        home.NodeSettings,
        home.NodeSection,
        home.ListenSection,
        home.StoreSection,
        home.VaultSection,
    ],
)
def test_every_field_of_a_configuration_is_described(table):
    text = read(DOCS / "operators" / "network-config.md")
    missing = [field for field in table.model_fields if not re.search(rf"\b{field}\b", text)]
    assert missing == []


@pytest.mark.parametrize(
    ("table", "prefix"),
    [
        (signin.SignInSection, ""),
        (signin.ProviderSection, "providers."),
        (signin.SessionsSection, "sessions."),
    ],
)
def test_every_field_of_sign_in_is_described(table, prefix):
    text = read(DOCS / "operators" / "sign-in.md")
    fields = set(table.model_fields) - {"providers", "sessions"}
    assert [field for field in sorted(fields) if f"`{prefix}{field}`" not in text] == []


def test_every_reason_of_a_refused_sign_in_is_described():
    text = read(DOCS / "operators" / "sign-in.md")
    assert [why for why in Why if f"`{why}`" not in text] == []


def test_the_hash_domains_are_all_listed():
    domains = {
        domain.name for domain in vars(hashing).values() if isinstance(domain, hashing.Domain)
    }
    section = read(DOCS / "protocol.md").split("## Hashes")[1].split("##")[0]
    listed = {word for line in section.splitlines() for word in re.findall(r"`([a-z-]+)`", line)}
    assert listed == domains


def test_the_metrics_in_the_guide_are_published():
    published = {
        name
        for metric in Metrics().registry.collect()
        for name in (
            metric.name if metric.type != "counter" else f"{metric.name}_total",
            *(sample.name for sample in metric.samples),
        )
    }
    guide = read(DOCS / "operators" / "running-a-node.md")
    assert set(re.findall(r"`(ledger_\w+)`", guide)) <= published


def test_every_explanation_of_a_failure_is_in_the_protocol():
    # Explanations are part of results, hence of what two implementations must agree about.
    text = read(DOCS / "protocol" / "execution.md")
    for path in sorted((ROOT / "ledger" / "contracts").glob("*.py")):
        for call in ast.walk(ast.parse(read(path))):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
                continue
            if call.func.id not in ("Failure", "type_error", "too_large"):
                continue
            for argument in call.args:
                parts = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
                for part in parts:
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        piece = part.value.strip()
                        assert piece in text, f"{path.name}: {piece}"


def test_the_index_of_decisions_has_them_all():
    index = read(DOCS / "decisions" / "README.md")
    for page in (DOCS / "decisions").glob("0*.md"):
        assert f"({page.name})" in index


def test_the_index_of_the_documentation_has_every_page():
    linked = {
        (DOCS / link.partition("#")[0]).resolve() for link in LINK.findall(read(DOCS / "README.md"))
    }
    pages = {page for page in DOCS.rglob("*.md") if not re.match(r"\d{4}-", page.name)}
    assert {page.resolve() for page in pages} - linked == {(DOCS / "README.md").resolve()}
