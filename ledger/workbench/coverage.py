"""How much of each contract the tests ran, as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ledger.contracts.linenotes import Lines


def ranges(lines: Iterable[int]) -> str:
    """Line numbers in ascending order as text: ``3, 7-9``."""
    parts: list[list[int]] = []
    for line in lines:
        if parts and line == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], line]
        else:
            parts.append([line])
    return ", ".join("-".join(map(str, part)) for part in parts)


def report(covered: Mapping[str, Lines]) -> list[str]:
    """A line for each contract by name: statements, how many were missed, the share, and which."""
    width = max([len("contract"), *map(len, covered)])
    rows = [f"{'contract':{width}}  lines  missed  run"]
    for name, lines in covered.items():
        missed = lines.missed
        rows.append(
            f"{name:{width}}  {len(lines.statements):5}  {len(missed):6}"
            f"  {100 * lines.share:3.0f}%  {ranges(missed)}".rstrip()
        )
    return rows


def least(covered: Mapping[str, Lines]) -> float:
    """The share of the contract that was run least, in percent; 100 where there is none."""
    return 100 * min((lines.share for lines in covered.values()), default=1.0)
