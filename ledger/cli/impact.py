"""An impact report for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.cli.output import console

if TYPE_CHECKING:
    from ledger.audit.impact import Impact


def show_impact(impact: Impact) -> None:
    """The counts first, then the flipped decisions with their links."""
    from rich.markup import escape

    out = console()
    what = f"{impact.subject['kind']} {impact.contract}"
    heights = f"heights {impact.since} to {impact.until}"
    out.print(
        f"[bold]{escape(what)}[/] would have flipped {impact.flipped} of {impact.replayed} "
        f"decisions, {heights}",
        soft_wrap=True,
    )
    for kind, count in sorted(impact.kinds.items()):
        out.print(f"  {kind:16} {count}")
    for rule, (before, after) in sorted(impact.rules.items()):
        if before != after:
            out.print(f"  {escape(rule)}  {before} before, {after} after", soft_wrap=True)
    for error, count in sorted(impact.failures.items()):
        out.print(f"  [red]could not be carried out[/] {count} times: {escape(error)}")
    for flip in impact.flips:
        out.print(
            f"  {flip.height}  {flip.kind}  {escape(flip.before.rule)} → "
            f"{escape(flip.after.rule)}  /v1/receipts/{flip.transaction}",
            soft_wrap=True,
        )
    left = impact.flipped - len(impact.flips)
    if left > 0:
        out.print(f"  and {left} more; --list shows them")
    if not impact.exact:
        heights = ", ".join(map(str, impact.unproven))
        out.print(f"[bold red]not exact[/] the record was not reproduced at {heights}")
    out.print(f"report {impact.digest}", soft_wrap=True)
