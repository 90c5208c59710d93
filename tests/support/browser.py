"""A real Chromium with an authenticator in software, for tests of pages.

``scripts/chromium.sh`` installs Debian's package where it can. Playwright only drives it: nothing
is downloaded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import CDPSession, Error, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
#: How the reason of every skip begins, by which the summary of a run finds them.
NO_BROWSER = "Chromium:"
_OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--no-first-run",
]  # fmt: skip


def plug_in(devices: CDPSession, transport: str) -> None:
    """Give a page one more authenticator, which always agrees: ``internal``, or one by ``usb``."""
    devices.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2", "transport": transport, "hasResidentKey": True,
                "hasUserVerification": True, "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )  # fmt: skip


@contextlib.contextmanager
def browsing() -> Iterator[tuple[Page, CDPSession]]:
    """A page of a fresh browser, whose device has a fingerprint sensor that always agrees, and the
    session for `plug_in`.

    Whatever the page complains of on its console is an error of the test.
    """
    if not CHROMIUM.exists():
        pytest.skip(f"{NO_BROWSER} there is none; scripts/chromium.sh installs it for root")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=_OPTIONS)
        except Error as error:
            pytest.skip(f"{NO_BROWSER} it does not start: {error.message.splitlines()[0]}")
        page = browser.new_page(locale="en-GB", viewport={"width": 800, "height": 1100})
        page.set_default_timeout(15_000)
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text)
                if message.type == "error" and "Failed to load resource" not in message.text
                else None
            ),
        )
        devices = page.context.new_cdp_session(page)
        devices.send("WebAuthn.enable")
        plug_in(devices, "internal")
        try:
            yield page, devices
        finally:
            browser.close()
        assert complaints == []
