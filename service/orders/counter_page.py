"""The page of a merchant's counter: codes are entered, orders are taken on, by hand, by phone or with a scanner."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import NamedTuple

from fastapi import APIRouter, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from service.http.routing import StrictRoute

__all__ = ["CounterPage", "counter_page", "router"]

router = APIRouter(route_class=StrictRoute)

_SCRIPTS = ("counter_words.js", "counter_api.js", "counter_orders.js", "counter.js")


class CounterPage(NamedTuple):
    """
    The page.

    Attributes
    ----------
    policy
        Its Content-Security-Policy: its own style and script alone, no other server, no HTML made of text.
    """

    html: str
    policy: str


@router.get("/counter", include_in_schema=False)
async def get_counter() -> Response:
    """Serve the page; it holds nothing of anyone, and asks the API with the key that is pasted into it."""
    page = counter_page()
    headers = {
        "Content-Security-Policy": page.policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }
    return Response(page.html, media_type="text/html", headers=headers)


@cache
def counter_page() -> CounterPage:
    """Return the page: one HTML file with its style and script."""
    style, script = _text("counter.css"), "".join(_text(name) for name in _SCRIPTS)
    loader = PackageLoader("service.orders")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    # Both are files of linli's own: nothing that anyone has sent is written into the page.
    html = environment.get_template("counter.html.j2").render(style=Markup(style), script=Markup(script))  # noqa: S704
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    return CounterPage(html, policy)


def _text(name: str) -> str:
    return resources.files("service.orders").joinpath("templates", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
