"""The few pages of signing in. They load nothing, run nothing, and are framed by nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

#: A page may send forms to the node itself, and nothing else (CSP Level 3).
POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

_templates = Environment(
    loader=PackageLoader("ledger.api.signin"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=False,
)


class Link(NamedTuple):
    """A choice on a page."""

    href: str
    text: str


class Said(NamedTuple):
    """What a page says, in both languages."""

    title: str
    text: str
    text_zh: str


SIGNED_IN: Final = Said("Signed in", "You have signed in.", "您已登录。")
CHOOSE: Final = Said("Sign in", "Choose your institution.", "请选择您所在的机构。")
FAILED: Final = Said(
    "Not signed in",
    "Signing in did not work. Begin again; if it fails again, ask your IT department to look into "
    "the node's log of sign-ins.",
    "登录未成功。请重新开始；如仍然失败，请联系信息科查看节点的登录日志。",
)


def page(
    said: Said,
    status: int = 200,
    *,
    onwards: str = "",
    links: Sequence[Link] = (),
    development: bool = False,
) -> HTMLResponse:
    """A page; ``onwards``: where the browser goes by itself."""
    text = _templates.get_template("page.html").render(
        **said._asdict(), onwards=onwards, links=links, development=development
    )
    return HTMLResponse(text, status, {"content-security-policy": POLICY})
