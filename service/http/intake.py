"""What the gate reads of a request before its route does: whose key, from where, and no more body than is taken."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any

from service.http.problems import ProblemError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

__all__ = [
    "DESCRIPTION",
    "LINKS",
    "OPEN",
    "PROBES",
    "is_link",
    "is_streamed",
    "limited_body",
    "network_of",
    "read_head",
]

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""What machines beside this one ask, and must never be refused."""

DESCRIPTION = "/openapi.json"
OPEN = PROBES | {DESCRIPTION, "/docs", "/counter"}
"""What asks for no key."""

LINKS, _LINK_END = "/v1/calendars/", ".ics"
"""How paths begin that hold a secret, which is the key to what is there."""

_STREAMED_END = ":import"
_STREAMED = re.compile("/v1/points(?:/[^/]+/(?:stock|crews|services))?:import")
_MAX_BODY = 256 * 1024
_MAX_ARROW = 8 * 1024 * 1024
_ARROW = b"application/vnd.apache.arrow.stream"
_BATCH = "/v1/match:batch"
_PLAIN = frozenset({b"", b"identity"})


def is_streamed(path: str) -> bool:
    """Tell whether a path, or the template of a route, is that of a body without limit: it is never held as a whole."""
    return path.endswith(_STREAMED_END) and _STREAMED.fullmatch(path) is not None


def is_link(path: str) -> bool:
    """Tell whether a path, or the template of a route, asks for no key beside the secret that it holds."""
    return path.startswith(LINKS) and path.endswith(_LINK_END)


def read_head(headers: list[tuple[bytes, bytes]]) -> tuple[bytes, bool]:
    """Return the one Authorization, empty where there is none or more than one, and whether the body is encoded."""
    found, n, is_encoded = b"", 0, False
    for name, value in headers:
        if name == b"authorization":
            found, n = value, n + 1
        elif name == b"content-encoding" and value.strip().lower() not in _PLAIN:
            is_encoded = True
    return (found if n == 1 else b""), is_encoded


def network_of(host: str) -> str:
    """Return what is counted as one address: of IPv6 the /64 that one line has, of which each has 2^64 addresses."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host[:64]
    if isinstance(address, ipaddress.IPv4Address):
        return host
    mapped = address.ipv4_mapped
    return str(mapped or ipaddress.IPv6Address(int(address) >> 64 << 64))


def limited_body(scope: Scope, receive: Receive) -> Receive:
    """Return what receives no more of a body than its route takes."""
    if is_streamed(scope["path"]):
        return receive
    n_bytes, kind = 0, b""
    for name, value in scope["headers"]:
        if name == b"content-length":
            n_bytes = int(value)
        elif name == b"content-type":
            kind = value
    is_arrow = scope["path"] == _BATCH and kind.startswith(_ARROW)
    limit = _MAX_ARROW if is_arrow else _MAX_BODY
    if n_bytes > limit:
        raise _too_large(limit)
    so_far = 0

    async def limited() -> Any:
        nonlocal so_far
        message = await receive()
        so_far += len(message.get("body", b""))
        if so_far > limit:
            raise _too_large(limit)
        return message

    return limited


def _too_large(limit: int) -> ProblemError:
    text = f"at most {limit} bytes are taken here; split it"
    return ProblemError("payload-too-large", text, headers={"Connection": "close"})
