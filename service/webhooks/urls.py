"""Which URLs a webhook may have: read strictly, resolved, and held against the addresses behind the name."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from service.errors import ForbiddenUrlError, OverloadedError
from service.webhooks.addresses import is_among, is_public

if TYPE_CHECKING:
    from service.webhooks.addresses import Address, Network

__all__ = ["Lookups", "Resolver", "Target", "UrlRules"]

Resolver: TypeAlias = Callable[[str, str], Awaitable[Sequence[str]]]
"""Returns the addresses of a name, for whoever asks."""

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[A-Za-z0-9\-._~!$&'()*+,;=:@%/]*)?(?P<query>\?[A-Za-z0-9\-._~!$&'()*+,;=:@%/?]*)?"
)
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORTS = {"http": 80, "https": 443}
_OPEN_PORTS = (443, 8443)
_LAST_PORT = 65_535


@dataclass(frozen=True)
class Target:
    """A URL that was read: where to connect, and what to ask for there."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def is_secure(self) -> bool:
        """Whether it is https."""
        return self.scheme == "https"

    @property
    def literal(self) -> Address | None:
        """The address where the host is one."""
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(self.host)
        return None

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def read_url(url: str) -> Target:
    """
    Return what a URL says, in the one form that nobody reads in another way.

    Raises
    ------
    ForbiddenUrlError
        For any other text: with a user, a fragment, a host that is a number in disguise, a port that does not exist.
    """
    found = _URL.fullmatch(url)
    if found is None:
        raise ForbiddenUrlError("must be https://host/path in ASCII, without user, fragment or backslash")
    scheme, host = found["scheme"], found["host"].lower()
    port = int(found["port"] or _PORTS[scheme])
    if not 1 <= port <= _LAST_PORT:
        told = f"must have a port from 1 to {_LAST_PORT}, got {port}"
        raise ForbiddenUrlError(told)
    return Target(scheme, _host(host), port, (found["path"] or "/") + (found["query"] or ""))


def _host(host: str) -> str:
    if host.startswith("["):
        with contextlib.suppress(ValueError):
            return str(ipaddress.IPv6Address(host[1:-1]))
        raise ForbiddenUrlError("must have an IPv6 address in its brackets")
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):  # the system would read 127.1, 0x7f000001 and 2130706433 as addresses
        with contextlib.suppress(ValueError):
            return str(ipaddress.IPv4Address(host))
        raise ForbiddenUrlError("must have a name or a whole address for its host: four numbers with points between")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise ForbiddenUrlError("must have a host name of letters, digits and hyphens, without a point at its end")
    return host


class UrlRules:
    """
    Says where a URL leads, or that webhooks are not sent there.

    Parameters
    ----------
    allowed
        Networks that are let through though they are not public, at any port and by http too: for tests, and for
        receivers in one's own network.
    resolver
        Finds the addresses of a name.
    """

    def __init__(self, allowed: Sequence[Network] = (), resolver: Resolver | None = None) -> None:
        self._allowed = tuple(allowed)
        self._resolve = resolver or Lookups()

    async def check(self, url: str, seconds: float, asker: str = "") -> tuple[Target, list[str]]:
        """
        Return what a URL says, and the addresses to connect to: these and no others.

        Parameters
        ----------
        url, seconds
            Which, and how long its name may be looked up.
        asker
            For whom, where that is not linli itself.

        Raises
        ------
        ForbiddenUrlError
            If one of its addresses is not to be sent to, or none is to be had.
        """
        target = read_url(url)
        addresses = (
            [target.literal] if target.literal is not None else await self._addresses(target.host, seconds, asker)
        )
        others = [address for address in addresses if not is_among(address, self._allowed)]
        if others or not addresses:
            self._check_public(target, others)
        return target, [str(address) for address in addresses]

    async def _addresses(self, host: str, seconds: float, asker: str) -> list[Address]:
        try:
            async with asyncio.timeout(seconds):
                found = await self._resolve(host, asker)
            return [ipaddress.ip_address(one) for one in found]  # a zone (fe80::1%eth0) is refused below
        except (OSError, ValueError):  # a timeout is an OSError
            return []

    def _check_public(self, target: Target, addresses: Sequence[Address]) -> None:
        """Refuse what is not public. A name that is not found is refused as one that leads inside: nobody learns which there are."""
        more = " (or a host that is found in a network that is let through)" if self._allowed else ""
        if not target.is_secure:
            told = f"must begin with https://{more}"
            raise ForbiddenUrlError(told)
        if target.port not in _OPEN_PORTS:
            told = f"must have port {' or '.join(map(str, _OPEN_PORTS))}{more}, got {target.port}"
            raise ForbiddenUrlError(told)
        if addresses and all(map(is_public, addresses)):
            return
        if target.literal is None:
            raise ForbiddenUrlError("must have a host whose addresses are found, and are all of the public internet")
        raise ForbiddenUrlError("leads to an address that is not one of the public internet")


class Lookups:
    """
    Returns the addresses of names as the system knows them.

    A thread for each: one that waits for a name server that does not answer holds up neither other names nor the
    end of the process, as a pool would. It outlives who waits for it.

    Parameters
    ----------
    most, share
        How many are at work at once, of all who ask and of one; None for any number.
    """

    def __init__(self, most: int | None = None, share: int | None = None) -> None:
        self._most, self._share = most, share
        self._n_of = Counter[str]()
        self._lock = threading.Lock()

    def _begin(self, asker: str) -> None:
        with self._lock:
            if self._n_of[asker] == self._share:
                told = f"{self._share} host names of this caller are being looked up, as many as may be; try again"
                raise OverloadedError(told)
            if self._n_of.total() == self._most:
                raise OverloadedError("too many host names are being looked up")
            self._n_of[asker] += 1

    def _end(self, asker: str) -> None:
        with self._lock:
            self._n_of[asker] -= 1
            if not self._n_of[asker]:
                del self._n_of[asker]

    async def __call__(self, host: str, asker: str) -> Sequence[str]:
        """Look a name up for somebody; raises `OverloadedError` where too many wait for their answers."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[str]] = loop.create_future()
        self._begin(asker)

        def look() -> None:
            found: list[str] | OSError | UnicodeError
            try:
                found = [str(one[4][0]) for one in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
            except (OSError, UnicodeError) as error:
                found = error
            self._end(asker)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_settle, future, found)

        try:
            threading.Thread(target=look, name="linli-resolve", daemon=True).start()
        except RuntimeError:  # the system has no thread left
            self._end(asker)
            raise
        return await future


def _settle(future: asyncio.Future[list[str]], found: list[str] | OSError | UnicodeError) -> None:
    if future.done():
        return
    if isinstance(found, list):
        future.set_result(list(dict.fromkeys(found)))
    else:
        future.set_exception(found)
