"""Which addresses a webhook may be sent to: those of the public internet, and none that leads back inside."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Address", "Network", "is_among", "is_public", "networks_of"]

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# IANA's registries of special addresses, and what clouds tell their own machines. Python's own `is_global` would
# let multicast through, and every IPv6 form that carries an IPv4 address in it.
_NOT_PUBLIC_V4 = [
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3", "168.63.129.16/32",
    )
]  # fmt: skip
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = [
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocols, Teredo and benchmarks among them
        "2001:db8::/32", "3fff::/20",  # documentation
        "2002::/16",  # 6to4: it carries an IPv4 address
        "2620:4f:8000::/48", "3ffe::/16",
    )
]  # fmt: skip
_ISATAP = (0x00005EFE, 0x02005EFE)  # before an IPv4 address, in the lower half


def is_public(address: Address) -> bool:
    """Tell whether an address is one of the public internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return not is_among(address, _NOT_PUBLIC_V4)
    if address not in _PUBLIC_V6 or is_among(address, _NOT_PUBLIC_V6):
        return False
    number = int(address)
    carries_v4 = (number >> 32) & 0xFFFFFFFF in _ISATAP
    return not carries_v4 or is_public(ipaddress.IPv4Address(number & 0xFFFFFFFF))


def is_among(address: Address, networks: Sequence[Network]) -> bool:
    """Tell whether an address lies in one of some networks."""
    return any(address.version == network.version and address in network for network in networks)


def networks_of(text: str) -> list[Network]:
    """Return the networks of a list with commas between; raises ValueError for what is none."""
    return [ipaddress.ip_network(one.strip()) for one in text.split(",") if one.strip()]
