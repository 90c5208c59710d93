"""Asking for the passphrase of key files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ledger.crypto.keyfile import PassphraseSource


def passphrase_source(*, confirm: bool = False) -> PassphraseSource:
    """The environment, a file, or the terminal; see `ledger.crypto.keyfile.PassphraseSource`.

    Args:
        confirm: ask twice, because a typing error would seal keys for good.
    """
    import sys

    from ledger.crypto.keyfile import PassphraseSource

    def ask() -> str:
        return str(
            typer.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True)
        )

    return PassphraseSource(ask if sys.stdin.isatty() else None)
