"""``[passkeys]`` of ``node.toml``: under which name and on which pages patients use passkeys."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from ledger.node.setup.signin import BaseAddress, is_loopback
from ledger.node.setup.tomlfile import Table

_HOST = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


def _host_name(text: str) -> str:
    if len(text) > 253 or not _HOST.fullmatch(text) or text.rpartition(".")[2].isdigit():
        raise ValueError("must be a host name in lower case, and no address")
    return text


class PasskeysSection(Table):
    """``[passkeys]``. ``rp_id``: a host name, that of the node's pages or what is left of it after
    leading labels are taken away; by default the host of ``url`` in ``[signin]``. Passkeys are
    bound to it for ever. ``origins``: further addresses of pages, all at or below ``rp_id``.
    ``name``: what devices show."""

    rp_id: Annotated[str, AfterValidator(_host_name)] | None = None
    origins: Annotated[list[BaseAddress], Field(max_length=16)] = Field(default_factory=list)
    name: Annotated[str, Field(min_length=1, max_length=64)] = "Health-data ledger"

    def party(self, url: str) -> tuple[str, tuple[str, ...]]:
        """The relying party's id, and the origins of a node at ``url``.

        Browsers have no passkeys at addresses: a node on loopback is ``localhost``.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        origin = f"{parts.scheme}://{parts.netloc}"
        if is_loopback(host):
            host = "localhost"
            origin = f"{parts.scheme}://localhost" + (f":{parts.port}" if parts.port else "")
        return self.rp_id or host, (origin, *self.origins)
