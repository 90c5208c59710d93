"""``health-ledger contract new``, ``test``, ``explain``: making, testing and reading a contract."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ledger.cli.output import AsJson, ExitCode, console, expecting, fail, write_json

#: What pytest's end means in our exit codes; whatever is not here is a failure to run.
_EXITS = {0: ExitCode.GOOD, 1: ExitCode.NO, 4: ExitCode.USAGE}
_PLUGIN = "health-ledger"


def new(
    name: Annotated[str, typer.Argument(help="Name of the contract: a-z, 0-9 and _.")],
    home: Annotated[
        Path, typer.Option("--in", help="Directory to make it in.", file_okay=False)
    ] = Path(),
    as_json: AsJson = False,
) -> None:
    """Make a directory with a contract, its test and a page for those who vote on it."""
    from ledger.workbench.scaffold import BadName, create

    with expecting(OSError):
        try:
            files = create(name, home)
        except BadName as error:
            fail(str(error), ExitCode.USAGE)
    if as_json:
        write_json({"files": [str(file) for file in files]})
        return
    from rich.markup import escape

    out = console()
    for file in files:
        out.print(escape(str(file)), soft_wrap=True)
    out.print(f"Test it: health-ledger contract test {escape(str(home / name))}", soft_wrap=True)


def run_tests(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Directories or test files.", exists=True)
    ] = None,
    cover: Annotated[
        bool, typer.Option("--cover/--no-cover", help="Report which lines of the contracts ran.")
    ] = True,
    cover_min: Annotated[
        float | None,
        typer.Option(min=0, max=100, help="Fail unless each contract ran to this percentage."),
    ] = None,
    only: Annotated[str | None, typer.Option("-k", help="Only tests whose names match.")] = None,
    verbose: Annotated[bool, typer.Option("-v", help="One line for each test.")] = False,
) -> None:
    """Run the tests of contracts; ends with 1 if one fails or too little of a contract ran.

    The same tests run under plain pytest, which takes --contract-cover and --contract-cover-min.
    """
    try:
        import pytest
    except ImportError:
        fail("this needs pytest: pip install 'health-ledger[authoring]'")
    from importlib.metadata import entry_points

    known = entry_points(group="pytest11", name=_PLUGIN)
    arguments = ["-p", _PLUGIN if known else "ledger.workbench.plugin"]
    arguments += ["-v" if verbose else "-q", "--tb=short", "--import-mode=importlib"]
    # Neither is of use to those who test contracts, and both have something to say.
    arguments += ["-p", "no:asyncio", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    arguments += ["--contract-cover"] if cover else []
    arguments += [] if cover_min is None else [f"--contract-cover-min={cover_min}"]
    arguments += ["-k", only] if only else []
    arguments += [str(path) for path in paths or [Path()]]
    ended = pytest.main(arguments)
    if ended == pytest.ExitCode.NO_TESTS_COLLECTED:
        fail("there are no tests: a test file is called test_NAME.py")
    if ended == pytest.ExitCode.INTERRUPTED:
        raise typer.Exit(130)
    raise typer.Exit(_EXITS.get(int(ended), ExitCode.FAILED))


def explain(
    contract: Annotated[str, typer.Argument(help="A file, or the name of a library contract.")],
    function: Annotated[str, typer.Option("--of", help="Which function.")] = "decide",
    drawing: Annotated[
        Path | None, typer.Option(help="Write the tree as SVG to this file.", dir_okay=False)
    ] = None,
) -> None:
    """Show what a contract decides: its conditions in order, and its verdicts."""
    from ledger.contracts.problems import InvalidContract
    from ledger.workbench.drawing import draw
    from ledger.workbench.reading import as_text
    from ledger.workbench.tree import NoSuchFunction, read_tree

    name, source = read_source(contract)
    with expecting(OSError):
        try:
            tree = read_tree(source, function)
        except NoSuchFunction as error:
            fail(f"{error}; --of names another one", ExitCode.USAGE)
        except InvalidContract as error:
            fail(f"{contract} is no contract: {error}", ExitCode.NO)
        if drawing is not None:
            drawing.write_text(draw(tree, f"{name}.{function}"), encoding="utf-8")
    # Lines of a tree are not wrapped: their indentation says what belongs to what.
    typer.echo(f"{name}.{as_text(tree)}")


def read_source(contract: str) -> tuple[str, str]:
    """Name and source of a contract that is given as a file, or by its name in the library."""
    from ledger.contracts.sources import LIBRARY, library_source

    if contract in LIBRARY:
        return contract, library_source(contract)
    with expecting(OSError, UnicodeDecodeError):
        return Path(contract).stem, Path(contract).read_text(encoding="utf-8")
